# Snapshots: the edge answers from the first request on, takes what is new without a reload, and refuses what is bad.
#
# Guards against a damaged or forged file taking the edge down or half in (the last good one must stay), a delta
# that hides nothing or too much, and a worker that never notices a change.
use lib 't/lib';
use TestAffiliate;
use List::Util ();

our $few = "program 7 1 1 30 EUR -\ncampaign 3 7 1 Spring -\naffiliate 5 2 Ann";
our $loaded = sub { my ($n) = @_; ::wait_for("$n loaded", sub { ::status()->{counters}{snapshots_loaded} >= $n }) };
our $refused = sub { my ($n) = @_; ::wait_for("$n refused", sub { ::status()->{counters}{snapshots_refused} >= $n }) };

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: a fixed file is replaced while nginx runs
--- request eval
["GET /c/spring", "GET /c/summer", "GET /c/spring", "GET /status"]
--- after eval
sub {
    ::snapshot($ENV{TEST_NGINX_SNAPSHOT}, 9, "$::few\nlink 40 3 5 1 summer https://shop.example/summer");
    $::loaded->(2);
}
--- error_code eval
[302, 302, 404, 200]
--- response_body_like eval
["", "", "", '"snapshot_version": 9,']
--- events
{"link": 11, "config_version": 5}
{"link": 40, "config_version": 9}



=== TEST 2: a damaged one is refused, said, and the old one stays; then a good one is taken
--- request eval
["GET /c/spring", "GET /c/spring", "GET /status"]
--- after eval
sub {
    my $path = "$ENV{TEST_NGINX_ROOT}/" . $ENV{TEST_NGINX_SNAPSHOT};
    open my $f, '<', $path or die;
    binmode $f;
    my $bytes = do { local $/; <$f> };
    substr($bytes, length($bytes) / 2, 1) ^= "\x01";
    open my $bad, '>', "$path.bad" or die;
    binmode $bad;
    print $bad $bytes;
    close $bad;
    rename "$path.bad", $path or die;
    $::refused->(1);
}
--- error_code eval
[302, 302, 200]
--- response_body_like eval
["", "", '"snapshot_version": 5,']
--- said
is refused:



=== TEST 3: an empty one, and none at all
--- request eval
["GET /c/spring", "GET /c/spring"]
--- after eval
sub {
    my $path = "$ENV{TEST_NGINX_ROOT}/" . $ENV{TEST_NGINX_SNAPSHOT};
    open my $f, '>', "$path.new" or die;
    close $f;
    rename "$path.new", $path or die;
    $::refused->(1);
    unlink $path;
}
--- error_code eval
[302, 302]
--- said
it is not a file with content



=== TEST 4: no snapshot: clicks and conversions are asked to come again
--- http_config
affiliate_state $TEST_NGINX_STATE;
affiliate_key_file $TEST_NGINX_ROOT/edge.key;
affiliate_snapshot $TEST_NGINX_ROOT/nosuch;
--- request eval
["GET /c/spring", "POST /postback", "GET /status"]
--- error_code eval
[503, 503, 200]
--- response_headers eval
["Retry-After: 2", "Retry-After: 2", ""]
--- response_body_like eval
["", '"code":"starting"', '"snapshot_version": 0,']
--- said
no snapshot yet
--- after eval
package main; sub {
    my ($began, $asked, $lines, $sum) = (time, 1);
    my $say = sub {
        open my $log, '<', "$Test::Nginx::Util::ServRoot/logs/error.log" or die "error.log: $!";
        my @counts = map { /no snapshot yet, clicks could not be answered: (\d+)/ ? $1 : () } <$log>;
        ($lines, $sum) = (scalar @counts, List::Util::sum0(@counts));
    };
    ask('/c/spring'), $asked++ for 1 .. 40;
    wait_for('a line that says all of them', sub { ask('/c/spring'); $asked++; $say->(); $sum == $asked });
    cmp_ok($lines, '<=', time - $began + 2, 'one line a second at most');
}



=== TEST 5: what the fetcher left is there from the first request: base and delta
--- before eval
sub {
    my $folder = "$ENV{TEST_NGINX_ROOT}/kept/snapshot";
    File::Path::remove_tree("$ENV{TEST_NGINX_ROOT}/kept");
    File::Path::make_path($folder);
    TestAffiliate::snapshot('kept/snapshot/base', 5, CORE::join "\n", @TestAffiliate::ROWS);
    TestAffiliate::snapshot('kept/snapshot/delta', 6, "affiliate 5 4 Ann\nlink 40 3 6 1 summer https://shop.example/summer", 'kept/snapshot/base');
}
--- http_config
affiliate_state $TEST_NGINX_ROOT/kept;
affiliate_key_file $TEST_NGINX_ROOT/edge.key;
--- request eval
["GET /c/summer", "GET /c/pending", "GET /c/spring", "GET /status"]
--- error_code eval
[302, 302, 302, 200]
--- response_headers_like eval
["Location: https://shop.example/summer", "Location: https://shop.example/\\?cid=.*", "Location: https://shop.example/gone\\?from=spring", ""]
--- response_body_like eval
["", "", "", '"snapshot_version": 6,']



