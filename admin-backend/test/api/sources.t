#!/usr/bin/perl
#
# Who gets leads: departments with members, sources, agents of affiliates, and staff that is moved, demoted and disabled.
# What could break: a source that leads to a department which is gone, or to both of two; a member who loses the place
# in the round robin by somebody else's change; a company without an admin; a disabled agent whose token goes on working.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my $api = Api->start;
my %id = map { $_ => $api->{staff}{$_}{id} } keys %{ $api->{staff} };

# ---- departments ----

my $sales = $api->post('departments', { name => 'Sales', members => [ { staff_id => $id{agent} } ] })->{json};
is_deeply($sales->{members}, [ { staff_id => $id{agent}, weight => 1, cap_day => 0 } ], 'a member has weight 1 and no cap');
is($sales->{state}, 'active', '... and the department is active');
is_deeply($api->get("departments/$sales->{id}")->{json}, $sales, 'it reads as it was made');
is_deeply($api->get('departments')->{json}{data}[0], $sales, '... in the list too');
$api->is_error($api->post('departments', { name => 'Sales' }), 409, 'duplicate', 'a name is taken once');

$api->say('run', "UPDATE department_members SET current = 7 WHERE staff_id = $id{agent}");
my $two = $api->patch("departments/$sales->{id}",
    { members => [ { staff_id => $id{manager}, weight => 3, cap_day => 10 }, { staff_id => $id{agent}, weight => 2 } ] })->{json};
is(join(' ', map { "$_->{staff_id}:$_->{weight}:$_->{cap_day}" } @{ $two->{members} }),
    join(' ', sort { (split /:/, $a)[0] <=> (split /:/, $b)[0] } "$id{manager}:3:10", "$id{agent}:2:0"), 'members are replaced as a whole');
is(join(' ', $api->rows("SELECT current FROM department_members WHERE staff_id = $id{agent}")), 7, '... and keep their place in turn');
is_deeply($api->patch("departments/$sales->{id}", { name => 'Inside sales' })->{json}{members}, $two->{members},
    'another change leaves them alone');
is_deeply($api->patch("departments/$sales->{id}", { members => [ { staff_id => $id{agent}, weight => 0 } ] })->{json}{members},
    [ { staff_id => $id{agent}, weight => 0, cap_day => 0 } ], 'who is not named is one no more');
like(join('', $api->rows('SELECT after FROM audit_log ORDER BY id DESC LIMIT 1')), qr/"weight":0/, 'the audit log says it');

my %bad = (
    'no list'      => {},                                           'somebody twice' => [ ({ staff_id => $id{agent} }) x 2 ],
    'a number'     => [ { staff_id => 1 } ],                        'no id'          => [ { weight => 1 } ],
    'too heavy'    => [ { staff_id => $id{agent}, weight => 1001 } ], 'below nothing' => [ { staff_id => $id{agent}, weight => -1 } ],
    'a fraction'   => [ { staff_id => $id{agent}, weight => 1.5 } ], 'more fields'   => [ { staff_id => $id{agent}, name => 'x' } ],
    'nobody'       => [ { staff_id => '999' } ],                    'a viewer'       => [ { staff_id => $id{viewer} } ],
    'too many'     => [ map { { staff_id => "$_" } } 1 .. 501 ],    'a null cap'     => [ { staff_id => $id{agent}, cap_day => undef } ],
);
for my $name (sort keys %bad) {
    $api->is_error($api->post('departments', { name => $name, members => $bad{$name} }), 422, 'invalid_fields', "members: $name", 'members');
}
is($api->get('departments')->{json}{total}, 1, 'nothing of it was made');

# ---- sources ----

