# Leads in batches: each is judged by itself, what is good is on disk, and the answer says which is which.
#
# Guards people's data: one bad line must not take a thousand leads with it, none of a thousand may be called taken without
# being there, and a batch that is sent again must be the same leads.
use lib 't/lib';
use TestAffiliate;
use Digest::SHA ();

our $rows = join "\n", @ROWS, 'key 71 7 5 1 1 4 0 ak_sender', 'key 76 7 5 1 1 4 0 ak_minute rate=1', 'key 81 7 5 1 1 4 0 ak_signer secret=hush';
our $json = "X-Api-Key: ak_sender\nContent-Type: application/json\n";
our $post = sub { return 'POST /api/v1/leads' . "\n" . $_[0] };
our $item = sub { my ($n, $more) = @_; return qq({"email":"lead$n\@x.example") . ($more // '') . '}' };
our $list = sub { return '[' . CORE::join(',', @_) . ']' };
our $signed = $list->(map { $item->($_) } 1 .. 2);
our $stale = '{"ts":' . (time() - 1000) . ',"leads":' . $signed . '}';
our $new_minute = sub { Time::HiRes::sleep(0.05) while time % 60 > 50; };

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('rows', $rows) if !defined $block->rows;
    $block->set_value('config', 'location = /api/v1/leads { affiliate_lead; } location = /status { affiliate_status; }') if !defined $block->config;
});
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: all of them are good: 200, and nobody decides here
--- request eval
$::post->($::list->(map { $::item->($_) } 1 .. 3))
--- more_headers eval
$::json
--- response_body_like chop
^\{"data":\{"accepted":3,"refused":0,"items":\[\{"index":0,"id":"([0-9a-f]{32})","verdict":"undecided","status_url":"/api/v1/leads/\1"\},\{"index":1,"id":"[0-9a-f]{32}",[^}]*\},\{"index":2,[^}]*\}\]\}\}$
--- log
- - - - 71 accepted$
--- events
{"kind": "money", "type": "lead", "api_user": 71, "affiliate": 5, "fields": [["email","lead1@x.example"]]}
{"fields": [["email","lead2@x.example"]]}
{"fields": [["email","lead3@x.example"]]}
--- calls
{"api_user": 71, "status": 200, "items": 3, "code": "accepted", "lead": null}
--- no_error_log
[error]