=== TEST 6: a delta of another base is left out, the base serves
--- before eval
sub {
    my $folder = "$ENV{TEST_NGINX_ROOT}/kept/snapshot";
    File::Path::remove_tree("$ENV{TEST_NGINX_ROOT}/kept");
    File::Path::make_path($folder);
    TestAffiliate::snapshot('kept/snapshot/base', 4, "program 7 1 1 30 EUR -");
    TestAffiliate::snapshot('kept/snapshot/delta', 6, "affiliate 5 4 Ann", 'kept/snapshot/base');
    TestAffiliate::snapshot('kept/snapshot/base', 5, CORE::join "\n", @TestAffiliate::ROWS);
}
--- http_config
affiliate_state $TEST_NGINX_ROOT/kept;
affiliate_key_file $TEST_NGINX_ROOT/edge.key;
--- request eval
["GET /c/spring", "GET /status"]
--- error_code eval
[302, 200]
--- response_body_like eval
["", '"snapshot_version": 5,']



=== TEST 7: a damaged delta is refused and said, the base serves
--- before eval
sub {
    my $folder = "$ENV{TEST_NGINX_ROOT}/kept/snapshot";
    File::Path::remove_tree("$ENV{TEST_NGINX_ROOT}/kept");
    File::Path::make_path($folder);
    TestAffiliate::snapshot('kept/snapshot/base', 5, CORE::join "\n", @TestAffiliate::ROWS);
    open my $f, '>', "$folder/delta" or die;
    print $f 'AFFSNAP1 and nothing of the kind';
    close $f;
}
--- http_config
affiliate_state $TEST_NGINX_ROOT/kept;
affiliate_key_file $TEST_NGINX_ROOT/edge.key;
--- request eval
["GET /c/spring", "GET /status"]
--- error_code eval
[302, 200]
--- response_body_like eval
["", '"snapshots_refused": [1-9].*"snapshot_version": 5,']
--- said
snapshot/delta" is refused:



=== TEST 8: a snapshot of other keys is refused
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
GET /c/spring
--- error_code: 503
--- said
is refused:



=== TEST 9: changes while requests wait: a pinned snapshot outlives its successors
--- request eval
["GET /c/spring", "GET /c/spring"]
--- after eval
sub {
    require IO::Socket::INET;
    # a postback whose body comes late holds on to the snapshot that admitted it
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => ::server_port()) or die;
    my $body = 'amount=5&click_id=' . ::click_id(11);
    print $s "POST /postback HTTP/1.0\r\nX-Api-Key: ak_advertiser\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n" . substr($body, 0, 5);
    for my $version (6 .. 8) {
        ::snapshot($ENV{TEST_NGINX_SNAPSHOT}, $version, CORE::join "\n", @TestAffiliate::ROWS);
        $::loaded->($version - 4);
    }
    print $s substr($body, 5);
    my $answer = do { local $/; <$s> };
    ::like($answer, qr/accepted/, 'the late body is answered');
}
--- error_code eval
[302, 302]
--- events
{"type": "conversion", "amount": "5.00", "currency": "EUR"}
{"config_version": 5}
{"config_version": 8}



=== TEST 10: the fetcher of another nginx on this folder (the other binary, in an upgrade) has no way to tell us
--- before eval
sub {
    File::Path::remove_tree("$ENV{TEST_NGINX_ROOT}/shared");
    File::Path::make_path("$ENV{TEST_NGINX_ROOT}/shared/snapshot");
    TestAffiliate::snapshot('shared/snapshot/base', 5, CORE::join "\n", @TestAffiliate::ROWS);
}
--- http_config
affiliate_state $TEST_NGINX_ROOT/shared;
affiliate_key_file $TEST_NGINX_ROOT/edge.key;
--- request eval
["GET /c/summer", "GET /c/summer", "GET /c/spring"]
--- after eval
sub {
    ::snapshot('shared/snapshot/delta', 6, 'link 40 3 5 1 summer https://shop.example/summer', 'shared/snapshot/base');
    $::loaded->(2);
}
--- error_code eval
[404, 302, 302]
