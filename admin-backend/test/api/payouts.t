#!/usr/bin/perl
#
# From a sale to money paid, by HTTP alone, with every refusal on the way.  What could break: money paid twice by two
# people at once, a reference used twice, a payout below its minimum, a dashboard that says something else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my $api = Api->start;
my %affiliate = (affiliate_id => '1');

sub sell {    # an approved commission; its id
    my ($amount, $txid, $link) = @_;
    my $referral = $api->say('sell', $amount, 'EUR', $txid, $link // 1);
    my $answer = $api->post('referrals/bulk', { ids => [ $referral->{id} ], action => 'approve' });
    die $answer->{body} unless $answer->{json}{data}[0]{ok};
    return $api->get("commissions?referral_id=$referral->{id}")->{json}{data}[0];
}
sub refused {
    my ($answer, $name) = @_;
    return $api->is_error($answer, 409, $api->code($answer), "$name is refused: " . $api->code($answer));
}

# ---- before there is anything ----

refused($api->post('payouts', \%affiliate), 'a payout of nothing');
$api->is_error($api->post('payouts', { affiliate_id => '77' }), 422, 'invalid_fields', 'nobody has no payouts', 'affiliate_id');
$api->is_error($api->post('payouts', { affiliate_id => 1 }), 422, 'invalid_fields', 'an id is a text', 'affiliate_id');
$api->is_error($api->post('payouts', {}), 422, 'invalid_fields', 'whose it is must be said', 'affiliate_id');
$api->is_error($api->post('payouts', { %affiliate, amount => '1000000' }), 422, 'invalid_fields', 'nobody names the amount', 'amount');
my $answer = $api->post('payouts', { %affiliate, currency => 'XXX' });
ok($answer->{status} =~ /^(409|422)$/, 'nor an unknown currency') or diag($answer->{body});

# ---- draft, pending, paid ----

my $first = sell('100.00', 'P1');
is($first->{amount}{amount}, '20.00', 'a fifth of the sale');
is($first->{status}, 'approved', 'approved with its referral');
$api->patch('groups/1', { minimum_payout => { amount => '20.01', currency => 'EUR' } });
refused($api->post('payouts', \%affiliate), 'a payout below the minimum');
$api->patch('groups/1', { minimum_payout => { amount => '20.00', currency => 'EUR' } });

my $payout = $api->post('payouts', \%affiliate)->{json};
is_deeply([ @$payout{qw(status item_count reference paid_at)} ], [ 'draft', 1, undef, undef ], 'a draft');
is($payout->{amount}{amount}, '20.00', '... of what is due');
is($payout->{minimum}{amount}, '20.00', '... that keeps its minimum');
is($api->get("commissions/$first->{id}")->{json}{status}, 'in_payout', '... and takes the commission along');
refused($api->post('payouts', \%affiliate), 'the same money once more');
refused($api->post("payouts/$payout->{id}/pay", { reference => 'EARLY' }), 'paying a draft');

is($api->post("payouts/$payout->{id}/submit", {})->{json}{status}, 'pending', 'submitted');
refused($api->post("payouts/$payout->{id}/submit", {}), 'submitting twice');
for my $bad ({}, { reference => '' }, { reference => undef }, { reference => 7 }, { reference => 'x' x 141 }, { reference => "a\nb" }) {
    $api->is_error($api->post("payouts/$payout->{id}/pay", $bad), 422, 'invalid_fields', 'no reference: ' . Api::text($bad), 'reference');
}
for my $bad ('now', '2024-13-01T00:00:00Z', '2999-01-01T00:00:00Z', 5) {
    $api->is_error($api->post("payouts/$payout->{id}/pay", { reference => 'R', paid_at => $bad }), 422, 'invalid_fields', "paid at $bad", 'paid_at');
}
my $paid = $api->post("payouts/$payout->{id}/pay", { reference => 'BANK-1', notes => 'by hand' })->{json};
is_deeply([ @$paid{qw(status reference notes)} ], [ 'paid', 'BANK-1', 'by hand' ], 'paid');
like($paid->{paid_at}, qr/^2024-05-01T/, '... now, unless told otherwise');
is($api->get("commissions/$first->{id}")->{json}{status}, 'paid', '... and so is the commission');
refused($api->post("payouts/$payout->{id}/pay", { reference => 'BANK-2' }), 'paying twice');
refused($api->post("payouts/$payout->{id}/cancel", { reason => 'no' }), 'cancelling what is paid');

# ---- cancelled: the money is due again ----

my $second = sell('200.00', 'P2');
$payout = $api->post('payouts', \%affiliate)->{json};
$api->is_error($api->post("payouts/$payout->{id}/cancel", {}), 422, 'invalid_fields', 'why it is cancelled must be said', 'reason');
$api->is_error($api->post("payouts/$payout->{id}/cancel", { reason => '' }), 422, 'invalid_fields', '... really', 'reason');
is($api->post("payouts/$payout->{id}/cancel", { reason => 'wrong account' })->{json}{reason}, 'wrong account', 'cancelled');
refused($api->post("payouts/$payout->{id}/submit", {}), 'submitting what is cancelled');
is($api->get("commissions/$second->{id}")->{json}{status}, 'approved', 'its commission is payable again');
$payout = $api->post('payouts', \%affiliate)->{json};
is($payout->{amount}{amount}, '40.00', '... and in the next one');
$api->post("payouts/$payout->{id}/submit", {});
refused($api->post("payouts/$payout->{id}/pay", { reference => 'BANK-1' }), 'a reference that was used');
is($api->post("payouts/$payout->{id}/pay", { reference => 'BANK-2', paid_at => '2024-04-30T10:00:00+02:00' })->{json}{paid_at},
    '2024-04-30T08:00:00.000000Z', 'paid yesterday');

for my $step (qw(submit pay cancel)) {
    for my $id ('999999', '0', 'x', '-1', '99999999999999999999') {
        my %body = $step eq 'pay' ? (reference => 'R') : $step eq 'cancel' ? (reason => 'r') : ();
        $api->is_error($api->post("payouts/$id/$step", \%body), 404, 'not_found', "$step of a payout that is not there: $id");
    }
}

# ---- two people at once ----

sub at_once {    # the statuses of so many equal requests
    my ($count, $path, $body) = @_;
    my @sockets = map { $api->connect } 1 .. $count;
    print $_ $api->request('POST', $path, ref $body eq 'CODE' ? $body->() : $body, headers => { Connection => 'close' }) for @sockets;
    return join ' ', sort map { $api->read_answer($_, 'POST')->{status} } @sockets;
}
for my $round (1 .. 5) {
    sell('300.00', "RACE$round");
    is(at_once(4, 'payouts', \%affiliate), '201 409 409 409', "round $round: four bundle the same money: one draft");
    my ($id) = $api->rows('SELECT MAX(id) FROM payouts');
    is(at_once(4, "payouts/$id/submit", {}), '200 409 409 409', '... four submit it: once');
    my $n = 0;
    is(at_once(4, "payouts/$id/pay", sub { { reference => "RACE-$round-" . $n++ } }), '200 409 409 409', '... four pay it: once');
}

# ---- the numbers agree ----

my $dashboard = $api->get('dashboard')->{json};
is_deeply($dashboard->{commissions}{paid}, [ { amount => '360.00', currency => 'EUR' } ], 'the dashboard knows what was paid');
is_deeply($dashboard->{commissions}{generated}, [ { amount => '360.00', currency => 'EUR' } ], '... and what was earned');
is_deeply([ $api->rows("SELECT SUM(l.amount_minor) FROM ledger_legs l") ], [0], 'the ledger sums to nothing');
is_deeply([ $api->rows("SELECT -SUM(l.amount_minor) FROM ledger_legs l JOIN ledger_accounts a ON a.id = l.account_id WHERE a.name = 'paid'") ],
    [36000], '... with the same paid') or diag($api->rows("SELECT name, balance_minor FROM ledger_accounts"));

$api->finish;
