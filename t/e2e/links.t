#!/bin/bash
# A link's rules, dates and caps on their whole way: from the office through the database and the snapshot to the click.
# What could break: a name that API and edge spell differently, a cap that is forgotten with the edge's memory (the backend
# has to tell), a change of rules that needs more than itself to go live.
. "$(dirname "$0")/lib.sh"
own_state
start_demo --workers 2

take() { # take N: the demo's Nth link
    code=$(demo ".links[$1].code")
    id=$(staff GET "/api/admin/v1/links?code=$code" | jq -r '.data[0].id')
    fallback=$(staff GET "/api/admin/v1/campaigns/$(demo ".links[$1].campaign_id")" | jq -r .fallback)
}
take 0
change() { # change JSON: of the link, and it was taken
    staff PATCH "/api/admin/v1/links/$id" "$1" >"$TOP/change"
    [ "$(status)" = 200 ] || diag "$1: $(cat "$TOP/change")"
}
# One click of a browser: "status host-and-path" of the answer.  With HEAD nothing is recorded and no cap is used up.
click() { # click [CURL-OPTION...]
    curl -sS -o /dev/null --max-time 5 -A 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0' \
         -w '%{http_code} %{redirect_url}' "$@" "$URL/c/$code" | sed 's/?.*//'
}
# Stands in a condition of await: what a click would be answered now.
answers() { [ "$(click -I "${@:2}")" = "$1" ]; }
goes() { # goes NAME ANSWER [CURL-OPTION...]: soon
    await 10 answers "${@:2}"
    ok $? "$1" || diag "it is $(click -I "${@:3}")"
}

# ---- rules ----

change '{"destination": "https://shop.example/own", "redirect_status": 303, "referrer_policy": "no-referrer", "rules": [
    {"conditions": [{"subject": "language", "values": ["de"]}, {"subject": "browser", "negate": true, "values": ["safari"]},
                    {"subject": "schedule", "values": ["1-7 00:00-24:00"]}],
     "targets": [{"weight": 1, "destination": "https://shop.example/a"}, {"weight": 1, "destination": "https://shop.example/b"}]},
    {"conditions": [{"subject": "language", "values": ["fr"]}], "cap_day": 1,
     "targets": [{"destination": "https://shop.example/fr"}]}]}'
goes 'nobody whom a rule names' '303 https://shop.example/own' -H 'Accept-Language: en'
like "$(click -H 'Accept-Language: de')" '^303 https://shop.example/[ab]$' 'one of two targets'
for i in {1..40}; do click -H 'Accept-Language: de-AT'; echo; done | sort | uniq -c >"$TOP/shares"
is "$(wc -l <"$TOP/shares")" 2 "both of them: $(tr -s ' \n' ' ' <"$TOP/shares")"
is "$(click -H 'Accept-Language: fr') $(click -H 'Accept-Language: fr')" \
   '303 https://shop.example/fr 303 https://shop.example/own' "a rule's cap"
like "$(curl -sI -H 'Accept-Language: de' "$URL/c/$code")" $'\nReferrer-Policy: no-referrer\r' 'Referrer-Policy'

staff PATCH "/api/admin/v1/links/$id" '{"rules": [{"targets": [{"destination": "https://shop.example/"}]},
    {"conditions": [{"subject": "country", "values": ["Germany"]}], "targets": [{"destination": "https://shop.example/"}]}]}' \
    >"$TOP/refused"
is "$(status)" 422 "a rule that cannot be: $(cat "$TOP/refused")"
like "$(cat "$TOP/refused")" 'two capital letters' 'is explained'

# ---- dates ----

change '{"rules": [], "redirect_status": null, "ends_at": "2020-01-01T00:00:00Z"}'
goes 'a link that is over' "302 $fallback"
change '{"ends_at": null}'
goes 'and goes on' '302 https://shop.example/own'

# ---- caps: the edge stops by itself, and the backend remembers ----

capped_until() {
    staff GET "/api/admin/v1/links/$id" | jq -r '.capped_until // "not yet"'
}
capped() { [ "$(capped_until)" != 'not yet' ]; }
take 1 # nobody has clicked on this one
change '{"cap_day": 3, "destination": "https://shop.example/few"}'
goes 'the edge has heard of the cap' '302 https://shop.example/few'
# the other worker may hear of it a moment later: until then it sends to the old place, and counts nothing
few=0
for i in {1..40}; do
    case $(click) in
        '302 https://shop.example/few') few=$((few + 1)) ;;
        "302 $fallback")                break ;;
    esac
done
is "$few" 3 'three clicks and no more'
await 30 capped
ok $? "the backend knows: until $(capped_until)"
./build.sh stop --state "$STATE" >/dev/null 2>&1
start_demo --workers 2
goes 'another nginx, which has counted nothing, keeps it closed' "302 $fallback"
is "$(click)" "302 $fallback" 'for clicks too'
change '{"cap_day": 1000}'
goes 'a higher cap opens it' '302 https://shop.example/few'

done_testing
