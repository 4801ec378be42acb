#!/bin/bash
# With FUZZ_FOLDER and FUZZ_S: replays the committed corpus of every fuzz target, then fuzzes each for a while.
# FUZZ_FOLDER holds the built targets.  Findings stay there as crash-*.
set -u

folder=$FUZZ_FOLDER seconds=$FUZZ_S number=0 failed=0
seed=${FUZZ_SEED:-$RANDOM}

check() {
    local name=$1 log=$folder/$2.log
    shift 2
    number=$((number + 1))
    if "$@" >"$log" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        tail -n 30 "$log" | sed 's/^/#   /'
        failed=1
    fi
}

echo "# FUZZ_SEED=$seed"
for target in "$folder"/fuzz_*; do
    [ -x "$target" ] && [ ! -d "$target" ] && [[ $target != *.* ]] || continue
    name=${target##*/}
    corpus=tracker-core/fuzz/corpus/${name#fuzz_}
    [ -d "$corpus" ] || corpus=tracker-core/fuzz/corpus/$name
    [ -d "$corpus" ] && [ -n "$(ls "$corpus")" ]
    check "$name has a committed corpus" "$name" [ $? = 0 ]
    check "$name replays its corpus" "$name-replay" "$target" -runs=0 -artifact_prefix="$folder/" "$corpus"
    mkdir -p "$folder/$name.found"
    check "$name, $seconds s" "$name-run" "$target" -seed="$seed" -max_total_time="$seconds" -rss_limit_mb=1024 \
          -artifact_prefix="$folder/" "$folder/$name.found" "$corpus"
done
echo "1..$number"
exit $failed
