# Custom tracking domains: several names of one nginx, each with its own cookie domain.
#
# Guards against a cookie that the browser would refuse (another server's domain), and against a stale cookie winning
# because the browser happens to send it first: a host's and its parent domain's cookie of one name come in an order that
# says nothing about either.
use lib 't/lib';
use TestAffiliate;

our $old = click_id(11, now_ms() - 9e8, 1);
our $middle = click_id(11, now_ms() - 6e8, 2);
our $new = click_id(11, now_ms() - 3e8, 3);
(our $forged = $new) =~ s/(.)$/$1 eq 'z' ? 'y' : 'z'/e;

our $servers = '
    affiliate_cookie domain=track.example;
    server { listen $TEST_NGINX_SERVER_PORT; server_name track.shop.example;
             affiliate_cookie domain=shop.example; location /c/ { affiliate_click; } location /t/ { affiliate_click json; } }
    server { listen $TEST_NGINX_SERVER_PORT; server_name ~^go\.(?<brand>\w+)\.example$;
             affiliate_cookie secure=off; affiliate_not_found https://$brand.example/lost;
             location /c/ { affiliate_click; } location /i/ { affiliate_impression; } }
    server { listen $TEST_NGINX_SERVER_PORT; server_name plain.example; location /c/ { affiliate_click; } }
';

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: every name knows every link, and sets the cookie of its own domain
--- http eval: $::servers
--- request eval
[map { "GET /c/spring" } 1 .. 3]
--- more_headers eval
["Host: track.shop.example", "Host: go.brand.example", "Host: plain.example"]
--- response_headers_like eval
["Set-Cookie: aff_7=\\S{81}; Max-Age=2592000; Path=/; Domain=shop.example; Secure; HttpOnly; SameSite=Lax",
 "Set-Cookie: aff_7=\\S{81}; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax",
 "Set-Cookie: aff_7=\\S{81}; Max-Age=2592000; Path=/; Domain=track.example; Secure; HttpOnly; SameSite=Lax"]
--- error_code eval
[302, 302, 302]
--- events
{"link": 11}
{"link": 11}
{"link": 11}



=== TEST 2: what is inherited and what is each server's own
--- http eval: $::servers
--- request eval
["GET /c/nosuch", "GET /c/nosuch", "GET /i/spring", "GET /t/spring"]
--- more_headers eval
["Host: go.brand.example", "Host: plain.example", "Host: go.other.example", "Host: track.shop.example"]
--- error_code eval
[302, 404, 200, 200]
--- response_headers_like eval
["Location: https://brand.example/lost", "", "Content-Type: image/gif", "Set-Cookie: .*; Domain=shop.example; .*"]



=== TEST 3: one journal and one snapshot for all of them
--- http eval: $::servers
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["Host: track.shop.example", "Host: go.brand.example", "Host: plain.example"]
--- error_code eval
[302, 302, 302]
--- events
{"sequence": 1}
{"sequence": 2}
{"sequence": 3}



=== TEST 4: a host's and its parent's cookie: the earliest first touch and the latest last one, in either order
--- http eval: $::servers
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["Host: track.shop.example\nCookie: " . ::cookie(7, $::old, $::middle) . "; x=y; " . ::cookie(7, $::new), "Host: track.shop.example\nCookie: " . ::cookie(7, $::new) . "; " . ::cookie(7, $::old, $::middle)]
--- response_headers_like eval
["Set-Cookie: aff_7=$::old\\..*", "Set-Cookie: aff_7=$::old\\..*"]
--- error_code eval
[302, 302]
--- events eval
qq({"flags": 1, "first_touch": "$::old"}\n{"flags": 1, "first_touch": "$::old"})



=== TEST 5: one of them forged: the other counts
--- http eval: $::servers
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["Host: track.shop.example\nCookie: " . ::cookie(7, $::forged, $::forged) . "; " . ::cookie(7, $::middle, $::new), "Host: track.shop.example\nCookie: " . ::cookie(7, $::middle, $::new) . "; " . ::cookie(7, $::forged, $::forged)]
--- error_code eval
[302, 302]
--- events eval
qq({"flags": 1, "first_touch": "$::middle"}\n{"flags": 1, "first_touch": "$::middle"})
