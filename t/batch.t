# Batches: each conversion is judged by itself, what is good is on disk, and the answer says which is which.
#
# Guards money: one bad line must not take a thousand sales with it, and none of a thousand may be called accepted
# without being there.
use lib 't/lib';
use TestAffiliate;

our $click = click_id(11, now_ms() - 60000, 1);
our $json = "X-Api-Key: ak_advertiser\nContent-Type: application/json\n";
our $item = sub { my ($n, $more) = @_; return qq({"click_id":"$click","txid":"$n") . ($more // '') . '}' };
our $post = sub { return 'POST /postback' . "\n" . $_[0] };
our $list = sub { return '[' . CORE::join(',', @_) . ']' };

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: all of them are good: 200, one place in the journal each
--- request eval
$::post->($::list->(map { $::item->($_) } 1 .. 3))
--- more_headers eval
$::json
--- response_body_like chop
^\{"data":\{"accepted":3,"refused":0,"items":\[\{"index":0,"status":"accepted","id":"[0-9a-f]{12}-1"\},\{"index":1,"status":"accepted","id":"[0-9a-f]{12}-2"\},\{"index":2,"status":"accepted","id":"[0-9a-f]{12}-3"\}\]\}\}$
--- log
91 accepted$
--- events
{"kind": "money", "auth": 1, "api_user": 91, "txid": "1", "click": {"verdict": "ok"}}
{"txid": "2"}
{"txid": "3"}
--- no_error_log
[error]



=== TEST 2: some are not: 207, and each says why; the others are recorded
--- request eval
$::post->(qq({"conversions":[@{[$::item->(1)]},{"txid":"2"},17,@{[$::item->(4, ',"amount":1.5')]},null,@{[$::item->(6, ',"amount":"-1"')]},@{[$::item->(7)]}],"note":"x"}))
--- more_headers eval
$::json
--- error_code: 207
--- response_body_like chop
^\{"data":\{"accepted":2,"refused":5,"items":\[\{"index":0,"status":"accepted",[^}]*\},\{"index":1,"status":"refused","error":\{"code":"click_id_missing","message":"[^"]+"\}\},\{"index":2,"status":"refused","error":\{"code":"json_malformed".*?\}\},\{"index":3,.*?"json_type_wrong".*?\}\},\{"index":4,.*?"json_malformed".*?\}\},\{"index":5,.*?"amount_negative".*?\}\},\{"index":6,"status":"accepted".*\}\]\}\}$
--- log
91 batch_partial$
--- events
{"txid": "1"}
{"txid": "7"}



=== TEST 3: none is: 207, nothing recorded
--- request eval
[$::post->('[{},{"click_id":"x"}]'), "GET /status"]
--- more_headers eval
$::json
--- error_code eval
[207, 200]
--- response_body_like eval
['"accepted":0,"refused":2', '"conversions_refused": 2']
--- events



=== TEST 4: a thousand, and one more
--- request eval
[map { my $n = $_; $::post->($::list->(map { qq({"customer":"$_","txid":"$_"}) } 1 .. $n)) } 1000, 1001]
--- more_headers eval
$::json
--- error_code eval
[200, 400]
--- response_body_like eval
['"accepted":1000,"refused":0.*\{"index":999,', "batch_size_invalid"]
--- events eval
CORE::join "\n", map { qq({"customer": "$_", "sequence": $_}) } 1 .. 1000
--- timeout: 10



=== TEST 5: no list at all, an empty one
--- request eval
[map { $::post->($_) } '[]', '{"conversions":[]}', '{"conversions":{}}', '{"conversions":"x"}', '{"conversions":null}', '[', '[[]]']
--- more_headers eval
$::json
--- error_code eval
[400, 400, 400, 400, 400, 400, 207]
--- response_body_like eval
[("batch_size_invalid") x 5, "json_malformed", '"json_malformed"']
--- events



=== TEST 6: larger than 64 KiB, up to 1 MiB
--- request eval
[map { my $x = $_; $::post->($::list->(map { $::item->($_, qq(,"x":") . "y" x $x . '"') } 1 .. 100)) } 2000, 10500]
--- more_headers eval
$::json
--- error_code eval
[200, 413]
--- response_body_like eval
['"accepted":100', "body_too_large"]
--- events eval
CORE::join "\n", map { qq({"txid": "$_"}) } 1 .. 100



=== TEST 7: names, values and defaults of the location are those of each item
--- config
location = /postback { affiliate_conversion; affiliate_alias order txid; affiliate_alias cents amount_minor; affiliate_value status A approved; affiliate_default event lead; }
--- request eval
$::post->(qq([{"click_id":"$::click","order":"a","cents":150,"status":"A"},{"click_id":"$::click","order":"b","event":"ftd","status":"approved"}]))
--- more_headers eval
$::json
--- error_code: 200
--- events
{"txid": "a", "amount": "1.50", "status": 1, "event": "lead"}
{"txid": "b", "amount": null, "status": 1, "event": "ftd"}



=== TEST 8: the query's parameters are not the items'
--- request eval
"POST /postback?status=approved&txid=q\n" . $::list->(qq({"click_id":"$::click"}))
--- more_headers eval
$::json
--- error_code: 200
--- events
{"status": null, "txid": null}



=== TEST 9: a form is no batch, and neither is a batch without a key
--- request eval
["POST /postback\nconversions=[{}]", $::post->($::list->($::item->(1)))]
--- more_headers eval
["X-Api-Key: ak_advertiser\nContent-Type: application/x-www-form-urlencoded", "Content-Type: application/json"]
--- error_code eval
[400, 401]
--- response_body_like eval
["click_id_missing", "key_missing"]
--- events



=== TEST 10: pipelined behind a batch
--- pipelined_requests eval
[$::post->($::list->($::item->(1), $::item->(2))), "GET /postback?click_id=$::click&txid=3"]
--- more_headers eval
[$::json, "X-Api-Key: ak_advertiser\n"]
--- error_code eval
[200, 200]
--- events
{"txid": "1"}
{"txid": "2"}
{"txid": "3"}
