#!/usr/bin/perl
#
# Traders: made by hand, found again by address or number, given accounts and a link to set a password of their own.
# What could break: a password that somebody else knows (in an answer, a log, a page), a link that works twice or after
# another one was made, two traders who are one person, an agent who sees somebody else's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my $api = Api->start;
my $form = 'application/x-www-form-urlencoded';
my %new = (first_name => 'Jo', last_name => 'Doe', email => 'Jo.Doe@Example.COM', phone => '+49 30 901820', country => 'DE',
    notes => 'Met at the fair');

# ---- by hand ----

my $answer = $api->post('traders', \%new);
is($answer->{status}, 201, 'a trader is made');
my $trader = $answer->{json};
is($trader->{email}, 'jo.doe@example.com', '... whose address is normalised');
is_deeply([ @$trader{qw(state has_password)} ], [ 'invited', JSON::PP::false() ], '... and who has no password');
is_deeply([ @$trader{qw(accounts leads api_users affiliates)} ], [ [], [], [], [] ], '... nor anything else yet');
is_deeply($api->get("traders/$trader->{id}")->{json}, $trader, '... as GET shows');

$api->is_error($api->post('traders', { %new, email => 'JO.DOE@example.com' }), 409, 'duplicate', 'the same address is the same person');
is($api->post('traders', { email => 'b@example.com', phone => '+4930901820' })->{status}, 201, 'a number may be shared');
is($api->post('traders', { email => 'c@example.com', external_id => 'P-1' })->{status}, 201, 'the platform\'s own id');
$api->is_error($api->post('traders', { email => 'd@example.com', external_id => 'P-1' }), 409, 'duplicate', '... is one trader\'s');
my @bad = (
    [ { email => undef }, 'email' ],              [ { email => 'x' }, 'email' ],       [ { email => 'a@b..example' }, 'email' ],
    [ { phone => 'call me' }, 'phone' ],          [ { phone => '901820', country => '' }, 'phone' ],
    [ { country => 'Germany' }, 'country' ],      [ { country => 'de' }, 'country' ],  [ { country => undef }, 'country' ],
    [ { first_name => 'x' x 121 }, 'first_name' ], [ { state => 'erased' }, 'state' ], [ { agent_id => '999' }, 'agent_id' ],
    [ { agent_id => $api->{staff}{viewer}{id} }, 'agent_id' ], [ { password => '123456' }, 'password' ],
);
for my $case (@bad) {
    my ($fields, $field) = @$case;
    $api->is_error($api->post('traders', { %new, email => 'bad@example.com', %$fields }), 422, 'invalid_fields',
        Api::text($fields) . ' is refused', $field);
}

# ---- finding and changing ----

sub found { return join ' ', map { $_->{email} } @{ $api->get("traders?$_[0]&sort=created_at")->{json}{data} } }
is(found('q=DOE'), 'jo.doe@example.com', 'found by name');
is(found('q=30%20901'), 'jo.doe@example.com', '... by number, as it was written');
is(found('external_id=P-1'), 'c@example.com', '... by the platform\'s id');
is(found('country=DE&status=invited'), 'jo.doe@example.com', '... by country and state');
is(found('q=%25'), '', 'a % is a %');

$answer = $api->patch("traders/$trader->{id}", { last_name => 'Roe', phone => '' }, headers => { 'If-Match' => "\"$trader->{version}\"" });
is($answer->{status}, 200, 'a trader is changed');
is($answer->{json}{version}, $trader->{version} + 1, '... to the next version');
$api->is_error($api->patch("traders/$trader->{id}", { last_name => 'X' }, headers => { 'If-Match' => "\"$trader->{version}\"" }),
    412, 'stale', '... once');
is($api->patch("traders/$trader->{id}", { state => 'active' })->{json}{state}, 'invited', 'active without a password is invited');
is(($api->rows('SELECT version FROM config_version'))[0], ($api->rows('SELECT MAX(version) FROM links'))[0],
    'no edge hears of it');

# ---- accounts ----

$answer = $api->post("traders/$trader->{id}/accounts", {});
is($answer->{status}, 201, 'an account is opened');
my $number = $answer->{json}{accounts}[0]{number};
is(found("account=$number"), 'jo.doe@example.com', '... and found by its number');
is(scalar @{ $api->post("traders/$trader->{id}/accounts", undef, key => 'same')->{json}{accounts} }, 2, 'another one');
is(scalar @{ $api->post("traders/$trader->{id}/accounts", undef, key => 'same')->{json}{accounts} }, 2, '... once under one key');
$api->post("traders/$trader->{id}/accounts", {}) for 1 .. 18;
$api->is_error($api->post("traders/$trader->{id}/accounts", {}), 409, 'too_many_accounts', 'twenty are enough');
is(($api->rows('SELECT COUNT(DISTINCT number) FROM trader_accounts'))[0], 20, 'each has a number of its own');

# ---- the password ----

