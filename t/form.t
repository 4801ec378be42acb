# affiliate_form, GET: the page of a form, its headers, and what stands in it.
#
# Guards a page that anybody may frame, that runs a script, that a cache or a search engine keeps, or in which what stands
# in its own address becomes markup; and a form that answers although it is closed.
use lib 't/lib';
use TestAffiliate;

our $click = click_id(11, now_ms() - 90000, 1);
our $other = click_id(11, now_ms() - 60000, 2);
(our $forged = $click) =~ s/(.)$/$1 eq 'z' ? 'y' : 'z'/e;
our $fields = [{ name => 'email', type => 2, required => JSON::PP::true }];
our $style = 'p{color:#a00}';
our $page = "<!doctype html><style>$style</style><form method=\"post\" action=\"^L\"><p>token ^T</p>click [^C] value [^V0;]"
    . '^X*;faults^.^N1;stale^.^N2;busy^.^N3;down^.</form>';
our @forms = (
    form_row(1, 7, 0, 1, 'open', $fields, page => $page, done => '<p>Thanks^T</p>'),
    form_row(2, 7, 0, 2, 'paused', $fields), form_row(3, 7, 0, 4, 'archived', $fields),
    form_row(4, 9, 0, 1, 'nine', $fields), form_row(5, 99, 0, 1, 'orphan', $fields),
    form_row(6, 7, 0, 1, 'framed', $fields, ancestors => "'self' https://shop.example"),
    form_row(7, 7, 0, 1, 'url', $fields, after => 2, after_url => 'https://shop.example/thanks'),
    form_row(8, 7, 0, 1, 'plain', $fields, after => 2, after_url => 'http://shop.example/thanks'),
    form_row(9, 10, 0, 1, 'auto', $fields, after => 3),
    form_row(10, 7, 0, 1, 'everywhere', $fields, ancestors => '*'),
);
our $rows = join "\n", @TestAffiliate::ROWS,
    'program 10 1 1 30 EUR - platform_user=92 platform_url=https://platform.example/in', @forms;
our $config = 'location /f/ { affiliate_form; } location ~ ^/sign-up/(\w+)$ { affiliate_form $1; }
    location = /one { affiliate_form open; } location /again/ { rewrite ^/again(/.*)$ /f$1 last; }
    location /mine/ { affiliate_consent param=ok required; affiliate_form; } location = /status { affiliate_status; }';

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('rows', $rows) if !defined $block->rows;
    $block->set_value('config', $config) if !defined $block->config;
});
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: the page, with a token of its own, and what browsers are told
--- request
GET /f/open
--- response_headers eval
use Digest::SHA 'sha256_base64';
"Content-Type: text/html; charset=utf-8
Cache-Control: no-store
X-Robots-Tag: noindex
X-Content-Type-Options: nosniff
X-Frame-Options:
Set-Cookie:
Referrer-Policy: same-origin
Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'self'; style-src 'sha256-" . sha256_base64($main::style) . "='; frame-ancestors 'none'"
--- response_body_like eval
qr{^<!doctype html><style>\Q$::style\E</style><form method="post" action="/f/open"><p>token [-0-9A-Z_a-z]{36}</p>click \[\] value \[\]</form>$}
--- events
--- no_error_log
[error]



=== TEST 2: no two pages have the same token
--- request eval
["GET /f/open", "GET /f/open"]
--- response_body_like eval
[qr/token (.{36})(?{ $main::token = $1 })/, qr/token (.{36})(?(?{ $1 eq $main::token })(*FAIL))/]



=== TEST 3: HEAD is GET without the page
--- request
HEAD /f/open
--- response_headers_like
Content-Length: \d{3}
Content-Security-Policy: default-src 'none'.*
--- response_body



=== TEST 4: who may frame it, and where it may lead
--- request eval
["GET /f/framed", "GET /f/everywhere", "GET /f/url", "GET /f/plain", "GET /f/auto"]
--- response_headers eval
["Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self' https://shop.example",
 "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors *",
 "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'self' https:; frame-ancestors 'none'",
 "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'self' http: https:; frame-ancestors 'none'",
 "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'self' https:; frame-ancestors 'none'"]



=== TEST 5: no such form, and a closed one
--- request eval
["GET /f/nobody", "GET /f/archived", "GET /f/orphan", "GET /f/", "GET /f/open/", "GET /f/" . "x" x 65, "GET /f/OPEN", "GET /f/paused", "GET /f/nine"]
--- error_code eval
[(404) x 9]
--- response_headers eval
[("Content-Type: text/html; charset=utf-8\nCache-Control: no-store\nX-Robots-Tag: noindex") x 9]
--- response_body_like eval
[(qr/<p>There is no such form\.<\/p>/) x 7, (qr/<p>This form is not open at the moment\.<\/p>/) x 2]
--- no_error_log
[error]



