# Pass-through: with the link's option, parameters that are not ours go on to the destination.
#
# Guards against a visitor's query replacing what the destination says itself (the click id, a price, a return
# address), against our own parameters leaking on, and against raw bytes in the Location header.
use lib 't/lib';
use TestAffiliate;

our $rows = join "\n", (grep { !/^campaign 3 / } @ROWS), 'campaign 3 7 1 Spring - hosts=shop.example',
    'link 40 3 5 1 pass https://shop.example/?cid={click_id}&price=10 options=1',
    'link 41 3 5 1 bare https://shop.example/#top options=1',
    'link 42 3 5 1 hash https://shop.example/?a={sub1}#s={sub1} options=1';

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: unknown parameters are appended in their order, ours are not
--- rows eval: $::rows
--- request
GET /c/bare?utm_source=x&sub1=1&sub10=1&source=s&gclid=a%2Bb+c&creative=c&ref_id=r&aff_click_id=r&externalid=r&cost=1&click_id=forged&aff_7=x&%63lick_id=forged&deep=&url=&flag&utm_source=y
--- error_code: 302
--- response_headers
Location: https://shop.example/?utm_source=x&gclid=a%2Bb%20c&flag&utm_source=y#top
--- events
{"link": 41, "sub1": "1", "source": "s"}



=== TEST 2: what the destination names stays as it is, however the name is written
--- rows eval: $::rows
--- request
GET /c/pass?cid=forged&price=1&PRICE=1&pric%65=1&%63id=forged&x=1
--- error_code: 302
--- response_headers_like
Location: https://shop\.example/\?cid=[-0-9A-Z_a-z]{40}&price=10&x=1



=== TEST 3: no link passes anything on without the option
--- request
GET /c/spring?x=1&utm_source=y
--- error_code: 302
--- response_headers_like
Location: https://shop\.example/\?cid=[-0-9A-Z_a-z]{40}&s=



=== TEST 4: before the fragment, each byte in its one spelling
--- rows eval: $::rows
--- request eval
"GET /c/hash?sub1=v&%0d%0aSet-Cookie:%20a=%0d%0a%00%ff&b=%zz%&c=\"<>&d=/?:@&%23=%23&e=%41%7e"
--- error_code: 302
--- response_headers
Location: https://shop.example/?a=v&%0D%0ASet-Cookie%3A%20a=%0D%0A%00%FF&b=%25zz%25&c=%22%3C%3E&d=%2F%3F%3A%40&%23=%23&e=A~#s=v



=== TEST 5: what affiliate_alias makes ours is not passed on
--- rows eval: $::rows
--- config
location /c/ { affiliate_click; affiliate_alias tid sub2; }
--- request
GET /c/bare?tid=7&x=1
--- error_code: 302
--- response_headers
Location: https://shop.example/?x=1#top
--- events
{"sub2": "7"}



=== TEST 6: a deep link takes them too, unless it names them
--- rows eval: $::rows
--- request
GET /c/pass?deep=https%3A%2F%2Fshop.example%2Fshoes%3Fsize%3D42&size=1&utm=x&cid=forged
--- error_code: 302
--- response_headers_like
Location: https://shop\.example/shoes\?size=42&cid=[-0-9A-Z_a-z]{40}&utm=x



=== TEST 7: at most 32, and what fits
--- rows eval: $::rows
--- request eval
["GET /c/bare?" . CORE::join('&', map { "p$_" } 1 .. 40), "GET /c/bare?a=1&b=" . '"' x 2600 . "&c=" . '"' x 200, "GET /c/bare?a=1&" . "n" x 200 . "=1&b=2"]
--- error_code eval
[302, 302, 302]
--- response_headers_like eval
["Location: https://shop.example/\\?p1&.*&p32#top", "Location: https://shop.example/\\?a=1&b=(?:%22){2600}#top", "Location: https://shop.example/\\?a=1&b=2#top"]



=== TEST 8: HEAD is told the same
--- rows eval: $::rows
--- request
HEAD /c/bare?x=1
--- error_code: 302
--- response_headers
Location: https://shop.example/?x=1#top
--- events
