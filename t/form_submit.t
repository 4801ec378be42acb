# affiliate_form, POST by a browser: what is kept, and what a person sees when something is wrong.
#
# Guards leads and people: a lead is kept once, with what the form asked for and nothing else; what somebody typed is never
# lost by a mistake, and never becomes markup; bots' traps give nothing away; a token of another form, of another key or of
# last week is none.
use lib 't/lib';
use TestAffiliate;

our ($true, $now) = (JSON::PP::true, now_ms());
our $token = form_token(1);
our %at = (old => form_token(1, $now - 24 * 3600 * 1000 - 1000), new => form_token(1, $now + 3600 * 1000), other => form_token(2));
(our $forged = $token) =~ s/^(.{30})(.)/$1 . ($2 eq 'z' ? 'y' : 'z')/e;
our ($first, $last) = (click_id(11, $now - 90000, 1), click_id(11, $now - 60000, 2));
our $fields = [
    { name => 'name', type => 1, required => $true, max => 20 }, { name => 'email', type => 2, required => $true },
    { name => 'plan', type => 6, options => ['basic', 'pro'] }, { name => 'topics', type => 7, options => ['a', 'b', 'c'] },
    { name => 'terms', type => 9, required => $true }, { name => 'country', type => 11 }, { name => 'note', type => 1 },
];
our $page = '<form action="^L">^N1;STALE^.^N2;BUSY^.^N3;DOWN^.^X*;FAULTS^.|^R0;name-missing^.^I0;name-invalid^.|^R1;email-missing^.'
    . '^I1;email-invalid^.|^R4;terms-missing^.|^I6;note-invalid^.|<input value="^V0;"><input value="^V1;"><option^S2,0;><option^S2,1;>'
    . '<box^S3,0;><box^S3,1;><box^S3,2;><terms^H4;><de^S5,82;>[^C]<note>^V6;</note>(^T)';
our $rows = join "\n", @TestAffiliate::ROWS, form_row(1, 7, 0, 1, 'open', $fields, page => $page),
    form_row(2, 7, 5, 1, 'bound', $fields, page => $page), form_row(3, 7, 0, 1, 'slow', $fields, page => $page, min_fill => 120000),
    form_row(4, 7, 0, 1, 'few', $fields, page => $page, rate => 2), form_row(5, 7, 0, 2, 'paused', $fields);
our $config = 'location /f/ { affiliate_form; } location /off/ { affiliate_cookie off; affiliate_ip off; affiliate_form; }
    location /hash/ { affiliate_ip hash; affiliate_form; } location /mine/ { affiliate_consent param=ok required; affiliate_form; } location = /status { affiliate_status; }
    location /real/ { affiliate_form; set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP; }';
our $good = "name=Jane&email=j%40x.example&terms=on";

# One more request: its path and body.
sub post { return "POST $_[0]\n$_[1]" }
our $type = "Content-Type: application/x-www-form-urlencoded\n";

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('rows', $rows) if !defined $block->rows;
    $block->set_value('config', $config) if !defined $block->config;
    $block->set_value('more_headers', $type) if !defined $block->more_headers;
});
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: kept, then thanked for behind a redirect
--- request eval
::post('/f/open?x=1', "_token=$::token&$::good&_website=&plan=pro&topics=c&topics=a&topics=&country=DE&junk=1&note=%20two%0D%0Alines%20&submit=Go")
--- more_headers eval
$::type . "User-Agent: Test/1\nReferer: http://localhost/f/open\nAccept-Language: de-AT"
--- error_code: 303
--- response_headers
Location: /f/open?done=1
Cache-Control: no-store
Referrer-Policy: same-origin
Content-Length: 0
--- response_body
--- events
{"kind": "money", "type": "lead", "lead_kind": "form", "program": 7, "form": 1, "affiliate": null, "api_user": null, "flags": null, "key": "0123456789abcdef", "id": "~^[0-9a-f]{32}$", "ip": "127.0.0.1", "user_agent": "Test/1", "referrer": "http://localhost/f/open", "language": "de-AT", "cookie_last": null, "fields": [["name", "Jane"], ["email", "j@x.example"], ["plan", "pro"], ["topics", "c"], ["topics", "a"], ["terms", "1"], ["country", "DE"], ["note", "two\nlines"]]}
--- log
accepted$
--- no_error_log
[error]



