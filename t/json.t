# affiliate_click json: clicks that a script on the landing page reports; and the script.
#
# Guards against any page on the web reporting clicks in its visitors' names: with a cookie that would be cookie stuffing
# without even a hidden frame.  So who may read the answer, and who may cause a click at all, has a case each.
use lib 't/lib';
use TestAffiliate;

our $rows = join "\n", (grep { !/^campaign 3 / } @ROWS), 'campaign 3 7 1 Spring - hosts=shop.example,.brand.example';
our $first = click_id(11, now_ms() - 86400000, 7);
our $last = click_id(11, now_ms() - 3600000, 8);
our $answer = qr/^\{"click_id":"([-0-9A-Z_a-z]{40})","first":"\1","program":"7","campaign":"3","link":"11","affiliate":"5","days":30,"repeat":false,"cookie":true\}\n$/;

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: the code in the path, or the landing page's own query; the cookie is set
--- config
location /t/ { affiliate_click json; }
--- request eval
["GET /t/spring?sub1=a", "GET /t/?utm=x&ref=spring&sub1=b", "GET /t/?via=spring"]
--- error_code eval
[200, 200, 200]
--- response_body_like eval
[$::answer, $::answer, $::answer]
--- response_headers_like eval
["Set-Cookie: aff_7=(\\S{40})\\.\\1; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax", "Cache-Control: no-store", "Vary: Origin"]
--- log
^\S{40} 5 11 3 - tracked$
--- events
{"type": "click", "link": 11, "flags": 65536, "sub1": "a"}
{"link": 11, "sub1": "b"}
{"link": 11}



=== TEST 2: in a script's request, with the landing page as referrer
--- config
location /t/ { affiliate_click json; }
--- request
GET /t/?ref=spring&url=https://shop.example/x
--- more_headers
Sec-Fetch-Dest: empty
Sec-Fetch-Site: same-site
Referer: https://www.shop.example/landing?ref=spring
--- response_body_like eval: $::answer
--- response_headers_like
Set-Cookie: aff_7=.*
--- events
{"flags": 65536, "referrer": "https://www.shop.example/landing?ref=spring", "deep": null}



=== TEST 3: an image or a frame at that address gets no cookie, and is told so
--- config
location /t/ { affiliate_click json; }
--- request eval
["GET /t/spring", "GET /t/spring", "GET /t/spring"]
--- more_headers eval
["Sec-Fetch-Dest: image", "Sec-Fetch-Dest: iframe", "Purpose: prefetch"]
--- raw_response_headers_unlike eval
["Set-Cookie", "Set-Cookie", "Set-Cookie"]
--- response_body_like eval
['"cookie":false', '"cookie":false', '"cookie":false']
--- events
{"flags": 65540}
{"flags": 65540}
{"flags": 65556}



=== TEST 4: a repeated click: the first touch comes with the answer
--- config
location /t/ { affiliate_click json; }
--- request
GET /t/spring
--- more_headers eval
"Cookie: " . ::cookie(7, $::first, $::last)
--- response_body_like eval
qr/"first":"$::first".*"repeat":true,"cookie":true/
--- response_headers_like eval
"Set-Cookie: aff_7=$::first\\..*"
--- events
{"flags": 65537}



=== TEST 5: pages of the campaign's hosts may ask, with credentials
--- rows eval: $::rows
--- config
location /t/ { affiliate_click json; }
--- request eval
[map { "GET /t/spring" } 1 .. 4]
--- more_headers eval
["Origin: https://shop.example", "Origin: https://www.brand.example", "Origin: http://shop.example:80", "Origin: http://localhost"]
--- response_headers eval
["Access-Control-Allow-Origin: https://shop.example\nAccess-Control-Allow-Credentials: true\nVary: Origin", "Access-Control-Allow-Origin: https://www.brand.example", "Access-Control-Allow-Origin: http://shop.example:80", "Access-Control-Allow-Origin: http://localhost"]
--- events
{"link": 11}
{"link": 11}
{"link": 11}
{"link": 11}



