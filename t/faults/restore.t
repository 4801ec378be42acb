#!/bin/bash
# Yesterday's database is put back while the edges go on: they hear of a new life of the database, go back to
# what it has, and send the rest again, also from journals whose writers have ended meanwhile.  What could break:
# acks of the lost day are believed (clicks are gone), or what was derived before the backup is derived again.
# Broken once on purpose (the incarnation a constant), this test was red.
. "$(dirname "$0")/lib.sh"

fault_demo --workers 2

# ---- yesterday ----

clicks yesterday 2000
clicks_end yesterday
sell monday "$TOP/yesterday.answered" 20
ok $? 'sales of yesterday'
await 20 derived

# The backup is a copy of the frozen daemon's files, as a snapshot of the disk would be: with the WAL.
clicks today 6000 --rate 600
today=$CLIENT
freeze affiliated
mkdir "$TOP/backup"
cp -p "$STATE"/db/affiliate.db* "$TOP/backup/"
thaw affiliated
[ -s "$TOP/backup/affiliate.db-wal" ]
ok $? 'the backup has a write-ahead log'

# ---- today ----

sell tuesday <(tail -n 100 "$TOP/yesterday.answered") 20
ok $? 'sales of today'
link=$(demo '.links[0] | {affiliate_id, campaign_id, destination: "https://example.com/"}')
lost=$(staff POST /api/admin/v1/links "$link" | jq -r .code)
await 5 edge_says 302 "$URL/c/$lost"
ok $? 'a link of today is live'
# Half of today lies in journals that are drained and closed by the time of the restore.
reload
drained_journals() { [ "$(ls "$STATE/edge/journal" | grep -c '\.drained$')" -ge 2 ]; }
await 20 drained_journals
ok $? 'journals of today have ended'
await 20 derived

# ---- the restore ----

rows='SELECT (SELECT count(*) FROM clicks), (SELECT count(*) FROM conversions)'
IFS='|' read -r clicks_before sales_before <<<"$(sql "$rows")"
freeze supervisor
end affiliated
ok $? 'affiliated is stopped'
rm "$STATE"/db/affiliate.db*
cp -p "$TOP"/backup/affiliate.db* "$STATE/db/"
IFS='|' read -r clicks_after sales_after <<<"$(sqlite3 -readonly "$TOP/backup/affiliate.db" "$rows")"
[ "$clicks_after" -lt "$clicks_before" ] && [ "$sales_after" -lt "$sales_before" ]
ok $? "the database went back: $clicks_before clicks to $clicks_after, $sales_before sales to $sales_after"
thaw supervisor
await 20 ready
ok $? 'affiliated is back'
await 5 edge_says 404 "$URL/c/$lost"
ok $? 'the edge has gone back with the database: the link of today is no more'
again=$(staff POST /api/admin/v1/links "$link" | jq -r .code)
await 5 edge_says 302 "$URL/c/$again"
ok $? 'and one made now is live'
clicks_end today "$today"

click_books
sale_books
commission_books
verify_books

done_testing
