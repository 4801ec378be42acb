#!/bin/bash
# Clicks under fire: workers killed, reloads, Redis killed and emptied, while an independent client writes down
# every click that was answered.  Afterwards each of them must be in the database exactly once; beyond the list
# there may be at most those whose answer was cut off.  Broken once on purpose, this test was red: with no adoption of
# what killed workers leave behind, and with senders that do not go back to the ack.
#
# Size: STORM_CLICKS (150,000; `build.sh test-long`: 1,000,000).  The faults are spread evenly over the clicks.
. "$(dirname "$0")/../e2e/lib.sh"

CLICKS=${STORM_CLICKS:-$([ -n "${LONG:-}" ] && echo 1000000 || echo 150000)}
WORKERS=4
RATE=${STORM_RATE:-12000} # a second, so that every fault finds clicks under way
if [ -n "${LONG:-}" ]; then
    KILLS=40 RELOADS=20 REDIS_KILLS=5 REDIS_FLUSHES=5
else
    KILLS=8 RELOADS=4 REDIS_KILLS=2 REDIS_FLUSHES=2
fi
ID_BYTES=41 # a line of the client's list

own_state
start_demo --workers $WORKERS
[ "$(nproc)" -ge 2 ] || note 'one processor: this takes long'

# ---- the faults: each proves that it bit ----

redis() { redis-cli -s "$STATE/run/sock/redis.sock" "$@"; }

# Kills the oldest worker; bit when that very process is gone.
kill_worker() {
    local master worker
    master=$(cat "$STATE/run/nginx.pid") || return 1
    worker=$(pgrep -P "$master" -f 'nginx: worker process' | head -n 1)
    [ -n "$worker" ] && kill -9 "$worker" && await 10 gone "$worker"
}
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

# Bit when a worker appeared that was not there before.
reload() {
    local master before
    master=$(cat "$STATE/run/nginx.pid") || return 1
    before=$(pgrep -P "$master" | sort | tail -n 1)
    kill -HUP "$master" && await 10 newer_child "$master" "$before"
}
newer_child() { [ "$(pgrep -n -P "$1")" != "$2" ]; }

# Redis dies or is emptied while it holds packs that nobody has read: only the journals can bring those again.
kill_redis() {
    local pid status
    pid=$(cat "$STATE/run/redis.pid")
    unread_packs && kill -9 "$pid" && await 10 gone "$pid" && await 20 redis_answers
    status=$?
    consumer CONT
    return $status
}
flush_redis() {
    local status
    unread_packs && [ "$(redis flushall 2>/dev/null)" = OK ]
    status=$?
    consumer CONT
    return $status
}
redis_answers() { [ "$(redis ping 2>/dev/null)" = PONG ]; }
consumer() { kill "-$1" "$(cat "$STATE/run/affiliated.pid")"; }

# Stops the consumer, and waits until packs have piled up in front of it.
unread_packs() {
    await 20 redis_answers && consumer STOP || return 1
    local before
    before=$(packs)
    await 10 more_packs "$before"
}
more_packs() { [ "$(packs)" -ge $(($1 + 5)) ]; }
packs() {
    local partition
    for partition in 0 1 2 3 4 5 6 7; do
        redis xlen "affiliate:events:{$partition}"
    done | awk '{ sum += $1 } END { print sum + 0 }'
}

# ---- the storm ----

paths=$(demo '.links[:4][].code' | sed 's|^|--path /c/|')
build/clickload --port "$PORT" $paths --count "$CLICKS" --rate "$RATE" --connections 64 --out "$TOP/answered" \
    >"$TOP/client.json" 2>"$TOP/client.err" &
CLIENT=$!

