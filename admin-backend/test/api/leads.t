#!/usr/bin/perl
#
# Leads as staff work on them.  What could break: an agent who reads or changes somebody else's lead by any way (a page, an
# id, a bulk, a filter, the log), a status that undoes a conversion, a person who was erased and is still somewhere, a
# personal detail in the audit log.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Leads;
use Test::More;

my $api = Api->start;
my %staff = map { $_ => $api->{staff}{$_}{id} } keys %{ $api->{staff} };
my ($mine, $other) = map { $api->post('departments', { name => $_ })->{json}{id} } 'Mine', 'Other';
$api->patch("staff/$staff{agent}", { department_id => $mine });
my $affiliate = $api->{program}{affiliate};

my %lead = (
    own        => Leads::lead($api, agent_id => $staff{agent}, affiliate_id => $affiliate),
    department => Leads::lead($api, department_id => $mine, agent_id => $staff{manager}),
    foreign    => Leads::lead($api, department_id => $other, affiliate_id => $affiliate),
    nobodys    => Leads::lead($api),
);

# ---- reading ----

my $one = $api->get("leads/$lead{own}")->{json};
is_deeply([ @$one{qw(status email affiliate_name existing)} ], [ 'new', 'lead1@people.example', 'ada', JSON::PP::false() ], 'a lead');
is_deeply([ map { $_->{verdict} } @{ $one->{log} } ], ['created'], '... with its log');
is_deeply($one->{origin}[0]{ip}, '192.0.2.7', '... and where it came from');
is($api->get('leads')->{json}{total}, 4, 'all of them, for who sees all');
for my $case (
    [ 'status=new,contacted', 4 ], [ 'status=converted', 0 ], [ "affiliate_id=$affiliate", 2 ], [ "agent_id=$staff{agent}", 1 ],
    [ "department_id=$other", 1 ], [ 'kind=form', 0 ], [ 'test=false', 4 ], [ 'test=true', 0 ], [ 'q=doe%204', 1 ], [ 'q=LEAD3@', 1 ],
    [ 'q=30%20901824', 1 ], [ 'from=2024-05-01T12:00:03Z', 2 ], [ 'to=2024-05-01T12:00:03Z', 2 ], [ "uid=$one->{uid}", 1 ], [ 'q=%25', 0 ],
) {
    is($api->get("leads?$case->[0]")->{json}{total}, $case->[1], "leads?$case->[0]");
}

# ---- whose ----

my @seen = sort @lead{qw(own department)};
my $agent = sub { my ($method, $path, $body) = @_; return $api->ask($method, $path, $body, as => 'agent') };
is_deeply([ sort map { $_->{id} } @{ $agent->('GET', 'leads')->{json}{data} } ], \@seen, 'an agent sees their own leads and their department\'s');
is($agent->('GET', "leads?department_id=$other")->{json}{total}, 0, '... and no filter brings others');
is($agent->('GET', 'leads?q=doe')->{json}{total}, 2, '... nor a search');
for my $name (qw(own department foreign nobodys)) {
    my $sees = $name =~ /own|department/;
    my $wanted = $sees ? 200 : 404;
    is($agent->('GET', "leads/$lead{$name}")->{status}, $wanted, "$name: " . ($sees ? 'read' : 'there is no such lead'));
    is($agent->('PATCH', "leads/$lead{$name}", { tags => ['x'] })->{status}, $wanted, '... changed');
    is($agent->('POST', "leads/$lead{$name}/notes", { text => 'hello' })->{status}, $sees ? 201 : 404, '... noted');
    is($agent->('POST', "leads/$lead{$name}/convert", {})->{status}, $wanted, '... converted') if !$sees;
}
my $verdicts = $agent->('POST', 'leads/bulk', { ids => [ @lead{qw(own foreign department nobodys)} ], action => 'status', status => 'contacted' })->{json}{data};
is_deeply([ map { $_->{ok} ? 'ok' : $_->{error}{code} } @$verdicts ], [qw(ok not_found ok not_found)], 'many at once: their own alone');
$api->is_error($agent->('PATCH', "leads/$lead{own}", { agent_id => $staff{manager} }), 403, 'role_denied', 'agents assign nothing');
$verdicts = $agent->('POST', 'leads/bulk', { ids => [ $lead{own} ], action => 'assign', agent_id => $staff{manager} })->{json}{data};
is($verdicts->[0]{error}{code}, 'role_denied', '... nor many at once');
is_deeply([ $api->rows('SELECT status FROM leads ORDER BY id') ], [qw(contacted contacted new new)], 'nothing else was touched');
is($api->get('leads', as => 'viewer')->{json}{total}, 4, 'viewers look at all');

