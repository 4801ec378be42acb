#!/bin/bash
# Every user agent of the npm package crawler-user-agents, and a few hundred of real browsers, as clicks: bots are
# marked, never dropped, so there must be as many events as requests, each with the very bytes that were sent.
# Odd bytes in a header are what breaks encoders, dictionaries and CSV.
#
# And how well the list of user agents tells the one from the other: 99 of 100 crawlers found, no person taken for one.
. "$(dirname "$0")/lib.sh"

CRAWLERS=crawler-user-agents@1.60.0
BROWSERS=top-user-agents@2.1.138

# npm_package NAME@VERSION: fetched once, unpacked into build/npm/.
npm_package() {
    local folder=build/npm/$1
    if [ ! -d "$folder" ]; then
        mkdir -p "$folder.tmp"
        (cd "$folder.tmp" && npm pack --silent "$1" >/dev/null 2>npm.log && tar -xzf ./*.tgz) ||
            { diag "$(cat "$folder.tmp/npm.log")"; bail "npm pack $1 failed"; }
        mv "$folder.tmp" "$folder"
    fi
    echo "$folder/package"
}

own_state
crawlers=$(npm_package $CRAWLERS) && browsers=$(npm_package $BROWSERS) || exit 1
jq -r '.[].instances[]' "$crawlers/crawler-user-agents.json" >"$TOP/agents"
count=$(wc -l <"$TOP/agents")
[ "$count" -ge 1000 ]
ok $? "sample user agents of crawlers: $count"
# The most seen browsers, and each as it was one and two versions ago.
jq -r '.[]' "$browsers/src/index.json" | perl -ne '
    print;
    for my $back (1, 2) { (my $old = $_) =~ s{((?:Chrome|Firefox|Version|rv|Edg)[/:])(\d+)}{$1 . ($2 - $back)}ge; print $old }
' >>"$TOP/agents"
# HTTP itself takes blanks off the ends of a header.
sed -i 's/^ *//; s/ *$//' "$TOP/agents"
total=$(wc -l <"$TOP/agents")
[ $((total - count)) -ge 250 ]
ok $? "and of browsers: $((total - count))"

start_demo
# What is called a crawler there and is the browser of Facebook's and Instagram's apps is a person.
head -n "$count" "$TOP/agents" | affiliated agents >"$TOP/crawlers.judged"
missed=$(grep -c '^person' "$TOP/crawlers.judged")
note "$missed of $count crawlers missed"
[ $((missed * 100)) -le "$count" ]
ok $? 'at least 99 % of the crawlers are bots or previews' || diag "$(grep '^person' "$TOP/crawlers.judged")"
tail -n +$((count + 1)) "$TOP/agents" | affiliated agents >"$TOP/browsers.judged"
is "$(grep -v '^person' "$TOP/browsers.judged" | cut -f5)" '' 'no browser is'
is "$(awk -F '\t' '$2 == "" || $3 == ""' "$TOP/browsers.judged")" '' 'of each browser device and system are known'

build/clickload --port "$PORT" --path "/c/$(demo '.links[0].code')" --user-agents "$TOP/agents" \
    --connections 8 --out "$TOP/ids" >"$TOP/client.json"
ok $? 'each of them is redirected' || diag "$(cat "$TOP/client.json")"
is "$(wc -l <"$TOP/ids")" "$total" 'with a click id'

drained() { affiliated stats --json | jq -e '[.journals[].pending] | add == 0' >/dev/null; }
await 30 drained
ok $? 'all arrive'
# Edge and backend judge alike: by the same list, of the same bytes.
agreed() { affiliated rescore --dry-run | tee "$TOP/rescore" | grep -q "^$total clicks judged, 0 would change"; }
await 20 agreed
ok $? 'the edge judged each as the backend does' || diag "$(cat "$TOP/rescore")"
affiliated export clicks --format csv >"$TOP/clicks.csv"
# A CSV meant for spreadsheets puts an apostrophe before what they would take for a formula.
sqlite3 :memory: ".import --csv $TOP/clicks.csv clicks" 'SELECT user_agent FROM clicks' | sed "s/^'\([-=+@]\)/\1/" |
    LC_ALL=C sort >"$TOP/stored"
LC_ALL=C sort "$TOP/agents" >"$TOP/sent"
is "$(wc -l <"$TOP/stored")" "$total" 'as many events as requests'
cmp -s "$TOP/sent" "$TOP/stored"
ok $? 'none garbled' || diag "$(diff "$TOP/sent" "$TOP/stored" | head)"

done_testing
