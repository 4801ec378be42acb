# Dates and click caps: when a link is open, and for how many.
#
# Guards against an advertiser paying for more clicks than were ordered: caps are exact over workers and live through a
# reload; bots and clicks that got no answer use up nothing; and a visitor who comes too late goes to a fallback and is
# recorded with the reason.  Caps of a day are counted in UTC: a run over midnight may see one begin anew.
use lib 't/lib';
use TestAffiliate;
use POSIX ();

sub owners { return ('program 7 1 1 30 EUR https://program.example/', 'campaign 3 7 1 Spring https://campaign.example/?c={click_id}',
    'affiliate 5 2 Ann') }
sub rows { return join "\n", owners(), "link 11 3 5 1 spring https://own.example/ @_" }

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: before its dates and after them a link leads to the fallback, and the event says why
--- rows eval
package main; my ($past, $future) = (now_ms() - 10000, now_ms() + 3600000);
join "\n", rows("starts=$past ends=$future"), "link 12 3 5 1 early https://own.example/ starts=$future",
    "link 13 3 5 1 late https://own.example/ ends=$past " . rules({ conditions => [], targets => [{ weight => 1, destination => 'https://rule.example/' }] })
--- request eval
["GET /c/spring", "GET /c/early", "GET /c/late"]
--- error_code eval
[302, 302, 302]
--- response_headers_like eval
["Location: https://own\\.example/", "Location: https://campaign\\.example/\\?c=[-0-9A-Z_a-z]{40}", "Location: https://campaign\\.example/.*"]
--- events
{"link": 11, "flags": null}
{"link": 12, "flags": 32772}
{"link": 13, "flags": 32772}



=== TEST 2: a campaign's dates are its links'; its fallback else the program's, else nothing and no record
--- rows eval
package main; my $past = now_ms() - 10000;
join "\n", (owners())[0], 'program 8 1 1 30 EUR -', "campaign 3 7 1 Over - ends=$past", "campaign 4 8 1 Nowhere - ends=$past",
    (owners())[2], 'link 11 3 5 1 spring https://own.example/', 'link 12 4 5 1 nowhere https://own.example/'
