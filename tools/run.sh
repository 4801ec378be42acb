# run and stop: one private Redis, affiliated and nginx under one state folder, on loopback.

. tools/compile.sh

READY_S=60
STATE_FALLBACK=/var/lib/affiliate-run
WORKER=www-data # as root, all but nginx's master run as this user

run() {
    local port=8080 state= workers=2 demo= detach=
    while [ $# -gt 0 ]; do
        case $1 in
            --port)    need_value "$@"; port=$2; shift ;;
            --state)   need_value "$@"; state=$2; shift ;;
            --workers) need_value "$@"; workers=$2; shift ;;
            --demo)    demo=1 ;;
            --detach)  detach=1 ;;
            *)         die "run: unknown option: $1" ;;
        esac
        shift
    done
    number_in "$port" 1 65535 || die "--port: a number from 1 to 65535, not $port"
    number_in "$workers" 1 512 || die "--workers: a number from 1 to 512, not $workers"

    PORT=$port
    build
    umask 077
    choose_state "$state"
    check_state
    check_port
    make_state
    write_configuration "$workers"
    trap 'say "Stopping"; stop_supervisor || true; exit 0' INT TERM HUP
    start_supervisor "$detach"
    await_ready
    [ -z "$demo" ] || fill_demo
    welcome
    [ -n "$detach" ] || stay
}

stop() {
    local state=
    while [ $# -gt 0 ]; do
        case $1 in
            --state) need_value "$@"; state=$2; shift ;;
            *)       die "stop: unknown option: $1" ;;
        esac
        shift
    done
    choose_state "$state" 2>/dev/null
    [ -d "$STATE" ] || die "nothing to stop: there is no $STATE"
    check_owner
    stop_supervisor || die "nothing runs in $STATE"
}

# ---- the state folder ----

as_worker() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=$WORKER --regid=$WORKER --init-groups --inh-caps=-all -- "$@"
    else
        "$@"
    fi
}

