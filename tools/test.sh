# test: every suite speaks TAP and goes through tools/suite.pl; one line sums them up.

. tools/run.sh

LONG_SUITES="edge-valgrind" # by test-long only, or by name
SUITES="source unit unit-san fuzz edge edge-san api e2e faults"
FUZZ_S=5

# run_tests [--with-nginx SRC] [SUITE...]: with SRC the edge suites take that nginx instead of Debian's.
run_tests() {
    local suite started=$SECONDS
    WITH_NGINX=
    if [ "${1:-}" = --with-nginx ]; then
        need_value "$@"
        WITH_NGINX=$2
        shift 2
    fi
    for suite in "$@"; do
        declare -F "suite_${suite//-/_}" >/dev/null || die "no such suite: $suite (there are: $SUITES)"
    done

    deps_ensure run test
    export SUITE_RESULTS=$BUILD/test/results SUITE_LOGS=$BUILD/test
    mkdir -p "$BUILD/test"
    : >"$SUITE_RESULTS"
    for suite in ${*:-$SUITES ${LONG:+$LONG_SUITES}}; do
        say "== $suite"
        one_suite "$suite"
    done
    summary $((SECONDS - started))
}

# A suite that ends badly without a failed test - it did not build - is a failure too.  It runs in a shell of its own and
# in no condition, where bash would ignore `set -e`.
one_suite() {
    local before status
    before=$(failures)
    set +e
    (
        set -e
        "suite_${1//-/_}"
    )
    status=$?
    set -e
    [ "$status" = 0 ] || [ "$(failures)" != "$before" ] || echo "$1-broken 0 1 0 0" >>"$SUITE_RESULTS"
}

failures() {
    awk '{ n += $3 } END { print n + 0 }' "$SUITE_RESULTS"
}

# The last line is for machines: it must stay the only one of its form.
summary() {
    awk -v seconds="$1" '
        { printf "%-10s %6d passed %4d failed %4d skipped %5d s\n", $1, $2, $3, $4, $5 >"/dev/stderr"
          passed += $2; failed += $3; skipped += $4 }
        END { printf "all in %d s\n", seconds >"/dev/stderr"
              printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
              exit failed > 0 || passed == 0 }' "$SUITE_RESULTS"
}