# One list of faults, in a shuffled but seeded order.  Redis is emptied last: a reload after it would heal what the
# living workers failed to send again, since adopters begin at the ack.
seed=${STORM_SEED:-$RANDOM}
note "STORM_SEED=$seed"
RANDOM=$seed
faults=()
for ((i = 0; i < KILLS; i++)); do faults+=("$RANDOM kill_worker"); done
for ((i = 0; i < RELOADS; i++)); do faults+=("$RANDOM reload"); done
for ((i = 0; i < REDIS_KILLS; i++)); do faults+=("$RANDOM kill_redis"); done
for ((i = 1; i < REDIS_FLUSHES; i++)); do faults+=("$RANDOM flush_redis"); done
mapfile -t faults < <(printf '%s\n' "${faults[@]}" | sort -n | cut -d' ' -f2)
faults+=(flush_redis)

declare -A bit=([kill_worker]=0 [reload]=0 [kill_redis]=0 [flush_redis]=0)
answered() { echo $(($(stat -c %s "$TOP/answered" 2>/dev/null || echo 0) / ID_BYTES)); }
reached() { [ "$(answered)" -ge "$1" ] || ! kill -0 $CLIENT 2>/dev/null; }
for ((i = 0; i < ${#faults[@]}; i++)); do
    await 600 reached $((CLICKS * (i + 1) / (${#faults[@]} + 1)))
    kill -0 $CLIENT 2>/dev/null || break
    "${faults[i]}" && bit[${faults[i]}]=$((bit[${faults[i]}] + 1))
done
wait $CLIENT
ok $? 'the client got all its answers' || diag "$(cat "$TOP/client.err")"
note "$(cat "$TOP/client.json")"
is "${bit[kill_worker]} ${bit[reload]} ${bit[kill_redis]} ${bit[flush_redis]}" \
   "$KILLS $RELOADS $REDIS_KILLS $REDIS_FLUSHES" 'workers killed, reloads, Redis killed, Redis emptied: all bit'
is "$(jq .unrecorded "$TOP/client.json")" 0 'no click had to go unrecorded'

# ---- the books ----

# A journal that nobody has adopted yet is in no statistics: what counts is that as many clicks have arrived as were
# answered.  The few beyond the list follow within an adopter's second.
stats() { affiliated stats --json >"$TOP/stats" 2>/dev/null; }
arrived() { stats && [ "$(jq '[.journals[].committed] | add // 0' "$TOP/stats")" -ge "$CLICKS" ]; }
drained() { stats && jq -e '[.journals[].pending] | add == 0' "$TOP/stats" >/dev/null; }
await 120 arrived
ok $? 'everything arrives' || diag "$(cat "$TOP/stats")"
sleep 3
await 60 drained
ok $? 'and nothing stays pending' || diag "$(cat "$TOP/stats")"
jq -e 'all(.journals[]; .accepted == .committed + .pending + .quarantined + .dropped + .lost)' "$TOP/stats" >/dev/null
ok $? 'stats balances to the event' || diag "$(cat "$TOP/stats")"
is "$(jq '[.journals[] | .quarantined + .dropped + .lost] | add' "$TOP/stats")" 0 'nothing quarantined, dropped or lost'

affiliated export clicks --format csv | cut -d, -f1 | tail -n +2 | LC_ALL=C sort >"$TOP/stored"
LC_ALL=C sort "$TOP/answered" >"$TOP/answered.sorted"
is "$(wc -l <"$TOP/answered.sorted")" "$CLICKS" "the client's list is whole"
is "$(uniq -d "$TOP/answered.sorted" | wc -l)" 0 'no click id was given twice'
is "$(uniq -d "$TOP/stored" | wc -l)" 0 'no click is in the database twice'
is "$(LC_ALL=C comm -23 "$TOP/answered.sorted" "$TOP/stored" | wc -l)" 0 'every answered click is in the database'
surplus=$(LC_ALL=C comm -13 "$TOP/answered.sorted" "$TOP/stored" | wc -l)
cut_off=$(jq .unanswered "$TOP/client.json")
note "surplus: $surplus, answers cut off: $cut_off"
[ "$surplus" -le "$cut_off" ]
ok $? 'the surplus is at most the connections open at the faults'
affiliated verify >"$TOP/verify" 2>&1
ok $? 'affiliated verify finds nothing' || diag "$(cat "$TOP/verify")"

done_testing
