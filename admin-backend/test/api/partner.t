#!/usr/bin/perl
#
# The partner API: a key shows its owner's own and nothing else, and is looked at here as if there were no edge.  What
# could break: a header that is taken for an identity; an affiliate that reads another's leads, or the names of people who
# filled in a form; a key that works on after it expired; an autologin that opens an account twice, or a stranger's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my $api = Api->start;
my $mine = $api->{program}{affiliate};
my $other = $api->post('affiliates', { name => 'Other', email => 'other@example.com', status => 'approved' })->{json}{id};
my @scopes = qw(leads:read stats:read conversions:read leads:write);

sub user {
    my ($name, %body) = @_;
    my $user = $api->post('api_users', { name => $name, scopes => [@scopes], %body })->{json};
    return { id => $user->{id}, key => $user->{key} };
}
my $partner = user('partner', role => 'affiliate', affiliate_id => $mine);
my $rival = user('rival', role => 'affiliate', affiliate_id => $other);
my $advertiser = user('advertiser', role => 'advertiser', scopes => [ @scopes, 'autologin' ]);

# by(USER, PATH): as that API user; OPTION as lib/Api.pm.
sub by {
    my ($user, $path, %option) = @_;
    my $headers = { Authorization => "Bearer $user->{key}", %{ delete $option{headers} // {} } };
    return $api->get("/api/v1/$path", as => undef, headers => $headers, %option);
}
sub lead {
    my ($user, $affiliate, $fields, $key) = @_;
    return $api->say('lead', $user->{id}, $affiliate, $key // '-', $fields)->{id};
}

# ---- who calls ----

my %carriers = (
    'Authorization: Bearer' => { Authorization => "Bearer $partner->{key}" },
    'authorization: bearer' => { Authorization => "bearer $partner->{key}" },
    'X-Api-Key' => { 'X-Api-Key' => $partner->{key} },
    'authtoken' => { authtoken => $partner->{key} },
);
is($api->get('/api/v1/leads', as => undef, headers => $carriers{$_})->{status}, 200, "a key as $_") for sort keys %carriers;
my %strangers = (
    'a key cut short' => substr($partner->{key}, 0, -1),
    'a key and more' => "$partner->{key}A",
    'no key at all' => 'x',
    'an endless key' => 'A' x 5000,
    'a staff token' => $api->{staff}{admin}{token},
);
$api->is_error($api->get('/api/v1/leads', as => undef, headers => { Authorization => "Bearer $strangers{$_}" }), 401,
    'key_unknown', $_) for sort keys %strangers;
$api->is_error($api->get('/api/v1/leads', as => undef), 401, 'key_missing', 'no key');
$api->is_error($api->get("/api/v1/leads?key=$partner->{key}", as => undef), 401, 'key_missing', 'a key in the query is none');
$api->is_error(
    $api->get('/api/v1/leads', as => undef, headers => { 'X-Affiliate-Api-User' => $partner->{id}, 'X-Real-IP' => '127.0.0.1' }),
    401, 'key_missing', 'headers of an edge are no identity');
$api->is_error($api->get('affiliates', as => undef, headers => { Authorization => "Bearer $partner->{key}" }), 401,
    'unauthenticated', 'a key is no session');
is((grep { $_ eq 'Bearer' } $api->get('/api/v1/leads', as => undef)->{headers}{'www-authenticate'})[0], 'Bearer',
    '401 says how to authenticate');

# Each refusal in the edge's order: what comes first is said first.
my $closed = user('closed', role => 'affiliate', affiliate_id => $mine, scopes => [], expires_at => '2024-05-02T00:00:00Z',
    ip_whitelist => { enabled => JSON::PP::true, ranges => [] });
sub refused { return by($closed, 'leads', headers => { 'X-Real-IP' => $_[0] }) }
$api->is_error(refused('192.0.2.1'), 403, 'ip_denied', 'a list without entries lets nobody in');
$api->patch("api_users/$closed->{id}", { ip_whitelist => { enabled => JSON::PP::true, ranges => [ '192.0.2.0/24', '2001:db8::/32' ] } });
$api->is_error(refused($_), 403, 'scope_denied', "$_ is within; no scopes are none") for qw(192.0.2.255 2001:db8::1 ::ffff:192.0.2.1);
$api->is_error(refused($_), 403, 'ip_denied', "'$_' is not") for '192.0.3.1', '2001:db9::1', '', 'localhost', '192.0.2.1, 10.0.0.1';
$api->patch("api_users/$closed->{id}", { scopes => ['leads:read'] });
is(refused('192.0.2.1')->{status}, 200, 'with the scope it may');
$api->is_error(by($closed, $_, headers => { 'X-Real-IP' => '192.0.2.1' }), 403, 'scope_denied', "... but not $_") for qw(stats conversions);
$api->say('advance', 86400);
$api->is_error(refused('192.0.3.1'), 403, 'key_expired', 'expired, before the address is looked at');
$api->patch("api_users/$closed->{id}", { state => 'paused' });
$api->is_error(refused('192.0.3.1'), 403, 'user_paused', 'paused, before that');
my $keys = $api->get("api_users/$closed->{id}")->{json}{keys};
$api->del("api_users/$closed->{id}/keys/$keys->[0]{id}");
$api->is_error(refused('192.0.2.1'), 401, 'key_unknown', 'revoked, before all');
$api->is_error($api->post('/api/v1/autologin', { token => 'x' }, as => undef, headers => { Authorization => "Bearer $partner->{key}" }),
    403, 'scope_denied', 'an affiliate redeems nothing');

# ---- one's own ----

my %id = (
    ada => lead($partner, $mine, 'email=ada@example.com&first_name=Ada&colour=red&colour=blue', 'k1'),
    eve => lead($rival, $other, 'email=eve@example.com&first_name=Eve'),
);
my $duplicate = lead($rival, $other, 'email=ADA@example.com');
my $own_duplicate = lead($partner, $mine, 'email=ada@example.com&x=2');
my $invalid = lead($partner, $mine, 'email=nobody');

my $page = by($partner, 'leads')->{json};
is_deeply([ map { $_->{id} } @{ $page->{data} } ], [ $id{ada} ], 'an affiliate sees its own');
is_deeply($page->{data}[0]{fields}, { colour => [ 'red', 'blue' ] }, '... with all that it sent');
is($page->{data}[0]{first_name}, 'Ada', '... by name');
is_deeply([ sort map { $_->{id} } @{ by($advertiser, 'leads')->{json}{data} } ], [ sort values %id ], 'the advertiser sees all of its program');
is(by($partner, 'leads?status=converted,rejected')->{json}{total}, 0, 'by status');
is(by($partner, 'leads?from=2030-01-01')->{json}{total}, 0, 'by time');
my $first = by($advertiser, 'leads?page_size=1')->{json};
my $second = by($advertiser, "leads?page_size=1&cursor=$first->{next_cursor}")->{json};
is_deeply([ sort map { $_->{data}[0]{id} } $first, $second ], [ sort values %id ], 'page by page');
$api->is_error(by($partner, "leads?$_=1"), 422, 'invalid_fields', "no $_ of the caller's choice", $_)
    for qw(program_id affiliate_id id surprise);
$api->is_error(by($partner, "$_?surprise=1"), 422, 'invalid_fields', "$_ takes nothing else", 'surprise') for qw(stats conversions leads/statuses);

is(by($partner, "leads/$id{ada}")->{json}{data}{verdict}, 'created', 'one lead');
$api->is_error(by($partner, "leads/$_"), 404, 'lead_unknown', "not $_")
    for $id{eve}, $duplicate, '0' x 32, uc $id{ada}, 'x', substr($id{ada}, 1), '1';
is(by($rival, "leads/$duplicate")->{json}{data}{verdict}, 'duplicate', 'what was refused');
is(by($rival, "leads/$duplicate")->{json}{data}{reason}, 'same_email', '... and why');
is(by($rival, "leads/$duplicate")->{json}{data}{duplicate_of}, undef, '... but not whose lead it is');
is(by($partner, "leads/$own_duplicate")->{json}{data}{duplicate_of}, $id{ada}, '... unless it is his own');
is(by($advertiser, "leads/$duplicate")->{json}{data}{duplicate_of}, $id{ada}, 'the advertiser may know');
is(by($partner, "leads/$invalid")->{json}{data}{reason}, 'email_invalid', 'what was invalid');
ok((grep { $_->{status} eq 'converted' && $_->{final} } @{ by($partner, 'leads/statuses')->{json}{data} }), 'the statuses');

$api->say(run => "UPDATE leads SET kind = 'form' WHERE uid = '$id{ada}'");
is(by($partner, "leads/$id{ada}")->{json}{data}{email}, undef, "people's addresses in forms are none of an affiliate's business");
is_deeply(by($partner, 'leads')->{json}{data}[0]{fields}, {}, '... nor what they wrote');
is(by($advertiser, "leads/$id{ada}")->{json}{data}{email}, 'ada@example.com', "... but the advertiser's");
$api->say(run => "UPDATE leads SET kind = 'api', api_user_id = $advertiser->{id} WHERE uid = '$id{ada}'");
is(by($partner, "leads/$id{ada}")->{json}{data}{email}, undef, "nor those of whom the advertiser's own server sent");
is_deeply(by($partner, 'leads')->{json}{data}[0]{fields}, {}, '... with all that they told it');
ok(!exists by($_, "leads/$id{ada}")->{json}{data}{own}, '... and how that is known is nobody\'s') for $partner, $advertiser;
$api->say(run => "UPDATE leads SET api_user_id = $partner->{id} WHERE uid = '$id{ada}'");

# ---- conversions and numbers ----

$api->say('sell', '100.00', 'EUR', 'T1', $api->{program}{link});
my $sales = by($partner, 'conversions?event=sale')->{json};
is($sales->{data}[0]{txid}, 'T1', 'an affiliate sees what it earned by');
is($sales->{data}[0]{amount}{amount}, '100.00', '... with the amount');
is(by($rival, 'conversions?event=sale')->{json}{total}, 0, '... and nobody else does');
is(by($rival, 'conversions?event=lead')->{json}{data}[0]{lead_id}, $id{eve}, 'a lead is an event, too');
is(by($advertiser, 'conversions')->{json}{total}, 3, 'the advertiser sees all');

my $day = by($partner, 'stats')->{json}{data}[-1];
is($day->{leads}, 1, 'its leads of the day');
is($day->{conversions}, 2, '... its conversions');
is_deeply($day->{commissions}, [ { amount => '20.00', currency => 'EUR' } ], '... and what they earn');
is(by($advertiser, 'stats')->{json}{data}[-1]{leads}, 2, "the program's");
is_deeply(by($partner, 'stats?from=2020-01-01&to=2020-02-01')->{json}{data}, [], 'another time');
$api->is_error(by($partner, 'stats?from=1990-01-01'), 422, 'invalid_fields', 'not all of time', 'from');
$api->is_error(by($partner, 'stats?from=yesterday'), 422, 'invalid_fields', 'no words', 'from');

# ---- autologins ----

sub redeem {
    my ($token) = @_;
    return $api->post('/api/v1/autologin', { token => $token }, as => undef, headers => { Authorization => "Bearer $advertiser->{key}" });
}
sub ticket { my ($uid, %option) = @_; return $api->say('pass', $option{use} // 2, $option{owner} // 1, $option{seconds} // 60, $uid)->{token} }

my $token = ticket($id{ada});
my $identity = redeem($token);
is($identity->{status}, 200, 'an autologin is redeemed');
is($identity->{json}{data}{lead}{email}, 'ada@example.com', '... and tells whose it is');
is($identity->{json}{data}{trader}, undef, '... who has no account yet');
$api->is_error(redeem($token), 409, 'autologin_used', '... once');
$api->is_error(redeem(ticket($id{ada})), 409, 'autologin_used', '... and a lead by one of them');
$api->is_error(redeem(ticket($id{eve}, seconds => 0)), 410, 'autologin_expired', 'not when it is over');
$api->is_error(redeem(ticket($id{eve}, use => 1)), 422, 'autologin_invalid', 'no ticket to wait with');
$api->is_error(redeem(ticket($id{eve}, owner => 2)), 422, 'autologin_invalid', "not another program's");
$api->is_error(redeem($_), 422, 'autologin_invalid', 'not a token of nobody') for 'A' x 64, 'x', substr(ticket($id{eve}), 1), "\x{fc}" x 64;
my $flipped = ticket($id{eve});
substr($flipped, 20, 1) = substr($flipped, 20, 1) eq 'A' ? 'B' : 'A';
$api->is_error(redeem($flipped), 422, 'autologin_invalid', 'not one that was changed');
my $early = redeem(ticket('f' x 32));
is("$early->{status} $early->{json}{data}{status} $early->{headers}{'retry-after'}", '202 preparing 1', 'the lead may not be here yet');
$api->is_error(redeem(ticket($duplicate)), 403, 'autologin_refused', "a duplicate's address opens no account");
$api->say(run => "UPDATE leads SET existing = 1 WHERE uid = '$id{eve}'");
$api->is_error(redeem(ticket($id{eve})), 403, 'autologin_refused', 'nor does that of who had one before');
$api->say(run => "UPDATE leads SET existing = 0, status = 'unconfirmed' WHERE uid = '$id{eve}'");
$api->is_error(redeem(ticket($id{eve})), 403, 'autologin_refused', 'nor one whose mail nobody has confirmed');
$api->say(run => "UPDATE leads SET status = 'new' WHERE uid = '$id{eve}'");
is(redeem(ticket($id{eve}))->{status}, 200, 'a refusal uses nothing up');
$api->is_error($api->post('/api/v1/autologin', $_, as => undef, headers => { Authorization => "Bearer $advertiser->{key}" }),
    422, 'invalid_fields', 'a body that is none') for {}, { token => 1 }, { token => 'x', more => 1 };

$api->finish;