# A member who shares a department's leads belongs to it too.
$api->say(run => "INSERT INTO department_members (department_id, staff_id) VALUES ($other, $staff{agent})");
is($agent->('GET', "leads/$lead{foreign}")->{status}, 200, 'who shares a department\'s leads sees them');
$api->say(run => "DELETE FROM department_members");
is($agent->('GET', "leads/$lead{foreign}")->{status}, 404, '... as long as they share');

# ---- working on them ----

my $path = "leads/$lead{nobodys}";
my $answer = $api->patch($path, { agent_id => $staff{agent}, department_id => $other, first_name => 'Joan', tags => [ 'hot', 'call' ] });
is_deeply([ @{ $answer->{json} }{qw(agent_id department_id first_name)} ], [ $staff{agent}, $other, 'Joan' ], 'assigned and corrected');
is_deeply($answer->{json}{tags}, [ 'hot', 'call' ], '... and tagged');
for my $case ([ { agent_id => '999' }, 'agent_id' ], [ { agent_id => $staff{viewer} }, 'agent_id' ], [ { department_id => '999' }, 'department_id' ],
    [ { status => 'converted' }, 'status' ], [ { status => 'unconfirmed' }, 'status' ], [ { tags => [''] }, 'tags' ], [ { tags => 'hot' }, 'tags' ],
    [ { email => 'x@example.com' }, 'email' ], [ { trader_id => '1' }, 'trader_id' ]) {
    $api->is_error($api->patch($path, $case->[0]), 422, 'invalid_fields', Api::text($case->[0]) . ' is refused', $case->[1]);
}
$api->is_error($api->patch($path, { tags => [] }, headers => { 'If-Match' => '"1"' }), 412, 'stale', 'an older version is refused');
is($api->patch($path, { status => $_ })->{json}{status}, $_, "it becomes $_") for qw(no_answer not_interested rejected qualified);
my $waiting = Leads::lead($api, status => 'unconfirmed');
$api->is_error($api->patch("leads/$waiting", { status => 'new' }), 409, 'illegal_state', 'an unconfirmed one is not confirmed by us');
$api->is_error($api->post("leads/$waiting/convert", {}), 409, 'illegal_state', '... nor converted');
is($api->patch("leads/$waiting", { status => 'rejected' })->{status}, 200, '... but may be rejected');
$answer = $api->post("$path/notes", { text => 'Call on Monday' });
is_deeply([ map { "$_->{actor}: $_->{text}" } @{ $answer->{json}{notes} } ], ["staff:$staff{admin}: Call on Monday"], 'a note says whose it is');
$api->is_error($api->post("$path/notes", { text => '' }), 422, 'invalid_fields', 'an empty one is none', 'text');
$verdicts = $api->post('leads/bulk', { ids => [ $lead{own}, '999' ], action => 'assign', agent_id => $staff{manager}, department_id => undef })->{json}{data};
is_deeply([ map { $_->{ok} ? 'ok' : $_->{error}{code} } @$verdicts ], [qw(ok not_found)], 'many are assigned at once');
is($agent->('GET', "leads/$lead{own}")->{status}, 404, '... and gone for who had them');
for my $case ([ {}, 'action' ], [ { action => 'erase' }, 'action' ], [ { action => 'assign' }, 'agent_id' ], [ { action => 'status' }, 'status' ],
    [ { action => 'assign', status => 'new' }, 'status' ], [ { action => 'assign', agent_id => '1', ids => [] }, 'ids' ]) {
    $api->is_error($api->post('leads/bulk', { ids => ['1'], %{ $case->[0] } }), 422, 'invalid_fields', 'bulk ' . Api::text($case->[0]) . ' is refused', $case->[1]);
}
is(($api->rows('SELECT version FROM config_version'))[0], ($api->rows('SELECT MAX(version) FROM (SELECT version FROM links UNION SELECT version FROM departments UNION SELECT version FROM staff)'))[0],
    'no edge hears of any of it') or diag(join ' ', $api->rows('SELECT version FROM config_version'));

# ---- typed in ----

my %typed = (first_name => 'Typed', phone => '030 555123', email => 'Typed@People.Example', country => 'DE', affiliate_id => $affiliate, fields => { plan => 'gold', ids => [ '1', '2' ] });
$answer = $api->post('leads', \%typed);
is($answer->{status}, 201, 'one is typed in');
my $typed = $answer->{json};
is_deeply([ @$typed{qw(kind status email)}, $typed->{fields}{ids}[1], $typed->{log}[0]{kind} ], [ 'manual', 'new', 'typed@people.example', '2', 'manual' ],
    '... as those that arrive');
