#!/usr/bin/perl
#
# A short hostile run: random bytes, and random changes to fair requests, against every route as an administrator.  No
# answer may be a failure of ours, each must be as described, the books must balance afterwards and the sanitizers stay
# silent.  SEED repeats a run, HOSTILE sets its length.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use JSON::PP;
use Socket qw(SHUT_WR);
use Test::More;

my $seed = $ENV{SEED} // int rand 2**31;
my $rounds = $ENV{HOSTILE} // 1500;
srand $seed;
diag("SEED=$seed");

my $api = Api->start;
my $document = Api::document();
$api->say('sell', '10.00', 'EUR', "HOSTILE$_", 1) for 1 .. 10;

sub any { return $_[ rand @_ ] }
sub noise { return join '', map { chr int rand 256 } 1 .. rand($_[0]) }

my @values = (undef, JSON::PP::true, JSON::PP::false, 0, -1, 2**53, '', '1', '2', '7', '999', 'approve', 'reject', 'active', 'archived', 'pending',
    '10.00', 'EUR', "\x{1f4a9}", "\x{0}", "\n", [], {}, ['1'], { amount => '1.00', currency => 'EUR' },
    { type => 'percentage', percentage => '5' }, { type => 'tiered', tiers => [ { from => 0, percentage => '1' } ] },
    '2024-01-01T00:00:00Z', 'https://example.com/{click_id}', 'x' x 300);

sub twist {    # a copy, somewhat changed
    my ($value) = @_;
    return any(@values) if rand() < 0.15;
    return { map { rand() < 0.1 ? () : (rand() < 0.03 ? noise(8) : $_ => twist($value->{$_})) } keys %$value } if ref $value eq 'HASH';
    return [ map { rand() < 0.1 ? () : twist($_) } @$value, rand() < 0.1 ? any(@values) : () ] if ref $value eq 'ARRAY';
    return $value if ref $value || !defined $value || rand() < 0.6;
    my $text = "$value";
    substr($text, rand length $text, rand 3) = any('', 'x', '9', '.', "'", '"', '%', '{', "\x{e9}") if length $text;
    return rand() < 0.2 ? any(@values) : $text;
}
sub bend {    # bytes, somewhat changed
    my ($bytes) = @_;
    for (1 .. rand 4) {
        last if $bytes eq '';
        my $at = rand length $bytes;
        my $way = int rand 4;
        substr($bytes, $at, 1) = chr rand 256 if $way == 0;
        substr($bytes, $at, rand 20) = '' if $way == 1;
        substr($bytes, $at, 0) = noise(8) if $way == 2;
        substr($bytes, $at, 0) = substr $bytes, rand length $bytes, rand 40 if $way == 3;
    }
    return $bytes;
}

my @routes = grep { $_->{path} !~ /session$|^\/setup/ } @{ $api->{routes} };
my %seen;
for my $round (1 .. $rounds) {
    my $route = any(@routes);
    my $path = $route->{path} =~ s/\{\w+\}/any(1, 1, 2, 3, 7, 99, '%ff', '%00', 'x')/ger;
    my $content = ($document->get([ paths => $route->{path}, lc $route->{method} ])->{requestBody} // {})->{content}{'application/json'};
    my $names = [ map { $_->{name} } grep { $_->{in} eq 'query' } @{ $document->parameters_for_request([ $route->{method}, $route->{path} ]) } ];
    $path .= '?' . join '&', map { any(@$names) . '=' . any(1, 'a', 'name', '-name', '%25', '2024-01-01T00:00:00Z', '%c3', unpack 'H*', noise(9)) } 1 .. rand 4
        if @$names;
    my %option = (
        headers => {
            Connection => 'close', rand() < 0.2 ? ('If-Match' => any('"1"', '*', '"', 'W/"1"', noise(9) =~ s/[\r\n\0]//gr)) : (),
            rand() < 0.1 ? ('X-Real-IP' => noise(60) =~ s/[\r\n\0]//gr) : (),
        },
        rand() < 0.3 ? (key => any('a', 'b', 'c', noise(9) =~ s/[\r\n\0]//gr)) : (),
    );
    if ($content) {
        my $body = Api::text(twist($content->{example}));
        $option{raw} = rand() < 0.25 ? bend($body) : $body;
    }
    my $answer = $api->ask($route->{method}, $path, undef, %option);
    $seen{ $answer->{status} }++;
}
note(join ', ', map { "$_: $seen{$_}" } sort keys %seen);
ok($seen{200} && $seen{201} && $seen{400} && $seen{422}, "$rounds twisted requests, some of them fair");

# Bytes that need not even be HTTP; each on its own connection, answered or not.
for my $round (1 .. $rounds / 5) {
    local $SIG{PIPE} = 'IGNORE';
    my $socket = $api->connect;
    my $fair = $api->request(any(qw(GET POST PATCH DELETE)), any('affiliates', 'groups/1', '/healthz', 'session'), {});
    print $socket rand() < 0.3 ? noise(2000) : bend($fair);
    shutdown $socket, SHUT_WR;
    my $answer = do { local $/; <$socket> } // '';
    fail("bytes $round: $answer") if $answer =~ m{^HTTP/1\.1 5};
}
is($api->get('/readyz')->{status}, 200, 'bytes of all kinds: the server lives');

is_deeply([ $api->rows('SELECT SUM(amount_minor) FROM ledger_legs') ], [0], 'the ledger still sums to nothing');
is_deeply([ $api->rows('PRAGMA integrity_check') ], ['ok'], 'the database is whole');
is_deeply([ $api->rows('PRAGMA foreign_key_check') ], [], '... and every reference leads somewhere');

$api->finish;
