package Leads;

# Leads and lines of their log as they are decided (service/lead_decide.c), for suites that have no edge.

use strict;
use warnings;

my $made = 0;

# A reference is SQL as it is.
sub quote { my ($value) = @_; return ref $value ? $$value : defined $value ? q(') . $value =~ s/'/''/gr . q(') : 'NULL' }
sub insert {
    my ($api, $table, %row) = @_;
    my @names = sort keys %row;
    $api->say(run => "INSERT INTO $table (" . join(', ', @names) . ') VALUES (' . join(', ', map { quote($row{$_}) } @names) . ')');
    return ($api->rows("SELECT MAX(id) FROM $table"))[0] if $table ne 'lead_facts' && $table ne 'api_calls';
}

# lead(API, COLUMN => VALUE...): its id.  Its fact and its line in the log come with it.
sub lead {
    my ($api, %lead) = @_;
    my $n = ++$made;
    my $email = exists $lead{email} ? delete $lead{email} : "lead$n\@people.example";
    my $uid = sprintf '%032x', $n;
    my $created = delete $lead{created_us} // 1714564800000000 + $n * 1000000;
    my ($ip, $fields) = (delete $lead{ip} // '192.0.2.7', delete $lead{sent} // sprintf('{"email":"%s"}', $email // ''));
    my $id = insert($api, 'leads', uid => $uid, program_id => 1, kind => 'api', status => 'new', first_name => 'Jo',
        last_name => "Doe $n", email => $email // '', email_key => $email, phone => '+49 30 90182' . $n, country => 'DE',
        language => 'en', content => \"x'00112233445566778899aabbccddeeff'", journal_id => 77, seq => $n, created_us => $created,
        updated_us => $created, %lead);
    my $address = join '', map { sprintf '%02x', $_ } split /\./, $ip;
    $api->say(run => 'INSERT INTO lead_facts (journal_id, seq, time_ms, received_ms, program_id, lead_uid, kind, auth, flags, content,'
          . " ip, user_agent, referrer, fields, outcome) VALUES (77, $n, 1, 2, 1, '$uid', 1, 1, 0, x'00112233445566778899aabbccddeeff',"
          . " x'$address', 'Mozilla', 'https://blog.example/', " . quote($fields) . ", 'created')");
    log_line($api, lead_id => $id, seq => $n, uid => $uid, at_us => $created, email => $email // '',
        map { $_ => $lead{$_} } grep { defined $lead{$_} } qw(affiliate_id source_id api_user_id agent_id department_id));
    return $id;
}

# log_line(API, COLUMN => VALUE...): its id.
sub log_line {
    my ($api, %line) = @_;
    my $n = $line{seq} // ++$made;
    return insert($api, 'lead_log', at_us => 1714564800000000 + $n * 1000000, journal_id => 77, seq => $n, uid => sprintf('%032x', $n),
        program_id => 1, kind => 'api', verdict => 'created', email => '', %line);
}

1;
