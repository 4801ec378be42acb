# affiliate_form: forms that a script sends, from the pages that the form's owner has named.
#
# Guards visitors of other pages: a script that nobody named can neither send a form in its visitor's name nor read what it
# is answered; and guards the owner of the pages: what his script sends is told from a repetition, judged as a person's
# would be, and answered field by field.
use lib 't/lib';
use TestAffiliate;

our $true = JSON::PP::true;
our $token = form_token(1);
our $last = click_id(11, now_ms() - 60000, 2);
our $fields = [
    { name => 'name', type => 1, required => $true }, { name => 'email', type => 2, required => $true }, { name => 'age', type => 4 },
    { name => 'topics', type => 7, options => ['a', 'b'] }, { name => 'news', type => 8 },
];
our $rows = join "\n", @TestAffiliate::ROWS,
    form_row(1, 7, 0, 1, 'open', $fields, origins => 'https://shop.example,http://www.shop.example:8080', page => '^N1;STALE^.'),
    form_row(2, 7, 0, 1, 'alone', $fields),
    form_row(3, 7, 0, 1, 'url', $fields, origins => 'https://shop.example', after => 2, after_url => 'https://shop.example/thanks?a="b"'),
    form_row(4, 7, 0, 1, 'few', $fields, origins => 'https://shop.example', rate => 1);
our $good = '{"name": "Jane", "email": "j@x.example"}';
our $json = "Content-Type: application/json\n";
our $shop = "${json}Origin: https://shop.example\n";

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('rows', $rows);
    $block->set_value('config', 'location /f/ { affiliate_form; } location = /status { affiliate_status; }');
    $block->set_value('more_headers', $shop) if !defined $block->more_headers;
});
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: may a page's script ask?
--- request eval
[("OPTIONS /f/open") x 4, "OPTIONS /f/alone"]
--- more_headers eval
[map { "Access-Control-Request-Method: POST\nAccess-Control-Request-Headers: content-type\n$_" } "Origin: https://shop.example",
 "Origin: http://www.shop.example:8080", "Origin: https://evil.example", "Origin: http://localhost:$ENV{TEST_NGINX_SERVER_PORT}", "Origin: https://shop.example"]
--- error_code eval
[(204) x 5]
--- response_headers eval
["Access-Control-Allow-Origin: https://shop.example\nAccess-Control-Allow-Methods: POST\nAccess-Control-Allow-Headers: Content-Type, Idempotency-Key\nAccess-Control-Max-Age: 600\nVary: Origin",
 "Access-Control-Allow-Origin: http://www.shop.example:8080\nVary: Origin",
 "Access-Control-Allow-Origin:\nAccess-Control-Allow-Methods:\nVary: Origin", "Vary: Origin",
 "Access-Control-Allow-Origin:\nVary: Origin"]



=== TEST 2: sent from a named page, without a token
--- request eval
"POST /f/open\n" . '{"name": " Jane ", "email": "j@x.example", "age": 42, "topics": ["b", "a"], "news": true, "junk": 1, "_website": "", "click_id": "' . $::last . '"}'
--- error_code: 202
--- response_headers
Content-Type: application/json
Access-Control-Allow-Origin: https://shop.example
Access-Control-Allow-Credentials: true
Vary: Origin
Cache-Control: no-store
--- response_body_like
^\{"data":\{"id":"[0-9a-f]{32}","status":"accepted","redirect_url":"/f/open\?done=1"\}\}$
--- events
{"fields": [["name", "Jane"], ["email", "j@x.example"], ["age", "42"], ["topics", "b"], ["topics", "a"], ["news", "1"]], "key": null, "flags": null, "click": {"verdict": "ok", "sequence": 2}}



=== TEST 3: told from a repetition by its key, or by what it says
--- request eval
[("POST /f/open\n$::good") x 5, "POST /f/open\n" . '{"email": "j@x.example", "name": "Jane"}']
--- more_headers eval
[map { "$::shop$_" } "", "", "Idempotency-Key: a", "Idempotency-Key: a", "Idempotency-Key: b", ""]
--- error_code eval
[(202) x 6]
--- finally eval
sub {
    my @id = map { $_->{id} } TestAffiliate::events();
    Test::More::is($id[1], $id[0], 'the same once more');
    Test::More::is($id[5], $id[0], '... in another order');
    Test::More::isnt($id[2], $id[0], 'a key of its own');
    Test::More::is($id[3], $id[2], '... twice');
    Test::More::isnt($id[4], $id[2], 'another key');
}



=== TEST 4: from other pages, and from nowhere
--- request eval
[("POST /f/open\n$::good") x 4, "POST /f/alone\n$::good", "POST /f/open\n" . '{"name": "Jane", "email": "j@x.example", "_token": "' . $::token . '"}']
--- more_headers eval
["${main::json}Origin: https://evil.example", "${main::json}Origin: null", "${main::json}Origin: https://shop.example.evil.example", $::json, $::shop, $::json]
--- error_code eval
[403, 403, 403, 422, 403, 202]
--- response_headers eval
[("Access-Control-Allow-Origin:\nVary: Origin") x 6]
--- response_body_like eval
[('"code":"form_origin_denied"') x 3, '"code":"form_token_invalid"', '"code":"form_origin_denied"', '"status":"accepted"']
--- events
{"key": "0123456789abcdef"}



