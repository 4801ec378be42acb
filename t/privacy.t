# What is kept of a visitor: addresses cut, hashed or left out, and nothing personal without consent.
#
# Guards against an address that reaches the disk in any form it should not have (the journals' raw bytes are searched),
# a cookie for somebody who said no, and a click that is lost because somebody said no.
use lib 't/lib';
use TestAffiliate;
use Socket ();

our $realip = "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Test-IP;\n";
our $agent = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36';
our $rows = join "\n", @ROWS, 'agents @tracker-core/data/agents.txt',
    'link 40 3 5 1 where https://shop.example/{country}/{region}/{city}/{asn}/{language}/{device}?ip={ip}&cid={click_id}';
our $geoip = "$realip affiliate_geoip city \$TEST_NGINX_ROOT/city.mmdb;";
our $write = sub { ::mmdb('city.mmdb', "203.0.113.0/24 country=DE region=BY city=Munich asn=64500\n"
    . "2001:db8::/32 country=FR region=IDF city=Paris") };
our $first = click_id(11, now_ms() - 86400000, 7);

# All bytes of all journals.
our $journals = sub {
    join '', map { open my $f, '<:raw', $_ or die "$_: $!"; local $/; <$f> } glob "$ENV{TEST_NGINX_STATE}/journal/*";
};
our $v4 = Socket::inet_aton('203.0.113.77');
our $v6 = Socket::inet_pton(Socket::AF_INET6(), '2001:db8:1:2:3:4:5:6');
# Searches for these bytes and texts; @there must be found, so that the search is known to work.
our $search = sub {
    my ($there, $absent) = @_;
    my $bytes = $journals->();
    ::ok(index($bytes, $_) >= 0, 'the journal holds ' . unpack 'H*', $_) for @$there;
    ::ok(index($bytes, $_) < 0, 'the journal does not hold ' . unpack 'H*', $_) for @$absent;
};

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: by default an address is kept
--- http eval: $::realip
--- rows eval: $::rows
--- request eval
["GET /c/where", "GET /c/where"]
--- more_headers eval
["X-Test-IP: 203.0.113.77", "X-Test-IP: 2001:db8:1:2:3:4:5:6"]
--- response_headers_like eval
["Location: .*\\?ip=203\\.0\\.113\\.77&.*", "Location: .*\\?ip=2001%3Adb8%3A1%3A2%3A3%3A4%3A5%3A6&.*"]
--- error_code eval
[302, 302]
--- after eval
sub { $::search->([$::v4], []) }
--- events
{"ip": "203.0.113.77", "ip_form": null}
{"ip": "20010db8000100020003000400050006", "ip_form": null}



=== TEST 2: truncated; places are still found by the whole
--- before eval: $::write
--- http eval
"$::geoip affiliate_ip truncate;"
--- rows eval: $::rows
--- request eval
["GET /c/where", "GET /c/where"]
--- more_headers eval
["X-Test-IP: 2001:db8:1:2:3:4:5:6", "X-Test-IP: 203.0.113.77"]
--- response_headers_like eval
["Location: https://shop.example/FR/IDF/Paris/.*\\?ip=2001%3Adb8%3A1%3A%3A&.*", "Location: https://shop.example/DE/BY/Munich/.*\\?ip=203\\.0\\.113\\.0&.*"]
--- error_code eval
[302, 302]
--- after eval
sub { $::search->([substr($::v6, 0, 6)], [$::v4, $::v6, substr($::v6, 0, 8), '203.0.113.77', '2001:db8']) }
--- events
{"ip": "20010db8000100000000000000000000", "ip_form": 1, "city": "Paris"}
{"ip": "203.0.113.0", "ip_form": 1, "city": "Munich"}



=== TEST 3: truncated, IPv4 searched for
--- http eval
"$::realip affiliate_ip truncate;"
--- more_headers
X-Test-IP: 203.0.113.77
--- error_code: 302
--- after eval
sub { $::search->(["\xcb\x00\x71\x00"], [$::v4, '203.0.113.77']) }



