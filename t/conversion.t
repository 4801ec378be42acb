# Conversions: who may post one, what it may say, and that a yes is only said after the record.
#
# Guards money: a key of the wrong role, a forged click id or an unclear amount must leave nothing in the
# journal and get one clear error; what is accepted must be there word for word.  Keys are judged before bodies are read, so
# a body nobody wanted must not confuse the connection's next request either.
use lib 't/lib';
use TestAffiliate;

our $click = click_id(11, now_ms() - 60000, 1);
our $retired = click_id(11, now_ms() - 60000, 2, 2);
our $bearer = "Authorization: Bearer ak_advertiser\n";
(our $forged = $click) =~ s/(.)$/$1 eq 'z' ? 'y' : 'z'/e;

# A JSON body and its header.
our $post = sub { "POST /postback\n$_[0]" };

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: a form with everything is accepted and recorded word for word
--- request eval
"POST /postback\nclick_id=$::click&event=ftd&amount=12.5&currency=usd&txid=order+1%2F2&status=approved&event_time=" . int(time - 100)
    . "&p1=one&p2=zwei%20%C3%A4&p10=ten&unknown=x"
--- more_headers eval
$::bearer . "Content-Type: application/x-www-form-urlencoded\n"
--- response_headers
Content-Type: application/json
Cache-Control: no-store
--- response_body_like chop
^\{"data":\{"id":"[0-9a-f]{12}-1","status":"accepted"\}\}$
--- log
^[-0-9A-Z_a-z]{40} - - - 91 accepted$
--- events
{"kind": "money", "sequence": 1, "type": "conversion", "program": 7, "api_user": 91, "auth": 1, "status": 1, "amount": "12.50", "currency": "USD", "event_time_ms": "~000$", "event": "ftd", "txid": "order 1/2", "ip": "127.0.0.1", "p1": "one", "p2": "zwei \\xc3\\xa4", "p3": null, "p10": "ten", "click": {"verdict": "ok", "link": 11, "sequence": 1}}
--- no_error_log
[error]



=== TEST 2: a GET with the least
--- request eval
"GET /postback?cid=$::click"
--- more_headers
X-Api-Key: ak_advertiser
--- response_body_like: accepted
--- events
{"event": "sale", "status": null, "amount": null, "currency": null, "txid": null, "event_time_ms": null, "p1": null}



=== TEST 3: JSON; whole numbers are numbers, null is absent
--- request eval
qq(POST /postback\n{"click_id":"$::click","amount":20,"currency":"EUR","txid":4711,"status":null,"event":"lead","p3":"\\u00e4","other":{"a":[1.5]}})
--- more_headers eval
$::bearer . "Content-Type: application/json; charset=utf-8\n"
--- response_body_like: accepted
--- events
{"event": "lead", "amount": "20.00", "currency": "EUR", "txid": "4711", "status": null, "p3": "\\xc3\\xa4"}



=== TEST 4: the program's currency is the default
--- request eval
["GET /postback?click_id=$::click&amount=3.10", "GET /postback?click_id=$::click&amount=3.10"]
--- more_headers eval
["authtoken: ak_advertiser", "authtoken: ak_dollars"]
--- error_code eval
[200, 200]
--- events
{"amount": "3.10", "currency": "EUR", "program": 7}
{"amount": "3.10", "currency": "USD", "program": 8}



=== TEST 5: an amount without a currency, of a program the snapshot lacks
--- request eval
"GET /postback?click_id=$::click&amount=3.10"
--- more_headers
X-Api-Key: ak_no_program
--- error_code: 400
--- response_body_like: "code":"currency_invalid"
--- events



=== TEST 6: every alias
--- request eval
["GET /postback?clickid=$::click&tid=a", "GET /postback?transaction_id=$::click&order_id=b", "GET /postback?subid=$::click&txid=c"]
--- more_headers eval
$::bearer
--- error_code eval
[200, 200, 200]
--- events
{"txid": "a"}
{"txid": "b"}
{"txid": "c"}



=== TEST 7: the first of repeated parameters counts, and the body before the query
--- request eval
"POST /postback?txid=query&p1=query\nclick_id=$::click&txid=first&txid=second"
--- more_headers eval
$::bearer . "Content-Type: application/x-www-form-urlencoded\n"
--- error_code: 200
--- events
{"txid": "first", "p1": "query"}