=== TEST 5: a token that is none does not count as no token
--- request eval
"POST /f/open\n" . '{"name": "Jane", "email": "j@x.example", "_token": "x"}'
--- error_code: 422
--- response_headers
Access-Control-Allow-Origin: https://shop.example
--- response_body_like eval
qr/form_token_invalid/



=== TEST 6: fetch sends forms too: by what the browser says, or what it accepts
--- request eval
[("POST /f/open\nname=Jane&email=j%40x.example") x 4]
--- more_headers eval
[map { "Content-Type: application/x-www-form-urlencoded\nOrigin: https://shop.example\n$_" } "Sec-Fetch-Mode: cors", "Accept: application/json, */*", "", "Sec-Fetch-Mode: navigate\nAccept: text/html"]
--- error_code eval
[202, 202, 422, 422]
--- response_body_like eval
["accepted", "accepted", "^STALE\$", "^STALE\$"]



=== TEST 7: what is wrong with each field
--- request eval
["POST /f/open\n{\"email\": \"nobody\", \"age\": \"old\", \"topics\": [\"a\", \"x\"]}", "POST /f/open\n{\"name\": null, \"email\": \"\", \"news\": false}"]
--- error_code eval
[422, 422]
--- response_headers eval
["Access-Control-Allow-Origin: https://shop.example", "Content-Type: application/json"]
--- response_body eval
["{\"error\":{\"code\":\"fields_invalid\",\"message\":\"Some fields are missing or invalid.\",\"doc_url\":\"/docs/errors#fields_invalid\",\"fields\":{\"name\":\"missing\",\"email\":\"invalid\",\"age\":\"invalid\",\"topics\":\"invalid\"}}}\n",
 "{\"error\":{\"code\":\"fields_invalid\",\"message\":\"Some fields are missing or invalid.\",\"doc_url\":\"/docs/errors#fields_invalid\",\"fields\":{\"name\":\"missing\",\"email\":\"missing\"}}}\n"]
--- log
fields_invalid$
fields_invalid$
--- events



=== TEST 8: no JSON, or of another shape
--- request eval
[map { "POST /f/open\n$_" } "", "x", "[]", "\"x\"", "{\"name\": \"a\", \"name\": \"b\"}", "{\"name\": \"\\u0000\"}", "{\"name\": \"\xff\"}", "{\"name\": {\"first\": \"x\"}}", "{\"age\": 1.5}", "{\"topics\": [[\"a\"]]}",
 "[" x 60000, "{\"topics\": [" . CORE::join(",", ("\"a\"") x 257) . "]}", "{" . CORE::join(",", map { "\"f$_\": 1" } 1 .. 257) . "}", "{\"name\": \"" . "x" x 65536 . "\"}"]
--- error_code eval
[(400) x 11, (413) x 3]
--- response_body_like eval
[('"json_malformed"') x 7, ('"field_type_wrong"') x 3, '"json_malformed"', ('"lead_too_large"') x 2, '"body_too_large"']
--- events



=== TEST 9: keys that are none
--- request eval
[("POST /f/open\n$::good") x 3]
--- more_headers eval
["${main::shop}Idempotency-Key: " . "x" x 128, "${main::shop}Idempotency-Key: " . "x" x 129, "${main::shop}Idempotency-Key: \xc3\xa4"]
--- error_code eval
[202, 400, 400]
--- response_body_like eval
["accepted", "idempotency_key_invalid", "idempotency_key_invalid"]



=== TEST 10: where it leads is said, not done
--- request eval
"POST /f/url\n$::good"
--- error_code: 202
--- response_body_like eval
qr{"redirect_url":"https://shop\.example/thanks\?a=\\"b\\""}



=== TEST 11: too many
--- request eval
Time::HiRes::sleep(0.05) while time % 60 > 55;
[("POST /f/few\n$::good") x 2]
--- error_code eval
[202, 429]
--- response_headers_like eval
["", "Retry-After: \\d+"]
--- response_body_like eval
["", '"code":"rate_limited"']



=== TEST 12: refusals before the body, and the connection goes on
--- pipelined_requests eval
["POST /f/alone\n$::good", "POST /f/nobody\n$::good", "POST /f/open\n$::good"]
--- error_code eval
[403, 404, 202]
--- response_body_like eval
["form_origin_denied", "form_unknown", "accepted"]



=== TEST 13: a trap is answered as anything
--- request eval
"POST /f/open\n" . '{"name": "Jane", "email": "j@x.example", "_website": "x"}'
--- error_code: 202
--- events
{"flags": 1}
