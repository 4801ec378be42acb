#!/usr/bin/perl

# Good clicks while others go away in the middle and send what is no request.
#
# Guards against a crash, against memory that grows with what strangers do, and against strangers who make customers wait:
# the same good load is measured with and without them, in turns, in one run.  tools/badload is the stranger, tools/clickload
# the customer; what the customer was answered must be in the end where the database would be, once.
#
# Forms are among what the strangers send, and their answers among those that may not be 500.
#
# Small here; LONG=1 (`build.sh test-long`) sends 1,000,000 aborted and 100,000 malformed requests.  HOSTILE_SEED repeats
# the bytes of a run.

use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use JSON::PP ();
use Test::More;

use AffiliateWire;

my $long = $ENV{LONG};
my $sanitized = defined $ENV{ASAN_OPTIONS};
my ($ABORTED, $MALFORMED) = $long ? (1_000_000, 100_000) : (12_000, 3_000);
my ($TURNS, $BAD_RATE, $GOOD_RATE) = ($long ? 10 : 3, $long ? 3000 : 2000, 400);
my $seed = $ENV{HOSTILE_SEED} // ($long ? time : 20240229);
diag "HOSTILE_SEED=$seed" if $long;

my $tools = dirname(AffiliateWire::tool("")); # build/
# Enough connections: where they run out, nginx closes idle ones of customers to accept strangers.
my $fields = '%5B%7B"name":"name","type":1%7D,%7B"name":"topics","type":7,"options":%5B"a","b"%5D%7D%5D';
my $form = "form 1 1 0 1 in $fields page=%01V0;%01X*;wrong%01.%01S1,1; origins=https://shop.example\n";
my $edge = AffiliateWire->new(rows => AffiliateWire::rows() . $form, server => "location /f/ { affiliate_form; }", workers => 2, connections => 4096, journal => "traffic=1g money=256m retain=1h sync=100ms",
    http => "client_header_timeout 10s; client_body_timeout 10s;");
my ($click) = $edge->clicks(1);
my @workers;
$edge->await(10, sub { @workers = sort $edge->workers; @workers == 2 }) or die "workers do not start";

# Starts one of the clients; its report when it has ended.
sub client {
    my ($name, @arguments) = @_;
    # the strangers' own work would be done on other machines
    my @command = ($name eq "badload" ? ("nice", "-n", 19) : (), "$tools/$name", "--port", $edge->{port}, @arguments);
    open my $out, "-|", @command or die "$name: $!";
    return sub {
        my $text = do { local $/; <$out> } // "";
        close $out;
        return { ended => $?, %{ $text eq "" ? {} : JSON::PP::decode_json($text) } };
    };
}

my ($customers, $turn) = ("$edge->{dir}/answered", 0);
sub customer {
    my ($seconds) = @_;
    return client("clickload", "--path", "/c/abc", "--count", $GOOD_RATE * $seconds, "--connections", 8,
        "--rate", $GOOD_RATE, "--out", "$customers." . $turn++);
}

# Memory of their own: mapped journals are counted by their quota.
sub rss_kb {
    return map { open my $in, "<", "/proc/$_/status" or die "worker $_: $!"; map { /^RssAnon:\s+(\d+) kB/ } <$in> } @workers;
}

my (@alone, @among, @rss, %status, %sum);
# The quietest turn of each: other programs of this machine make single turns slow, strangers would make all of them.
sub least { return (sort { $a <=> $b } @_)[0] }
sub unharmed { return least(@among) <= 3 * least(@alone) + 5000 }

# A few turns more, where the machine was busy with other things.
my $turns = 0;
for (my $i = 1; $i <= $TURNS || ($i <= $TURNS + 8 && !$sanitized && !unharmed()); $i++) {
    $turns = $i;
    my $seconds = ($ABORTED + $MALFORMED) / $TURNS / $BAD_RATE;
    my $good = customer($seconds < 2 ? 2 : $seconds > 5 ? 5 : $seconds)->();
    is($good->{ended}, 0, "turn $i: customers alone are answered");
    push @alone, $good->{p99_us};

    my $bad = client("badload", "--aborted", $ABORTED / $TURNS, "--malformed", $MALFORMED / $TURNS, "--rate", $BAD_RATE,
        "--seed", $seed + $i, "--click-id", $click, "--key", "key-of-the-test");
    $good = customer($seconds < 1 ? 1 : $seconds)->();
    $bad = $bad->();
    is($good->{ended}, 0, "turn $i: and among strangers");
    is($good->{other} + $good->{unanswered}, 0, "turn $i: each of them");
    push @among, $good->{p99_us};
    is($bad->{ended}, 0, "turn $i: strangers are answered or left") or diag explain $bad;
    cmp_ok($bad->{seconds}, ">=", 0.7 * $good->{seconds}, "turn $i: all the time");
    $sum{$_} += $bad->{$_} for qw(aborted malformed closed);
    $status{$_} += $bad->{status}{$_} for keys %{ $bad->{status} };
    push @rss, [rss_kb()];
}

is_deeply([sort $edge->workers], \@workers, "no worker died");
is($sum{aborted}, $ABORTED / $TURNS * $turns, "$sum{aborted} requests were aborted");
is($sum{malformed}, $MALFORMED / $TURNS * $turns, "$sum{malformed} were malformed");
is($status{500} // 0, 0, "none of them was answered 500") or diag explain \%status;
cmp_ok($status{400} // 0, ">", $MALFORMED / 5, "many of them 400 (" . join(", ", map { "$_: $status{$_}" } sort keys %status) . ")");

SKIP: {
    skip "memory and time under a sanitizer", 2 if $sanitized;
    my $growth = 0;
    for my $w (0 .. $#workers) {
        my $g = $rss[-1][$w] - $rss[0][$w];
        $growth = $g if $g > $growth;
    }
    cmp_ok($growth, "<=", 1024, "memory is flat (" . join("; ", map { "@$_" } @rss) . " kB)");

    ok(unharmed(), "p99 of customers, us: alone @alone; among strangers @among");
}

my @ids = ($click);
for my $file (glob "$customers.*") {
    open my $in, "<", $file or die $!;
    chomp(my @lines = <$in>);
    push @ids, @lines;
}
ok($edge->await(60, sub { $edge->gauge("records_pending") == 0 }), "everything is shipped");
my %applied;
$applied{$_}++ for $edge->applied;
is(scalar(grep { !$applied{$_} } @ids), 0, "every click that was answered arrived (" . @ids . ")");
# a lead is told by what it says: strangers say the same again
is(scalar(grep { !/^lead/ && $applied{$_} > 1 } keys %applied), 0, "none twice");
is($edge->consumer("status")->{lost}, 0, "and nothing is lost");
unlike($edge->error_log, qr/exited on signal|\[(?:alert|emerg|crit)\]/, "nothing alarming in the log");
done_testing;
