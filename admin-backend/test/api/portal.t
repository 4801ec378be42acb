#!/usr/bin/perl
#
# Affiliates in the portal: their own, and nobody else's (S23).  What could break: a row of another affiliate by any way (a
# list, an id, a filter, a duplicate's lead), a log-in that tells who exists or can be tried for ever, staff's key in the
# affiliates' door or the other way round, an address in full that was to be masked.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Leads;
use Test::More;
use Time::HiRes 'time';

my $api = Api->start;
my $portal = '/api/portal/v1';
my ($ada, $password) = @{ $api->{affiliate} }{qw(email password)};
my $own = $api->{affiliate}{id};

# A second affiliate, who is a trader with a password of his own.
my $trader = $api->post('traders', { first_name => 'Bob', email => 'bob@example.com' })->{json}{id};
my $bob = $api->post("traders/$trader/affiliate", { status => 'approved' })->{json}{id};

sub log_in {
    my ($email, $password, $address) = @_;
    return $api->post("$portal/session", { email => $email, password => $password }, as => undef,
        headers => { 'X-Real-IP' => $address // '192.0.2.1' });
}

# ---- logging in ----

my $answer = log_in('ADA@example.com', $password);
is($answer->{status}, 200, 'an affiliate logs in');
like($answer->{headers}{'set-cookie'}, qr/^affiliate_portal=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=604800$/, '... with a cookie of its own');
is($answer->{json}{user}{name}, 'ada', '... as who it is');
my ($cookie) = $answer->{headers}{'set-cookie'} =~ /^([^;]+)/;
my %session = (Cookie => $cookie, 'X-CSRF-Token' => $answer->{json}{csrf_token});
is($api->get("$portal/session", as => undef, headers => \%session)->{json}{user}{id}, $own, 'GET session tells');

my $wrong = log_in($ada, 'not the password');
$api->is_error($wrong, 401, 'login_failed', 'a wrong password');
sub shape { my ($answer) = @_; delete $answer->{headers}{date}; return {%$answer} }
is_deeply(shape(log_in('nobody@example.com', 'not the password', '192.0.2.2')), shape($wrong), 'an unknown one: the same answer');
is_deeply(shape(log_in('bob@example.com', 'not the password', '192.0.2.2')), shape($wrong), 'one without a password: the same answer');
is_deeply(shape(log_in('admin@staff.example', $api->{staff}{admin}{password}, '192.0.2.2')), shape($wrong), 'staff: the same answer');
$api->is_error($api->post('session', { email => $ada, password => $password }, as => undef), 401, 'login_failed', 'nor do affiliates log in to the admin');
my %took;
for my $who ($ada, 'nobody2@example.com') {
    my $started = time;
    log_in($who, 'not the password', '192.0.2.3');
    $took{$who} = time - $started;
}
cmp_ok($took{'nobody2@example.com'}, '>', $took{$ada} / 4, 'an unknown one takes about as long');
my @codes = map { $api->code(log_in('carol@example.com', "wrong $_", "192.0.2.4$_")) } 1 .. 10;
is_deeply(\@codes, [ ('login_failed') x 10 ], 'ten tries, wherever from');
$api->is_error(log_in('carol@example.com', 'wrong', '192.0.2.60'), 429, 'too_many_attempts', '... then none');
$api->say('advance', 900);

# The trader's own password is the affiliate's.
my ($link) = $api->post("traders/$trader/invite", {})->{json}{invitation_url} =~ m{(/invite/.*)};
is($api->post($link, { password => 'a quiet blue harbour' }, as => undef)->{status}, 204, 'a trader sets a password');
is(log_in('bob@example.com', 'a quiet blue harbour')->{json}{user}{id}, $bob, '... and logs in as the affiliate he is');
my $before = $api->portal_in('bob@example.com', 'a quiet blue harbour');
($link) = $api->post("traders/$trader/invite", {})->{json}{invitation_url} =~ m{(/invite/.*)};
$api->post($link, { password => 'a quiet blue harbour' }, as => undef);
$api->is_error($api->get("$portal/leads", as => undef, headers => $before), 401, 'unauthenticated', 'another password ends what the old one opened');
$before = $api->portal_in('bob@example.com', 'a quiet blue harbour');
is($api->get("$portal/leads", as => undef, headers => $before)->{status}, 200, 'the new one opens it');
$api->patch("traders/$trader", { state => 'disabled' });
$api->patch("traders/$trader", { state => 'active' });
$api->is_error($api->get("$portal/leads", as => undef, headers => $before), 401, 'unauthenticated', 'so does being disabled');
$api->patch("traders/$trader", { state => 'disabled' });
$api->is_error(log_in('bob@example.com', 'a quiet blue harbour'), 401, 'login_failed', '... not while he is disabled');
$api->patch("traders/$trader", { state => 'active' });
my $other = $api->portal_in('bob@example.com', 'a quiet blue harbour');

# ---- sessions ----

$api->is_error($api->get("$portal/leads", as => undef, headers => { Cookie => $cookie =~ s/portal/session/r }), 401, 'unauthenticated', 'the cookie under staff\'s name opens nothing');
my $staff = $api->log_in('admin');
$api->is_error($api->get("$portal/leads", as => undef, headers => { Cookie => $staff->{Cookie} =~ s/session=/portal=/r }), 401, 'unauthenticated', 'nor does staff\'s under this');
$api->is_error($api->get("$portal/leads", as => undef, headers => { Cookie => $cookie, Authorization => "Bearer $api->{staff}{admin}{token}" }), 401, 'unauthenticated', 'a token is no session');
$api->is_error($api->del("$portal/session", as => undef, headers => { Cookie => $cookie }), 403, 'csrf', 'what is no GET needs the CSRF token');
$api->is_error($api->del("$portal/session", as => undef, headers => { %session, Origin => 'https://evil.example' }), 403, 'csrf', '... and our own origin');
is($api->del("$portal/session", as => undef, headers => \%session)->{status}, 204, 'logging out');
$api->is_error($api->get("$portal/session", as => undef, headers => \%session), 401, 'unauthenticated', '... ends the session');
$api->patch("affiliates/$bob", { status => 'terminated' });
$api->is_error($api->get("$portal/session", as => undef, headers => $other), 401, 'unauthenticated', 'who is terminated is out at once');
$api->is_error(log_in('bob@example.com', 'a quiet blue harbour'), 401, 'login_failed', '... and stays out');
$api->patch("affiliates/$bob", { status => 'approved' });
$other = $api->portal_in('bob@example.com', 'a quiet blue harbour');
$api->say('advance', 12 * 3600 + 1);
$api->is_error($api->get("$portal/session", as => undef, headers => $other), 401, 'unauthenticated', 'a session that nobody uses ends');
$api->say('advance', 8 * 86400);
$api->say('forget');
is(($api->rows('SELECT COUNT(*) FROM portal_sessions'))[0], 0, '... and is forgotten');
$other = $api->portal_in('bob@example.com', 'a quiet blue harbour');

# ---- whose ----

my $mine = Leads::lead($api, affiliate_id => $own, email => 'jo.doe@people.example', last_name => 'Doe', link_id => 1, campaign_id => 1);
my $his = Leads::lead($api, affiliate_id => $bob);
my $nobodys = Leads::lead($api);
Leads::log_line($api, affiliate_id => $own, verdict => 'duplicate', reason => 'same_email', lead_id => $his, email => 'his@people.example');
my %form = (name => 'Form', affiliate_id => $own, fields => [ { name => 'email', label => 'E-mail', type => 'email', required => JSON::PP::true() } ]);
my $form = $api->post('forms', \%form)->{json};
my $foreign_form = $api->post('forms', { %form, name => 'Other', affiliate_id => $bob })->{json}{id};
my $foreign_link = $api->post('links', { affiliate_id => $bob, campaign_id => '1', destination => 'https://shop.example.com/' })->{json}{id};

sub mine { my ($path) = @_; return $api->get("$portal/$path", as => 'affiliate') }
my %seen = (leads => $mine, forms => $form->{id}, links => $api->{program}{link});
my %foreign = (leads => [ $his, $nobodys ], forms => [$foreign_form], links => [$foreign_link]);
for my $list (sort keys %seen) {
    is_deeply([ map { $_->{id} } @{ mine($list)->{json}{data} } ], [ $seen{$list} ], "$list: one's own");
    is(mine($list)->{json}{total}, 1, '... and counted');
    is(mine("$list/$seen{$list}")->{json}{id}, $seen{$list}, '... by id');
    $api->is_error(mine("$list/$_"), 404, 'not_found', '... another\'s is none') for @{ $foreign{$list} };
}
is(mine("leads?form_id=$foreign_form")->{json}{total}, 0, 'no filter brings others');
is_deeply([ map { "$_->{verdict} " . ($_->{lead_id} // '-') } @{ mine('leads_log?sort=at')->{json}{data} } ], [ "created $mine", 'duplicate -' ],
    'the log is one\'s own, and tells nothing of whose lead a duplicate is');
is(mine('forms')->{json}{data}[0]{url}, "$api->{base_url}/f/$form->{key}", 'a form\'s address');
is(mine('links')->{json}{data}[0]{url}, $api->get('links/1')->{json}{url}, 'a link\'s address');
my $numbers = mine('dashboard?from=2024-01-01&to=2024-12-31')->{json};
is_deeply([ @$numbers{qw(leads log)} ], [ { new => 1 }, { created => 1, duplicate => 1 } ], 'numbers of one\'s own');
is_deeply($api->get("$portal/dashboard?from=2024-01-01&to=2024-12-31", as => undef, headers => $other)->{json}{leads}, { new => 1 }, '... and the other\'s of his');
$api->is_error(mine('dashboard?affiliate_id=2'), 422, 'invalid_fields', 'nobody else\'s are asked for', 'affiliate_id');

# ---- how much of a person ----

my $lead = mine("leads/$mine")->{json};
is_deeply([ @$lead{qw(last_name email phone)} ], [ 'Doe', 'j***@people.example', undef ], 'a lead\'s addresses are masked');
is(mine('leads_log')->{json}{data}[0]{email}, 'h***@people.example', '... in the log too');
unlike($api->get("$portal/leads", as => 'affiliate', headers => { Accept => 'text/csv' })->{body}, qr/jo\.doe/, '... and in a table');
is($api->patch('settings', { portal_leads => 'full' })->{status}, 200, 'where the advertiser says so');
is_deeply([ @{ mine("leads/$mine")->{json} }{qw(email phone)} ], [ 'jo.doe@people.example', ($api->rows("SELECT phone FROM leads WHERE id = $mine"))[0] ], '... they are shown');

$api->finish;
