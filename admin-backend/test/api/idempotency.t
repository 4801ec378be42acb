#!/usr/bin/perl
#
# An Idempotency-Key: however often a request is sent, one effect and one answer.  What could break: an effect without
# its key (or a key without its effect) after a crash or a race, an answer kept for a refusal, a secret kept with it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my $api = Api->start;

sub count { my ($table) = @_; return ($api->rows("SELECT COUNT(*) FROM $table"))[0] }
sub same {    # a replayed answer
    my ($got, $first, $name) = @_;
    is_deeply([ $got->{status}, $got->{json}, @{ $got->{headers} }{qw(etag location)} ],
        [ $first->{status}, $first->{json}, @{ $first->{headers} }{qw(etag location)} ], $name);
}

# ---- one effect, one answer ----

my %ada = (name => 'Ada', email => 'ada2@example.com');
my $first = $api->post('affiliates', \%ada, key => 'create-1');
is($first->{status}, 201, 'with a key');
my $before = count('affiliates');
same($api->post('affiliates', \%ada, key => 'create-1'), $first, 'again: the first answer');
$api->patch("affiliates/$first->{json}{id}", { name => 'Renamed' });
same($api->post('affiliates', \%ada, key => 'create-1'), $first, 'again, later: still the first answer');
is(count('affiliates'), $before, '... and one effect');
is(count("audit_log WHERE action = 'affiliate.create' AND object_id = '$first->{json}{id}'"), 1, '... and one audit row');

$api->is_error($api->post('affiliates', { %ada, name => 'Eve' }, key => 'create-1'), 409, 'idempotency_key_reused', 'another body is refused');
$api->post('groups', { name => 'Same body' }, key => 'create-2');
$api->is_error($api->post('campaigns', { name => 'Same body' }, key => 'create-2'), 409, 'idempotency_key_reused', 'another address is refused');
$api->is_error($api->post('affiliates', undef, raw => '{"name":"Ada", "email":"ada2@example.com"}', key => 'create-1'),
    409, 'idempotency_key_reused', 'the same with other bytes is another body');
is($api->post('affiliates', { %ada, email => 'bob@example.com' }, key => 'create-1', as => 'manager')->{status}, 201,
    "somebody else's key is another key");
is($api->post('affiliates', { %ada, email => 'carol@example.com' })->{status}, 201, 'without a key nothing is remembered');

# ---- refusals are not kept ----

$api->is_error($api->post('affiliates', \%ada, key => 'late'), 409, 'duplicate', 'a refusal');
$api->patch("affiliates/$first->{json}{id}", { email => 'moved@example.com' });
is($api->post('affiliates', \%ada, key => 'late')->{status}, 201, '... is tried again under its key');
$api->is_error($api->post('affiliates', { name => '' }, key => 'typo'), 422, 'invalid_fields', 'a typing error');
is($api->post('affiliates', { name => 'Typo', email => 'typo@example.com' }, key => 'typo')->{status}, 201, '... may be corrected under its key');
$api->is_error($api->post('affiliates', { name => 'V', email => 'v@example.com' }, key => 'typo', as => 'viewer'), 403, 'role_denied',
    'a key opens nothing');

# ---- at once ----

for my $round (1 .. 5) {
    my $bytes = $api->request('POST', 'campaigns', { name => "Race $round" }, key => "race-$round", headers => { Connection => 'close' });
    my @sockets = map { $api->connect } 1 .. 8;
    print $_ $bytes for @sockets;
    my @answers = map { $api->read_answer($_, 'POST') } @sockets;
    my %seen = map { ("$_->{status} $_->{body}" => 1) } @answers;
    is(scalar(keys %seen), 1, "eight at once: one answer ($answers[0]{status})");
    is(count("campaigns WHERE name = 'Race $round'"), 1, '... one effect');
}

# ---- secrets ----

my %shop = (name => 'Shop', role => 'advertiser', scopes => ['conversions:write']);
$first = $api->post('api_users', \%shop, key => 'shop');
like($first->{json}{key}, qr/^aff_live_[\w-]{43}$/, 'a key is shown');
my $again = $api->post('api_users', \%shop, key => 'shop');
is($again->{json}{key}, undef, '... once');
is($again->{json}{secret}, undef, '... and so is the secret');
delete @{ $first->{json} }{qw(key secret)};
same($again, $first, '... the rest is the same');
is(count('api_keys'), 1, '... and there is one');

# ---- many decisions under one key ----

my @referrals = map { $api->say('sell', '10.00', 'EUR', "BULK$_", 1)->{id} } 1 .. 3;
my %bulk = (ids => [ @referrals[ 0, 1 ] ], action => 'approve');
$first = $api->post('referrals/bulk', \%bulk, key => 'bulk');
is_deeply([ map { $_->{ok} ? 1 : 0 } @{ $first->{json}{data} } ], [ 1, 1 ], 'two referrals are approved');
same($api->post('referrals/bulk', \%bulk, key => 'bulk'), $first, 'again: the same verdicts, not "approved already"');
$api->is_error($api->post('referrals/bulk', { %bulk, ids => [ $referrals[2] ] }, key => 'bulk'), 409, 'idempotency_key_reused',
    'other ids are another request');
is($api->get("referrals/$referrals[2]")->{json}{status}, 'pending', '... and nothing is done');
$api->is_error($api->post('referrals/bulk', { %bulk, action => 'reject', reason => 'no' }, key => 'bulk'), 409, 'idempotency_key_reused',
    'another action is another request');
is(count("state_changes WHERE object_type = 'referral' AND to_state = 'approved'"), 2, 'two changes of state in all');

# ---- what a key may be ----

for my $key ('', ' ', 'with space', 'sl/ash', "t\tab", "\xc3\xa9", 'x' x 201) {
    my $answer = $api->post('groups', { name => 'Never' }, headers => { 'Idempotency-Key' => $key, Connection => 'close' });
    ok($answer->{status} == 400 && $api->code($answer) eq 'idempotency_key', 'no key: "' . substr($key, 0, 12) . '"')
        or diag($answer->{body});
}
is($api->post('groups', { name => 'Long' }, key => 'Az0._~:-' . 'x' x 192)->{status}, 201, '200 characters are one');
is($api->patch('groups/1', { name => 'Patched' }, key => 'sp ace')->{status}, 200, 'a change of one object needs none, and looks at none');

# ---- for a week ----

%ada = (name => 'Week', email => 'week@example.com');
$api->post('affiliates', \%ada, key => 'week');
$api->say('advance', 6 * 86400);
$api->say('forget');
is($api->post('affiliates', \%ada, key => 'week')->{status}, 201, 'a key is known for six days');
$api->say('advance', 2 * 86400);
$api->say('forget');
$api->is_error($api->post('affiliates', \%ada, key => 'week'), 409, 'duplicate', 'after a week it is forgotten');

$api->finish;
