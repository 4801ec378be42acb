# Who may send conversions: the order of the checks, networks behind a proxy, rates, tokens, and what a log shows.
#
# Guards money and the keys themselves: whoever is refused must hear the documented reason, before his body is read, and
# the one that tells him least; a forged X-Forwarded-For must not open a network; a token must not stand in a log.
use lib 't/lib';
use TestAffiliate;

our $click = click_id(11, now_ms() - 60000, 1);
our $rows = join "\n", @ROWS,
    # all of it wrong at once, then one thing less wrong at a time
    'key 71 7 5 2 1 0 1600000000000 ak_w1 networks=192.0.2.1 rate=1',
    'key 72 7 5 1 1 0 1600000000000 ak_w2 networks=192.0.2.1 rate=1',
    'key 73 7 5 1 1 0 0 ak_w3 networks=192.0.2.1 rate=1',
    'key 74 7 5 1 1 0 0 ak_w4 networks=127.0.0.0/8 rate=1',
    'key 75 7 0 1 2 1 0 ak_w5 networks=127.0.0.0/8 rate=1',
    'key 76 7 0 1 2 1 0 ak_office networks=192.0.2.0/24,2001:db8::/32',
    'key 77 7 0 1 2 1 0 ak_minute rate=3',
    'key 78 7 0 1 2 1 0 ak_nowhere networks=',
    'key 79 7 0 1 2 1 0 ak_token networks=127.0.0.1';
our $behind = 'location = /postback { set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP; affiliate_conversion; }';
our $new_minute = sub { Time::HiRes::sleep(0.05) while time % 60 > 50; };

add_block_preprocessor(sub { my ($block) = @_; $block->set_value('rows', $rows) if !defined $block->rows; });
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: state, expiry, network, scope, rate: in this order, and all of them before the body
--- request eval
$::new_minute->();
[map { "POST /postback\nthis is not read" } 1 .. 8]
--- more_headers eval
[(map { "X-Api-Key: ak_w$_\n" } 1 .. 5), "X-Api-Key: ak_w5", "X-Api-Key: ak_none", ""]
--- error_code eval
[403, 403, 403, 403, 415, 429, 401, 401]
--- response_body_like eval
["user_paused", "key_expired", "ip_denied", "scope_denied", "body_type_unsupported", "rate_limited", "key_unknown", "key_missing"]
--- events



=== TEST 2: networks, by the address that realip found
--- config eval
$::behind
--- request eval
[("GET /postback?click_id=$::click") x 7]
--- more_headers eval
[map { "X-Api-Key: ak_office\n$_" } "X-Real-IP: 192.0.2.77", "X-Real-IP: 2001:db8:1::5", "X-Real-IP: ::ffff:192.0.2.9", "X-Real-IP: 192.0.3.1",
 "X-Real-IP: 2001:db9::1", "X-Forwarded-For: 192.0.2.77", ""]
--- error_code eval
[200, 200, 200, 403, 403, 403, 403]
--- response_body_like eval
[("accepted") x 3, ("ip_denied") x 4]
--- events
{"ip": "192.0.2.77"}
{"ip": "20010db8000100000000000000000005"}
{"ip": "192.0.2.9"}



=== TEST 3: without realip a header is hearsay
--- request eval
[("GET /postback?click_id=$::click") x 3]
--- more_headers eval
[map { "X-Api-Key: ak_office\n$_" } "X-Real-IP: 192.0.2.77", "X-Forwarded-For: 192.0.2.77", "Forwarded: for=192.0.2.77"]
--- error_code eval
[403, 403, 403]
--- events



=== TEST 4: bound to no network at all: from nowhere
--- request eval
"GET /postback?click_id=$::click"
--- more_headers
X-Api-Key: ak_nowhere
--- error_code: 403
--- response_body_like: ip_denied
--- events



=== TEST 5: three a minute, then Retry-After until the next one; others are not touched
--- request eval
$::new_minute->();
[("GET /postback?click_id=$::click") x 6]
--- more_headers eval
[("X-Api-Key: ak_minute") x 5, "X-Api-Key: ak_advertiser"]
--- error_code eval
[200, 200, 200, 429, 429, 200]
--- response_headers_like eval
[("Content-Type: application/json") x 3, ("Retry-After: [1-9]\\d?") x 2, "Content-Type: application/json"]
--- response_body_like eval
[("accepted") x 3, ("rate_limited") x 2, "accepted"]
--- events
{"api_user": 77}
{"api_user": 77}
{"api_user": 77}
{"api_user": 91}



=== TEST 6: what is refused counts too: guessing is no way around
--- request eval
$::new_minute->();
["GET /postback?click_id=x", "POST /postback\nx", "GET /postback", "GET /postback?click_id=$::click"]
--- more_headers
X-Api-Key: ak_minute
--- error_code eval
[400, 415, 400, 429]
--- events