=== TEST 6: others may not, and nothing is recorded
--- rows eval: $::rows
--- config
location /t/ { affiliate_click json; }
--- request eval
[map { "GET /t/spring" } 1 .. 9]
--- more_headers eval
["Origin: https://evil.example", "Origin: null", "Origin: https://shop.example.evil.example", "Origin: https://www.shop.example", "Origin: https://shop.example:8443", "Origin: https://evil.example\@shop.example", "Origin: ", "Sec-Fetch-Site: cross-site\nSec-Fetch-Dest: image", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors"]
--- error_code eval
[map { 403 } 1 .. 9]
--- response_body_like eval
[map { '"code":"origin_denied"' } 1 .. 9]
--- raw_response_headers_unlike eval
[map { 'Access-Control|Set-Cookie' } 1 .. 9]
--- events



=== TEST 7: affiliate_origin names more of them, exactly
--- config
location /t/ { affiliate_click json; affiliate_origin https://other.example http://localhost:3000; }
--- request eval
["GET /t/spring", "GET /t/dollars", "GET /t/spring", "GET /t/spring", "GET /t/nosuch"]
--- more_headers eval
["Origin: https://other.example", "Origin: http://localhost:3000", "Origin: http://other.example", "Origin: https://a.other.example", "Origin: https://other.example"]
--- error_code eval
[200, 200, 403, 403, 404]
--- response_headers eval
["Access-Control-Allow-Origin: https://other.example", "Access-Control-Allow-Origin: http://localhost:3000", "! Access-Control-Allow-Origin", "! Access-Control-Allow-Origin", "Access-Control-Allow-Origin: https://other.example"]
--- events
{"link": 11}
{"link": 14}



=== TEST 8: unknown codes and methods; HEAD and OPTIONS record nothing
--- config
location /t/ { affiliate_click json; }
--- request eval
["GET /t/nosuch", "GET /t/", "HEAD /t/spring", "OPTIONS /t/spring", "POST /t/spring\nx"]
--- error_code eval
[404, 404, 200, 204, 405]
--- response_body_like eval
['"code":"link_unknown"', '"code":"link_unknown"', "", "", "405"]
--- events



=== TEST 9: the directive's code, exact and regular locations; aliases of ours
--- config
location = /one { affiliate_click json spring; }
location = /any { affiliate_click json; affiliate_alias p ref; affiliate_alias placement sub1; }
location ~ ^/re/(.*) { affiliate_click json $1; }
location ~ ^/q/ { affiliate_click json; }
--- request eval
["GET /one", "GET /any?p=spring&placement=x", "GET /re/spring", "GET /q/dollars?ref=spring"]
--- response_body_like eval
[$::answer, $::answer, $::answer, $::answer]
--- events
{"link": 11}
{"link": 11, "sub1": "x"}
{"link": 11}
{"link": 11}



=== TEST 10: cookies off: the id alone
--- config
location /t/ { affiliate_click json; affiliate_cookie off; }
--- request
GET /t/spring
--- response_headers
! Set-Cookie
--- response_body_like: "cookie":false
--- events
{"flags": 65540}



=== TEST 11: the script: from memory, with an ETag, for pages of any site
--- config
location = /affiliate.js { affiliate_js; }
--- request eval
["GET /affiliate.js", "HEAD /affiliate.js", "POST /affiliate.js\nx"]
--- error_code eval
[200, 200, 405]
--- response_headers_like eval
["Content-Type: application/javascript", "ETag: \"[0-9a-f]{8}\"", ""]
--- response_body_like eval
["^\\(\\(\\) => \\{.*\\}\\)\\(\\);\n\$", "", ""]



=== TEST 12: it is not sent again to who has it
--- config
location = /affiliate.js { affiliate_js; }
--- request
GET /affiliate.js
--- response_headers
Cache-Control: public, max-age=86400
Access-Control-Allow-Origin: *
Cross-Origin-Resource-Policy: cross-origin
X-Content-Type-Options: nosniff
--- after eval
sub {
    my $ask = sub {
        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => Test::Nginx::Util::server_port());
        print $s "GET /affiliate.js HTTP/1.0\r\n$_[0]\r\n";
        local $/;
        return <$s>;
    };
    my ($etag) = $ask->('') =~ /^ETag: (\S+)/m;
    Test::More::like($ask->("If-None-Match: $etag\r\n"), qr/^HTTP\/1.1 304/, 'the same ETag is 304');
    Test::More::like($ask->("If-None-Match: \"x\"\r\n"), qr/^HTTP\/1.1 200/, 'another is 200');
}



=== TEST 13: less than 2 KB compressed
--- config
location = /affiliate.js { affiliate_js; gzip on; gzip_types application/javascript; gzip_comp_level 6; }
--- request
GET /affiliate.js
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
--- response_body_like eval
qr/\A.{500,2047}\z/s



=== TEST 14: origins are scheme, host and port
--- config
location /t/ { affiliate_click json; affiliate_origin shop.example; }
--- must_die
--- error_log
"affiliate_origin" "shop.example" is not scheme://host or scheme://host:port



=== TEST 15: nor with a path
--- config
location /t/ { affiliate_click json; affiliate_origin https://shop.example/; }
--- must_die
--- error_log
is not scheme://host or scheme://host:port



=== TEST 16: json comes before the code
--- config
location /t/ { affiliate_click $arg_x json; }
--- must_die
--- error_log
"affiliate_click" takes "json" before the code, not "$arg_x"
