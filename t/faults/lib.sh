# Sourced by the fault tests: what is done to the programs, clients that keep their own books, and the
# comparison of those books with the database.
#
# The independent witnesses: build/clickload writes down the id of every click that was answered, sell() the
# txid of every conversion that was; `affiliated export clicks`, `stats --json` and SQL say what became of them.

. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"

TIDY=() # commands for the end, newest first: whatever was frozen, mounted or started

# fault_demo [OPTION...]: own_state, start_demo, and chance that FAULT_SEED repeats.  With FAULT_KEEP_SYNCED what the disk
# has of each journal is kept in $TOP/synced (t/tools/keep_synced.c).
fault_demo() {
    own_state
    trap fault_clean_up EXIT
    local seed=${FAULT_SEED:-$RANDOM}
    note "FAULT_SEED=$seed"
    RANDOM=$seed
    if [ -n "${FAULT_KEEP_SYNCED:-}" ]; then
        mkdir -m 777 "$TOP/synced"
        KEEP_SYNCED=$TOP/synced LD_PRELOAD=$PWD/build/t/keep_synced.so start_demo "$@"
    else
        start_demo "$@"
    fi
    await 5 same_snapshot
}
same_snapshot() { edge | jq -e '[.workers[].snapshot_version] | min == max and min > 0' >/dev/null; }
fault_clean_up() {
    local i
    # each in a shell of its own: one that fails must not keep the others, or the demo, running
    for ((i = ${#TIDY[@]} - 1; i >= 0; i--)); do (eval "${TIDY[i]}") >/dev/null 2>&1; done
    clean_up
}

# ---- programs: supervisor, redis, affiliated, nginx ----

pid_of() { cat "$STATE/run/$1.pid" 2>/dev/null; }
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
all_gone() {
    local pid
    for pid in "$@"; do gone "$pid" || return 1; done
}
frozen() { grep -q '^State:.T' "/proc/$1/status" 2>/dev/null; }

# end NAME [SIGNAL]: and it is gone.
end() {
    local pid
    pid=$(pid_of "$1")
    kill "-${2:-TERM}" "$pid" && await 20 gone "$pid"
}
# freeze NAME: until thaw NAME.  The supervisor starts what dies at once: frozen, it does not.
freeze() {
    local pid
    pid=$(pid_of "$1")
    TIDY+=("kill -CONT $pid")
    kill -STOP "$pid" && await 5 frozen "$pid"
}
thaw() { kill -CONT "$(pid_of "$1")"; }

redis() { redis-cli -s "$STATE/run/sock/redis.sock" "$@"; }
redis_answers() { [ "$(redis ping 2>/dev/null)" = PONG ]; }
ready() { curl -fsS -o /dev/null --max-time 2 "$URL/readyz" 2>/dev/null; }

# Of the demo's nginx, or of the master given; without those that are shutting down.
workers() { pgrep -P "${1:-$(pid_of nginx)}" -f 'nginx: worker process$'; }
# reload [COUNT]: new workers, that many; and they are there.
reload() {
    local old count=${1:-$(workers | wc -l)}
    old=$(workers | sort)
    replaced() { [ "$(workers | wc -l)" = "$count" ] && [ -z "$(comm -12 <(workers | sort) - <<<"$old")" ]; }
    kill -HUP "$(pid_of nginx)" && await 20 replaced
}

# second_edge NAME: another nginx of the same configuration, not supervised, on the state folder $TOP/NAME/edge,
# which may exist.  Sets EDGE_PORT; its pid file is $TOP/NAME/nginx.pid.
second_edge() {
    local folder=$TOP/$1
    EDGE_PORT=$(free_port)
    mkdir -p "$folder/run"
    chmod 755 "$folder"
    sed -e "s|$STATE/edge|$folder/edge|; s|$STATE/run/nginx\.pid|$folder/nginx.pid|" \
        -e "s|$STATE/run/nginx/|$folder/run/|; s|$STATE/log/|$folder/|" \
        -e "s|127\.0\.0\.1:$PORT;|127.0.0.1:$EDGE_PORT;|" "$STATE/etc/nginx.conf" >"$folder/nginx.conf"
    TIDY+=("pid=\$(cat $folder/nginx.pid) && kill -QUIT \$pid && await 10 gone \$pid")
    "$(command -v nginx || echo /usr/sbin/nginx)" -p "$folder" -c "$folder/nginx.conf" -e "$folder/nginx.log" &&
        await 20 edge_says 302 "http://127.0.0.1:$EDGE_PORT/c/$(demo '.links[0].code')"
}

edge() { curl -sS --max-time 5 "${1:-$URL}/affiliate/status"; }
# edge_counts NAME N [URL]: a counter of the edge is N or more.
edge_counts() { [ "$(edge ${3:+"$3"} 2>/dev/null | jq ".counters.$1")" -ge "$2" ]; }
edge_says() { [ "$(curl -sI -o /dev/null -w '%{http_code}' --max-time 2 "$2")" = "$1" ]; }

# ---- clients ----

# clicks NAME COUNT [OPTION...]: in the background, its pid is $CLIENT; the ids go to $TOP/NAME.answered.  All
# are clicks of one affiliate, in group Standard, at 20 %.  $CLICK_QUERY goes with each.
clicks() {
    local name=$1 count=$2 code paths=()
    shift 2
    for code in $(demo '.links as $l | $l[] | select(.affiliate_id == $l[0].affiliate_id).code'); do
        paths+=(--path "/c/$code${CLICK_QUERY:-}")
    done
    build/clickload --port "$PORT" "${paths[@]}" --count "$count" --connections 16 \
        --out "$TOP/$name.answered" "$@" >"$TOP/$name.client" 2>"$TOP/$name.err" &
    CLIENT=$!
}
# clicks_end NAME [PID]
clicks_end() {
    wait "${2:-$CLIENT}"
    ok $? "$1: the client got all its answers" || diag "$(cat "$TOP/$1.err")"
    note "$1: $(cat "$TOP/$1.client")"
}
client() { jq -s "map(.$1) | add" "$TOP"/*.client; } # the sum over all of them

# sell NAME FILE COUNT [QUERY]: a conversion for each of the first COUNT click ids of FILE, asked until it is
# answered 200, as a partner would; $TOP/NAME.sales has txid, click id and minor units of each, $TOP/NAME.answers
# status, txid and Retry-After of every answer.  False: some never were.
sell() {
    local name=$1 ids=$2 count=$3 query=${4:-} tries
    head -n "$count" "$ids" |
        awk -v name="$name" '{ print name "-" NR, $1, 1000 + 5 * NR }' >"$TOP/$name.sales"
    : >"$TOP/$name.answers"
    for ((tries = 0; tries < 200; tries++)); do
        unsold "$name" | awk -v url="$URL/postback" -v key="$(demo .api_user.key)" -v query="$query" '
            NR > 1 { print "next" }
            { printf "url = \"%s?event=sale&currency=EUR&txid=%s&click_id=%s", url, $1, $2
              printf "&amount=%.2f%s\"\nheader = \"Authorization: Bearer %s\"\n", $3 / 100, query, key
              printf "output = \"/dev/null\"\nmax-time = 15\n"
              printf "write-out = \"%%{http_code} %s %%header{retry-after}\\n\"\n", $1 }' >"$TOP/$name.curl"
        [ -s "$TOP/$name.curl" ] || return 0
        curl -s --parallel --parallel-max 4 -K "$TOP/$name.curl" >>"$TOP/$name.answers" 2>/dev/null
        sleep 0.1
    done
    return 1
}
unsold() {
    awk 'FILENAME ~ /answers$/ { if ($1 == 200) sold[$2] = 1; next } !($1 in sold)' \
        "$TOP/$1.answers" "$TOP/$1.sales"
}

# ---- the books ----

# Reads the database of the running daemon.
sql() {
    local as=()
    [ "$(id -u)" != 0 ] || as=(setpriv --reuid=www-data --regid=www-data --init-groups --)
    "${as[@]}" sqlite3 -readonly -cmd '.timeout 5000' "$STATE/db/affiliate.db" "$1"
}

stats() { affiliated stats --json >"$TOP/stats" 2>/dev/null; }
total() { jq "[.journals[].$1] | add // 0" "$TOP/stats"; } # of a column of stats, as last read

stored() { affiliated export clicks --format csv | cut -d, -f1 | tail -n +2 | LC_ALL=C sort >"$TOP/stored"; }
missing() { LC_ALL=C comm -23 "$TOP/answered" "$TOP/stored"; }
arrived() { stored && [ "$(missing | wc -l)" -le "${1:-0}" ]; }
drained() { stats && [ "$(total pending)" = 0 ] && [ "$(edge | jq .gauges.records_pending)" = 0 ]; }

# click_books [QUARANTINED DROPPED LOST [MISSING]]: every answered click once, and the accounts to the event.
click_books() {
    local surplus unanswered
    LC_ALL=C sort "$TOP"/*.answered >"$TOP/answered"
    is "$(uniq -d "$TOP/answered" | wc -l)" 0 'no click id was given twice'
    await 60 arrived "${4:-0}"
    await 30 drained
    ok $? 'nothing stays pending' || diag "$(cat "$TOP/stats")" "$(edge)"
    stored
    is "$(missing | wc -l)" "${4:-0}" "every answered click is in the database${4:+, but for $4}" ||
        diag "$(missing | head -n 3)"
    is "$(uniq -d "$TOP/stored" | wc -l)" 0 'none is there twice'
    surplus=$(LC_ALL=C comm -13 "$TOP/answered" "$TOP/stored" | wc -l)
    unanswered=$(client unanswered)
    [ "$surplus" -le "$unanswered" ]
    ok $? "beyond them at most those whose answer was cut off ($surplus of $unanswered)"
    jq -e 'all(.journals[]; .accepted == .committed + .pending + .quarantined + .dropped + .lost)' \
        "$TOP/stats" >/dev/null
    ok $? 'stats balances to the event' || diag "$(cat "$TOP/stats")"
    is "$(total quarantined) $(total dropped) $(total lost)" "${1:-0} ${2:-0} ${3:-0}" \
        'quarantined, dropped, lost' || diag "$(cat "$TOP/stats")"
}

derived() {
    [ "$(sql "SELECT count(*) FROM conversion_facts WHERE outcome IS NULL OR outcome = 'parked'")" = 0 ]
}
sold_is_there() {
    sql "SELECT txid, click_id, amount_minor FROM conversions WHERE event = 'sale'" | tr '|' ' ' |
        LC_ALL=C sort >"$TOP/conversions"
    cmp -s "$TOP/sold" "$TOP/conversions"
}

# sale_books: every sale that was answered is one conversion and one referral.
sale_books() {
    cat "$TOP"/*.sales | LC_ALL=C sort >"$TOP/sold"
    await 30 sold_is_there
    ok $? "each of $(wc -l <"$TOP/sold") answered sales is one conversion" ||
        diag "$(diff "$TOP/sold" "$TOP/conversions" | head -n 5)"
    await 30 derived
    ok $? 'all is derived' || diag "$(sql 'SELECT outcome, count(*) FROM conversion_facts GROUP BY 1')"
    is "$(sql "SELECT count(*), count(DISTINCT conversion_id) FROM referrals WHERE event = 'sale'")" \
       "$(wc -l <"$TOP/sold")|$(wc -l <"$TOP/sold")" 'each is one referral'
    is "$(sql "SELECT outcome, count(*) FROM conversion_facts WHERE outcome NOT IN ('converted', 'repeated')
               GROUP BY 1")" '' 'none failed, conflicted or was left over'
}
# And one commission of 20 %; while nothing else has moved money.
commission_books() {
    is "$(sql "SELECT count(*), sum(amount_minor) FROM commissions WHERE status = 'pending'")" \
       "$(awk '{ n++; sum += $3 / 5 } END { print n "|" sum }' "$TOP/sold")" 'each earns its 20 % once'
}
verify_books() {
    affiliated verify >"$TOP/verify" 2>&1
    ok $? 'affiliated verify finds nothing' || diag "$(cat "$TOP/verify")"
}