--- config
location /c/ { affiliate_click; }
location /lost/ { affiliate_click; affiliate_not_found https://lost.example/; }
--- request eval
["GET /c/spring", "GET /c/nowhere", "GET /lost/nowhere"]
--- error_code eval
[302, 404, 302]
--- response_headers eval
["Location: https://program.example/", "! Location", "Location: https://lost.example/"]
--- events
{"link": 11, "flags": 32772}



=== TEST 3: the cap of a day; who comes later goes to the fallback and is recorded
--- rows eval
package main; rows('cap_day=2')
--- after eval
package main; sub {
    is(went('/c/spring', 5), 'campaign=4 own=1', 'two clicks, the block\'s own among them');
    is(join(' ', map { $_->{flags} // 0 } events()), '0 0 16388 16388 16388 16388', 'the events say which');
}
--- error_code: 302



=== TEST 4: the cap of all time, and the smaller one of two
--- rows eval
package main; join "\n", rows('cap_total=3'), 'link 12 3 5 1 both https://own.example/ cap_day=5 cap_total=2'
--- after eval
package main; sub {
    is(went('/c/spring', 5), 'campaign=3 own=2', 'three in all');
    is(went('/c/both', 5), 'campaign=3 own=2', 'two in all, though five a day');
}
--- error_code: 302



=== TEST 5: a campaign's cap is for all its links; a link that is capped uses up nothing of it
--- rows eval
package main; join "\n", (owners())[0], 'campaign 3 7 1 Spring https://campaign.example/ cap_day=4', (owners())[2],
    'link 11 3 5 1 spring https://own.example/ cap_day=1', 'link 12 3 5 1 other https://own.example/'
--- after eval
package main; sub {
    is(went('/c/spring', 5), 'campaign=5', 'the link has had its one click');
    is(went('/c/other', 5), 'campaign=2 own=3', 'the other one gets the remaining three');
}
--- error_code: 302



=== TEST 6: a prefetch uses up nothing, and is not let past a cap; HEAD neither
--- rows eval
package main; rows('cap_day=2')
--- after eval
package main; sub {
    is(went('/c/spring', 5, 'Sec-Purpose: prefetch'), 'own=5', 'prefetches do not count');
    is(went('/c/spring', 2), 'campaign=1 own=1', 'the second click is the last');
    is(went('/c/spring', 2, 'Sec-Purpose: prefetch'), 'campaign=2', 'now prefetches go to the fallback too');
}
--- error_code: 302



=== TEST 7: capped by the backend, which sees all edges, until it says otherwise
--- rows eval
package main; my ($past, $future) = (now_ms() - 10000, now_ms() + 3600000);
my $rules = rules({ conditions => [], targets => [{ weight => 1, destination => 'https://rule.example/' }] });
join "\n", rows("capped_until=$future $rules"), "link 12 3 5 1 again https://own.example/ capped_until=$past cap_day=100"
--- after eval
package main; sub {
    is(went('/c/spring', 2), 'campaign=2', 'capped');
    is(went('/c/again', 2), 'own=2', 'open again');
}
--- error_code: 302



=== TEST 8: a rule that is capped is passed over; what no rule takes goes to the link's own destination
--- rows eval
package main; rows(rules({ cap_day => 2, conditions => [], targets => [{ weight => 1, destination => 'https://first.example/' }] },
             { cap_day => 3, conditions => [], targets => [{ weight => 1, destination => 'https://second.example/' }] }))
--- after eval
package main; sub {
    is(went('/c/spring', 2, 'Sec-Purpose: prefetch'), 'first=2', 'prefetches do not count');
    is(went('/c/spring', 7), 'first=1 own=3 second=3', 'first, second, own');
    is(join(' ', map { $_->{rule} // 0 } events()), '1 1 1 1 2 2 2 0 0 0', 'the events say which');
    is(join(' ', grep { defined } map { $_->{flags} } events()), '20 20', 'and none is marked as capped');
}
--- error_code: 302



=== TEST 9: a click that could not be answered gives back what it took
--- rows eval
package main; rows('cap_day=2') =~ s{https://own\.example/}{https://own.example/?s={sub1}{sub1}{sub1}{sub1}{sub1}{sub1}}r
--- after eval
package main; sub {
    my $long = join '', ('%7F') x 500;
    is(went("/c/spring?sub1=$long", 3), '414=3', 'too long to be sent');
    is(went('/c/spring', 3), 'campaign=2 own=1', 'the cap is as it was');
}
--- error_code: 302



=== TEST 10: a reload changes no count
--- rows eval
package main; rows('cap_day=3 cap_total=1000 ' . rules({ cap_day => 2, conditions => [], targets => [{ weight => 1, destination => 'https://rule.example/' }] }))
--- after eval
package main; sub {
    my ($pid) = map { /(\d+)/ } do { open my $f, '<', "$Test::Nginx::Util::ServRoot/logs/nginx.pid" or die $!; <$f> };
    my $old = status()->{workers}[0]{pid};
    kill HUP => $pid or die "kill: $!";
    wait_for('a new worker, alone', sub { my @w = @{status()->{workers}}; @w == 1 && $w[0]{pid} != $old });
    is(went('/c/spring', 4), 'campaign=2 own=1 rule=1', 'one click before, two after');
}
--- error_code: 302



=== TEST 11: more caps than the zone can count: who has a place is counted, who has none is the backend's, and it is said once
--- rows eval
package main; my $future = now_ms() + 3600000;
join "\n", rows('cap_day=1'), "link 12 3 5 1 closed https://own.example/ cap_day=9 capped_until=$future",
    map { "link $_ 3 5 1 l$_ https://own.example/ cap_day=1 cap_total=1" } 100 .. 2599
--- http
keepalive_requests 10000;
--- after eval
package main; sub {
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => server_port()) or die "connect: $!";
    my $pid = fork() // die "fork: $!";
    if (!$pid) {
        print $s "GET /c/l$_ HTTP/1.1\r\nHost: localhost\r\n" . ($_ == 2599 ? "Connection: close\r\n" : '') . "\r\n" for 100 .. 2599;
        $s->flush;
        POSIX::_exit(0);
    }
    my $answers = do { local $/; <$s> };
    waitpid $pid, 0;
    is(scalar(() = $answers =~ m{^Location: https://own\.example/\r$}mg), 2500, '2500 links with 5000 caps are clicked once');
    cmp_ok(status()->{counters}{caps_uncounted}, '>', 900, 'hundreds of caps found no place');
    is(went('/c/spring', 1), 'campaign=1', 'the one that came first is counted');
    is(went('/c/closed', 1), 'campaign=1', 'and what the backend says counts for all');
    open my $log, '<', "$Test::Nginx::Util::ServRoot/logs/error.log" or die "error.log: $!";
    is(scalar(grep { /more click caps in use than the 4096/ } <$log>), 1, 'said once');
}
--- error_code: 302