=== TEST 2: some are not: 207, and each says why and which field; the others are recorded
--- request eval
$::post->(qq({"leads":[@{[$::item->(1)]},{"first_name":"x"},17,@{[$::item->(4, ',"phone":"1"')]},null,@{[$::item->(6, ',"x":{}')]},[],@{[$::item->(8)]}],"note":"x"}))
--- more_headers eval
$::json
--- error_code: 207
--- response_body_like chop
^\{"data":\{"accepted":2,"refused":6,"items":\[\{"index":0,"id":[^}]*\},\{"index":1,"error":\{"code":"contact_missing",[^{}]*\}\},\{"index":2,"error":\{"code":"json_malformed",[^{}]*\}\},\{"index":3,"error":\{"code":"phone_invalid",[^{}]*"fields":\{"phone":"[^"]*"\}\}\},\{"index":4,"error":\{"code":"json_malformed".*?\}\},\{"index":5,"error":\{"code":"field_type_wrong".*?"fields":\{"x":.*?\},\{"index":6,"error":\{"code":"json_malformed".*?\}\},\{"index":7,"id":.*\}\]\}\}$
--- log
- - - - 71 batch_partial$
--- events
{"fields": [["email","lead1@x.example"]]}
{"fields": [["email","lead8@x.example"]]}



=== TEST 3: none is: 207, nothing recorded
--- request eval
[$::post->('[{},{"email":"x"}]'), "GET /status"]
--- more_headers eval
[$::json, ""]
--- error_code eval
[207, 200]
--- response_body_like eval
['"accepted":0,"refused":2', '"leads_refused": 2']
--- events



=== TEST 4: a thousand, and one more
--- request eval
[map { my $n = $_; $::post->($::list->(map { $::item->($_) } 1 .. $n)) } 1000, 1001]
--- more_headers eval
$::json
--- error_code eval
[200, 400]
--- response_body_like eval
['"accepted":1000,"refused":0.*\{"index":999,', "batch_size_invalid"]
--- events eval
CORE::join "\n", map { qq({"sequence": $_, "fields": [["email","lead$_\@x.example"]]}) } 1 .. 1000
--- timeout: 10



=== TEST 5: no list at all, an empty one
--- request eval
[map { $::post->($_) } '[]', '{"leads":[]}', '{"leads":{}}', '{"leads":"x"}', '{"leads":null}', '[', '[[]]']
--- more_headers eval
$::json
--- error_code eval
[400, 400, 400, 400, 400, 400, 207]
--- response_body_like eval
[("batch_size_invalid") x 5, "json_malformed", '"json_malformed"']
--- events



=== TEST 6: larger than 64 KiB, up to 1 MiB; each lead up to 12 KiB
--- request eval
[map { my $x = $_; $::post->($::list->(map { $::item->($_, qq(,"x":") . "y" x $x . '"') } 1 .. 100)) } 2000, 5000, 10500]
--- more_headers eval
$::json
--- error_code eval
[200, 207, 413]
--- response_body_like eval
['"accepted":100', '"refused":100.*lead_too_large', "body_too_large"]
--- events eval
CORE::join "\n", map { qq({"type": "lead"}) } 1 .. 100



=== TEST 7: the same batch again is the same leads, by their places with a key, by what they say without one
--- request eval
[($::post->($::list->($::item->(1), $::item->(2)))) x 2, ($::post->($::list->($::item->(1), $::item->(1)))) x 3]
--- more_headers eval
[$::json, $::json, ($::json . "Idempotency-Key: list") x 2, $::json]
--- error_code eval
[(200) x 5]
--- finally eval
sub {
    my @e = ::events();
    my @id = map { $_->{id} } @e;
    Test::More::is(CORE::join(' ', @id[2, 3, 6, 7, 8, 9]), CORE::join(' ', @id[0, 1, 4, 5, 0, 0]), 'the same leads');
    Test::More::isnt($id[4], $id[5], 'a key makes two places two leads');
    Test::More::is(CORE::join(' ', map { $_->{key} // '' } @e[4, 5]), 'list:0 list:1', 'each with a key of its own');
}



=== TEST 8: keys that leave no room for a place
--- request eval
[($::post->($::list->($::item->(1)))) x 2]
--- more_headers eval
[$::json . "Idempotency-Key: " . "k" x 123, $::json . "Idempotency-Key: " . "k" x 124]
--- error_code eval
[200, 400]
--- response_body_like eval
["accepted", "idempotency_key_invalid"]



=== TEST 9: one request of the rate, and one signature over all of it
--- request eval
$::new_minute->();
[$::post->($::signed), $::post->($::signed), $::post->($::signed), $::post->($::stale)]
--- more_headers eval
my $by = sub { return "Content-Type: application/json\nX-Api-User: 81\nX-Signature: sha256=" . Digest::SHA::hmac_sha256_hex($_[0], 'hush') };
["X-Api-Key: ak_minute\nContent-Type: application/json", "X-Api-Key: ak_minute\nContent-Type: application/json", $by->($::signed), $by->($::stale)]
--- error_code eval
[200, 429, 200, 401]
--- response_body_like eval
['"accepted":2', "rate_limited", '"accepted":2', "signature_invalid"]



=== TEST 10: pipelined behind a batch
--- pipelined_requests eval
[$::post->($::list->($::item->(1), $::item->(2))), $::post->($::item->(3))]
--- more_headers eval
$::json
--- error_code eval
[200, 202]
--- events
{"fields": [["email","lead1@x.example"]]}
{"fields": [["email","lead2@x.example"]]}
{"fields": [["email","lead3@x.example"]]}



=== TEST 11: nothing can be written: 503 for all of it
--- before eval
sub { mkdir $ENV{TEST_NGINX_STATE}; open my $f, '>', "$ENV{TEST_NGINX_STATE}/journal"; }
--- request eval
$::post->($::list->($::item->(1), $::item->(2)))
--- more_headers eval
$::json
--- error_code: 503
--- response_headers
Retry-After: 2
