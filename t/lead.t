# Leads by the partner API, one at a time: who may, which fields, what is written, and what is answered before anybody decides.
#
# Guards people's data and partners' money: a lead that is answered must be on disk whole, a bad one leave nothing behind, a
# retry be the same lead, and nobody's lead carry what its sender may not say (whose it is, or that it is none of his).
use lib 't/lib';
use TestAffiliate;
use Digest::SHA qw(hmac_sha256_hex);

our $click = click_id(11, now_ms() - 60000, 1);
our $rows = join "\n", @ROWS,
    'key 71 7 5 1 1 4 0 ak_sender',
    'key 72 7 0 1 2 4 0 ak_shop',
    'key 73 7 5 1 1 4 0 ak_tester options=2',
    'key 74 7 5 1 1 4 0 ak_login options=1',
    'key 75 7 5 1 1 27 0 ak_no_write',
    'key 76 7 5 1 1 4 0 ak_minute rate=2',
    'key 77 7 5 2 1 4 1600000000000 ak_w1 networks=192.0.2.1',
    'key 81 7 5 1 1 4 0 ak_signer secret=hush';
our $form = "X-Api-Key: ak_sender\nContent-Type: application/x-www-form-urlencoded\n";
our $json = "X-Api-Key: ak_sender\nContent-Type: application/json\n";
our $post = sub { return "POST /api/v1/leads\n" . $_[0] };
our $new_minute = sub { Time::HiRes::sleep(0.05) while time % 60 > 50; };
our $body = '{"email":"a@b.example","ts":' . time() . '}';
our $stale = '{"email":"a@b.example","ts":' . (time() - 1000) . '}';
our $hex = '[0-9a-f]{32}';

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('rows', $rows) if !defined $block->rows;
    $block->set_value('config', '
        location = /api/v1/leads { affiliate_lead; affiliate_auth leads:read; proxy_pass http://127.0.0.1:$server_port/backend; }
        location = /alone { affiliate_lead; }
        location = /backend { access_log off; return 200 "to the backend\n"; }
        location = /status { affiliate_status; }') if !defined $block->config;
});
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: JSON with everything, recorded field by field; nobody decides here, so 202
--- request eval
$::post->(qq({"email":" Ann\@Example.org ","phone":"+49 (89) 1234-567","first_name":"Ann","last_name":"M\x{fc}ller","name":"Ann M.","country":"de","language":"de","coupon":"SPRING","click_id":"$::click","referrer":"https://blog.example/","ip":"192.0.2.7","user_agent":"Mozilla/5.0","budget":1500,"vip":true,"wants":["a","b"],"note":"one\\r\\ntwo","empty":"","nothing":null,"none":[]}) =~ s/\x{fc}/\xc3\xbc/r)
--- more_headers eval
$::json . "Idempotency-Key: order 1\n"
--- error_code: 202
--- response_headers_like
Location: /api/v1/leads/[0-9a-f]{32}
Retry-After: 1
Cache-Control: no-store
Content-Type: application/json
--- response_body_like eval
qr!^\{"data":\{"id":"($::hex)","verdict":"undecided","status_url":"/api/v1/leads/\1"\}\}$!
--- events
{"kind": "money", "type": "lead", "lead_kind": "api", "auth": 1, "program": 7, "api_user": 71, "affiliate": 5, "form": null, "flags": null, "key": "order 1", "ip": "192.0.2.7", "user_agent": "Mozilla/5.0", "referrer": "https://blog.example/", "language": "de", "click": {"verdict": "ok", "link": 11}, "id": "~^[0-9a-f]{32}$", "content": "~^[0-9a-f]{32}$", "fields": [["budget","1500"],["vip","true"],["wants","a"],["wants","b"],["note","one\ntwo"],["email","Ann@Example.org"],["phone","+49 (89) 1234-567"],["first_name","Ann"],["last_name","Müller"],["name","Ann M."],["country","DE"],["language","de"],["coupon","SPRING"]]}
--- calls
{"api_user": 71, "status": 202, "code": "undecided", "path": "/api/v1/leads", "method": "POST", "lead": "~^[0-9a-f]{32}$"}
--- log
- - - - 71 undecided$
--- no_error_log
[error]



