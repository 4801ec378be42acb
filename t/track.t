# affiliate_track: clicks on pages that somebody else answers.
#
# Guards against a click that counts twice (an internal redirect forgets a request's context), against one of a subrequest,
# of a page's own images or of HEAD, against a cookie that gets lost between the phases, and above all against a page
# that is not answered because of us.
use lib 't/lib';
use TestAffiliate;

our $last = click_id(11, now_ms() - 3600000, 8);
our $tracked = 1 << 16;

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: a page with a code in its address is a click; the page is answered as ever, with the cookie
--- config
affiliate_track on;
--- user_files
>>> page.html
the page
--- request
GET /page.html?ref=spring&sub1=a%20b&utm=c
--- more_headers
Referer: https://blog.example/post
User-Agent: Test/1.0
--- response_body
the page
--- response_headers_like
Set-Cookie: aff_7=([-0-9A-Z_a-z]{40})\.\1; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax
--- log
^[-0-9A-Z_a-z]{40} 5 11 3 - tracked$
--- click_id
{"verdict": "ok", "recorded": 1, "link": 11, "sequence": 1}
--- events
{"type": "click", "link": 11, "program": 7, "flags": 65536, "sub1": "a b", "referrer": "https://blog.example/post", "user_agent": "Test/1.0", "deep": null}



=== TEST 2: every alias of ref; the first one counts; what is no code of ours is no click
--- config
location /p/ { affiliate_track on; affiliate_alias partner ref; empty_gif; }
--- request eval
[map { "GET /p/?$_" } "via=spring", "aff=spring", "aff_id=spring", "a_aid=spring", "btag=%73pring", "fpr=spring", "partner=spring", "ref=&x=1&via=spring&ref=dollars", "ref=nosuch", "ref=" . "x" x 65, "ref=", "ref", "xref=spring", ""]
--- error_code eval
[map { 200 } 1 .. 14]
--- events eval
CORE::join "\n", map { '{"link": 11}' } 1 .. 8



=== TEST 3: return answers before anything is tracked (documented)
--- config
location /p/ { affiliate_track on; return 200 "ok"; }
--- request
GET /p/?ref=spring
--- response_body: ok
--- events



=== TEST 4: only GET is a visit
--- config
location /p/ { affiliate_track on; empty_gif; }
--- request eval
["HEAD /p/?ref=spring", "OPTIONS /p/?ref=spring", "POST /p/?ref=spring\nx=y"]
--- error_code eval
[200, 405, 405]
--- events



=== TEST 5: try_files, error_page and index redirect internally: one click, one cookie
--- config
location /tf/ { affiliate_track on; try_files /nosuch @app; }
location @app { affiliate_track on; return 200 "$affiliate_click_id"; }
location /missing/ { affiliate_track on; error_page 404 /page.html; }
location = /page.html { affiliate_track on; }
location /folder/ { affiliate_track on; index page.html; }
location /folder/page.html { affiliate_track on; }
--- user_files
>>> page.html
the page
>>> folder/page.html
in the folder
--- request eval
["GET /tf/?ref=spring", "GET /missing/x?ref=spring", "GET /folder/?ref=spring"]
--- error_code eval
[200, 404, 200]
--- response_body_like eval
["^[-0-9A-Z_a-z]{40}\$", "the page", "in the folder"]
--- response_headers_like eval
["Set-Cookie: aff_7=\\S{81}; .*", "Set-Cookie: aff_7=\\S{81}; .*", "Set-Cookie: aff_7=\\S{81}; .*"]
--- events
{"link": 11}
{"link": 11}
{"link": 11}



=== TEST 6: X-Accel-Redirect, and variables for the backend and for headers
--- config
location = /app {
    affiliate_track on;
    proxy_set_header X-Click $affiliate_click_id;
    proxy_set_header X-Affiliate $affiliate_id;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend;
}
location = /backend { add_header X-Accel-Redirect /inner; return 200 "$http_x_click"; }
location = /inner { internal; affiliate_track on; add_header X-Verdict $affiliate_verdict-$affiliate_source; empty_gif; }
location = /echo { affiliate_track on; add_header X-Click $affiliate_click_id; proxy_set_header X-Click $affiliate_click_id; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/backend2; }
location = /backend2 { return 200 "$http_x_click"; }
--- request eval
["GET /app?ref=spring&source=news", "GET /echo?ref=spring"]
--- response_headers_like eval
["X-Verdict: tracked-news", "X-Click: [-0-9A-Z_a-z]{40}"]
--- response_body_like eval
["GIF89a", "^[-0-9A-Z_a-z]{40}\$"]
--- events
{"link": 11}
{"link": 11}



=== TEST 7: subrequests are not visits
--- config
location = /page.html { affiliate_track on; ssi on; }
location = /part.html { affiliate_track on; }
location = /mirrored { affiliate_track on; mirror /copy; empty_gif; }
location = /copy { internal; affiliate_track on; return 204; }
--- user_files
>>> page.html
<!--# include virtual="/part.html?ref=spring" -->
>>> part.html
part
--- request eval
["GET /page.html", "GET /page.html?ref=dollars", "GET /mirrored?ref=spring"]
--- response_body_like eval
["part", "part", "GIF"]
--- events
{"link": 14}
{"link": 11}



