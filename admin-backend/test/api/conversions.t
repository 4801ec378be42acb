#!/usr/bin/perl
#
# Conversions, refunds, conflicts and coupons over HTTP: what derivation kept is found and says what was told; a conflict
# is closed once, by who may; a code is one whatever its case, and says for good whose it is.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my $api = Api->start;
my $link = $api->{program}{link};

# ---- an order, refunded in part, contradicted, refunded beyond ----

my $referral = $api->say('sell', '100.00', 'EUR', 'ORDER-1', $link);
$api->say('refund', '25.00', 'EUR', 'ORDER-1', 'R1');
$api->say('sell', '101.00', 'EUR', 'ORDER-1', $link);
$api->say('refund', '75.01', 'EUR', 'ORDER-1', 'R2');
$api->say('sell', '5.00', 'USD', 'ORDER-2', $link);

my $page = $api->get('conversions?txid=ORDER-1')->{json};
is($page->{total}, 1, 'one order, however often it was told');
my $order = $page->{data}[0];
is_deeply([ @$order{qw(event status verified referrals open_conflicts)} ], [ 'sale', 'pending', JSON::PP::true, 1, 2 ],
    'what it is, and that somebody should look');
is("$order->{amount}{amount} $order->{refunded}{amount} $order->{refunded}{currency}", '100.00 25.00 EUR',
    'its amount and what was taken back');
is_deeply($api->get("conversions/$order->{id}")->{json}, $order, 'the same by its id');
is($api->get('conversions?event=sale&status=pending,approved')->{json}{total}, 2, 'found by event and status');
is($api->get('conversions?customer=nobody')->{json}{total}, 0, 'not found by a stranger');
is($api->get("referrals?conversion_id=$order->{id}")->{json}{data}[0]{id}, $referral->{id}, 'its referral');
is($api->get("referrals/$referral->{id}")->{json}{share}, '100', 'which has all of it');

my %refund = map { $_->{refund_id} => $_ } @{ $api->get("refunds?conversion_id=$order->{id}")->{json}{data} };
is_deeply({ map { $_ => "$refund{$_}{kind} $refund{$_}{status} $refund{$_}{amount}{amount}" } keys %refund },
    { R1 => 'refund applied 25.00', R2 => 'refund held 75.01' }, 'one refund applied, one held');
is_deeply($api->get("refunds/$refund{R2}{id}")->{json}, $refund{R2}, 'one by its id');
my %kind = map { $_->{kind} => $_->{amount}{amount} } @{ $api->get("commissions?referral_id=$referral->{id}")->{json}{data} };
is_deeply(\%kind, { commission => '20.00', reversal => '-5.00' }, 'and what it took of the commission');

# ---- conflicts ----

my %conflict = map { $_->{reason} => $_ } @{ $api->get('conflicts?status=open')->{json}{data} };
is(join(' ', sort keys %conflict), 'other_content refund_beyond_order', 'both contradictions are there');
is("$conflict{other_content}{told}{amount}{amount} $conflict{refund_beyond_order}{told}{refund_id}", '101.00 R2',
    'with what was told');
my $path = "conflicts/$conflict{other_content}{id}";
my $note = { note => 'the shop confirms 100.00' };
is($api->ask('POST', "$path/resolve", $note, as => $_)->{status}, 403, "$_ may not close one") for qw(agent viewer);
$api->is_error($api->post("$path/resolve", {}), 422, 'invalid_fields', 'not without a note', 'note');
$api->is_error($api->ask('POST', "$path/resolve", $note, headers => { 'If-Match' => '"7"' }), 412, 'stale', 'not on an old version');
my $closed = $api->post("$path/resolve", $note);
is_deeply([ $closed->{status}, @{ $closed->{json} }{qw(status note)} ], [ 200, 'resolved', $note->{note} ], 'finance closes it');
is($api->post("$path/resolve", { note => 'again' })->{json}{note}, $note->{note}, 'once');
is($api->get('conflicts?status=open')->{json}{total}, 1, 'and it is open no more');
is($api->get("conversions/$order->{id}")->{json}{open_conflicts}, 1, 'nor at its conversion');
$api->is_error($api->post('conflicts/4711/resolve', $note), 404, 'not_found', 'no such conflict');
is($api->get('audit?object_type=conflict')->{json}{data}[0]{action}, 'conflict.resolve', 'who did it is on record');

# ---- coupons ----

my $affiliate = $api->{program}{affiliate};
my $coupon = $api->post('coupons', { code => 'Spring-10', affiliate_id => $affiliate })->{json};
is($coupon->{code}, 'Spring-10', 'a code as it was written');
$api->is_error($api->post('coupons', { code => 'SPRING-10', affiliate_id => $affiliate }), 409, 'duplicate', 'is one');
for my $bad ('', 'two words', "caf\x{e9}", 'x' x 65) {
    $api->is_error($api->post('coupons', { code => $bad, affiliate_id => $affiliate }), 422, 'invalid_fields',
        'no code: ' . substr($bad, 0, 9) =~ s/[^ -~]/?/gr, 'code');
}
$api->is_error($api->post('coupons', { code => 'A', affiliate_id => '4711' }), 422, 'invalid_fields', 'nobody', 'affiliate_id');
$api->is_error($api->patch("coupons/$coupon->{id}", { $_ => $_ eq 'code' ? 'B' : $affiliate }), 422, 'invalid_fields',
    "its $_ is for good", $_) for qw(code affiliate_id);
$api->is_error($api->patch("coupons/$coupon->{id}",
        { valid_from => '2030-01-02T00:00:00Z', valid_to => '2030-01-02T00:00:00Z' }),
    422, 'invalid_fields', 'no time at all', 'valid_to');
is($api->patch("coupons/$coupon->{id}", { state => 'archived' })->{json}{state}, 'archived', 'archived');
is($api->get('coupons?q=SPRING&status=archived')->{json}{total}, 1, 'and found');

$api->finish;