=== TEST 2: sent twice, it is the same lead; another page is another one
--- request eval
[::post('/f/open', "_token=$::token&$::good"), ::post('/f/open', "_token=$::token&$::good"), ::post('/f/open', "_token=$::token&$::good&note=changed"),
 ::post('/f/open', "_token=" . main::form_token(1, undef, 'ffffffffffffffff') . "&$::good"), ::post('/f/bound', "_token=$::at{other}&$::good")]
--- error_code eval
[(303) x 5]
--- finally eval
sub {
    my @e = TestAffiliate::events();
    Test::More::is($e[1]{id}, $e[0]{id}, 'a repetition has the same id');
    Test::More::is($e[1]{content}, $e[0]{content}, '... and says the same');
    Test::More::is($e[2]{id}, $e[0]{id}, 'so has another text from the same page');
    Test::More::isnt($e[2]{content}, $e[0]{content}, '... but it says so');
    Test::More::isnt($e[3]{id}, $e[0]{id}, 'another page');
    Test::More::isnt($e[4]{id}, $e[0]{id}, 'another form with the same nonce');
    Test::More::is($e[4]{affiliate}, 5, "... which is an affiliate's");
}



=== TEST 3: what is wrong stands on the page, and what was typed
--- request eval
[::post('/f/open', "_token=$::token&name=&email=nobody&plan=pro&topics=a&topics=c&country=DE&note=n"),
 ::post('/f/open', "_token=$::token&name=" . "x" x 21 . "&terms=1"), ::post('/f/open', "_token=$::token"),
 ::post('/f/open', "_token=$::token&$::good&plan=none&topics=a&topics=a&country=XX")]
--- error_code eval
[(422) x 4]
--- response_headers eval
[("Content-Type: text/html; charset=utf-8\nCache-Control: no-store\nX-Robots-Tag: noindex") x 4]
--- response_body_like eval
[qr{^<form action="/f/open">FAULTS\|name-missing\|email-invalid\|terms-missing\|\|<input value=""><input value="nobody"><option><option selected><box checked><box><box checked><terms><de selected>\[\]<note>n</note>\(.{36}\)$},
 qr{FAULTS\|name-invalid\|email-missing\|\|\|<input value="x{21}"><input value="">.*<terms checked>},
 qr{FAULTS\|name-missing\|email-missing\|terms-missing\|\|},
 qr{FAULTS\|\|\|\|\|<input value="Jane">.*<option><option>.*<terms checked><de>}]
--- events
--- log
fields_invalid$
fields_invalid$
fields_invalid$
fields_invalid$