=== TEST 6: the key may stand elsewhere; the form sends to where it was found
--- request eval
["GET /sign-up/open", "GET /one", "GET /again/open", "GET /f/%6fpen", "GET //f//open?x"]
--- response_body_like eval
["action=\"/sign-up/open\"", "action=\"/one\"", "action=\"/f/open\"", "action=\"/f/open\"", "action=\"/f/open\""]



=== TEST 7: the click that its address names, by any of its names; what is none of ours is nothing
--- request eval
["GET /f/open?click_id=$::click", "GET /f/open?subid=$::click&x=1", "GET /f/open?cid=$::forged", "GET /f/open?cid=$::forged&clickid=$::click",
 "GET /f/open?click_id=%22%3E%3Cscript%3E", "GET /f/open?click_id=\"><script>"]
--- response_body_like eval
["click \\[$::click\\]", "click \\[$::click\\]", "click \\[\\]", "click \\[$::click\\]", "click \\[\\]", "click \\[\\]"]



=== TEST 8: the click of the link he came by counts without consent too, as in a pixel's address
--- request eval
"GET /mine/open?click_id=$::click"
--- more_headers
Sec-GPC: 1
--- response_body_like eval
"click \\[$::click\\]"



=== TEST 9: what a form's address may hold becomes text
--- config
location ~ ^/a { affiliate_form open; }
--- request eval
["GET /a%22%3E%3Cb%3E'&c", "GET /a\"><b>"]
--- response_body_like eval
["action=\"/a%22%3E%3Cb%3E&#39;&amp;c\"", "action=\"/a%22%3E%3Cb%3E\""]



=== TEST 10: it was sent; and tickets that are none
--- request eval
["GET /f/open?done=1", "GET /f/open?wait=", "GET /f/open?wait=x", "GET /f/framed?done=", "GET /f/auto?wait=" . main::pass_for(1, 9, time - 1, '0' x 32),
 "GET /f/auto?wait=" . main::pass_for(1, 8, time + 60, '0' x 32), "GET /f/auto?wait=" . main::pass_for(2, 9, time + 60, '0' x 32),
 "GET /f/open?wait=" . main::pass_for(1, 1, time + 60, '0' x 32)]
--- error_code eval
[(200) x 8]
--- response_headers eval
[("X-Robots-Tag: noindex\nRefresh:") x 8]
--- response_body_like eval
[(qr/^<p>Thanks.{36}<\/p>$/) x 3, ("^done\$") x 4, "^<p>Thanks"]



=== TEST 11: other methods
--- request eval
["PUT /f/open\nx=1", "DELETE /f/open", "OPTIONS /f/open", "OPTIONS /f/nobody"]
--- error_code eval
[405, 405, 204, 404]
--- response_headers eval
["Allow: GET, POST", "Allow: GET, POST", "Allow: GET, HEAD, POST, OPTIONS\nAccess-Control-Allow-Origin:", "X-Robots-Tag: noindex"]
--- events



=== TEST 12: an edge that has no configuration yet
--- before eval
sub {
    open my $f, '>', "$ENV{TEST_NGINX_ROOT}/other.key" or die;
    print $f '1 current ' . ('ab' x 32) . "\n";
    close $f;
    chmod 0640, "$ENV{TEST_NGINX_ROOT}/other.key";
    TestAffiliate::snapshot('foreign', 5, CORE::join "\n", @TestAffiliate::ROWS);
}
--- http_config
affiliate_state $TEST_NGINX_STATE;
affiliate_key_file $TEST_NGINX_ROOT/other.key;
affiliate_snapshot $TEST_NGINX_ROOT/foreign;
--- request
GET /f/open
--- error_code: 503
--- response_headers
Retry-After: 2
Content-Type: text/html; charset=utf-8



=== TEST 13: what has happened stands on the status page
--- request eval
["GET /f/open", "GET /f/nobody", "PUT /f/open", "GET /status"]
--- error_code eval
[200, 404, 405, 200]
--- response_body_like eval
["", "", "", '"forms": 1,\s+"form_leads": 0,\s+"form_traps": 0,\s+"forms_refused": 2,\s+"forms_unavailable": 0']



=== TEST 14: a page on which nothing stands as long as nothing was sent
--- rows eval
CORE::join "\n", @TestAffiliate::ROWS, main::form_row(1, 7, 0, 1, 'open', $::fields, page => '^V0;')
--- request
GET /f/open
--- response_headers
Content-Length: 0
--- response_body
--- no_error_log
[alert]
