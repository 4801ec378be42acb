#!/bin/bash
# Leads while everything behind the edge is dead: affiliated and Redis are killed, then nginx in the middle of taking them,
# and the power goes (of every journal what it had not brought to the disk is gone); last the disk is full.  A partner asks
# again under its Idempotency-Key until it is answered.  What could break: a lead that was answered and is nowhere, or
# there twice; a retry that gets another id; a lead that is decided and never told, or never decided; a refusal that left
# half of a lead behind.
# Broken once on purpose (a lead that is sent again is not known again), this test was red.
. "$(dirname "$0")/lib.sh"

FAULT_KEEP_SYNCED=1 fault_demo --workers 2
# lose_unsynced: journals become what was on the disk; one that never was is gone.  Prints how many lost something.
lose_unsynced() {
    local file kept lost=0
    for file in "$STATE"/edge/journal/*.[0-9]*; do
        kept=$TOP/synced/${file##*/}
        [ ! -e "$kept" ] || ! cmp -s "$file" "$kept" || continue
        lost=$((lost + 1))
        if [ -e "$kept" ]; then cat "$kept" >"$file"; else rm "$file"; fi
    done
    echo $lost
}
KEY=$(demo .lead_user.key)
OURS="email_key GLOB '*-[0-9]*@example.com'" # the demo has some of its own