=== TEST 8: a click id of a key that no longer signs, and an empty body
--- request eval
"POST /postback?click_id=$::retired\n"
--- more_headers eval
$::bearer . "Content-Length: 0\n"
--- error_code: 200
--- events
{"click": {"verdict": "ok", "key": 2}}



=== TEST 9: no key; errors are JSON, say where to read on, and how to authenticate
--- request eval
"GET /postback?click_id=$::click"
--- error_code: 401
--- response_headers
Content-Type: application/json
WWW-Authenticate: Bearer
Cache-Control: no-store
--- response_body
{"error":{"code":"key_missing","message":"Send an API key as 'Authorization: Bearer KEY', 'X-Api-Key: KEY' or 'authtoken: KEY'.","doc_url":"/docs/errors#key_missing"}}
--- log
- - - - - key_missing$
--- events



=== TEST 10: a key in the query is no key
--- request eval
["GET /postback?click_id=$::click&key=ak_advertiser&api_key=ak_advertiser&authtoken=ak_advertiser"]
--- error_code eval
[401]
--- events



=== TEST 11: unknown, revoked and malformed keys
--- request eval
[("GET /postback?click_id=$::click") x 6]
--- more_headers eval
["X-Api-Key: ak_advertise", "X-Api-Key: ak_revoked", "Authorization: Basic ak_advertiser", "Authorization: Bearer ",
 "X-Api-Key: " . "a" x 300, "Authorization: Bearer ak_advertiser x"]
--- error_code eval
[401, 401, 401, 401, 401, 401]
--- response_body_like eval
["key_unknown", "key_unknown", "key_missing", "key_missing", "key_unknown", "key_unknown"]
--- events



=== TEST 12: paused, expired, of an affiliate, without the scope; in this order
--- request eval
[("GET /postback?click_id=$::click") x 5]
--- more_headers eval
["X-Api-Key: ak_paused", "X-Api-Key: ak_expired", "X-Api-Key: ak_affiliate", "X-Api-Key: ak_stats_only", "X-Api-Key: ak_all_scopes"]
--- error_code eval
[403, 403, 403, 403, 200]
--- response_body_like eval
["user_paused", "key_expired", "scope_denied", "scope_denied", "accepted"]
--- events
{"api_user": 92}



=== TEST 13: Bearer in any case; it comes before X-Api-Key
--- request eval
"GET /postback?click_id=$::click"
--- more_headers
Authorization: bearer  ak_advertiser
X-Api-Key: ak_paused
--- error_code: 200
--- events
{"api_user": 91}



=== TEST 14: the key is judged before the body, which is then thrown away
--- pipelined_requests eval
["POST /postback\nclick_id=$::click&txid=1", "GET /postback?click_id=$::click&txid=2"]
--- more_headers eval
["Content-Type: application/x-www-form-urlencoded\n", "X-Api-Key: ak_advertiser\n"]
--- error_code eval
[401, 200]
--- events
{"txid": "2"}



=== TEST 15: click ids
--- request eval
["GET /postback", "GET /postback?click_id=", "GET /postback?click_id=abc", "GET /postback?click_id=$::forged",
 "GET /postback?click_id=" . "-" x 40, "GET /postback?click_id=" . "%00" x 40]
--- more_headers eval
$::bearer
--- error_code eval
[400, 400, 400, 400, 400, 400]
--- response_body_like eval
["click_id_missing", "click_id_missing", "click_id_invalid", "click_id_invalid", "click_id_invalid", "parameter_malformed"]
--- events



=== TEST 16: amounts and currencies
--- request eval
[map { "GET /postback?click_id=$::click&$_" } "amount=abc", "amount=1,50", "amount=1e3", "amount=-1", "amount=1.005", "amount=1000000000000000",
 "amount=1&currency=XXY", "amount=1&currency=EURO", "currency=EUR", "amount=.5", "amount=1.500", "amount=0", "amount=1.5&currency=JPY", "amount=150&currency=JPY"]
--- more_headers eval
$::bearer
--- error_code eval
[400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 200, 200, 400, 200]
--- response_body_like eval
["amount_invalid", "amount_invalid", "amount_invalid", "amount_negative", "amount_too_precise", "amount_out_of_range",
 "currency_invalid", "currency_invalid", "amount_missing", "amount_invalid", "accepted", "accepted", "amount_too_precise", "accepted"]
--- events
{"amount": "1.50"}
{"amount": "0.00"}
{"amount": "150", "currency": "JPY"}



