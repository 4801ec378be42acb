# affiliate_pixel: what a visitor's browser may claim, and what it may not.
#
# Guards money and postbacks: anybody can call a pixel, so its amount and status must come from nowhere, another program's
# cookie must not count, and a flood of pixels must not take the room of conversions that somebody vouches for.  A shop's
# page never sees an error.
use lib 't/lib';
use TestAffiliate;

our $first = click_id(11, now_ms() - 90000, 1);
our $last = click_id(11, now_ms() - 60000, 2);
(our $forged = $last) =~ s/(.)$/$1 eq 'z' ? 'y' : 'z'/e;
our $cookie = 'Cookie: ' . cookie(7, $first, $last) . "\n";
our $gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
our $px = 'location = /px { affiliate_pixel; } location = /px7 { affiliate_pixel program=7; }
    location = /few { affiliate_pixel program=7 rate=2; set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP; }
    location ~ ^/p/(\d+)$ { affiliate_pixel program=$1 rate=0; } location = /off { affiliate_cookie off; affiliate_pixel program=7; }
    location = /status { affiliate_status; } location = /postback { affiliate_conversion; }';

add_block_preprocessor(sub { my ($block) = @_; $block->set_value('config', $px) if !defined $block->config; });
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: by cookie, with what may be said; pending, without an amount, in the journal of traffic
--- request
GET /px?program=7&event=lead&txid=o%201&coupon=C&customer=c7&p1=x&amount=100&amount_minor=100&currency=EUR&status=approved&event_time=1&refund_id=r&sale_amount=7
--- more_headers eval
"${main::cookie}Referer: https://shop.example/thanks?o=1"
--- response_headers
Content-Type: image/gif
Cache-Control: no-store
Content-Length: 43
--- response_body eval
$::gif
--- log
^- - - - - accepted$
--- events eval
qq({"kind": "traffic", "type": "conversion", "program": 7, "api_user": null, "auth": 4, "status": null, "amount": null, "event_time_ms": null, "refund_id": null,
 "cookie_first": "$::first", "cookie_last": "$::last", "event": "lead", "txid": "o 1", "coupon": "C", "customer": "c7", "p1": "x",
 "referrer": "https://shop.example/thanks?o=1", "ip": "127.0.0.1"}) =~ s/\n//gr
--- no_error_log
[error]



=== TEST 2: the configuration names the program; the query does not outvote it
--- request eval
["GET /px7?program=8", "GET /p/7", "GET /p/8"]
--- more_headers eval
$::cookie
--- error_code eval
[200, 200, 200]
--- log
accepted$
accepted$
click_id_missing$
--- events
{"program": 7, "event": "sale"}
{"program": 7}



=== TEST 3: nothing to go by: the picture, and a reason
--- request eval
["GET /px7", "GET /px7", "GET /px7", "GET /px?program=8", "GET /px", "GET /px?program=99", "GET /px?program=9", "GET /px?program=7x", "GET /px?program=4294967303",
 "GET /off", "GET /px7?event=Bad", "GET /px7?txid=%00", "GET /status"]
--- more_headers eval
["", "Cookie: aff_7=$::forged.$::forged", "Cookie: aff_7=x", $::cookie, $::cookie, $::cookie, $::cookie, $::cookie, $::cookie, $::cookie, $::cookie, $::cookie, ""]
--- error_code eval
[(200) x 13]
--- response_body_like eval
[("^GIF89a") x 12, '"pixels": 0,\s+"pixels_refused": 12']
--- log
click_id_missing$
click_id_missing$
click_id_missing$
click_id_missing$
program_unknown$
program_unknown$
program_unknown$
program_unknown$
program_unknown$
click_id_missing$
event_invalid$
parameter_malformed$
^- - - - - -$
--- events



=== TEST 4: affiliate.js keeps the id where no cookie travels: a click id in the query counts as one
--- request eval
["GET /px7?click_id=$::last", "GET /px7?click_id=$::forged", "GET /px7?coupon=SPRING&txid=1", "GET /px7?customer=4&txid=2",
 "GET /px7?coupon=SPRING", "GET /px7?customer=4"]
