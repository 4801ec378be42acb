#!/usr/bin/perl
#
# The logs of leads and of the partner API, and the report of who sends the leads.  What could break: an agent who sees
# others' lines, a secret in a log, a sum that counts tests, duplicates or somebody else's lead.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Leads;
use Test::More;

my $api = Api->start;
my $agent = $api->{staff}{agent}{id};
my ($ada, $bob) = ($api->{program}{affiliate}, $api->post('affiliates', { name => 'Bob', email => 'bob@example.com' })->{json}{id});
my $day = 86400 * 1000000;
my $start = 1714521600000000;    # 2024-05-01

# Ada: 3 leads, 1 converted, 1 duplicate, 1 spam; a test.  Bob: 1 lead on each of two days.
my @ada = map { Leads::lead($api, affiliate_id => $ada, created_us => $start + $_, agent_id => $_ == 1 ? $agent : undef) } 1 .. 3;
$api->post("leads/$ada[0]/convert", {});
Leads::log_line($api, affiliate_id => $ada, verdict => 'duplicate', reason => 'same_email', lead_id => $ada[0], at_us => $start + 9);
Leads::log_line($api, affiliate_id => $ada, verdict => 'spam', reason => 'honeypot', at_us => $start + 10, agent_id => $agent, email => '=x@trap.example');
Leads::lead($api, affiliate_id => $ada, created_us => $start + 11, test => 1);
Leads::lead($api, affiliate_id => $bob, created_us => $start + $_ * $day, status => 'contacted') for 0, 1;
Leads::lead($api, created_us => $start + 12);

# ---- the leads log ----

