# TestAffiliate.pm - the defaults of every suite in t/.
#
# A block gets, unless it says otherwise: a state folder of its own, the fixture's keys, a snapshot of @ROWS as
# a fixed file, the three usual locations, and an access log of our variables.  Sections of our own:
#
#   --- rows        rows of the snapshot in place of the usual ones (see t/tools/fixture.c)
#   --- http        more for http{}, after the defaults;  http_config replaces them all
#   --- events      what the journals hold after the last request: one JSON object a line, in order of the journals'
#                   kind and sequence; a member that is absent here is not compared, null means absent there,
#                   and "~..." is a regular expression.  Other events than these are a failure.
#                   The API log's lines are not among them:
#   --- calls       the same of these, in the order in which they were written
#   --- log         regular expressions for the last lines of the access log, one each
#   --- said        regular expressions that the error log matches after the last request, one a line
#   --- detect      affiliate_detect stays on, as it is by default: blocks' requests have no User-Agent
#   --- click_id    JSON: what the click id in the last line of the access log says
#   --- before      Perl to run before nginx starts (eval section: a sub)
#   --- after       Perl to run after the first request (eval section: a sub)
#   --- finally     Perl to run after the last request (eval section: a sub)
#
# In configuration $TEST_NGINX_ROOT is the fixture's folder, $TEST_NGINX_STATE the state folder, and
# $TEST_NGINX_SNAPSHOT the snapshot's name in the fixture's folder.
package TestAffiliate;

use Test::Nginx::Socket -Base;
use Cwd ();
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes ();

our @EXPORT = qw(mmdb ask calls click_id cookie events form_row form_token get journal now_ms pass_for rules snapshot status wait_for went
    @ROWS);

our @ROWS = (
    'program 7 1 1 30 EUR https://shop.example/gone?from={link}',
    'program 8 1 1 0 USD -',
    'program 9 2 1 30 EUR https://nine.example/',
    'campaign 3 7 1 Spring+Sale -',
    'campaign 4 7 2 Autumn https://shop.example/autumn?c={campaign}&cid={click_id}',
    'campaign 5 8 1 Dollars -',
    'campaign 6 8 2 Nowhere -',
    'campaign 7 9 1 Paused+program -',
    'affiliate 5 2 Ann',
    'affiliate 6 1 Pending+Pete',
    'affiliate 7 3 Suspended+Sue',
    'affiliate 8 4 Terminated+Tom',
    'link 11 3 5 1 spring https://shop.example/?cid={click_id}&s={sub1}',
    'link 12 3 5 2 paused https://shop.example/paused?cid={click_id}',
    'link 13 4 5 1 autumn https://shop.example/never',
    'link 14 5 5 1 dollars https://dollars.example/?cid={click_id}',
    'link 15 6 5 1 nowhere https://nowhere.example/',
    'link 16 3 6 1 pending https://shop.example/?cid={click_id}',
    'link 17 3 7 1 suspended https://shop.example/?cid={click_id}',
    'link 18 3 8 1 terminated https://shop.example/?cid={click_id}',
    'link 19 3 5 3 expired https://shop.example/?cid={click_id}',
    'link 20 3 5 4 archived https://shop.example/?cid={click_id}',
    'link 21 7 5 1 nine https://nine.example/?cid={click_id}',
    'link 30 3 5 1 macros https://shop.example/{affiliate_id}/{affiliate}/{campaign}/{link}?s1={sub1}&s10={sub10}'
        . '&so={source}&cr={creative}&ref={ref_id}&co={country}&l={language}&ip={ip}&raw={_sub2}&none={nonsense}',
    'link 31 3 5 1 clock https://shop.example/?t={timestamp}&r={random}',
    'link 32 3 5 1 ' . ('x' x 64) . ' https://shop.example/longest',
    # keys of API users: user, program, affiliate, state, role, scopes, expiry, text
    'key 91 7 0 1 2 1 0 ak_advertiser',
    'key 92 7 0 1 2 31 4102444800000 ak_all_scopes',
    'key 93 7 0 2 2 1 0 ak_paused',
    'key 94 7 0 4 2 1 0 ak_revoked',
    'key 95 7 0 1 2 1 1600000000000 ak_expired',
    'key 96 7 5 1 1 31 0 ak_affiliate',
    'key 97 7 0 1 2 16 0 ak_stats_only',
    'key 98 8 0 1 2 1 0 ak_dollars',
    'key 99 99 0 1 2 1 0 ak_no_program',
);

