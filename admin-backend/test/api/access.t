#!/usr/bin/perl
#
# Who may do what: nobody without a session or token, nobody by a session alone from a foreign page, and each role what
# the table says and no more.  What could break: a route added without a check, a check that believes what the caller
# says of himself, a session that outlives its end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my $api = Api->start;
my @routes = grep { "@{ $_->{roles} }" !~ /^(public|api_user)$/ } @{ $api->{routes} };

sub address { my ($route) = @_; return $route->{path} =~ s/\{\w+\}/999999/gr }
sub body { my ($route) = @_; return $route->{method} =~ /POST|PATCH/ ? {} : undef }

# ---- nobody ----

for my $route (@routes) {
    $api->is_error($api->ask($route->{method}, address($route), body($route), as => undef), 401, 'unauthenticated',
        "$route->{method} $route->{path}: nobody may");
}

my $cookie = $api->log_in('admin');
my ($secret) = $cookie->{Cookie} =~ /=(.*)/;
my $token = $api->{staff}{admin}{token};
my %claims = (
    'no such token'        => { Authorization => 'Bearer aff_staff_' . 'A' x 43 },
    'an empty token'       => { Authorization => 'Bearer ' },
    'an endless token'     => { Authorization => 'Bearer ' . 'A' x 5000 },
    'a token cut short'    => { Authorization => 'Bearer ' . substr($token, 0, -1) },
    'a token and more'     => { Authorization => "Bearer ${token}A" },
    'a session as token'   => { Authorization => "Bearer $secret" },
    'another scheme'       => { Authorization => "Basic $token" },
    'a token as session'   => { Cookie => "affiliate_session=$token" },
    'no such session'      => { Cookie => 'affiliate_session=' . 'A' x 43 },
    'an empty session'     => { Cookie => 'affiliate_session=' },
    'another cookie'       => { Cookie => "session=$secret" },
    'the name for https'   => { Cookie => "__Host-affiliate_session=$secret" },
    'a bad token beats a good session' => { %$cookie, Authorization => 'Bearer x' },
);
for my $name (sort keys %claims) {
    $api->is_error($api->get('affiliates', as => undef, headers => $claims{$name}), 401, 'unauthenticated', $name);
}

# ---- a session ----

my $answer = $api->post('session', { email => 'ADMIN@staff.example', password => $api->{staff}{admin}{password} }, as => undef);
is($answer->{status}, 200, 'an e-mail address in capitals is the same');
like($answer->{headers}{'set-cookie'}, qr/^affiliate_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=604800$/,
    'the cookie is out of reach of scripts and other sites');
$answer = $api->get('session', as => undef, headers => { Cookie => $cookie->{Cookie} });
is($answer->{json}{user}{email}, 'admin@staff.example', 'GET session tells who I am');
is($answer->{json}{csrf_token}, $cookie->{'X-CSRF-Token'}, '... and the token that changes need');
is($api->get('session')->{json}{csrf_token}, undef, 'a bearer needs none');

my %new = (name => 'By cookie', email => 'cookie@example.com');
my $other = $api->log_in('admin');
my %forged = (
    'no CSRF token'            => { Cookie => $cookie->{Cookie} },
    'a wrong CSRF token'       => { %$cookie, 'X-CSRF-Token' => 'A' x 43 },
    'an empty CSRF token'      => { %$cookie, 'X-CSRF-Token' => '' },
    "another session's token"  => { %$cookie, 'X-CSRF-Token' => $other->{'X-CSRF-Token'} },
    'a foreign origin'         => { %$cookie, Origin => 'https://evil.example' },
    'an origin that looks like ours' => { %$cookie, Origin => "$api->{base_url}.evil.example" },
    'a hidden origin'          => { %$cookie, Origin => 'null' },
);
for my $name (sort keys %forged) {
    $api->is_error($api->post('affiliates', \%new, as => undef, headers => $forged{$name}), 403, 'csrf', "a session with $name");
}
is($api->get('affiliates', as => undef, headers => { Cookie => $cookie->{Cookie} })->{status}, 200, 'reading needs none');
for my $method (qw(PATCH DELETE)) {
    $api->is_error($api->ask($method, 'links/1', body({ method => $method }), as => undef,
            headers => { Cookie => $cookie->{Cookie} }), 403, 'csrf', "$method needs one too");
}
is($api->post('affiliates', \%new, as => undef, headers => { %$cookie, Origin => $api->{base_url} })->{status}, 201,
    'a session with its token from our own origin may');

