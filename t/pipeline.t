#!/usr/bin/perl

# Several requests on one connection, sent before the first is answered; bodies that nobody asked for.
#
# Guards against answers out of order or of another request, and against a body that is taken for the next request: what a
# refused request carries is read away, never run.  Bodies here are requests themselves, so that whoever runs them gives
# an answer too many, counts a click too many, or both.

use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use Test::More;

use AffiliateWire;

my $edge = AffiliateWire->new(redis => 0, workers => 1, rows => AffiliateWire::rows() =~ s/\{click_id\}/{click_id}&s={sub1}/r);
my $KEY = "Authorization: Bearer key-of-the-test\r\n";
my $FORM = "Content-Type: application/x-www-form-urlencoded\r\n";
my $smuggled = "GET /c/abc?sub1=smuggled HTTP/1.1\r\nHost: t\r\n\r\n";
my ($click) = $edge->clicks(1);

sub marked { my ($head) = @_; return $head =~ /\r\nLocation: \S+&s=(\w*)\r\n/ ? $1 : "?" }

subtest "clicks are answered in their order" => sub {
    my ($socket, $rest) = ($edge->connect_http, "");
    syswrite $socket, join "", map { "GET /c/abc?sub1=n$_ HTTP/1.1\r\nHost: t\r\n\r\n" } 1 .. 50;
    my @answers = $edge->answers($socket, \$rest, ("GET") x 50);
    is_deeply([map { marked($_->[2]) } @answers], [map { "n$_" } 1 .. 50], "each its own");
    my %ids = map { $_->[2] =~ /cid=([\w-]{40})/ ? ($1 => 1) : () } @answers;
    is(scalar keys %ids, 50, "with an id of its own");
};

subtest "conversions wait for the disk and keep their order" => sub {
    my ($socket, $rest, $at) = ($edge->connect_http, "", $edge->counter("conversions"));
    syswrite $socket, join "", map {
        my $body = "click_id=$click&event=sale&txid=p$_";
        $_ % 3 == 0 ? "GET /c/abc?sub1=n$_ HTTP/1.1\r\nHost: t\r\n\r\n"
            : "POST /postback HTTP/1.1\r\nHost: t\r\n$KEY${FORM}Content-Length: @{[length $body]}\r\n\r\n$body"
    } 1 .. 30;
    my @answers = $edge->answers($socket, \$rest, ("POST") x 30);
    is_deeply([map { $_->[0] == 302 ? marked($_->[2]) : $_->[1] =~ /"id":"[0-9a-f]{12}-(\d+)"/ ? $1 - $at : "?" } @answers],
        [map { $_ % 3 == 0 ? "n$_" : $_ - int($_ / 3) } 1 .. 30], "clicks among them too");
};

# Each: what, method and path, headers, its status; the body is a request.
my $large = "x" x 70000;
my @cases = (
    ["a click", "GET /c/abc?sub1=first", "", 302],
    ["a click without a record", "HEAD /c/abc", "", 302],
    ["what only asks", "OPTIONS /c/abc", "", 204],
    ["no visit", "POST /c/abc", "", 405],
    ["a method of nobody", "PURGE /c/abc", "", 405],
    ["a code that no link has", "GET /c/nosuch", "", 404],
    ["a conversion without a key", "POST /postback", $FORM, 401],
    ["a key that nobody has", "POST /postback", "X-Api-Key: nobody\r\n$FORM", 401],
    ["a body of another type", "POST /postback", "${KEY}Content-Type: text/plain\r\n", 415],
    ["parameters that are none", "POST /postback", "$KEY$FORM", 400],
    ["a conversion by GET", "GET /postback?click_id=$click&txid=body", $KEY, 200],
    ["a method that is none of a conversion's", "DELETE /postback", $KEY, 405],
    ["a body that is too large", "POST /postback", "$KEY$FORM", 413, $large . $smuggled],
    ["the status page", "GET /status", "", 200],
    ["the status page by POST", "POST /status", "", 405],
    ["nothing at all", "GET /nowhere", "", 404],
);

for my $chunked (0, 1) {
    for my $case (@cases) {
        my ($what, $line, $headers, $status, $body) = @$case;
        $body //= $smuggled;
        my $clicks = $edge->counter("clicks");
        my ($method) = split / /, $line;
        my $framing = $chunked ? "Transfer-Encoding: chunked\r\n\r\n" . sprintf("%x\r\n%s\r\n0\r\n\r\n", length $body, $body)
            : "Content-Length: @{[length $body]}\r\n\r\n$body";
        my ($socket, $rest) = ($edge->connect_http, "");
        print $socket "$line HTTP/1.1\r\nHost: t\r\n$headers$framing", "GET /c/abc?sub1=second HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
        $socket->flush;
        my @answers = $edge->answers($socket, \$rest, $method, "GET", "GET");
        my $name = $what . ($chunked ? ", chunked" : "");
        my $closed = @answers == 1 && $answers[0][2] =~ /\r\nConnection: close\r\n/i;
        is($answers[0] && $answers[0][0], $status, "$name: $status");
        ok($closed || (@answers == 2 && marked($answers[1][2]) eq "second"), "$name: then the second, or the end")
            or diag explain [map { $_->[2] } @answers];
        is($edge->counter("clicks") - $clicks, ($status == 302 && $method eq "GET") + !$closed, "$name: its body ran nothing");
    }
}

subtest "a body in pieces, the next request behind the last of them" => sub {
    my ($socket, $rest) = ($edge->connect_http, "");
    my $body = "click_id=$click&event=sale&txid=pieces";
    syswrite $socket, "POST /postback HTTP/1.1\r\nHost: t\r\n$KEY${FORM}Content-Length: @{[length $body]}\r\n\r\n" . substr $body, 0, 9;
    select undef, undef, undef, 0.1; # a packet of its own
    syswrite $socket, substr($body, 9) . "GET /c/abc?sub1=behind HTTP/1.1\r\nHost: t\r\n\r\n";
    my @answers = $edge->answers($socket, \$rest, "POST", "GET");
    is($answers[0][0], 200, "the conversion");
    is(marked($answers[1][2]), "behind", "and the click");
};

SKIP: {
    skip "this nginx has no client_body_early_read", 4 if $edge->nginx_version < 1031005;
    my $early = AffiliateWire->new(redis => 0, workers => 1, http => "client_body_early_read 1;");
    my ($socket, $rest) = ($early->connect_http, "");
    my $body = "click_id=@{[$early->clicks(1)]}&event=sale&txid=early";
    syswrite $socket, "POST /postback HTTP/1.1\r\nHost: t\r\n$KEY${FORM}Content-Length: @{[length $body]}\r\n\r\n$body"
        . "POST /postback HTTP/1.1\r\nHost: t\r\n${FORM}Content-Length: @{[length $smuggled]}\r\n\r\n$smuggled"
        . "GET /c/abc HTTP/1.1\r\nHost: t\r\nContent-Length: @{[length $smuggled]}\r\n\r\n$smuggled"
        . "POST /postback HTTP/1.1\r\nHost: t\r\n$KEY${FORM}Content-Length: 65000\r\n\r\n$body&p1=" . "x" x (65000 - 4 - length $body);
    my @answers = $early->answers($socket, \$rest, ("POST") x 4);
    is($answers[0][0], 200, "a body that was read before: a conversion");
    is($answers[1][0], 401, "without a key");
    is($answers[2][0], 302, "of a click");
    is($answers[3][0], 400, "in a file");
}

is(() = $edge->error_log =~ /\[(?:alert|crit|emerg)\]/g, 0, "nothing alarming in the log") or diag $edge->error_log;
done_testing;
