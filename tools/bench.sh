# bench: what a click costs, and who is turned away, as ratios within one run.

. tools/run.sh
. tools/bench_auth.sh

bench() {
    case ${1:-click} in
        click) bench_click ;;
        auth)  bench_auth ;;
        *)     die "bench: click or auth, not $1" ;;
    esac
}

BENCH_ROUNDS=${BENCH_ROUNDS:-5}
BENCH_ROUND_S=${BENCH_ROUND_S:-3}
BENCH_CONNECTIONS=16
BENCH_VARIANTS="return again combined log click known"
# What a browser sends that follows a link to another site.
BENCH_AGENT='Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
BENCH_HEADERS=('Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'
    'Accept-Language: de,en-US;q=0.7,en;q=0.3' 'Accept-Encoding: gzip, deflate, br' 'Connection: keep-alive'
    'Referer: https://www.example.org/articles/2024/a-page' 'Upgrade-Insecure-Requests: 1'
    'Sec-Fetch-Dest: document' 'Sec-Fetch-Mode: navigate' 'Sec-Fetch-Site: cross-site' 'Sec-Fetch-User: ?1')
BENCH_FEW=2000 BENCH_MANY=12000 # requests under callgrind; the difference is what a request costs

# CPU and instructions of one request answered six ways: `return 302` (and the same again, for the noise), 302 with a
# buffered access log (nginx's combined line; a line with what a click's event says), the full click of a returning
# visitor, shipped to a real Redis and a real affiliated, and the same by a second nginx that has GeoIP databases and
# judges visitors ("known").  Core 0 has nginx, core 1 the rest.
bench_click() {
    [ "$(nproc)" -ge 2 ] || die "bench click needs two processors"
    deps_ensure run test
    build
    build_tool clickload
    bench_start
    bench_places
    say "machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors; $(nginx -v 2>&1)"
    say "rounds: $BENCH_ROUNDS x $BENCH_ROUND_S s, $BENCH_CONNECTIONS connections"

    bench_cpu >"$BENCH/cpu"
    bench_instructions >"$BENCH/instructions"
    bench_landed
    bench_report
}

# What Chrome sends when somebody follows a link on another site; the same for every variant.
BENCH_HEADERS=(
    'sec-ch-ua: "Chromium";v="124", "Google Chrome";v="124", "Not-A.Brand";v="99"'
    'sec-ch-ua-mobile: ?0'
    'sec-ch-ua-platform: "Windows"'
    'Upgrade-Insecure-Requests: 1'
    'User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36'
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7'
    'Sec-Fetch-Site: cross-site'
    'Sec-Fetch-Mode: navigate'
    'Sec-Fetch-User: ?1'
    'Sec-Fetch-Dest: document'
    'Referer: https://www.example.org/'
    'Accept-Encoding: gzip, deflate, br, zstd'
    'Accept-Language: en-US,en;q=0.9'
)

# A backend of our own, and a cookie and destination to send with every request.
bench_start() {
    local head
    BENCH=$(mktemp -d "${TMPDIR:-/tmp}/affiliate-bench.XXXXXX")
    chmod 755 "$BENCH"
    trap bench_end EXIT
    BENCH_PORT=$(bench_free_port)
    ./build.sh run --demo --detach --workers 1 --port "$BENCH_PORT" --state "$BENCH/state" 2>"$BENCH/run.log" ||
        { cat "$BENCH/run.log" >&2; die "the backend did not start"; }
    STATE=$BENCH/state
    taskset -apc 1 "$(cat "$STATE/run/redis.pid")" >/dev/null
    taskset -apc 1 "$(cat "$STATE/run/affiliated.pid")" >/dev/null

    BENCH_CODE=$(jq -r '.links[0].code' "$STATE/demo.json")
    head=$(curl -sS -A "$BENCH_AGENT" -o /dev/null -D - "$(demo_link)?sub1=news&source=mail" | tr -d '\r')
    BENCH_COOKIE=$(sed -n 's/^Set-Cookie: \([^;]*\);.*/\1/p' <<<"$head")
    BENCH_DESTINATION=$(sed -n 's/^Location: //p' <<<"$head")
    [ -n "$BENCH_COOKIE" ] && [ -n "$BENCH_DESTINATION" ] || die "the demo's link does not answer like a click"
}

