#!/bin/bash
# The whole path by curl alone: click, conversion, referral, commission, payout, paid.  What could break is the
# joint between any two of nginx, Redis, affiliated and SQL; every number is said twice, by two different ways.
. "$(dirname "$0")/lib.sh"
own_state
start_demo --workers 2

CODE=$(demo '.links[0].code')
AFFILIATE=$(demo '.links[0].affiliate_id')
is "$(stat -c %a "$STATE/demo.json")" 600 'demo.json is for its owner only'
before=$(staff GET /api/admin/v1/dashboard)

# ---- the click ----

head=$(curl -sS -o /dev/null -D - "$URL/c/$CODE?sub1=news+letter&source=mail" | tr -d '\r')
like "$head" ^'HTTP/1.1 302' 'a click answers 302'
like "$head" $'\n''Cache-Control: no-store' 'and is not cached'
cookie=$(sed -n 's/^Set-Cookie: \(aff_[0-9]*\)=\([^;]*\);.*/\2/p' <<<"$head")
like "$cookie" '^[-0-9A-Z_a-z]{40}\.[-0-9A-Z_a-z]{40}$' 'with the attribution cookie of one program'
click_id=${cookie#*.}
location=$(sed -n 's/^Location: //p' <<<"$head")
like "$location" "$click_id" 'the destination carries the click id'
[[ $location != *[{}]* ]]
ok $? 'no macro stays literal'
note "$location"

again=$(curl -sS -o /dev/null -D - -H "Cookie: aff_$(sed -n 's/^Set-Cookie: aff_\([0-9]*\)=.*/\1/p' <<<"$head")=$cookie" \
        "$URL/c/$CODE" | tr -d '\r' | sed -n 's/^Set-Cookie: aff_[0-9]*=\([^;]*\);.*/\1/p')
is "${again%.*}" "${cookie%.*}" 'a second click keeps the first touch'
[ "${again#*.}" != "$click_id" ]
ok $? 'and has an id of its own'
is "$(curl -s -o /dev/null -w '%{http_code}' "$URL/c/no-such-code")" 404 'an unknown code is 404'

# ---- the conversion ----

sale='{"click_id":"'$click_id'","event":"sale","amount":"500.00","currency":"EUR","txid":"order-1"}'
partner POST /api/v1/conversions "$sale" >"$TOP/answer"
like "$(status)" '^20[012]$' 'a conversion by API key is taken' || diag "$(cat "$TOP/answer")"
partner POST /api/v1/conversions "$sale" >/dev/null
like "$(status)" '^20[012]$' 'the same once more changes nothing'
request nonsense POST /api/v1/conversions "$sale" >"$TOP/answer"
is "$(status) $(jq -r .error.code "$TOP/answer")" '401 key_unknown' 'a wrong key is refused'
partner POST /api/v1/conversions "${sale/500.00/five}" >"$TOP/answer"
like "$(status) $(jq -r .error.code "$TOP/answer")" '^4[0-9][0-9] [a-z_]+$' 'a bad amount is one clear error'

# ---- referral and commission ----

referrals() { staff GET "/api/admin/v1/referrals?affiliate_id=$AFFILIATE&q=$click_id"; }
referral_is_there() {
    staff GET "/api/admin/v1/referrals?affiliate_id=$AFFILIATE&page_size=100" |
        jq -ce --arg id "$click_id" '.data[] | select(.click_id == $id)' >"$TOP/referral"
}
await 20 referral_is_there
ok $? 'the conversion becomes a referral'
is "$(wc -l <"$TOP/referral")" 1 'exactly one'
referral=$(jq -r .id "$TOP/referral")
is "$(jq -r .status "$TOP/referral")" pending 'pending'
like "$(jq -c .why "$TOP/referral")" 'click_id' 'that says why'

commission_is_there() {
    staff GET "/api/admin/v1/commissions?affiliate_id=$AFFILIATE&page_size=100" |
        jq -ce --arg id "$referral" '.data[] | select(.referral_id == $id)' >"$TOP/commission"
}
await 20 commission_is_there
ok $? 'the referral earns a commission'
commission=$(jq -r .id "$TOP/commission")
is "$(jq -c '[.amount.amount, .amount.currency, .status]' "$TOP/commission")" '["100.00","EUR","pending"]' \
   'at the rate of the group, 20 %'

staff POST /api/admin/v1/referrals/bulk '{"ids":["'"$referral"'"],"action":"approve"}' >"$TOP/answer"
is "$(status) $(jq -c '.data[0].ok' "$TOP/answer")" '200 true' 'the referral is approved' || diag "$(cat "$TOP/answer")"
commission_is_there
if [ "$(jq -r .status "$TOP/commission")" = pending ]; then
    staff POST /api/admin/v1/commissions/bulk '{"ids":["'"$commission"'"],"action":"approve"}' >"$TOP/answer"
    is "$(status) $(jq -c '.data[0].ok' "$TOP/answer")" '200 true' 'the commission is approved' ||
        diag "$(cat "$TOP/answer")"
fi

# ---- the payout ----

staff POST /api/admin/v1/payouts '{"affiliate_id":"'"$AFFILIATE"'"}' >"$TOP/payout"
is "$(status) $(jq -r .status "$TOP/payout")" '201 draft' 'a payout bundles what is due' || diag "$(cat "$TOP/payout")"
payout=$(jq -r .id "$TOP/payout")
is "$(jq -c '[.amount.amount, .amount.currency]' "$TOP/payout")" '["100.00","EUR"]' 'of the commission'
staff POST /api/admin/v1/payouts '{"affiliate_id":"'"$AFFILIATE"'"}' >"$TOP/answer"
like "$(status)" '^4' 'nothing is left for a second one'
staff POST "/api/admin/v1/payouts/$payout/submit" '{}' >"$TOP/answer"
is "$(status) $(jq -r .status "$TOP/answer")" '200 pending' 'submitted' || diag "$(cat "$TOP/answer")"
staff POST "/api/admin/v1/payouts/$payout/pay" '{}' >"$TOP/answer"
like "$(status)" '^4' 'it is not paid without a reference'
paid='{"reference":"BANK-2024-1","paid_at":"'$(date -u +%FT%TZ)'"}'
staff POST "/api/admin/v1/payouts/$payout/pay" "$paid" >"$TOP/answer"
is "$(status) $(jq -r '.status + " " + .reference' "$TOP/answer")" '200 paid BANK-2024-1' 'paid with a reference' ||
    diag "$(cat "$TOP/answer")"
commission_is_there
is "$(jq -r .status "$TOP/commission")" paid 'and the commission says so'

# ---- the books ----

staff GET /api/admin/v1/dashboard >"$TOP/after"
note "$(cat "$TOP/after")"
is "$(status)" 200 'there is a dashboard'
affiliated verify >"$TOP/verify" 2>&1
ok $? 'affiliated verify finds nothing' || diag "$(cat "$TOP/verify")"
drained() { affiliated stats --json | jq -e '[.journals[] | .pending] | add == 0' >/dev/null; }
await 20 drained
ok $? 'nothing stays pending'
affiliated stats --json >"$TOP/stats"
jq -e 'all(.journals[]; .accepted == .committed + .pending + .quarantined + .dropped + .lost)' "$TOP/stats" >/dev/null
ok $? 'stats balances to the event' || diag "$(cat "$TOP/stats")"
is "$(affiliated export clicks --format csv | cut -d, -f1 | grep -cxF -e "$click_id" -e "${again#*.}")" 2 \
   'both clicks are in the export'

done_testing
