#!/bin/bash
# affiliated is killed again and again while clicks and sales flow in and a bookkeeper approves and pays.  What
# could break: facts without their derivation, a sale derived twice, an approval or a payout that is done twice
# because its answer was lost, money between two accounts.  Broken once on purpose (answers under an
# Idempotency-Key are not kept), this test was red.  An ack that leaves before its COMMIT is not seen here: the
# edge keeps what was acked, and a consumer that misses something asks for it.  The unit tests of ingest see it.
. "$(dirname "$0")/lib.sh"

KILLS=15
fault_demo --workers 2
clicks first 500
clicks_end first

# The supervisor would wait longer each time: here the test starts affiliated, at once.
freeze supervisor
end affiliated 9
begin() {
    local as=()
    [ "$(id -u)" != 0 ] || as=(setpriv --reuid=www-data --regid=www-data --init-groups --)
    (exec "${as[@]}" "$(demo .affiliated)" -c "$(demo .config)" >/dev/null 2>>"$TOP/affiliated.log") &
    BACKEND=$!
    disown $BACKEND
    TIDY+=("kill -9 $BACKEND")
    await 20 ready
}
begin
ok $? 'affiliated runs'

# ---- the bookkeeper: asks again, under the same key, until there is an answer ----

insist() { # insist KEY METHOD PATH [JSON]
    local key=$1 method=$2 path=$3 code
    shift 3
    [ $# = 0 ] || set -- -H 'Content-Type: application/json' -H "Idempotency-Key: $key" --data "$1"
    while :; do
        code=$(curl -sS --max-time 10 -X "$method" -H "Authorization: Bearer $(demo .admin.token)" "$@" \
            -o "$TOP/insist" -w '%{http_code}' "$URL$path" 2>/dev/null)
        case $code in
            000|50?) sleep 0.05 ;;
            *) break ;;
        esac
    done
    [[ $code == 2* ]] && cat "$TOP/insist"
}
approve() { # approve NUMBER referrals|commissions
    local ids
    ids=$(insist "" GET "/api/admin/v1/$2?status=pending&page_size=100" | jq -c '[.data[].id]')
    [ "$ids" = '[]' ] || insist "$2-$1" POST "/api/admin/v1/$2/bulk" '{"ids":'"$ids"',"action":"approve"}'
}
bookkeeper() {
    local n id amount whom
    whom=$(demo '.links[0] | {affiliate_id} | tojson')
    for ((n = 0; ; n++)); do
        [ -e "$TOP/enough" ] && last=1 || last=
        approve "$n" referrals >/dev/null
        approve "$n" commissions >/dev/null
        if insist "create-$n" POST /api/admin/v1/payouts "$whom" >"$TOP/payout"; then
            id=$(jq -r .id "$TOP/payout") amount=$(jq -r .amount.amount "$TOP/payout")
            insist "submit-$n" POST "/api/admin/v1/payouts/$id/submit" '{}' >/dev/null &&
                insist "pay-$n" POST "/api/admin/v1/payouts/$id/pay" \
                    '{"reference":"BANK-'"$n"'","paid_at":"2024-01-01T00:00:00Z"}' >/dev/null &&
                echo "$id|paid|$amount|BANK-$n" >>"$TOP/paid"
        fi
        [ -z "$last" ] || return 0
    done
}

# ---- the load ----

clicks all 9000 --rate 600
all=$CLIENT
partners() {
    local n
    for ((n = 0; n < 40; n++)); do
        sell "sales$n" <(tail -n +$((n * 10 + 1)) "$TOP/first.answered") 10 || return 1
        sleep 0.2
    done
}
partners &
partners=$!
: >"$TOP/paid"
bookkeeper 2>"$TOP/bookkeeper.err" &
bookkeeper=$!

bit=0
for ((i = 0; i < KILLS; i++)); do
    sleep "0.$((RANDOM % 900 + 100))"
    kill -9 $BACKEND && await 5 gone $BACKEND
    begin && bit=$((bit + 1))
done
is $bit $KILLS "affiliated was killed $KILLS times, and came back"
clicks_end all "$all"
wait $partners
ok $? 'every sale is taken'
sale_books
touch "$TOP/enough"
wait $bookkeeper
kill -TERM $BACKEND && await 20 gone $BACKEND
thaw supervisor
await 20 ready
ok $? 'affiliated is supervised again'

# ---- the books ----

click_books
[ "$(wc -l <"$TOP/paid")" -ge 3 ]
ok $? "the bookkeeper paid $(wc -l <"$TOP/paid") times" || diag "$(cat "$TOP/bookkeeper.err")"
sql "SELECT id, status, printf('%d.%02d', amount_minor / 100, amount_minor % 100), reference FROM payouts
     ORDER BY id" >"$TOP/payouts"
cmp -s "$TOP/paid" "$TOP/payouts"
ok $? 'the payouts are those that it was told of' || diag "$(diff "$TOP/paid" "$TOP/payouts")"
is "$(sql "SELECT count(*), sum(amount_minor) FROM commissions WHERE status = 'paid'")" \
   "$(awk '{ n++; sum += $3 / 5 } END { print n "|" sum }' "$TOP/sold")" 'every sale is paid, 20 % of it, once'
verify_books

done_testing
