#!/bin/bash
# The journal folder of a living edge is copied, and a second nginx started on the copy: it takes the copied
# journals for orphans and ships them under the same ids as the living one.  What could break: events counted
# twice, the living journals closed or given up for what the copy says, or the copy never coming to rest.
# Broken once on purpose (the receiver does not cut what it has), this test was red.
. "$(dirname "$0")/lib.sh"

fault_demo --workers 2

clicks living 6000 --rate 500
living=$CLIENT
await 20 edge_counts clicks 1500
stored
sell sales "$TOP/stored" 20
ok $? 'sales'

# ---- the copy, while the original is written to ----

journals() { find "$1" -name '*.0' -printf '%f\n' | sed 's/\.0$//' | sort; }
mkdir -p "$TOP/copy"
cp -a "$STATE/edge" "$TOP/copy/edge"
journals "$TOP/copy/edge" >"$TOP/copied"
is "$(comm -12 "$TOP/copied" <(journals "$STATE/edge") | wc -l)" 4 'the journals of two workers are copied'

# Nobody shall tell the copy that all this is known: then it says it again.
freeze affiliated
for p in {0..7}; do redis del "affiliate:acks:{$p}" >/dev/null; done
second_edge copy
ok $? 'a second edge lives on the copy'
copy=http://127.0.0.1:$EDGE_PORT
repeats() { edge_counts journals_adopted 3 "$copy" && edge_counts records_sent 3 "$copy"; }
await 20 repeats
ok $? 'it has adopted the copied journals and ships them again'
thaw affiliated
clicks copied 500 --port "$EDGE_PORT"
clicks_end copied
at_rest() {
    [ "$(find "$TOP/copy/edge" -name '*.drained' | wc -l)" -ge 3 ] &&
        [ "$(edge "$copy" | jq .gauges.orphans)" = 0 ]
}
await 30 at_rest
ok $? 'the copy comes to rest'

# ---- the living go on ----

on_the_living() {
    stats
    jq --rawfile ids "$TOP/copied" '[.journals[] | select(.id as $id | $ids | contains($id)).committed] | add' \
        "$TOP/stats"
}
before=$(on_the_living)
clicks_end living "$living"
await 20 drained
[ "$(on_the_living)" -gt "$before" ]
ok $? "the living journals were written on: $before, then $(on_the_living)"
is "$(comm -23 "$TOP/copied" <(journals "$STATE/edge") | wc -l) $(edge | jq .counters.journals_forked)" '0 0' \
    'none was given up for it'

# Now their writers die as well, and the same journals are orphans on both machines.
kill -9 $(workers)
await 20 edge_counts journals_adopted 3
ok $? 'killed workers leave the originals to be adopted'
clicks last 500
clicks_end last

click_books
sale_books
commission_books
is "$(sql 'SELECT count(*) FROM journals WHERE forked = 1')" 0 'nobody is taken for a forger'
verify_books

done_testing
