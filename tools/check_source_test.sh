#!/bin/bash
# check-source is a test, so it is tested: each rule must find the violation that is planted for it in a small
# copy, and must be silent about the copy before.  A rule without a violation here fails too.
set -u

HERE=$(cd "$(dirname "$0")" && pwd -P)
COPY=$(mktemp -d)
trap 'rm -rf "$COPY"' EXIT
number=0 failed=0

report() {
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        failed=1
    fi
}

# A tree that breaks no rule, in our layout.
plain_tree() {
    rm -rf "${COPY:?}"/*
    mkdir -p "$COPY"/{ngx_http_affiliate_module,tracker-core/{src,include},docs,conf,tools} \
             "$COPY"/admin-backend/src/{domain,store,db,http,service,ingest,app}
    printf '/* one */\nint\ntracker_one(void)\n{\n    return 1;\n}\n' >"$COPY/tracker-core/src/tracker_one.c"
    printf '# A page\n' >"$COPY/docs/page.md"
}

# finds RULE FILE TEXT: with TEXT in FILE, the rule named RULE, and only it, is red.
finds() {
    local red
    plain_tree
    mkdir -p "$COPY/$(dirname "$2")"
    printf '%b\n' "$3" >"$COPY/$2"
    red=$(TRACKER_LIBRARY=${LIBRARY:-/nonexistent} "$HERE/check_source.sh" "$COPY" | sed -n 's/^not ok [0-9]* - //p')
    [ "$red" = "$1" ]
    report $? "finds: $1"
    [ "$red" = "$1" ] || sed 's/^/#   red was: /' <<<"$red"
    printf '%s\n' "$1" >>"$COPY.proven"
}

: >"$COPY.proven"
trap 'rm -rf "$COPY" "$COPY.proven" "$COPY.library"' EXIT

plain_tree
TRACKER_LIBRARY=/nonexistent "$HERE/check_source.sh" "$COPY" >/dev/null
report $? 'a clean tree breaks no rule'

finds 'sqlite3.h only in its driver' admin-backend/src/store/x.c '#include <sqlite3.h>'
finds 'libpq-fe.h only in its driver' admin-backend/src/service/x.c '#include <libpq-fe.h>'
finds 'SQL text only in store/ (and what drivers need for themselves)' admin-backend/src/service/x.c \
      'const char *q = "SELECT a FROM b";'
finds 'no SQL at the edge or in tracker-core' ngx_http_affiliate_module/x.c 'const char *q = "DELETE FROM b";'
finds 'ngx_* only in the module' admin-backend/src/http/x.c 'ngx_int_t x;'
finds 'tracker-core knows neither nginx nor Redis nor SQL nor sockets' tracker-core/src/tracker_x.c \
      '#include <hiredis/hiredis.h>'
finds 'tracker-core opens no sockets' tracker-core/src/tracker_x.c 'int f(void) { return socket(1, 1, 0); }'
finds 'the module knows neither SQL nor the HTTP server' ngx_http_affiliate_module/x.c '#include <microhttpd.h>'
finds 'domain/ includes nothing of the layers above' admin-backend/src/domain/x.c '#include "store/list.h"'
finds 'service/, store/ and db/ include nothing of the layers above' admin-backend/src/store/x.c \
      '#include "http/routes.h"'
finds 'http/ reaches the database through service/ only' admin-backend/src/http/x.c '#include "store/click.h"'
finds 'the wall clock tells dates; what waits counts by the monotonic one' admin-backend/src/http/x.c \
      'int f(void *t) { return clock_gettime(CLOCK_REALTIME, t); }'
finds 'every file of tracker-core is named tracker_*' tracker-core/src/one.c 'int x;'
finds 'no utils.c: a file is named for what it does' admin-backend/src/service/utils.c 'int x;'
finds 'no floating point where money passes' admin-backend/src/domain/x.c 'double rate;'
finds 'no amount travels as a JSON number' admin-backend/src/http/x.c 'json_t *x = json_real(1);'
finds 'streams are trimmed by acks, never by MAXLEN' admin-backend/src/ingest/x.c 'const char *c = "XADD s MAXLEN 5";'
finds 'no unbounded or unsafe C functions' admin-backend/src/http/x.c 'void f(char *a) { sprintf(a, "x"); }'
finds 'no host names of mirrors or registries' docs/x.md 'see http://deb.debian.org/debian'
finds 'no paths of one machine' docs/x.md 'it is in /home/somebody/affiliate'
finds 'four spaces, no tabs' tracker-core/src/tracker_x.c '\tint x;'
finds 'no line above 130 characters' tracker-core/src/tracker_x.c "/* $(printf '%0140d' 0) */"
finds 'no blanks at the end of a line' docs/x.md 'a line  '
finds 'no merge markers' tracker-core/src/tracker_x.c '<<<<<<< HEAD'
finds 'nothing left to do in the code: an issue says it better' tracker-core/src/tracker_x.c '/* TODO */'

# A library with a symbol that others could clash with.
echo 'int clash; int tracker_fine;' | gcc -x c -c -o "$COPY.o" - && ar rcs "$COPY.library" "$COPY.o" && rm -f "$COPY.o"
LIBRARY=$COPY.library finds 'every public symbol of libtracker.a starts with tracker_' docs/x.md 'text'

# Comments and strings are no code.
plain_tree
printf '/* a double ngx_str_t */\nconst char *tracker_x = "float";\n' >"$COPY/tracker-core/src/tracker_x.c"
TRACKER_LIBRARY=/nonexistent "$HERE/check_source.sh" "$COPY" >/dev/null
report $? 'words in comments and strings are no code'

plain_tree
unproven=$("$HERE/check_source.sh" "$COPY" | sed -n 's/^ok [0-9]* - //p' | grep -vxF -f "$COPY.proven")
[ -z "$unproven" ]
report $? 'every rule is proven able to fail'
[ -z "$unproven" ] || sed 's/^/#   no violation planted for: /' <<<"$unproven"

echo "1..$number"
exit $failed
