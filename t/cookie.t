# Cookies: one per program, first and last touch, never trusted unless they verify.
#
# Guards against a click for program B overwriting what A's cookie remembers, a forged or foreign cookie becoming
# a first touch (that would be somebody else's commission), cookies set from frames and images (cookie stuffing), and a browser's jar
# filling up with ours.  Ids in these blocks are made by the fixture with the edge's own keys.
use lib 't/lib';
use TestAffiliate;

our $first = click_id(11, now_ms() - 86400000, 7);
our $last = click_id(11, now_ms() - 3600000, 8);
our $retired = click_id(11, now_ms() - 3600000, 9, 2);
(our $forged = $last) =~ s/(.)$/$1 eq 'z' ? 'y' : 'z'/e;
our $jar = sub {
    my ($count, $oldest) = @_;
    join '; ', map { cookie(100 + $_, click_id(1, now_ms() - ($_ == $oldest ? 9e6 : 1e6) - $_, 1)) } 1 .. $count;
};

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: a first click sets the program's cookie, with its attributes
--- request
GET /c/spring
--- response_headers_like
Set-Cookie: aff_7=([-0-9A-Z_a-z]{40})\.\1; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax
--- error_code: 302
--- events
{"flags": null, "first_touch": null}



=== TEST 2: the cookie holds the very id that is recorded and handed on
--- request
GET /c/spring
--- raw_response_headers_like eval
qr/Location: https:\/\/shop\.example\/\?cid=([-0-9A-Z_a-z]{40}).*Set-Cookie: aff_7=\1\.\1;/s
--- error_code: 302
--- log
^[-0-9A-Z_a-z]{40} 5 11 3 - ok$



=== TEST 3: a program without a lifetime has a cookie of the session
--- request
GET /c/dollars
--- response_headers_like
Set-Cookie: aff_8=[-0-9A-Z_a-z]{40}\.[-0-9A-Z_a-z]{40}; Path=/; Secure; HttpOnly; SameSite=Lax
--- error_code: 302



=== TEST 4: a repeated click keeps the first touch and replaces the last
--- request
GET /c/spring
--- more_headers eval
"Cookie: a=b; " . ::cookie(7, $::first, $::last) . "; c=d" . "\n"
--- raw_response_headers_like eval
qr/Location: [^\n]*\?cid=([-0-9A-Z_a-z]{40}).*Set-Cookie: aff_7=$::first\.\1;/s
--- error_code: 302
--- log
^\S{40} 5 11 3 - repeat$
--- events eval
qq({"flags": 1, "first_touch": "$::first", "previous_time_ms": "~^[0-9]{13}\$"})



=== TEST 5: another program's cookie is left alone and does not count
--- request
GET /c/dollars
--- more_headers eval
"Cookie: " . ::cookie(7, $::first, $::last) . "\n"
--- raw_response_headers_like eval
qr/Set-Cookie: aff_8=/
--- raw_response_headers_unlike eval
qr/aff_7/
--- error_code: 302
--- events
{"program": 8, "flags": null, "first_touch": null}



=== TEST 6: a forged cookie is ignored, marked and replaced
--- request
GET /c/spring
--- more_headers eval
"Cookie: " . ::cookie(7, $::first, $::forged) . "\n"
--- response_headers_like
Set-Cookie: aff_7=([-0-9A-Z_a-z]{40})\.\1; .*
--- error_code: 302
--- log
broken_cookie$
--- events
{"flags": 2, "first_touch": null, "previous_time_ms": null}



=== TEST 7: a forged first touch beside a good last one
--- request
GET /c/spring
--- more_headers eval
"Cookie: " . ::cookie(7, $::forged, $::last) . "\n"
--- error_code: 302
--- events
{"flags": 2, "first_touch": null}



=== TEST 8: shapes that are none of ours
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["Cookie: aff_7=", "Cookie: aff_7=x.y", "Cookie: aff_7=$::first", "Cookie: aff_7=" . ("-" x 40) . "." . ("-" x 40)]
--- error_code eval
[302, 302, 302, 302]
--- events
{"flags": 2}
{"flags": 2}
{"flags": 2}
{"flags": 2}



=== TEST 9: names that only resemble ours do not count
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["Cookie: aff_77=" . "$::first.$::last" . "; xaff_7=$::first.$::last; AFF_7=$::first.$::last", "Cookie: ;;;=;aff_7"]
--- error_code eval
[302, 302]
--- events
{"flags": null}
{"flags": null}