is_deeply($api->get("leads/$typed->{id}")->{json}, $typed, '... and shown');
$api->is_error($api->post('leads', { email => 'TYPED@people.example' }), 409, 'duplicate', 'the same person is a duplicate');
$api->is_error($api->post('leads', { phone => '+49 (30) 555-123' }), 409, 'duplicate', '... by the number too');
my @bad = ([ {}, 'email' ], [ { email => 'x' }, 'email' ], [ { phone => '12' }, 'phone' ], [ { phone => '030 901829' }, 'phone' ], [ { source_id => '999' }, 'source_id' ],
    [ { affiliate_id => '999' }, 'affiliate_id' ], [ { agent_id => $staff{viewer} }, 'agent_id' ], [ { country => 'xx' }, 'country' ], [ { status => 'converted' }, 'status' ],
    [ { fields => { Plan => 'x' } }, 'fields' ], [ { fields => { plan => 1 } }, 'fields' ], [ { fields => [] }, 'fields' ], [ { test => JSON::PP::true() }, 'test' ]);
$api->is_error($api->post('leads', { %{ $_->[0] }, exists $_->[0]{email} || $_->[1] eq 'email' || exists $_->[0]{phone} ? () : (email => 'bad@people.example') }), 422,
    'invalid_fields', 'typed in ' . Api::text($_->[0]) . ' is refused', $_->[1]) for @bad;
$answer = $api->post('leads', { email => 'agents@people.example' }, as => 'agent');
is($answer->{json}{agent_id}, $staff{agent}, 'what an agent types in is theirs');
$api->is_error($api->post('leads', { email => 'x@people.example', agent_id => $staff{manager} }, as => 'agent'), 403, 'role_denied', '... and nobody else\'s');
my $source = $api->post('sources', { name => 'Typed', department_id => $mine })->{json}{id};
is($api->post('leads', { email => 'source@people.example', source_id => $source })->{json}{department_id}, $mine, 'a source decides who gets it');
$api->patch('settings', { leads_duplicates => 'allow' });
is($api->post('leads', { email => 'typed@people.example' })->{json}{duplicate_of}, $typed->{id}, 'where duplicates are allowed, it says of which');
$api->patch('settings', { leads_duplicates => 'refuse' });

# ---- a trader of it ----

$answer = $api->post("leads/$lead{own}/convert", {}, key => 'convert');
is($answer->{json}{status}, 'converted', 'converted');
like($answer->{json}{invitation_url}, qr{^\Q$api->{base_url}\E/invite/invite_[\w-]{43}$}, '... with a link to set a password');
my $trader = $api->get("traders/$answer->{json}{trader_id}")->{json};
is_deeply([ @$trader{qw(email state has_password)}, scalar @{ $trader->{accounts} } ], [ 'lead1@people.example', 'invited', JSON::PP::false(), 1 ],
    '... to a trader with an account and no password');
is_deeply([ map { $_->{id} } @{ $trader->{leads} } ], [ $lead{own} ], '... who knows his lead');
my $again = $api->post("leads/$lead{own}/convert", {}, key => 'convert')->{json};
is_deeply([ @$again{qw(status trader_id invitation_url)} ], [ 'converted', $trader->{id}, undef ], 'a retry says the same, but for the link');
is($api->post("leads/$lead{own}/convert", {})->{json}{invitation_url}, undef, '... and converted is converted');
is(($api->rows('SELECT COUNT(*) FROM traders'))[0], 1, '... once');
$api->is_error($api->patch("leads/$lead{own}", { status => 'new' }), 409, 'illegal_state', 'no status undoes it');
my ($link) = $answer->{json}{invitation_url} =~ m{(/invite/.*)};
is($api->post($link, { password => 'a quiet blue harbour' }, as => undef)->{status}, 204, 'the link works');
$api->is_error($api->post('leads/' . Leads::lead($api, email => undef) . '/convert', {}), 409, 'email_missing', 'who has no address cannot be one');

# ---- the person's rights ----

is_deeply($api->get("leads/$lead{foreign}/export")->{json}{traders}, [], 'who became no trader has none');

my $export = $api->get("leads/$lead{own}/export")->{json};
is_deeply([ $export->{lead}{id}, $export->{traders}[0]{id}, $export->{submissions}[0]{fields}{email} ], [ $lead{own}, $trader->{id}, 'lead1@people.example' ],
    'all that is stored of a person');
