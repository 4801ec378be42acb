# Sourced by the end-to-end and fault tests: TAP in bash, and a demo of one's own to test against.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
TESTS=0 FAILED=0

# ---- TAP ----

ok() { # ok STATUS NAME
    TESTS=$((TESTS + 1))
    if [ "$1" = 0 ]; then
        echo "ok $TESTS - $2"
    else
        echo "not ok $TESTS - $2"
        FAILED=1
        return 1
    fi
}
is() { # is GOT WANTED NAME
    [ "$1" = "$2" ]
    ok $? "$3" || { diag "got:    $1"; diag "wanted: $2"; return 1; }
}
like() { # like GOT REGEX NAME
    [[ $1 =~ $2 ]]
    ok $? "$3" || { diag "got:        $1"; diag "not like:   $2"; return 1; }
}
diag() { printf '%s\n' "$*" | sed 's/^/# /' >&2; }
note() { printf '%s\n' "$*" | sed 's/^/# /'; }
bail() { echo "Bail out!  $*"; exit 1; }
done_testing() {
    echo "1..$TESTS"
    exit $FAILED
}

# await SECONDS COMMAND...: until it succeeds.
await() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.1
    done
}

# ---- a demo of one's own ----

free_port() {
    perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# Sets STATE, PORT, URL, and LOG; all of it goes at the end of the test.
own_state() {
    TOP=$(mktemp -d "${TMPDIR:-/tmp}/affiliate-e2e.XXXXXX") || exit 2
    chmod 755 "$TOP"
    STATE=$TOP/state
    LOG=$TOP/log
    PORT=$(free_port)
    URL=http://127.0.0.1:$PORT
    # curl clicks as a browser does: under its own name it is a bot, which gets no cookie and is not counted
    echo 'user-agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"' >"$TOP/.curlrc"
    export CURL_HOME=$TOP
    trap clean_up EXIT
}
clean_up() {
    ./build.sh stop --state "$STATE" >/dev/null 2>&1
    if [ $FAILED != 0 ]; then
        tail -n 15 "$LOG" "$STATE"/log/{supervisor,affiliated,nginx}.log 2>/dev/null | sed 's/^/# /' >&2
    fi
    [ -n "${KEEP:-}" ] || rm -rf "$TOP"
}

# start_demo [OPTION...]: and DEMO FIELD afterwards reads demo.json.
start_demo() {
    ./build.sh run --demo --detach --port "$PORT" --state "$STATE" "$@" >"$LOG" 2>&1 ||
        { sed 's/^/# /' "$LOG"; FAILED=1; bail "the demo does not start"; }
}
demo() { jq -r "$1" "$STATE/demo.json"; }

affiliated() {
    local as=()
    [ "$(id -u)" != 0 ] || as=(setpriv --reuid=www-data --regid=www-data --init-groups --)
    "${as[@]}" "$(demo .affiliated)" -c "$(demo .config)" "$@"
}

# ---- HTTP ----

# staff METHOD PATH [JSON] and partner METHOD PATH [JSON]: the body goes to standard output, the status to $STATUS_FILE.
request() {
    local token=$1 method=$2 path=$3
    shift 3
    [ $# = 0 ] || set -- -H 'Content-Type: application/json' --data "$1"
    curl -sS --max-time 20 -X "$method" -H "Authorization: Bearer $token" -w '%{stderr}%{http_code}' "$@" "$URL$path" \
        2>"$TOP/status"
}
staff() {
    [ "$1" != POST ] || [ $# -lt 3 ] || true
    request "$(demo .admin.token)" "$@"
}
partner() { request "$(demo .api_user.key)" "$@"; }
status() { cat "$TOP/status"; }
