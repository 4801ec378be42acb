#!/usr/bin/perl
#
# API users as partners of leads: who they belong to, what they may, when their key ends.  What could break: a reference
# to what does not exist or belongs to somebody else, an affiliate that redeems autologins, a key that has expired and
# looks alive, a secret in a list, settings that are taken and not kept.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use POSIX 'strftime';
use Test::More;

my $api = Api->start;
my $source = $api->post('sources', { name => 'Media', agent_id => $api->{staff}{agent}{id} })->{json};
my $gone = $api->post('sources', { name => 'Gone' })->{json};
$api->del("sources/$gone->{id}");
$api->say('run', "INSERT INTO traders (program_id, email, email_key, created_us, updated_us) VALUES (1, 't\@x.example', 't\@x.example', 1, 1)");
$api->say('run', "INSERT INTO traders (program_id, email, email_key, state, created_us, updated_us) VALUES (1, '', '', 'erased', 1, 1)");

# ---- who they belong to ----

my $made = $api->post('api_users', { name => 'Media', role => 'affiliate', source_id => $source->{id}, trader_id => '1', account => 'cpa',
        autologin => JSON::PP::true, test => JSON::PP::true, scopes => [ 'leads:write', 'leads:read' ] });
is($made->{status}, 201, 'an API user of a source, for leads');
my $user = $made->{json};
ok(delete $user->{key} && delete $user->{secret}, 'key and secret are shown once');
is(join(' ', @$user{qw(source_id source_name trader_id account)}), "$source->{id} Media 1 cpa", 'it has what was asked for');
is($user->{effective_state}, 'unassigned', 'it belongs to no affiliate yet');
is_deeply($api->get("api_users/$user->{id}")->{json}, $user, 'it reads as it was made');
is($api->get("api_users?$_")->{json}{total}, 1, "found by $_") for "source_id=$source->{id}", 'trader_id=1', 'role=affiliate';

my %bad = (
    source_id => [ '999', $gone->{id}, 'x', 5 ], trader_id => [ '999', '2', '' ], affiliate_id => ['999'], account => [ 'cpx', '', undef ],
    autologin => [ 1, 'true', undef ], test => [ 0, 'yes' ], scopes => [ ['autologin'], ['leads'], ['*'] ],
);
for my $field (sort keys %bad) {
    $api->is_error($api->post('api_users', { name => 'Bad', role => 'affiliate', $field => $_ }), 422, 'invalid_fields',
        "$field: " . Api::text($_), $field) for @{ $bad{$field} };
}
is($api->get('api_users')->{json}{total}, 1, 'none of them was made');
is($api->post('api_users', { name => 'Plain', role => 'affiliate' })->{json}{account}, 'cpl', 'no accounts unless they are asked for');
is_deeply($api->get('api_users?q=plain')->{json}{data}[0]{scopes}, [], 'nothing chosen is nothing allowed');

# ---- affiliates take them ----

my $affiliate = $api->post('affiliates', { name => 'Media', email => 'media@example.com', api_user_id => $user->{id} })->{json};
my $taken = $api->get("api_users/$user->{id}");
is($taken->{json}{affiliate_id}, $affiliate->{id}, 'an affiliate takes its API user');
is($taken->{json}{effective_state}, 'active', '... which works from then on');
cmp_ok($taken->{json}{version}, '>', $user->{version}, '... and edges hear of it');
$api->is_error($api->patch('affiliates/1', { api_user_id => $user->{id} }), 422, 'invalid_fields', "somebody else's is not to be had", 'api_user_id');
is($api->patch("affiliates/$affiliate->{id}", { api_user_id => $user->{id} })->{status}, 200, 'its own may be said again');

# ---- the key's end ----

sub until_ends { return $api->get("api_users/$user->{id}")->{json} }
my ($now_us) = $api->rows("SELECT updated_us FROM affiliates WHERE id = $affiliate->{id}");    # the fixture's clock stands
my $ends = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime($now_us / 1e6 + 40 * 86400));
$api->patch("api_users/$user->{id}", { expires_at => $ends });
is(join(' ', @{ until_ends() }{qw(expires_in_days effective_state)}), '40 active', 'in forty days: alive');
$api->say('advance', 11 * 86400);
is(join(' ', @{ until_ends() }{qw(expires_in_days effective_state)}), '29 expires_soon', 'in less than thirty it is said');
my ($expires_us) = $api->rows("SELECT expires_us FROM api_users WHERE id = $user->{id}");
$api->say('run', "INSERT INTO key_warnings (api_user_id, expires_us, days, at_us) VALUES ($user->{id}, $expires_us, 30, 1000000), ($user->{id}, 5, 1, 1)");
is_deeply(until_ends()->{warnings}, [ { days => 30, at => '1970-01-01T00:00:01.000000Z' } ], '... and which warnings were given, of this end');
$api->say('advance', 30 * 86400);
is(join(' ', @{ until_ends() }{qw(expires_in_days effective_state state)}), '0 key_expired active', 'it has come');
is($api->get("api_users?expires_before=$ends")->{json}{total}, 0, 'a bound is not included');
is($api->get('api_users?expires_before=2100-01-01')->{json}{total}, 1, 'found by its end');
is($api->patch("api_users/$user->{id}", { expires_at => undef })->{json}{effective_state}, 'active', 'extended, it works again');

