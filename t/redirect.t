# Redirects: the status that link or location ask for, and what browsers may tell the destination.
#
# Guards against a permanent redirect, which a browser would keep and never ask again, against the answer being cached, and
# against a Referrer-Policy where none was asked for.  HEAD and OPTIONS never record: test tools and link checkers send them.
use lib 't/lib';
use TestAffiliate;

sub owners { return ('program 7 1 1 30 EUR -', 'campaign 3 7 1 Spring -', 'affiliate 5 2 Ann') }
sub links { return join "\n", owners(), map { "link 1$_ 3 5 1 l$_ https://shop.example/$_" . ($_[$_] // '') } 0 .. $#_ }

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: the link's status, and 302 where it has none
--- rows eval
package main; links('', ' redirect=1', ' redirect=2', ' redirect=3')
--- request eval
[map { "GET /c/l$_" } 0 .. 3]
--- error_code eval
[302, 302, 303, 307]
--- response_headers eval
[map { "Location: https://shop.example/$_\nCache-Control: no-store\n! Referrer-Policy\nContent-Length: 0" } 0 .. 3]
--- events
{"link": 10}
{"link": 11}
{"link": 12}
{"link": 13}



=== TEST 2: the location's status is for links without one of their own
--- rows eval
package main; links('', ' redirect=1')
--- config
affiliate_redirect 307;
location /c/ { affiliate_click; affiliate_redirect 303; }
location /inherited/ { affiliate_click; }
--- request eval
["GET /c/l0", "GET /c/l1", "GET /inherited/l0", "GET /inherited/l1"]
--- error_code eval
[303, 302, 307, 302]



=== TEST 3: Referrer-Policy of the link
--- rows eval
package main; links('', map { " referrer=$_" } 1 .. 5)
--- request eval
[map { "GET /c/l$_" } 0 .. 5]
--- error_code eval
[(302) x 6]
--- response_headers eval
["! Referrer-Policy", map { "Referrer-Policy: $_" } qw(no-referrer origin same-origin strict-origin unsafe-url)]



=== TEST 4: HEAD is told the same, and records nothing; OPTIONS is told what is allowed
--- rows eval
package main; links(' redirect=2 referrer=1')
--- request eval
["HEAD /c/l0", "OPTIONS /c/l0"]
--- error_code eval
[303, 204]
--- response_headers eval
["Location: https://shop.example/0\nReferrer-Policy: no-referrer\nCache-Control: no-store\n! Set-Cookie", "! Location\n! Referrer-Policy"]
--- events



=== TEST 5: a code that nobody knows goes to affiliate_not_found with 302, whatever the location says
--- config
location /c/ { affiliate_click; affiliate_redirect 307; affiliate_not_found https://shop.example/lost; }
--- request
GET /c/nosuch
--- error_code: 302
--- response_headers
Location: https://shop.example/lost
--- events