my $source = $api->post('sources', { name => 'Media', department_id => $sales->{id} })->{json};
is("$source->{department_name} $source->{state}", 'Inside sales active', 'a source of a department');
$api->is_error($api->patch("sources/$source->{id}", { agent_id => $id{agent} }), 422, 'invalid_fields', 'one of both gets the leads', 'agent_id');
my $moved = $api->patch("sources/$source->{id}", { department_id => undef, agent_id => $id{agent} })->{json};
is_deeply([ @$moved{qw(department_id agent_id agent_name)} ], [ undef, $id{agent}, 'agent@staff.example' ], 'it moves to an agent');
$api->is_error($api->post('sources', { name => 'Media' }), 409, 'duplicate', 'a name is taken once');
$api->is_error($api->post('sources', { name => 'x', department_id => '999' }), 422, 'invalid_fields', 'no such department', 'department_id');
$api->is_error($api->post('sources', { name => 'x', agent_id => $id{finance} }), 422, 'invalid_fields', 'finance works on no leads', 'agent_id');
is($api->get("sources?agent_id=$id{agent}")->{json}{total}, 1, 'found by its agent');
is($api->get("sources?department_id=$sales->{id}")->{json}{total}, 0, '... and by its department no more');

$api->patch("sources/$source->{id}", { department_id => $sales->{id}, agent_id => undef });
$api->is_error($api->del("departments/$sales->{id}"), 409, 'in_use', 'a department with sources stays');
my $stale = $api->get("sources/$source->{id}")->{headers}{etag};
is($api->del("sources/$source->{id}")->{json}{state}, 'archived', 'a source is archived');
$api->is_error($api->patch("sources/$source->{id}", { name => 'y' }, headers => { 'If-Match' => $stale }), 412, 'stale', '... which is a new version');
is($api->del("departments/$sales->{id}")->{json}{state}, 'archived', 'then the department may be');
$api->is_error($api->post('sources', { name => 'z', department_id => $sales->{id} }), 422, 'invalid_fields', '... and gets no new ones', 'department_id');
is($api->get('sources?status=active')->{json}{total}, 0, 'lists filter by state');

my $once = $api->post('sources', { name => 'Once' }, key => 'source-1')->{json};
is($api->post('sources', { name => 'Once' }, key => 'source-1')->{json}{id}, $once->{id}, 'a retry makes no second one');

# ---- agents of affiliates, and staff ----

is($api->patch('affiliates/1', { agent_id => $id{agent} })->{json}{agent_id}, $id{agent}, "an affiliate's leads get an agent");
is($api->get("affiliates?agent_id=$id{agent}")->{json}{total}, 1, '... who finds his affiliates');
$api->is_error($api->patch('affiliates/1', { agent_id => $id{viewer} }), 422, 'invalid_fields', 'a viewer is none', 'agent_id');
is($api->patch('affiliates/1', { agent_id => undef })->{json}{agent_id}, undef, 'and none again');

my $desk = $api->post('departments', { name => 'Desk' })->{json};
my $etag = $api->get("staff/$id{agent}")->{headers}{etag};
my $agent = $api->patch("staff/$id{agent}", { department_id => $desk->{id}, name => 'Ann' }, headers => { 'If-Match' => $etag });
is("$agent->{json}{name} $agent->{json}{department_id}", "Ann $desk->{id}", 'a member of staff joins a department');
isnt($agent->{headers}{etag}, $etag, '... which is a new version');
is($api->get("staff?department_id=$desk->{id}", as => 'manager')->{json}{total}, 1, 'managers see who is there');
$api->is_error($api->patch("staff/$id{agent}", { department_id => $sales->{id} }), 422, 'invalid_fields', 'not one that is archived', 'department_id');
$api->is_error($api->patch("staff/$id{agent}", { email => 'x@example.com' }), 422, 'invalid_fields', 'an address stays', 'email');
$api->is_error($api->patch("staff/$id{agent}", { password => 'x' x 20 }), 422, 'invalid_fields', '... and so does a password', 'password');

$api->is_error($api->patch("staff/$id{admin}", { role => 'viewer' }), 409, 'last_admin', 'the last admin stays one');
$api->is_error($api->patch("staff/$id{admin}", { state => 'disabled' }), 409, 'last_admin', '... and stays');
is($api->get('sources', as => 'agent')->{status}, 200, 'an agent is let in');
$api->patch("staff/$id{agent}", { state => 'disabled' });
is($api->get('sources', as => 'agent')->{status}, 401, '... until he is disabled');
$api->patch("staff/$id{manager}", { role => 'admin' });
is($api->patch("staff/$id{admin}", { role => 'viewer' }, as => 'manager')->{json}{role}, 'viewer', 'with another admin he may go');

$api->finish;
