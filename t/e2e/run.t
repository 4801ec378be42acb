#!/bin/bash
# `run` and `stop` as their user meets them: clear errors instead of half a start, a second run that carries on with
# the same data, and a supervisor that brings back what dies.  What could break: a stale pid file kills a
# stranger, two runs share a state, an orphaned worker keeps the port.
. "$(dirname "$0")/lib.sh"
own_state

run_fails() { # run_fails NAME REGEX OPTION...
    local name=$1 regex=$2
    shift 2
    timeout 120 ./build.sh run "$@" >"$TOP/out" 2>&1
    [ $? = 1 ] && like "$(cat "$TOP/out")" "$regex" "$name"
}
answers() { [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 2 "$URL/affiliate/status")" = 200 ]; }
ready() { [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 2 "$URL/readyz")" = 200 ]; }
pids() { pgrep -f -- "$STATE"; }
gone() { ! kill -0 "$1" 2>/dev/null; }
nothing_left() { ! pids >/dev/null; }

# ---- errors ----

run_fails 'a bad port' 'port.*65535' --port 70000 --state "$STATE"
run_fails 'an unknown option' 'unknown option: --fast' --fast
run_fails 'an option without its value' '--state needs a value' --state
mkdir "$TOP/full" && touch "$TOP/full/file"
run_fails 'a folder that holds something else' 'holds something else' --port "$PORT" --state "$TOP/full"
run_fails 'a path that nginx could not quote' 'must not hold blanks' --port "$PORT" --state "$TOP/a b"
if [ "$(id -u)" = 0 ]; then
    mkdir "$TOP/theirs" && chown nobody "$TOP/theirs"
    run_fails 'a state of another user' 'belongs to nobody' --port "$PORT" --state "$TOP/theirs"
fi
perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", LocalPort => shift)
    or die; $| = 1; print "listening\n"; sleep 60' "$PORT" >"$TOP/listening" &
squatter=$!
await 10 test -s "$TOP/listening"
run_fails 'a port in use' "port $PORT is in use" --port "$PORT" --state "$STATE"
kill $squatter
wait $squatter 2>/dev/null

# ---- a first run, and what it leaves alone ----

start_demo --workers 2
answers
ok $? 'run --detach returns when it answers'
like "$(cat "$LOG")" "$URL/c/" 'and prints a link to try'
run_fails 'a second run on a living state' 'already running' --port "$(free_port)" --state "$STATE"
key=$(sha256sum <"$STATE/etc/edge.key")
click() { curl -sS -o /dev/null -D - "$URL/c/$(demo '.links[0].code')" | sed -n 's/^Set-Cookie: aff_[0-9]*=[^.]*\.\([^;]*\).*/\1/p'; }
first=$(click)
like "$first" '^[-0-9A-Z_a-z]{40}$' 'a click is answered'
curl -s -o /dev/null "$URL/setup/setup_whoever-reads-this-is-admin"
curl -s -o /dev/null "$URL/confirm/whoever-reads-this-confirms"
logged() { grep -q " /healthz" "$STATE/log/access.log"; }
curl -s -o /dev/null "$URL/healthz"
await 10 logged
ok $? 'requests are logged'
grep -rq whoever-reads-this "$STATE/log"
is $? 1 'but the secret of a set-up link stands in no log, nor that of a link to confirm by'
kill -STOP "$(cat "$STATE/run/supervisor.pid")" # nobody brings it back meanwhile
kill -9 "$(cat "$STATE/run/affiliated.pid")"
for path in setup/setup_whoever-reads-this-is-admin confirm/whoever-reads-this-confirms api/admin/v1/session; do
    is "$(curl -s -o /dev/null -w '%{http_code}' "$URL/$path")" 502 "$path, while the backend is down"
done
kill -CONT "$(cat "$STATE/run/supervisor.pid")"
await 20 ready
complained() { grep -q 'upstream.*GET /api/admin/v1/session' "$STATE/log/nginx.log"; }
await 10 complained
ok $? 'a backend that is down is named in the error log'
grep -rq whoever-reads-this "$STATE/log"
is $? 1 'but not with the secret of such a link'
head -c 1500000 /dev/zero | curl -s -H 'Content-Type: application/json' --data-binary @- "$URL/api/admin/v1/session" >"$TOP/large"
like "$(cat "$TOP/large")" '"code":"body_too_large"' 'a body that is too large is refused in JSON'
if [ "$(id -u)" = 0 ]; then
    is "$(ps -o user= -p "$(cat "$STATE/run/redis.pid")" "$(cat "$STATE/run/affiliated.pid")" | sort -u)" www-data \
       'as root, Redis and affiliated run as the worker user'
    is "$(ps -o user= --ppid "$(cat "$STATE/run/nginx.pid")" | sort -u)" www-data "and so do nginx's workers"
fi
is "$(ss -Hltnp 2>/dev/null | grep -cE "pid=($(pids | tr '\n' '|')0)," )" 1 'one port is open: nginx, on loopback'

# ---- what dies comes back ----

for name in redis affiliated nginx; do
    pid=$(cat "$STATE/run/$name.pid")
    kill -9 "$pid"
    await 10 gone "$pid" && await 20 ready && await 10 answers
    ok $? "$name is back after kill -9"
done

# ---- stop, and carry on ----

# At once after the kills: what is not yet in the database waits in the journal.
last=$(click)
./build.sh stop --state "$STATE"
ok $? 'stop'
! answers
ok $? 'nothing answers any more'
is "$(pids)" '' 'nothing is left running'
./build.sh stop --state "$STATE" 2>/dev/null
is $? 1 'a second stop says that nothing runs'

port=$PORT PORT=$(free_port) URL=http://127.0.0.1:$PORT
start_demo
is "$(demo .base_url)" "$URL" 'a later run may have another port, and demo.json says so'
is "$(sha256sum <"$STATE/etc/edge.key")" "$key" 'the key is the same'
both_there() {
    affiliated export clicks --format csv | cut -d, -f1 >"$TOP/ids"
    grep -qxF -e "$first" "$TOP/ids" && grep -qxF -e "$last" "$TOP/ids"
}
await 20 both_there
ok $? 'the data is the same, and the last click before stop has arrived'

# ---- the supervisor itself dies ----

kill -9 "$(cat "$STATE/run/supervisor.pid")"
await 20 nothing_left
ok $? 'a killed supervisor leaves nothing running'
echo $$ >"$STATE/run/supervisor.pid"
./build.sh stop --state "$STATE" 2>/dev/null
is $? 1 "a stale pid file with a stranger's pid kills nobody"
start_demo
await 10 answers
ok $? 'the next run starts all the same'
./build.sh stop --state "$STATE"

# ---- in the foreground ----

./build.sh run --port "$PORT" --state "$STATE" >"$TOP/foreground" 2>&1 &
foreground=$!
await 60 answers
ok $? 'run in the foreground answers'
kill -TERM $foreground
wait $foreground
is $? 0 'TERM ends it'
is "$(pids)" '' 'and everything it started'

done_testing
