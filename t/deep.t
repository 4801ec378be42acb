# Deep links: a URL that came with the click, in place of the link's destination.
#
# Guards against an open redirect through our host (tracker-core/test/test_tracker_deep.c has the whole list of
# tricks; here they come through a query), against a deep link overruling a fallback, and against one that leads to the
# shop without the click id, whose sale would then be nobody's.
use lib 't/lib';
use TestAffiliate;

our $rows = join "\n", (grep { !/^campaign [34] / } @ROWS),
    'campaign 3 7 1 Spring - hosts=shop.example,.brand.example,xn--mnchen-3ya.example',
    'campaign 4 7 2 Autumn https://shop.example/autumn hosts=shop.example',
    'link 40 3 5 1 plain https://shop.example/',
    'link 41 3 5 1 nodeep https://shop.example/?cid={click_id} options=2',
    'link 42 3 5 1 path https://shop.example/{click_id}/x',
    'link 43 5 5 1 nohosts https://dollars.example/?cid={click_id}';

# each of these goes to the link's own destination
our @hostile = map { s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger } (
    'https://evil.example/', '//evil.example/', '//shop.example/', '/\\evil.example/', 'https:/\\shop.example/',
    'https:\\\\shop.example/', 'https:shop.example/', 'https:///shop.example/', "https://shop.example\t.evil.example/",
    "https://shop.example/\r\nSet-Cookie: a=b", "\x00https://shop.example/", "https://shop.example\x00.evil.example/",
    ' https://shop.example/', 'https://shop.example@evil.example/', 'https://evil.example@shop.example/',
    'https://shop.example\\@evil.example/', 'https://shop.example:8443/', 'https://shop.example:80/',
    'https://shop.example./', 'https://www.shop.example/', 'https://shop.example.evil.example/', 'https://evilshop.example/',
    'https://evilbrand.example/', 'https://.brand.example/', 'https://[::1]/', "https://m\xc3\xbcnchen.example/",
    "https://shop\xe3\x80\x82example/", 'https%3A%2F%2Fshop.example%2F', 'https://shop.example%2f.evil.example/',
    'javascript:alert(1)', 'javascript://shop.example/%0aalert(1)', 'data:text/html,x', 'shop.example', 'https://', 'x',
);

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: to a host of the campaign, with the click id where the destination has it
--- rows eval: $::rows
--- request
GET /c/spring?deep=https%3A%2F%2Fshop.example%2Fred+shoes%3Fsize%3D42%23top&sub1=a
--- error_code: 302
--- response_headers_like
Location: https://shop\.example/red%20shoes\?size=42&cid=[-0-9A-Z_a-z]{40}#top
--- events
{"link": 11, "flags": null, "deep": "https://shop.example/red shoes?size=42#top", "sub1": "a"}



=== TEST 2: hosts without regard to case, all names below one, punycode, the scheme's own port; unencoded where possible
--- rows eval: $::rows
--- request eval
["GET /c/spring?deep=HTTPS://SHOP.example/", "GET /c/spring?url=https://brand.example", "GET /c/spring?url=http://a.b.brand.example:80/x", "GET /c/spring?deep=https://xn--mnchen-3ya.example:443/"]
--- error_code eval
[302, 302, 302, 302]
--- response_headers_like eval
["Location: HTTPS://SHOP.example/\\?cid=\\S{40}", "Location: https://brand.example\\?cid=\\S{40}", "Location: http://a.b.brand.example:80/x\\?cid=\\S{40}", "Location: https://xn--mnchen-3ya.example:443/\\?cid=\\S{40}"]
--- events
{"flags": null, "deep": "HTTPS://SHOP.example/"}
{"flags": null, "deep": "https://brand.example"}
{"flags": null}
{"flags": null}



=== TEST 3: every trick goes to the link's own destination, and is marked
--- rows eval: $::rows
--- request eval
[map { "GET /c/spring?deep=$_" } @::hostile]
--- error_code eval
[map { 302 } @::hostile]
--- response_headers_like eval
[map { "Location: https://shop\\.example/\\?cid=[-0-9A-Z_a-z]{40}&s=" } @::hostile]
--- events eval
CORE::join "\n", map { '{"link": 11, "flags": 8192, "deep": "~."}' } @::hostile



=== TEST 4: a link or a campaign that allows none
--- rows eval: $::rows
--- request eval
["GET /c/nodeep?deep=https://shop.example/x", "GET /c/nohosts?deep=https://dollars.example/x"]
--- error_code eval
[302, 302]
--- response_headers_like eval
["Location: https://shop\\.example/\\?cid=\\S{40}", "Location: https://dollars\\.example/\\?cid=\\S{40}"]
--- events
{"link": 41, "flags": 8192, "deep": "https://shop.example/x"}
{"link": 43, "flags": 8192}



=== TEST 5: a paused link goes to its fallback, deep link or not; that is no refusal
--- rows eval: $::rows
--- request eval
["GET /c/paused?deep=https://shop.example/x", "GET /c/autumn?deep=https://shop.example/x"]
--- error_code eval
[302, 302]
--- response_headers_like eval
["Location: https://shop\\.example/gone\\?from=paused", "Location: https://shop\\.example/autumn"]
--- events
{"link": 12, "flags": 36, "deep": "https://shop.example/x"}
{"link": 13, "flags": 36}



=== TEST 6: the id of an earlier click in a copied address is replaced; a link that hands none on does not here
--- rows eval: $::rows
--- request eval
["GET /c/spring?deep=https%3A%2F%2Fshop.example%2F%3Fcid%3Dold%26a%3Db%26%2563id%3Dold", "GET /c/path?deep=https://shop.example/", "GET /c/plain?deep=https%3A%2F%2Fshop.example%2F%3Fa%3Db"]
--- error_code eval
[302, 302, 302]
--- response_headers_like eval
["Location: https://shop\\.example/\\?a=b&cid=[-0-9A-Z_a-z]{40}", "Location: https://shop\\.example/\\?click_id=[-0-9A-Z_a-z]{40}", "Location: https://shop\\.example/\\?a=b"]



=== TEST 7: macros are not expanded, bytes that have no place in a URL are encoded
--- rows eval: $::rows
--- request
GET /c/plain?deep=https%3A%2F%2Fshop.example%2F%7Bclick_id%7D%2F%7B_sub1%7D%22%3C%3E%5C%C3%A9%25zz%2541&sub1=x
--- error_code: 302
--- response_headers
Location: https://shop.example/%7Bclick_id%7D/%7B_sub1%7D%22%3C%3E%5C%C3%A9%25zz%41



=== TEST 8: the first one counts; an empty one does not; HEAD is told the same
--- rows eval: $::rows
--- request eval
["GET /c/plain?deep=&url=https://shop.example/1&deep=https://shop.example/2", "HEAD /c/spring?deep=https://shop.example/x"]
--- error_code eval
[302, 302]
--- response_headers eval
["Location: https://shop.example/1", "Location: https://shop.example/x?cid="]
--- events
{"deep": "https://shop.example/1", "flags": null}



=== TEST 9: a long one is followed whole, the event keeps its beginning; one that cannot fit is an error and no click
--- rows eval: $::rows
--- request eval
["GET /c/plain?deep=https://shop.example/" . "x" x 3000, "GET /c/plain?deep=https://shop.example/" . '"' x 4000]
--- error_code eval
[302, 414]
--- response_headers_like eval
["Location: https://shop\\.example/x{3000}", ""]
--- events eval
my $x = "x" x 491;
qq({"link": 40, "deep": "https://shop.example/$x"})
