#!/bin/bash
# A form on its whole way: written in the office, served by the edge within a second, sent by a browser without a script,
# and a lead of the right department in the office again.  What could break: a definition that office and edge
# read differently, a page that posts what the edge does not take, a change that needs more than itself to go live, an
# archived form that goes on taking people's names.
. "$(dirname "$0")/lib.sh"
own_state
start_demo --workers 2

make() { # make PATH JSON: its id
    staff POST "/api/admin/v1/$1" "$2" >"$TOP/made"
    [ "$(status)" = 201 ] || diag "$1: $(cat "$TOP/made")"
    jq -r .id "$TOP/made"
}
agent=$(make staff '{"email":"agent@example.com","role":"agent","password":"a quiet blue harbour"}')
department=$(make departments '{"name":"Webinars","members":[{"staff_id":"'"$agent"'"}]}')
source=$(make sources '{"name":"Web","department_id":"'"$department"'"}')
make custom_fields '{"name":"budget","label":"Budget","type":"select","options":["low","high"]}' >/dev/null
id=$(make forms '{"name":"Webinar","source_id":"'"$source"'","title":"Join <us>","language":"de","min_fill_s":0,"fields":[
    {"name":"email","label":"E-Mail","type":"email","required":true},
    {"name":"budget","label":"Budget","type":"select","options":[{"value":"low","label":"klein"},{"value":"high","label":"groß"}]}]}')
form=$(jq -r .url "$TOP/made")

# ---- at the edge ----

page() { curl -sS --max-time 5 "$form" 2>&1; }
shows() { [[ $(page) == *"$1"* ]]; }
code() { curl -sS -o /dev/null -w '%{http_code}' --max-time 5 "$form"; }
answers() { [ "$(code)" = "$1" ]; }
await 5 shows '<h1>Join &lt;us&gt;</h1>'
ok $? 'the edge serves the page, its title escaped' || diag "$(page | head -c 500)"
like "$(curl -sSI -X GET "$form")" "style-src 'sha256-" 'nothing but its own style may load'

send() { # send NAME=VALUE...: as a browser sends the page that it was shown; the answer into $TOP/sent
    local token fields=()
    token=$(page | grep -o 'name="_token" value="[^"]*"' | cut -d'"' -f4)
    for field in "$@"; do fields+=(--data-urlencode "$field"); done
    curl -sS --max-time 10 -w '%{stderr}%{http_code}' --data-urlencode "_token=$token" "${fields[@]}" "$form" \
        >"$TOP/sent" 2>"$TOP/status"
}
send 'email=nobody' 'budget=high'
is "$(status)" 422 'what is no address is not taken'
like "$(cat "$TOP/sent")" 'href="#f0">E-Mail: Bitte geben Sie eine E-Mail-Adresse' 'and the page says so, in its language'
like "$(cat "$TOP/sent")" 'value="nobody"' 'with what was typed'
like "$(cat "$TOP/sent")" '<option value="high" selected>' 'and chosen'
send 'email=Ada@Example.com' 'budget=high' 'shoe_size=38'
is "$(status)" 303 'what is right is taken'

# ---- in the office ----

lead() { staff GET "/api/admin/v1/leads?q=ada" | jq -c '.data[0] | [.kind, .source_id, .department_id, .agent_id, .fields]'; }
there() { [[ $(lead) == \[\"form\"* ]]; }
await 10 there
is "$(lead)" "[\"form\",\"$source\",\"$department\",\"$agent\",{\"budget\":\"high\"}]" \
    'it is a lead of the department, for the agent whose turn it is, without what nobody asked for'

# ---- changes ----

staff PATCH "/api/admin/v1/forms/$id" '{"title":"Too late","fields":[{"name":"phone","label":"Telefon","type":"phone","required":true}]}' >/dev/null
await 5 shows '<h1>Too late</h1>'
ok $? 'a change is live'
send 'phone=+49 30 901820'
is "$(status)" 303 'and what it asks for is taken'
staff PATCH "/api/admin/v1/forms/$id" '{"state":"paused"}' >/dev/null
await 5 answers 404
ok $? 'a form that is paused takes nothing' || diag "$(code)"
staff PATCH "/api/admin/v1/forms/$id" '{"state":"active"}' >/dev/null
await 5 answers 200
ok $? 'and goes on' || diag "$(code)"
staff DELETE "/api/admin/v1/forms/$id" >/dev/null
await 5 answers 404
ok $? 'one that is archived is nowhere' || diag "$(code)"

# ---- double opt-in: by a mail, read where it waits, since `run` sends none ----

make forms '{"name":"News","source_id":"'"$source"'","title":"News","min_fill_s":0,"double_opt_in":true,"fields":[
    {"name":"email","label":"E-mail","type":"email","required":true}]}' >/dev/null
form=$(jq -r .url "$TOP/made")
await 5 shows '<h1>News</h1>'
send 'email=grace@example.com'
is "$(status)" 303 'a form that asks for a mail to be confirmed is sent'
becomes() { [ "$(staff GET '/api/admin/v1/leads?q=grace' | jq -r '.data[0].status')" = "$1" ]; }
await 10 becomes unconfirmed
ok $? 'its lead waits'
link=$(sqlite3 -readonly "$STATE/db/affiliate.db" "SELECT link FROM outbox WHERE recipient = 'grace@example.com'")
like "$link" "^$URL/confirm/[-_A-Za-z0-9]{64}\$" 'for a link of our own'
like "$(curl -sS "$link")" '<button>Confirm address' 'that leads to a button'
becomes unconfirmed
ok $? 'which nobody has pressed yet'
like "$(curl -sS -d '' "$link")" '<h1>Thank you' 'until somebody does'
becomes new
ok $? 'and it is a lead'

done_testing
