#!/usr/bin/perl

# Where a form leads when it was sent: into the platform for a new lead, to a message for everybody else.
#
# Guards accounts: a stranger who sends what somebody else has sent, or knows his address, must not be led into his account, nor
# learn that there is one; a ticket is one form's, one lead's and ends; and guards people: whoever has to wait for the
# database is led on as soon as it has spoken, and never twice.  t/tools/consumer is the database: it gives each lead the
# verdict that its field "verdict" names.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use JSON::PP ();
use MIME::Base64 qw(decode_base64url encode_base64url);
use Test::More;
use Time::HiRes qw(time);

use AffiliateWire;

my $SECONDS = 20;
my $SECRET = "secret-of-the-platform";
my $PAGE = "token(%01T)%01N1;STALE%01.%01N3;DOWN%01.value(%01V0;)";

sub form {
    my ($id, $program, $key, %options) = @_;
    my $fields = JSON::PP->new->encode([map { { name => $_, type => 1 } } qw(name verdict existing)]) =~ s/([^\w])/sprintf "%%%02X", ord $1/egr;
    return join " ", "form", $id, $program, 0, 1, $key, $fields, "page=$PAGE", "done=thanks", "wait=preparing", map { "$_=$options{$_}" } sort keys %options;
}

my $ROWS = join "\n", AffiliateWire::rows() =~ s{^program.*$}{program 1 1 1 30 EUR - platform_user=5 platform_url=https://platform.example/in?x=1%23top}mr,
    "program 2 1 1 30 EUR -", "program 3 1 1 30 EUR - platform_user=7 platform_url=https://platform.example/",
    "program 4 1 1 30 EUR - platform_user=5 platform_url=https://platform.example/",
    "key 5 1 0 1 2 32 0 key-of-the-platform secret=$SECRET", "key 7 3 0 1 2 32 0 key-without-secret",
    form(1, 1, "in", after => 3), form(2, 1, "message"), form(3, 1, "url", after => 2, after_url => "https://shop.example/thanks?a=b"),
    form(4, 2, "nowhere", after => 3), form(5, 3, "unsigned", after => 3), form(6, 4, "foreign", after => 3),
    form(7, 1, "careful", after => 3, min_fill => 600000), form(8, 1, "scripts", after => 3, origins => "https://shop.example"), "";
my %ARG = (rows => $ROWS, http => "affiliate_lead_wait 5s;",
    server => "location /f/ { affiliate_form; } location /short/ { affiliate_form; affiliate_lead_wait 300ms; } location /hasty/ { affiliate_form; affiliate_lead_wait 0; }");

# (code, body, head, seconds)
sub ask {
    my ($edge, $method, $path, $body, @headers) = @_;
    my $socket = $edge->connect_http or die "connect: $!";
    my $began = time;
    push @headers, "Content-Length: " . length $body if defined $body;
    push @headers, "Content-Type: application/x-www-form-urlencoded" if defined $body && !grep { /^Content-Type/ } @headers;
    return ($edge->request($socket, join "\r\n", "$method $path HTTP/1.1", "Host: t", @headers, "", $body // ""), time - $began);
}
sub token { return (ask($_[0], "GET", $_[1]))[1] =~ /token\(([-\w]{36})\)/ ? $1 : die "no token" }
sub nonce { return $_[0] =~ /token\(([-\w]{36})\)/ ? unpack "x7 H16", decode_base64url($1) : die "no token" }
sub location { return $_[0] =~ /\r\nLocation: (\S+)/ ? $1 : undef }

my $serial = 0;
sub fields { my (%fields) = @_; return join "&", "name=lead" . ++$serial, map { "$_=$fields{$_}" } sort keys %fields }

# Fills in the page at that path and sends it: as ask() does.
sub fill {
    my ($edge, $path, %fields) = @_;
    return ask($edge, "POST", $path, "_token=" . token($edge, $path) . "&" . fields(%fields));
}

# One worker, which waits for verdicts: it has its snapshot, and has heard of the consumer.
sub edge {
    my $edge = AffiliateWire->new(%ARG, workers => 1);
    $edge->await($SECONDS, sub { (location((fill($edge, "/f/in"))[2]) // "?wait=") !~ /\?wait=/ }) or die "no verdicts come";
    return $edge;
}

my $PLATFORM = qr{^https://platform\.example/in\?x=1&affiliate_token=([-\w]{64})&affiliate_sig=([0-9a-f]{64})#top$};

# The passes of a platform's URL: (use, program, seconds left, lead, nonce).
sub pass {
    my ($url) = @_;
    my ($token, $sig) = $url =~ $PLATFORM or return;
    is($sig, hmac_sha256_hex($token, $SECRET), "... with the platform's signature");
    my (undef, $use, $expires, $program, $lead, $nonce) = unpack "C C V V H32 H16", decode_base64url($token);
    return ($use, $program, $expires - int time, $lead, $nonce);
}

subtest "a new lead is led into the platform, once" => sub {
    my $edge = edge();
    my $token = token($edge, "/f/in");
    my $body = "_token=$token&" . fields();
    my ($code, undef, $head, $took) = ask($edge, "POST", "/f/in", $body);
    is($code, 303, "a redirect");
    cmp_ok($took, "<", 4, "at once ($took s)");
    like($head, qr/\r\nCache-Control: no-store\r\n/, "that nobody keeps");
    my ($use, $program, $left, $lead, $nonce) = pass(location($head));
    is("$use $program", "2 1", "an autologin of the program");
    ok($left > 50 && $left <= 60, "for a minute ($left)");
    is(scalar(grep { /^lead\b.*\b$lead\b/ } $edge->applied), 1, "of this lead");

    ($code, undef, $head) = ask($edge, "POST", "/f/in", $body);
    my (undef, undef, undef, $again, $same) = pass(location($head));
    is("$again $same", "$lead $nonce", "sent twice: the same lead, and the same one login");
    my (undef, undef, undef, $other, $another) = pass(location((fill($edge, "/f/in"))[2]));
    isnt($other, $lead, "another one");
    isnt($another, $nonce, "has a login of its own");
};

subtest "everybody else sees the same thanks" => sub {
    my $edge = edge();
    for my $case (["a duplicate", verdict => "duplicate"], ["who has an account", existing => 1], ["no address", verdict => "invalid"],
                  ["who has to confirm", verdict => "pending"], ["a conflict", verdict => "conflict"], ["a bot", _website => "x"]) {
        my ($what, @fields) = @$case;
        my ($code, $body, $head) = fill($edge, "/f/in", @fields);
        is("$code " . location($head), "303 /f/in?done=1", $what);
    }
    is(location((fill($edge, "/f/careful"))[2]), "/f/careful?done=1", "who was too fast");
    my $caught = "_token=" . token($edge, "/f/in") . "&" . fields();
    ask($edge, "POST", "/f/in", "$caught&_website=x");
    is(location((ask($edge, "POST", "/f/in", $caught))[2]), "/f/in?done=1", "a bot that has learned: the first verdict is of no lead");
    for my $path ("/f/nowhere", "/f/unsigned", "/f/foreign") {
        is(location((fill($edge, $path))[2]), "$path?done=1", "$path: a program that has no platform, or nobody who could sign for it");
    }
    is(location((fill($edge, "/f/message"))[2]), "/f/message?done=1", "a message");
    is(location((fill($edge, "/f/url"))[2]), "https://shop.example/thanks?a=b", "a URL");
    is(location((fill($edge, "/f/url", verdict => "duplicate"))[2]), "https://shop.example/thanks?a=b", "... whoever he is");
    is((ask($edge, "GET", "/f/in?done=1"))[1], "thanks", "the message itself");
};

subtest "who has to wait is led on later" => sub {
    my $edge = edge();
    $edge->consumer("pause");
    my ($code, undef, $head, $took) = fill($edge, "/short/in");
    is($code, 303, "not decided in time");
    cmp_ok($took, ">=", 0.28, "after the time ($took s)");
    like(location($head), qr{^/short/in\?wait=[-\w]{64}$}, "to a page that waits");
    my $wait = location($head);
    my @page = ask($edge, "GET", $wait);
    is("$page[0] $page[1]", "200 preparing", "as long as nobody decides");
    cmp_ok($page[3], ">=", 0.28, "each time a while");
    like($page[2], qr/\r\nX-Robots-Tag: noindex\r\n/, "for nobody else");
    my @hasty = fill($edge, "/hasty/in");
    like(location($hasty[2]), qr{^/hasty/in\?wait=}, "affiliate_lead_wait 0: at once");
    cmp_ok($hasty[3], "<", 2, "... ($hasty[3] s)");
    my @refused = fill($edge, "/short/in", verdict => "duplicate");

    # one who waits hears it in the moment of the decision
    my $socket = $edge->connect_http;
    syswrite $socket, "GET " . $wait =~ s{^/short}{/f}r . " HTTP/1.1\r\nHost: t\r\n\r\n";
    ok($edge->await($SECONDS, sub { $edge->gauge("verdicts_waiting") == 1 }), "one waits");
    $edge->consumer("resume");
    my $rest = "";
    my ($answer) = $edge->answers($socket, \$rest, "GET");
    is($answer->[0], 303, "and is led on");
    my (undef, undef, undef, $lead, $nonce) = pass(location($answer->[2]));
    ok($edge->await($SECONDS, sub { location((ask($edge, "GET", $wait))[2]) }), "so is whoever asks again");
    my (undef, undef, undef, @same) = pass(location((ask($edge, "GET", $wait))[2]));
    is("@same", "$lead $nonce", "with the same one login");
    ok($edge->await($SECONDS, sub { (location((ask($edge, "GET", location($refused[2])))[2]) // "") eq "/short/in?done=1" }),
        "a duplicate that waited sees the thanks");
};

subtest "tickets that are none" => sub {
    my $edge = edge();
    my ($lead) = map { (pass(location($_)))[3] } (fill($edge, "/f/in"))[2];
    my $ticket = sub {
        my ($use, $form, $seconds) = @_;
        my $text = `@{[AffiliateWire::tool("fixture")]} pass $edge->{dir}/keys $use $form @{[int(time) + $seconds]} $lead aaaaaaaaaaaaaaaa`;
        chomp $text;
        return $text;
    };
    my $good = $ticket->(1, 1, 60);
    like(location((ask($edge, "GET", "/f/in?wait=$good"))[2]), $PLATFORM, "a good one");
    my $raw = decode_base64url($good);
    for my $case (["expired", $ticket->(1, 1, 0)], ["another form's", $ticket->(1, 2, 60)], ["an autologin", $ticket->(2, 1, 60)], ["a confirmation", $ticket->(3, 1, 60)],
                  ["cut", substr $good, 0, 63], ["nothing", ""], ["encoded otherwise", $good =~ s/^(.)/sprintf "%%%02X", ord $1/er],
                  map { my $at = $_; ["byte $at changed", encode_base64url(substr($raw, 0, $at) . chr(ord(substr $raw, $at, 1) ^ 1) . substr($raw, $at + 1))] } 0 .. 47) {
        my ($what, $text) = @$case;
        my ($code, $body) = ask($edge, "GET", "/f/in?wait=$text");
        is("$code $body", "200 thanks", $what);
    }
    is((ask($edge, "GET", "/f/message?wait=" . $ticket->(1, 2, 60)))[1], "thanks", "a form that leads nowhere");
    is((ask($edge, "HEAD", "/f/in?wait=$good"))[0], 303, "HEAD");
};

subtest "who repeats what somebody else has sent" => sub {
    my $edge = edge();
    my @script = ("Origin: https://shop.example", "Content-Type: application/json");
    my $json = '{"name": "Jane"}';
    for my $who ("the first", "a stranger") {
        my ($code, $body) = ask($edge, "POST", "/f/scripts", $json, @script);
        is($code, 202, "$who by script");
        unlike($body, qr/affiliate_token|wait=/, "is led nowhere");
    }
    my ($code, $body) = ask($edge, "POST", "/f/scripts", $json, @script, "Idempotency-Key: a");
    unlike($body, qr/affiliate_token|wait=/, "nor by a key");
    my $token = token($edge, "/f/scripts");
    ($code, $body) = ask($edge, "POST", "/f/scripts", qq({"name": "Jane", "_token": "$token"}), @script);
    is($code, 201, "who was shown the page");
    my $told = JSON::PP::decode_json($body)->{data};
    is($told->{status}, "created", "is told");
    like($told->{redirect_url}, $PLATFORM, "where to go");
    is((pass($told->{redirect_url}))[3], $told->{id}, "as which lead");
    $token = token($edge, "/f/scripts");
    ($code, $body) = ask($edge, "POST", "/f/scripts", qq({"name": "Jane", "verdict": "duplicate", "_token": "$token"}), @script);
    is($code, 202, "unless it is a duplicate");
    like($body, qr/"redirect_url":"\/f\/scripts\?done=1"/, "... who sees the thanks");
};

subtest "Redis dead: leads are taken, and led on when it is back" => sub {
    my $edge = edge();
    $edge->stop("redis", "KILL");
    ok($edge->await($SECONDS, sub { $edge->gauge("redis_connected") == 0 }), "Redis is gone");
    my ($code, undef, $head, $took) = fill($edge, "/f/in");
    like("$code " . location($head), qr{^303 /f/in\?wait=}, "taken");
    cmp_ok($took, "<", 3, "without waiting for nobody ($took s)");
    is(location((fill($edge, "/f/message"))[2]), "/f/message?done=1", "a message needs nobody");
    is((ask($edge, "GET", location($head)))[1], "preparing", "it waits");
    $edge->start_redis;
    ok($edge->await(2 * $SECONDS, sub { (location((ask($edge, "GET", location($head)))[2]) // "") =~ $PLATFORM }), "led on");
};

subtest "the disk takes nothing: nothing is thanked for, nothing typed is lost" => sub {
    my $edge = AffiliateWire->new(%ARG, redis => 0, preload => AffiliateWire::tool("fail_sync.so"));
    open my $broken, ">", "$edge->{dir}/disk-is-broken" or die $!;
    close $broken;
    my $token = token($edge, "/f/in");
    my ($code, $body, $head) = ask($edge, "POST", "/f/in", "_token=$token&" . fields(existing => 1));
    is($code, 503, "503");
    is(nonce($body), nonce("token($token)"), "sent again it is the same lead, which may be on the disk after all");
    like($head, qr/\r\nRetry-After: \d+\r\n/, "when to come again");
    like($body, qr/DOWNvalue\(lead\d+\)$/, "the page with what was typed");
    ($code, $body) = ask($edge, "POST", "/f/scripts", '{"name": "Jane"}', "Origin: https://shop.example", "Content-Type: application/json");
    is($code, 503, "a script");
    like($body, qr/"code":"unavailable"/, "is told");
    my $c = $edge->status->{counters};
    is("$c->{form_leads} $c->{forms_unavailable}", "0 2", "counted");
};

subtest "too fast is who was just shown the page, not who mends it" => sub {
    my $edge = AffiliateWire->new(%ARG, redis => 0);
    my $again = sub {
        my ($what, $expected, $token, $traps) = @_;
        my ($code, $body) = ask($edge, "POST", "/f/careful", "_token=$token&name=a&name=b");
        is($code, $expected, $what);
        my ($next) = $body =~ /token\(([-\w]{36})\)/;
        isnt($next, $token, "... has a token of its own");
        is((ask($edge, "POST", "/f/careful", "_token=$next&" . fields()))[0], 303, "... and is sent at once");
        is($edge->counter("form_traps"), $traps, $traps ? "... still too fast" : "... for nobody's trap");
    };
    my $fixture = AffiliateWire::tool("fixture");
    my $old = `$fixture token $edge->{dir}/keys 7 @{[int(time - 700) * 1000]} aaaaaaaaaaaaaaaa`;
    chomp $old;
    $again->("a form that was open for a day", 422, `$fixture token $edge->{dir}/keys 7 1000 aaaaaaaaaaaaaaaa` =~ s/\n//r, 0);
    $again->("who has made a mistake", 422, $old, 0);
    $again->("who was too fast, and has made a mistake", 422, token($edge, "/f/careful"), 1);
};

subtest "clients who go away while they wait" => sub {
    my $edge = AffiliateWire->new(%ARG, workers => 1);
    $edge->consumer("pause");
    my ($wait) = map { location($_) } (fill($edge, "/hasty/in"))[2];
    my @sockets = map { $edge->connect_http } 1 .. 20;
    syswrite $sockets[$_], $_ % 2 ? "GET " . $wait =~ s{^/hasty}{/f}r . " HTTP/1.1\r\nHost: t\r\n\r\n" : do {
        my $body = "_token=" . token($edge, "/f/in") . "&" . fields();
        "POST /f/in HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " . length($body) . "\r\n\r\n$body"
    } for 0 .. $#sockets;
    ok($edge->await($SECONDS, sub { $edge->gauge("verdicts_waiting") == 20 }), "twenty wait");
    close $_ for @sockets;
    ok($edge->await($SECONDS, sub { $edge->gauge("verdicts_waiting") == 0 }), "nobody any more");
    $edge->consumer("resume");
    like(location((fill($edge, "/f/in"))[2]), $PLATFORM, "the worker lives, and leads on");
    is(() = $edge->error_log =~ /\[(?:alert|crit|emerg)\]|exited on signal/g, 0, "nothing alarming in the log") or diag $edge->error_log;
};

subtest "HTTP/2" => sub {
    plan skip_all => "this nginx has no HTTP/2" if `@{[$ENV{TEST_NGINX_BINARY} // "nginx"]} -V 2>&1` !~ /--with-http_v2_module/;
    my $port = AffiliateWire::free_port();
    my $edge = AffiliateWire->new(%ARG, workers => 1, tls => $port);
    my $curl = sub {
        open my $out, "-|", "curl", "-sS", "--http2", "-k", "-i", "--resolve", "localhost:$port:127.0.0.1", "-m", 20, @_ or die $!;
        local $/;
        return scalar(<$out>) // "";
    };
    my $url = "https://localhost:$port/f/in";
    my ($token) = $curl->($url) =~ /token\(([-\w]{36})\)/;
    like($curl->("-F", "_token=$token", "-F", "name=Jane", $url), qr{^HTTP/2 303 .*\r\nlocation: https://platform\.example/in\?x=1&affiliate_token=}s, "multipart, into the platform");
    like($curl->("-F", "_token=x", "-F", "name=Jane", $url), qr{^HTTP/2 422 .*STALE}s, "the page again");
    like($curl->("-F", "cv=\@$edge->{dir}/keys", $url), qr{^HTTP/2 400 .*no files}s, "a file");
    like($curl->("-d", "x" x 70000, $url), qr{^HTTP/2 413 }, "too large");
    like($curl->("-d", "x" x 60000, "https://localhost:$port/f/nosuch"), qr{^HTTP/2 404 }, "no form, its body unread");
};
done_testing;
