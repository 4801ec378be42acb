#!/usr/bin/perl
# suite.pl NAME FILE...: runs TAP tests (executables, or Perl's *.t), shows failures, and appends
# "NAME passed failed skipped seconds" to $SUITE_RESULTS.  A file that dies, times out ($SUITE_TIMEOUT seconds)
# or breaks its plan counts as one failure more.  What a test writes to standard error is kept in $SUITE_LOGS and
# shown when it fails.  $SUITE_JOBS run at a time; where $TEST_NGINX_SERVROOT is set, each has a folder below it and a port
# of its own.
use strict;
use warnings;
use IO::Socket::INET;
use TAP::Harness;
use File::Path 'make_path';
use Time::HiRes 'time';

my ($name, @files) = @ARGV;
my $timeout = $ENV{SUITE_TIMEOUT} // 600;
my $started = time;
my $logs    = "$ENV{SUITE_LOGS}/$name";
make_path($logs);

my $harness = TAP::Harness->new({
    jobs     => $ENV{SUITE_JOBS} // 1,
    merge    => 0,
    failures => 1,
    comments => $ENV{SUITE_COMMENTS} // 0,
    timer    => 1,
    exec     => sub {
        my (undef, $file) = @_;
        my @interpreter = -x $file ? () : ($^X, '-It/lib');
        return ['env', nginx_of($file), 'sh', '-c', 'log=$1; shift; exec "$@" 2>"$log"', 'sh', log_of($file),
                'timeout', '-k', '10', $timeout, @interpreter, $file =~ m{/} ? $file : "./$file"];
    },
});
my $aggregate = $harness->runtests(@files);

my ($passed, $failed, $skipped) = (0, 0, 0);
for my $file ($aggregate->descriptions) {
    my ($parser) = $aggregate->parsers($file);
    my $bad = $parser->failed;
    $bad++ if $parser->has_problems && !$bad;
    my $none = $parser->skip_all ? 1 : 0;
    $skipped += $parser->skipped + $none;
    $passed  += $parser->passed - $parser->skipped;
    $failed  += $bad;
    print "---- standard error of $file\n", tail(log_of($file), 60) if $bad;
}
open my $results, '>>', $ENV{SUITE_RESULTS} or die "\$SUITE_RESULTS: $!";
printf $results "%s %d %d %d %.0f\n", $name, $passed, $failed, $skipped, time - $started;
close $results;
exit($failed ? 1 : 0);

# Test::Nginx's environment for one file.
sub nginx_of {
    my $root = $ENV{TEST_NGINX_SERVROOT} // return ();
    my $port = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport;
    my ($name) = $_[0] =~ m{([^/]+?)(?:\.t)?$};
    return ("TEST_NGINX_SERVROOT=$root/$name", "TEST_NGINX_PORT=$port");
}

sub log_of {
    my ($file) = @_;
    $file =~ s{.*/}{};
    return "$logs/$file.err";
}

sub tail {
    my ($file, $count) = @_;
    open my $in, '<', $file or return ();
    my @lines = <$in>;
    return @lines > $count ? @lines[-$count .. -1] : @lines;
}