=== TEST 10: a key that no longer signs still verifies
--- request
GET /c/spring
--- more_headers eval
"Cookie: " . ::cookie(7, $::retired) . "\n"
--- raw_response_headers_like eval
qr/Set-Cookie: aff_7=$::retired\./
--- error_code: 302
--- click_id
{"key": 1}
--- events
{"flags": 1}



=== TEST 11: several Cookie lines are read as one
--- raw_request eval
"GET /c/spring HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: a=b\r\nCookie: " . ::cookie(7, $::first, $::last)
    . "\r\nCookie: c=d\r\n\r\n"
--- raw_response_headers_like eval
qr/Set-Cookie: aff_7=$::first\./
--- error_code: 302
--- events
{"flags": 1}



=== TEST 12: frames, images and fetches get no cookie; a document does
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["Sec-Fetch-Dest: iframe", "Sec-Fetch-Dest: image", "Sec-Fetch-Dest: empty", "Sec-Fetch-Dest: documents", "Sec-Fetch-Dest: document"]
--- raw_response_headers_unlike eval
["Set-Cookie", "Set-Cookie", "Set-Cookie", "Set-Cookie", "Nothing"]
--- error_code eval
[302, 302, 302, 302, 302]
--- events
{"flags": 4}
{"flags": 4}
{"flags": 4}
{"flags": 4}
{"flags": null}



=== TEST 13: affiliate_cookie off neither sets nor reads one
--- http
affiliate_cookie off;
--- request
GET /c/spring
--- more_headers eval
"Cookie: " . ::cookie(7, $::first, $::last) . "\n"
--- response_headers
! Set-Cookie
--- error_code: 302
--- events
{"flags": 4, "first_touch": null}



=== TEST 14: domain and secure are configurable, and a location replaces what http{} says as a whole
--- http
affiliate_cookie domain=example.com secure=off;
--- config
location /c/ { affiliate_click; }
location /d/ { affiliate_click; affiliate_cookie domain=other.example; }
--- request eval
["GET /c/spring", "GET /d/spring"]
--- response_headers_like eval
["Set-Cookie: aff_7=\\S{81}; Max-Age=2592000; Path=/; Domain=example\\.com; HttpOnly; SameSite=Lax",
 "Set-Cookie: aff_7=\\S{81}; Max-Age=2592000; Path=/; Domain=other\\.example; Secure; HttpOnly; SameSite=Lax"]
--- error_code eval
[302, 302]



=== TEST 15: the twenty-first program's cookie pushes the oldest out
--- request
GET /c/spring
--- more_headers eval
"Cookie: " . $::jar->(20, 13) . "\n"
--- raw_response_headers_like eval
qr/Set-Cookie: aff_113=; Max-Age=0; Path=\/; Secure; HttpOnly; SameSite=Lax\r\n.*Set-Cookie: aff_7=/s
--- error_code: 302



=== TEST 16: the twentieth does not, nor does one that is there already
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["Cookie: " . $::jar->(19, 13), "Cookie: " . $::jar->(19, 13) . "; " . ::cookie(7, $::first)]
--- raw_response_headers_unlike eval
["Max-Age=0", "Max-Age=0"]
--- error_code eval
[302, 302]



=== TEST 17: who is sent to the fallback gets no cookie, and keeps the one he has; nor does a page or a script get it
--- rows eval
package main; my $future = now_ms() + 3600000;
CORE::join "\n", @::ROWS, 'link 40 3 5 1 late https://shop.example/ ends=1000', "link 41 3 5 1 capped https://shop.example/ capped_until=$future"
--- config
location /c/ { affiliate_click; }
location /t/ { affiliate_click json; }
location /p/ { affiliate_track on; empty_gif; }
--- request eval
[(map { "GET /c/$_" } qw(paused autumn terminated late capped)), (map { "GET /t/$_" } qw(paused terminated capped)), (map { "GET /p/?ref=$_" } qw(paused terminated late)), "GET /c/suspended"]
--- more_headers eval
"Cookie: " . ::cookie(7, $::first, $::last) . "\n"
--- raw_response_headers_unlike eval
[("Set-Cookie") x 11, "Nothing"]
--- raw_response_headers_like eval
[("HTTP") x 11, "Set-Cookie: aff_7=$::first\\."]
--- error_code eval
[(302) x 5, (200) x 6, 302]
--- events
{"link": 12, "flags": 37}
{"link": 13, "flags": 37}
{"link": 18, "flags": 133}
{"link": 40, "flags": 32773}
{"link": 41, "flags": 16389}
{"link": 12, "flags": 65573}
{"link": 18, "flags": 65669}
{"link": 41, "flags": 81925}
{"link": 12, "flags": 65573}
{"link": 18, "flags": 65669}
{"link": 40, "flags": 98309}
{"link": 17, "flags": 129}