=== TEST 2: a form; aliases; several values of a name
--- request eval
$::post->("email=ann%40example.org&phonenumber=089+123456&cid=$::click&wants=a&wants=b%26c&x=")
--- more_headers eval
$::form
--- error_code: 202
--- events
{"key": null, "click": {"verdict": "ok"}, "ip": null, "user_agent": null, "fields": [["wants","a"],["wants","b&c"],["email","ann@example.org"],["phone","089 123456"]]}



=== TEST 3: the same lead again has the same id, in whatever order and form it comes; another one, another key, another sender have others
--- request eval
[map { $::post->($_) } '{"email":"a@b.example","x":"1","y":["2","3"]}', '{"y":["3","2"],"x":"1","email":"a@b.example"}', 'x=1&y=2&y=3&email=a%40b.example',
 '{"email":"a@b.example","x":"2","y":["2","3"]}', '{"email":"a@b.example"}', '{"email":"a@b.example"}', '{"email":"c@d.example"}', '{"email":"a@b.example"}']
--- more_headers eval
[$::json, $::json, $::form, $::json, $::json . "Idempotency-Key: K", $::json . "Idempotency-Key: k", $::json . "Idempotency-Key: K", "X-Api-Key: ak_shop\nContent-Type: application/json\nIdempotency-Key: K"]
--- error_code eval
[(202) x 8]
--- finally eval
sub {
    my @id = map { $_->{id} } ::events();
    my @content = map { $_->{content} } ::events();
    Test::More::is("$id[1] $id[2]", "$id[0] $id[0]", 'the same lead, three times');
    Test::More::is($id[6], $id[4], 'the same key: the same id');
    Test::More::isnt($content[6], $content[4], 'though it says something else');
    my %different = map { $_ => 1 } @id[0, 3, 4, 5, 7];
    Test::More::is(scalar(keys %different), 5, 'all others are others');
}



=== TEST 4: what a lead must be; each with the field that is to blame, and nothing is written
--- request eval
[map { $::post->($_) } '{}', '{"first_name":"Ann"}', '{"email":"ann"}', '{"phone":"12"}', '{"email":"a@b.example","country":"XX"}',
 '{"email":"a@b.example","country":"Germany"}', '{"email":"a@b.example","ip":"192.0.2"}', '{"email":"a@b.example","click_id":"x"}',
 '{"email":"a@b.example","test":"maybe"}', '{"email":"a@b.example","utm-source":"x"}', '{"email":"a@b.example","Name":"x"}', '{"email":"a@b.example","":"x"}',
 '{"email":"a@b.example","a\"b\n":"x"}', '{"email":"a@b.example","x":{"y":1}}', '{"email":"a@b.example","x":[["y"]]}', '{"email":"a@b.example","x":[1]}',
 '{"email":"a@b.example","x":1.5}', '{"email":["a@b.example","c@d.example"]}', '{"email":"a@b.example","x":"\u0001"}', '{"email":"a@b.example","x":"' . 'y' x 4097 . '"}',
 '{"email":"a@b.example","_x":"1"}', '{"email":"a@b.example","' . 'x' x 65 . '":"1"}']
--- more_headers eval
$::json
--- error_code eval
[(400) x 19, 413, 400, 400]
--- response_body_like eval
['"contact_missing","message":"[^"]*","doc_url":"/docs/errors#contact_missing"\}\}$', "contact_missing", '"email_invalid".*"fields":\{"email":', '"phone_invalid".*"fields":\{"phone":', '"country_invalid".*"fields":\{"country":',
 "country_invalid", '"ip_invalid".*"fields":\{"ip"', '"click_id_invalid".*"fields":\{"click_id"',
 '"test_invalid".*"fields":\{"test"', '"field_name_invalid".*"fields":\{"utm-source":', '"field_name_invalid".*"fields":\{"Name":', '"field_name_invalid","message":"[^"]*","doc_url":"[^"]*"\}\}$',
 '"fields":\{"a\?b\?":', '"field_type_wrong".*"fields":\{"x":', "field_type_wrong", "field_type_wrong",
 "field_type_wrong", '"parameter_repeated".*"fields":\{"email"', '"parameter_malformed".*"fields":\{"x"', '"lead_too_large".*"fields":\{"x"', "field_name_invalid", "field_name_invalid"]
--- events



