#!/bin/bash
# The user's document, walked by HTTP alone, in its order, under its own headings: from the source of leads to the log of
# them.  Where the document is not safe, the safe way is walked, and the other one is shown to be shut.  What could break
# is the joint between any two steps: what staff set must be so at the edge within a second, what the edge takes in must be
# there for whom it is for, and for nobody else.
. "$(dirname "$0")/lib.sh"
own_state
start_demo --workers 2
ADMIN=/api/admin/v1

# ---- asking ----

make() { # make PATH JSON: the object to standard output; it must be made
    staff POST "$ADMIN/$1" "$2" | tee "$TOP/made"
    [ "$(status)" = 201 ] || diag "POST $1: $(status) $(cat "$TOP/made")"
}
edit() { # edit PATH JSON
    staff PATCH "$ADMIN/$1" "$2" >"$TOP/edited"
    is "$(status)" 200 "$3" || diag "$(cat "$TOP/edited")"
}
id() { jq -r .id <<<"$1"; }
# api METHOD PATH [JSON] with the partner's key; form_post PATH FIELD... as a browser
api() { request "$KEY" "$@" >"$TOP/answer"; }
said() { echo "$(status) $(jq -r '.error.code // .data.verdict // "-"' "$TOP/answer" 2>/dev/null)"; }
send() { api POST /api/v1/leads "$1"; }
lead_is() { # lead_is JSON WANTED: until the edge answers so
    send "$1"
    [ "$(said)" = "$2" ]
}
session() { # session REALM EMAIL PASSWORD JAR: logs in; JAR holds the cookie afterwards
    curl -sS -c "$4" -H 'Content-Type: application/json' -d '{"email":"'"$2"'","password":"'"$3"'"}' \
        -o "$TOP/answer" -w '%{http_code}' "$URL/api/$1/v1/session"
}
seen() { curl -sS -b "$2" "$URL$1"; }                                  # seen PATH JAR
seen_status() { curl -sS -o /dev/null -w '%{http_code}' -b "$2" "$URL$1"; }

# ---- Creating the API source ----

DEPARTMENT=$(id "$(make departments '{"name":"Sales desk"}')")
AGENT=$(id "$(make staff '{"email":"agent@desk.example","name":"Ann","role":"agent","password":"a quiet blue harbour"}')")
edit "staff/$AGENT" '{"department_id":"'"$DEPARTMENT"'"}' 'an agent belongs to a department'
SOURCE=$(id "$(make sources '{"name":"Alpha","department_id":"'"$DEPARTMENT"'"}')")
like "$SOURCE" '^[0-9]+$' 'Creating the API source: a source whose leads a department gets'

# ---- Creating New API user ----

EXPIRES=$(date -u -d '+90 days' +%FT%TZ)
USER=$(make api_users '{"name":"Alpha","role":"affiliate","source_id":"'"$SOURCE"'","expires_at":"'"$EXPIRES"'"}')
KEY=$(jq -r .key <<<"$USER") USER_ID=$(id "$USER")
like "$KEY" '^aff_live_' 'Creating New API user: with a key that is shown once'
is "$(staff GET "$ADMIN/api_users/$USER_ID" | jq -r '.key // "never again"')" 'never again' 'and never again'
FIRST='{"email":"first@people.example","first_name":"First"}'
send "$FIRST"
is "$(said)" '401 key_unknown' 'which opens nothing as long as nobody is paid for its leads'

# ---- Creating the Customer/Trader ----

TRADER=$(id "$(make traders '{"first_name":"Alpha","last_name":"Partner","email":"alpha@partner.example","phone":"+49 30 901820"}')")
like "$TRADER" '^[0-9]+$' 'Creating the Customer/Trader: with e-mail and phone'
INVITE=$(make "traders/$TRADER/invite" '{}' | jq -r .invitation_url)
like "$(curl -sS "$INVITE")" 'name=password' 'Client Portal Access: a link to choose a password'
for password in 123456 'correct horse harbour'; do
    curl -sS -o /dev/null -w '%{http_code}\n' --data-urlencode "password=$password" "$INVITE"
done >"$TOP/invited"
is "$(tr '\n' ' ' <"$TOP/invited")" '422 201 ' 'not 123456, but one of their own'
is "$(curl -sS -o /dev/null -w '%{http_code}' --data-urlencode 'password=another quiet harbour' "$INVITE")" 403 'once'
edit "api_users/$USER_ID" '{"trader_id":"'"$TRADER"'"}' 'Add there your Trader/Client and press on "Save"'

# ---- Creating the User for the Affiliate Management ----

