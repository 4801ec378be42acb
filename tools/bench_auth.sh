# bench auth: what it costs to tell who calls the partner API, and to turn him away.
#
# bench.sh has sourced this; instructions are counted as there.

BENCH_LEAD='{"email":"anna.example@example.com","first_name":"Anna","last_name":"Example","phone":"+49 89 1234567","country":"DE","language":"de","custom_1":"value"}'
# What a partner's server sends, besides its key.
BENCH_PARTNER=('Accept: application/json' 'Accept-Encoding: gzip, deflate' 'Content-Type: application/json'
    'User-Agent: GuzzleHttp/7')
# Whom we turn away, and with which status: a key of each, as long as ours are.
declare -A BENCH_STATUS=([-]=403 [unknown]=401 [expired]=403 [paused]=403 [network]=403 [scope]=403 [rate]=429)
BENCH_REFUSED="unknown expired paused network scope rate"

# First the check alone, among few keys and ranges and among many; then each refusal in nginx, its line of the API log
# shipped to a real Redis, against `return 403` there.
bench_auth() {
    local at who
    deps_ensure run test
    build
    build_tool clickload
    bench_start
    say "machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors; $(nginx -v 2>&1)"
    bench_checks >"$BENCH/checks"
    bench_auth_snapshot
    {
        bench_per_request bench_auth_callgrind return/-
        bench_per_request bench_auth_callgrind again/-
        for at in lead guarded; do
            for who in $BENCH_REFUSED; do bench_per_request bench_auth_callgrind "$at/$who"; done
        done
    } >"$BENCH/refusals"
    perl tools/bench_auth_report.pl "$BENCH/checks" "$BENCH/refusals"
}

# Lines "keys ranges-of-a-user instructions-of-a-check JSON".
bench_checks() {
    local case json checks=10000
    make -s -C tracker-core O=../build/bench ../build/bench/bench_auth
    for case in '100 1' '1000000 1' '1000000 256'; do
        json=$("$BUILD/bench/bench_auth" $case)
        bench_valgrind "$BENCH/checks.out" --instr-atstart=no "$BUILD/bench/bench_auth" $case $checks >"$BENCH/checks.log"
        echo "$case $(($(bench_counted "$BENCH/checks.out") / (2 * checks))) $json" # each key from within and from without
    done
}

# Strangers send another one with each request.
bench_auth_key() {
    if [ "$1" = unknown ]; then
        echo 'aff_live_unknown0000000000000000000000000000########'
    else
        printf 'aff_live_%s%0*d' "$1" $((43 - ${#1})) 0
    fi
}

# A snapshot of its own, which the demo's Redis does not touch, under the demo's key.
bench_auth_snapshot() {
    local fixture=$BENCH/fixture limited=192.0.2.0/24,2001:db8::/32,198.51.100.7
    gcc -std=gnu11 -O1 -D_GNU_SOURCE -Itracker-core/include -Itracker-core/src -o "$fixture" t/tools/fixture.c \
        "$BUILD/core/libtracker.a" -ljansson -lpcre2-8 -lsodium -lcrypto
    "$fixture" snapshot "$STATE/etc/edge.key" "$BENCH/auth.snapshot" 1 <<END
program 7 1 1 30 EUR -
key 91 7 0 1 2 31 1600000000000 $(bench_auth_key expired)
key 92 7 0 2 2 31 0 $(bench_auth_key paused)
key 93 7 0 1 2 31 0 $(bench_auth_key network) networks=$limited
key 94 7 0 1 2 16 0 $(bench_auth_key scope) networks=127.0.0.0/8
key 95 7 0 1 2 31 0 $(bench_auth_key rate) networks=127.0.0.0/8 rate=1
END
    chmod 644 "$BENCH/auth.snapshot"
}

# bench_auth_callgrind LOCATION/WHO REQUESTS: instructions of a whole life of nginx that turns so many away.
bench_auth_callgrind() {
    local folder=$BENCH/${1/\//-}-$2 who=${1#*/} port header headers=() user_line=
    for header in "${BENCH_PARTNER[@]}" "Authorization: Bearer $(bench_auth_key "$who")"; do headers+=(--header "$header"); done
    port=$(bench_free_port)
    [ "$(id -u)" != 0 ] || user_line="user $WORKER;"
    mkdir -p "$folder"
    chmod 755 "$folder"
    sed -e "s|@MODULE@|$MODULE|; s|@USER_LINE@|$user_line|; s|@DIR@|$folder|g; s|@STATE@|$STATE|g; s|@PORT@|$port|" \
        -e "s|@SNAPSHOT@|$BENCH/auth.snapshot|" tools/bench_auth.conf.in >"$folder/nginx.conf"
    bench_valgrind "$folder/out" nginx -p "$folder" -c "$folder/nginx.conf" -e "$folder/error.log" >"$folder/valgrind.log" 2>&1 &
    bench_await_status "$port" /guarded 401
    "$BUILD/clickload" --port "$port" --path "/${1%/*}" --count "$2" --connections $BENCH_CONNECTIONS \
        --post "$BENCH_LEAD" --status "${BENCH_STATUS[$who]}" "${headers[@]}" >"$folder/client.json" || true
    # within its rate one request a minute is let in
    jq -e '.other < 10 and .unanswered == 0' "$folder/client.json" >/dev/null || die "$1: $(cat "$folder/client.json")"
    bench_shipped "$port"
    kill -QUIT "$(cat "$folder/nginx.pid")"
    wait $!
    bench_counted "$folder/out"
}
