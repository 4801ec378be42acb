#!/usr/bin/perl
# suite.pl NAME FILE...: runs TAP tests (executables, or Perl's *.t), shows failures, and appends
# "NAME passed failed skipped seconds" to $SUITE_RESULTS.  A file that dies, times out ($SUITE_TIMEOUT seconds)
# or breaks its plan counts as one failure more.
use strict;
use warnings;
use TAP::Harness;
use Time::HiRes 'time';

my ($name, @files) = @ARGV;
my $timeout = $ENV{SUITE_TIMEOUT} // 600;
my $started = time;

my $harness = TAP::Harness->new({
    jobs     => $ENV{SUITE_JOBS} // 1,
    merge    => 0,
    failures => 1,
    comments => $ENV{SUITE_COMMENTS} // 0,
    timer    => 1,
    exec     => sub {
        my (undef, $file) = @_;
        my @interpreter = -x $file ? () : ($^X, '-It/lib');
        return ['timeout', '-k', '10', $timeout, @interpreter, $file =~ m{/} ? $file : "./$file"];
    },
});
my $aggregate = $harness->runtests(@files);

my ($passed, $failed, $skipped) = (0, 0, 0);
for my $parser ($aggregate->parsers) {
    my $bad = $parser->failed;
    $bad++ if $parser->has_problems && !$bad;
    my $none = $parser->skip_all ? 1 : 0;
    $skipped += $parser->skipped + $none;
    $passed  += $parser->passed - $parser->skipped;
    $failed  += $bad;
}
open my $results, '>>', $ENV{SUITE_RESULTS} or die "\$SUITE_RESULTS: $!";
printf $results "%s %d %d %d %.0f\n", $name, $passed, $failed, $skipped, time - $started;
close $results;
exit($failed ? 1 : 0);