AFFILIATE=$(id "$(make "traders/$TRADER/affiliate" '{"api_user_id":"'"$USER_ID"'","status":"approved"}')")
is "$(staff GET "$ADMIN/affiliates/$AFFILIATE" | jq -c '[.name, .api_user_id, .trader_id, .status]')" \
    '["Alpha Partner","'"$USER_ID"'","'"$TRADER"'","approved"]' 'Creating the User for the Affiliate Management: of trader and API user'
is "$(session portal alpha@partner.example 123456 "$TOP/portal")" 401 'the affiliate does not log in with a default password'
is "$(session portal alpha@partner.example 'correct horse harbour' "$TOP/portal")" 200 'but with their own'
is "$(session portal nobody@partner.example 'correct horse harbour' "$TOP/nobody")" 401 'and nobody else does'
is "$(seen_status "$ADMIN/leads" "$TOP/portal")" 401 'which opens nothing of the staff'
is "$(seen /api/portal/v1/leads "$TOP/portal" | jq .total)" 0 'there are no leads yet'

# What was set for the API user, at the edge; each is so within a second.
await 10 lead_is "$FIRST" '403 scope_denied'
ok $? 'Permissions: none chosen is nothing allowed' || diag "$(said)"
edit "api_users/$USER_ID" '{"scopes":["leads:write","leads:read"]}' 'what it may is chosen'

edit "api_users/$USER_ID" '{"ip_whitelist":{"enabled":true,"ranges":[]}}' 'IP Whitelist: switched on'
await 10 lead_is "$FIRST" '403 ip_denied'
ok $? 'and empty, nobody may' || diag "$(said)"
edit "api_users/$USER_ID" '{"ip_whitelist":{"enabled":true,"ranges":["192.0.2.0/24","127.0.0.0/8"]}}' 'with our own address'
await 10 lead_is "$FIRST" '201 created'
ok $? 'leads come in' || diag "$(said) $(cat "$TOP/answer")"
edit "api_users/$USER_ID" '{"ip_whitelist":{"enabled":true,"ranges":["192.0.2.0/24","2001:db8::/32"]}}' 'with those of others'
await 10 lead_is "$FIRST" '403 ip_denied'
ok $? 'they do not' || diag "$(said)"

edit "api_users/$USER_ID" '{"ip_whitelist":{"enabled":false,"ranges":[]},"expires_at":"2020-01-01T00:00:00Z"}' \
    'Set an expiring date: when it arrives'
await 10 lead_is "$FIRST" '403 key_expired'
ok $? 'the integration is paused' || diag "$(said)"
edit "api_users/$USER_ID" '{"expires_at":"'"$EXPIRES"'"}' 'until it is extended'
await 10 lead_is "$FIRST" '201 created'
ok $? 'and goes on' || diag "$(said) $(cat "$TOP/answer")"
send "$FIRST"
is "$(said)" '201 created' 'the same request again gets the same answer'
is "$(staff GET "$ADMIN/leads?q=first@people" | jq -c '[.total, .data[0].trader_id, .data[0].department_id]')" \
    '[1,null,"'"$DEPARTMENT"'"]' 'and is one lead, of the department; CPL opens no trading account'
edit "api_users/$USER_ID" '{"account":"cpa"}' 'Open Trading account set automatically: CPA'

# ---- Form for the Leads ----

PLATFORM=$(make api_users '{"name":"Beta platform","role":"advertiser","scopes":["autologin"]}')
edit programs/1 '{"platform_url":"https://platform.example/welcome","platform_user_id":"'"$(id "$PLATFORM")"'"}' \
    'the platform, and who it is to us'
make custom_fields '{"name":"budget","label":"Budget","type":"select","options":["low","high"]}' >/dev/null
is "$(status)" 201 'Add New Custom Field: Field Belongs to "Lead"'
FIELDS='[{"name":"first_name","label":"First name","type":"text"},{"name":"email","label":"E-mail","type":"email","required":true},
    {"name":"budget","label":"Budget","type":"select","options":[{"value":"low","label":"Little"},{"value":"high","label":"A lot"}]}]'
staff POST "$ADMIN/forms" '{"name":"Away","fields":'"$FIELDS"',"after_submit":"url","after_url":"https://evil.example/"}' >"$TOP/answer"
is "$(status)" 422 'where to go after submit: not to a host that nobody has allowed'
FORM=$(make forms '{"name":"Landing","source_id":"'"$SOURCE"'","affiliate_id":"'"$AFFILIATE"'","account":"cpa","min_fill_s":0,
    "after_submit":"autologin","frame_ancestors":["https://landing.example"],"fields":'"$FIELDS"'}')
