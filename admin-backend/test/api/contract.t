#!/usr/bin/perl
#
# The description and the server say the same: docs/openapi.yaml is itself valid, every route of the table stands in it
# with its roles and vice versa, every parameter it promises is taken, and its examples work when they are sent.  (That
# answers look as described, lib/Api.pm holds in every suite.)  What could break: a route added and not described, a
# role widened in the table alone, a field renamed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Leads;
use Test::More;

my $api = Api->start;
my $document = Api::document();
my $paths = $document->get('/paths');

is(join("\n", @{ $document->errors }), '', 'docs/openapi.yaml is OpenAPI 3.0');

# ---- routes ----

my (%described, %there);
for my $path (keys %$paths) {
    for my $method (keys %{ $paths->{$path} }) {
        my $operation = $paths->{$path}{$method};
        my $public = $operation->{security} && !@{ $operation->{security} };
        $described{"\U$method\E $path"} = join ' ', sort $public ? 'public' : @{ $operation->{'x-roles'} // [] }
            unless $operation->{'x-edge'};
    }
}
$there{"$_->{method} $_->{path}"} = join ' ', sort @{ $_->{roles} } for @{ $api->{routes} };
is_deeply(\%described, \%there, 'the same routes for the same roles in the table and in the document');

my @operations = sort keys %described;
for my $operation (@operations) {
    my ($method, $path) = split / /, $operation;
    my %known = map { $_->{name} => 1 } @{ $document->parameters_for_request([ $method, $path ]) };
    is(join(' ', grep { !$known{$_} } $path =~ /\{(\w+)\}/g), '', "$operation describes what stands in its path");
}

# ---- parameters of lists ----

my %value = (
    page_size => 7, sort => '-created_at', status => 'pending,active', from => '2024-04-01T00:00:00Z',
    to => '2024-06-01T00:00:00%2B02:00', q => 'a', cursor => undef, code => 'x', event => 'sale', click_id => 'x',
    method => 'wallet', role => 'admin', actor => 'staff:1', object_type => 'staff', object_id => '1',
    email => q{a@b.example}, txid => q{x}, customer => q{x}, coupon => q{x}, reason => q{x}, kind => q{refund},
    key => 'x', type => 'text', expires_before => '2030-01-01', country => 'DE', account => '1',
    verdict => 'created,spam', uid => '0' x 32, test => 'false', group => 'day', path => '/x', key_prefix => 'x', lead_uid => 'x', ip => '192.0.2.1',
);
for my $operation (grep { /^GET/ && !/\{/ && !m{ /api/v1/} } @operations) {    # the partner API: partner.t
    my (undef, $path) = split / /, $operation;
    my @names = map { $_->{name} } grep { $_->{in} eq 'query' } @{ $document->parameters_for_request([ get => $path ]) };
    my $sort = $path =~ /audit$|_logs?$/ ? '-at' : $value{sort};
    my $query = join '&', map { my $v = $_ eq 'sort' ? $sort : /_id$/ ? 1 : $value{$_}; defined $v ? "$_=$v" : () } @names;
    my @as = $path =~ m{^/api/portal/} ? (as => 'affiliate') : ();
    is($api->get("$path?$query", @as)->{status}, 200, "GET $path takes what it promises: " . (join(', ', @names) || 'nothing'));
    $api->is_error($api->get("$path?surprise=1", @as), 422, 'invalid_fields', "GET $path takes nothing else", 'surprise');
}

# ---- examples, in an order in which they can work ----

sub example {
    my ($method, $path) = @_;
    return $paths->{$path}{$method}{requestBody}{content}{'application/json'}{example};
}
sub replay {
    my ($method, $template, $path, $wanted) = @_;
    my $body = example($method, "$Api::ADMIN/$template");
    ok(defined $body, "\U$method\E $template has an example");
    my $answer = $api->ask(uc $method, $path, $body);
    is($answer->{status}, $wanted, "\U$method\E $path: the example works") or diag($answer->{body});
    delete $described{"\U$method\E $Api::ADMIN/$template"};
    return $answer->{json};
}

$api->patch('groups/1', { name => 'Before' });    # leaves the examples their names
$api->patch('campaigns/1', { name => 'Before' });
$api->say('advance', 3 * 365 * 86400);            # their dates are past
for (qw(groups affiliates campaigns links coupons api_users traders staff departments sources custom_fields forms)) {
    my $object = replay('post', $_, $_, 201);
    my $path = "$_/$object->{id}";
    delete @$object{qw(key secret)} if $_ eq 'api_users';    # shown once
    is_deeply($api->get($path)->{json}, $object, "GET $path shows what was made");
    replay('patch', "$_/{id}", $path, 200);
}
replay('post', 'api_users/{id}/keys', 'api_users/1/keys', 201);
replay('post', 'api_users/{id}/secret', 'api_users/1/secret', 201);
replay('post', 'leads', 'leads', 201);
Leads::lead($api);
replay('patch', 'leads/{id}', 'leads/1', 200);
replay('post', 'leads/bulk', 'leads/bulk', 200);
replay('post', 'leads/{id}/notes', 'leads/1/notes', 201);
replay('post', 'leads/{id}/convert', 'leads/1/convert', 200);
is($api->get('leads/1/export')->{status}, 200, 'GET leads/1/export');
replay('post', 'leads/{id}/erase', 'leads/1/erase', 200);
replay('post', 'traders/{id}/invite', 'traders/1/invite', 201);
replay('post', 'traders/{id}/accounts', 'traders/1/accounts', 201);
replay('post', 'traders/{id}/affiliate', 'traders/1/affiliate', 201);
replay('patch', 'programs/{id}', 'programs/1', 200);
replay('patch', 'settings', 'settings', 200);
my $referral = $api->say('sell', '100.00', 'EUR', 'EXAMPLE', $api->{program}{link});
$api->say('sell', '101.00', 'EUR', 'EXAMPLE', $api->{program}{link});
replay('post', 'conflicts/{id}/resolve', 'conflicts/1/resolve', 200);
replay('post', 'affiliates/bulk', 'affiliates/bulk', 200);
replay('post', 'api_users/bulk', 'api_users/bulk', 200);
replay('post', 'forms/bulk', 'forms/bulk', 200);
replay('post', 'referrals/bulk', 'referrals/bulk', 200);
replay('patch', 'referrals/{id}', "referrals/$referral->{id}", 200);
my $second = $api->say('sell', '50.00', 'EUR', 'EXAMPLE2', $api->{program}{link});
replay('post', 'commissions/bulk', 'commissions/bulk', 200);
my $payout = replay('post', 'payouts', 'payouts', 201);
replay('post', 'payouts/{id}/cancel', "payouts/$payout->{id}/cancel", 200);
$payout = replay('post', 'payouts', 'payouts', 201);
replay('post', 'payouts/{id}/submit', "payouts/$payout->{id}/submit", 200);
replay('post', 'payouts/{id}/pay', "payouts/$payout->{id}/pay", 200);
$api->say('write', 'example:1', 'a@example.com', 'Example');
$api->say(run => q(UPDATE outbox SET state = 'sent'));
replay('post', 'outbox/{id}/resend', 'outbox/1/resend', 200);
my $login = example('post', "$Api::ADMIN/session");
$api->post('staff', { %$login, role => 'viewer' });
replay('post', 'session', 'session', 200);
is_deeply([ grep { !/^(GET|DELETE) |\/(setup|invite|confirm)\/| \/api\/(portal\/)?v1\// } sort keys %described ], [], 'no other operation has a body');

$api->finish;