=== TEST 4: markup in every field stays text
--- request eval
::post('/f/open?click_id="><b>', CORE::join '&', "_token=%22%3E%3Cscript%3E", map { "$_=%22%3E%3Cscript%3Ealert(1)%3C/script%3E'%26amp;%01" } qw(name email plan topics terms country note click_id))
--- error_code: 422
--- response_body_like eval
qr{^<form action="/f/open">STALE\|\|\|\|\|<input value="&quot;&gt;&lt;script&gt;alert\(1\)&lt;/script&gt;&#39;&amp;amp; ">(?!.*<script)(?!.*"'>)}
--- events



=== TEST 5: tokens that are none: the page once more, with one that is
--- request eval
[map { ::post('/f/open', ($_ eq '-' ? '' : "_token=$_&") . $::good) } '-', '', $::forged, $::at{old}, $::at{new}, $::at{other}, substr($::token, 1), "$::token=", "%00$::token"]
--- error_code eval
[(422) x 9]
--- response_body_like eval
[(qr{>STALE\|\|\|\|\|<input value="Jane"><input value="j\@x\.example">.*<terms checked>.*\([-0-9A-Z_a-z]{36}\)$}) x 9]
--- events
--- log
form_token_invalid$
form_token_invalid$
form_token_invalid$
form_token_invalid$
form_token_invalid$
form_token_invalid$
form_token_invalid$
form_token_invalid$
form_token_invalid$



=== TEST 6: what only bots do is answered as always, and marked
--- request eval
[::post('/f/open', "_token=$::token&$::good&_website=x"), ::post('/f/slow', "_token=" . main::form_token(3, main::now_ms() - 60000) . "&$::good"),
 ::post('/f/slow', "_token=" . main::form_token(3, main::now_ms() - 121000) . "&$::good"), "GET /status"]
--- error_code eval
[303, 303, 303, 200]
--- response_headers eval
["Location: /f/open?done=1", "Location: /f/slow?done=1", "Location: /f/slow?done=1", ""]
--- response_body_like eval
["", "", "", '"form_leads": 3,\s+"form_traps": 2']
--- events
{"form": 1, "flags": 1}
{"form": 3, "flags": 2}
{"form": 3, "flags": null}



=== TEST 7: so many a minute and address; nothing is lost, and other forms go on
--- request eval
Time::HiRes::sleep(0.05) while time % 60 > 50;
my $t = main::form_token(4);
[(::post('/real/few', "_token=$t&$::good")) x 3, ::post('/real/few', "_token=$t&$::good"), ::post('/real/open', "_token=$::token&$::good"),
 (::post('/real/few', "_token=$t&$::good")) x 4]
--- more_headers eval
[map { $::type . "X-Real-IP: $_\n" } ("192.0.2.1") x 3, "192.0.2.2", "192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"]
--- error_code eval
[303, 303, 429, 303, 303, 303, 303, 429, 303]
--- response_headers_like eval
["", "", 'Retry-After: [1-5]?\d', "", "", "", "", 'Retry-After: [1-5]?\d', ""]
--- response_body_like eval
["", "", qr{>BUSY\|\|\|\|\|<input value="Jane">}, "", "", "", "", qr{>BUSY}, ""]



=== TEST 8: what brought him: his cookie, and the click that the page carried
--- request eval
[::post('/f/open', "_token=$::token&$::good"), ::post('/f/open', "_token=$::token&$::good&click_id=$::last"),
 ::post("/f/open?subid=$::first", "_token=$::token&$::good&cid=forged"), ::post('/off/open', "_token=$::token&$::good"),
 ::post('/hash/open', "_token=$::token&$::good"), ::post('/f/open', "_token=$::token&$::good&click_id=$::last")]
--- more_headers eval
[(map { "$::type$_" } 'Cookie: ' . main::cookie(7, $::first, $::last) . "\n", "", 'Cookie: ' . main::cookie(8, $::first, $::last) . "\n",
  ('Cookie: ' . main::cookie(7, $::first, $::last) . "\n") x 2), "${main::type}Sec-GPC: 1\nUser-Agent: x\nReferer: http://x/\nAccept-Language: de\nCookie: " . main::cookie(7, $::first, $::last)]
--- error_code eval
[(303) x 6]
--- log eval
"^- - - - - accepted\$
^$::last - .*accepted\$
^$::first - .*accepted\$
accepted\$
accepted\$
^$::last - .*accepted\$"
--- events eval
"{\"cookie_first\": \"$::first\", \"cookie_last\": \"$::last\", \"click\": null}
{\"cookie_last\": null, \"click\": {\"verdict\": \"ok\", \"sequence\": 2}}
{\"cookie_last\": null, \"click\": {\"verdict\": \"ok\", \"sequence\": 1}}
{\"cookie_last\": null, \"ip\": null}
{\"cookie_last\": \"$::last\", \"ip_form\": 2}
{\"flags\": 16, \"cookie_last\": null, \"cookie_first\": null, \"click\": {\"verdict\": \"ok\", \"sequence\": 2}, \"ip\": null, \"user_agent\": null, \"referrer\": null, \"language\": null}"



=== TEST 9: who has to agree, in the address of the page
--- request eval
[map { ::post("/mine/open$_", "_token=$::token&$::good") } "", "?ok=yes", "?ok=no"]
--- more_headers eval
$::type . "User-Agent: x\nCookie: " . main::cookie(7, $::first, $::last)
--- error_code eval
[(303) x 3]
--- events eval
"{\"flags\": 16, \"cookie_last\": null, \"ip\": null, \"user_agent\": null}
{\"flags\": null, \"cookie_last\": \"$::last\", \"ip\": \"127.0.0.1\", \"user_agent\": \"x\"}
{\"flags\": 16, \"cookie_last\": null, \"ip\": null, \"user_agent\": null}"



=== TEST 10: line ends and pasted control characters
--- request eval
::post('/f/open', "_token=$::token&$::good&note=a%0D%0Ab%0Dc%0Bd%7Fe%C2%85f%C3%A4%09g")
--- error_code: 303
--- events
{"fields": [["name", "Jane"], ["email", "j@x.example"], ["terms", "1"], ["note", "a\nb\nc d e fä\tg"]]}



=== TEST 11: what is too much, or no text
--- request eval
[::post('/f/open', "_token=$::token&$::good&note=" . "x" x 4096), ::post('/f/open', "_token=$::token&$::good&note=" . "x" x 4097),
 ::post('/f/open', "_token=$::token&$::good" . "&note=" . "x" x 4000 . "&name=" . "x" x 4000 . "&email=" . "x" x 4000 . "&plan=" . "x" x 4000),
 ::post('/f/open', "_token=$::token&$::good" . "&x=1" x 252), ::post('/f/open', "_token=$::token&$::good" . "&x=1" x 253),
 ::post('/f/open', "_token=$::token&$::good&note=%FF"), ::post('/f/open', "_token=$::token&$::good&x=" . "x" x 65536)]
--- error_code eval
[303, 413, 413, 303, 413, 400, 413]
--- response_body_like eval
["", "<p>", "<p>", "", "<p>", "<p>", "<p>The body is larger"]
--- log
accepted$
lead_too_large$
lead_too_large$
accepted$
lead_too_large$
parameter_malformed$
body_too_large$



=== TEST 12: other types, and none
--- request eval
[::post('/f/open', "_token=$::token&$::good"), ::post('/f/open', "_token=$::token&$::good"), ::post('/f/open', "")]
--- more_headers eval
["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencodedx", ""]
--- error_code eval
[(415) x 3]
--- response_headers eval
[("Content-Type: text/html; charset=utf-8") x 3]
--- events



=== TEST 13: a closed form takes nothing, nor one that is none
--- request eval
[::post('/f/paused', "_token=$::token&$::good"), ::post('/f/nobody', "_token=$::token&$::good")]
--- error_code eval
[404, 404]
--- events



=== TEST 14: behind a body that was refused the next request is read
--- pipelined_requests eval
["POST /f/nobody\nname=Jane&email=x&terms=1", "POST /f/open\nGET /status HTTP/1.1\r\nHost: x\r\n\r\n", "GET /f/open?done=1"]
--- more_headers
Content-Type: text/plain
--- error_code eval
[404, 415, 200]
--- response_body_like eval
["no such form", "Send application", "^done\$"]



=== TEST 15: a body in chunks
--- raw_request eval
my $body = "_token=$::token&$::good";
"POST /f/open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
 . CORE::join '', map({ sprintf "%x\r\n%s\r\n", length, $_ } substr($body, 0, 10), substr($body, 10)), "0\r\n\r\n"
--- error_code: 303
--- events
{"fields": [["name", "Jane"], ["email", "j@x.example"], ["terms", "1"]]}



=== TEST 16: more in chunks than a form has
--- raw_request eval
my $body = "_token=$::token&$::good&x=" . "x" x 65536;
"POST /f/open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
 . CORE::join '', map({ sprintf "%x\r\n%s\r\n", length, $_ } substr($body, 0, 40000), substr($body, 40000)), "0\r\n\r\n"
--- error_code: 413
--- events