FORM_ID=$(id "$FORM") FORM_URL=$(jq -r .url <<<"$FORM")
like "$FORM_URL" "^$URL/f/" 'Web to Lead: a form of the source, with a trading account, redirecting to the platform with autologin'
like "$(staff GET "$ADMIN/forms/$FORM_ID/integration")" '<iframe ' 'Integration Code: an iframe'
form_is_there() { [ "$(curl -sS -o "$TOP/page" -D "$TOP/head" -w '%{http_code}' "$FORM_URL")" = 200 ]; }
await 10 form_is_there
ok $? 'and the direct link, which the edge serves'
like "$(tr -d '\r' <"$TOP/head")" 'frame-ancestors https://landing.example' 'to be framed by whom it names'
like "$(cat "$TOP/page")" 'name="budget"' 'with the custom field'

# ---- Creating a Lead ----

submit() { # submit FIELD...: with a token of the page; where it leads to standard output
    form_is_there
    local token fields=() field
    token=$(sed -n 's/.*name="_token" value="\([^"]*\)".*/\1/p' "$TOP/page")
    for field in "$@"; do fields+=(--data-urlencode "$field"); done
    curl -sS -o "$TOP/answer" -D - --data-urlencode "_token=$token" "${fields[@]}" "$FORM_URL" | tr -d '\r' |
        sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p; s/^Location: //p' | paste -sd' '
}
WENT=$(submit first_name=Web email=web@people.example budget=high)
like "$WENT" '^303 https://platform.example/welcome\?.*affiliate_token=[-_0-9A-Za-z]{64}' \
    'Creating a Lead: by the form, which leads into the platform' || diag "$WENT"
[[ $WENT != *people* && $WENT != *password* ]]
ok $? 'with nothing of the person in the address'
TOKEN=$(sed -n 's/.*affiliate_token=\([-_0-9A-Za-z]*\).*/\1/p' <<<"$WENT")
redeem() { request "$(jq -r .key <<<"$PLATFORM")" POST /api/v1/autologin '{"token":"'"$1"'"}' >"$TOP/answer"; }
redeem "$TOKEN"
is "$(status) $(jq -r '.data.lead.email' "$TOP/answer")" '200 web@people.example' 'the platform hears whose login it is' ||
    diag "$(cat "$TOP/answer")"
redeem "$TOKEN"
is "$(said)" '409 autologin_used' 'once'
redeem "${TOKEN%?}A"
like "$(said)" '^4[0-9][0-9] autologin_' 'a token that was changed is none'
request "$KEY" POST /api/v1/autologin '{"token":"'"$TOKEN"'"}' >"$TOP/answer"
is "$(said)" '403 scope_denied' 'and nobody but the platform may ask'
like "$(submit first_name=Web email=WEB@people.example)" "^303 /f/[^?]*\?done=1" 'the same person again gets no autologin'
like "$(submit first_name=Nobody email=nobody)" '^422' 'what is no address is explained on the page'

send '{"email":"curl@people.example","first_name":"Curl","budget":"low"}'
is "$(said)" '201 created' 'and with CURL, the usual way' || diag "$(cat "$TOP/answer")"
send '{"email":"Curl@people.example","first_name":"Once more"}'
is "$(said)" '409 lead_duplicate' 'a duplicate is refused' || diag "$(cat "$TOP/answer")"
trading() { # each CPA lead has an account, and no password
    [ "$(staff GET "$ADMIN/traders?sort=created_at" | jq -c '[.data[] | select(.email | endswith("@people.example")) |
        [.email, .state, .has_password]] | sort')" = \
        '[["curl@people.example","invited",false],["web@people.example","invited",false]]' ]
}
await 10 trading
ok $? 'CPA: both have become traders, whose password nobody knows' || diag "$(staff GET "$ADMIN/traders")"
referred() {
    [ "$(staff GET "$ADMIN/referrals?affiliate_id=$AFFILIATE" | jq -c '[.data[].event] | sort')" = \
        '["lead","lead","lead","registration","registration"]' ]
}
await 20 referred
ok $? 'and referrals of who sent them' || diag "$(staff GET "$ADMIN/referrals?affiliate_id=$AFFILIATE" | jq -c '[.data[].event]')"

# ---- Viewing the Leads Log ----

log_of() { jq -c '[.data[] | [.kind, .verdict, .reason]] | unique' <<<"$1"; }
OWN='[["api","created",""],["api","duplicate","same_email"],["api","repeated","created"],["form","created",""],["form","duplicate","same_email"]]'
log_is_whole() {
    staff GET "$ADMIN/leads_log?affiliate_id=$AFFILIATE" >"$TOP/log_of_all"
    [ "$(log_of "$(cat "$TOP/log_of_all")")" = "$OWN" ]
}
await 10 log_is_whole
ok $? 'Viewing the Leads Log: both kinds, and why what was refused' || diag "$(staff GET "$ADMIN/leads_log")"