=== TEST 17: events and statuses
--- request eval
[map { "GET /postback?click_id=$::click&$_" } "event=Sale", "event=a-b", "event=" . "a" x 33, "event=" . "a" x 32,
 "status=paid", "status=refunding", "status=rejected", "event=first_deposit_2"]
--- more_headers eval
$::bearer
--- error_code eval
[400, 400, 400, 200, 400, 400, 200, 200]
--- response_body_like eval
["event_invalid", "event_invalid", "event_invalid", "accepted", "status_invalid", "status_invalid", "accepted", "accepted"]
--- events
{"event": "~^a{32}$"}
{"status": 2}
{"event": "first_deposit_2"}



=== TEST 18: event_time in seconds and RFC 3339, within bounds
--- request eval
my @t = gmtime(time - 3600);
my $rfc = sprintf '%04d-%02d-%02dT%02d:%02d:%02d', $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0];
[map { "GET /postback?click_id=$::click&event_time=$_" } time - 3600, "${rfc}Z", "$rfc.25%2B00:00", "$rfc-00:30",
 time + 3600, time - 400 * 86400, "yesterday", "2023-02-30T00:00:00Z", $rfc, "${rfc}Zx", "1e9", "-5", "9999999999999"]
--- more_headers eval
$::bearer
--- error_code eval
[200, 200, 200, 200, 400, 400, 400, 400, 400, 400, 400, 400, 400]
--- events eval
my $hour = substr(time - 3600, 0, 8);
qq({"event_time_ms": "~^$hour"}\n{"event_time_ms": "~^$hour"}\n{"event_time_ms": "~^$hour"}\n{"event_time_ms": "~000\$"})



=== TEST 19: too long, not UTF-8, control characters
--- request eval
[map { "GET /postback?click_id=$::click&$_" } "txid=" . "a" x 513, "txid=" . "a" x 512, "p1=%ff", "p1=a%0ab", "txid=%7f", "p1=%ed%a0%80",
 "p1=%e2%82%ac%f0%9f%98%80", "p1=%c3"]
--- more_headers eval
$::bearer
--- error_code eval
[400, 200, 400, 400, 400, 200, 200, 400]
--- response_body_like eval
["parameter_too_long", "accepted", "parameter_malformed", "parameter_malformed", "parameter_malformed", "accepted", "accepted", "parameter_malformed"]
--- events
{"txid": "~^a{512}$"}
{"p1": "\\xed\\xa0\\x80"}
{"p1": "\\xe2\\x82\\xac\\xf0\\x9f\\x98\\x80"}



=== TEST 20: JSON that is not one object of plain values
--- request eval
[map { $::post->($_) } '{"click_id":', '17', '"x"', '{"a":1}{"b":2}', '{"click_id":"a","click_id":"b"}', '{"amount":1.5}', '{"amount":true}', '{"txid":["a"]}',
 '{"txid":{"a":1}}', '{"p1":"\u0000"}', '{"event":"' . "\xff" . '"}', '[' x 5000, '']
--- more_headers eval
$::bearer . "Content-Type: application/json\n"
--- error_code eval
[400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400]
--- response_body_like eval
[("json_malformed") x 5, ("json_type_wrong") x 4, ("json_malformed") x 3, "click_id_missing"]
--- events



=== TEST 21: bodies of other types
--- request eval
["POST /postback\nclick_id=$::click", "POST /postback\nclick_id=$::click", "POST /postback\nclick_id=$::click", "POST /postback\nclick_id=$::click"]
--- more_headers eval
[$::bearer . "Content-Type: text/plain", $::bearer . "Content-Type: multipart/form-data; boundary=x", $::bearer . "Content-Type: application/jsonp",
 $::bearer . "Content-Type: APPLICATION/X-WWW-FORM-URLENCODED ; a=b"]
--- error_code eval
[415, 415, 415, 200]
--- response_body_like eval
["body_type_unsupported", "body_type_unsupported", "body_type_unsupported", "accepted"]
--- events
{"event": "sale"}



=== TEST 22: a body of no type at all
--- request eval
"POST /postback\nclick_id=$::click"
--- more_headers eval
$::bearer
--- error_code: 415
--- events



