# The API log: every call of the partner API is an event, with its status and reason, and without its secrets.
#
# Guards keys and tokens (a log is read by many), the journal (strangers call as often as they like, so theirs are counted by
# address and minute), and what partners are told when they ask why their calls failed.
use lib 't/lib';
use TestAffiliate;

our $click = click_id(11, now_ms() - 60000, 1);
our $key = 'aff_live_AAAAABBBBBCCCCCDDDDDEEEEEFFFFFGGGGGHHHHHIII';
our $new_minute = sub { Time::HiRes::sleep(0.05) while time % 60 > 50; }; # what is counted by minutes is not cut in two
our $other = 'aff_live_ZZZZZBBBBBCCCCCDDDDDEEEEEFFFFFGGGGGHHHHHIII';
our $rows = join "\n", @ROWS, "key 71 7 0 1 2 31 0 $key", 'key 72 7 0 1 2 8 0 ak_reader networks=192.0.2.1',
    'key 81 7 0 1 2 9 0 ak_signer secret=hush';
our $config = q(
    location = /api/v1/leads { affiliate_auth leads:read; proxy_pass http://127.0.0.1:$server_port/backend; }
    location = /backend { access_log off; return 404 "no such lead\n"; }
    location = /postback { affiliate_conversion; }
    location ~ ^/in/([^/]+)/postback$ { affiliate_conversion token=$1; }
    location = /hidden { affiliate_ip truncate; affiliate_auth on; proxy_pass http://127.0.0.1:$server_port/backend; }
    location /c/ { affiliate_click; }
    location = /status { affiliate_status; }
);
# What strangers' calls have become: a worker that goes writes them down.
our $reload = sub {
    my ($n) = @_;
    open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/nginx.pid" or die "pid: $!";
    kill HUP => <$in>;
    wait_for('what was counted is written down', sub { $n <= grep { $_->{code} =~ /key_|signature_/ || $_->{count} > 1 } calls() });
};

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('rows', $rows) if !defined $block->rows;
    $block->set_value('config', $config) if !defined $block->config;
});
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: users one by one: what they asked for, what they were told; what is no call of the API is not there
--- request eval
["GET /api/v1/leads?from=2024-01-01&secret=x", "GET /postback?click_id=$::click&txid=1", "POST /postback\n[{\"customer\":\"1\",\"txid\":\"2\"},{}]",
 "POST /postback\n{\"customer\":\"1\"}", "DELETE /api/v1/leads", "GET /c/spring", "PATCH /postback"]
--- more_headers eval
["X-Api-Key: $::key\nUser-Agent: Partner/1.0", (("X-Api-Key: $::key\nContent-Type: application/json") x 3), "X-Api-Key: ak_reader", "", "X-Api-Key: $::key"]
--- error_code eval
[404, 200, 207, 400, 403, 302, 405]
--- calls
{"kind": "traffic", "api_user": 71, "program": 7, "count": 1, "status": 404, "code": "passed", "method": "GET", "path": "/api/v1/leads", "key_prefix": "aff_live_AAAAA", "ip": "127.0.0.1", "user_agent": "Partner/1.0", "items": null, "lead": null}
{"api_user": 71, "status": 200, "code": "accepted", "path": "/postback", "items": null}
{"api_user": 71, "status": 207, "code": "batch_partial", "method": "POST", "items": 2}
{"api_user": 71, "status": 400, "code": "txid_missing"}
{"api_user": 72, "status": 403, "code": "ip_denied", "method": "DELETE", "key_prefix": null}
--- no_error_log
[error]



=== TEST 2: strangers by address and reason, when the minute is over or the worker goes
--- request eval
$::new_minute->();
[("GET /api/v1/leads") x 3, "POST /postback\nx", "GET /postback?user=81&sig=00", "GET /in/$::other/postback", "GET /api/v1/leads"]
--- more_headers eval
[("X-Api-Key: $::other\nUser-Agent: Guess/1") x 3, "", "", "", "X-Api-Key: shorter"]
--- error_code eval
[(401) x 7]
--- finally eval
sub {
    Test::More::is(scalar($::seen = () = ::calls()), 0, 'nothing is written at once');
    $::reload->(3);
    my %by = map { $_->{code} => $_ } ::calls();
    Test::More::is(CORE::join(' ', map { "$_=$by{$_}{count}" } sort keys %by), 'key_missing=1 key_unknown=5 signature_invalid=1', 'one record for a reason');
    Test::More::is($by{key_unknown}{path}, '/api/v1/leads', 'the first one\'s path');
    Test::More::is($by{key_unknown}{key_prefix}, 'aff_live_ZZZZZ', 'and what is shown of its key');
    Test::More::is($by{key_unknown}{user_agent}, 'Guess/1', 'and user agent');
    Test::More::is($by{key_unknown}{ip}, '127.0.0.1', 'the address');
    Test::More::is($by{signature_invalid}{api_user}, 81, 'whom the signature named');
    Test::More::is($by{key_missing}{api_user}, undef, 'nobody was named');
    Test::More::is($by{key_unknown}{status}, 401, 'the status');
}



