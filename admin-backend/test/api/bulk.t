#!/usr/bin/perl
#
# One action on many: a verdict for each, and a bad one stops nobody else.  What could break: an id that is answered for
# another, a decision without its reason, a role that gets by bulk what it has not singly.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my $api = Api->start;

sub verdicts {
    my ($path, $body, %option) = @_;
    my $answer = $api->post($path, $body, %option);
    return "$answer->{status} " . $api->code($answer) if $answer->{status} != 200;
    return { map { $_->{id} => $_->{ok} ? 'ok' : $_->{error}{code} } @{ $answer->{json}{data} } };
}

my @ids = map { $api->say('sell', '10.00', 'EUR', "B$_", 1)->{id} } 1 .. 6;
is_deeply(verdicts('referrals/bulk', { ids => [ @ids[ 0, 1 ], '999', 'x', '', '-1', '1e3' ], action => 'approve' }),
    { $ids[0] => 'ok', $ids[1] => 'ok', map { $_ => 'not_found' } '999', 'x', '', '-1', '1e3' }, 'each id has its verdict');
is($api->get("referrals/$ids[0]")->{json}{status}, 'approved', 'what is ok is done');
is_deeply(verdicts('referrals/bulk', { ids => [ @ids[ 0, 2, 3, 3 ] ], action => 'approve' }),
    { map { $_ => 'ok' } @ids[ 0, 2, 3 ] }, 'what is approved already may be approved: nothing is left to do');
is_deeply([ $api->rows("SELECT COUNT(*) FROM state_changes WHERE object_type = 'referral' AND to_state = 'approved'") ], [4],
    '... and nothing is done twice');

my $reasonless = verdicts('referrals/bulk', { ids => [ $ids[4] ], action => 'reject' });
isnt($reasonless->{ $ids[4] }, 'ok', 'a rejection needs its reason');
is($api->get("referrals/$ids[4]")->{json}{status}, 'pending', '... and is none without');
is(verdicts('referrals/bulk', { ids => [ $ids[4] ], action => 'reject', reason => 'fraud' })->{ $ids[4] }, 'ok', 'with one it is done');
is_deeply([ $api->rows("SELECT reason, actor FROM state_changes WHERE object_type = 'referral' AND object_id = $ids[4] AND to_state = 'rejected'") ],
    [ "fraud\tstaff:1" ], '... and kept, with who');

is_deeply(verdicts('affiliates/bulk', { ids => ['1'], action => 'suspend' }), { 1 => 'ok' }, 'affiliates: suspend');
is($api->get('affiliates/1')->{json}{status}, 'suspended', '... done');
is_deeply(verdicts('affiliates/bulk', { ids => ['1'], action => 'approve' }), { 1 => 'ok' }, 'affiliates: approve');

my ($commission) = map { $_->{id} } @{ $api->get("commissions?referral_id=$ids[5]")->{json}{data} };
is_deeply(verdicts('commissions/bulk', { ids => [$commission], action => 'approve' }), { $commission => 'ok' }, 'commissions: approve');
is($api->get("commissions/$commission")->{json}{status}, 'approved', '... done');

for my $path (qw(affiliates referrals commissions)) {
    my @refused = (
        [ { ids => ['1'] },                               'action', 'no action' ],
        [ { ids => ['1'], action => 5 },                  'action', 'an action that is no text' ],
        [ { action => 'approve' },                        'ids',    'no ids' ],
        [ { ids => [], action => 'approve' },             'ids',    'an empty list' ],
        [ { ids => '1', action => 'approve' },            'ids',    'no list' ],
        [ { ids => [1], action => 'approve' },            'ids',    'numbers' ],
        [ { ids => [ ['1'] ], action => 'approve' },      'ids',    'lists in the list' ],
        [ { ids => [ map { "$_" } 1 .. 501 ], action => 'approve' }, 'ids', '501 ids' ],
        [ { ids => ['1'], action => 'approve', all => 1 }, 'all',   'an unknown field' ],
        [ { ids => ['1'], action => 'approve', reason => 7 }, 'reason', 'a reason that is no text' ],
        [ { ids => ['1'], action => 'approve', reason => 'x' x 4001 }, 'reason', 'an endless reason' ],
    );
    for my $case (@refused) {
        my ($body, $field, $name) = @$case;
        $api->is_error($api->post("$path/bulk", $body), 422, 'invalid_fields', "$path: $name is refused", $field);
    }
    my $unknown = verdicts("$path/bulk", { ids => ['1'], action => 'explode' });
    is_deeply($unknown, { 1 => 'invalid_fields' }, "$path: an unknown action is refused");
}
is(scalar @{ $api->post('referrals/bulk', { ids => [ map { "$_" } 1000 .. 1499 ], action => 'approve' })->{json}{data} }, 500, '500 ids are answered');

$api->finish;