is($api->get('leads_log')->{json}{total}, 9, 'every submission stands in the log');
for my $case ([ 'verdict=duplicate', 1 ], [ 'verdict=duplicate,spam', 2 ], [ 'reason=honeypot', 1 ], [ "affiliate_id=$ada", 6 ], [ "lead_id=$ada[0]", 2 ],
    [ 'from=2024-05-02', 1 ], [ 'to=2024-05-02', 8 ], [ 'q=TRAP', 1 ], [ 'kind=api', 9 ], [ 'kind=form', 0 ], [ "agent_id=$agent", 2 ]) {
    is($api->get("leads_log?$case->[0]")->{json}{total}, $case->[1], "leads_log?$case->[0]");
}
my ($duplicate) = @{ $api->get('leads_log?verdict=duplicate')->{json}{data} };
is_deeply([ @$duplicate{qw(reason lead_id affiliate_name)} ], [ 'same_email', $ada[0], 'ada' ], 'a duplicate says of what, and why');
is_deeply([ sort map { "$_->{verdict} " . ($_->{lead_id} // '-') } @{ $api->get('leads_log', as => 'agent')->{json}{data} } ],
    [ "created $ada[0]", "duplicate $ada[0]", 'spam -' ], 'an agent sees what concerns their leads, and what was meant for them');
like($api->get('leads_log?verdict=spam', headers => { Accept => 'text/csv' })->{body}, qr/,spam,honeypot,"'=x\@trap\.example"\r\n$/, 'as a table');

# ---- the report ----

sub report { my ($query, %option) = @_; return $api->get("reports/leads_by_affiliate?from=2024-05-01&to=2024-05-03$query", %option) }
my $report = report('')->{json};
is_deeply([ map { $_->{affiliate_name} } @{ $report->{data} } ], [ 'ada', 'Bob' ], 'who sent the most stands first');
is_deeply([ @{ $report->{data}[0] }{qw(received created duplicate spam converted new conversion_rate day)} ], [ 5, 3, 1, 1, 1, 2, '33.3333', undef ],
    '... with what became of them, without tests');
is_deeply([ @{ $report->{data}[1] }{qw(received created contacted conversion_rate)} ], [ 2, 2, 2, '0' ], '... and so does the other');
$report = report('&group=day')->{json};
is_deeply([ map { "$_->{affiliate_name} $_->{day} $_->{received}" } @{ $report->{data} } ], [ 'ada 2024-05-01 5', 'Bob 2024-05-01 1', 'Bob 2024-05-02 1' ],
    'by days');
is_deeply(report('')->{json}{data}, $api->get('reports/leads_by_affiliate?from=2024-05-01T00:00:00Z&to=2024-05-03T00:00:00Z&group=none')->{json}{data}, 'a date is its midnight');
is($api->get('reports/leads_by_affiliate?from=2024-05-02&to=2024-05-03')->{json}{data}[0]{affiliate_name}, 'Bob', 'of a period only what arrived in it');
is_deeply([ map { "$_->{affiliate_name} $_->{received} $_->{converted}" } @{ report('', as => 'agent')->{json}{data} } ], ['ada 3 1'], 'an agent counts their own');
my @lines = split /\r\n/, report('', headers => { Accept => 'text/csv' })->{body};
is(scalar @lines, 3, 'as a table');
like($lines[1], qr/^$ada,ada,,5,3,0,1,0,1,/, '... of the same numbers');
for my $case ([ 'group=week', 'group' ], [ 'from=x', 'from' ], [ 'from=2024-05-02&to=2024-05-02', 'to' ], [ 'from=2020-01-01&to=2024-01-01', 'to' ], [ 'q=x', 'q' ]) {
    $api->is_error($api->get("reports/leads_by_affiliate?$case->[0]"), 422, 'invalid_fields', "$case->[0] is refused", $case->[1]);
}

# ---- the API log ----

my $partner = $api->post('api_users', { name => 'Partner', role => 'affiliate' })->{json};
my $calls = 0;
sub call {
    my (%call) = @_;
    my $ip = delete $call{ip} // "x'c0000207'";
    my %row = (journal_id => 3, seq => ++$calls, time_ms => $start / 1000 + $calls, received_ms => 1, count => 1, status => 201, code => 'accepted',
        method => 'POST', path => '/api/v1/leads', key_prefix => substr($partner->{key}, 0, 14), %call);
    my @names = sort keys %row;
    $api->say(run => 'INSERT INTO api_calls (ip, ' . join(', ', @names) . ") VALUES ($ip, " . join(', ', map { Leads::quote($row{$_}) } @names) . ')');
}
call(api_user_id => $partner->{id}, lead_uid => 'a' x 32, items => 2);
call(api_user_id => $partner->{id}, code => 'key_expired', status => 403, ip => "x'20010db8000000000000000000000001'");
call(code => 'key_unknown', status => 401, count => 250, key_prefix => undef);
call(code => 'key_unknown', status => 401, ip => "x'00112233445566778899aabbccddeeff'", ip_form => 2);
is($api->get('api_logs')->{json}{total}, 4, 'every call stands in the log');
for my $case ([ "api_user_id=$partner->{id}", 2 ], [ 'code=key_expired,key_unknown', 3 ], [ 'status=401', 2 ], [ 'ip=192.0.2.7', 2 ], [ 'ip=2001:db8::1', 1 ],
    [ 'ip=2001:0DB8:0:0::1', 1 ], [ 'ip=192.0.2.8', 0 ], [ 'method=POST&path=/api/v1/leads', 4 ], [ 'lead_uid=' . 'a' x 32, 1 ], [ 'from=2024-05-01T00:00:00.003Z', 2 ],
    [ 'to=2024-05-01T00:00:00.003Z', 2 ]) {
    is($api->get("api_logs?$case->[0]")->{json}{total}, $case->[1], "api_logs?$case->[0]");
}
for my $bad (qw(ip=192.0.2.300 ip=x ip=192.0.2.0/24 ip= ip=::x)) {
    $api->is_error($api->get("api_logs?$bad"), 422, 'invalid_fields', "$bad is refused", 'ip');
}
my @log = reverse @{ $api->get('api_logs')->{json}{data} };
is_deeply([ @{ $log[0] }{qw(api_user_name status code items lead_uid ip)} ], [ 'Partner', 201, 'accepted', 2, 'a' x 32, '192.0.2.7' ], 'a call with its verdict');
is_deeply([ @{ $log[2] }{qw(api_user_id count key_prefix)} ], [ undef, 250, undef ], 'unknown keys by their number');
is($log[3]{ip}, undef, 'a hashed address is none');
unlike($api->get('api_logs')->{body}, qr/\Q$partner->{key}\E/, 'no key stands there');
my @walked;
for (my $path = 'api_logs?page_size=1'; defined $path;) {
    my $page = $api->get($path)->{json};
    push @walked, map { $_->{id} } @{ $page->{data} };
    $path = defined $page->{next_cursor} ? "api_logs?page_size=1&cursor=$page->{next_cursor}" : undef;
}
is_deeply(\@walked, [ map { $_->{id} } reverse @log ], 'page by page each once');

$api->finish;
