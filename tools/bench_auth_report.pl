#!/usr/bin/perl
# bench_auth_report.pl CHECKS REFUSALS: what a check costs among many, what a refusal costs, and the verdict.
use strict;
use warnings;
use JSON::PP;

my ($many_max, $refusal_max) = (1.10, 1.30); # of the instructions among few, and of those of `return 403`
my ($checks_file, $refusals_file) = @ARGV;
my @complaints;

printf "%-10s %-10s %-10s %12s %8s %10s %10s %10s\n", qw(keys ranges users Ir/check ratio check_ns build_ms open_ms);
my $few;
for (lines($checks_file)) {
    my (undef, undef, $instructions, $json) = split ' ', $_, 4;
    my $run = decode_json($json);
    $few //= $instructions;
    my $ratio = $instructions / $few;
    printf "%-10d %-10d %-10d %12d %8.3f %10d %10d %10d\n", @$run{qw(keys ranges users)}, $instructions, $ratio,
        @$run{qw(check_ns build_ms open_ms)};
    push @complaints, sprintf('a check among %d keys and %d ranges costs %.3f x that among few, allowed are %.2f',
        @$run{qw(keys ranges)}, $ratio, $many_max) if $ratio > $many_max;
}

my @refusals = map { [split] } lines($refusals_file);
my %instructions = map { @$_ } @refusals;
my %title = ('return/-' => 'return 403', 'again/-' => 'the same again (A/A)');
my %at = (lead => 'lead', guarded => 'auth');
printf "\n%-24s %12s %8s\n", '', 'Ir/request', 'ratio';
for (@refusals) {
    my ($variant, $count) = @$_;
    my $ratio = $count / $instructions{'return/-'};
    printf "%-24s %12d %8.3f\n", $title{$variant} // $variant =~ s{(.*)/(.*)}{affiliate_$at{$1}, $2}r, $count, $ratio;
    push @complaints, sprintf('to refuse (%s) costs %.3f x the instructions of return 403, allowed are less than %.2f',
        $variant, $ratio, $refusal_max) if $ratio >= $refusal_max;
}

print "FAILED: $_\n" for @complaints;
print "passed: among many at most $many_max x, a refusal less than $refusal_max x return 403\n" unless @complaints;
exit(@complaints ? 1 : 0);

sub lines {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    return <$in>;
}