=== TEST 3: a token of a path is no part of the log, known or not
--- request eval
["GET /in/$::key/postback?click_id=$::click", "GET /in/$::key/postback"]
--- error_code eval
[200, 400]
--- calls
{"api_user": 71, "code": "accepted", "path": "/in/-/postback", "key_prefix": "aff_live_AAAAA"}
{"api_user": 71, "code": "click_id_missing", "path": "/in/-/postback"}



=== TEST 4: no byte of a secret in any journal
--- request eval
["GET /in/$::key/postback?click_id=$::click", "GET /in/$::other/postback", "GET /api/v1/leads?x=$::key", "GET /postback?user=81&sig=" . "ab" x 32]
--- more_headers eval
["", "", "Authorization: Bearer $::key", ""]
--- error_code eval
[200, 401, 404, 401]
--- finally eval
sub {
    $::reload->(2);
    my $bytes = `cat '$ENV{TEST_NGINX_STATE}'/journal/*`;
    Test::More::like($bytes, qr/aff_live_AAAAA/, 'the prefix is there');
    Test::More::unlike($bytes, qr/aff_live_AAAAAB|aff_live_ZZZZZB|BBBBBCCCCC|abababab/, 'and nothing more');
}



=== TEST 5: affiliate_ip is honoured
--- request
GET /hidden
--- more_headers eval
"X-Api-Key: $::key"
--- error_code: 404
--- calls
{"ip": "127.0.0.0", "ip_form": 1}



=== TEST 6: long paths and user agents are cut, whole characters stay
--- request eval
"GET /api/v1/leads"
--- more_headers eval
"X-Api-Key: $::key\nUser-Agent: " . "x" x 511 . "\xc3\xa9"
--- error_code: 404
--- calls eval
'{"user_agent": "' . 'x' x 511 . '"}'



=== TEST 7: who is known and refused again and again: the first one at once, the others when the minute is over
--- request eval
$::new_minute->();
[("GET /api/v1/leads") x 5, "GET /api/v1/leads"]
--- more_headers eval
[("X-Api-Key: ak_reader") x 5, "X-Api-Key: $::key"]
--- error_code eval
[(403) x 5, 404]
--- finally eval
sub {
    ::wait_for('the log', sub { 2 == ::calls() });
    Test::More::is(CORE::join(' ', map { "$_->{code}=$_->{count}" } ::calls()), 'ip_denied=1 passed=1', 'at once');
    $::reload->(1);
    my ($more) = grep { $_->{count} > 1 } ::calls();
    Test::More::is("$more->{code} $more->{count} $more->{api_user} $more->{program} $more->{status}", 'ip_denied 4 72 7 403', 'and when it is over');
}



=== TEST 8: a flood of strangers takes no more of the journal than the table has places
--- before eval
$::new_minute
--- config
location = /api/v1/leads { set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP; affiliate_auth on; proxy_pass http://127.0.0.1:$server_port/status; }
location = /status { affiliate_status; }
--- request
GET /status
--- finally eval
sub {
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => Test::Nginx::Util::server_port()) or die "connect: $!";
    for my $n (1 .. 20) {
        print $s map { my $ip = CORE::join '.', 10, $n, $_, 1; "GET /api/v1/leads HTTP/1.1\r\nHost: x\r\nX-Real-IP: $ip\r\nX-Api-Key: k$_\r\n\r\n" } 1 .. 50;
        my $got = '';
        while ((() = $got =~ m{HTTP/1.1 401}g) < 50 && sysread($s, $got, 65536, length $got)) { }
    }
    $::reload->(100);
    ::wait_for('all of them', sub { my $n = 0; $n += $_->{count} for ::calls(); $n == 1000 });
    my @calls = ::calls();
    Test::More::cmp_ok(scalar @calls, '<=', 272, scalar(@calls) . ' records for 1000 addresses');
    my ($nobody) = grep { !defined $_->{ip} } @calls;
    Test::More::cmp_ok($nobody->{count}, '>', 600, 'those that found no place are counted together');
}
