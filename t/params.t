# Parameters of a click: names, aliases, macros.
#
# Guards against a parameter that a partner's URL carries being lost or taken for another, and every byte that a
# visitor can send through every kind of macro (tracker-core/test/test_tracker_url.c does all macros; here the whole way
# from a request line to a Location header).
use lib 't/lib';
use TestAffiliate;

our $rows = join "\n", @ROWS,
    'link 40 3 5 1 bytes https://shop.example/?a={sub1}&b={_sub1}#{sub1}',
    'link 41 3 5 1 all https://shop.example/' . join('/', map { "$_={$_},{_$_}" } qw(affiliate_id affiliate campaign link
        source creative ref_id sub1 sub2 sub3 sub4 sub5 sub6 sub7 sub8 sub9 sub10));
our $every = join '', map { sprintf '%%%02x', $_ } 0 .. 255;
our $safe = qr/[A-Za-z0-9._~-]/;
our $raw = qr{[A-Za-z0-9._~!\$&'()*+,;=:@/?-]};
our $encoded = join '', map { chr =~ $safe ? chr : sprintf '%%%02X', $_ } 0 .. 255;
our $as_is = join '', map { chr =~ $raw ? chr : sprintf '%%%02X', $_ } 0 .. 255;
our $all = join '/', map { my ($n, $v) = @$_; "$n=$v,$v" } ['affiliate_id', 5], ['affiliate', 'Ann'],
    ['campaign', 'Spring%20Sale'], ['link', 'all'], ['source', 's'], ['creative', 'c'], ['ref_id', 'r'],
    map { ["sub$_", "v$_"] } 1 .. 10;

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: all that a request says, in both forms
--- rows eval: $::rows
--- request eval
"GET /c/all?source=s&creative=c&ref_id=r&" . CORE::join '&', map { "sub$_=v$_" } 1 .. 10
--- error_code: 302
--- response_headers eval
"Location: https://shop.example/$::all"



=== TEST 2: every byte through a macro of either form, in query and fragment
--- rows eval: $::rows
--- request eval
"GET /c/bytes?sub1=$::every"
--- error_code: 302
--- response_headers eval
"Location: https://shop.example/?a=$::encoded&b=$::as_is#$::encoded"
--- events
{"link": 40, "sub1": "~^.x00.x01"}



=== TEST 3: all of a click, with their other names
--- request eval
["GET /c/spring?externalid=1&cost=0.05", "GET /c/spring?aff_click_id=2&url=x&deep=y", "GET /c/spring?ref_id=3&externalid=4&deep=z&url=w"]
--- error_code eval
[302, 302, 302]
--- events
{"ref_id": "1", "cost": "0.05", "deep": null}
{"ref_id": "2", "deep": "x"}
{"ref_id": "3", "deep": "z"}



=== TEST 4: affiliate_alias: theirs into ours, for the event and for macros
--- config
location /c/ { affiliate_click; affiliate_alias aff_sub sub1; affiliate_alias offer_url deep; affiliate_alias sub2 sub3; affiliate_alias p source; }
--- request
GET /c/spring?aff_sub=x%20y&offer_url=https://evil.example/&sub2=z&p=q
--- error_code: 302
--- response_headers_like
Location: https://shop\.example/\?cid=\S{40}&s=x%20y
--- events
{"sub1": "x y", "sub2": null, "sub3": "z", "source": "q", "deep": "https://evil.example/", "flags": 8192}



=== TEST 5: names that only resemble ours
--- request
GET /c/spring?sub0=a&sub11=a&Sub1=a&sub=a&sub1%20=a&deeps=a&ur=a&uri=a&URL=a&costs=a&sub01=a&sub1[]=a
--- error_code: 302
--- events
{"sub1": null, "sub2": null, "deep": null, "cost": null}



=== TEST 6: affiliate_not_found: an address of ours or of others, with variables; never a raw control byte
--- config
location /a/ { affiliate_click; affiliate_not_found /lost; }
location /b/ { affiliate_click; affiliate_not_found https://$host/lost?c=$arg_c; }
location /v/ { set $to ""; affiliate_click; affiliate_not_found $to; }
location ~ ^/d/(.*) { affiliate_click $1; affiliate_not_found https://shop.example/$1; }
location /e/ { affiliate_click; }
--- request eval
["GET /a/x", "GET /b/x?c=y", "GET /v/x", "GET /d/x%0d%0ay", "GET /d/x", "GET /e/x", "HEAD /a/x"]
--- error_code eval
[302, 302, 404, 404, 302, 404, 302]
--- response_headers_like eval
["Location: http://localhost(?::\\d+)?/lost", "Location: https://localhost/lost\\?c=y", "", "", "Location: https://shop.example/x", "", "Location: http://localhost(?::\\d+)?/lost"]
--- events



=== TEST 7: where a known link leads nowhere, affiliate_not_found too
--- http
affiliate_not_found https://shop.example/lost;
--- request eval
["GET /c/nowhere", "GET /c/nosuch", "GET /c/spring"]
--- error_code eval
[302, 302, 302]
--- response_headers_like eval
["Location: https://shop.example/lost", "Location: https://shop.example/lost", "Location: https://shop.example/\\?cid=.*"]
--- events
{"link": 11}