# Databases that know where the client is, and enough else to be trees of some depth.
bench_places() {
    local i networks='127.0.0.0/8 country=DE region=BY city=Munich asn=64500'
    for ((i = 1; i < 100; i++)); do
        networks+=$'\n'"100.$i.0.0/16 country=DE asn=$((64500 + i))"
    done
    perl t/tools/mmdb.pl "$BENCH/city.mmdb" 28 <<<"$networks"
    perl t/tools/mmdb.pl "$BENCH/asn.mmdb" 24 <<<"$networks"
    chmod 644 "$BENCH"/*.mmdb
}

bench_end() {
    local file
    for file in "$BENCH"/*/nginx.pid; do
        [ ! -f "$file" ] || kill -TERM "$(cat "$file")" 2>/dev/null || true
    done
    ./build.sh stop --state "$BENCH/state" >/dev/null 2>&1 || true
    [ -n "${BENCH_KEEP:-}" ] && say "kept: $BENCH" || rm -rf "$BENCH"
}

bench_path() {
    case $1 in
        click | known) echo "/c/$BENCH_CODE?sub1=news&source=mail" ;;
        *)             echo "/$1?sub1=news&source=mail" ;;
    esac
}

# bench_nginx_conf FOLDER PORT PROCESS-DIRECTIVES VARIANT
bench_nginx_conf() {
    local user_line= visitor="affiliate_detect off;" destination=${BENCH_DESTINATION//&/\\&}
    [ "$(id -u)" != 0 ] || user_line="user $WORKER;"
    # the rate is counted but never reached: as for most visitors
    [ "$4" != known ] ||
        visitor="affiliate_geoip city $BENCH/city.mmdb; affiliate_geoip asn $BENCH/asn.mmdb; affiliate_rate 60000;"
    mkdir -p "$1"
    chmod 755 "$1"
    sed -e "s|@MODULE@|$MODULE|; s|@USER_LINE@|$user_line|; s|@DIR@|$1|g; s|@STATE@|$STATE|g; s|@PORT@|$2|" \
        -e "s|@PROCESS@|$3|; s|@VISITOR@|$visitor|; s|@AFFINITY@|01|; s|@DESTINATION@|${destination//|/%7C}|" \
        tools/bench_click.conf.in >"$1/nginx.conf"
}

# Waits until this nginx answers a click, that is, has its snapshot.
bench_await() {
    bench_await_status "$1" "/c/$BENCH_CODE" 302 -I
}

# bench_await_status PORT PATH STATUS [OPTION-OF-CURL...]
bench_await_status() {
    local tries=0 url=http://127.0.0.1:$1$2 status=$3
    shift 3
    until [ "$(curl -s "$@" -o /dev/null -w '%{http_code}' "$url")" = "$status" ]; do
        [ $((tries += 1)) -lt 600 ] || die "nginx of the benchmark does not answer; see its error.log"
        sleep 0.1
    done
}

# ---- CPU per request, from /proc ----

# Lines "round variant requests cpu_us_per_request requests_per_s".
bench_cpu() {
    local folder kind round variant
    local -A port worker # by the nginx that has it: of the plain click, or of the known visitor
    for kind in click known; do
        folder=$BENCH/nginx-$kind
        port[$kind]=$(bench_free_port)
        bench_nginx_conf "$folder" "${port[$kind]}" "" "$kind"
        nginx -p "$folder" -c "$folder/nginx.conf" -e "$folder/error.log"
        bench_await "${port[$kind]}"
        worker[$kind]=$(pgrep -P "$(cat "$folder/nginx.pid")")
    done
    bench_seen "${port[click]}" ok
    bench_seen "${port[known]}" "DE desktop ok"
    for variant in $BENCH_VARIANTS; do
        bench_load "${port[$(bench_server "$variant")]}" "$variant" 1 >/dev/null
    done
    for ((round = 1; round <= BENCH_ROUNDS; round++)); do
        for variant in $BENCH_VARIANTS; do
            kind=$(bench_server "$variant")
            bench_measure "${worker[$kind]}" "${port[$kind]}" "$round" "$variant"
        done
    done
}

# bench_seen PORT WORDS: what this nginx knows of the visitor; or the benchmark would measure something else.
bench_seen() {
    local seen
    seen=$(curl -sS -A "$BENCH_AGENT" -o /dev/null -D - "http://127.0.0.1:$1/seen/$BENCH_CODE" | sed -n 's/^Visitor: *//p' | tr -d '\r')
    [ "$seen" = "$2" ] || die "the benchmark's visitor is seen as '$seen', not '$2'"
}

bench_server() {
    [ "$1" = known ] && echo known || echo click
}

bench_measure() {
    local before after requests
    before=$(bench_ticks "$1")
    requests=$(bench_load "$2" "$4" "$BENCH_ROUND_S")
    sleep 0.3 # what was recorded last is still to be shipped
    after=$(bench_ticks "$1")
    awk -v round="$3" -v variant="$4" -v requests="$requests" -v ticks=$((after - before)) \
        -v hz="$(getconf CLK_TCK)" -v seconds="$BENCH_ROUND_S" \
        'BEGIN { printf "%d %s %d %.3f %.0f\n", round, variant, requests, ticks * 1e6 / hz / requests,
                        requests / seconds }'
}

