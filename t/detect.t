# Bots, previews, hosting networks, floods: doubts are written down with their reasons, and nobody is turned away.
#
# Guards against a preview that gets a cookie, a supposed bot that gets none (it may be a person), a person who is marked because a neighbour clicked
# too much, a datacentre list that is read out of order, and marks that are lost on the way into the event.
use lib 't/lib';
use TestAffiliate;

our $chrome = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36';
our $iphone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 '
    . 'Mobile/15E148 Safari/604.1';
our $bot = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)';
our $preview = 'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)';
our $realip = "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Test-IP;\n";
our $rows = join "\n", @ROWS, 'agents @tracker-core/data/agents.txt', 'datacentres 13 64496 64500 64502 4200000000',
    'link 40 3 5 1 who https://shop.example/{device}/{os}/{browser}?cid={click_id}';
our $networks = join "\n", map { "192.0.2.$_/32 asn=" . (13, 64495, 64496, 64499, 64500, 64501, 64502, 64503, 4200000000, 1)[$_] } 0 .. 9;
our $asn = "$realip affiliate_geoip asn \$TEST_NGINX_ROOT/asn.mmdb;";

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: devices, systems and browsers, in the event and in macros
--- detect
--- rows eval: $::rows
--- request eval
["GET /c/who", "GET /c/who"]
--- more_headers eval
["User-Agent: $::chrome", "User-Agent: $::iphone"]
--- response_headers_like eval
["Location: https://shop\\.example/desktop/windows/chrome\\?.*", "Location: https://shop\\.example/phone/ios/safari\\?.*"]
--- error_code eval
[302, 302]
--- events
{"flags": null, "device": "desktop", "os": "windows", "browser": "chrome"}
{"flags": null, "device": "phone", "os": "ios", "browser": "safari"}



=== TEST 2: bots and previews are redirected, recorded with their reason, and only previews get no cookie
--- detect
--- rows eval: $::rows
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["User-Agent: $::bot", "User-Agent: $::preview", "User-Agent: curl/7.88.1"]
--- response_headers_like eval
["Location: https://shop\\.example/.*", "Location: https://shop\\.example/.*", "Location: https://shop\\.example/.*"]
--- raw_response_headers_like eval
["Set-Cookie: aff_7=", "", "Set-Cookie: aff_7="]
--- raw_response_headers_unlike eval
["(?!)", "Set-Cookie", "(?!)"]
--- error_code eval
[302, 302, 302]
--- log
 bot$
no_cookie_set,preview$
 bot$
--- events
{"flags": 8}
{"flags": 260}
{"flags": 8}



=== TEST 3: no User-Agent at all
--- detect
--- rows eval: $::rows
--- raw_response_headers_like: Set-Cookie: aff_7=
--- error_code: 302
--- log
 no_agent$
--- events
{"flags": 2048, "user_agent": null}



=== TEST 4: prefetches, whoever says so
--- detect
--- rows eval: $::rows
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["User-Agent: $::chrome\nSec-Purpose: prefetch;prerender", "User-Agent: $::chrome\nPurpose: prefetch",
 "User-Agent: $::chrome\nPurpose: purpose"]
--- raw_response_headers_unlike eval
["Set-Cookie", "Set-Cookie", "Nothing"]
--- error_code eval
[302, 302, 302]
--- events
{"flags": 20, "device": "desktop"}
{"flags": 20}
{"flags": null}



=== TEST 5: hosting networks are marked, every one of the list and none beside it; people may come through them
--- detect
--- before eval
sub { ::mmdb('asn.mmdb', $::networks) }
--- http eval: $::asn
--- rows eval: $::rows
--- request eval
[("GET /c/spring") x 10]
--- more_headers eval
[map { "User-Agent: $::chrome\nX-Test-IP: 192.0.2.$_" } 0 .. 9]
--- raw_response_headers_like eval
[("Set-Cookie") x 10]
--- error_code eval
[(302) x 10]
--- events
{"flags": 512, "asn": 13}
{"flags": null, "asn": 64495}
{"flags": 512, "asn": 64496}
{"flags": null, "asn": 64499}
{"flags": 512, "asn": 64500}
{"flags": null, "asn": 64501}
{"flags": 512, "asn": 64502}
{"flags": null, "asn": 64503}
{"flags": 512, "asn": 4200000000}
{"flags": null, "asn": 1}



