#!/bin/bash
# The one script a newcomer needs.  It only dispatches: each command lives in tools/.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
cd "$ROOT"
. tools/common.sh

usage() {
    cat <<'END'
./build.sh [COMMAND]                  without a command: build

  deps [run|test|all]                 install what is missing (Debian 12, apt); starts and enables no service
  build [--static] [--san] [--with-nginx SRC]
                                      libtracker, affiliated and the nginx module, into build/
                                      --static: an nginx with the module linked in; --san: that, with our objects
                                      under ASan and UBSan; --with-nginx: against the nginx sources in SRC,
                                      a folder or a tarball
  run [--port N] [--state DIR] [--workers N] [--demo] [--detach]
                                      a private Redis, affiliated and nginx, on loopback (port 8080, state ./var)
  stop [--state DIR]                  stop what run started there
  test [--with-nginx SRC] [SUITE...]  every suite, or the named ones; with SRC, a folder or tarball of nginx's sources,
                                      the edge suites take that nginx (also edge-static, which is not in "every")
  test-long                           the same at release size (the fault test with 1,000,000 clicks)
  test-clean [root|user] [run|test]   README's commands on a fresh Debian 12 (debootstrap; as root)
  bench [click|auth]                  benchmarks; results as ratios within one run
  check-source [DIR]                  the house rules, by grep
  help                                this text
END
}

command=${1:-build}
shift || true
case $command in
    deps)         . tools/deps.sh; deps "$@" ;;
    build)        . tools/compile.sh; build "$@" ;;
    run)          . tools/run.sh; run "$@" ;;
    stop)         . tools/run.sh; stop "$@" ;;
    test)         . tools/test.sh; run_tests "$@" ;;
    test-long)    . tools/test.sh; LONG=1 run_tests "$@" ;;
    test-clean)   exec tools/clean_machine.sh "$@" ;;
    bench)        . tools/bench.sh; bench "$@" ;;
    check-source) . tools/compile.sh; build_core; exec tools/check_source.sh "$@" ;;
    help|-h|--help) usage ;;
    *)            usage >&2; die "unknown command: $command" ;;
esac
