#!/bin/bash
# `affiliated rescore` is killed again and again, and run to its end at last; then by the running daemon, which is ended
# under it.  What could break: statistics that were corrected and not the verdict, or the other way round, a click
# counted out twice by the next run, a fact overwritten.  The witnesses are the client's own list of user agents and
# `affiliated verify`, which recounts everything.  With the correction of click_stats moved into a transaction of its
# own, this test was red.
. "$(dirname "$0")/lib.sh"

CLICKS=60000
fault_demo --workers 2
# All of them come from one address.
grep -q affiliate_rate "$STATE/etc/nginx.conf" ||
    sed -i '0,/^ *affiliate_state /s//    affiliate_rate off;\n&/' "$STATE/etc/nginx.conf"
reload
ok $? 'an edge that minds no rate'
awk -v n=$CLICKS 'BEGIN { for (i = 0; i < n; i++) print i % 3 ? "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0 Old" \
                                                       : "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0" }' \
    >"$TOP/agents"
clicks all $CLICKS --user-agents "$TOP/agents"
clicks_end all
click_books
rolled() { [ "$(sql 'SELECT COUNT(*) FROM journals WHERE rolled_seq < next_seq')" = 0 ]; }
await 30 rolled
ok $? 'all are counted'
counted() { sql 'SELECT SUM(clicks), SUM(marked) FROM click_stats'; }
is "$(counted)" "$CLICKS|0" 'every click counts'
facts=$(sql 'SELECT COUNT(*), SUM(flags), SUM(seq) FROM clicks')

# ---- killed ----

printf 'bot Firefox/128.0 Old\n' >"$TOP/list" && chmod 644 "$TOP/list"
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid=www-data --regid=www-data --init-groups --)
rescore() { exec "${as[@]}" "$(demo .affiliated)" -c "$(demo .config)" --set "detection.agents=$TOP/list" rescore; }
verdicts() { sql 'SELECT COUNT(*) FROM click_verdicts'; }
further() { [ "$(verdicts)" -gt "$1" ] || gone "$2"; }
freeze supervisor
end affiliated
ok $? 'affiliated does not run'

bit=0
for ((i = 0; i < 40; i++)); do
    before=$(verdicts)
    (rescore) >"$TOP/rescore.out" 2>&1 &
    pid=$!
    disown $pid
    await 20 further "$before" $pid
    kill -9 $pid 2>/dev/null && await 5 gone $pid
    after=$(verdicts)
    [ "$after" -gt "$before" ] && [ "$after" -lt $((CLICKS * 2 / 3)) ] && bit=$((bit + 1))
    [ "$(counted)" = "$((CLICKS - after))|$after" ] || break
    [ $bit -lt 5 ] || break
done
[ $bit -ge 2 ]
ok $? "killed $bit times in the middle"
is "$(counted)" "$((CLICKS - $(verdicts)))|$(verdicts)" 'each time statistics are as far as verdicts'
verify_books

left=$((CLICKS * 2 / 3 - $(verdicts)))
(rescore) >"$TOP/rescore.out" 2>&1
ok $? 'run to its end' || diag "$(cat "$TOP/rescore.out")"
like "$(cat "$TOP/rescore.out")" "$CLICKS clicks judged, $left changed: $left count no more, 0 count again" 'it did the rest'
is "$(counted)" "$((CLICKS / 3))|$((CLICKS * 2 / 3))" 'what the list calls bots counts no more'
is "$(sql 'SELECT COUNT(*), SUM(flags), SUM(seq) FROM clicks')" "$facts" 'the clicks are what they were'
is "$(sql "SELECT DISTINCT reasons, actor, flags FROM click_verdicts")" '+bot|cli|8' 'each verdict says why, and by whom'
(rescore) >"$TOP/rescore.out" 2>&1
like "$(cat "$TOP/rescore.out")" "$CLICKS clicks judged, 0 changed" 'a second run changes nothing'
verify_books

# ---- the daemon, ended under it ----

printf '\n[detection]\nagents = %s/list\n' "$TOP" >>"$(demo .config)"
printf '# nobody is a bot\n' >"$TOP/list.new" && chmod 644 "$TOP/list.new" && mv "$TOP/list.new" "$TOP/list"
thaw supervisor
await 30 ready
ok $? 'affiliated runs, with a list of its own'
affiliated rescore >"$TOP/rescore.out" 2>&1 &
client=$!
fewer() { [ "$(verdicts)" -lt $((CLICKS * 2 / 3)) ]; }
await 20 fewer
began=$(verdicts)
end affiliated
ok $? 'it ends at the next step'
wait $client
status=$?
note "the command ended with $status: $(tail -n 1 "$TOP/rescore.out"); $began verdicts were left, now $(verdicts)"
is "$(counted)" "$((CLICKS - $(verdicts)))|$(verdicts)" 'statistics are as far as verdicts'
await 30 ready
affiliated rescore >"$TOP/rescore.out" 2>&1
ok $? 'run again' || diag "$(cat "$TOP/rescore.out")"
is "$(counted) $(verdicts)" "$CLICKS|0 0" 'all count again, and nothing is left of the detour'
verify_books

done_testing
