#!/usr/bin/perl

# A lead's verdict: made by the database, carried by Redis, waited for by the answer.
#
# Guards against an answer that says more than was decided (a forged or foreign verdict taken for ours), against one that
# comes twice, late or never, against a client who goes away while he is waited for, and against waiting
# for nobody.  t/tools/consumer is the database: it gives each lead the verdict that its field "verdict" names.

use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);

use AffiliateWire;

my $SECONDS = 20;
my $ROWS = AffiliateWire::rows() =~ s{^program.*$}{program 1 1 1 30 EUR https://shop.example/ platform_user=5 platform_url=https://platform.example/in?x=1}mr . <<'END_ROWS';
program 2 1 1 30 EUR https://shop.example/
key 5 1 0 1 2 32 0 key-of-the-platform secret=secret-of-the-platform
key 6 1 1 1 1 4 0 sender
key 7 1 1 1 1 4 0 sender-with-autologin options=1
key 8 2 1 1 1 4 0 sender-without-platform options=1
END_ROWS
my %ARG = (rows => $ROWS, http => "affiliate_lead_wait 5s;", server => "location /leads { affiliate_lead; } location /hasty { affiliate_lead; affiliate_lead_wait 0; }
    location /short { affiliate_lead; affiliate_lead_wait 300ms; }");

sub post {
    my ($body, %with) = @_;
    my $more = join "", map { "$_\r\n" } @{ $with{headers} // [] };
    return "POST @{[$with{path} // '/leads']} HTTP/1.1\r\nHost: t\r\nX-Api-Key: @{[$with{key} // 'sender']}\r\nContent-Type: application/json\r\n${more}Content-Length: @{[length $body]}\r\n\r\n$body";
}

# (code, body, head, seconds)
sub lead {
    my ($edge, $body, %with) = @_;
    my $socket = $edge->connect_http or die "connect: $!";
    my $began = time;
    return ($edge->request($socket, post($body, %with)), time - $began);
}

my $serial = 0;
sub body { my (%fields) = @_; return JSON::PP->new->canonical->encode({ email => "lead" . ++$serial . '@x.example', %fields }) }

subtest "each verdict, and the same again for who asks again" => sub {
    my $edge = AffiliateWire->new(%ARG);
    my $id = "[0-9a-f]{32}";
    for my $case (
        [created => 201, qr!^\{"data":\{"id":"($id)","verdict":"created","status_url":"/api/v1/leads/\1","status":"new"\}\}$!],
        [pending => 201, qr!^\{"data":\{"id":"($id)","verdict":"pending","status_url":"/api/v1/leads/\1"\}\}$!],
        [duplicate => 409, qr/^\{"error":\{"code":"lead_duplicate",/],
        [conflict => 409, qr/^\{"error":\{"code":"idempotency_key_reused",/],
        [invalid => 422, qr/^\{"error":\{"code":"lead_invalid",/],
    ) {
        my ($verdict, $status, $like) = @$case;
        my $text = body(verdict => $verdict);
        my ($code, $answer, $head, $took) = lead($edge, $text);
        is($code, $status, "$verdict: $status");
        like($answer, $like, "$verdict: its words");
        cmp_ok($took, "<", 4, "$verdict: at once ($took s)");
        unlike($head, qr/\r\nRetry-After/, "$verdict: nothing to ask again for");
        my @again = lead($edge, $text);
        is("$again[0] $again[1]", "$code $answer", "$verdict: the same again");
    }
    my ($worker) = $edge->workers;
    ok($edge->await($SECONDS, sub { 10 == $edge->consumer("status")->{applied} }), "each was written, the repeated ones too");
    my $c = $edge->status->{counters};
    is("$c->{leads} $c->{leads_rejected} $c->{leads_undecided}", "4 6 0", "counted");
    is($edge->gauge("verdicts_waiting"), 0, "nobody waits");
};

subtest "an idempotency key that was another lead's" => sub {
    my $edge = AffiliateWire->new(%ARG);
    my @key = (headers => ["Idempotency-Key: order-1"]);
    my ($first) = my @answer = lead($edge, body(), @key);
    is($first, 201, "the first");
    my ($code, $answer) = lead($edge, body(), @key);
    is($code, 409, "another lead under its key");
    like($answer, qr/"idempotency_key_reused"/, "is told so");
    is((lead($edge, body(), key => "sender-with-autologin", @key))[0], 201, "the same key of another sender");
};

subtest "nobody decides: 202 when the time is over, and the verdict when it is asked for again" => sub {
    my $edge = AffiliateWire->new(%ARG);
    my ($code, $answer, $head, $took) = lead($edge, my $text = body(verdict => "none"), path => "/short");
    is($code, 202, "202");
    cmp_ok($took, ">=", 0.28, "not before the time is over ($took s)");
    cmp_ok($took, "<", 3, "but then");
    my ($id) = $answer =~ /"id":"([0-9a-f]{32})","verdict":"undecided"/;
    like($head, qr!\r\nLocation: /api/v1/leads/$id\r\n!, "where the word will be");
    like($head, qr/\r\nRetry-After: 1\r\n/, "and when");

    $edge->consumer("pause");
    my $socket = $edge->connect_http;
    syswrite $socket, post(my $late = body());
    ok($edge->await($SECONDS, sub { $edge->gauge("verdicts_waiting") == 1 }), "one waits while the database sleeps");
    my @hasty = lead($edge, body(), path => "/hasty");
    is($hasty[0], 202, "affiliate_lead_wait 0: nothing is waited for");
    cmp_ok($hasty[3], "<", 1, "at all");
    is((lead($edge, $late, path => "/short"))[0], 202, "who asks in a hurry hears what is known");
    $edge->consumer("resume");
    my $rest = "";
    my ($first) = $edge->answers($socket, \$rest, "POST");
    is($first->[0], 201, "who waits hears the verdict");
    is((lead($edge, $late))[1], $first->[1], "and so does who asks again");
};

subtest "verdicts that are not the database's" => sub {
    my $edge = AffiliateWire->new(%ARG);
    my ($code, $answer) = lead($edge, my $text = body(verdict => "none"), path => "/short");
    my ($id) = $answer =~ /"id":"([0-9a-f]{32})"/;
    my ($other) = (lead($edge, body()))[1] =~ /"id":"([0-9a-f]{32})"/;
    my $good = $edge->verdict_of($other);
    is(length $good, 72, "a good one of another lead");
    for my $forged (["another lead's", $good], ["one that is cut", substr($good, 0, 71)], ["zeros", "\0" x 72], ["nothing", ""], ["a text", "created" x 100],
                    ["one bit of it turned", substr($good, 0, 1) . chr(ord(substr $good, 1, 1) ^ 2) . substr($good, 2)]) {
        my ($what, $bytes) = @$forged;
        my $before = $edge->counter("verdicts_refused");
        $edge->redis_command("SET", "affiliate:verdict:$id", $bytes);
        is((lead($edge, $text, path => "/short"))[0], 202, "$what is no verdict");
        cmp_ok($edge->counter("verdicts_refused"), ">", $before, "and is counted");
    }
    $edge->redis_command("DEL", "affiliate:verdict:$id");
    $edge->redis_command("HSET", "affiliate:verdict:$id", "a", "b");
    is((lead($edge, $text, path => "/short"))[0], 202, "a value of another type");
    is($edge->counter("redis_errors"), 0, "and Redis is well");
};

subtest "autologins: for a new lead of a user who asks for them, where there is a platform" => sub {
    my $edge = AffiliateWire->new(%ARG);
    my ($code, $answer) = lead($edge, my $text = body(), key => "sender-with-autologin");
    like($answer, qr!"autologin_url":"https://platform\.example/in\?x=1&affiliate_token=[\w-]{64}&affiliate_sig=[0-9a-f]{64}"!, "the platform's URL, a token, its signature");
    my @again = lead($edge, $text, key => "sender-with-autologin");
    like($again[1], qr/"autologin_url"/, "the same again");
    for my $case (["who does not ask", key => "sender"], ["a program without a platform", key => "sender-without-platform"]) {
        my ($what, @with) = @$case;
        my @told = lead($edge, body(), @with);
        is($told[0], 201, "$what: taken");
        unlike($told[1], qr/autologin/, "$what: none");
    }
    for my $field ([existing => 1], [verdict => "duplicate"], [verdict => "pending"], [verdict => "invalid"]) {
        unlike((lead($edge, body(@$field), key => "sender-with-autologin"))[1], qr/autologin/, "@$field: none");
    }
    unlike((lead($edge, body(verdict => "none"), key => "sender-with-autologin", path => "/short"))[1], qr/autologin/, "undecided: none");
};

subtest "Redis is dead, or dies while answers wait" => sub {
    my $edge = AffiliateWire->new(%ARG);
    $edge->consumer("pause");
    my @sockets = map { $edge->connect_http } 1 .. 5;
    syswrite $_, post(body()) for @sockets;
    ok($edge->await($SECONDS, sub { $edge->gauge("verdicts_waiting") == 5 }), "five wait");
    my $began = time;
    $edge->stop("redis", "KILL");
    for my $socket (@sockets) {
        my $rest = "";
        my ($answer) = $edge->answers($socket, \$rest, "POST");
        is($answer->[0], 202, "told that nobody has decided");
    }
    cmp_ok(time - $began, "<", 4, "without waiting any longer");
    my @told = lead($edge, my $text = body());
    is($told[0], 202, "leads are taken as ever");
    cmp_ok($told[3], "<", 2, "and nobody waits");

    $edge->start_redis;
    $edge->consumer("resume");
    ok($edge->await($SECONDS, sub { $edge->consumer("status")->{applied} >= 6 }), "all of them arrive");
    my %leads = map { $_ => 1 } grep { /^lead/ } $edge->applied;
    is(scalar(keys %leads), 6, "each once");
    is((lead($edge, $text))[0], 201, "and have their verdicts");
};

subtest "the backend is not heard of: nobody waits for it" => sub {
    my $edge = AffiliateWire->new(%ARG);
    $edge->consumer("pause");
    ok($edge->await(30, sub { (lead($edge, body()))[3] < 1 }), "after ten seconds of silence leads are answered at once");
    is((lead($edge, body()))[0], 202, "with 202");
    $edge->consumer("resume");
    ok($edge->await($SECONDS, sub { (lead($edge, body()))[0] == 201 }), "and judged again once it is back");
};

subtest "clients who go away while they are waited for" => sub {
    my $edge = AffiliateWire->new(%ARG, workers => 1);
    $edge->consumer("pause");
    for my $round (1 .. 4) {
        my @sockets = map { $edge->connect_http } 1 .. 40;
        syswrite $_, post(body()) . ($round % 2 ? post(body()) : "") for @sockets;
        ok($edge->await($SECONDS, sub { $edge->gauge("verdicts_waiting") == 40 }), "round $round: forty wait");
        for my $i (0 .. $#sockets) {
            setsockopt $sockets[$i], SOL_SOCKET, SO_LINGER, pack("ii", 1, 0) if $i % 2;
            close $sockets[$i];
        }
        ok($edge->await($SECONDS, sub { $edge->gauge("verdicts_waiting") <= 40 && $edge->gauge("verdicts_waiting") == 0 }), "round $round: nobody any more");
    }
    $edge->consumer("resume");
    is((lead($edge, body()))[0], 201, "the worker lives, and answers");
    is(() = $edge->error_log =~ /\[(?:alert|crit|emerg)\]|exited on signal/g, 0, "nothing alarming in the log") or diag $edge->error_log;
};

subtest "a worker that is told to go answers those who wait" => sub {
    my $edge = AffiliateWire->new(%ARG, workers => 1);
    $edge->consumer("pause");
    my @sockets = map { $edge->connect_http } 1 .. 10;
    syswrite $_, post(body()) for @sockets;
    ok($edge->await($SECONDS, sub { $edge->gauge("verdicts_waiting") == 10 }), "ten wait");
    my ($old) = $edge->workers;
    kill HUP => $edge->{nginx_pid};
    ok($edge->await($SECONDS, sub { my @w = $edge->workers; @w == 1 && $w[0] != $old }), "another worker is there");
    $edge->consumer("resume");
    for my $socket (@sockets) {
        my $rest = "";
        my ($answer) = $edge->answers($socket, \$rest, "POST");
        is($answer->[0], 201, "answered with the verdict");
    }
    ok($edge->await($SECONDS, sub { !kill 0, $old }), "and the old one is gone");
};

subtest "a batch: all wait together, each has its own verdict" => sub {
    my $edge = AffiliateWire->new(%ARG);
    my @verdicts = qw(created duplicate none pending invalid created);
    my $batch = "[" . join(",", (map { body(verdict => $_) } @verdicts), "{}", body(verdict => "created")) . "]";
    my ($code, $answer, $head, $took) = lead($edge, $batch, path => "/short", key => "sender-with-autologin");
    is($code, 207, "some are not taken");
    cmp_ok($took, ">=", 0.28, "whoever has no verdict is waited for as long as any");
    my $items = JSON::PP::decode_json($answer)->{data}{items};
    is(join(" ", map { $_->{verdict} // $_->{error}{code} } @$items), "created lead_duplicate undecided pending lead_invalid created contact_missing created", "each its own");
    is(join(" ", map { exists $_->{autologin_url} ? 1 : 0 } @$items), "1 0 0 0 0 1 0 1", "autologins where they are due");
    my @again = lead($edge, $batch, path => "/short", key => "sender-with-autologin");
    is(join(" ", map { $_->{id} // $_->{error}{code} } @{ JSON::PP::decode_json($again[1])->{data}{items} }), join(" ", map { $_->{id} // $_->{error}{code} } @$items), "the same again");
    my $large = "[" . join(",", map { body() } 1 .. 1000) . "]";
    ($code, $answer, $head, $took) = lead($edge, $large);
    is($code, 200, "a thousand");
    my %verdicts;
    $verdicts{$_->{verdict}}++ for @{ JSON::PP::decode_json($answer)->{data}{items} };
    is(join(" ", %verdicts), "created 1000", "each judged ($took s)");
};

subtest "a key that is revoked under load" => sub {
    my $edge = AffiliateWire->new(%ARG, workers => 1);
    my $socket = $edge->connect_http;
    my %seen;
    my $revoked = 0;
    my $until = time + $SECONDS;
    while (!$seen{401} && time < $until) {
        my ($code) = $edge->request($socket, post(body(), path => "/hasty"));
        $seen{$code // "none"}++;
        if ($seen{202} && $seen{202} == 20 && !$revoked++) {
            $edge->snapshot("$edge->{dir}/next", 2, $ROWS =~ s/^(key 6 1 1) 1/$1 4/mr);
            chmod 0644, "$edge->{dir}/next";
            rename "$edge->{dir}/next", "$edge->{dir}/base";
        }
    }
    is(join(" ", sort keys %seen), "202 401", "taken, then refused, and nothing else");
    cmp_ok($seen{202}, ">=", 20, "while requests went on ($seen{202})");
};

subtest "HTTP/2: many leads on one connection, each with its own answer" => sub {
    plan skip_all => "this nginx has no HTTP/2" if `@{[$ENV{TEST_NGINX_BINARY} // "nginx"]} -V 2>&1` !~ /--with-http_v2_module/;
    my $port = AffiliateWire::free_port();
    my $edge = AffiliateWire->new(%ARG, workers => 1, tls => $port);
    my @verdicts = (("created") x 3, "duplicate", "invalid", ("created") x 3, "pending", "duplicate");
    my @next;
    for my $verdict (@verdicts) {
        push @next, @next ? "--next" : (), "-k", "--http2", "-sS", "--resolve", "localhost:$port:127.0.0.1", "-o", "/dev/null", "-w", "%{http_version} %{http_code}\n",
            "-H", "X-Api-Key: sender", "-H", "Content-Type: application/json", "-d", body(verdict => $verdict), "https://localhost:$port/leads";
    }
    open my $out, "-|", "curl", "--parallel", "--parallel-max", 10, "--no-progress-meter", "-m", 20, @next or die $!;
    my %codes;
    while (<$out>) { $codes{$_}++ for /^2 (\d+)/ }
    is(join(" ", map { "$_=$codes{$_}" } sort keys %codes), "201=7 409=2 422=1", "each its own");
};
done_testing;
