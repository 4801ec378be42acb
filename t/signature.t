# Signed postbacks: what verifies, and that nothing that was changed on the way does.
#
# Guards money: a parameter that the signature does not cover, or that hides from the parser behind an escape, is a
# commission somebody writes himself.  Canonical form and HMAC are made here once more, in Perl, from the documentation.
use lib 't/lib';
use TestAffiliate;
use Digest::SHA qw(hmac_sha256_hex);

our $click = click_id(11, now_ms() - 60000, 1);
our $rows = join "\n", @ROWS,
    'key 81 7 0 1 2 1 0 ak_signer secret=a+shared+secret',
    'key 82 7 0 1 2 1 0 ak_other secret=another+secret',
    'key 83 7 0 2 2 1 0 ak_paused_signer secret=a+shared+secret',
    'key 84 7 5 1 1 31 0 ak_affiliate_signer secret=a+shared+secret',
    'key 85 7 0 1 2 1 0 ak_slow_signer secret=a+shared+secret rate=1';

sub decoded { my ($s) = @_; $s =~ tr/+/ /; $s =~ s/%([0-9a-fA-F]{2})/chr hex $1/ge; return $s }
sub encoded { my ($s) = @_; $s =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge; return $s }

sub canonical {
    my @pairs = map { my ($n, $v) = split /=/, $_, 2; [encoded(decoded($n)), encoded(decoded($v // ''))] } grep { length } split /&/, $_[0];
    return CORE::join '&', map { "$_->[0]=$_->[1]" } sort { $a->[0] cmp $b->[0] || $a->[1] cmp $b->[1] } grep { $_->[0] ne 'sig' } @pairs;
}

sub sig { my ($query, $secret) = @_; return hmac_sha256_hex(canonical($query), $secret // 'a shared secret') }
our $signed = sub { my ($query, $secret) = @_; return "$query&sig=" . sig($query, $secret) };
our $get = sub { return 'GET /postback?' . $signed->(@_) };
our $q = "click_id=$click&txid=order+1%2F2&amount=12.50&user=81";
our $form = "Content-Type: application/x-www-form-urlencoded\n";
our $json = "Content-Type: application/json\n";
our $body_signed = sub { my ($body, $user, $secret) = @_;
    return "${main::json}X-Api-User: " . ($user // 81) . "\nX-Signature: sha256=" . hmac_sha256_hex($body, $secret // 'a shared secret') . "\n" };
our $body = qq({"click_id":"$click","amount":"7.00","txid":"j1"});

add_block_preprocessor(sub { my ($block) = @_; $block->set_value('rows', $rows) if !defined $block->rows; });
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: a signed query needs no key
--- request eval
$::get->($::q)
--- response_body_like: accepted
--- log
^[-0-9A-Z_a-z]{40} - - - 81 accepted$
--- events
{"auth": 2, "api_user": 81, "program": 7, "txid": "order 1/2", "amount": "12.50"}
--- no_error_log
[error]



=== TEST 2: however it is escaped and ordered
--- request eval
my $sig = main::sig($::q);
["GET /postback?sig=$sig&user=81&amount=12.50&txid=order%201%2f2&click_id=$::click", "GET /postback?user=%381&amount=12%2E50&txid=%6frder+1%2F2&cli%63k_id=$::click&sig=$sig"]
--- error_code eval
[200, 401]
--- response_body_like eval
["accepted", "key_unknown"]
--- events
{"auth": 2, "txid": "order 1/2"}



=== TEST 3: anything that was changed, added, taken away or hidden
--- request eval
my $sig = main::sig($::q);
(my $more = $::q) =~ s/12\.50/99.50/;
(my $none = $::q) =~ s/&amount=12\.50//;
[map { "GET /postback?$_" } "$more&sig=$sig", "$::q&status=approved&sig=$sig", "$none&sig=$sig", "$::q&p1=&sig=$sig",
 "$::q&sig=" . uc $sig, "$::q&sig=" . substr($sig, 0, 63), "$::q&sig=${sig}0", "$::q&sig=%61$sig", "$::q&sig=", "$::q&Sig=$sig"]
--- error_code eval
[(401) x 10]
--- response_body_like eval
[("signature_invalid") x 8, ("key_missing") x 2]
--- events



=== TEST 4: a parameter cannot hide from us behind an escape that the signature sees through
--- request eval
my $query = "click_id=$::click&status=rejected&txid=9&user=81";
my $sig = main::sig($query);
"GET /postback?click_id=$::click&st%61tus=rejected&txid=9&user=81&sig=$sig"
--- error_code: 200
--- events
{"status": 2, "txid": "9"}



=== TEST 5: another user's secret, a user without one, nobody
--- request eval
(my $other = $::q) =~ s/user=81/user=82/;
(my $without = $::q) =~ s/user=81/user=91/;
(my $nobody = $::q) =~ s/user=81/user=4711/;
(my $none = $::q) =~ s/&user=81//;
(my $huge = $::q) =~ s/user=81/user=4294967377/;
[$::get->($other), $::get->($other, 'another secret'), $::get->($without, ''), $::get->($nobody), $::get->($none), $::get->($huge)]
--- error_code eval
[401, 200, 401, 401, 401, 401]
--- response_body_like eval
["signature_invalid", "accepted", "signature_invalid", "key_unknown", "key_unknown", "key_unknown"]
--- events
{"api_user": 82}



=== TEST 6: who signs still has to be allowed
--- request eval
(my $paused = $::q) =~ s/user=81/user=83/;
(my $affiliate = $::q) =~ s/user=81/user=84/;
[$::get->($paused), $::get->($affiliate)]
--- error_code eval
[403, 403]
--- response_body_like eval
["user_paused", "scope_denied"]
--- events



=== TEST 7: ts is optional, and of now
--- request eval
[map { $::get->("$::q&ts=$_") } time, time - 250, time + 250, time - 350, time + 350, "x", "-1", "1.5", "99999999999999"]
--- error_code eval
[200, 200, 200, 401, 401, 401, 401, 401, 401]
--- events
{"auth": 2}
{"auth": 2}
{"auth": 2}



=== TEST 8: nothing twice: the order that decides is not signed
--- request eval
[$::get->("$::q&amount=1"), $::get->("$::q&cid=$::click"), $::get->("$::q&tid=other"), $::get->("$::q&amount=12.50")]
--- error_code eval
[400, 200, 400, 200]
--- response_body_like eval
["parameter_repeated", "accepted", "parameter_repeated", "accepted"]
--- events
{"txid": "order 1/2"}
{"amount": "12.50"}



=== TEST 9: a form is signed together with the query
--- request eval
my $all = "user=81&click_id=$::click&amount=5";
my $sig = main::sig($all);
["POST /postback?user=81&sig=$sig\nclick_id=$::click&amount=5", "POST /postback?user=81&sig=$sig\nclick_id=$::click&amount=6",
 "POST /postback?user=81&sig=$sig\nclick_id=$::click", "POST /postback?user=81&amount=5&sig=$sig\nclick_id=$::click",
 "POST /postback\nclick_id=$::click&amount=5&user=81&sig=$sig"]
--- more_headers eval
$::form
--- error_code eval
[200, 401, 401, 200, 401]
--- response_body_like eval
["accepted", "signature_invalid", "signature_invalid", "accepted", "key_missing"]
--- events
{"amount": "5.00"}
{"amount": "5.00"}



=== TEST 10: a body is signed by a header
--- request eval
(my $changed = $::body) =~ s/7\.00/8.00/;
[map { "POST /postback\n$_" } $::body, $changed, $::body, $::body, $::body]
--- more_headers eval
(my $bare = $::body_signed->($::body)) =~ s/sha256=//;
[$::body_signed->($::body), $::body_signed->($::body), $::body_signed->($::body, 82), $bare, $::body_signed->($::body, 82, 'another secret')]
--- error_code eval
[200, 401, 401, 401, 200]
--- response_body_like eval
["accepted", "signature_invalid", "signature_invalid", "signature_invalid", "accepted"]
--- events
{"auth": 2, "api_user": 81, "amount": "7.00"}
{"auth": 2, "api_user": 82}



=== TEST 11: nothing vouches for a query beside a signed body, nor a signed query for JSON
--- request eval
["POST /postback?status=approved\n$::body", "POST /postback?" . $::signed->("user=81") . "\n$::body", "POST /postback?" . $::signed->("user=81&click_id=$::click") . "\n",
 "GET /postback?click_id=$::click", "POST /postback?user=81&sig=" . main::sig("user=81&$::body") . "\n$::body"]
--- more_headers eval
[$::body_signed->($::body), $::json, "", $::body_signed->(""), $::json]
--- error_code eval
[401, 401, 200, 401, 401]
--- response_body_like eval
["signature_invalid", "signature_invalid", "accepted", "signature_invalid", "signature_invalid"]
--- events
{"auth": 2, "amount": null}



=== TEST 12: ts in a signed body
--- request eval
[map { "POST /postback\n" . qq({"click_id":"$::click","ts":$_}) } time, time - 400]
--- more_headers eval
[map { $::body_signed->(qq({"click_id":"$::click","ts":$_})) } time, time - 400]
--- error_code eval
[200, 401]
--- events
{"auth": 2}



=== TEST 13: chunked, signed together with the query
--- raw_request eval
my $sig = main::sig("user=81&click_id=$::click");
my $body = "click_id=$::click";
"POST /postback?user=81&sig=$sig HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${main::form}Transfer-Encoding: chunked\r\n\r\n"
    . sprintf("%x\r\n%s\r\n0\r\n\r\n", length $body, $body)
--- error_code: 200
--- response_body_like: accepted
--- events
{"auth": 2}



=== TEST 14: many parameters
--- request eval
[map { $::get->("$::q&" . CORE::join '&', map { "x$_=1" } 1 .. $_) } 124, 125]
--- error_code eval
[200, 401]
--- events
{"auth": 2}



=== TEST 15: who has not proved himself does not use up somebody's minute
--- request eval
Time::HiRes::sleep(0.05) while time % 60 > 54;
(my $slow = $::q) =~ s/user=81/user=85/;
[("POST /postback?user=85&sig=" . "0" x 64 . "\nclick_id=$::click") x 3, ("GET /postback?$slow&sig=" . "0" x 64) x 3, $::get->($slow), $::get->($slow),
 "POST /postback?user=85&sig=" . "0" x 64 . "\nclick_id=$::click"]
--- more_headers eval
[($::form) x 3, ("") x 5, $::form]
--- error_code eval
[401, 401, 401, 401, 401, 401, 200, 429, 429]
--- events
{"api_user": 85}



=== TEST 16: a form that is too long is not looked at, whoever signed it
--- raw_request eval
my $body = "click_id=$::click&x=" . "y" x 70000;
"POST /postback?user=81&sig=" . "0" x 64 . " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${main::form}Transfer-Encoding: chunked\r\n\r\n"
    . sprintf("%x\r\n%s\r\n0\r\n\r\n", length $body, $body)
--- error_code: 413
--- response_body_like: body_too_large
--- events
