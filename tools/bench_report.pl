#!/usr/bin/perl
# bench_report.pl CPU INSTRUCTIONS STATS: medians, ratios to `return 302` of the same round, and the verdict.
use strict;
use warnings;
use JSON::PP;

# Instructions against those of `return 302` in the same run.
my %ratio_max = (click => 1.22, known => 1.45);

my ($cpu_file, $instructions_file, $stats_file) = @ARGV;
my %title = (return => 'return 302', again => 'the same again (A/A)', combined => '302 + buffered combined log',
             log => '302 + log of the same facts', click => 'full click, shipped',
             known => '... geo, device, bots known');

my (%cpu, %rate, %ratio);
for (lines($cpu_file)) {
    my ($round, $variant, undef, $us, $per_s) = split;
    $cpu{$variant}[$round] = $us;
    push @{ $rate{$variant} }, $per_s;
}
for my $variant (keys %cpu) {
    push @{ $ratio{$variant} }, map { $cpu{$variant}[$_] / $cpu{return}[$_] } 1 .. $#{ $cpu{return} };
}
my %instructions = map { split } lines($instructions_file);

printf "%-28s %10s %10s %22s %12s %8s\n", '', 'requests/s', 'CPU us', 'CPU ratio (min..max)', 'Ir/request', 'Ir ratio';
for my $variant (qw(return again combined log click known)) {
    my @ratios = sort { $a <=> $b } @{ $ratio{$variant} };
    printf "%-28s %10.0f %10.2f %8.3f (%.3f..%.3f)", $title{$variant}, median(@{ $rate{$variant} }),
        median(grep { defined } @{ $cpu{$variant} }), median(@ratios), $ratios[0], $ratios[-1];
    printf " %12d %8.3f", $instructions{$variant}, $instructions{$variant} / $instructions{return}
        if defined $instructions{$variant};
    print "\n";
}

my $stats = decode_json(join '', lines($stats_file));
my $landed = 0;
$landed += $_->{committed} for @{ $stats->{journals} };
print "clicks landed in the database: $landed\n";

my @complaints;
for my $variant (sort keys %ratio_max) {
    my $click = $instructions{$variant} / $instructions{return};
    push @complaints, sprintf('%s costs %.3f x the instructions of return 302, allowed are %.2f', $title{$variant}, $click,
        $ratio_max{$variant}) if $click > $ratio_max{$variant};
}
push @complaints, 'a click costs more instructions than logging the same' if $instructions{click} >= $instructions{log};
push @complaints, 'a click costs more CPU than logging the same'
    if median(@{ $ratio{click} }) >= median(@{ $ratio{log} });
print "FAILED: $_\n" for @complaints;
print "passed: at most $ratio_max{click} x return 302, $ratio_max{known} x with the visitor known, and cheaper than logging ",
    "the same\n" unless @complaints;
exit(@complaints ? 1 : 0);

sub lines {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    return <$in>;
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    my $middle = int(@sorted / 2);
    return @sorted % 2 ? $sorted[$middle] : ($sorted[$middle - 1] + $sorted[$middle]) / 2;
}
