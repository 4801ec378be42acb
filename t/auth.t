# affiliate_auth: who passes on to the backend's part of the partner API.
#
# Guards the backend's work and the callers' data: whoever is refused must be so before his body is read, for the documented
# reason, at every kind of request; what the location's own handlers take must not be judged twice; and the
# backend must be told no identity, which it would have to trust.
use lib 't/lib';
use TestAffiliate;
use Digest::SHA qw(hmac_sha256_hex);

our $rows = join "\n", @ROWS,
    'key 71 7 5 1 1 12 0 aff_live_AAAAABBBBBCCCCCDDDDDEEEEEFFFFFGGGGGHHHHHIII rate=3',
    'key 72 7 0 2 2 31 1600000000000 ak_w1 networks=192.0.2.1 rate=1',
    'key 73 7 0 1 2 0 1600000000000 ak_w2 networks=192.0.2.1 rate=1',
    'key 74 7 0 1 2 0 0 ak_w3 networks=192.0.2.1 rate=1',
    'key 75 7 0 1 2 0 0 ak_w4 networks=127.0.0.0/8 rate=1',
    'key 76 7 0 1 2 8 0 ak_w5 networks=127.0.0.0/8 rate=1',
    'key 77 7 0 1 2 8 0 ak_reader',
    'key 81 7 0 1 2 8 0 ak_signer secret=hush rate=9';