=== TEST 23: 64 KiB is the limit, with a length and chunked; a large body passes through a file
--- request eval
[map { "POST /postback\nclick_id=$::click&x=" . "a" x ($_ - 52) } 65536, 65537]
--- more_headers eval
$::bearer . "Content-Type: application/x-www-form-urlencoded\n"
--- error_code eval
[200, 413]
--- response_body_like eval
["accepted", "body_too_large"]
--- events
{"event": "sale"}



=== TEST 24: chunked
--- raw_request eval
my $body = "click_id=$::click&txid=chunked";
"POST /postback HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Api-Key: ak_advertiser\r\n"
    . "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    . sprintf("%x\r\n%s\r\n", 10, substr($body, 0, 10)) . sprintf("%x\r\n%s\r\n0\r\n\r\n", length($body) - 10, substr($body, 10))
--- error_code: 200
--- response_body_like: accepted
--- events
{"txid": "chunked"}



=== TEST 25: chunked and too large: a form, and JSON that is no batch
--- raw_request eval
"POST /postback HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Api-Key: ak_advertiser\r\n"
    . "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    . sprintf("%x\r\n%s{}\r\n0\r\n\r\n", 70002, " " x 70000)
--- error_code: 413
--- response_body_like: body_too_large
--- events



=== TEST 26: other methods
--- request eval
["PUT /postback?click_id=$::click\nabc", "DELETE /postback?click_id=$::click", "HEAD /postback?click_id=$::click", "OPTIONS /postback"]
--- more_headers eval
$::bearer
--- error_code eval
[405, 405, 405, 405]
--- response_headers eval
[("Allow: GET, POST") x 4]
--- events



=== TEST 27: beside a proxy_pass only POST is ours, whichever stands first
--- config
location = /api/a { affiliate_conversion; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/other; }
location = /api/b { proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/other; affiliate_conversion; }
location = /other { return 200 "other $request_method"; }
--- request eval
["POST /api/a?click_id=$::click", "GET /api/a?click_id=$::click", "POST /api/b?click_id=$::click", "GET /api/b?click_id=$::click", "POST /api/b"]
--- more_headers eval
[$::bearer, $::bearer, $::bearer, $::bearer, "X-Api-Key: none"]
--- error_code eval
[200, 200, 200, 200, 401]
--- response_body_like eval
["accepted", "^other GET", "accepted", "^other GET", "key_unknown"]
--- events
{"event": "sale", "sequence": 1}
{"event": "sale", "sequence": 2}



=== TEST 28: answers come one a connection, in order, many at once
--- pipelined_requests eval
[map { "GET /postback?click_id=$::click&txid=$_" } 1 .. 10]
--- more_headers eval
$::bearer
--- error_code eval
[(200) x 10]
--- response_body_like eval
[map { "-$_\"" } 1 .. 10]
--- events eval
CORE::join "\n", map { qq({"txid": "$_", "sequence": $_}) } 1 .. 10



=== TEST 29: their names for ours; a level with aliases of its own inherits none
--- http
affiliate_alias order txid;
--- config
location = /a { affiliate_conversion; }
location = /b { affiliate_conversion; affiliate_alias "Order ID" txid; affiliate_alias amount p1; affiliate_alias total amount; }
--- request eval
["GET /a?click_id=$::click&order=1", "GET /b?click_id=$::click&order=2&txid=3&amount=x&total=5", "GET /b?click_id=$::click&Order%20ID=4&%74xi%64=5",
 qq(POST /b\n{"click_id":"$::click","total":"7","amount":"many"})]
--- more_headers eval
[$::bearer, $::bearer, $::bearer, $::bearer . "Content-Type: application/json\n"]
--- error_code eval
[200, 200, 200, 200]
--- events
{"txid": "1"}
{"txid": "3", "p1": "x", "amount": "5.00"}
{"txid": "4"}
{"txid": null, "p1": "many", "amount": "7.00"}



=== TEST 30: their values for ours, and what is given when nothing is; a value is translated once
--- http
affiliate_value status sale approved;
affiliate_value status A approved;
affiliate_value event 7 ftd;
affiliate_value event ftd other;
affiliate_default event lead;
affiliate_default p1 "$arg_x-$request_method";
--- request eval
["GET /postback?click_id=$::click&status=sale&event=7&x=1", "GET /postback?click_id=$::click&status=approved&event=ftd&p1=own",
 "GET /postback?click_id=$::click&status=a"]
--- more_headers eval
$::bearer
--- error_code eval
[200, 200, 400]
--- events
{"status": 1, "event": "ftd", "p1": "1-GET"}
{"status": 1, "event": "other", "p1": "own"}