sub invite {
    my ($id) = @_;
    my $answer = $api->post("traders/$id/invite", {});
    my ($path) = ($answer->{json}{invitation_url} // '') =~ m{^\Q$api->{base_url}\E(/invite/invite_[\w-]{43})$};
    return $path // "no link: $answer->{body}";
}
my $first = invite($trader->{id});
my $link = invite($trader->{id});
my %password = (password => 'a quiet blue harbour');
like($api->get($link, as => undef)->{body}, qr/<form method=post>.*name=password/, 'the link shows a form');
unlike($api->get($link, as => undef)->{body}, qr/invite_/, '... that does not hold the secret');
$api->is_error($api->post($first, \%password, as => undef), 403, 'invitation_invalid', 'the older link works no more');
$api->is_error($api->post('/invite/x', \%password, as => undef), 403, 'invitation_invalid', 'nor does another secret');
for my $case ([ 'short', 'short' ], [ 'passwordpassword', 'a common one' ], [ 'jo.doe@example.com', 'the address' ], [ 'x' x 201, 'a long one' ]) {
    $api->is_error($api->post($link, { password => $case->[0] }, as => undef), 422, 'invalid_fields', "$case->[1] is refused", 'password');
}
$api->is_error($api->post($link, { %password, email => 'x' }, as => undef), 422, 'invalid_fields', 'so is more than a password', 'email');
$api->say(watch => $password{password});
is($api->post($link, \%password, as => undef)->{status}, 204, 'after all these the link still works');
my $left = $api->say('left');
is($left->{unwiped}, 0, '... and nothing is left of the password');
$api->is_error($api->post($link, \%password, as => undef), 403, 'invitation_invalid', '... once');
$trader = $api->get("traders/$trader->{id}")->{json};
is_deeply([ @$trader{qw(state has_password)} ], [ 'active', JSON::PP::true() ], 'the trader is active, with a password');
like(($api->rows("SELECT password_hash FROM traders WHERE id = $trader->{id}"))[0], qr/^\$argon2id\$/, '... kept as Argon2id');
is($api->patch("traders/$trader->{id}", { state => 'disabled' })->{json}{state}, 'disabled', 'disabled');
$api->is_error($api->post("traders/$trader->{id}/invite", {}), 409, 'illegal_state', '... he gets no link');
$api->is_error($api->post("traders/$trader->{id}/accounts", {}), 409, 'illegal_state', '... nor an account');
is($api->patch("traders/$trader->{id}", { state => 'active' })->{json}{state}, 'active', '... until he is active again');

$link = invite($trader->{id});
$answer = $api->post($link, undef, as => undef, type => $form, raw => 'password=short');
is($answer->{status}, 422, 'by the form: a short password');
like($answer->{body}, qr/<p>password: /, '... is explained on a page');
is($api->post($link, undef, as => undef, type => $form, raw => 'password=another+quiet+harbour')->{status}, 201, '... a good one is taken');
$link = invite($trader->{id});
$api->say('advance', 7 * 86400 + 1);
$api->is_error($api->post($link, \%password, as => undef), 403, 'invitation_invalid', 'after a week the link is over');
$link = invite($trader->{id});
$api->patch("traders/$trader->{id}", { state => 'disabled' });
$api->is_error($api->post($link, \%password, as => undef), 403, 'invitation_invalid', 'a link of somebody who is disabled works not');
$api->patch("traders/$trader->{id}", { state => 'active' });
my @sockets = map { $api->connect } 1 .. 3;
print $_ $api->request('POST', $link, \%password, as => undef, headers => { Connection => 'close' }) for @sockets;
my @statuses = sort map { $api->read_answer($_, 'POST')->{status} } @sockets;
is(scalar(grep { $_ == 204 } @statuses), 1, "three at once: one of them sets it (@statuses)");

# ---- what is kept of it ----

my $kept = join "\n", $api->rows('SELECT COALESCE(before, \'\') || COALESCE(after, \'\') FROM audit_log'),
    $api->rows('SELECT body FROM idempotency_keys');
unlike($kept, qr/invite_/, 'no link stands in the audit log, nor under a key');
unlike($kept =~ s/"after"//r, qr/argon2/, '... nor a hash');
my $audit = join "\n", $api->rows("SELECT COALESCE(before, '') || COALESCE(after, '') FROM audit_log WHERE object_type = 'trader'");
unlike($audit, qr/Doe|Roe|jo\.doe|901820|fair/i, 'the audit log, which is never erased, names nobody');
like($audit, qr/"country":"DE"/, '... and says the rest');
is(($api->rows("SELECT actor FROM audit_log WHERE action = 'trader.set_password' LIMIT 1"))[0], "trader:$trader->{id}",
    'who set the password was the trader');

# ---- an affiliate of him ----

$answer = $api->post("traders/$trader->{id}/affiliate", { status => 'approved' });
is_deeply([ @{ $answer->{json} }{qw(name email trader_id status)} ], [ 'Jo Roe', 'jo.doe@example.com', $trader->{id}, 'approved' ],
    'an affiliate with the trader\'s name and address');
is_deeply($api->get("traders/$trader->{id}")->{json}{affiliates}, [ { id => $answer->{json}{id}, name => 'Jo Roe' } ], '... as the trader shows');
$api->is_error($api->post("traders/$trader->{id}/affiliate", {}), 409, 'duplicate', '... one');
$api->is_error($api->post('traders/999/affiliate', {}), 404, 'not_found', '... of a trader that there is');
$api->is_error($api->post("traders/$trader->{id}/affiliate", { surprise => 1 }), 422, 'invalid_fields', '... and with fields that there are', 'surprise');

# ---- whose ----

is($api->get('traders', as => 'agent')->{json}{total}, 0, 'an agent sees no trader of others');
$api->is_error($api->get("traders/$trader->{id}", as => 'agent'), 404, 'not_found', '... by no way');
$api->patch("traders/$trader->{id}", { agent_id => $api->{staff}{agent}{id} });
is($api->get('traders', as => 'agent')->{json}{total}, 1, '... and the own ones');
is($api->get("traders/$trader->{id}", as => 'agent')->{status}, 200, '... each');
$api->is_error($api->patch("traders/$trader->{id}", { notes => 'x' }, as => 'agent'), 403, 'role_denied', 'to look at');

$api->finish;