--- error_code eval
[(200) x 6]
--- log
^[-0-9A-Z_a-z]{40} - - - - accepted$
click_id_invalid$
accepted$
accepted$
txid_missing$
txid_missing$
--- events
{"auth": 4, "cookie_last": null, "click": {"verdict": "ok", "sequence": 2}}
{"coupon": "SPRING", "txid": "1"}
{"customer": "4", "txid": "2"}



=== TEST 5: HEAD and POST record nothing
--- request eval
["HEAD /px7", "POST /px7\nevent=sale", "OPTIONS /px7"]
--- more_headers eval
$::cookie
--- error_code eval
[200, 405, 405]
--- events



=== TEST 6: so many a minute and address, whatever it says about itself; IPv6 by its network
--- request eval
Time::HiRes::sleep(0.05) while time % 60 > 50;
[("GET /few") x 8]
--- more_headers eval
[map { $::cookie . "X-Real-IP: $_" } "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"]
--- error_code eval
[(200) x 8]
--- log
accepted$
accepted$
rate_limited$
accepted$
accepted$
accepted$
rate_limited$
accepted$
--- events
{"ip": "192.0.2.1"}
{"ip": "192.0.2.1"}
{"ip": "192.0.2.2"}
{"ip": "20010db8000000000000000000000001"}
{"ip": "20010db8000000000000000000000002"}
{"ip": "20010db8000000010000000000000001"}



=== TEST 7: a flood of pixels leaves the room of postbacks alone
--- http
affiliate_journal traffic=16m money=16m;
--- request eval
[(map { "GET /p/7?p1=" . "a" x 500 } 1 .. 20), "GET /postback?click_id=$::last"]
--- more_headers eval
[($::cookie) x 20, "X-Api-Key: ak_advertiser"]
--- error_code eval
[(200) x 21]
--- events eval
CORE::join "\n", '{"kind": "money", "auth": 1}', ('{"kind": "traffic", "auth": 4}') x 20



=== TEST 8: what may not be kept of a visitor is not
--- config
location = /short { affiliate_ip truncate; affiliate_pixel program=7; }
location = /none { affiliate_ip off; affiliate_pixel program=7; }
location = /hash { affiliate_ip hash; affiliate_pixel program=7; }
location = /ask { affiliate_consent param=ok required; affiliate_pixel program=7; }
location = /px { affiliate_pixel program=7; }
--- request eval
["GET /short", "GET /none", "GET /hash", "GET /px", "GET /px?click_id=$::last", "GET /ask?coupon=C&txid=1", "GET /ask?ok=1"]
--- more_headers eval
[(map { "${main::cookie}Referer: https://shop.example/$_" } 1 .. 3), ("${main::cookie}Referer: https://shop.example/4\nSec-GPC: 1") x 2, ($::cookie) x 2]
--- error_code eval
[(200) x 7]
--- log
accepted$
accepted$
accepted$
click_id_missing$
accepted$
accepted$
accepted$
--- events
{"ip": "127.0.0.0", "referrer": "https://shop.example/1"}
{"ip": null, "referrer": "https://shop.example/2"}
{"ip": null}
{"ip": null, "referrer": null, "cookie_last": null, "click": {"verdict": "ok"}}
{"ip": null, "coupon": "C", "cookie_first": null}
{"ip": "127.0.0.1", "cookie_last": "~."}



=== TEST 9: an if in the location does not open it to other programs
--- config
location = /px { if ($arg_x) { set $y 1; } affiliate_pixel program=7; }
--- request eval
["GET /px?program=8&coupon=C&txid=1", "GET /px?program=8&coupon=C&txid=2&x=1"]
--- error_code eval
[200, 200]
--- log
accepted$
accepted$
--- events
{"program": 7}
{"program": 7}