# suite NAME FILE...: a suite that has no file is a failure of its own.
suite() {
    local name=$1 files=()
    shift
    for file in "$@"; do
        [ ! -f "$file" ] || files+=("$file")
    done
    if [ ${#files[@]} = 0 ]; then
        say "$name: no tests found"
        echo "$name 0 1 0 0" >>"$SUITE_RESULTS"
        return 1
    fi
    perl tools/suite.pl "$name" "${files[@]}"
}

# ---- the suites ----

suite_source() {
    build_core
    suite source tools/check_source.sh tools/check_source_test.sh
}

suite_unit() {
    make_unit_tests "" ""
    CMOCKA_MESSAGE_OUTPUT=TAP SUITE_JOBS=2 suite unit $(unit_tests core) $(unit_tests admin)
}

suite_unit_san() {
    make_unit_tests -san SAN=1
    CMOCKA_MESSAGE_OUTPUT=TAP SUITE_JOBS=2 suite unit-san $(unit_tests core-san) $(unit_tests admin-san)
}

make_unit_tests() {
    make -s -j2 -C tracker-core "O=../build/core$1" $2 lib tests
    make -s -j2 -C admin-backend "O=../build/admin$1" "CORE=../build/core$1" $2 all tests
}

unit_tests() {
    find "$BUILD/$1" -maxdepth 1 -type f -name 'test_*' -perm -u+x | sort
}

suite_fuzz() {
    make -s -j2 -C tracker-core O=../build/core-fuzz fuzz
    FUZZ_FOLDER=$BUILD/core-fuzz FUZZ_S=$FUZZ_S suite fuzz tools/fuzz_suite.sh
}

# Against Debian's nginx, or the one that is named, the module loaded.
suite_edge() {
    if [ -n "$WITH_NGINX" ]; then
        build --with-nginx "$WITH_NGINX"
    else
        build_module
        NGINX=$(command -v nginx || echo /usr/sbin/nginx)
    fi
    edge edge "$NGINX" "$MODULE"
}

# The same with the module linked in.
suite_edge_static() {
    build --static ${WITH_NGINX:+--with-nginx "$WITH_NGINX"}
    edge edge-static "$NGINX" ""
}

# Against a static nginx with our objects under ASan and UBSan.  nginx closes its standard error: findings go to
# files, and each of those is a failure.
suite_edge_san() {
    local log=$BUILD/test/sanitizer
    rm -f "$log".*
    build --san ${WITH_NGINX:+--with-nginx "$WITH_NGINX"}
    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:verify_asan_link_order=0:log_path=$log \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$log \
        edge edge-san "$NGINX" "" || true # what failed is counted
    findings edge-san "$log"
}

# The core topics against a static nginx under valgrind, every pool allocation a malloc.  It sees what sanitizers
# do not: reads of bytes that nobody wrote.
suite_edge_valgrind() {
    local log=$BUILD/test/valgrind
    rm -f "$log".*
    build --palloc ${WITH_NGINX:+--with-nginx "$WITH_NGINX"}
    mkdir -p "$BUILD/t"
    printf '#!/bin/sh\nexec valgrind -q --error-limit=no --num-callers=30 --log-file=%s.%%p %s "$@"\n' "$log" "$NGINX" \
        >"$BUILD/t/nginx-valgrind"
    chmod 755 "$BUILD/t/nginx-valgrind"
    # those that do not ask which processes are workers: under valgrind all have its name
    EDGE_TESTS="t/click.t t/conversion.t t/cookie.t t/macros.t t/pipeline.t t/click_id.t t/metrics.t t/http2.t" \
    EDGE_TIMEOUT=3600 TEST_NGINX_TIMEOUT=60 AFFILIATE_PATIENCE=10 \
        edge edge-valgrind "$BUILD/t/nginx-valgrind" "" || true
    findings edge-valgrind "$log"
}

# findings NAME LOG: every file LOG.* with something in it is a failure.
findings() {
    find "$(dirname "$2")" -maxdepth 1 -name "$(basename "$2").*" -size 0 -delete
    if ls "$2".* >/dev/null 2>&1; then
        cat "$2".* >&2
        echo "$1-findings 0 $(ls "$2".* | wc -l) 0 0" >>"$SUITE_RESULTS"
    fi
}

# edge NAME NGINX MODULE: Test::Nginx.  The worker user must reach its folder, hence not below ours.
edge() {
    local root status=0
    root=$(mktemp -d "${TMPDIR:-/tmp}/affiliate-t.XXXXXX")
    chmod 755 "$root"
    build_edge_tools
    TEST_NGINX_BINARY=$2 TEST_NGINX_LOAD_MODULES=$3 AFFILIATE_MODULE=${3:-static} AFFILIATE_TOOLS=$BUILD/t \
        SUITE_TIMEOUT=${EDGE_TIMEOUT:-$([ -n "${LONG:-}" ] && echo 3600 || echo 600)} TEST_NGINX_SERVROOT=$root \
        SUITE_JOBS=${SUITE_JOBS:-2} suite "$1" ${EDGE_TESTS:-t/*.t} || status=1
    rm -rf "$root"
    return $status
}

# What the tests of t/ need from the other side of the wire.
build_edge_tools() {
    local flags="-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -O1 -g -Itracker-core/include -Itracker-core/src"
    build_core
    mkdir -p "$BUILD/t"
    build_tool clickload
    build_tool badload
    edge_tool fixture "$flags" "$BUILD/core/libtracker.a" -ljansson -lpcre2-8 -lsodium -lcrypto
    edge_tool consumer "$flags" "$BUILD/core/libtracker.a" -lhiredis -lpcre2-8 -lsodium -lcrypto
    edge_tool fail_sync.so "$flags -shared -fPIC"
    edge_tool move_clock.so "$flags -shared -fPIC"
    edge_tool keep_synced.so "$flags -shared -fPIC"
}

# edge_tool NAME FLAGS LIBRARY...: from t/tools/NAME.c
edge_tool() {
    local name=$1 flags=$2 source=t/tools/${1%.so}.c
    shift 2
    if [ ! "$BUILD/t/$name" -nt "$source" ] || [ ! "$BUILD/t/$name" -nt "$BUILD/core/libtracker.a" ]; then
        gcc $flags -o "$BUILD/t/$name" "$source" "$@"
    fi
}

# The server under ASan and UBSan; what they find, it ends with.
suite_api() {
    make -s -j2 -C tracker-core O=../build/core-san SAN=1 lib
    make -s -j2 -C admin-backend O=../build/admin-san CORE=../build/core-san SAN=1 all ../build/admin-san/api_serve
    API_SERVE=$BUILD/admin-san/api_serve SUITE_JOBS=2 suite api admin-backend/test/api/*.t
}

suite_e2e() {
    build
    build_tool clickload
    suite e2e t/e2e/*.t
}

suite_faults() {
    build
    build_edge_tools
    SUITE_TIMEOUT=$([ -n "${LONG:-}" ] && echo 7200 || echo 600) SUITE_COMMENTS=1 suite faults t/faults/*.t
}
