#!/bin/bash
# nginx changes under load: another number of workers, another binary (and back), its master killed, stopped and
# started.  Two generations share the state folder for a while.  What could break: events between two owners of a
# journal, journals that nobody adopts, a generation that hears of no change of the configuration.
# Broken once on purpose (nothing is adopted; workers trust the fetcher's word alone), this test was red.
. "$(dirname "$0")/lib.sh"

fault_demo --workers 2
clicks first 500
clicks_end first

# ---- reloads, the master killed, stopped and started ----

clicks all 6000 --rate 500
all=$CLIENT
for count in 4 1 3; do
    sed -i "s/^worker_processes .*/worker_processes $count;/" "$STATE/etc/nginx.conf"
    reload $count
    ok $? "reloaded with $count workers"
    sell "reload$count" "$TOP/first.answered" 3
done

old=$(pid_of nginx)
other_master() { [ "$(pid_of nginx)" != "$old" ] && [ "$(workers | wc -l)" = 3 ]; }
end nginx 9 && await 20 other_master
ok $? 'the master is killed, another one starts'
sell killed "$TOP/first.answered" 3
./build.sh stop --state "$STATE" >>"$LOG" 2>&1 && start_demo --workers 2
ok $? 'stopped and started'
clicks_end all "$all"

# ---- another binary: the old one stays, then the new one does.  A daemon's business: nginx that runs under a
# supervisor ignores USR2 ----

second_edge other
ok $? 'an edge that is a daemon'
URL=http://127.0.0.1:$EDGE_PORT
master() { cat "$TOP/other/nginx.pid${1:-}" 2>/dev/null; }
clicks upgraded 5000 --rate 500 --port "$EDGE_PORT"
upgraded=$CLIENT
begin_upgrade() {
    old=$(master)
    two_masters() { [ "$(master .oldbin)" = "$old" ] && new=$(master) && [ "$(workers "$new" | wc -l)" = 2 ]; }
    kill -USR2 "$old" && await 20 two_masters
}
begin_upgrade
ok $? 'two masters, four workers'
kill -QUIT "$new" && await 20 gone "$new"
back() { [ "$(master)" = "$old" ] && [ -z "$(master .oldbin)" ]; }
await 20 back
ok $? 'the new one goes: back to the old one'
sell back "$TOP/first.answered" 3

begin_upgrade
ok $? 'two masters once more'
# Both generations answer, so both must hear of a change; one of them fetches it.
link=$(demo '.links[0] | {affiliate_id, campaign_id, destination: "https://example.com/"} | tojson')
code=$(staff POST /api/admin/v1/links "$link" | jq -r .code)
await 5 edge_says 302 "$URL/c/$code"
held=$(workers "$old")
TIDY+=("kill -CONT $(tr '\n' ' ' <<<"$held")")
kill -STOP $held
await 3 edge_says 302 "$URL/c/$code"
ok $? 'a link made meanwhile is live in the new generation as well'
kill -CONT $held
sell both "$TOP/first.answered" 3
kill -WINCH "$old"
no_workers() { [ -z "$(workers "$old")" ]; }
await 20 no_workers && kill -QUIT "$old" && await 20 gone "$old"
ok $? 'the old one goes'
sell new "$TOP/first.answered" 3
clicks_end upgraded "$upgraded"

# ---- the books ----

click_books
sale_books
commission_books
verify_books

done_testing