=== TEST 5: bodies that are none
--- request eval
[map { $::post->($_) } '', '{', '"x"', '17', '{"email":"a@b.example","email":"a@b.example"}', "{\"email\":\"a\@b.example\",\"x\":\"\xff\"}", '{"email":"a@b.example","x":"\u0000"}',
 '{"email":"a@b.example","x":' . '[' x 3000 . ']' x 3000 . '}', '{"email":"a@b.example","x":' . '9' x 400 . '}', '{"email":"a@b.example","x":1e999}', '{"x":' x 2000 . '1' . '}' x 2000]
--- more_headers eval
$::json
--- error_code eval
[(400) x 11]
--- response_body_like eval
["contact_missing", ("json_malformed") x 9, "field_type_wrong"]
--- events



=== TEST 6: at most 256 fields, 12 KiB together; 64 KiB of body
--- request eval
[map { $::post->($_) } '{"email":"a@b.example",' . CORE::join(',', map { qq("f$_":"$_") } 1 .. 255) . '}', '{"email":"a@b.example",' . CORE::join(',', map { qq("f$_":"$_") } 1 .. 256) . '}',
 '{"email":"a@b.example",' . CORE::join(',', map { qq("f$_":"") } 1 .. 3000) . '}', '{"email":"a@b.example",' . CORE::join(',', map { qq("f$_":") . 'x' x 4000 . '"' } 1 .. 3) . '}',
 '{"email":"a@b.example",' . CORE::join(',', map { qq("f$_":") . 'x' x 4000 . '"' } 1 .. 4) . '}', '{"email":"a@b.example","x":"' . ' ' x 66000 . '"}', '{' . CORE::join(',', map { qq("f$_":1) } 1 .. 100000) . '}', '{' . CORE::join(',', map { qq("f$_":1) } 1 .. 80000) . '}']
--- more_headers eval
$::json
--- error_code eval
[202, 413, 202, 202, 413, 413, 413, 413]
--- response_body_like eval
["undecided", "lead_too_large", "undecided", "undecided", "lead_too_large", "body_too_large", "body_too_large", "body_too_large"]
--- finally eval
sub { Test::More::is(scalar(my @e = ::events()), 3, 'three are written'); }
--- timeout: 10



=== TEST 7: a form of very many parameters
--- request eval
[$::post->('a=1&' x 12000), $::post->('&' x 60000 . 'phone=123456'), $::post->('email=a%40b.example&x=%00'), $::post->('email=a%40b.example&x=%ff%fe'), $::post->('email=a%40b.example&' . 'x' x 300 . '=1')]
--- more_headers eval
$::form
--- error_code eval
[413, 202, 400, 400, 400]
--- response_body_like eval
["lead_too_large", "undecided", "parameter_malformed", "parameter_malformed", "field_name_invalid"]



=== TEST 8: who may: state, expiry, network, scope, rate, in that order and before the body; then the key and the body's kind
--- request eval
$::new_minute->();
[map { $::post->('{"email":"a@b.example"}') } 1 .. 9]
--- more_headers eval
["X-Api-Key: ak_w1", "X-Api-Key: ak_no_write\n", "X-Api-Key: ak_minute\n", "X-Api-Key: ak_minute\nIdempotency-Key: \xe9", "X-Api-Key: ak_minute\n", "", "X-Api-Key: ak_none",
 "X-Api-Key: ak_sender\nIdempotency-Key: " . "x" x 129, "X-Api-Key: ak_sender\nContent-Type: text/plain"]
--- error_code eval
[403, 403, 415, 400, 429, 401, 401, 400, 415]
--- response_body_like eval
["user_paused", "scope_denied", "body_type_unsupported", "idempotency_key_invalid", "rate_limited", "key_missing", "key_unknown", "idempotency_key_invalid", "body_type_unsupported"]
--- events



=== TEST 9: other methods go to the backend, judged by affiliate_auth; alone they are answered 405
--- request eval
["GET /api/v1/leads", "GET /api/v1/leads", "GET /alone", "PUT /alone\nx", "POST /alone\nemail=a%40b.example"]
--- more_headers eval
["X-Api-Key: ak_no_write", "X-Api-Key: ak_sender", "X-Api-Key: ak_sender", "X-Api-Key: ak_sender", $::form]
--- error_code eval
[200, 403, 405, 405, 202]
--- response_headers_like eval
["", "", "Allow: POST", "Allow: POST", ""]



=== TEST 10: what users ask for: tests and autologins; a test is another lead than the same in earnest
--- request eval
[map { $::post->($_) } ('{"email":"a@b.example"}') x 3, '{"email":"a@b.example","test":true}', '{"email":"a@b.example","test":"0"}']
--- more_headers eval
["X-Api-Key: ak_tester\nContent-Type: application/json", "X-Api-Key: ak_login\nContent-Type: application/json", $::json, $::json, $::json]
--- error_code eval
[(202) x 5]
--- events
{"flags": 8, "fields": [["email","a@b.example"],["test","true"]]}
{"flags": 32, "fields": [["email","a@b.example"]]}
{"flags": null, "api_user": 71}
{"flags": 8, "api_user": 71}
{"flags": null, "fields": [["email","a@b.example"]]}



=== TEST 11: an advertiser's key sends leads too, of no affiliate but the click's
--- request eval
$::post->(qq({"email":"a\@b.example","click_id":"$::click","affiliate":"9","api_user":"9","program":"9"}))
--- more_headers
X-Api-Key: ak_shop
Content-Type: application/json
--- error_code: 202
--- events
{"api_user": 72, "affiliate": null, "program": 7, "click": {"verdict": "ok"}}



=== TEST 12: signed: a form with the query, JSON by header; a changed byte, a stale ts, a query beside signed JSON
--- request eval
my $sign = sub { return Digest::SHA::hmac_sha256_hex($_[0], 'hush') };
["POST /api/v1/leads?user=81&sig=" . $sign->('email=a%40b.example&user=81') . "\nemail=a%40b.example", "POST /api/v1/leads?user=81&sig=" . $sign->('email=a%40b.example&user=81') . "\nemail=c%40b.example",
 "POST /api/v1/leads\n$::body", "POST /api/v1/leads\n" . $::body =~ s/example/Example/r, "POST /api/v1/leads\n$::stale", "POST /api/v1/leads?x=1\n$::body"]
--- more_headers eval
my $by = sub { return "Content-Type: application/json\nX-Api-User: 81\nX-Signature: sha256=" . Digest::SHA::hmac_sha256_hex($_[0], 'hush') };
["Content-Type: application/x-www-form-urlencoded", "Content-Type: application/x-www-form-urlencoded", $by->($::body), $by->($::body), $by->($::stale), $by->($::body)]
--- error_code eval
[202, 401, 202, 401, 401, 401]
--- events
{"auth": 2, "api_user": 81}
{"auth": 2, "api_user": 81}



=== TEST 13: affiliate_ip says what is kept of the person's address
--- config
location = /api/v1/leads { affiliate_lead; affiliate_ip truncate; }
--- request eval
[map { $::post->(qq({"email":"a\@b.example","ip":"$_"})) } "192.0.2.77", "2001:db8:1:2::5", "::ffff:192.0.2.9"]
--- more_headers eval
$::json
--- error_code eval
[202, 202, 202]
--- events
{"ip": "192.0.2.0", "ip_form": 1}
{"ip": "20010db8000100000000000000000000", "ip_form": 1}
{"ip": "192.0.2.0", "ip_form": 1}



=== TEST 14: refused with bodies unread, pipelined behind each other
--- pipelined_requests eval
[$::post->('x' x 20000), $::post->('{"email":"a@b.example"}'), $::post->('{"email":'), $::post->('{"email":"c@d.example"}')]
--- more_headers eval
["X-Api-Key: ak_none\n", $::json, $::json, $::json]
--- error_code eval
[401, 202, 400, 202]
--- events
{"fields": [["email","a@b.example"]]}
{"fields": [["email","c@d.example"]]}



=== TEST 15: nothing can be written: 503, and nothing half there
--- before eval
sub { mkdir $ENV{TEST_NGINX_STATE}; open my $f, '>', "$ENV{TEST_NGINX_STATE}/journal"; }
--- request eval
$::post->('{"email":"a@b.example"}')
--- more_headers eval
$::json
--- error_code: 503
--- response_headers
Retry-After: 2
--- response_body_like: unavailable



=== TEST 16: counted by what became of them
--- request eval
[$::post->('{"email":"a@b.example"}'), $::post->('{}'), $::post->('{"email":"a@b.example"}'), "GET /status"]
--- more_headers eval
[$::json, $::json, "X-Api-Key: ak_none", ""]
--- error_code eval
[202, 400, 401, 200]
--- response_body_like eval
["", "", "", '"leads_undecided": 1,\s+"leads_rejected": 0,\s+"leads_refused": 2']
