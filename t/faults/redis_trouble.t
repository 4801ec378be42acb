#!/bin/bash
# Redis is only the wire.  It forgets everything while the consumer's cursor lies in the future, is full, refuses
# to write, evicts, loses its streams with packs unread, loses the acks, hangs, dies: clicks and sales are
# answered all the while, as quickly as ever, and in the end everything is there once.  What could break: a
# consumer that waits for ids that will never come, packs believed delivered because Redis said so, an event loop
# that waits for Redis.  Broken once on purpose (the cursor is not checked against the stream; the sender does not
# go back to the ack), this test was red.
. "$(dirname "$0")/lib.sh"

fault_demo --workers 2
streams() { local p; for p in {0..7}; do echo "affiliate:$1:{$p}"; done; }
flows() { # flows NAME: clicks reach the database
    clicks "$1-over" 100
    wait $CLIENT
    LC_ALL=C sort "$TOP/$1-over.answered" >"$TOP/over"
    there() { stored && [ "$(LC_ALL=C comm -12 "$TOP/over" "$TOP/stored" | wc -l)" = 100 ]; }
    await 40 there # a machine may be busy; what is guarded is that they come
    ok $? "$1: clicks reach the database again"
}
trouble() { # trouble NAME: a sale in it, and the edge has noticed
    sell "$1" "$TOP/first.answered" 3
    ok $? "$1: sales are taken meanwhile"
    await 10 edge_counts redis_errors $((ERRORS + 1))
    ok $? "$1: the edge has met it"
    ERRORS=$(edge | jq .counters.redis_errors)
}

clicks first 500
clicks_end first
clicks all 10000 --rate 500
all=$CLIENT
ERRORS=$(edge | jq .counters.redis_errors)

# ---- emptied, with the cursor ahead of the clock ----

future=$(($(date +%s) * 1000 + 3600000))
for stream in $(streams events); do redis xadd "$stream" "$future-0" p rubbish >/dev/null; done
ahead() { [ "$(redis mget $(streams consumer) | awk '{ print $6 }' | grep -c "^$future-")" = 8 ]; }
await 10 ahead
ok $? "the consumer's cursors are an hour ahead"
is "$(sql 'SELECT DISTINCT reason FROM quarantine')" malformed_pack 'and rubbish in a stream was set aside'
is "$(redis flushall)" OK 'Redis is emptied'
flows emptied

# ---- full, read-only ----

redis config set maxmemory 1 >/dev/null
trouble full
redis config set maxmemory 256mb >/dev/null
flows full

redis replicaof 127.0.0.1 1 >/dev/null
trouble read-only
redis replicaof no one >/dev/null
flows read-only

# ---- packs lost that nobody has read; acks and heartbeats lost ----

freeze affiliated
unread() {
    local stream n=0
    for stream in $(streams events); do n=$((n + $(redis xlen "$stream"))); done
    [ $n -ge 4 ]
}
clicks unread 500 --rate 500
await 10 unread
ok $? 'packs lie in Redis unread'
clicks_end unread
redis del $(streams events) >/dev/null
thaw affiliated
flows streams-deleted
redis del $(streams acks) $(streams consumer) affiliate:snapshot >/dev/null
flows acks-deleted

# ---- a policy that throws keys away ----

redis config set maxmemory-policy allkeys-random >/dev/null
info() { redis info "$1" | sed -n "s/^$2:\([0-9]*\).*/\1/p"; }
redis config set maxmemory $(($(info memory used_memory) - 30000)) >/dev/null
evicted() { [ "$(info stats evicted_keys)" -ge 3 ]; }
await 10 evicted
ok $? 'keys are evicted'
redis config set maxmemory 256mb >/dev/null
redis config set maxmemory-policy noeviction >/dev/null
flows evicted

# ---- hung, longer than anybody waits ----

clicks quiet 1000 --rate 500
clicks_end quiet
freeze redis
clicks hung 3500 --rate 500
hung=$CLIENT
trouble hung
clicks_end hung "$hung"
p99() { jq .p99_us "$TOP/$1.client"; }
[ "$(p99 hung)" -le $((10 * $(p99 quiet) + 100000)) ]
ok $? "clicks are as quick: 99 % within $(p99 hung) us, $(p99 quiet) us without"
thaw redis
flows hung

# ---- killed, and there again with nothing ----

old=$(pid_of redis)
end redis 9
again() { [ "$(pid_of redis)" != "$old" ] && redis_answers; }
await 20 again
ok $? 'Redis is killed and comes back empty'
flows killed
sell last "$TOP/first.answered" 3
ok $? 'sales'
clicks_end all "$all"

click_books
sale_books
commission_books
verify_books
await 5 same_snapshot
ok $? 'every worker has the same snapshot'

done_testing