# bench_load PORT VARIANT SECONDS: prints how many requests were answered.
bench_load() {
    local header headers=()
    for header in "${BENCH_HEADERS[@]}" "Cookie: $BENCH_COOKIE"; do headers+=(-H "$header"); done
    taskset -c 1 wrk -t1 -c$BENCH_CONNECTIONS -d"$3s" "${headers[@]}" \
        "http://127.0.0.1:$1$(bench_path "$2")" >"$BENCH/wrk.log"
    grep -q 'Socket errors' "$BENCH/wrk.log" && { cat "$BENCH/wrk.log" >&2; die "wrk had errors"; }
    sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' "$BENCH/wrk.log"
}

# User and system time of a process in clock ticks; fields 14 and 15, counted after the name in brackets.
bench_ticks() {
    sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# ---- instructions per request, by callgrind ----

# Lines "variant instructions_per_request".
bench_instructions() {
    local variant
    for variant in return combined log click known; do
        bench_per_request bench_callgrind "$variant"
    done
}

# bench_per_request COUNTER VARIANT: the line "variant instructions_per_request".
bench_per_request() {
    local few many
    few=$("$1" "$2" $BENCH_FEW) || die "$2 could not be counted"
    many=$("$1" "$2" $BENCH_MANY) || die "$2 could not be counted"
    echo "$2 $(((many - few) / (BENCH_MANY - BENCH_FEW)))"
}

# bench_valgrind OUT COMMAND...: options of callgrind may come first.  A processor copies a block by one `rep movsb`,
# valgrind counts one instruction a byte: glibc is told to copy by vectors instead, for every variant.
bench_valgrind() {
    local out=$1
    shift
    GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=0x40000000 \
        valgrind --tool=callgrind --callgrind-out-file="$out" -q "$@"
}

bench_counted() {
    sed -n 's/^\(summary\|totals\): //p' "$1" | tail -n 1
}

# bench_callgrind VARIANT REQUESTS: instructions of a whole life of nginx that answers so many.
bench_callgrind() {
    local folder=$BENCH/callgrind-$1-$2 port header headers=()
    for header in "${BENCH_HEADERS[@]}" "Cookie: $BENCH_COOKIE"; do headers+=(--header "$header"); done
    port=$(bench_free_port)
    bench_nginx_conf "$folder" "$port" "master_process off; daemon off;" "$1"
    sed -i '/^worker_cpu_affinity/d' "$folder/nginx.conf"
    bench_valgrind "$folder/out" nginx -p "$folder" -c "$folder/nginx.conf" -e "$folder/error.log" \
        >"$folder/valgrind.log" 2>&1 &
    bench_await "$port"
    "$BUILD/clickload" --port "$port" --path "$(bench_path "$1")" --count "$2" --connections $BENCH_CONNECTIONS \
        "${headers[@]}" >"$folder/client.json" || [ "$(bench_path "$1")" != "$(bench_path click)" ] || die "clicks failed"
    bench_shipped "$port"
    kill -QUIT "$(cat "$folder/nginx.pid")"
    wait $!
    bench_counted "$folder/out"
}

# Until this edge has nothing unacknowledged: shipping belongs to a click's price.
bench_shipped() {
    local tries=0
    until curl -sS "http://127.0.0.1:$1/affiliate/status" | jq -e '.gauges.records_pending == 0' >/dev/null; do
        [ $((tries += 1)) -lt 300 ] || die "the benchmark's clicks were not shipped"
        sleep 0.2
    done
}

# ---- the result ----

# The clicks that were paid for must have landed.
bench_landed() {
    local tries=0 affiliated
    affiliated=$(jq -r .affiliated "$STATE/demo.json")
    until as_worker "$affiliated" -c "$STATE/etc/affiliated.conf" stats --json >"$BENCH/stats.json" &&
          jq -e '[.journals[].pending] | add == 0' "$BENCH/stats.json" >/dev/null; do
        [ $((tries += 1)) -lt 300 ] || die "the benchmark's clicks did not arrive"
        sleep 0.2
    done
    jq -e '[.journals[] | .dropped + .lost + .quarantined] | add == 0' "$BENCH/stats.json" >/dev/null ||
        die "clicks were dropped, lost or quarantined"
}

# Fails when a click costs more than the design allows: 1.22 x the instructions of `return 302`, 1.45 x when the visitor
# is known, or more than the buffered access log.
bench_report() {
    perl tools/bench_report.pl "$BENCH/cpu" "$BENCH/instructions" "$BENCH/stats.json"
}

bench_free_port() {
    perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}
