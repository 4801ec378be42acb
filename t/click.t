# Clicks: what is redirected where, what is recorded, and what never is.
#
# Guards the promises of the edge: a recorded id names its own record (a conversion finds its click by it), HEAD and
# OPTIONS leave no event, nothing a visitor sends gets into a header undecorated, and a link that may not lead to its
# destination leads to the fallback instead.  Each block compares all events in the journals, so that one too many
# is seen as well as one too few.
use lib 't/lib';
use TestAffiliate;

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: a click redirects, is not cached, and is recorded
--- request
GET /c/spring?sub1=news
--- more_headers
User-Agent: Test/1.0
Referer: https://blog.example/post
Accept-Language: de-CH,de;q=0.9
--- error_code: 302
--- response_body:
--- response_headers_like
Cache-Control: no-store
Content-Length: 0
Location: https://shop\.example/\?cid=[-0-9A-Z_a-z]{40}&s=news
--- log
^[-0-9A-Z_a-z]{40} 5 11 3 - ok$
--- click_id
{"verdict": "ok", "recorded": 1, "link": 11, "sequence": 1, "key": 1}
--- events
{"kind": "traffic", "sequence": 1, "type": "click", "program": 7, "campaign": 3, "link": 11, "affiliate": 5, "flags": null, "key": 1, "config_version": 5, "ip": "127.0.0.1", "user_agent": "Test/1.0", "referrer": "https://blog.example/post", "language": "de-CH,de;q=0.9", "sub1": "news", "previous_time_ms": null, "first_touch": null}
--- no_error_log
[error]



=== TEST 2: an unknown code is 404, leaves nothing, and no cache keeps it: the link may be there tomorrow
--- request
GET /c/nosuch
--- error_code: 404
--- response_headers
Cache-Control: no-store
--- events
--- log
^- - - - - -$



=== TEST 3: no code at all
--- request
GET /c/
--- error_code: 404
--- events



=== TEST 4: the longest code, and one longer than any code
--- request eval
["GET /c/" . "x" x 64, "GET /c/" . "x" x 65, "GET /c/" . "x" x 4000]
--- error_code eval
[302, 404, 404]
--- events
{"link": 32}



=== TEST 5: a code is matched whole and as it is written
--- request eval
["GET /c/Spring", "GET /c/spring/", "GET /c/sprin", "GET /c/%73pring"]
--- error_code eval
[404, 404, 404, 302]
--- events
{"link": 11}



=== TEST 6: HEAD is told where, without an id, and records nothing
--- request
HEAD /c/spring?sub1=a
--- error_code: 302
--- response_headers
Location: https://shop.example/?cid=&s=a
! Set-Cookie
--- events



=== TEST 7: OPTIONS says what is allowed and records nothing
--- request
OPTIONS /c/spring
--- error_code: 204
--- response_headers
Allow: GET, HEAD, OPTIONS
! Location
! Set-Cookie
--- events



=== TEST 8: other methods are refused, their body is not left in the connection
--- pipelined_requests eval
["POST /c/spring\nabc=def", "PUT /c/spring\nabc", "GET /c/nosuch"]
--- error_code eval
[405, 405, 404]
--- events



=== TEST 9: every parameter goes into the event, aliases too; the first one counts
--- request
GET /c/spring?sub1=1&sub2=2&sub3=3&sub4=4&sub5=5&sub6=6&sub7=7&sub8=8&sub9=9&sub10=10&source=s&creative=c&externalid=r&cost=0.12&ref_id=late&sub1=late
--- error_code: 302
--- events
{"sub1": "1", "sub2": "2", "sub3": "3", "sub4": "4", "sub5": "5", "sub6": "6", "sub7": "7", "sub8": "8", "sub9": "9", "sub10": "10", "source": "s", "creative": "c", "ref_id": "r", "cost": "0.12"}



=== TEST 10: the other aliases; names that only resemble ours
--- request
GET /c/spring?aff_click_id=abc&sub0=x&sub11=x&sub=x&Source=x&sources=x&cos=x&=x&&creative
--- error_code: 302
--- events
{"ref_id": "abc", "sub1": null, "source": null, "cost": null, "creative": null, "sub10": null}



=== TEST 11: values are decoded once, for the event and for the macros
--- request
GET /c/spring?sub1=a%20b+c%2Bd%2525&sub2=%zz%4
--- error_code: 302
--- response_headers_like
Location: https://shop\.example/\?cid=[-0-9A-Z_a-z]{40}&s=a%20b%20c%2Bd%2525
--- events
{"sub1": "a b c+d%25", "sub2": "%zz%4"}



=== TEST 12: long values are cut, the request goes on
--- request eval
"GET /c/spring?sub1=" . "a" x 600 . "&sub2=" . "%41" x 600
--- error_code: 302
--- events eval
my ($a, $A) = ("a" x 512, "A" x 512);
qq({"sub1": "$a", "sub2": "$A"})



