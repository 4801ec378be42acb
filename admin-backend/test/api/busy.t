#!/usr/bin/perl
#
# A flood of log-ins, each of which costs 64 MiB and a tenth of a second, holds up nobody else.  What could break: a
# thread that waits for a password keeps the other connections it serves waiting as well (nginx keeps a few open and
# sends everybody through them), and whoever may not even log in has stopped the whole API.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;
use Time::HiRes qw(time);

my $api = Api->start;
my $health = $api->request('GET', '/healthz', undef, as => undef);

sub log_in {
    my ($socket, $n) = @_;
    my %body = (email => "nobody$n\@x.example", password => 'wrong and long enough');
    print $socket $api->request('POST', 'session', \%body, as => undef, headers => { 'X-Real-IP' => "192.0.2.$n" });
    $socket->flush;
}
sub check_health {
    my ($socket) = @_;
    print $socket $health;
    $socket->flush;
    return $api->read_answer($socket, 'GET')->{status};
}

my @open = map { $api->connect } 1 .. 64;
is(join(' ', sort { $a <=> $b } map { check_health($_) } @open), join(' ', (200) x 64), '64 connections stay open');
my @flood = splice @open, 0, 32;

my $began = time;
log_in($flood[0], 0);
is($api->read_answer($flood[0], 'POST')->{status}, 401, 'a log-in that fails');
my $alone = time - $began;

log_in($flood[$_], 1 + $_) for 0 .. $#flood;
my $slowest = 0;
for my $socket (@open) {
    $began = time;
    check_health($socket);
    my $took = time - $began;
    $slowest = $took if $took > $slowest;
}
cmp_ok($slowest, '<', 2 * $alone, sprintf 'others wait %.3f s at most, a log-in alone took %.3f s', $slowest, $alone);
my %seen;
$seen{ $api->read_answer($_, 'POST')->{status} }++ for @flood;
is(join(' ', grep { !/^(401|503)$/ } keys %seen), '', 'each log-in is refused or told to come again');
is($api->get('/healthz', as => undef)->{status}, 200, 'and all goes on');

$api->finish;