# ask NAME [COUNT]: leads 1 to COUNT of that name are sent once, or with no COUNT those that no 2xx has answered yet.  Each is
# a person and an Idempotency-Key of its own.  $TOP/NAME.answers has status, number, id and Retry-After of every answer.
ask() {
    local name=$1
    mkdir -p "$TOP/$name.d"
    touch "$TOP/$name.answers"
    if [ $# = 2 ]; then seq "$2"; else unanswered "$name"; fi | awk -v url="$URL/api/v1/leads" -v key="$KEY" -v name="$name" \
        -v folder="$TOP/$name.d" -v note="${NOTE:-}" '
        NR > 1 { print "next" }
        { printf "url = \"%s\"\nheader = \"Authorization: Bearer %s\"\nheader = \"Content-Type: application/json\"\n", url, key
          printf "header = \"Idempotency-Key: %s-%s\"\noutput = \"%s/%s\"\nmax-time = 15\n", name, $1, folder, $1
          printf "data = \"{\\\"email\\\":\\\"%s-%s@example.com\\\",\\\"note\\\":\\\"%s\\\"}\"\n", name, $1, note
          printf "write-out = \"%%{http_code} %s %%header{retry-after}\\n\"\n", $1 }' >"$TOP/$name.curl"
    [ -s "$TOP/$name.curl" ] || return 0
    curl -s --parallel --parallel-max 8 -K "$TOP/$name.curl" >"$TOP/$name.said" 2>/dev/null
    while read -r status number retry; do # afterwards: the clients must not be held up by their books
        id=$(jq -r '.data.id // empty' "$TOP/$name.d/$number" 2>/dev/null)
        echo "$status $number ${id:--} $retry"
    done <"$TOP/$name.said" >>"$TOP/$name.answers"
}
unanswered() {
    awk 'FILENAME ~ /answers$/ { if ($1 ~ /^20[12]$/) answered[$2] = 1; next } !($1 in answered)' "$TOP/$1.answers" "$TOP/$1.all"
}
# leads NAME COUNT: until each was answered 201 or 202.
leads() {
    local tries
    seq "$2" >"$TOP/$1.all"
    : >"$TOP/$1.answers"
    for ((tries = 0; tries < 300; tries++)); do
        [ -n "$(unanswered "$1")" ] || return 0
        ask "$1"
        sleep 0.1
    done
    return 1
}
# Forms: page N keeps the token of a page that was shown, fill N sends it.
FORM=$URL/f/$(demo '.forms[0].key')
page() { curl -sS "$FORM" | sed -n 's/.*name="_token" value="\([^"]*\)".*/\1/p' >"$TOP/token.$1"; [ -s "$TOP/token.$1" ]; }
fill() {
    curl -sS --max-time 15 -o "$TOP/filled" -w '%{http_code}\n' --data-urlencode "_token=$(cat "$TOP/token.$1")" \
        --data-urlencode "email=form-$1@example.com" --data-urlencode first_name=Ann --data-urlencode newsletter=1 "$FORM"
}
forms_there() { [ "$(sql "SELECT count(*) FROM leads WHERE kind = 'form' AND $OURS")" -ge "$1" ]; }

statuses() { cut -d' ' -f1 "$TOP/$1.answers" | sort -u | paste -sd ' '; }
ids() { awk '$1 ~ /^20[12]$/ { print $2, $3 }' "$TOP/$1.answers" | sort -u; } # number and id; one line each, if retries agree

decided() { [ "$(sql 'SELECT count(*) FROM lead_facts WHERE outcome IS NULL')" = 0 ]; }
all_there() {
    cat "$TOP"/*.answers | awk '$1 ~ /^20[12]$/ { print $3 }' | sort -u >"$TOP/told"
    sql "SELECT uid FROM leads WHERE kind = 'api' AND $OURS" | sort >"$TOP/leads"
    cmp -s "$TOP/told" "$TOP/leads" && decided
}

# ---- all is well ----

leads before 40
ok $? 'leads are answered'
is "$(statuses before)" 201 '... with the verdict of the database' || diag "$(cut -d' ' -f1 "$TOP/before.answers" | sort | uniq -c)"
ask before 40
is "$(ids before | wc -l)" 40 'whoever asks again gets the same id'

shown=0
for n in {1..8}; do page "$n" && shown=$((shown + 1)); done
is $shown 8 'forms are shown'
shown_at=$SECONDS

# ---- affiliated and Redis are dead ----

freeze supervisor
end affiliated 9
ok $? 'affiliated is dead'
end redis 9
ok $? 'Redis is dead'
leads down 120
ok $? 'leads are answered all the same'
is "$(statuses down)" 202 '... that they are safe, and not decided yet'
ask down 30
is "$(ids down | wc -l)" 120 'the same id for who asks again'
old_enough() { [ $((SECONDS - shown_at)) -ge 4 ]; } # min_fill_s: nobody fills one in sooner
await 10 old_enough
is "$(for n in {1..8}; do fill $n; done | sort | uniq -c | tr -s ' ')" ' 8 303' 'forms are taken as well'
is "$(fill 1)" 303 '... one of them twice, by somebody who was impatient'
clicks unshipped 4000
clicks_end unshipped

# ---- nginx dies in the middle of it, and the power goes ----

leads dying 150 &
client=$!
await 20 eval '[ "$(ls "$TOP/dying.d" 2>/dev/null | wc -l)" -ge 20 ]'
dead=("$(pid_of nginx)" $(workers))
kill -9 "${dead[@]}"
await 10 all_gone "${dead[@]}"
ok $? "${#dead[@]} processes of nginx are gone"
answered=$(ls "$TOP/dying.d" | wc -l)
ok $((answered >= 150)) "... with $((150 - answered)) of 150 leads on their way"
lost=$(lose_unsynced)
ok $((lost == 0)) "what $lost files had not brought to the disk is gone"
traffic=$(sql "SELECT lower(hex(uuid)) || ':' || next_seq FROM journals WHERE kind = 'traffic'")
perl t/faults/power_loss.pl $RANDOM "$STATE/edge/journal" $traffic >"$TOP/damage"
[ "$(grep -c . "$TOP/damage")" -ge 20 ]
ok $? "... and of the clicks what is damaged: $(wc -l <"$TOP/damage")"

thaw supervisor
await 30 ready
ok $? 'everything is started again'
wait $client
ok $? 'every lead is taken in the end'
await 60 all_there
ok $? "each of $(wc -l <"$TOP/told") leads that were answered is there once, and no other" ||
    diag "$(diff "$TOP/told" "$TOP/leads" | head -n 5)" "$(sql 'SELECT outcome, count(*) FROM lead_facts GROUP BY 1')"

await 20 forms_there 8
is "$(sql "SELECT count(*), count(DISTINCT email_key) FROM leads WHERE kind = 'form' AND $OURS")" '8|8' 'so are those of the forms'

# ---- what they are told now ----

ask down 120
is "$(grep -c ^201 "$TOP/down.answers")" 120 'whoever asks again hears the verdict' ||
    diag "$(cut -d' ' -f1 "$TOP/down.answers" | sort | uniq -c)"
is "$(ids down | wc -l)" 120 '... of the same lead'
id=$(awk 'END { print $3 }' "$TOP/down.answers")
is "$(curl -sS -H "X-Api-Key: $KEY" "$URL/api/v1/leads/$id" | jq -r .data.verdict)" created 'its status URL knows it'
is "$(curl -sS -H "X-Api-Key: $KEY" "$URL/api/v1/leads?page_size=1" | jq .total)" \
   "$(sql "SELECT count(*) FROM leads WHERE affiliate_id = (SELECT affiliate_id FROM leads WHERE uid = '$id')")" \
   'the partner counts as many'

# ---- affiliated dies between a lead's record and its verdict ----

leads killed 200 &
client=$!
bit=0
for i in 1 2 3; do
    sleep "0.$((RANDOM % 5 + 2))"
    end affiliated 9 && await 30 ready && bit=$((bit + 1))
done
is $bit 3 'affiliated was killed three times'
wait $client
ok $? 'every lead is taken'
await 60 all_there
ok $? 'each is there once' || diag "$(diff "$TOP/told" "$TOP/leads" | head -n 5)"

# ---- the disk is full ----

await 30 drained
if [ "$(id -u)" = 0 ] && ./build.sh stop --state "$STATE" >>"$LOG" 2>&1 &&
    mount -t tmpfs -o size=24m tmpfs "$STATE/edge"; then
    TIDY+=("await 5 umount $STATE/edge" "./build.sh stop --state $STATE")
    start_demo --workers 2
    await 5 same_snapshot
    page 9
    shown_at=$SECONDS
    fallocate -l $(($(df --output=avail -B 4096 "$STATE/edge" | tail -n 1) * 4096)) "$STATE/edge/ballast"
    is "$(df --output=avail "$STATE/edge" | tail -n 1 | tr -d ' ')" 0 'the disk is full'
    CLICK_QUERY="?$(for i in {1..10}; do printf '&sub%d=%s' "$i" "$(printf 'x%.0s' {1..500})"; done)" clicks full 1500
    clicks_end full
    NOTE=$(printf 'x%.0s' {1..4000}) leads full 250 &
    client=$!
    await 30 grep -qs '^503' "$TOP/full.answers"
    ok $? 'leads are refused'
    await 10 old_enough
    fill 9 >"$TOP/form.full"
    rm "$STATE/edge/ballast"
    form_taken() { [ "$(fill 9 | tee -a "$TOP/form.full")" = 303 ]; }
    await 20 form_taken
    is "$(grep -vE '^(303|503)$' "$TOP/form.full")" '' "a form is taken, or refused and taken later: $(paste -sd' ' "$TOP/form.full")"
    wait $client
    ok $? 'every lead is taken in the end'
    is "$(awk '$1 !~ /^20/ { print $1, $4 }' "$TOP/full.answers" | sort -u)" '503 2' 'what was refused was 503 with Retry-After'
    await 60 all_there
    [ $? = 0 ] && forms_there 9
    ok $? "each of $(wc -l <"$TOP/told") is there once, and the form, none by halves" || diag "$(diff "$TOP/told" "$TOP/leads" | head -n 5)"
else
    ok 0 'the disk is full # SKIP only root can mount a small one'
fi

# ---- the books ----

is "$(sql 'SELECT count(*) - count(DISTINCT email_key) FROM leads')" 0 'nobody is two leads'
is "$(sql "SELECT count(*) FROM lead_log WHERE verdict = 'created' AND email GLOB '*-[0-9]*@example.com'")" \
   "$(($(wc -l <"$TOP/told") + $(sql "SELECT count(*) FROM leads WHERE kind = 'form' AND $OURS")))" 'the log says so of each, once'
is "$(sql "SELECT verdict, count(*) FROM lead_log WHERE verdict NOT IN ('created', 'repeated')
           AND email GLOB '*-[0-9]*@example.com' GROUP BY 1")" '' 'and nothing else happened'
await 30 derived
is "$(sql "SELECT count(*), count(DISTINCT lead_id) FROM referrals WHERE event = 'lead' AND lead_id IN
           (SELECT CAST(id AS TEXT) FROM leads WHERE kind = 'api' AND $OURS)")" "$(wc -l <"$TOP/told")|$(wc -l <"$TOP/told")" \
    'each is one referral'
verify_books

done_testing