our $new_minute = sub { Time::HiRes::sleep(0.05) while time % 60 > 50; };
our $config = q(
    location = /api/v1/leads { affiliate_auth leads:read; proxy_pass http://127.0.0.1:$server_port/backend; }
    location = /api/v1/both { affiliate_auth leads:read conversions:read; proxy_pass http://127.0.0.1:$server_port/backend; }
    location = /api/v1/conversions { affiliate_auth conversions:read; affiliate_conversion; proxy_pass http://127.0.0.1:$server_port/backend; }
    location = /postback { affiliate_auth leads:read; affiliate_conversion; }
    location /api/v1/ { affiliate_auth on; proxy_pass http://127.0.0.1:$server_port/backend;
        location /api/v1/docs { affiliate_auth off; proxy_pass http://127.0.0.1:$server_port/backend; }
        location /api/v1/deep/ { proxy_pass http://127.0.0.1:$server_port/backend; } }
    location = /backend { access_log off; return 200 "to the backend $http_x_api_user $request_method\n"; }
    location = /status { affiliate_status; }
);
our $signed = sub { my ($query) = @_; return "$query&sig=" . hmac_sha256_hex(CORE::join('&', sort split /&/, $query), 'hush') };

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('rows', $rows) if !defined $block->rows;
    $block->set_value('config', $config) if !defined $block->config;
});
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: state, expiry, network, scope, rate: in this order, and all of them before the body
--- request eval
$::new_minute->();
[map { "POST /api/v1/leads\n" . 'this is not read' x 2000 } 1 .. 8]
--- more_headers eval
[(map { "X-Api-Key: ak_w$_\n" } 1 .. 5), "X-Api-Key: ak_w5", "X-Api-Key: ak_none", ""]
--- error_code eval
[403, 403, 403, 403, 200, 429, 401, 401]
--- response_body_like eval
["user_paused", "key_expired", "ip_denied", "scope_denied", "to the backend", "rate_limited", "key_unknown", "key_missing"]
--- response_headers_like eval
[("Cache-Control: no-store") x 4, "", "Retry-After: [1-9]\\d?", "WWW-Authenticate: Bearer", "WWW-Authenticate: Bearer"]
--- log
^- - - - - user_paused$
^- - - - - key_expired$
^- - - - - ip_denied$
^- - - - - scope_denied$
^- - - - 76 passed$
^- - - - - rate_limited$
^- - - - - key_unknown$
^- - - - - key_missing$
--- no_error_log
[error]



=== TEST 2: every method, and each of the three headers
--- request eval
["GET /api/v1/leads", "HEAD /api/v1/leads", "DELETE /api/v1/leads", "PUT /api/v1/leads\nx", "OPTIONS /api/v1/leads", "DELETE /api/v1/leads"]
--- more_headers eval
["X-Api-Key: ak_reader", "authtoken: ak_reader", "Authorization: Bearer ak_reader", "X-Api-Key: ak_reader", "", ""]
--- error_code eval
[200, 200, 200, 200, 401, 401]



=== TEST 3: all of the scopes that are named are needed; roles are not asked
--- request eval
["GET /api/v1/both", "GET /api/v1/both", "GET /api/v1/leads", "GET /api/v1/leads", "GET /api/v1/leads"]
--- more_headers eval
["X-Api-Key: ak_reader", "X-Api-Key: ak_all_scopes", "X-Api-Key: ak_affiliate", "X-Api-Key: ak_all_scopes", "X-Api-Key: ak_advertiser"]
--- error_code eval
[403, 200, 200, 200, 403]



=== TEST 4: on asks for a known user alone; off in a location inside for nobody; other locations inside inherit it
--- request eval
["GET /api/v1/stats", "GET /api/v1/stats", "GET /api/v1/docs", "GET /api/v1/deep/x"]
--- more_headers eval
["X-Api-Key: ak_stats_only", "", "", ""]
--- error_code eval
[200, 401, 200, 401]



=== TEST 5: a POST that affiliate_conversion takes is judged by it alone, and once; other methods by affiliate_auth
--- request eval
["POST /api/v1/conversions\n{\"customer\":\"1\",\"txid\":\"1\"}", "GET /api/v1/conversions", "GET /api/v1/conversions", "GET /postback?customer=1&txid=2"]
--- more_headers eval
["X-Api-Key: ak_advertiser\nContent-Type: application/json", "X-Api-Key: ak_advertiser", "X-Api-Key: ak_all_scopes", "X-Api-Key: ak_advertiser"]
--- error_code eval
[200, 403, 200, 200]
--- response_body_like eval
["accepted", "scope_denied", "to the backend", "accepted"]
--- events
{"txid": "1"}
{"txid": "2"}
--- log
^- - - - 91 accepted$
^- - - - - scope_denied$
^- - - - 92 passed$
^- - - - 91 accepted$



=== TEST 6: the rate is counted once a request
--- request eval
$::new_minute->();
[("GET /api/v1/leads") x 4]
--- more_headers
X-Api-Key: aff_live_AAAAABBBBBCCCCCDDDDDEEEEEFFFFFGGGGGHHHHHIII
--- error_code eval
[200, 200, 200, 429]



=== TEST 7: a signature over the query; with another query, an old ts, two of them, or over a body that nobody here reads it is none
--- request eval
$::new_minute->();
["GET /api/v1/leads?" . $::signed->("user=81&from=2024-01-01"), "GET /api/v1/leads?" . $::signed->("user=81") . "&from=2024-01-01",
 "GET /api/v1/leads?" . $::signed->("ts=" . (time() - 1000) . "&user=81"), "GET /api/v1/leads?" . $::signed->("ts=" . time() . "&user=81"),
 "GET /api/v1/leads?" . $::signed->("ts=" . time() . "&ts=" . (time() - 1) . "&user=81"),
 "POST /api/v1/leads?" . $::signed->("user=81") . "\nx=1", "GET /api/v1/leads?user=81&sig=", "GET /api/v1/leads?user=77&sig=" . "0" x 64]
--- error_code eval
[200, 401, 401, 200, 400, 401, 401, 401]
--- response_body_like eval
["to the backend", "signature_invalid", "signature_invalid", "to the backend", "parameter_repeated", "signature_invalid", "key_missing", "signature_invalid"]



=== TEST 8: nobody tells the backend who it is
--- request
GET /api/v1/leads
--- more_headers
X-Api-Key: ak_reader
--- response_body
to the backend  GET



=== TEST 9: refused with a body that was not read; the next request on the connection is
--- pipelined_requests eval
["POST /api/v1/leads\n" . "x" x 30000, "GET /api/v1/leads"]
--- more_headers eval
["X-Api-Key: ak_none\n", "X-Api-Key: ak_reader\n"]
--- error_code eval
[401, 200]
--- response_body_like eval
["key_unknown", "to the backend"]



=== TEST 10: what the backend fails at and error_page answers keeps its user
--- config
location = /api/v1/leads { affiliate_auth leads:read; proxy_pass http://unix:/nonexistent; error_page 502 = @down; }
location @down { return 503 "later\n"; }
--- request
GET /api/v1/leads
--- more_headers
X-Api-Key: ak_reader
--- error_code: 503
--- log
^- - - - 77 passed$



=== TEST 11: subrequests are not judged, and satisfy any does not open what is refused
--- config
location = /page { mirror /part; proxy_pass http://127.0.0.1:$server_port/backend; }
location = /part { affiliate_auth on; proxy_pass http://127.0.0.1:$server_port/backend; }
location = /status { affiliate_status; }
location = /any { satisfy any; allow all; affiliate_auth on; proxy_pass http://127.0.0.1:$server_port/backend; }
location = /backend { return 200 "backend\n"; }
--- request eval
["GET /any", "GET /any", "GET /page", "GET /status"]
--- more_headers eval
["", "X-Api-Key: ak_reader", "", ""]
--- error_code eval
[401, 200, 200, 200]
--- response_body_like eval
["key_missing", "backend", "backend", '"api_calls": 2,\s+"api_passed": 1,\s+"api_refused": 1']



=== TEST 12: no configuration yet
--- http_config
affiliate_state $TEST_NGINX_STATE; affiliate_key_file $TEST_NGINX_ROOT/edge.key;
--- request
GET /api/v1/leads
--- more_headers
X-Api-Key: ak_reader
--- error_code: 503
--- response_headers
Retry-After: 2
--- response_body_like: starting



=== TEST 13: keys that end alike are different keys, in whatever order they come, and a short one is a key too
--- rows eval
CORE::join "\n", $::rows, 'key 61 7 0 1 2 8 0 ak_one__same_end', 'key 62 7 0 1 2 8 0 ak_two__same_end', 'key 63 7 0 4 2 8 0 ak_old__same_end',
    'key 64 7 0 1 2 8 0 ak_s'
--- request eval
[("GET /api/v1/leads") x 10]
--- more_headers eval
[map { "X-Api-Key: $_" } (map { ("ak_one__same_end", "ak_not__same_end", "ak_two__same_end", "ak_old__same_end", "ak_s") } 1, 2)]
--- error_code eval
[(200, 401, 200, 401, 200) x 2]
--- log
^- - - - 61 passed$
^- - - - - key_unknown$
^- - - - 62 passed$
^- - - - - key_unknown$
^- - - - 64 passed$
^- - - - 61 passed$
^- - - - - key_unknown$
^- - - - 62 passed$
^- - - - - key_unknown$
^- - - - 64 passed$
