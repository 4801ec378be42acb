#!/usr/bin/perl
#
# Log-ins tell nothing about who exists, and cannot be tried for ever.  What could break: a shortcut for unknown users
# (in words or in time), a limit that a right password gets around, a flood of log-ins that starves everybody else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;
use Time::HiRes 'time';

my $api = Api->start;
my $password = $api->{staff}{admin}{password};

sub try_as {
    my ($email, $password, $address) = @_;
    return $api->post('session', { email => $email, password => $password }, as => undef,
        headers => { 'X-Real-IP' => $address // '192.0.2.1' });
}
sub shape {    # all that a stranger sees
    my ($answer) = @_;
    delete $answer->{headers}{date};
    return { %$answer };
}

# ---- the same answer, the same time ----

my $wrong = try_as('admin@staff.example', 'not the password');
$api->is_error($wrong, 401, 'login_failed', 'a wrong password');
is_deeply(shape(try_as('nobody@staff.example', 'not the password')), shape($wrong), 'an unknown user: the same answer');
$api->say(run => "UPDATE staff SET state = 'disabled' WHERE id = $api->{staff}{viewer}{id}");
is_deeply(shape(try_as('viewer@staff.example', $api->{staff}{viewer}{password})), shape($wrong), 'who left: the same answer');
for my $odd ("admin\@staff.example ", 'a' x 300, "'; DROP TABLE staff; --", "\x{fc}ber\@staff.example") {
    is_deeply(shape(try_as($odd, 'not the password', '192.0.2.2')), shape($wrong), 'an odd address: the same answer');
}
is_deeply(shape(try_as('admin@staff.example', 'x' x 3000)), shape($wrong), 'an endless password: the same answer');

# Without a decoy an unknown user would cost a fiftieth; half leaves room for a busy machine.
my %took = (known => [], unknown => []);
for my $round (1 .. 3) {
    for my $who (sort keys %took) {
        my $started = time;
        try_as($who eq 'known' ? 'finance@staff.example' : "unknown$round\@staff.example", 'not the password', '192.0.2.3');
        push @{ $took{$who} }, time - $started;
    }
}
my ($known, $unknown) = map { (sort { $a <=> $b } @{ $took{$_} })[1] } qw(known unknown);
ok($unknown > $known / 2 && $known > $unknown / 2, sprintf 'an unknown user takes as long (%.0f and %.0f ms)', 1000 * $unknown, 1000 * $known);

# ---- limits, by account ----

$api->say('advance', 900);
for my $email ('manager@staff.example', 'stranger@staff.example') {
    my @codes = map { $api->code(try_as($email, "wrong $_ and wrong", "192.0.2.1$_")) } 1 .. 10;
    is_deeply(\@codes, [ ('login_failed') x 10 ], "$email: ten tries, wherever from");
    my $answer = try_as($email, $api->{staff}{manager}{password}, '192.0.2.30');
    $api->is_error($answer, 429, 'too_many_attempts', '... then none, not with the right password either');
    is($answer->{headers}{'retry-after'}, 900, '... for a quarter of an hour');
}
is(try_as('admin@staff.example', $password, '192.0.2.30')->{status}, 200, 'another account is not touched');
$api->say('advance', 900);
is(try_as('manager@staff.example', $api->{staff}{manager}{password})->{status}, 200, 'later it is forgotten');

# ---- limits, by address ----

for my $n (1 .. 50) {
    my $answer = try_as("user$n\@elsewhere.example", 'not the password', '203.0.113.9');
    $answer->{status} == 401 or fail("try $n: $answer->{status}");
}
$api->is_error(try_as('admin@staff.example', $password, '203.0.113.9'), 429, 'too_many_attempts', 'fifty tries from one address, then none');
is(try_as('admin@staff.example', $password, '203.0.113.10')->{status}, 200, 'another address is not touched');
is($api->get('affiliates')->{status}, 200, 'who has a token does not notice');

# ---- many at once ----

my @sockets;
for my $n (1 .. 16) {
    push @sockets, $api->connect;
    my $socket = $sockets[-1];
    print $socket $api->request('POST', 'session', { email => 'admin@staff.example', password => $password },
        as => undef, headers => { 'X-Real-IP' => '203.0.113.77', Connection => 'close' });
}
my $started = time;
is($api->get('affiliates')->{status}, 200, sprintf 'others are served meanwhile (%.2f s)', time - $started);
my %seen;
for my $socket (@sockets) {
    my $answer = $api->read_answer($socket, 'POST');
    $api->hold('POST', 'session', $answer);
    $seen{ $answer->{status} . ' ' . $api->code($answer) }++;
}
is_deeply([ grep { !/^(200 |503 busy)$/ } keys %seen ], [], '16 log-ins at once: in, or "busy, try again"')
    or diag(join ', ', %seen);
ok($seen{'200 '}, '... some are in');

$api->finish;
