# Whose address a click or conversion has: nginx's, after its own realip module, and nobody else's word.
#
# Guards against anybody who writes X-Forwarded-For into a request and so gets another country, another rate limit, or past
# an address list.
use lib 't/lib';
use TestAffiliate;

our $click = click_id(11, now_ms() - 60000, 1);

# All the headers that some proxy somewhere sets.
our $spoofed = join "\n", map { "$_: 192.0.2.66" } qw(X-Forwarded-For X-Real-IP X-Client-IP Client-IP True-Client-IP CF-Connecting-IP
    X-Cluster-Client-IP Fastly-Client-IP X-Originating-IP X-Remote-Addr X-ProxyUser-Ip);
$spoofed .= "\nForwarded: for=192.0.2.66\nX-Api-Key: ak_advertiser";

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: without the realip module's word no header counts
--- request eval
["GET /c/macros", "GET /postback?click_id=$::click"]
--- more_headers eval
[$::spoofed, $::spoofed]
--- error_code eval
[302, 200]
--- response_headers_like eval
["Location: .*[?&]ip=127\\.0\\.0\\.1&.*", ""]
--- events
{"kind": "money", "ip": "127.0.0.1"}
{"kind": "traffic", "ip": "127.0.0.1"}



=== TEST 2: with it, from a proxy that is trusted
--- config
set_real_ip_from 127.0.0.1;
real_ip_header X-Forwarded-For;
location /c/ { affiliate_click; }
location = /postback { affiliate_conversion; }
--- request eval
["GET /c/macros", "GET /postback?click_id=$::click"]
--- more_headers eval
[$::spoofed, $::spoofed]
--- error_code eval
[302, 200]
--- response_headers_like eval
["Location: .*[?&]ip=192\\.0\\.2\\.66&.*", ""]
--- events
{"kind": "money", "ip": "192.0.2.66"}
{"kind": "traffic", "ip": "192.0.2.66"}



=== TEST 3: a peer that is not trusted may say what it likes
--- config
set_real_ip_from 10.0.0.0/8;
real_ip_header X-Forwarded-For;
location /c/ { affiliate_click; }
--- request
GET /c/spring
--- more_headers eval
$::spoofed
--- error_code: 302
--- events
{"kind": "traffic", "ip": "127.0.0.1"}



=== TEST 4: of a chain the last address that no trusted proxy has; what the visitor wrote stands before it
--- config
set_real_ip_from 127.0.0.1;
set_real_ip_from 10.0.0.0/8;
real_ip_header X-Forwarded-For;
real_ip_recursive on;
location /c/ { affiliate_click; }
--- request
GET /c/spring
--- more_headers
X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.1.2.3
--- error_code: 302
--- events
{"kind": "traffic", "ip": "192.0.2.7"}



=== TEST 5: what is no address is nobody's
--- config
set_real_ip_from 127.0.0.1;
real_ip_header X-Forwarded-For;
location /c/ { affiliate_click; }
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Forwarded-For: localhost", "X-Forwarded-For: 1.2.3.4.5", "X-Forwarded-For: 192.0.2.1; drop", "X-Forwarded-For: " . "9" x 2000]
--- error_code eval
[302, 302, 302, 302]
--- events
{"kind": "traffic", "ip": "127.0.0.1"}
{"kind": "traffic", "ip": "127.0.0.1"}
{"kind": "traffic", "ip": "127.0.0.1"}
{"kind": "traffic", "ip": "127.0.0.1"}



=== TEST 6: both kinds of addresses; IPv4 mapped into IPv6 is IPv4
--- config
set_real_ip_from 127.0.0.1;
real_ip_header X-Forwarded-For;
location /c/ { affiliate_click; }
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Forwarded-For: 2001:db8::66", "X-Forwarded-For: ::ffff:192.0.2.66"]
--- error_code eval
[302, 302]
--- events
{"kind": "traffic", "ip": "20010db8000000000000000000000066"}
{"kind": "traffic", "ip": "192.0.2.66"}
