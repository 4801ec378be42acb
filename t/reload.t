#!/usr/bin/perl

# What a reload may change: the number of workers, the folder, the user, the key ring's file, the zone.
#
# Guards against journals that nobody ships after a change of folder or user, without a word in the log; and against
# a reload that fails and takes the running configuration with it.

use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use Test::More;

use AffiliateWire;

my $SECONDS = 20;
my $edge = AffiliateWire->new;
my $dir = $edge->{dir};

# New workers, none of the old.
sub reload {
    my ($what) = @_;
    my %old = map { $_ => 1 } $edge->workers;
    $edge->write_conf;
    kill HUP => $edge->{nginx_pid};
    ok($edge->await($SECONDS, sub { my @w = $edge->workers; @w == $edge->{workers} && !(grep { $old{$_} } @w) && !(grep { kill 0, $_ } keys %old) }),
        "$what: new workers");
}

sub arrived {
    my ($what, @ids) = @_;
    my %applied;
    ok($edge->await($SECONDS, sub { %applied = map { $_ => 1 } $edge->applied; !grep { !$applied{$_} } @ids }), "$what: all clicks arrived")
        or diag scalar(grep { !$applied{$_} } @ids) . " of " . @ids . " did not";
}

my @ids = $edge->clicks(50);
for my $workers (4, 1, 3) {
    $edge->{workers} = $workers;
    reload("$workers workers");
    push @ids, $edge->clicks(20);
}
ok($edge->await($SECONDS, sub { $edge->status->{snapshot_version} > 0 && @{ $edge->status->{workers} } == 3 }), "the status page has three");
arrived("after changed numbers of workers", @ids);
unlike($edge->error_log, qr/\[alert\]/, "nothing to complain of");

# ---- another folder ----

$edge->stop("redis", "KILL"); # what is recorded now cannot be shipped
my @stranded = $edge->clicks(30);
mkdir "$dir/elsewhere";
chown((getpwnam("www-data"))[2, 3], "$dir/elsewhere") if $> == 0;
$edge->{state} = "$dir/elsewhere";
reload("another folder");
like($edge->error_log, qr{\[alert\] .*"affiliate_state" was "$dir/state" and is "$dir/elsewhere": .* affiliated drain $dir/state}, "is said, with what helps");
push @ids, $edge->clicks(10);
$edge->start_redis;
arrived("in the new folder", @ids);
my %applied = map { $_ => 1 } $edge->applied;
is(scalar(grep { $applied{$_} } @stranded), 0, "what is in the old one waits");

$edge->{state} = "$dir/state";
reload("back to the old folder");
arrived("from the old folder, once it is used again", @ids, @stranded);

# ---- what is refused leaves everything as it was ----

for my $wrong ("affiliate_zone affiliate:1k;", "affiliate_state $dir/other;", "affiliate_nonsense on;") {
    $edge->{http} = $wrong;
    $edge->write_conf;
    kill HUP => $edge->{nginx_pid};
    ok($edge->await($SECONDS, sub { $edge->error_log =~ /\[emerg\] .*\Q@{[$wrong =~ m{^(\w+)}]}\E/ }), "refused: $wrong");
    push @ids, $edge->clicks(3);
}
$edge->{http} = "affiliate_zone wire:1m links=7;";
reload("another zone");
my @before = $edge->clicks(5);
$edge->{http} = "affiliate_zone wire:1m links=8;";
$edge->write_conf;
kill HUP => $edge->{nginx_pid};
ok($edge->await($SECONDS, sub { $edge->error_log =~ /\[emerg\] .*"affiliate_zone" "wire" was made with links=7: to change that/ }),
    "refused: another number of links in the same zone");
is($edge->counter("clicks"), 5, "the counters go on");
$edge->{http} = "affiliate_zone wire:2m links=8;";
reload("and another size");
is($edge->counter("clicks"), 0, "counters begin anew");
push @ids, @before;
arrived("after changed zones", @ids);

# ---- another user ----

SKIP: {
    skip "another user needs root", 6 if $> != 0;
    my ($uid, $gid) = (getpwnam("nobody"))[2, 3];
    $edge->{user} = "user nobody " . getgrgid($gid) . ";";
    reload("another user");
    like($edge->error_log, qr{\[alert\] .*"user" was "www-data" and is "nobody", .*: chown -R nobody $dir/state}, "is said, with what helps");
    like($edge->error_log, qr{\[alert\] .*"$dir/state/journal" cannot be opened by worker processes: nothing can be recorded}, "by workers too");
    my @unrecorded = $edge->clicks(5);
    is($edge->counter("clicks_unrecorded"), 5, "clicks are answered, unrecorded");
    system("chown", "-R", "nobody", "$dir/state") == 0 or die "chown";
    reload("given to the new one");
    push @ids, $edge->clicks(5);
    arrived("after that", @ids);
}
done_testing;