=== TEST 4: hashed: the same within a day, another for another address
--- before eval: $::write
--- http eval
"$::geoip affiliate_ip hash;"
--- rows eval: $::rows
--- request eval
["GET /c/where", "GET /c/where", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 203.0.113.77", "X-Test-IP: 203.0.113.77", "X-Test-IP: 2001:db8:1:2:3:4:5:6"]
--- response_headers_like eval
["Location: https://shop.example/DE/.*\\?ip=[0-9a-f]{32}&.*", "Location: .*\\?ip=[0-9a-f]{32}&.*", "Location: .*"]
--- error_code eval
[302, 302, 302]
--- after eval
sub { $::search->(['Munich'], [$::v4, '203.0.113.77', 'cb00714d']) }
--- events
{"ip": "~^[0-9a-f]{32}$", "ip_form": 2, "city": "Munich"}
{"ip": "~^[0-9a-f]{32}$", "ip_form": 2}
{"ip": "~^[0-9a-f]{32}$", "ip_form": 2, "city": "Paris"}



=== TEST 5: off, and a location that differs
--- http eval
"$::realip affiliate_ip off;"
--- config
location /c/ { affiliate_click; }
location /d/ { affiliate_click; affiliate_ip store; }
--- rows eval: $::rows
--- request eval
["GET /c/where", "GET /d/where"]
--- more_headers
X-Test-IP: 203.0.113.77
--- response_headers_like eval
["Location: .*\\?ip=&.*", "Location: .*\\?ip=203\\.0\\.113\\.77&.*"]
--- error_code eval
[302, 302]
--- after eval
sub { $::search->([], [$::v4, '203.0.113.77']) }
--- events
{"ip": null, "ip_form": null}
{"ip": "203.0.113.77"}



=== TEST 6: HEAD hands nothing on that is not kept
--- http eval
"$::realip affiliate_ip off;"
--- rows eval: $::rows
--- request
HEAD /c/where
--- more_headers
X-Test-IP: 203.0.113.77
--- response_headers_like
Location: .*\?ip=&cid=
--- error_code: 302



=== TEST 7: Sec-GPC: the click is answered, recorded and can be attributed; nothing personal is kept or handed on
--- before eval: $::write
--- detect
--- http eval: $::geoip
--- rows eval: $::rows
--- request
GET /c/where?sub1=news
--- more_headers eval
"X-Test-IP: 203.0.113.77\nSec-GPC: 1\nUser-Agent: $::agent\nReferer: https://blog.example/secret\nAccept-Language: de-BY\n"
    . "Cookie: " . ::cookie(7, $::first)
--- response_headers_like
Location: https://shop\.example/DE/////desktop\?ip=&cid=[-0-9A-Z_a-z]{40}
--- raw_response_headers_unlike: Set-Cookie
--- error_code: 302
--- click_id
{"verdict": "ok", "recorded": true, "link": 40}
--- log
no_cookie_set,no_consent$
--- events
{"flags": 4100, "country": "DE", "region": null, "city": null, "asn": null, "ip": null, "user_agent": null, "referrer": null, "language": null, "first_touch": null, "previous_time_ms": null, "device": "desktop", "sub1": "news"}
--- after eval
sub { $::search->(['news'], [$::v4, 'Munich', 'secret', 'de-BY', 'Mozilla', 'AppleWebKit']) }



=== TEST 8: anything else than Sec-GPC: 1 is not a no; DNT is heeded when it is asked for
--- config
location /c/ { affiliate_click; }
location /d/ { affiliate_click; affiliate_consent gpc dnt; }
location /e/ { affiliate_click; affiliate_consent off; }
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring", "GET /d/spring", "GET /d/spring", "GET /d/spring", "GET /e/spring"]
--- more_headers eval
["Sec-GPC: 0", "Sec-GPC: 11", "DNT: 1", "DNT: 1", "DNT: 0", "Sec-GPC: 1", "Sec-GPC: 1"]
--- error_code eval
[(302) x 7]
--- events
{"flags": null}
{"flags": null}
{"flags": null}
{"flags": 4100}
{"flags": null}
{"flags": 4100}
{"flags": null}



=== TEST 9: what was asked on the page weighs more than what the browser says
--- http
affiliate_consent gpc param=consent;
--- request eval
["GET /c/spring?consent=1", "GET /c/spring?consent=GRANTED", "GET /c/spring?consent=0", "GET /c/spring?consent=maybe",
 "GET /c/spring?consent=", "GET /c/spring"]
--- more_headers eval
["Sec-GPC: 1", "Sec-GPC: 1", "", "", "Sec-GPC: 1", ""]
--- error_code eval
[(302) x 6]
--- events
{"flags": null}
{"flags": null}
{"flags": 4100}
{"flags": 4100}
{"flags": 4100}
{"flags": null}



=== TEST 10: where consent is required, silence is a no
--- http
affiliate_consent param=consent required;
--- request eval
["GET /c/spring", "GET /c/spring?consent=yes", "GET /c/spring?consent=no"]
--- raw_response_headers_unlike eval
["Set-Cookie", "Nothing", "Set-Cookie"]
--- error_code eval
[302, 302, 302]
--- events
{"flags": 4100}
{"flags": null}
{"flags": 4100}



=== TEST 11: cookieless: attribution goes by the click id in the destination
--- http
affiliate_cookie off;
--- config
location /c/ { affiliate_click; }
location = /postback { affiliate_conversion; }
location = /status { affiliate_status; }
location = /shop {
    # the shop that has the id from its own URL
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/postback?click_id=$arg_cid&event=sale&txid=1;
    proxy_set_header X-Api-Key ak_advertiser;
}
--- request eval
our $cid;
["GET /c/spring", "GET /shop?cid=" . ::click_id(11)]
--- raw_response_headers_unlike eval
["Set-Cookie", "Set-Cookie"]
--- error_code eval
[302, 200]
--- events
{"type": "conversion", "event": "sale", "click": {"verdict": "ok", "link": 11}}
{"type": "click", "flags": 4}