is($api->del('session', as => undef, headers => $cookie)->{status}, 204, 'logging out');
$api->is_error($api->get('session', as => undef, headers => $cookie), 401, 'unauthenticated', '... ends the session');
is($api->get('session', as => undef, headers => $other)->{status}, 200, '... and no other');
is($api->del('session')->{headers}{'set-cookie'}, undef, 'a bearer has no session to end');

# ---- ends ----

$api->say('advance', 11 * 3600);
is($api->get('session', as => undef, headers => $other)->{status}, 200, 'a session sleeps for 11 hours');
$api->say('advance', 11 * 3600);
is($api->get('session', as => undef, headers => $other)->{status}, 200, '... and another 11, since it was used');
$api->say('advance', 12 * 3600 + 1);
$api->is_error($api->get('session', as => undef, headers => $other), 401, 'unauthenticated', '... not for more than 12');

my $long = $api->log_in('viewer');
for (1 .. 15) {
    $api->say('advance', 11 * 3600);
    $api->get('session', as => undef, headers => $long)->{status} == 200 or fail('a busy session ended early');
}
$api->say('advance', 3 * 3600);
$api->is_error($api->get('session', as => undef, headers => $long), 401, 'unauthenticated', 'however busy: seven days');

$api->say(run => "UPDATE staff_tokens SET expires_us = created_us + 1 WHERE staff_id = $api->{staff}{agent}{id}");
$api->is_error($api->get('session', as => 'agent'), 401, 'unauthenticated', 'a token that is over');
$api->say(run => "UPDATE staff_tokens SET expires_us = NULL, revoked_us = 1 WHERE staff_id = $api->{staff}{agent}{id}");
$api->is_error($api->get('session', as => 'agent'), 401, 'unauthenticated', 'a token that was revoked');
$api->say(run => "UPDATE staff_tokens SET revoked_us = NULL WHERE staff_id = $api->{staff}{agent}{id}");

my $viewer = $api->log_in('viewer');
$api->say(run => "UPDATE staff SET state = 'disabled' WHERE id = $api->{staff}{viewer}{id}");
$api->is_error($api->get('session', as => undef, headers => $viewer), 401, 'unauthenticated', 'a session of somebody who left');
$api->is_error($api->get('session', as => 'viewer'), 401, 'unauthenticated', 'a token of somebody who left');
$api->is_error($api->post('session', { email => 'viewer@staff.example', password => $api->{staff}{viewer}{password} }, as => undef),
    401, 'login_failed', 'a log-in of somebody who left');
$api->say(run => "UPDATE staff SET state = 'active' WHERE id = $api->{staff}{viewer}{id}");

# ---- roles: the whole table ----

for my $route (@routes) {
    my %may = map { $_ => 1 } @{ $route->{roles} };
    for my $role (qw(admin finance manager agent viewer affiliate)) {
        next if $route->{method} eq 'DELETE' && $route->{path} =~ /session$/;
        my $answer = $api->ask($route->{method}, address($route), body($route), as => $role);
        # Staff and affiliates know nothing of each other's doors: a key to one is none to the other.
        my $stranger = ($role eq 'affiliate') != ($may{affiliate} // 0);
        my $denied = $stranger ? $answer->{status} == 401 : $answer->{status} == 403 && $api->code($answer) eq 'role_denied';
        my $name = "$role " . ($may{$role} ? 'may' : 'may not') . " $route->{method} $route->{path}";
        ok($may{$role} ? !$denied && $answer->{status} != 401 : $denied, $name) or diag("$answer->{status} $answer->{body}");
    }
}

# A change of role is felt at once, by tokens and sessions that are there already.
my $manager = $api->log_in('manager');
$api->say(run => "UPDATE staff SET role = 'viewer' WHERE id = $api->{staff}{manager}{id}");
my %late = (name => 'Late', email => 'late@example.com');
$api->is_error($api->post('affiliates', \%late, as => 'manager'), 403, 'role_denied', 'a token follows its owner\'s role');
$api->is_error($api->post('affiliates', \%late, as => undef, headers => $manager), 403, 'role_denied', '... and so does a session');

$api->finish;
