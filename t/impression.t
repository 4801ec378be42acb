# Impressions: an advert was seen.
#
# Guards against views that count as clicks, against a pixel that sets a cookie on pages of others (cookie stuffing),
# and against broken images there when something is wrong here.
use lib 't/lib';
use TestAffiliate;

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: one transparent pixel, never from a cache, never with a cookie
--- config
location /i/ { affiliate_impression; }
location = /status { affiliate_status; access_log off; }
--- request
GET /i/spring?sub1=banner&source=page
--- more_headers
Sec-Fetch-Dest: image
Referer: https://blog.example/post
--- response_body eval
"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
--- response_headers
Content-Type: image/gif
Content-Length: 43
Cache-Control: no-store
! Set-Cookie
--- after eval
sub { my $s = ::status(); Test::More::is("$s->{counters}{impressions} $s->{counters}{clicks}", '1 0', 'counted as what it is') }
--- log
^[-0-9A-Z_a-z]{40} 5 11 3 - no_cookie_set$
--- events
{"type": "impression", "link": 11, "program": 7, "affiliate": 5, "flags": 4, "sub1": "banner", "source": "page", "referrer": "https://blog.example/post", "deep": null}



=== TEST 2: nor one from a page's address, whatever Sec-Fetch-Dest says
--- config
location = /i { affiliate_impression $arg_code; }
--- request eval
["GET /i?code=spring", "GET /i?code=spring"]
--- more_headers eval
["", "Sec-Fetch-Dest: document"]
--- raw_response_headers_unlike eval
["Set-Cookie", "Set-Cookie"]
--- events
{"link": 11, "flags": 4}
{"link": 11, "flags": 4}



=== TEST 3: HEAD and OPTIONS record nothing, other methods are refused; an unknown code is 404
--- config
location /i/ { affiliate_impression; }
--- request eval
["HEAD /i/spring", "OPTIONS /i/spring", "POST /i/spring\nx", "GET /i/nosuch", "GET /i/"]
--- error_code eval
[200, 204, 405, 404, 404]
--- events



=== TEST 4: a paused link's view is marked, and answered
--- config
location /i/ { affiliate_impression; }
--- request
GET /i/nowhere
--- error_code: 200
--- events
{"type": "impression", "link": 15, "flags": 36}



=== TEST 5: without a snapshot nothing is recorded, and the page has its pixel
--- http_config
affiliate_state $TEST_NGINX_STATE;
affiliate_key_file $TEST_NGINX_ROOT/edge.key;
--- config
location /i/ { affiliate_impression; }
--- request
GET /i/spring
--- response_body_like: ^GIF89a
--- events



=== TEST 6: where the code is has to be said
--- config
location = /i { affiliate_impression; }
--- must_die
--- error_log
needs an argument that is the code in an exact or named location
