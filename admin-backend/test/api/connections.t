#!/usr/bin/perl
#
# Below the requests: HEAD, connections that stay, pipelining, bodies in pieces, clients that are slow or send nonsense,
# and a server that stops while they do.  What could break: an answer for the wrong request, a thread that waits for one
# client, a stop that cuts off who was heard.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use IO::Select;
use Socket qw(SHUT_WR);
use Test::More;

my $api = Api->start;

sub next_answer {
    my ($socket, $method, $path) = @_;
    my $answer = $api->read_answer($socket, $method) // return { status => 0 };
    $api->hold($method, $path, $answer);
    return $answer;
}

# ---- HEAD ----

for my $path ('/healthz', '/', 'affiliates', 'affiliates/1', 'settings') {
    my ($get, $head) = ($api->get($path), $api->head($path));
    delete $_->{headers}{date} for $get, $head;
    is_deeply([ @$head{qw(status headers body)} ], [ @$get{qw(status headers)}, '' ], "HEAD $path is GET without a body");
}
$api->is_error({ %{ $api->head('payouts/1/pay') }, json => { error => { code => 'x' } } }, 405, 'x', 'HEAD of what cannot be read');

# ---- connections that stay ----

my $socket = $api->connect;
for my $n (1 .. 20) {
    print $socket $api->request('GET', 'affiliates/1', undef);
    next_answer($socket, 'GET', 'affiliates/1')->{status} == 200 or fail("answer $n on one connection");
    print $socket $api->request('POST', 'groups', undef, raw => '{');
    next_answer($socket, 'POST', 'groups')->{status} == 400 or fail("refusal $n on one connection");
}
pass('forty requests on one connection');

my @paths = map { ("campaigns/$_", 'healthz', "affiliates/$_") } 1 .. 10;
print $socket map { $api->request('GET', $_ eq 'healthz' ? '/healthz' : $_, undef) } @paths;
my @got = map { $_ eq 'healthz' ? next_answer($socket, 'GET', '/healthz')->{json}{status} : next_answer($socket, 'GET', $_)->{status} } @paths;
is_deeply(\@got, [ map { $_ eq 'healthz' ? 'ok' : /\/1$/ ? 200 : 404 } @paths ], 'thirty pipelined requests, answered in order');

print $socket map { $api->request('POST', 'campaigns', { name => "Pipelined $_" }) } 1 .. 10;
is_deeply([ map { next_answer($socket, 'POST', 'campaigns')->{json}{name} } 1 .. 10 ], [ map { "Pipelined $_" } 1 .. 10 ],
    'ten pipelined creations, each with its own body');
close $socket;