is(($api->rows("SELECT COUNT(*) FROM audit_log WHERE action = 'lead.export' AND object_id = '$lead{own}'"))[0], 1, '... and that it was read');
my $duplicate = Leads::log_line($api, verdict => 'duplicate', reason => 'same_email', lead_id => $lead{own}, email => 'Lead1@people.example', seq => 5001);
$api->say(run => 'INSERT INTO lead_facts (journal_id, seq, time_ms, received_ms, program_id, lead_uid, kind, auth, flags, content, fields, outcome)'
      . " VALUES (77, 5001, 1, 2, 1, 'ffffffffffffffffffffffffffffffff', 1, 1, 0, x'00', '{\"email\":\"Lead1\@people.example\"}', 'duplicate')");
$api->post("leads/$lead{own}/notes", { text => 'lead1 is Doe 1' }, key => 'note');
$answer = $api->post("leads/$lead{own}/erase", {});
is_deeply([ @{ $answer->{json} }{qw(first_name last_name email phone status)} ], [ '', '', '', '', 'converted' ], 'erased: who it was, not what it was');
is_deeply([ map { $_->{email} } @{ $answer->{json}{log} } ], [ '', '' ], '... in the log neither');
is_deeply([ $answer->{json}{notes}, $answer->{json}{fields} ], [ [], {} ], '... nor in notes');
my $dump = join "\n", map { $api->rows("SELECT * FROM $_") }
    qw(leads lead_facts lead_log lead_notes traders trader_invitations audit_log idempotency_keys referrals conversion_facts conversions);
unlike($dump, qr/lead1\@/i, 'nowhere in the database stands the address');
unlike($dump, qr/Doe 1\b|901821\b/, '... the name or the number');
$trader = $api->get("traders/$trader->{id}")->{json};
is_deeply([ @$trader{qw(state email has_password)}, $trader->{accounts}[0]{state} ], [ 'erased', '', JSON::PP::false(), 'closed' ], 'the trader is gone with it');
is($api->post("leads/$lead{own}/erase", {})->{status}, 200, 'erased is erased');
$api->is_error($api->patch("leads/$lead{own}", { tags => [] }), 409, 'erased', '... and not changed any more');
$api->is_error($api->post("leads/$lead{own}/convert", {}), 409, 'erased', '... nor converted');
$api->is_error($api->patch("traders/$trader->{id}", { notes => 'x' }), 409, 'erased', '... nor the trader changed');

# Somebody who was a customer before stays one.
my $before = $api->post('traders', { email => 'before@people.example' })->{json}{id};
my $late = Leads::lead($api, email => 'before@people.example');
is($api->post("leads/$late/convert", {})->{json}{existing}, JSON::PP::true(), 'a lead of somebody who was there before');
$api->post("leads/$late/erase", {});
is($api->get("traders/$before")->{json}{email}, 'before@people.example', '... leaves him as he was');
my @two = map { Leads::lead($api, email => 'two@people.example') } 1, 2;
$api->post("leads/$_/convert", {}) for @two;
$api->post("leads/$two[0]/erase", {});
is($api->get('traders?q=two@')->{json}{total}, 1, 'of two leads of one trader the other one keeps him');

my $audit = join "\n", $api->rows("SELECT COALESCE(before, '') || COALESCE(after, '') FROM audit_log WHERE object_type IN ('lead', 'trader')");
unlike($audit, qr/people\.example|Doe|Joan|90182|Monday/, 'the audit log names no person');
like($audit, qr/"status":"no_answer"/, '... and says what was done');
like($audit, qr/"tags":\["hot","call"\]/, '... in full');

# ---- as a table ----

sub csv { my ($path, %option) = @_; return $api->get($path, headers => { Accept => 'text/csv' }, %option) }
Leads::lead($api, email => 'formula@people.example', first_name => '=cmd()', last_name => 'a "quoted", one');
$answer = csv('leads?q=formula');
is($answer->{headers}{'content-type'}, 'text/csv; charset=utf-8', 'a list as a table');
my @lines = split /\r\n/, $answer->{body};
is(scalar @lines, 2, '... with a line of names');
like($lines[1], qr/,"'=cmd\(\)","a ""quoted"", one",/, '... where no cell is a formula');
Leads::lead($api, email => "many$_\@people.example") for 1 .. 8;
my $count = () = csv('leads')->{body} =~ /\r\n/g;
is($count, $api->get('leads')->{json}{total} + 1, 'all pages of it');
is((() = csv('leads?page_size=3')->{body} =~ /\r\n/g), 4, '... or one that is asked for');
is((() = csv('leads', as => 'agent')->{body} =~ /\r\n/g), $api->get('leads', as => 'agent')->{json}{total} + 1, '... and never more than one sees');
is(csv('leads?status=converted&q=nobody')->{body}, '', 'nothing is an empty table');
$api->is_error(csv('leads?surprise=1'), 422, 'invalid_fields', 'refusals stay JSON', 'surprise');

$api->finish;
