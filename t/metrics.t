# What Prometheus reads from the status page.
#
# Guards against text that Prometheus refuses or its linter frowns at (the rules of `promtool check metrics`, which
# is asked itself where it is installed), against a counter without its sample, against numbers that differ from what was
# done, and against links without bound.
use lib 't/lib';
use TestAffiliate;

our ($nginx_version) = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/([\d.]+)};
our $click = click_id(11, now_ms() - 60000, 1);

# Parses and judges; returns the samples by name and labels.
sub judge {
    my ($text) = @_;
    my (%help, %type, %sample, $family, @wrong);
    push @wrong, 'the last line is not ended' if $text !~ /\n\z/;
    for my $line (split /\n/, $text) {
        if ($line =~ /^# HELP (\S+) (.+)$/) {
            push @wrong, "$1: HELP twice" if $help{$1}++;
            $family = $1;
        } elsif ($line =~ /^# TYPE (\S+) (counter|gauge)$/) {
            push @wrong, "$1: TYPE without HELP before it" if $1 ne ($family // '');
            $type{$1} = $2;
        } elsif ($line =~ /^([a-z][a-z0-9_]*)(?:\{(.*)\})? (\d+(?:\.\d+)?)$/) {
            my ($name, $labels, $value) = ($1, $2 // '', $3);
            push @wrong, "$name: a sample outside its family" if $name ne ($family // '') || !$type{$name};
            push @wrong, "$name: labels $labels"
                if $labels ne '' && $labels !~ /^[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*$/;
            push @wrong, "$name\{$labels}: twice" if exists $sample{$name}{$labels};
            $sample{$name}{$labels} = $value;
        } else {
            push @wrong, "no line of the format: $line";
        }
    }
    for my $name (keys %type) {
        my $counter = $type{$name} eq 'counter';
        push @wrong, "$name: no sample" if !$sample{$name};
        push @wrong, "$name: ours begin with affiliate_" if $name !~ /^affiliate_/;
        push @wrong, "$name: counters, and they alone, end with _total" if $counter != ($name =~ /_total$/);
        push @wrong, "$name: ends as a histogram's part" if $name =~ /_(?:count|sum|bucket)$/;
        push @wrong, "$name: says its type" if $name =~ /(?:^|_)(?:counter|gauge|histogram|summary)(?:_|$)/;
        push @wrong, "$name: no base unit"
            if $name =~ /_(?:ms|us|ns|milliseconds|microseconds|minutes|hours|days|kb|mb|kilobytes|megabytes|bits|percent)(?:_|$)/;
    }
    return (\%sample, \@wrong);
}

sub metrics {
    return judge(get('/status?format=prometheus'));
}

# 0, or what promtool says; where there is none, nothing is said.
sub promtool {
    my ($text) = @_;
    return '' if !grep { -x "$_/promtool" } split /:/, $ENV{PATH};
    my $file = "$ENV{TEST_NGINX_ROOT}/metrics";
    open my $f, '>', $file or die "$file: $!";
    print $f $text;
    close $f;
    return `promtool check metrics <$file 2>&1`;
}

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: clean, complete, and as the JSON says
--- http
affiliate_edge say"\\hi;
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/nosuch", "GET /c/paused", "GET /postback", "GET /postback?click_id=$::click", "GET /status?format=prometheus"]
--- more_headers eval
["X-Api-Key: ak_advertiser", "Sec-Purpose: prefetch", "", "", "", "X-Api-Key: ak_advertiser", "X-Api-Key: none"]
--- error_code eval
[302, 302, 404, 302, 401, 200, 200]
--- response_headers eval
["", "", "", "", "", "", "Content-Type: text/plain; version=0.0.4; charset=utf-8"]
--- finally eval
sub {
    ::wait_for('gauges of now', sub { my $g = ::status()->{gauges}; $g->{records_pending} == 5 && $g->{traffic_bytes} > 0 });
    my $text = ::get('/status?format=prometheus');
    my ($sample, $wrong) = ::judge($text);
    ::is_deeply($wrong, [], 'clean');
    ::is(::promtool($text), '', 'promtool says nothing');

    my $status = ::status();
    for my $name (keys %{ $status->{counters} }) {
        ::is($sample->{"affiliate_${name}_total"}{''}, $status->{counters}{$name}, "$name is there and agrees");
    }
    for my $name (keys %{ $status->{gauges} }) {
        ::is($sample->{"affiliate_$name"}{''}, $status->{gauges}{$name}, "$name is there and agrees");
    }
    ::is($sample->{affiliate_click_verdicts_total}{"verdict=\"$_\""}, $status->{verdicts}{$_}, "verdict $_")
        for keys %{ $status->{verdicts} };

    ::is($sample->{affiliate_clicks_total}{''}, 3, 'clicks');
    ::is($sample->{affiliate_click_verdicts_total}{'verdict="prefetch"'}, 1, 'a prefetch');
    ::is($sample->{affiliate_click_verdicts_total}{'verdict="paused"'}, 1, 'a paused link');
    ::is($sample->{affiliate_click_verdicts_total}{'verdict="bot"'}, 0, 'what did not happen is 0, not absent');
    ::is_deeply($sample->{affiliate_link_clicks_total}, { 'link="11"' => 2, 'link="12"' => 1, 'link="other"' => 0 },
        'clicks by link');
    ::is_deeply($sample->{affiliate_link_uncounted_clicks_total}, { 'link="11"' => 1, 'link="other"' => 0 },
        'of them nobody\'s visits');
    ::is($sample->{affiliate_refusals_total}{'code="key_missing"'}, 1, 'a refusal by its code');
    ::is($sample->{affiliate_edge_info}{qq(edge="say\\"\\\\hi",nginx="$::nginx_version")}, 1, 'the edge by name');
    ::is($sample->{affiliate_workers}{''}, 1, 'one worker');
    ::is($sample->{affiliate_snapshot_version}{''}, 5, 'version of the snapshot');
    ::cmp_ok($sample->{affiliate_snapshot_checked_age_seconds}{''}, '<', 5, 'a fixed file is looked at');
}



=== TEST 2: links beyond the table are counted together
--- http_config eval
qq{
    affiliate_state \$TEST_NGINX_STATE;
    affiliate_key_file \$TEST_NGINX_ROOT/edge.key;
    affiliate_snapshot \$TEST_NGINX_ROOT/two;
    affiliate_zone links_2:512k links=2;
}
--- before eval
sub { ::snapshot('two', 5, CORE::join("\n", @::ROWS)); ::snapshot('two-again', 6, CORE::join("\n", @::ROWS)) }
--- request eval
["GET /c/spring", "GET /c/autumn", "GET /c/dollars", "GET /c/nine", "GET /c/spring", "GET /c/nine"]
--- error_code eval
[302, 302, 302, 302, 302, 302]
--- finally eval
sub {
    my ($sample) = ::metrics();
    my $links = $sample->{affiliate_link_clicks_total};
    ::is(scalar keys %$links, 3, 'two links and the others');
    ::is($links->{'link="11"'}, 2, 'the first have their places');
    ::is($links->{'link="other"'}, 3, 'the rest are others');

    rename "$ENV{TEST_NGINX_ROOT}/two-again", "$ENV{TEST_NGINX_ROOT}/two" or die $!;
    ::wait_for('another snapshot', sub { ::status()->{snapshot_version} == 6 });
    ::get('/c/spring');
    ($sample) = ::metrics();
    ::is($sample->{affiliate_link_clicks_total}{'link="11"'}, 3, 'counted on after a new snapshot');
}



=== TEST 3: no table at all
--- http_config eval
qq{
    affiliate_state \$TEST_NGINX_STATE;
    affiliate_key_file \$TEST_NGINX_ROOT/edge.key;
    affiliate_snapshot \$TEST_NGINX_ROOT/two;
    affiliate_zone links_0:512k links=0;
}
--- request eval
["GET /c/spring", "GET /c/autumn"]
--- error_code eval
[302, 302]
--- finally eval
sub {
    my ($sample) = ::metrics();
    ::is_deeply($sample->{affiliate_link_clicks_total}, { 'link="other"' => 2 }, 'all are others');
}



=== TEST 4: what waits is seen, and how long
--- request eval
["GET /c/spring", "GET /c/spring"]
--- error_code eval
[302, 302]
--- finally eval
sub {
    ::wait_for('an age', sub { ::status()->{oldest_pending_age_ms} > 1000 });
    my ($sample) = ::metrics();
    ::is($sample->{affiliate_records_pending}{''}, 2, 'both wait');
    ::cmp_ok($sample->{affiliate_oldest_pending_age_seconds}{''}, '>=', 1, 'for a second already');
    ::cmp_ok($sample->{affiliate_oldest_pending_age_seconds}{''}, '<=', $sample->{affiliate_uptime_seconds}{''} + 1,
        'no longer than nginx runs');
    ::cmp_ok($sample->{affiliate_last_ack_age_seconds}{''}, '>=', 1, 'nobody acknowledged');
    ::is($sample->{affiliate_redis_connected}{''}, 0, 'no Redis');
}



=== TEST 5: formats
--- request eval
["GET /status?format=json", "GET /status?format=prometheus", "HEAD /status?format=prometheus", "GET /status?format=xml", "GET /status?format="]
--- error_code eval
[200, 200, 200, 400, 400]
--- response_headers eval
["Content-Type: application/json", "Cache-Control: no-store", "Content-Type: text/plain; version=0.0.4; charset=utf-8", "", ""]



=== TEST 6: a database far behind is said, with what can be seen of the cause
--- http
affiliate_redis 127.0.0.1:1;
--- before eval
sub { ::journal('dead', ::now_ms() - 3600_000) }
--- error_code: 302
--- finally eval
sub {
    ::wait_for('the age of an orphan', sub { ::status()->{oldest_pending_age_ms} >= 3600_000 });
    ::cmp_ok(::status()->{oldest_pending_age_ms}, '<', 3660_000, 'an hour');
}
--- said
affiliate: the database is 36\d\d s behind, \d+ records of this worker wait: Redis is not connected
affiliate: redis "127.0.0.1:1": .*; journals keep what is recorded