# ---- keys, and many at once ----

my $second = $api->post("api_users/$user->{id}/keys", {})->{json};
is(scalar @{ $second->{keys} }, 2, 'two keys overlap');
$api->is_error($api->post("api_users/$user->{id}/keys", {}), 409, 'too_many_keys', '... not three');
$api->del("api_users/$user->{id}/keys/$_->{id}") for @{ $second->{keys} };
is(until_ends()->{effective_state}, 'no_key', 'without a key nobody comes in');
my $verdicts = $api->post('api_users/bulk', { ids => [ $user->{id}, '999' ], action => 'pause', reason => 'audit' })->{json}{data};
is(join(' ', map { $_->{ok} ? 'yes' : $_->{error}{code} } @$verdicts), 'yes not_found', 'many are paused at once, each with its verdict');
is(until_ends()->{effective_state}, 'paused', '... and are');
is($api->post('api_users/bulk', { ids => [ $user->{id} ], action => 'archive' })->{json}{data}[0]{error}{code}, 'invalid_fields', 'no other action');

# ---- the platform ----

my $platform = $api->post('api_users', { name => 'Platform', role => 'advertiser', scopes => ['autologin'] })->{json};
my $program = $api->patch('programs/1', { platform_url => 'https://platform.example/login?from=leads', platform_user_id => $platform->{id} });
is("$program->{json}{platform_url} $program->{json}{platform_user_id}", "https://platform.example/login?from=leads $platform->{id}", 'a program has a platform');
is($api->get('settings')->{json}{platform_user_id}, $platform->{id}, '... which the settings show');
for my $url ('ftp://platform.example/', 'platform.example', 'javascript:alert(1)', 'https://', 'https://user:pw@platform.example/',
    'https://platform.example/{click_id}', 'https://platform.example/#login', "https://platform.example/\n", 'https://plat form.example/',
    "$api->{base_url}/c/x", 'https://platform.example/' . 'x' x 2000) {
    $api->is_error($api->patch('programs/1', { platform_url => $url }), 422, 'invalid_fields', 'platform_url: ' . substr($url, 0, 50), 'platform_url');
}
$api->is_error($api->patch('programs/1', { platform_user_id => $_ }), 422, 'invalid_fields', "platform_user_id $_", 'platform_user_id') for '999', $user->{id};

# ---- settings ----

my %own = (leads_duplicates => 'refuse', leads_duplicate_scope => 'program', leads_redirect_hosts => [], api_log_days => 90, portal_leads => 'masked');
is_deeply({ map { $_ => $api->get('settings')->{json}{$_} } keys %own }, \%own, 'duplicates are refused unless somebody says otherwise');
my %other = (leads_duplicates => 'allow', leads_duplicate_scope => 'source', leads_redirect_hosts => [ 'shop.example', '.pages.example' ], api_log_days => 30, portal_leads => 'full');
my $changed = $api->patch('settings', { %other, leads_redirect_hosts => [ 'Shop.Example.', '.pages.example' ] })->{json};
is_deeply({ map { $_ => $changed->{$_} } keys %other }, \%other, 'they change, hosts in lower case');
is_deeply($api->get('settings')->{json}, $changed, '... and stay');
my ($audit) = $api->rows(q{SELECT before || ' ' || after FROM audit_log WHERE object_type = 'settings' ORDER BY id DESC LIMIT 1});
like($audit, qr/"leads_duplicates":"refuse".* .*"leads_duplicates":"allow"/, '... and the audit log says from what to what');
my %wrong = (leads_duplicates => 'maybe', leads_duplicate_scope => 'world', leads_redirect_hosts => [ 'https://x.example/' ], api_log_days => 0, portal_leads => 'all');
$api->is_error($api->patch('settings', { $_ => $wrong{$_} }), 422, 'invalid_fields', "$_: " . Api::text($wrong{$_}), $_) for sort keys %wrong;
is_deeply($api->get('settings')->{json}, $changed, 'nothing of these was kept');

$api->finish;