=== TEST 6: a new snapshot brings a new list, also for addresses that are remembered
--- detect
--- before eval
sub { ::mmdb('asn.mmdb', $::networks) }
--- http eval: $::asn
--- rows eval: $::rows
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
"User-Agent: $::chrome\nX-Test-IP: 192.0.2.3"
--- after eval
sub {
    (my $rows = $::rows) =~ s/64500/64499/;
    ::snapshot($ENV{TEST_NGINX_SNAPSHOT}, 6, $rows);
    ::wait_for('the new snapshot', sub { ::status()->{counters}{snapshots_loaded} == 2 });
}
--- error_code eval
[302, 302]
--- events
{"flags": null, "config_version": 5}
{"flags": 512, "config_version": 6}



=== TEST 7: more clicks than affiliate_rate allows are marked, of that address alone; they keep their cookie
--- detect
--- http eval
"$::realip affiliate_rate 3;"
--- request eval
[("GET /c/spring") x 6]
--- more_headers eval
[map { "User-Agent: x\nX-Test-IP: 192.0.2.$_" } 1, 1, 1, 1, 2, 1]
--- raw_response_headers_like eval
[("Set-Cookie") x 6]
--- error_code eval
[(302) x 6]
--- events
{"flags": null}
{"flags": null}
{"flags": null}
{"flags": 1024}
{"flags": null}
{"flags": 1024}



=== TEST 8: an IPv6 visitor owns a /64, and is counted as one
--- detect
--- http eval
"$::realip affiliate_rate 2;"
--- request eval
[("GET /c/spring") x 4]
--- more_headers eval
[map { "User-Agent: x\nX-Test-IP: 2001:db8:0:$_" } '1::1', '1::2', '1:ffff::3', '2::1']
--- error_code eval
[(302) x 4]
--- events
{"flags": null}
{"flags": null}
{"flags": 1024}
{"flags": null}



=== TEST 9: workers count together
--- detect
--- http eval
"$::realip affiliate_rate 20;"
--- before eval
sub { ::workers(2) }
--- request eval
[("GET /c/spring") x 22]
--- more_headers
User-Agent: x
X-Test-IP: 192.0.2.1
--- error_code eval
[(302) x 22]
--- log
ok$
rate$
rate$



=== TEST 10: HEAD does not count, affiliate_rate off does not look
--- detect
--- before eval
sub { ::workers(1) }
--- http eval
"$::realip affiliate_rate 1;"
--- config
location /c/ { affiliate_click; }
location /d/ { affiliate_click; affiliate_rate off; }
--- request eval
["HEAD /c/spring", "HEAD /c/spring", "GET /c/spring", "GET /d/spring", "GET /c/spring", "GET /d/spring"]
--- more_headers
User-Agent: x
X-Test-IP: 192.0.2.1
--- error_code eval
[(302) x 6]
--- events
{"flags": null}
{"flags": null}
{"flags": 1024}
{"flags": null}



=== TEST 11: affiliate_detect off marks nobody
--- before eval
sub { ::mmdb('asn.mmdb', $::networks) }
--- http eval
"$::asn affiliate_rate 1;"
--- rows eval: $::rows
--- request eval
[("GET /c/spring") x 3]
--- more_headers eval
["User-Agent: $::bot\nX-Test-IP: 192.0.2.0", "X-Test-IP: 192.0.2.0", "User-Agent: $::chrome\nX-Test-IP: 192.0.2.0"]
--- raw_response_headers_like eval
[("Set-Cookie") x 3]
--- error_code eval
[(302) x 3]
--- events
{"flags": null, "device": null, "asn": 13}
{"flags": null, "asn": 13}
{"flags": null, "device": null, "asn": 13}



=== TEST 12: a snapshot without lists knows nobody, and loses nothing
--- detect
--- more_headers eval
"User-Agent: $::bot"
--- error_code: 302
--- events
{"flags": null, "device": null}



=== TEST 13: adverts that are seen are no clicks: they do not use up an address's minute
--- detect
--- http eval
"$::realip affiliate_rate 2;"
--- config
location /c/ { affiliate_click; }
location /i/ { affiliate_impression; }
--- request eval
[("GET /i/spring") x 4, ("GET /c/spring") x 3]
--- more_headers
User-Agent: x
X-Test-IP: 192.0.2.1
--- error_code eval
[(200) x 4, (302) x 3]
--- events
{"type": "impression", "flags": 4}
{"type": "impression", "flags": 4}
{"type": "impression", "flags": 4}
{"type": "impression", "flags": 4}
{"type": "click", "flags": null}
{"type": "click", "flags": null}
{"type": "click", "flags": 1024}