is "$(session admin agent@desk.example 'a quiet blue harbour' "$TOP/agent")" 200 'For the CRM agent: Ann logs in'
is "$(seen "$ADMIN/leads_log?affiliate_id=$AFFILIATE" "$TOP/agent" | jq .total)" "$(jq .total "$TOP/log_of_all")" \
    'and sees what came for her department'
is "$(seen "$ADMIN/leads" "$TOP/agent" | jq -c '[.data[].email] | sort')" \
    '["curl@people.example","first@people.example","web@people.example"]' 'and no others'
FOREIGN=$(id "$(make leads '{"email":"foreign@people.example"}')")
is "$(seen_status "$ADMIN/leads/$FOREIGN" "$TOP/agent")" 404 'somebody else'"'"'s is none'

PORTAL_LOG=$(seen /api/portal/v1/leads_log "$TOP/portal")
is "$(log_of "$PORTAL_LOG")" "$OWN" 'For the affiliate: the same, of their own'
is "$(jq -r '[.data[].email] | unique | join(" ")' <<<"$PORTAL_LOG")" 'C***@people.example W***@people.example c***@people.example f***@people.example w***@people.example' \
    'with addresses masked'
is "$(seen_status "/api/portal/v1/leads/$FOREIGN" "$TOP/portal")" 404 'somebody else'"'"'s is none'

# ---- The articles beside it ----

calls() { staff GET "$ADMIN/api_logs?api_user_id=$USER_ID&page_size=100"; }
api_log_is_there() {
    [ "$(calls | jq -c '[.data[].code] | unique')" = \
        '["created","ip_denied","key_expired","lead_duplicate","passed","scope_denied"]' ]
}
await 20 api_log_is_there
ok $? 'How to Check the API Logs? Every call with its verdict' || diag "$(calls | jq -c '[.data[].code] | unique')"
[[ $(calls) != *"$KEY"* ]]
ok $? 'and no key'
staff GET "$ADMIN/reports/leads_by_affiliate" >"$TOP/report"
is "$(jq -c --arg id "$AFFILIATE" '.data[] | select(.affiliate_id == $id) | [.created, .duplicate, .converted]' "$TOP/report")" '[3,2,2]' \
    'How To Find a Report of The Affiliate Which Sent the Most of the Leads?'
is "$(jq '[.data[].created] | . == (sort | reverse)' "$TOP/report")" true 'who sent the most stands first'
edit "affiliates/$AFFILIATE" '{"agent_id":"'"$AGENT"'"}' 'How to Assign Leads from an Affiliate to a Specific Agent'
send '{"email":"assigned@people.example"}'
is "$(said) $(staff GET "$ADMIN/leads?q=assigned@" | jq -r '.data[0].agent_id')" "201 created $AGENT" 'which holds for the next lead'
edit settings '{"leads_duplicates":"allow"}' 'How to Disable Leads Duplication? It is; it can be allowed'
send '{"email":"assigned@people.example","first_name":"Again"}'
is "$(said)" '201 created' 'and then a second lead is one'
edit settings '{"leads_duplicates":"refuse"}' 'and disabled again'
send '{"email":"assigned@people.example","first_name":"And again"}'
is "$(said)" '409 lead_duplicate' 'at once'

# ---- what the document leaves out: the person's own rights ----

WEB=$(staff GET "$ADMIN/leads?q=web@people" | jq -r '.data[0].id')
is "$(staff GET "$ADMIN/leads/$WEB/export" | jq -c '[.lead.email, .traders[0].email, .submissions[0].fields.budget, (.submissions | length)]')" \
    '["web@people.example","web@people.example","high",2]' 'a person is told all that is stored, duplicates too'
staff POST "$ADMIN/leads/$WEB/erase" '{}' >"$TOP/answer"
is "$(status) $(jq -c '[.email, .status, (.erased_at != null)]' "$TOP/answer")" '200 ["","converted",true]' 'and forgotten, but for what was paid'
is "$(staff GET "$ADMIN/leads/$WEB/export" | jq -c . | grep -ci 'web@people')" 0 'with nothing left in the records, nor of the trader'
is "$(staff GET "$ADMIN/audit?page_size=500" | jq -c . | grep -ci 'people.example')" 0 'and nobody was ever in the audit log'

# ---- the books ----

affiliated verify >"$TOP/verify" 2>&1
ok $? 'affiliated verify finds nothing' || diag "$(tail -n 40 "$TOP/verify")"

done_testing