=== TEST 8: a page's images, scripts and fetches are none; a frame is one without a cookie
--- config
location /p/ { affiliate_track on; empty_gif; }
--- request eval
[map { "GET /p/?ref=spring" } 1 .. 6]
--- more_headers eval
["Sec-Fetch-Dest: image", "Sec-Fetch-Dest: empty", "Sec-Fetch-Dest: script", "Sec-Fetch-Dest: iframe", "Sec-Fetch-Dest: document", "Purpose: prefetch"]
--- raw_response_headers_unlike eval
["Set-Cookie", "Set-Cookie", "Set-Cookie", "Set-Cookie", "nothing", "Set-Cookie"]
--- events
{"flags": 65540}
{"flags": 65536}
{"flags": 65556}



=== TEST 9: the cookie is read too; a 304 and an error page carry it
--- config
affiliate_track on;
--- user_files
>>> page.html 202001010000
the page
--- request eval
["GET /page.html?ref=spring", "GET /page.html?ref=spring", "GET /nosuch?ref=spring"]
--- more_headers eval
["Cookie: " . ::cookie(7, $::last), "If-None-Match: *", ""]
--- error_code eval
[200, 304, 404]
--- response_headers_like eval
["Set-Cookie: aff_7=$::last\\..*", "Set-Cookie: aff_7=.*", "Set-Cookie: aff_7=.*"]
--- events
{"flags": 65537}
{"flags": 65536}
{"flags": 65536}



=== TEST 10: a code from variables; off below on; our own locations are not tracked on top
--- config
affiliate_track on;
location /v/ { affiliate_track $arg_partner; empty_gif; }
location /off/ { affiliate_track off; empty_gif; }
location /in/ { empty_gif; }
location /c/ { affiliate_click; }
location /i/ { affiliate_impression; }
location /t/ { affiliate_click json; }
location = /a.js { affiliate_js; }
--- request eval
["GET /v/?partner=spring&ref=dollars", "GET /off/?ref=spring", "GET /in/?ref=spring", "GET /c/spring?ref=spring", "GET /i/spring?ref=spring", "GET /t/spring?ref=spring", "GET /a.js?ref=spring", "GET /v/?ref=spring"]
--- error_code eval
[200, 200, 200, 302, 200, 200, 200, 200]
--- events
{"link": 11, "flags": 65536}
{"link": 11, "flags": 65536}
{"link": 11, "flags": null}
{"link": 11, "type": "impression"}
{"link": 11, "flags": 65536}



=== TEST 11: whoever may not see the page is no visitor
--- config
location /deny/ { affiliate_track on; deny all; empty_gif; }
location /auth/ { affiliate_track on; auth_basic x; auth_basic_user_file /dev/null; empty_gif; }
--- request eval
["GET /deny/?ref=spring", "GET /auth/?ref=spring"]
--- error_code eval
[403, 401]
--- events



=== TEST 12: paused, capped and out of dates: marked, the page is answered; no snapshot, the page is answered
--- rows eval
CORE::join "\n", @::ROWS, 'link 40 3 5 1 late https://shop.example/ ends=1000', 'link 41 99 5 1 broken https://shop.example/'
--- config
location /p/ { affiliate_track on; empty_gif; }
--- request eval
["GET /p/?ref=paused", "GET /p/?ref=nowhere", "GET /p/?ref=late", "GET /p/?ref=broken", "GET /p/?ref=terminated"]
--- error_code eval
[200, 200, 200, 200, 200]
--- events
{"link": 12, "flags": 65572}
{"link": 15, "flags": 65572}
{"link": 40, "flags": 98308}
{"link": 18, "flags": 65668}



=== TEST 13: without a snapshot
--- http_config
affiliate_state $TEST_NGINX_STATE;
affiliate_key_file $TEST_NGINX_ROOT/edge.key;
--- config
location /p/ { affiliate_track on; empty_gif; }
--- request
GET /p/?ref=spring
--- response_body_like: GIF
--- events



=== TEST 14: a word that is no code
--- config
affiliate_track yes;
--- must_die
--- error_log
"affiliate_track" "yes" is neither on, off nor a code that comes from variables



=== TEST 15: it needs a state folder
--- http_config
--- config
affiliate_track on;
--- must_die
--- error_log
"affiliate_track" needs "affiliate_state"



=== TEST 16: what a page includes is no visit of its own: neither a record nor another id for the page
--- config
location = /page.html { affiliate_track on; ssi on; }
location = /click { set $id $affiliate_click_id; affiliate_click spring; }
location = /report { set $id $affiliate_click_id; affiliate_click json spring; }
location = /seen { set $id $affiliate_click_id; affiliate_impression spring; }
location = /mirrored { affiliate_track on; mirror /click; empty_gif; }
--- user_files
>>> page.html
<!--# include virtual="/click" --><!--# include virtual="/report" --><!--# include virtual="/seen" -->
--- request eval
["GET /page.html?ref=dollars", "GET /mirrored?ref=dollars"]
--- response_body_like eval
["404 Not Found(?s:.*)404 Not Found(?s:.*)404 Not Found", "GIF"]
--- log
^[-0-9A-Z_a-z]{40} 5 14 5 - tracked$
^[-0-9A-Z_a-z]{40} 5 14 5 - tracked$
--- events
{"link": 14, "flags": 65536}
{"link": 14, "flags": 65536}



=== TEST 17: a conversion in a subrequest has a verdict of its own
--- config
location = /mirrored { affiliate_track on; mirror /px; empty_gif; }
location = /px { set $id $affiliate_click_id; affiliate_pixel program=7; }
--- request
GET /mirrored?ref=spring&customer=4&txid=1
--- response_body_like: GIF
--- log
^[-0-9A-Z_a-z]{40} 5 11 3 - tracked$
--- events
{"link": 11, "flags": 65536}
{"type": "conversion"}
