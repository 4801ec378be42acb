#!/usr/bin/perl
#
# What must stay secret stands nowhere: not in the audit log, not among the answers kept for idempotency keys, not in any
# other column, not in the log, and not in an answer but the one that makes it.  What could break: an object that is
# written to the log whole, a new column that keeps what was only to be hashed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use File::Temp 'tempfile';
use Test::More;

my $api = Api->start;
my %secret;

# ---- one of everything that holds a secret ----

for my $role (sort keys %{ $api->{staff} }) {
    $secret{"the ${role}'s password"} = $api->{staff}{$role}{password};
    $secret{"the ${role}'s token"} = $api->{staff}{$role}{token};
}
my %new = (email => 'new@staff.example', role => 'viewer', password => 'wholly unguessable 1');
$secret{'a new password'} = $new{password};
is($api->post('staff', \%new, key => 'staff')->{status}, 201, 'a member of staff');
is($api->post('staff', \%new, key => 'staff')->{status}, 201, '... once more under the key');
$api->post('staff', { %new, email => 'no address', password => $secret{'a refused password'} = 'wholly unguessable 2' }, key => 'refused');
$api->post('session', { email => 'admin@staff.example', password => $secret{'a wrong password'} = 'wholly unguessable 3' }, as => undef);
$api->post('session', { email => $secret{'a password in the wrong field'} = 'wholly unguessable 4', password => 'x' }, as => undef);
$api->get('session', as => undef, headers => { Authorization => 'Bearer ' . ($secret{'a token of nobody'} = 'aff_staff_' . 'Zz9' x 14) });

# What was read is not left behind in memory that is given back.
$api->say(watch => $api->{staff}{admin}{password});
my $session = $api->log_in('admin');
my $left = $api->say('left');
cmp_ok($left->{blocks}, '>', 5, 'a log-in is read as JSON');
is($left->{unwiped}, 0, '... of which nothing is left');
($secret{'a session'}) = $session->{Cookie} =~ /=(.*)/;
$api->post('groups', { name => 'By session' }, as => undef, headers => $session);

my $user = $api->post('api_users', { name => 'Shop', role => 'advertiser', scopes => ['conversions:write'] }, key => 'shop')->{json};
$secret{'an API key'} = $user->{key};
$secret{'a signing secret'} = $user->{secret};
$secret{'a renewed signing secret'} = $api->post("api_users/$user->{id}/secret", {}, key => 'renew')->{json}{secret};
$api->post("api_users/$user->{id}/secret", {}, key => 'renew');
$secret{'a second API key'} = $api->post("api_users/$user->{id}/keys", {}, key => 'second')->{json}{key};
is(scalar(grep { !defined } values %secret), 0, scalar(keys %secret) . ' secrets');

# ---- nobody tells them ----

my %told;
for my $path ('api_users', "api_users/$user->{id}", 'staff', 'audit?page_size=500', 'session', 'settings', '/api/openapi.yaml') {
    my $body = $api->get($path)->{body};
    index($body, $secret{$_}) >= 0 and $told{"$_ by $path"}++ for keys %secret;
    $body =~ /argon2/ and $told{"a hash by $path"}++;
}
is_deeply([ sort keys %told ], [], 'no answer tells a secret that was made before');

# ---- they stand nowhere ----

my @columns = map { my ($table) = $_; map { [ $table, $_ ] } $api->rows("SELECT name FROM pragma_table_info('$table')") }
    $api->rows("SELECT name FROM sqlite_master WHERE type = 'table'");
my %found;
for my $column (@columns) {
    my ($table, $name) = @$column;
    for my $row ($api->rows(qq(SELECT CASE typeof("$name") WHEN 'blob' THEN hex("$name") ELSE "$name" END FROM "$table"))) {
        for my $what (keys %secret) {
            my $hex = uc unpack 'H*', $secret{$what};
            $found{"$what in $table.$name"}++ if index($row, $secret{$what}) >= 0 || index($row, $hex) >= 0;
        }
    }
}
is_deeply([ sort keys %found ], [], 'none of ' . @columns . ' columns holds one');

# Hashes of passwords take their time, and what a request with a password leaves is keyed: the one must not undo the other.
my ($kept) = $api->rows("SELECT lower(hex(request_hash)) FROM idempotency_keys WHERE key = 'staff'");
like($kept, qr/^[0-9a-f]{64}$/, 'the request with a password left a hash');
my ($file, $name) = tempfile(UNLINK => 1);
print $file "POST\0$Api::ADMIN/staff\0", Api::text(\%new);
close $file;
my ($unkeyed) = qx(b2sum -l 256 '$name') =~ /^([0-9a-f]{64})/;
isnt($kept, $unkeyed, '... that nobody can make without the key');

$api->stop;
my $log = $api->log_text;
is_deeply([ grep { index($log, $secret{$_}) >= 0 } sort keys %secret ], [], 'the log holds none');
$api->finish;