# Sets STATE (absolute).  The default is ./var, unless the worker user could not reach it there.
choose_state() {
    STATE=$1
    if [ -z "$STATE" ]; then
        STATE=$ROOT/var
        if ! as_worker test -x "$ROOT"; then
            STATE=$STATE_FALLBACK
            say "$ROOT is closed to the user $WORKER: the state goes to $STATE"
        fi
    fi
    STATE=$(realpath -m -- "$STATE")
    plain_path "$STATE" "the state's path"
    # sun_path holds 108 bytes with its NUL.
    [ ${#STATE} -le 80 ] || die "the state's path is too long for a unix socket below it: $STATE"
}

check_owner() {
    local owner
    owner=$(stat -c %U -- "$STATE")
    [ "$owner" = "$(id -un)" ] || die "$STATE belongs to $owner, and you are $(id -un): run as $owner, or choose" \
                                      "another folder with --state"
}

check_state() {
    local parent=$STATE
    if [ -e "$STATE" ]; then
        [ -d "$STATE" ] || die "$STATE is not a folder"
        check_owner
        [ -d "$STATE/etc" ] || [ -z "$(ls -A -- "$STATE")" ] ||
            die "$STATE holds something else: choose an empty folder with --state"
        if [ -e "$STATE/run/lock" ] && ! flock -n "$STATE/run/lock" true; then
            die "already running in $STATE (stop it with: ./build.sh stop --state $STATE)"
        fi
    fi
    while [ ! -d "$parent" ]; do parent=$(dirname "$parent"); done
    [ "$parent" = "$STATE" ] || as_worker test -x "$parent" ||
        die "the user $WORKER cannot reach $parent: choose another folder with --state"
}

check_port() {
    if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then
        die "port $PORT is in use: choose another with --port"
    fi
}

# The owner keeps configuration, logs and pids; the worker user gets what it writes, and nothing else, so that
# root never opens a file in a folder where another user could have put a link.
make_state() {
    local group=$WORKER folder
    [ "$(id -u)" = 0 ] || group=$(id -gn)
    mkdir -p "$STATE"
    for folder in "" etc log run run/nginx; do
        install -d -m 750 -g "$group" "$STATE/$folder"
    done
    for folder in run/sock redis db; do
        install -d -m 700 "$STATE/$folder"
        [ "$(id -u)" != 0 ] || chown $WORKER:$WORKER "$STATE/$folder"
    done

    AFFILIATED=$BUILD/affiliated
    if ! as_worker test -x "$AFFILIATED"; then
        install -d -m 755 "$STATE/bin"
        install -m 755 "$AFFILIATED" "$STATE/bin/affiliated"
        AFFILIATED=$STATE/bin/affiliated
    fi
}

write_configuration() {
    local file user_line=
    [ "$(id -u)" != 0 ] || user_line="user $WORKER;"
    for file in nginx.conf affiliated.conf redis.conf; do
        sed -e "s|@STATE@|$STATE|g; s|@PORT@|$PORT|g; s|@WORKERS@|$1|g; s|@MODULE@|$MODULE|g" \
            -e "s|@CONF@|$ROOT/conf|g; s|@USER_LINE@|$user_line|g" "conf/run/$file.in" >"$STATE/etc/$file.new"
        [ "$(id -u)" != 0 ] || chgrp $WORKER "$STATE/etc/$file.new"
        chmod 640 "$STATE/etc/$file.new"
        mv -f "$STATE/etc/$file.new" "$STATE/etc/$file"
    done
    make_key
}

# Made once; without it nothing that is in the journals or in visitors' cookies could be read again.
make_key() {
    local key=$STATE/etc/edge.key
    [ ! -e "$key" ] || return 0
    "$AFFILIATED" -c "$STATE/etc/affiliated.conf" keygen >/dev/null || die "affiliated keygen failed"
    [ "$(id -u)" != 0 ] || chgrp $WORKER "$key"
    chmod 640 "$key"
}

# ---- the supervisor ----

# In the foreground case it gets TERM when we die, whatever killed us.
start_supervisor() {
    local with=()
    [ -n "$1" ] || with=(setpriv --pdeathsig TERM --)
    rm -f "$STATE/run/supervisor.pid"
    ulimit -Sn "$(ulimit -Hn)" 2>/dev/null || true
    setsid -- "${with[@]}" "$BUILD/supervise" "$STATE" "$(command -v nginx || echo /usr/sbin/nginx)" \
        "$AFFILIATED" </dev/null >>"$STATE/log/supervisor.log" 2>&1 &
    SUPERVISOR=$!
}

await_ready() {
    local url=http://127.0.0.1:$PORT deadline=$((SECONDS + READY_S))
    until curl -fsS -o /dev/null --max-time 2 "$url/readyz" 2>/dev/null &&
          curl -fsS -o /dev/null --max-time 2 "$url/affiliate/status" 2>/dev/null; do
        if [ $SECONDS -ge $deadline ] || ! kill -0 "$SUPERVISOR" 2>/dev/null; then
            tail -n 5 "$STATE"/log/{supervisor,redis,affiliated,nginx}.log >&2
            stop_supervisor || true
            die "not ready after $READY_S s; the logs are in $STATE/log"
        fi
        sleep 0.1
    done
}

# Ends the supervisor, which ends the rest.  Fails when nothing ran.
stop_supervisor() {
    local pid= left=600
    read -r pid 2>/dev/null <"$STATE/run/supervisor.pid" || true
    if [[ $pid =~ ^[0-9]+$ ]] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "supervise $STATE "; then
        kill -TERM "$pid"
    elif [ ! -e "$STATE/run/lock" ] || flock -n "$STATE/run/lock" true; then
        return 1
    fi
    # The lock is inherited by everything that was started: once it is free, all of it has ended.
    until flock -n "$STATE/run/lock" true; do
        [ $((left -= 1)) -gt 0 ] || die "something of $STATE still runs (see $STATE/log/supervisor.log)"
        sleep 0.1
    done
}

stay() {
    wait "$SUPERVISOR" || true
    die "the supervisor ended; see $STATE/log/supervisor.log"
}

# ---- the demo and the welcome ----

# Filled once; later it only says where things are now.  The daemon keeps its copy where it may write; ours is read
# as the worker user, so that no link there leads root astray.
fill_demo() {
    local theirs=$STATE/db/demo.json new=
    [ -e "$STATE/demo.json" ] || new=1
    "$AFFILIATED" -c "$STATE/etc/affiliated.conf" demo --out "$theirs" >/dev/null || die "affiliated demo failed"
    as_worker cat "$theirs" >"$STATE/demo.json.new"
    mv "$STATE/demo.json.new" "$STATE/demo.json"
    await_click "$(demo_link)"
    [ -z "$new" ] || send_demo_leads
}

# As its partner sends them, by the edge.  The last one is somebody who is known: it is refused, and the log says why.
send_demo_leads() {
    local url number=0 status lead
    url=$(jq -r .base_url "$STATE/demo.json")/api/v1/leads
    for lead in \
        '{"first_name":"Mara","last_name":"Lindqvist","email":"mara.lindqvist@example.com","phone":"+46 8 5000 1000","country":"SE","interest":"skiing"}' \
        '{"first_name":"Tomas","last_name":"Ferreira","email":"tomas@example.org","country":"PT","interest":"climbing"}' \
        '{"first_name":"Ines","last_name":"Keller","email":"ines.keller@example.net","phone":"+49 30 901820","country":"DE","interest":"hiking"}' \
        '{"first_name":"Jun","last_name":"Sato","email":"jun.sato@example.com","country":"JP"}' \
        '{"first_name":"M.","last_name":"Lindqvist","email":"Mara.Lindqvist@example.com","country":"SE"}'
    do
        number=$((number + 1))
        status=$(send_demo_lead "$url" "$number" "$lead")
        [[ $status =~ ^(20[0-9]|409)$ ]] || die "the demo's leads are not taken ($status); the logs are in $STATE/log"
    done
}

# The edge's answer.  The key is younger than the link that was waited for: 401 until the edge knows it, too; and another
# worker than the one that was asked then may only be starting: 503.
send_demo_lead() {
    local tries=0 status=401
    while [[ $status =~ ^(401|503)$ ]] && [ $((tries += 1)) -le 100 ]; do
        [ $tries = 1 ] || sleep 0.1
        # the key goes by standard input: it is nobody's who lists processes
        status=$(jq -r '"header = \"Authorization: Bearer " + .lead_user.key + "\""' "$STATE/demo.json" |
            curl -s -o /dev/null -w '%{http_code}' --max-time 10 -K - -H "Idempotency-Key: demo-$2" \
                -H 'Content-Type: application/json' -d "$3" "$1") || true
    done
    echo "$status"
}

demo_link() {
    jq -r '.base_url + "/c/" + .links[0].code' "$STATE/demo.json"
}

# A change is live at the edge within a second.  HEAD asks for a link without clicking it.
await_click() {
    local tries=0
    until [ "$(curl -sI -o /dev/null -w '%{http_code}' --max-time 2 "$1")" = 302 ]; do
        [ $((tries += 1)) -lt 100 ] || die "the demo's link does not answer: $1; the logs are in $STATE/log"
        sleep 0.1
    done
}

welcome() {
    say "Ready: http://127.0.0.1:$PORT/   (state: $STATE)"
    if [ -e "$STATE/demo.json" ]; then
        say "Try a click: curl -i $(demo_link)"
        say "Keys and passwords of the demo: $STATE/demo.json"
    else
        sed -n '/\/setup\//s/^ */The first administrator, once: /p' "$STATE/run/affiliated.out" >&2
    fi
}

number_in() {
    [[ $1 =~ ^[0-9]{1,6}$ ]] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}
