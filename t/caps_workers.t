# Click caps, counted by four workers at once.
#
# Guards against workers that count for themselves.  That several of them took part is seen in the journals: each has
# one of its own, and so an event with the first sequence.
use lib 't/lib';
use TestAffiliate;
use POSIX ();

sub owners { return ('program 7 1 1 30 EUR https://program.example/', 'campaign 3 7 1 Spring https://campaign.example/?c={click_id}',
    'affiliate 5 2 Ann') }
sub rows { return join "\n", owners(), "link 11 3 5 1 spring https://own.example/ @_" }

workers(4);
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: caps are exact when four workers count at once
--- rows eval
package main; rows('cap_day=50 ' . rules({ cap_day => 20, conditions => [], targets => [{ weight => 1, destination => 'https://rule.example/' }] }))
--- after eval
package main; sub {
    my %went;
    my @children = map {
        my $pid = open(my $out, '-|') // die "fork: $!";
        if (!$pid) {
            print went('/c/spring', 40);
            close STDOUT;
            POSIX::_exit(0);
        }
        $out;
    } 1 .. 4;
    for my $out (@children) {
        my $text = <$out>;
        $went{$1} += $2 while $text =~ /(\w+)=(\d+)/g;
        close $out;
    }
    cmp_ok(scalar(grep { $_->{sequence} == 1 } events()), '>', 1, 'several workers answered');
    is(join(' ', map { "$_=$went{$_}" } sort keys %went), 'campaign=111 own=30 rule=19', 'fifty of them, the block\'s own included');
}
--- error_code: 302
