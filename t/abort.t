#!/usr/bin/perl

# Clients that go away at every stage of a request: in its headers, in its body, before the answer, while the answer waits
# for the disk.  Half of them close, half reset the connection.
#
# Guards against memory that stays with a request nobody waits for, against an answer to a connection that is gone (and
# now somebody else's), against a wait that is never taken back, and against a journal with half a record in it.
# Broken once on purpose (a waiter is not taken from its queue when its request dies), this test was red.

use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep);

use AffiliateWire;

my ($ROUNDS, $EACH) = (5, 60);
my $preload = AffiliateWire::tool("fail_sync.so");
my $edge = AffiliateWire->new(redis => 0, workers => 1, preload => $preload);
my ($click) = $edge->clicks(1);
my $body = "click_id=$click&event=sale&amount=1.00&currency=EUR&txid=";
my $key = "X-Api-Key: key-of-the-test\r\nContent-Type: application/x-www-form-urlencoded\r\n";

sub post { my ($txid) = @_; return "POST /postback HTTP/1.1\r\nHost: t\r\n${key}Content-Length: @{[length \"$body$txid\"]}\r\n\r\n$body$txid" }

# What is sent before the client goes; "\0" stands for a moment's wait, so that nginx reads what came before.
my $serial = 0;
my %stages = (
    "with nothing said" => sub { "" },
    "in the request line" => sub { "GET /c/a" },
    "in the headers" => sub { "GET /c/abc HTTP/1.1\r\nHost: t\r\nUser-Ag\0" },
    "after the headers of a conversion" => sub { post("x") =~ s/\r\n\r\n.*/\r\n\r\n\0/sr },
    "in the body" => sub { substr(post("x"), 0, -5) . "\0" },
    "in a chunk" => sub { "POST /postback HTTP/1.1\r\nHost: t\r\n${key}Transfer-Encoding: chunked\r\n\r\n20\r\n$body\0" },
    "in a body that nobody reads" => sub { "GET /c/abc HTTP/1.1\r\nHost: t\r\nContent-Length: 50000\r\n\r\nxxxx\0" },
    "before a click is answered" => sub { "GET /c/abc HTTP/1.1\r\nHost: t\r\n\r\n" },
    "before a conversion is answered" => sub { post("gone" . ++$serial) },
    "while it is on its way to the disk" => sub { post("disk" . ++$serial) . "\0" },
    "with requests behind it" => sub { post("first" . ++$serial) . post("second$serial") . "GET /c/abc HTTP/1.1\r\nHost: t\r\n\r\n\0" },
    "with half a request behind it" => sub { post("whole" . ++$serial) . substr(post("half"), 0, -9) . "\0" },
);

sub go_away {
    my ($text, $reset) = @_;
    my @sockets = map { $edge->connect_http // die "connect: $!" } 1 .. 10;
    for my $socket (@sockets) {
        setsockopt $socket, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0) if $reset;
        my $said = $text->();
        my $waits = $said =~ s/\0$//;
        syswrite $socket, $said if $said ne "";
        $socket = [$socket, $waits];
    }
    sleep 0.01 if grep { $_->[1] } @sockets;
    close $_->[0] for @sockets;
}

# The worker's own: mapped journals are counted by their quota.
sub rss_kb {
    my ($pid) = $edge->workers;
    open my $in, "<", "/proc/$pid/status" or die "worker: $!";
    return (map { /^RssAnon:\s+(\d+) kB/ } <$in>)[0];
}

my ($worker) = $edge->workers;
open my $slow, ">", "$edge->{dir}/disk-is-slow";
close $slow;

my @rss;
for my $round (0 .. $ROUNDS) {
    for my $stage (sort keys %stages) {
        go_away($stages{$stage}, $_ % 2) for 1 .. $EACH / 10;
    }
    ok($edge->await(20, sub { $edge->gauge("syncs_waiting") == 0 }), "round $round: nobody is waited for");
    push @rss, rss_kb();
}
unlink "$edge->{dir}/disk-is-slow";

is(join(" ", $edge->workers), $worker, "the worker lives");
# The first round fills pools and caches; a leaked request would be some kilobytes each.
my $growth = $rss[-1] - $rss[1];
SKIP: {
    skip "memory under a sanitizer", 1 if $ENV{ASAN_OPTIONS};
    cmp_ok($growth, "<=", 512, "memory is flat over @{[($ROUNDS - 1) * $EACH * keys %stages]} aborted requests (@rss kB)");
}
is(scalar(my @again = $edge->clicks(20)), 20, "clicks are answered as ever");
is(($edge->convert($click, "last"))[0], 200, "and conversions");

# The journals: without a gap, every record whole, and conversions at most once each.
my @events = map { JSON::PP::decode_json($_) } split /\n/, `'$edge->{tools}/fixture' dump '$edge->{dir}/keys' '$edge->{dir}/state/journal'`;
my (%next, %of, %txids, @gaps);
for my $event (@events) {
    my $kind = $event->{kind};
    push @gaps, "$kind $event->{sequence}" if $event->{sequence} != ++$next{$kind};
    push @gaps, "$kind $event->{sequence}: not whole" if !$event->{type} || $event->{type} !~ /^(?:click|conversion|api_call)$/;
    $of{$event->{type}}++;
    $txids{$event->{txid}}++ if defined $event->{txid};
}
is("@gaps", "", "journals are consistent (@{[scalar @events]} records)");
cmp_ok($txids{last} // 0, "==", 1, "the last conversion among them");
is(scalar(grep { $_ > 1 } values %txids), 0, "none is there twice");
is(scalar(grep { /^(?:x|half)/ } keys %txids), 0, "none that was not sent to its end");
my $written = grep { /^(?:gone|disk)/ } keys %txids;
cmp_ok($written, ">", 0, "what was sent to its end may be there ($written)");
my $counters = $edge->status->{counters};
is($of{click}, $counters->{clicks}, "as many clicks as were counted");
is($of{api_call}, $counters->{api_calls}, "each call of the API is in its log, answered or not");
is(() = $edge->error_log =~ /\[(?:alert|crit|emerg)\]/g, 0, "nothing alarming in the log") or diag $edge->error_log;

# nginx itself ends requests that wait: a worker that must go closes its connections (worker_shutdown_timeout).
subtest "requests ended by nginx while they wait for the disk" => sub {
    my $edge = AffiliateWire->new(redis => 0, workers => 1, preload => $preload, main => "worker_shutdown_timeout 20ms;");
    my ($click) = $edge->clicks(1);
    open my $slow, ">", "$edge->{dir}/disk-is-slow";
    for my $round (1 .. 4) {
        my ($old) = $edge->workers;
        my @sockets = map { $edge->connect_http } 1 .. 40;
        syswrite $_, post("ended" . ++$serial) for @sockets;
        ok($edge->await(10, sub { $edge->gauge("syncs_waiting") > 0 }), "round $round: answers wait");
        kill HUP => $edge->{nginx_pid};
        ok($edge->await(20, sub { my @w = $edge->workers; @w == 1 && $w[0] != $old && !kill 0, $old }), "round $round: the old worker is gone");
    }
    is(() = $edge->error_log =~ /exited on signal|\[alert\]/g, 0, "none of them crashed") or diag $edge->error_log;
    is(scalar(my @again = $edge->clicks(5)), 5, "clicks are answered as ever");
};
done_testing;
