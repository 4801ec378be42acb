#!/bin/bash
# README's curl lines, as they stand there: what a newcomer types first must not rot.
. "$(dirname "$0")/lib.sh"
own_state
start_demo
rm "$TOP/.curlrc" # a newcomer has none

awk '/readme\.t runs the next block/ { wanted = 1 } wanted && /^```$/ { exit } seen { print }
     wanted && /^```bash$/ { seen = 1 }' README.md >"$TOP/block"
[ -s "$TOP/block" ]
ok $? 'README has the block'
lines=$(grep -c . "$TOP/block")
[ "$lines" -le 14 ]
ok $? "in few lines ($lines)"

# Only the state's place differs from the newcomer's.
mkdir "$TOP/home" && ln -s "$STATE" "$TOP/home/var"
(cd "$TOP/home" && timeout 60 bash -eo pipefail "$TOP/block") >"$TOP/out" 2>"$TOP/err"
ok $? 'the lines run' || diag "$(cat "$TOP/out" "$TOP/err")"
like "$(tail -n 40 "$TOP/out")" '"status": "paid"' 'and end in a payment' || diag "$(cat "$TOP/out" "$TOP/err")"
like "$(cat "$TOP/out")" 'BANK-1' 'with its reference'

for command in run test; do
    grep -q "^\./build\.sh $command" README.md
    ok $? "README says ./build.sh $command"
done
grep -q 'build.sh test' .ci/run
ok $? 'CI runs what README calls the test command'

done_testing