=== TEST 13: all macros; unknown and empty ones leave nothing; no byte escapes
--- request
GET /c/macros?sub1=%0d%0aSet-Cookie:%20x&sub10=%ff%00&source=a/b&creative=%26x%3d&ref_id=r&sub2=/path%0d%0a?q
--- more_headers
Accept-Language: fr-CA
--- error_code: 302
--- response_headers
Location: https://shop.example/5/Ann/Spring%20Sale/macros?s1=%0D%0ASet-Cookie%3A%20x&s10=%FF%00&so=a%2Fb&cr=%26x%3D&ref=r&co=&l=fr&ip=127.0.0.1&raw=/path%0D%0A?q&none=
--- events
{"link": 30, "sub1": "\\x0d\\x0aSet-Cookie: x", "sub10": "\\xff\\x00"}



=== TEST 14: time and chance
--- request eval
["GET /c/clock", "GET /c/clock"]
--- error_code eval
[302, 302]
--- response_headers_like eval
["Location: https://shop\\.example/\\?t=1[0-9]{9}&r=[0-9]{1,20}", "Location: https://shop\\.example/\\?t=1[0-9]{9}&r=[0-9]{1,20}"]
--- events
{"link": 31, "sequence": 1}
{"link": 31, "sequence": 2}



=== TEST 15: a paused link goes to the program's fallback and is marked
--- request
GET /c/paused
--- error_code: 302
--- response_headers
Location: https://shop.example/gone?from=paused
--- log
^\S{40} 5 12 3 - no_cookie_set,paused$
--- events
{"link": 12, "flags": 36}



=== TEST 16: expired and archived links likewise
--- request eval
["GET /c/expired", "GET /c/archived"]
--- error_code eval
[302, 302]
--- response_headers eval
["Location: https://shop.example/gone?from=expired", "Location: https://shop.example/gone?from=archived"]
--- events
{"link": 19, "flags": 36}
{"link": 20, "flags": 36}



=== TEST 17: a paused campaign goes to its own fallback
--- request
GET /c/autumn
--- error_code: 302
--- response_headers_like
Location: https://shop\.example/autumn\?c=Autumn&cid=[-0-9A-Z_a-z]{40}
--- events
{"link": 13, "campaign": 4, "flags": 36}



=== TEST 18: a paused program
--- request
GET /c/nine
--- error_code: 302
--- response_headers
Location: https://nine.example/
--- events
{"link": 21, "program": 9, "flags": 36}



=== TEST 19: no fallback anywhere is 404, and nothing is recorded
--- request
GET /c/nowhere
--- error_code: 404
--- response_headers
Cache-Control: no-store
--- events



=== TEST 20: pending and suspended affiliates' links work and are marked; a terminated one's go to the fallback
--- request eval
["GET /c/pending", "GET /c/suspended", "GET /c/terminated"]
--- error_code eval
[302, 302, 302]
--- response_headers_like eval
["Location: https://shop\\.example/\\?cid=\\S{40}", "Location: https://shop\\.example/\\?cid=\\S{40}", "Location: https://shop\\.example/gone\\?from=terminated"]
--- events
{"affiliate": 6, "flags": 128}
{"affiliate": 7, "flags": 128}
{"affiliate": 8, "flags": 132}



=== TEST 21: a link whose campaign or affiliate the snapshot lacks leads nowhere
--- rows
program 7 1 1 30 EUR -
campaign 3 7 1 Spring -
affiliate 5 2 Ann
link 1 99 5 1 nocampaign https://shop.example/
link 2 3 99 1 noaffiliate https://shop.example/
--- request eval
["GET /c/nocampaign", "GET /c/noaffiliate"]
--- error_code eval
[404, 404]
--- events



=== TEST 22: affiliate_not_found
--- http
affiliate_not_found https://shop.example/lost?u=$uri;
--- request eval
["GET /c/nosuch", "GET /c/nowhere"]
--- error_code eval
[302, 302]
--- response_headers eval
["Location: https://shop.example/lost?u=/c/nosuch\nCache-Control: no-store", "Location: https://shop.example/lost?u=/c/nowhere"]
--- events



=== TEST 23: affiliate_not_found whose variable holds a control byte is 404, not a header
--- http
affiliate_not_found https://shop.example/lost?u=$uri;
--- request
GET /c/x%0d%0aSet-Cookie:%20evil=1
--- error_code: 404
--- response_headers
! Set-Cookie
! Location
--- events



=== TEST 24: affiliate_not_found that turns out empty, and a path of our own
--- config
location /c/ { affiliate_click; affiliate_not_found $arg_where; }
location /d/ { affiliate_click; affiliate_not_found /lost; }
--- request eval
["GET /c/nosuch", "GET /c/nosuch?where=/here", "GET /d/nosuch"]
--- error_code eval
[404, 302, 302]
--- response_headers_like eval
["", "Location: http://[^/]+/here", "Location: http://[^/]+/lost"]
--- events



=== TEST 25: the code as an argument: a capture, an argument of the request
--- config
location ~ ^/go/([^/]+)/?$ { affiliate_click $1; }
location = /t { affiliate_click $arg_ref; }
--- request eval
["GET /go/spring/", "GET /t?ref=spring", "GET /t", "GET /go/nosuch"]
--- error_code eval
[302, 302, 404, 404]
--- events
{"link": 11}
{"link": 11}



