#!/usr/bin/perl
#
# Two people edit one object: the second one is told, and nothing of hers is written over.  What could break: a version
# that does not change with the object, a check outside of the change's transaction.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my $api = Api->start;
my $user = $api->post('api_users', { name => 'Shop', role => 'advertiser' })->{json};
my $department = $api->post('departments', { name => 'Desk' })->{json};
my $source = $api->post('sources', { name => 'Media' })->{json};
my $referral = $api->say('sell', '10.00', 'EUR', 'V1', 1);

my %patch = (
    'affiliates/1'             => [ { notes => 'one' },          { notes => 'two' } ],
    'groups/1'                 => [ { name => 'One' },           { name => 'Two' } ],
    'campaigns/1'              => [ { window_days => 1 },        { window_days => 2 } ],
    'links/1'                  => [ { state => 'paused' },       { state => 'active' } ],
    "api_users/$user->{id}"    => [ { state => 'paused' },       { state => 'active' } ],
    "referrals/$referral->{id}" => [ { notes => 'one' },         { notes => 'two' } ],
    "staff/$api->{staff}{agent}{id}" => [ { name => 'One' },  { name => 'Two' } ],
    "departments/$department->{id}" => [ { name => 'One' },    { name => 'Two' } ],
    "sources/$source->{id}"  => [ { name => 'One' },            { name => 'Two' } ],
    'settings'                 => [ { cookie_days => 1 },        { cookie_days => 2 } ],
);
for my $path (sort keys %patch) {
    my ($one, $two) = @{ $patch{$path} };
    my $etag = $api->get($path)->{headers}{etag};
    like($etag, qr/^"[1-9]\d*"$/, "$path has an ETag");

    my $changed = $api->patch($path, $one, headers => { 'If-Match' => $etag });
    is($changed->{status}, 200, '... which a change may name');
    isnt($changed->{headers}{etag}, $etag, '... and which changes with it');
    is($api->get($path)->{headers}{etag}, $changed->{headers}{etag}, '... to what a reader sees');
    for my $stale ($etag, 'W/' . $changed->{headers}{etag}, '"0"', '"-1"', '"999999999999999999999"', '""', '"', 'x',
        "$changed->{headers}{etag}, $etag") {
        $api->is_error($api->patch($path, $two, headers => { 'If-Match' => $stale }), 412, 'stale', "$path: $stale is refused");
    }
    is_deeply($api->get($path)->{json}, $changed->{json}, '... and nothing was changed');
    is($api->patch($path, $two, headers => { 'If-Match' => '*' })->{status}, 200, '* is whatever there is');
    is($api->patch($path, $one)->{status}, 200, '... and so is no If-Match');

    # Six at once from one version: one of them.
    $etag = $api->get($path)->{headers}{etag};
    my @sockets = map { $api->connect } 1 .. 6;
    for my $socket (@sockets) {
        print $socket $api->request('PATCH', $path, $two, headers => { 'If-Match' => $etag, Connection => 'close' });
    }
    my @statuses = sort map { $api->read_answer($_, 'PATCH')->{status} } @sockets;
    is("@statuses", '200 412 412 412 412 412', "$path: six at once, one is first");
}

my $etag = $api->get('links/1')->{headers}{etag};
$api->is_error($api->del('links/1', headers => { 'If-Match' => '"1"' }), 412, 'stale', 'archiving looks at it too');
is($api->del('links/1', headers => { 'If-Match' => $etag })->{json}{state}, 'archived', '... and archives');

$etag = $api->get("api_users/$user->{id}")->{headers}{etag};
$api->post("api_users/$user->{id}/keys", {});
isnt($api->get("api_users/$user->{id}")->{headers}{etag}, $etag, "a new key is a new version of its user");

$etag = $api->get('affiliates/1')->{headers}{etag};
$api->post('affiliates/bulk', { ids => ['1'], action => 'suspend' });
isnt($api->get('affiliates/1')->{headers}{etag}, $etag, 'a decision is a new version');
$etag = $api->get('affiliates/1')->{headers}{etag};
$api->patch('affiliates/1', { commission => { type => 'percentage', percentage => '33' } });
isnt($api->get('affiliates/1')->{headers}{etag}, $etag, 'a new commission is one too');

$api->finish;
