#!/bin/bash
# check-source [DIR]: the house rules that grep can hold.  Speaks TAP, one test a rule.
#
# tools/check_source_test.sh plants a violation of each rule in a copy and sees it found.
set -u
shopt -s lastpipe # rule counts at the end of pipelines

cd "${1:-$(dirname "$0")/..}" || exit 2
number=0 failed=0

# rule NAME: passes when standard input is empty; what comes is the violation.
rule() {
    local found
    found=$(head -n 20)
    number=$((number + 1))
    if [ -z "$found" ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        sed 's/^/#   /' <<<"$found"
        failed=1
    fi
}

# every_file: what is ours to judge, one path a line; without what is built, fetched or not text.
every_file() {
    find . \( -path ./.git -o -path ./build -o -path ./var -o -name node_modules -o -name 'servroot*' \
              -o -path '*/fuzz/corpus' \) -prune -o -type f -print | sed 's|^\./||' | sort
}
files() { every_file | grep -E "$1"; }

# in_code PATTERN FILES-PATTERN [FILES-EXCEPT]: in C without its comments and the insides of its strings; rules are
# about code, not about words.
in_code() {
    files "$2" | grep -vE "${3:-^$}" | PATTERN=$1 xargs -r perl -e '
        for my $file (@ARGV) {
            open my $in, "<", $file or next;
            my $code = do { local $/; <$in> } // "";
            $code =~ s{/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"}{my $t = $&; $t =~ s/[^\n"]//g; $t}gse;
            my $number = 0;
            for my $line (split /\n/, $code) {
                $number++;
                print "$file:$number:$line\n" if $line =~ /$ENV{PATTERN}/;
            }
        }'
}
# in_text PATTERN FILES-PATTERN [FILES-EXCEPT]
in_text() {
    files "$2" | grep -vE "${3:-^$}" | tr '\n' '\0' | xargs -0 -r grep -InE -- "$1" /dev/null 2>/dev/null
}

C='\.[ch]$'
MODULE='^ngx_http_affiliate_module/'
CORE='^tracker-core/(src|include)/'
ADMIN='^admin-backend/src/'

# ---- dependencies point one way ----

in_text '#include *[<"]sqlite3\.h' "$C" '^admin-backend/(src/db/db_sqlite|test/test_verify\.c)' |
    rule 'sqlite3.h only in its driver'
in_text '#include *[<"](postgresql/)?libpq' "$C" '^admin-backend/src/db/db_postgres' |
    rule 'libpq-fe.h only in its driver'
in_text '"[^"]*\b(SELECT .* FROM|INSERT INTO|UPDATE [a-z_]+ SET|DELETE FROM|CREATE (TABLE|INDEX|UNIQUE)|PRAGMA )' \
        "$ADMIN.*$C" '^admin-backend/src/(store|db)/' |
    rule 'SQL text only in store/ (and what drivers need for themselves)'
in_text '"[^"]*\b(SELECT .* FROM|INSERT INTO|UPDATE [a-z_]+ SET|DELETE FROM)' "^($CORE|$MODULE)" |
    rule 'no SQL at the edge or in tracker-core'
in_code '\b(ngx_[a-z]|NGX_)' "$C" "$MODULE" |
    rule 'ngx_* only in the module'
# arpa/inet.h: inet_pton reads an address, it opens nothing
in_text '#include *[<"](hiredis|ngx_|nginx|sqlite3|libpq|microhttpd|sys/socket|netinet/|netdb|poll|sys/epoll)' "$CORE" |
    rule 'tracker-core knows neither nginx nor Redis nor SQL nor sockets'
in_code '\b(socket|connect|listen|accept4?|recv(from|msg)?|send(to|msg)?) *\(' "$CORE" |
    rule 'tracker-core opens no sockets'
in_text '#include *[<"](sqlite3|libpq|microhttpd)' "$MODULE" |
    rule 'the module knows neither SQL nor the HTTP server'
in_text '#include *[<"](store|service|http|ingest|db|app)/' '^admin-backend/src/domain/.*\.[ch]$' |
    rule 'domain/ includes nothing of the layers above'
in_text '#include *[<"](http|ingest|app)/' '^admin-backend/src/(store|db|service)/.*\.[ch]$' | grep -v '"app/log\.h"' |
    rule 'service/, store/ and db/ include nothing of the layers above'
in_text '#include *[<"](store|db)/' '^admin-backend/src/http/.*\.[ch]$' '^$' | grep -v 'db/db\.h' |
    rule 'http/ reaches the database through service/ only'

in_code 'CLOCK_REALTIME' "$ADMIN.*$C" '^admin-backend/src/(app/(app|log)|ingest/drain)\.c$' |
    rule 'the wall clock tells dates; what waits counts by the monotonic one'

# ---- names ----

# Objects are linked together with all of nginx, and modules are loaded RTLD_GLOBAL.
files '^tracker-core/(src|include)/.*\.[ch]$' | grep -vE '/tracker_[a-z0-9_]+\.[ch]$' |
    rule "every file of tracker-core is named tracker_*"
library=${TRACKER_LIBRARY:-build/core/libtracker.a}
if [ -f "$library" ]; then
    nm -g --defined-only "$library" | awk 'NF == 3 && $3 !~ /^tracker_/ { print $3 }'
elif [ -z "${TRACKER_LIBRARY:-}" ]; then
    echo "$library is not built"
fi |
    rule 'every public symbol of libtracker.a starts with tracker_'
files '(^|/)(utils?|helpers?|misc|common)\.[ch]$' |
    rule 'no utils.c: a file is named for what it does'

# ---- money, the wire, secrets ----

in_code '\b(float|double|strtod|atof|lround|ceil|floor)\b' \
        '^(admin-backend/src/(domain|service|store|ingest)|tracker-core/(src|include))/.*\.[ch]$' |
    rule 'no floating point where money passes'
in_code '\b(json_real|json_number_value|json_real_value)\b' '^(admin-backend/src|ngx_http_affiliate_module)/.*\.[ch]$' |
    rule 'no amount travels as a JSON number'
in_text '"[^"]*\bMAXLEN\b' "^(admin-backend/src|ngx_http_affiliate_module|tracker-core)/.*$C" |
    rule 'streams are trimmed by acks, never by MAXLEN'
in_code '\b(gets|strcpy|strcat|sprintf|vsprintf|strtok|tmpnam|system|popen|rand|srand) *\(' "$C" '/test/' |
    rule 'no unbounded or unsafe C functions'

# ---- this folder is everybody's ----

in_text '(deb|archive|ftp|snapshot)\.[a-z.]*debian\.org|registry\.npmjs|https?://[a-z0-9.-]*(mirror|proxy)[a-z0-9.-]*/' '.' \
        '(^tools/check_source|package-lock\.json$)' |
    rule 'no host names of mirrors or registries'
in_text '(^|[^A-Za-z0-9_.~/$}@-])/(work|home|root|Users|tmp/bash_jobs)/[A-Za-z0-9_.-]' '.' '^tools/(check_source|clean_machine)' |
    rule 'no paths of one machine'
in_text '	' '\.([ch]|sh|sql|md|conf|in|t)$|^build\.sh$|^config$' | grep -vE '^tools/compile\.sh|^tools/check_source' |
    rule 'four spaces, no tabs'
in_text '.{131,}' '\.[ch]$' |
    rule 'no line above 130 characters'
in_text '[[:space:]]+$' '\.([ch]|sh|sql|md|conf|in|t|pl|lua|yaml)$|^build\.sh$|^config$' |
    rule 'no blanks at the end of a line'
in_text '^(<<<<<<<|>>>>>>>|=======$)' '.' '\.md$' |
    rule 'no merge markers'
in_text '\b(TODO|FIXME|HACK)\b' '\.([ch]|sh|sql|pl)$' '^tools/check_source' |
    rule 'nothing left to do in the code: an issue says it better'

echo "1..$number"
exit $failed
