#!/usr/bin/perl
#
# The first administrator: a link that works once, for a day, and only as long as nobody is there.  What could break: a
# second administrator by a link found later in somebody's mail, two at once, a link burnt by a typing error.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my %admin = (email => 'First@example.com', password => 'a quiet blue harbour');
my $form = 'application/x-www-form-urlencoded';

sub fresh {
    my $api = Api->start('--first-start');
    return ($api, "/setup/$api->{setup}");
}
sub close_api {
    my ($api, $name) = @_;
    $api->stop;
    ok($api->{answers} > 0, "$name: $api->{answers} answers as described");
}

# ---- by JSON ----

my ($api, $link) = fresh();
is($api->get('affiliates', as => undef)->{status}, 401, 'nobody can log in yet');
like($api->get($link, as => undef)->{body}, qr/<form method=post>/, 'the link shows a form');
unlike($api->get($link, as => undef)->{body}, qr/\Q$api->{setup}\E/, '... that does not hold the secret');
$api->is_error($api->post('/setup/' . 'A' x 40, \%admin, as => undef), 403, 'invitation_invalid', 'another secret is none');
$api->is_error($api->post('/setup/x', \%admin, as => undef), 403, 'invitation_invalid', 'nor is a short one');

my @bad = (
    [ { %admin, password => 'short' },            'password', 'a short password' ],
    [ { %admin, password => 'passwordpassword' }, 'password', 'a common one' ],
    [ { %admin, password => 'aaaaaaaaaaaaaaaa' }, 'password', 'one letter' ],
    [ { %admin, password => 'first@example.com' }, 'password', 'the address' ],
    [ { %admin, email => 'nobody' },              'email',    'no address' ],
    [ { %admin, role => 'viewer' },               'role',     'a role' ],
    [ { %admin, surprise => 1 },                  'surprise', 'an unknown field' ],
    [ { email => 'first@example.com' },           'password', 'no password' ],
);
for my $case (@bad) {
    my ($body, $field, $name) = @$case;
    $api->is_error($api->post($link, $body, as => undef), 422, 'invalid_fields', "$name is refused", $field);
}
$api->is_error($api->post($link, [], as => undef), 422, 'invalid_fields', 'a list is refused');
$api->is_error($api->post($link, undef, as => undef), 422, 'invalid_fields', 'nothing is refused');
$api->is_error($api->post($link, undef, as => undef, raw => '{', ), 400, 'malformed_json', 'no JSON is refused');
$api->is_error($api->post($link, undef, as => undef, raw => 'x', type => 'text/plain'), 415, 'content_type', 'text is refused');

my $answer = $api->post($link, \%admin, as => undef);
is($answer->{status}, 201, 'after all these the link still works');
is($answer->{json}{role}, 'admin', '... for an administrator');
is($answer->{json}{email}, 'first@example.com', '... whose address is normalised');
$api->is_error($api->post($link, { %admin, email => 'second@example.com' }, as => undef), 403, 'invitation_invalid', '... once');
is($api->post('session', \%admin, as => undef)->{status}, 200, 'who logs in with it');
$api->say(run => 'DELETE FROM sessions');
$api->say(run => 'DELETE FROM staff');
$api->is_error($api->post($link, \%admin, as => undef), 403, 'invitation_invalid', '... once, also when nobody is there any more');
close_api($api, 'JSON');

# ---- by the form ----

($api, $link) = fresh();
$answer = $api->post($link, undef, as => undef, type => $form, raw => 'email=first%40example.com&password=short');
is($answer->{status}, 422, 'a short password by the form');
like($answer->{body}, qr/<p>password: /, '... is explained on a page');
$answer = $api->post($link, undef, as => undef, type => $form, raw => 'email=%3Cscript%3E&password=a+quiet+blue+harbour');
is($answer->{status}, 422, 'no address by the form');
unlike($answer->{body}, qr/<script>/, '... is not echoed');
is($api->post($link, undef, as => undef, type => $form, raw => 'email=%ff%fe&password=%00')->{status}, 422, 'bytes that are no text');
is($api->post($link, undef, as => undef, type => $form, raw => '&&==&%&%4')->{status}, 422, 'a form of nothing');
$api->say(watch => $admin{password});
$answer = $api->post($link, undef, as => undef, type => "$form; charset=utf-8",
    raw => 'email=first%40example.com&password=a+quiet+blue+harbour');
is($answer->{status}, 201, 'the form works');
my $left = $api->say('left');
cmp_ok($left->{blocks}, '>', 3, '... read as JSON is');
is($left->{unwiped}, 0, '... and nothing is left of the password');
is($api->post('session', \%admin, as => undef)->{status}, 200, '... and one can log in');
is($api->post($link, undef, as => undef, type => $form, raw => 'email=b%40example.com&password=a+quiet+blue+harbour')->{status},
    403, '... once');
close_api($api, 'form');

# ---- races and ends ----

($api, $link) = fresh();
my @sockets = map { $api->connect } 1 .. 4;
for my $n (0 .. 3) {
    my $socket = $sockets[$n];
    print $socket $api->request('POST', $link, { %admin, email => "racer$n\@example.com" }, as => undef,
        headers => { Connection => 'close' });
}
my @statuses = sort map { $api->read_answer($_, 'POST')->{status} } @sockets;
is(scalar(grep { $_ == 201 } @statuses), 1, "four at once: one of them is first (@statuses)");
is_deeply([ $api->rows('SELECT COUNT(*) FROM staff') ], [1], '... and the only one');
$api->stop;

($api, $link) = fresh();
$api->say('advance', 86401);
$api->is_error($api->post($link, \%admin, as => undef), 403, 'invitation_invalid', 'after a day the link is over');
close_api($api, 'ends');

($api, $link) = fresh();
$api->say(run => q(INSERT INTO staff (email, role, password_hash, created_us) VALUES ('by@cli.example', 'viewer', 'x', 1)));
$api->is_error($api->post($link, \%admin, as => undef), 403, 'invitation_invalid', 'once somebody is there it is over');
close_api($api, 'somebody');

done_testing();