=== TEST 26: prefetches are redirected and recorded as such, and get no cookie
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["Sec-Purpose: prefetch;prerender", "Purpose: prefetch"]
--- error_code eval
[302, 302]
--- response_headers eval
["! Set-Cookie", "! Set-Cookie"]
--- log
no_cookie_set,prefetch$
no_cookie_set,prefetch$
--- events
{"link": 11, "flags": 20}
{"link": 11, "flags": 20}



=== TEST 27: a destination that grows too long is refused, not cut
--- rows
program 7 1 1 30 EUR -
campaign 3 7 1 Spring -
affiliate 5 2 Ann
link 1 3 5 1 long https://shop.example/?{sub1}{sub1}{sub1}{sub1}{sub1}{sub1}
--- request eval
"GET /c/long?sub1=" . "%00" x 512
--- error_code: 414
--- response_headers
! Location
Cache-Control: no-store
--- events



=== TEST 28: HTTP/1.0 and a connection that closes
--- raw_request eval
"GET /c/spring HTTP/1.0\r\n\r\n"
--- error_code: 302
--- events
{"link": 11}



=== TEST 29: all 256 bytes through a parameter: into the event as they are, into the header only encoded
--- request eval
"GET /c/spring?sub1=" . CORE::join "", map { sprintf "%%%02x", $_ } 0 .. 255
--- raw_response_headers_like eval
my $encoded = CORE::join "", map { chr($_) =~ /[A-Za-z0-9._~-]/ ? chr : sprintf "%%%02X", $_ } 0 .. 255;
qr/Location: https:\/\/shop\.example\/\?cid=[-0-9A-Z_a-z]{40}&s=\Q$encoded\E\r\n/
--- error_code: 302
--- events eval
my $shown = CORE::join "", map { $_ < 0x20 || $_ > 0x7e ? sprintf "\\x%02x", $_ : chr } 0 .. 255;
JSON::PP->new->encode({ sub1 => $shown })



=== TEST 30: bytes that are no text in headers and in the code
--- raw_request eval
my $high = CORE::join "", map { chr } 0x80 .. 0xff;
"GET /c/spring HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: $high\r\nReferer: \"'<>$high\r\nAccept-Language: \xff\r\n"
    . "Cookie: $high; aff_7=$high\r\n\r\n"
--- error_code: 302
--- events eval
my $high = CORE::join "", map { sprintf "\\x%02x", $_ } 0x80 .. 0xff;
JSON::PP->new->encode({ user_agent => $high, referrer => "\"'<>$high", language => "\\xff", flags => 2 })



=== TEST 31: codes of every byte find nothing and break nothing
--- request eval
[map { sprintf "GET /c/a%%%02x%%%02x", $_, $_ } 1 .. 255]
--- error_code eval
[(404) x 255]
--- events



=== TEST 32: an if in the location changes nothing about the code, and nobody is counted twice
--- config
affiliate_track on;
location ~ ^/go/([a-z]+)$ { if ($arg_x) { set $y 1; } affiliate_click $1; }
location /c/ { if ($arg_x) { set $y 1; } affiliate_click; }
--- request eval
["GET /go/spring", "GET /go/spring?x=1", "GET /c/spring?x=1&ref=autumn"]
--- error_code eval
[302, 302, 302]
--- events
{"link": 11, "flags": null}
{"link": 11, "flags": null}
{"link": 11, "flags": null}



=== TEST 33: methods that a limit_except lets through are answered as everywhere else
--- config
location /c/ { affiliate_click; limit_except POST { allow all; } }
location ~ ^/go/([a-z]+)$ { affiliate_click $1; limit_except POST { allow all; } }
location /t/ { affiliate_click json; limit_except POST { allow all; } }
location /i/ { affiliate_impression; limit_except POST { allow all; } }
location = /px { affiliate_pixel program=7; limit_except POST { allow all; } }
location = /a.js { affiliate_js; limit_except POST { allow all; } }
location = /status { affiliate_status; limit_except POST { allow all; } }
location = /postback { affiliate_conversion; limit_except POST { allow all; } }
location = /only { affiliate_click spring; limit_except GET { allow all; } }
location = /denied { affiliate_click spring; limit_except POST { deny all; } }
location = /else { affiliate_click spring; limit_except POST { proxy_pass http://127.0.0.1:1; } }
--- request eval
["GET /c/spring", "GET /go/spring", "GET /t/spring", "GET /i/spring", "GET /px?customer=4&txid=1", "GET /a.js", "GET /status", "GET /postback",
 "OPTIONS /only", "POST /only\nx", "GET /denied", "GET /else"]
--- error_code eval
[302, 302, 200, 200, 200, 200, 200, 401, 204, 405, 403, 502]
--- events
{"link": 11, "type": "click"}
{"link": 11, "type": "click"}
{"link": 11, "type": "click"}
{"link": 11, "type": "impression"}
{"type": "conversion"}