my $repository = Cwd::abs_path(Cwd::cwd());
my $fixture = ($ENV{AFFILIATE_TOOLS} // "$repository/build/t") . '/fixture';
# outside the repository: the worker's user must reach it, whoever cloned and wherever
my $root = File::Temp::tempdir('affiliate-fixture.XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $json = JSON::PP->new->canonical;
my $blocks = 0;

my $run = sub {
    my ($input, @command) = @_;
    open my $in, '>', "$root/input" or die "$root/input: $!";
    print $in $input;
    close $in;
    my $output = `@{[ join ' ', map { "'$_'" } @command ]} <'$root/input'`;
    die "@command failed" if $? != 0;
    return $output;
};

my $build = sub {
    my $core = "$repository/tracker-core";
    system('make', '-s', '-C', $core, 'O=../build/core', 'lib') == 0 or die 'libtracker.a cannot be built';
    my $library = "$repository/build/core/libtracker.a";
    my $source = "$repository/t/tools/fixture.c";
    return if -x $fixture && -M $fixture < -M $source && -M $fixture < -M $library;
    File::Path::make_path("$repository/build/t");
    system('gcc', qw(-std=gnu11 -Wall -Wextra -Werror -O1 -g -D_GNU_SOURCE), "-I$core/include", "-I$core/src",
        '-o', $fixture, $source, $library, qw(-ljansson -lpcre2-8 -lsodium -lcrypto)) == 0 or die 'fixture.c cannot be built';
};

$build->() if !defined $ENV{AFFILIATE_TOOLS};
chmod 0755, $root;
$run->('', $fixture, 'keys', "$root/edge.key");
$ENV{TEST_NGINX_ROOT} = $root;

if ($> == 0) {
    $ENV{TEST_NGINX_WORKER_USER} //= 'nobody ' . getgrgid((getpwnam('nobody'))[3]);
    $Test::Nginx::Util::WorkerUser = $ENV{TEST_NGINX_WORKER_USER};
}
my $worker_user = $> == 0 ? (split ' ', $ENV{TEST_NGINX_WORKER_USER})[0] : (getpwuid($>))[0];

master_on();
workers(1);
no_long_string();
no_shuffle();
log_level('info');

# Times in ids are of the present: a cookie of the past would be evicted, a future one is refused.
sub now_ms() {
    return int(Time::HiRes::time() * 1000);
}

sub click_id($;$$$) {
    my ($link, $time_ms, $sequence, $key) = @_;
    my $id = $run->('', $fixture, 'make-id', "$root/edge.key", $link, $time_ms // now_ms() - 60000, $sequence // 1,
        $key // ());
    chomp $id;
    return $id;
}

# The value of a program's cookie.
sub cookie($$;$) {
    my ($program, $first, $last) = @_;
    return "aff_$program=$first." . ($last // $first);
}

# A form's token as if its page was shown then; 16 hex digits tell it from others.
sub form_token($;$$) {
    my ($form, $time_ms, $nonce) = @_;
    my $token = $run->('', $fixture, 'token', "$root/edge.key", $form, $time_ms // now_ms() - 60000,
        $nonce // '0123456789abcdef');
    chomp $token;
    return $token;
}

# A ticket (use 1) or an autologin (2): whose, until when in seconds, of which lead.
sub pass_for($$$$;$) {
    my ($use, $owner, $expires_s, $lead, $nonce) = @_;
    my $pass = $run->('', $fixture, 'pass', "$root/edge.key", $use, $owner, $expires_s, $lead,
        $nonce // '0123456789abcdef');
    chomp $pass;
    return $pass;
}

# A form's row: its fields as fixture.c takes them, and options (page, done, after...).  In texts ^ begins a mark.
sub form_row($$$$$$;@) {
    my ($id, $program, $affiliate, $state, $key, $fields, %options) = @_;
    my @words = ($id, $program, $affiliate, $state, $key, $json->encode($fields),
        map { "$_=$options{$_}" } sort keys %options);
    s/\^/\x01/g, s/([^A-Za-z0-9_.=-])/sprintf '%%%02X', ord $1/ge for @words;
    return join ' ', 'form', @words;
}

# A link's rules as a word of its row: an array as the API takes it.
sub rules(@) {
    my $text = $json->encode([@_]);
    $text =~ s/([^A-Za-z0-9_.-])/sprintf '%%%02X', ord $1/ge;
    return "rules=$text";
}

# Writes rows as a snapshot file under the fixture's folder; a base makes it a delta.
sub snapshot($$$;$) {
    my ($name, $version, $rows, $base) = @_;
    $run->("$rows\n", $fixture, 'snapshot', "$root/edge.key", "$root/$name", $version, $base ? "$root/$base" : ());
}

# What a worker that died left behind in the block's state folder: a journal with one click; its id.
sub journal($$) {
    my ($edge, $time_ms) = @_;
    my $folder = "$ENV{TEST_NGINX_STATE}/journal";
    my ($uid, $gid) = (getpwnam($worker_user))[2, 3];
    File::Path::make_path($folder, { mode => 0700 });
    my $id = $run->('', $fixture, 'journal', $folder, $edge, $time_ms);
    chown $uid, $gid, $ENV{TEST_NGINX_STATE}, $folder, glob "$folder/*";
    chomp $id;
    return $id;
}

# The body of the answer to a GET, on a connection of its own.
sub get($) {
    my ($uri) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => server_port()) or die "connect: $!";
    print $s "GET $uri HTTP/1.0\r\n\r\n";
    my $answer = do { local $/; <$s> };
    $answer =~ s/.*?\r\n\r\n//s;
    return $answer;
}

# Writes a MaxMind database under the fixture's folder, see t/tools/mmdb.pl; its path.
sub mmdb($$;$) {
    my ($name, $networks, $record_size) = @_;
    $run->("$networks\n", $^X, "$repository/t/tools/mmdb.pl", "$root/$name", $record_size // 24);
    return "$root/$name";
}

# The status page as a hash.
sub status() {
    return $json->decode(get('/status'));
}

sub wait_for($$) {
    my ($what, $condition) = @_;
    for (1 .. 200 * ($ENV{AFFILIATE_PATIENCE} // 1)) {
        return pass("awaited: $what") if $condition->();
        Time::HiRes::sleep(0.05);
    }
    fail("awaited: $what");
}

# A request of one's own beside the block's: its status, and its headers by lower-case name.
sub ask($@) {
    my ($path, @headers) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => server_port()) or die "connect: $!";
    print $s join "\r\n", "GET $path HTTP/1.1", 'Host: localhost', 'Connection: close', @headers, '', '';
    my $answer = do { local $/; <$s> };
    my ($head) = split /\r\n\r\n/, $answer;
    my ($line, @lines) = split /\r\n/, $head;
    return ((split / /, $line)[1], { map { /^([^:]+): (.*)$/ ? (lc $1, $2) : () } @lines });
}

# Where `count` clicks went, by the host's first label.
sub went($$@) {
    my ($path, $count, @headers) = @_;
    my %went;
    for (1 .. $count) {
        my ($status, $head) = ask($path, @headers);
        $went{($head->{location} // '') =~ m{^https://(\w+)\.} ? $1 : $status}++;
    }
    return join ' ', map { "$_=$went{$_}" } sort keys %went;
}

# What the journals hold: a hash an event.
my $records = sub {
    my $folder = "$ENV{TEST_NGINX_STATE}/journal";
    return sort { $a->{kind} cmp $b->{kind} || $a->{sequence} <=> $b->{sequence} }
        map { $json->decode($_) } split /\n/, -d $folder ? $run->('', $fixture, 'dump', "$root/edge.key", $folder) : '';
};

sub events() {
    return grep { $_->{type} ne 'api_call' } $records->();
}

sub calls() {
    return grep { $_->{type} eq 'api_call' } $records->();
}

# undef when equal, else what differs.
my $differs = sub {
    my ($got, $want) = @_;
    for my $name (sort keys %$want) {
        my ($g, $w) = ($got->{$name}, $want->{$name});
        if (ref $w eq 'HASH') {
            for my $n (sort keys %$w) {
                return "$name.$n" if !defined $g || !defined $g->{$n} || $g->{$n} ne $w->{$n};
            }
        } elsif (ref $w) {
            return "$name is " . $json->encode([$g]) if $json->encode([$g]) ne $json->encode([$w]);
        } elsif (!defined $w) {
            return "$name is there" if defined $g;
        } elsif (!defined $g) {
            return "$name is not there";
        } elsif ($w =~ /^~(.*)/s ? $g !~ /$1/s : $g ne $w) {
            return "$name is '$g'";
        }
    }
    return;
};

my $check_events = sub {
    my ($block, $text, $what, $found) = @_;
    my @want = map { $json->decode($_) } grep { /\S/ } split /\n/, $text;
    my @got = $found->();
    for (1 .. 100) { # the API log is written after the answer
        last if $what ne 'calls' || @got >= @want;
        Time::HiRes::sleep(0.02);
        @got = $found->();
    }
    is(scalar @got, scalar @want, $block->name . " - number of $what");
    for my $i (0 .. $#want) {
        my $wrong = defined $got[$i] ? $differs->($got[$i], $want[$i]) : 'missing';
        is($wrong, undef, $block->name . " - $what $i") or diag($json->encode($got[$i] // {}));
    }
};

my $log_lines = sub {
    my ($count) = @_;
    my @lines;
    for (1 .. 100) { # the log is written after the answer
        open my $log, '<', "$root/access.log" or die "$root/access.log: $!";
        @lines = <$log>;
        chomp @lines;
        last if @lines >= $count;
        Time::HiRes::sleep(0.02);
    }
    return @lines;
};

my $check_log = sub {
    my ($block) = @_;
    my @want = grep { /\S/ } split /\n/, $block->log;
    my @got = $log_lines->(scalar @want);
    @got = @got[-@want .. -1] if @got > @want;
    for my $i (0 .. $#want) {
        like($got[$i] // '', qr/$want[$i]/, $block->name . " - access log line $i");
    }
};

my $check_id = sub {
    my ($block) = @_;
    my ($id) = split / /, ($log_lines->(1))[-1];
    my $got = $json->decode($run->('', $fixture, 'id', "$root/edge.key", $id));
    is($differs->($got, $json->decode($block->click_id)), undef, $block->name . ' - click id') or diag($json->encode($got));
};

my $check_said = sub {
    my ($block) = @_;
    open my $log, '<', "$Test::Nginx::Util::ServRoot/logs/error.log" or die "error.log: $!";
    my $text = do { local $/; <$log> };
    like($text, qr/$_/, $block->name . ' - said in the error log') for grep { /\S/ } split /\n/, $block->said;
};

add_response_body_check(sub {
    my ($block, $body, $index, $repeated, $dry_run) = @_;
    return if $dry_run;
    $block->after->() if $index == 0 && defined $block->after;
    my $requests = $block->pipelined_requests // $block->request;
    return if $index != (ref $requests eq 'ARRAY' ? $#$requests : 0);
    $block->finally->() if defined $block->finally;
    $check_events->($block, $block->events, 'events', \&events) if defined $block->events;
    $check_events->($block, $block->calls, 'calls', \&calls) if defined $block->calls;
    $check_log->($block) if defined $block->log;
    $check_said->($block) if defined $block->said;
    $check_id->($block) if defined $block->click_id;
});

add_block_preprocessor(sub {
    my ($block) = @_;
    $blocks++;
    my $state = $ENV{TEST_NGINX_STATE} = "$root/state-$blocks";
    $ENV{TEST_NGINX_SNAPSHOT} = "snapshot-$blocks";
    open my $log, '>', "$root/access.log" or die "$root/access.log: $!";
    close $log;

    $block->before->() if defined $block->before;

    if (!defined $block->http_config) {
        snapshot("snapshot-$blocks", 5, defined $block->rows ? $block->rows : join "\n", @ROWS);
        $block->set_value('http_config', "
            affiliate_state $state;
            affiliate_key_file $root/edge.key;
            affiliate_snapshot $root/snapshot-$blocks;
            affiliate_zone zone_$blocks:512k; # counters begin at 0, also when nginx is only reloaded
            log_format affiliate '\$affiliate_click_id \$affiliate_id \$affiliate_link \$affiliate_campaign '
                                 '\$affiliate_api_user \$affiliate_verdict';
            access_log $root/access.log affiliate;
            " . (defined $block->detect ? '' : "affiliate_detect off;\n") . ($block->http // ''));
    }
    if (!defined $block->config) {
        $block->set_value('config', '
            location /c/ { affiliate_click; }
            location = /postback { affiliate_conversion; }
            location = /status { affiliate_status; }');
    }
    if (!defined $block->request && !defined $block->must_die) {
        $block->set_value('request', 'GET /c/spring');
    }
});

1;