=== TEST 7: several workers share the minute
--- http
--- workers: 3
--- request eval
$::new_minute->();
[("GET /postback?click_id=$::click") x 12]
--- more_headers
X-Api-Key: ak_minute
Connection: close
--- error_code eval
[200, 200, 200, (429) x 9]



=== TEST 8: a token in the path; the log has the path without it
--- http
log_format uri '$affiliate_uri $affiliate_api_user $affiliate_verdict';
--- config
access_log $TEST_NGINX_ROOT/access.log uri;
location ~ ^/in/([^/]+)/postback$ { affiliate_conversion token=$1; }
location /in/ { return 404; }
--- request eval
["GET /in/ak_token/postback?click_id=$::click", "GET /in/ak_unknown/postback?click_id=$::click", "POST /in/ak_token/postback\n", "GET /in/ak_token/postback/more"]
--- error_code eval
[200, 401, 400, 404]
--- response_body_like eval
["accepted", "key_unknown", "click_id_missing", "404"]
--- log
^/in/-/postback 79 accepted$
^/in/-/postback - key_unknown$
^/in/-/postback 79 click_id_missing$
^/in/ak_token/postback/more - -$
--- events
{"auth": 3, "api_user": 79}



=== TEST 9: a token from the configuration comes before a header's key; an empty one is none
--- config
location = /a { affiliate_conversion token=ak_token; }
location = /b { affiliate_conversion token=$arg_verification_token; }
--- request eval
["GET /a?click_id=$::click", "GET /a?click_id=$::click", "GET /b?click_id=$::click", "GET /b?click_id=$::click",
 "GET /b?click_id=$::click&verification_token=ak_token", "GET /b?click_id=$::click&verification_token=x"]
--- more_headers eval
["", "X-Api-Key: ak_advertiser", "X-Api-Key: ak_advertiser", "", "", "X-Api-Key: ak_advertiser"]
--- error_code eval
[200, 200, 200, 401, 200, 401]
--- response_body_like eval
["accepted", "accepted", "accepted", "key_missing", "accepted", "key_unknown"]
--- events
{"auth": 3, "api_user": 79}
{"auth": 3, "api_user": 79}
{"auth": 1, "api_user": 91}
{"auth": 3, "api_user": 79}



=== TEST 10: a token is bound to networks, states and scopes as every key is
--- config
location ~ ^/([^/]+)/p$ { set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP; affiliate_conversion token=$1; }
--- request eval
[map { "GET /$_/p?click_id=$::click" } qw(ak_token ak_paused ak_expired ak_revoked ak_affiliate ak_token)]
--- more_headers eval
["X-Real-IP: 192.0.2.1", ("") x 5]
--- error_code eval
[403, 403, 403, 401, 403, 200]
--- response_body_like eval
["ip_denied", "user_paused", "key_expired", "key_unknown", "scope_denied", "accepted"]
--- events
{"api_user": 79}



=== TEST 11: refusals are counted by their codes
--- request eval
["GET /postback", "GET /postback", "GET /status"]
--- more_headers
X-Api-Key: ak_office
--- error_code eval
[403, 403, 200]
--- response_body_like eval
["ip_denied", "ip_denied", '"ip_denied": 2']



=== TEST 12: the log keeps tokens also where other regular expressions run before it
--- http
log_format uri '$affiliate_uri $status';
map $uri $loggable { ~*\.(png|css)$ 0; ~^/(in) 1; default 1; }
--- config
access_log $TEST_NGINX_ROOT/access.log uri if=$loggable;
location ~ ^/in/([^/]+)/postback$ { affiliate_conversion token=$1; }
--- request eval
["GET /in/ak_token/postback?click_id=$::click", "GET /in/ak_unknown/postback?click_id=$::click", "PUT /in/ak_token/postback\n"]
--- error_code eval
[200, 401, 405]
--- log
^/in/-/postback 200$
^/in/-/postback 401$
^/in/-/postback 405$
--- events
{"auth": 3, "api_user": 79}



=== TEST 13: and of requests that never come to their location, or are turned away there
--- http
log_format uri '$affiliate_uri $status';
--- config
access_log $TEST_NGINX_ROOT/access.log uri;
location ~ ^/in/([^/]+)/postback$ {
    error_page 413 @large;
    client_max_body_size 1;
    limit_except POST { deny all; }
    affiliate_conversion token=$1;
}
location @large { return 413; }
location /page/ { return 204; }
--- request eval
["GET /in/ak_token/postback", "POST /in/ak_token/postback\nxxxxx", "GET /page/1"]
--- error_code eval
[403, 413, 204]
--- log
^/in/-/postback 403$
^- 413$
^/page/1 204$
--- events



=== TEST 14: nor of one that is no request
--- http
log_format uri '$affiliate_uri $status';
--- config
access_log $TEST_NGINX_ROOT/access.log uri;
location ~ ^/in/([^/]+)/postback$ { affiliate_conversion token=$1; }
--- raw_request eval
"GET /in/ak_token/postback HTTP/1.1\r\nHost: a b\r\n\r\n"
--- error_code: 400
--- log
^- 400$
--- events