=== TEST 31: a customer, a coupon, or an order that is known stand in for the click
--- request eval
[map { "GET /postback?$_" } "coupon=SPRING&txid=1", "coupon_code=SPRING&trader_id=t1&txid=2", "customer=4711&event=deposit&amount=5&txid=3",
 "customer_id=c&txid=4", "lead_id=l&order_id=5",
 "txid=1", "txid=1&status=approved", "txid=1&status=rejected", "status=approved", "coupon=%00"]
--- more_headers eval
$::bearer
--- error_code eval
[200, 200, 200, 200, 200, 400, 200, 200, 400, 400]
--- response_body_like eval
[("accepted") x 5, "click_id_missing", "accepted", "accepted", "click_id_missing", "parameter_malformed"]
--- events
{"coupon": "SPRING", "txid": "1", "customer": null}
{"coupon": "SPRING", "customer": "t1", "txid": "2"}
{"customer": "4711", "event": "deposit", "amount": "5.00", "txid": "3"}
{"customer": "c", "txid": "4"}
{"customer": "l", "txid": "5"}
{"txid": "1", "status": 1}
{"txid": "1", "status": 2}



=== TEST 32: refunds and chargebacks: of which order, and which part of it
--- request eval
[map { "GET /postback?$_" } "txid=1&status=refund", "txid=1&status=refunded&amount=3&refund_id=r1", "click_id=$::click&status=chargeback&refund_id=c1",
 "txid=1&status=chargeback_won&refund_id=c1", "txid=1&status=refund&amount=3", "customer=7&status=refund", "coupon=X&status=chargeback",
 "status=Refund&txid=2&event=ftd"]
--- more_headers eval
$::bearer
--- error_code eval
[200, 200, 200, 200, 400, 400, 400, 200]
--- response_body_like eval
["accepted", "accepted", "accepted", "accepted", "refund_id_missing", "txid_missing", "txid_missing", "accepted"]
--- events
{"txid": "1", "status": 3, "amount": null, "refund_id": null}
{"txid": "1", "status": 3, "amount": "3.00", "refund_id": "r1"}
{"status": 4, "refund_id": "c1", "click": {"verdict": "ok"}}
{"txid": "1", "status": 5, "refund_id": "c1"}
{"txid": "2", "status": 3, "event": "ftd"}



=== TEST 33: what products call a status
--- request eval
[map { "GET /postback?click_id=$::click&status=$_" } qw(Approved confirmed accepted hold open declined canceled cancelled trash)]
--- more_headers eval
$::bearer
--- error_code eval
[(200) x 9]
--- events
{"status": 1}
{"status": 1}
{"status": 1}
{"status": null}
{"status": null}
{"status": 2}
{"status": 2}
{"status": 2}
{"status": 2}



=== TEST 34: an amount in the currency's smallest unit
--- request eval
[map { "GET /postback?click_id=$::click&$_" } "amount_minor=1234", "amount_minor=1234&currency=jpy", "amount_minor=0", "amount_minor=12.34",
 "amount_minor=-5", "amount_minor=1000000000000001", "amount=1&amount_minor=100", "amount_minor=5&currency=XXY", "sale_amount=1.5"]
--- more_headers eval
$::bearer
--- error_code eval
[200, 200, 200, 400, 400, 400, 400, 400, 200]
--- response_body_like eval
["accepted", "accepted", "accepted", "amount_invalid", "amount_invalid", "amount_out_of_range", "amount_invalid", "currency_invalid", "accepted"]
--- events
{"amount": "12.34", "currency": "EUR"}
{"amount": "1234", "currency": "JPY"}
{"amount": "0.00"}
{"amount": "1.50"}



=== TEST 35: without a click a txid is what tells a repetition from a second sale: an answer may be lost
--- request eval
[map { "GET /postback?$_" } "customer=7&event=deposit&amount=5", "coupon=SPRING", "coupon=SPRING&customer=7&status=approved", "customer=7&txid=",
 "customer=7&txid=d1", "click_id=$::click&customer=7"]
--- more_headers eval
$::bearer
--- error_code eval
[400, 400, 400, 400, 200, 200]
--- response_body_like eval
[("txid_missing") x 4, ("accepted") x 2]
--- events
{"customer": "7", "txid": "d1"}
{"customer": "7", "txid": null, "click": {"verdict": "ok"}}
