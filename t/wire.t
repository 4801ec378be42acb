#!/usr/bin/perl

# What an edge has answered must reach the database exactly once, whatever happens
# to workers, to Redis and to the consumer.  The judge is a list that the clients keep of click ids
# they were given, compared with what t/tools/consumer applied (it makes the id anew from
# journal, sequence, time and link, so a record that is garbled or under another sequence does not match).
#
# Each case also shows that its fault took place: dead workers, an emptied Redis, dropped packs.

use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use Test::More;
use Time::HiRes qw(sleep time);

use AffiliateWire;

my $SECONDS = 20; # that anything may take

# Everything that was answered is applied once, and nothing is left on its way.
sub delivered {
    my ($edge, $name, $ids, $surplus) = @_;
    my (%applied, @missing);
    $edge->await($SECONDS, sub { my $g = $edge->status->{gauges}; $g->{records_pending} == 0 && $edge->consumer("status")->{applied} >= @$ids });
    $applied{$_}++ for $edge->applied;
    @missing = grep { !$applied{$_} } @$ids;
    is(scalar(@missing), 0, "$name: every answered click is there (" . @$ids . ")") or diag "first missing: $missing[0]";
    is(scalar(grep { $_ > 1 } values %applied), 0, "$name: none is there twice");
    cmp_ok(scalar(keys %applied) - @$ids, "<=", $surplus // 0, "$name: nothing that was not answered, but for cut connections");
}

subtest "clicks are shipped, acked and counted" => sub {
    my $edge = AffiliateWire->new;
    my @ids = $edge->clicks(500);
    delivered($edge, "500 clicks", \@ids);
    my $c = $edge->status->{counters};
    is($c->{records_sent}, 500, "each record was sent once");
    ok($edge->await($SECONDS, sub { $edge->counter("records_acked") == 500 }), "and acked once");
    cmp_ok($c->{packs_sent}, "<", 100, "in packs");
    is($c->{rewinds}, 0, "without going back");
    is($edge->consumer("status")->{early}, 0, "in order");
};

subtest "workers killed under load" => sub {
    my $edge = AffiliateWire->new;
    my $killed = 0;
    $edge->load_start(3);
    for (1 .. 8) {
        sleep 0.25;
        my ($pid) = $edge->workers;
        $killed += kill KILL => $pid if $pid;
    }
    my @ids = $edge->load_stop;
    cmp_ok($killed, ">=", 6, "$killed workers were killed");
    delivered($edge, "after the kills", \@ids, 3 * $killed);
    ok($edge->await($SECONDS, sub { $edge->gauge("orphans") == 0 }), "no orphan is left");
    cmp_ok(scalar(my @kept = glob "$edge->{dir}/state/journal/*.drained"), ">=", 1, "the drained are kept");
    is($edge->consumer("status")->{lost}, 0, "no gap was reported");
};

subtest "reloads under load" => sub {
    my $edge = AffiliateWire->new;
    $edge->load_start(3);
    for (1 .. 4) {
        my %old = map { $_ => 1 } $edge->workers;
        sleep 0.2;
        kill HUP => $edge->{nginx_pid};
        ok($edge->await($SECONDS, sub { my @w = $edge->workers; @w == 2 && !grep { $old{$_} } @w }), "new workers took over");
    }
    delivered($edge, "after the reloads", [$edge->load_stop], 12);
    cmp_ok($edge->consumer("status")->{closes}, ">=", 8, "journals that ended were closed");
};

subtest "a worker that leaves gives back the space it did not use" => sub {
    my $edge = AffiliateWire->new;
    my @ids = $edge->clicks(20);
    my $spares = sub { scalar(my @files = glob "$edge->{dir}/state/journal/*.1") };
    my $kept = sub { scalar(my @files = glob "$edge->{dir}/state/journal/*.drained") };
    ok($edge->await($SECONDS, sub { $spares->() >= 1 }), "a segment was made ahead");
    kill HUP => $edge->{nginx_pid};
    ok($edge->await($SECONDS, sub { $kept->() >= 1 }), "a journal is retained");
    delivered($edge, "after the reload", \@ids);
    ok($edge->await($SECONDS, sub { $spares->() == 0 }), "without the segment that it never entered")
        or diag join "\n", glob "$edge->{dir}/state/journal/*";
};

subtest "nor does one that is killed keep it" => sub {
    my $edge = AffiliateWire->new(workers => 1);
    my @ids = $edge->clicks(20);
    my @spares;
    $edge->await($SECONDS, sub { @spares = glob "$edge->{dir}/state/journal/*.1" });
    my ($spare) = @spares;
    ok(defined $spare, "a segment was made ahead") or return;
    kill KILL => $edge->workers;
    ok($edge->await($SECONDS, sub { -e $spare =~ s/\.1$/.drained/r }), "its journal is drained");
    ok(!-e $spare, "without the segment that was never entered");
    delivered($edge, "after the kill", \@ids);
};

subtest "Redis killed, restarted empty, and flushed" => sub {
    my $edge = AffiliateWire->new;
    $edge->load_start(2);
    for (1 .. 3) {
        sleep 0.3;
        $edge->stop("redis", "KILL");
        sleep 0.3;
        $edge->start_redis;
        ok($edge->await($SECONDS, sub { $edge->gauge("redis_connected") == 2 }), "reconnected");
        sleep 0.3;
        like($edge->redis_cli("FLUSHALL"), qr/OK/, "flushed");
    }
    my @ids = $edge->load_stop;
    delivered($edge, "after kills and flushes", \@ids);
    is($edge->counter("clicks_unrecorded"), 0, "no click was refused meanwhile");
};

subtest "Redis that hangs" => sub {
    my $edge = AffiliateWire->new;
    my @ids = $edge->clicks(10);
    my ($slowest, $socket) = (0, $edge->connect_http);
    kill STOP => $edge->{redis_pid};
    for (1 .. 300) {
        my $start = time;
        push @ids, $edge->click($socket);
        $slowest = time - $start if time - $start > $slowest;
        sleep 0.002;
    }
    cmp_ok($slowest, "<", 0.5, "requests do not notice");
    ok($edge->await(15, sub { $edge->gauge("redis_connected") == 0 }), "silence counts as broken");
    kill CONT => $edge->{redis_pid};
    delivered($edge, "after the pause", \@ids);
};

subtest "packs lost on the way" => sub {
    my $edge = AffiliateWire->new;
    my @ids = $edge->clicks(100);
    delivered($edge, "before", \@ids);
    $edge->consumer("drop 3");
    push @ids, $edge->clicks(2000);
    delivered($edge, "after three packs were lost", \@ids);
    is($edge->consumer("status")->{dropped}, 3, "they were lost");
    cmp_ok($edge->counter("rewinds"), ">=", 1, "the sender went back");

    # Nothing comes after these that the consumer could find out of order: the standing ack alone tells.
    my $rewinds = $edge->counter("rewinds");
    $edge->consumer("drop 1");
    push @ids, $edge->clicks(5);
    delivered($edge, "after the last pack was lost", \@ids);
    is($edge->consumer("status")->{dropped}, 4, "it was lost");
    cmp_ok($edge->counter("rewinds"), ">", $rewinds, "the sender noticed");
};

subtest "a restored database, a restarted consumer" => sub {
    my $edge = AffiliateWire->new;
    my @ids = $edge->clicks(300);
    delivered($edge, "before the backup", \@ids);
    $edge->consumer("backup");
    push @ids, $edge->clicks(300);
    delivered($edge, "after the backup", \@ids);

    kill KILL => $edge->workers; # their journals become orphans, drained before the restore
    ok($edge->await($SECONDS, sub { my @s = glob "$edge->{dir}/state/journal/*.drained"; @s >= 1 }), "an orphan is drained");
    $edge->consumer("restore");
    is(scalar($edge->applied), 300, "the database is back where it was");
    delivered($edge, "after the restore", \@ids);

    $edge->consumer("restart");
    push @ids, $edge->clicks(50);
    delivered($edge, "after a restart of the consumer", \@ids);
};

subtest "a full quota does not take what a restored database lacks" => sub {
    my $edge = AffiliateWire->new(workers => 1, journal => "traffic=16m money=16m retain=1h sync=100ms");
    my $drained = sub { scalar(my @s = glob "$edge->{dir}/state/journal/*.drained") };
    my (@ids, $refused);
    $edge->consumer("backup"); # of nothing
    for my $n (1 .. 11) { # more than a worker holds at a time
        push @ids, $edge->clicks(5);
        my ($old) = $edge->workers;
        kill KILL => $old;
        ok($edge->await($SECONDS, sub { my @w = $edge->workers; @w == 1 && $w[0] != $old }), "worker $n is dead") or return;
    }
    ok($edge->await($SECONDS, sub { $drained->() >= 11 }), "their journals are drained");
    delivered($edge, "before the restore", \@ids);

    $edge->consumer("drop 1000000");
    $edge->consumer("restore");
    ok($edge->await($SECONDS, sub { $edge->gauge("orphans") >= 8 }), "they are offered to the new life, as many as fit");
    my $socket = $edge->connect_http;
    my $agent = "x" x 400;
    my $text = "GET /c/abc?sub1=$agent&sub2=$agent&sub3=$agent HTTP/1.1\r\nHost: t\r\nUser-Agent: $agent\r\nReferer: http://$agent/\r\n\r\n";
    for (my $n = 1; $n < 40000 && !$refused; $n++) {
        my ($code, $body, $head) = $edge->request($socket, $text);
        $refused = $edge->counter("clicks_unrecorded") if $n % 500 == 0;
    }
    ok($refused, "the quota is reached");
    $edge->consumer("drop 0");
    my %applied;
    $edge->await($SECONDS, sub { %applied = map { $_ => 1 } $edge->applied; !grep { !$applied{$_} } @ids });
    is(scalar(grep { !$applied{$_} } @ids), 0, "what was only in drained journals is there again");
};

subtest "conversions are on disk before they are answered, and shipped at once" => sub {
    my $edge = AffiliateWire->new;
    my ($id) = $edge->clicks(1);
    my $start = time;
    for my $i (1 .. 20) {
        my ($code) = $edge->convert($id, "t$i");
        is($code, 200, "conversion $i is accepted") if $i == 1 || $code != 200;
    }
    diag sprintf "20 conversions one after the other: %.1f ms each", (time - $start) * 50;
    ok($edge->await($SECONDS, sub { 20 == grep { /^money/ } $edge->applied }), "all are there");
    is($edge->status->{gauges}{syncs_waiting}, 0, "nobody waits");
    is($edge->counter("sync_errors"), 0, "no sync failed");
};

subtest "a full quota" => sub {
    my $edge = AffiliateWire->new(workers => 1, journal => "traffic=16m money=16m retain=1h sync=100ms");
    my ($first) = $edge->clicks(1);
    $edge->consumer("pause");
    my ($answered, @ids) = (0, $first);
    my $socket = $edge->connect_http;
    my $agent = "x" x 400;
    my $text = "GET /c/abc?sub1=$agent&sub2=$agent&sub3=$agent HTTP/1.1\r\nHost: t\r\nUser-Agent: $agent\r\nReferer: http://$agent/\r\n\r\n";
    while ($answered < 40000 && ($answered % 500 || $edge->counter("clicks_unrecorded") < 100)) {
        my ($code, $body, $head) = $edge->request($socket, $text);
        is($code, 302, "a click is redirected all the same") if $code != 302;
        $answered++;
        push @ids, $1 if $head =~ /cid=([\w-]{40})/;
    }
    my $c = $edge->status->{counters};
    cmp_ok($c->{clicks_unrecorded}, ">=", 100, "$answered clicks filled 16 MiB");
    is($c->{dropped_traffic}, $c->{clicks_unrecorded}, "the refused are counted");
    is(($edge->convert($first, "x"))[0], 200, "traffic has not used up the room of money");
    cmp_ok($edge->gauge("traffic_bytes"), "<=", 16 << 20, "the quota holds");

    $edge->consumer("resume");
    my ($recorded, $again) = $edge->counter("clicks");
    ok($edge->await($SECONDS, sub { $edge->consumer("status")->{applied} == $recorded + 1 }), "what was recorded is delivered");
    ok($edge->await($SECONDS, sub { ($again) = $edge->clicks(1); $edge->counter("clicks") > $recorded }), "acked segments made room");
    my %applied = map { $_ => 1 } $edge->applied;
    is(scalar(grep { $applied{$_} } @ids), $recorded, "recorded clicks are there, refused ones have ids of their own");
};

subtest "what is acked is deleted after its time" => sub {
    my $edge = AffiliateWire->new(journal => "traffic=16m money=16m retain=2s sync=100ms");
    my @ids = $edge->clicks(50);
    my ($pid) = $edge->workers;
    kill KILL => $pid;
    my $deleted = $edge->await($SECONDS, sub { $edge->counter("journals_deleted") >= 2 });
    ok($deleted, "the orphans are gone");
    delivered($edge, "before that", \@ids);
    my @left = glob "$edge->{dir}/state/journal/*.drained";
    is(scalar(@left), 0, "and so are their sidecars");
};

subtest "what is no journal, and a journal that two machines write" => sub {
    my $edge = AffiliateWire->new(workers => 1);
    my @ids = $edge->clicks(20);
    delivered($edge, "before", \@ids);
    my $file = "$edge->{dir}/state/journal/" . ("ab" x 16) . ".0";
    open my $out, ">", $file or die $!;
    print $out "no journal" x 1000;
    close $out;
    chown((getpwnam("www-data"))[2, 3], $file) if $> == 0;
    ok($edge->await($SECONDS, sub { -e "$file.bad" }), "a file that is no journal is set aside");
    ok(!-e $file, "under another name");
    cmp_ok($edge->counter("journals_quarantined"), ">=", 1, "and counted");

    my %before = map { $_ => 1 } glob "$edge->{dir}/state/journal/*.0";
    my @hex = map { m{([0-9a-f]{32})\.0$} } keys %before;
    $edge->consumer("fork $_") for @hex;
    ok($edge->await($SECONDS, sub { $edge->counter("journals_forked") == 2 }), "both journals are set aside");
    my @more = $edge->clicks(20);
    ok($edge->await($SECONDS, sub { my %a = map { $_ => 1 } $edge->applied; !grep { !$a{$_} } @more }), "clicks go on in new ones");
};

subtest "a Redis that refuses" => sub {
    my $edge = AffiliateWire->new(workers => 1);
    my @ids = $edge->clicks(10);
    delivered($edge, "before", \@ids);
    $edge->redis_cli("CONFIG", "SET", "maxmemory", "1");
    push @ids, $edge->clicks(10);
    ok($edge->await($SECONDS, sub { $edge->counter("redis_errors") >= 2 }), "-OOM counts as broken");
    like($edge->error_log, qr/affiliate: redis .*: OOM/, "and is said");
    cmp_ok($edge->counter("redis_errors"), "<", 50, "with pauses between the tries");
    $edge->redis_cli("CONFIG", "SET", "maxmemory", "0");
    delivered($edge, "after it took data again", \@ids);
};

subtest "a disk that cannot sync" => sub {
    my $edge = AffiliateWire->new(workers => 1, preload => AffiliateWire::tool("fail_sync.so"));
    my ($id) = $edge->clicks(1);
    is(($edge->convert($id, "good"))[0], 200, "a conversion");
    open my $broken, ">", "$edge->{dir}/disk-is-broken" or die $!;
    is(($edge->convert($id, "bad$_"))[0], 503, "no conversion is accepted that may be lost") for 1 .. 3;
    cmp_ok($edge->counter("sync_errors"), ">=", 1, "counted");
    is(scalar(() = $edge->clicks(5)), 5, "clicks go on");
    unlink "$edge->{dir}/disk-is-broken";
    ok($edge->await($SECONDS, sub { ($edge->convert($id, "again"))[0] == 200 }), "it goes on in a new journal");
    ok($edge->await($SECONDS, sub { grep { /^money/ } $edge->applied }), "and is shipped");
};

subtest "everything killed, and a hole in what was left" => sub {
    my $edge = AffiliateWire->new(workers => 1);
    my @ids = $edge->clicks(50);
    delivered($edge, "before", \@ids);
    $edge->consumer("pause");
    push @ids, $edge->clicks(400);
    my ($worker) = $edge->workers;
    $edge->stop("nginx", "KILL");
    kill KILL => $worker;
    ok($edge->await($SECONDS, sub { !kill 0 => $worker }), "master and worker are dead");

    my ($file) = sort { -s $b <=> -s $a } grep { -s $_ && `head -c 100000 $_ | grep -ac one-that-clicks` > 0 } glob "$edge->{dir}/state/journal/*.0";
    open my $disk, "+<:raw", $file or die $!;
    seek $disk, 4096 + 12000, 0;
    print $disk "\0" x 4096;
    close $disk;
    $edge->redis_cli("FLUSHALL"); # it had most of them already
    $edge->start_nginx;
    $edge->consumer("resume");
    ok($edge->await($SECONDS, sub { my $s = $edge->consumer("status"); $s->{applied} + $s->{lost} == 450 }), "what is there arrives, what is not is named");
    my $s = $edge->consumer("status");
    cmp_ok($s->{lost}, ">", 5, "$s->{lost} records lay in the hole");
    cmp_ok($s->{lost}, "<", 80, "and not more");
    is($s->{gaps}, 1, "one gap");
    my %id = map { $_ => 1 } @ids;
    is(scalar(grep { !$id{$_} } $edge->applied), 0, "all the others are right");
};

subtest "an end does not wait for Redis" => sub {
    my $edge = AffiliateWire->new;
    my @ids = $edge->clicks(10);
    kill STOP => $edge->{redis_pid};
    push @ids, $edge->clicks(100);
    my $start = time;
    $edge->stop("nginx", "QUIT");
    cmp_ok(time - $start, "<", 2, "nginx ends at once");
    kill CONT => $edge->{redis_pid};
    $edge->start_nginx;
    delivered($edge, "after the start", \@ids);
};

subtest "the snapshot comes by the wire" => sub {
    my $edge = AffiliateWire->new(snapshot => "redis");
    my $dir = $edge->{dir};
    my $location = sub { my ($code, $body, $head) = $edge->get("/c/$_[0]"); return $head =~ /\r\nLocation: (\S+?)[?\r]/ ? $1 : $code };
    is($location->("abc"), 503, "no snapshot yet");

    my $many = join "", map { "link " . (1000 + $_) . " 1 1 1 code$_ https://shop.example/$_/" . ("x" x 100) . "\n" } 1 .. 20000;
    $edge->snapshot("$dir/one", 5, $edge->rows . $many);
    cmp_ok(-s "$dir/one", ">", 3 << 20, "a base of several chunks");
    my $start = time;
    $edge->publish(5, "$dir/one");
    ok($edge->await($SECONDS, sub { $location->("abc") eq "https://shop.example/land" }), "a base");
    diag sprintf "%.1f MiB live after %.0f ms", (-s "$dir/one") / (1 << 20), (time - $start) * 1000;
    ok($edge->await($SECONDS, sub { $location->("code777") =~ m{^https://shop.example/777/} }), "all of it, in whichever worker");

    $edge->snapshot("$dir/delta", 6, "link 7 1 1 1 abc https://shop.example/changed\n", "$dir/one");
    $edge->publish(6, "$dir/one", "$dir/delta");
    ok($edge->await($SECONDS, sub { $location->("abc") eq "https://shop.example/changed" }), "a delta on it");

    $edge->snapshot("$dir/two", 7, $edge->rows);
    $edge->publish(7, "$dir/two", "$dir/delta");
    ok($edge->await($SECONDS, sub { $location->("code777") eq "404" }), "another base");
    ok($edge->await($SECONDS, sub { $location->("abc") eq "https://shop.example/land" }), "the old delta is not on it");
    ok($edge->await($SECONDS, sub { $edge->counter("snapshots_refused") >= 1 }), "and is refused");

    open my $bad, "+<:raw", "$dir/one" or die $!;
    seek $bad, 100000, 0;
    print $bad "garbage";
    close $bad;
    my $refused = $edge->counter("snapshots_refused");
    $edge->publish(8, "$dir/one");
    ok($edge->await($SECONDS, sub { $edge->counter("snapshots_refused") == $refused + 1 }), "a damaged one is refused");
    sleep 1;
    is($edge->counter("snapshots_refused"), $refused + 1, "once");
    is($location->("abc"), "https://shop.example/land", "the last good one stays");

    $edge->snapshot("$dir/delta2", 9, "link 7 1 1 1 abc https://shop.example/nine\n", "$dir/two");
    $edge->publish(9, "$dir/two", "$dir/delta2");
    ok($edge->await($SECONDS, sub { $location->("abc") eq "https://shop.example/nine" }), "and the next good one is taken");
    $edge->publish(10, "$dir/two");
    # a worker that has not loaded it yet answers as if it were gone: the folder says when it is
    ok($edge->await($SECONDS, sub { !-e "$dir/state/snapshot/delta" }), "a delta that is withdrawn goes");
    ok($edge->await($SECONDS, sub { $location->("abc") eq "https://shop.example/land" }), "with what it said");

    $edge->redis_cli("FLUSHALL");
    kill KILL => $edge->workers;
    ok($edge->await($SECONDS, sub { eval { $location->("abc") eq "https://shop.example/land" } }), "new workers start from the folder");
};

done_testing;