# One caller's session does not stay on the connection for the next one: nginx shares them.
$socket = $api->connect;
print $socket $api->request('GET', 'session', undef), $api->request('GET', 'session', undef, as => undef), $api->request('GET', 'session', undef, as => 'viewer');
is_deeply([ map { my $a = next_answer($socket, 'GET', 'session'); $a->{json}{user}{role} // $a->{status} } 1 .. 3 ], [ 'admin', 401, 'viewer' ],
    'each request brings its own caller');

# ---- bodies in pieces ----

my $body = Api::text({ name => 'In pieces', email => 'pieces@example.com' });
my $head = $api->request('POST', 'affiliates', undef, raw => '', headers => { 'Content-Length' => length $body });
print $socket $head;
for my $byte (split //, $body) {
    print $socket $byte;
    $socket->flush;
}
is(next_answer($socket, 'POST', 'affiliates')->{status}, 201, 'a body byte by byte');

my $chunked = $api->request('POST', 'groups', undef, raw => '', headers => { 'Content-Length' => '', 'Transfer-Encoding' => 'chunked' }) =~ s/Content-Length: \r\n//r;
print $socket $chunked, "b\r\n{\"name\":\"Ch\r\n6\r\nunked\"\r\n1\r\n}\r\n0\r\n\r\n";
is(next_answer($socket, 'POST', 'groups')->{json}{name}, 'Chunked', 'a body in chunks');
print $socket $api->request('POST', 'groups', undef, raw => '', headers => { Expect => '100-continue', 'Content-Length' => 16 });
print $socket '{"name":"Later"}';
is(next_answer($socket, 'POST', 'groups')->{json}{name}, 'Later', 'a body that was waited for');
my $endless = $api->connect;
print $endless $chunked;
my $sent = 0;
{
    local $SIG{PIPE} = 'IGNORE';
    while ($sent < 64 << 20) {
        print $endless "10000\r\n" . 'x' x 65536 . "\r\n" or last;
        $sent += 65536;
    }
}
ok($sent < 64 << 20, 'a body without end is cut off (' . ($sent >> 20) . ' MiB)');

# ---- clients that hold on ----

my @slow = map { $api->connect } 1 .. 100;
print { $slow[$_] } substr($api->request('POST', 'groups', { name => "Slow $_" }), 0, 20 + $_) for 0 .. $#slow;
$_->flush for @slow;
is($api->get('affiliates')->{status}, 200, 'a hundred half requests keep nobody from an answer');
for my $n (0 .. $#slow) {
    my $whole = $api->request('POST', 'groups', { name => "Slow $n" });
    print { $slow[$n] } substr($whole, 20 + $n);
}
is(scalar(grep { next_answer($_, 'POST', 'groups')->{status} == 201 } @slow), 100, '... and are answered when they are whole');
@slow = ();

# ---- nonsense ----

sub survives {
    my ($name, @bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $victim = $api->connect;
    print $victim @bytes;
    shutdown $victim, SHUT_WR;
    my $answer = do { local $/; <$victim> } // '';
    unlike($answer, qr/^HTTP\/1\.1 (2|50[0-4])/, "$name: no success, no failure of ours") or diag(substr $answer, 0, 300);
    is($api->get('/healthz')->{status}, 200, '... and all goes on');
    return;
}
my $token = $api->{staff}{admin}{token};
survives('nothing');
survives('noise', join '', map { chr($_ * 7 % 256) } 1 .. 10_000);
survives('zeros', "\0" x 100_000);
survives('TLS', "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 500);
survives('HTTP/2', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
survives('a line without end', 'GET /' . 'x' x 200_000);
survives('a header without end', "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " . 'x' x 200_000);
survives('headers without end', "GET /healthz HTTP/1.1\r\nHost: x\r\n" . join '', map { "X-$_: 1\r\n" } 1 .. 20_000);
survives('two lengths', "POST /api/admin/v1/groups HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}");
survives('a negative length', "POST /api/admin/v1/groups HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}");
survives('a length beyond 64 bits', "POST /api/admin/v1/groups HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}");
survives('bad chunks', "POST /api/admin/v1/groups HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n");
survives('half a body', "POST /api/admin/v1/groups HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"name\":\"Half");
is_deeply([ $api->rows("SELECT COUNT(*) FROM affiliate_groups WHERE name LIKE 'Half%'") ], [0], 'half a body has no effect');
my @many = (map { ("X-$_" => 'y' x 100) } 1 .. 100);
is($api->get('affiliates', headers => {@many})->{status}, 200, 'a hundred headers are many, but some proxies send them');

# ---- readiness ----

is($api->get('/readyz', as => undef)->{status}, 200, 'ready');
$api->say('ready', 'no');
my $answer = $api->get('/readyz', as => undef);
is_deeply($answer->{json}, { status => 'not_ready', database => JSON::PP::true, redis => JSON::PP::false }, 'without the wire: not ready');
is($answer->{status}, 503, '... which a load balancer understands');
is($api->get('/healthz', as => undef)->{status}, 200, '... but alive');
$api->say('ready', 'yes');

# ---- a stop while requests run ----

my @late = map { $api->connect } 1 .. 6;
my @names = map { "Late $_" } 0 .. $#late;
my @bytes = map { $api->request('POST', 'campaigns', { name => $_ }) } @names;
print { $late[$_] } substr($bytes[$_], 0, -3) for 0 .. $#late;
my $idle = $api->connect;
print $idle $api->request('GET', '/healthz', undef);
next_answer($idle, 'GET', '/healthz');    # all six before it were heard, too: they came first

close $api->{to};    # the server is told to stop
select undef, undef, undef, 0.01 while -S $api->{socket};
print { $late[$_] } substr($bytes[$_], -3) for 0 .. $#late;
my @last = map { $api->read_answer($_, 'POST') } @late;
is_deeply([ map { $_->{json}{name} } @last ], \@names, 'who was heard before a stop is answered');
is_deeply([ grep { ($_->{headers}{connection} // '') !~ /close/i } @last ], [], '... and told that this was the last answer');
is(scalar(<$idle>), undef, 'who only stayed is let go');
ok(!IO::Socket::UNIX->new(Type => Socket::SOCK_STREAM(), Peer => $api->{socket}), 'and nobody comes in any more');

$api->finish;
