#!/usr/bin/perl

# HTTP/2 over TLS, by curl: clicks, bodies of conversions, and many streams on one connection.
#
# Guards against what differs from HTTP/1: no Host line and no Content-Length to rely on, several Cookie fields, bodies in
# frames, answers in any order, and a stream that is refused while others go on.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use Test::More;

use AffiliateWire;

plan skip_all => "this nginx has no HTTP/2" if `@{[$ENV{TEST_NGINX_BINARY} // "nginx"]} -V 2>&1` !~ /--with-http_v2_module/;

my $port = AffiliateWire::free_port();
my $edge = AffiliateWire->new(redis => 0, workers => 1, tls => $port);
my $url = "https://localhost:$port";
my @key = ("-H", "Authorization: Bearer key-of-the-test");

# Head and body of one answer, or of all of them.
sub curl {
    my (@arguments) = @_;
    open my $out, "-|", "curl", "-sS", "--http2", "-k", "-i", "--resolve", "localhost:$port:127.0.0.1", "-m", 20, @arguments or die $!;
    local $/;
    return scalar(<$out>) // "";
}

my $answer = curl("$url/c/abc?sub1=one");
like($answer, qr{\AHTTP/2 302 \r?\n}, "a click over HTTP/2");
my ($click) = $answer =~ /\nlocation: \S+cid=([\w-]{40})/;
ok(defined $click, "with an id");
like($answer, qr{\nset-cookie: aff_1=$click\.$click; [^\n]*; Secure; HttpOnly; SameSite=Lax\r?\n}, "its cookie");
like($answer, qr/\ncache-control: no-store\r?\n/, "not to be cached");

# HTTP/2 lets a browser send each cookie in a field of its own (RFC 9113, 8.2.3).
$answer = curl("-H", "Cookie: a=1", "-H", "Cookie: aff_1=$click.$click", "-H", "Cookie: z=2", "$url/c/abc");
like($answer, qr{\nset-cookie: aff_1=$click\.(?!$click)[\w-]{40};}, "the first touch of a cookie in one field of several");

like(curl("-I", "$url/c/abc"), qr{\AHTTP/2 302 .*cid=\r?\n}s, "HEAD names no click");
like(curl("-X", "OPTIONS", "$url/c/abc"), qr{\AHTTP/2 204 }, "OPTIONS");
like(curl("-d", "x" x 3000, "$url/c/abc"), qr{\AHTTP/2 405 }, "a POST with a body that nobody reads");
like(curl("$url/c/nosuch"), qr{\AHTTP/2 404 }, "an unknown code");

like(curl(@key, "$url/postback?click_id=$click&txid=get"), qr{\AHTTP/2 200 .*"accepted"}s, "a conversion by GET");
like(curl(@key, "-d", "click_id=$click&txid=form", "$url/postback"), qr{\AHTTP/2 200 .*"accepted"}s, "as a form");
like(curl(@key, "-H", "Content-Type: application/json", "-d", qq({"click_id":"$click","txid":"json"}), "$url/postback"),
    qr{\AHTTP/2 200 .*"accepted"}s, "as JSON");
like(curl("-d", "y" x 60000, "$url/postback"), qr{\AHTTP/2 401 .*"key_missing"}s, "without a key, its body unread");
like(curl(@key, "-d", "y" x 70000, "$url/postback"), qr{\AHTTP/2 413 .*"body_too_large"}s, "too large");

# A body without a length: curl sends standard input as it comes.
open my $file, ">", "$edge->{dir}/body" or die $!;
print $file "click_id=$click&txid=unknown-length";
close $file;
open STDIN, "<", "$edge->{dir}/body" or die $!;
like(curl(@key, "-H", "Content-Type: application/x-www-form-urlencoded", "-X", "POST", "-T", "-", "$url/postback"),
    qr{\AHTTP/2 200 .*"accepted"}s, "a body whose length nobody said");

# The same, signed: a signature over query and form must cover a body that no header announced.
my $sig = hmac_sha256_hex("click_id=$click&txid=unknown-length&user=3", "secret-of-the-test");
for my $case (["unknown-length", 200, '"accepted"', "as it was signed"], ["changed", 401, '"signature_invalid"', "that was changed"]) {
    my ($txid, $code, $says, $what) = @$case;
    open $file, ">", "$edge->{dir}/body" or die $!;
    print $file "click_id=$click&txid=$txid";
    close $file;
    open STDIN, "<", "$edge->{dir}/body" or die $!;
    like(curl("-H", "Content-Type: application/x-www-form-urlencoded", "-X", "POST", "-T", "-", "$url/postback?user=3&sig=$sig"),
        qr{\AHTTP/2 $code .*$says}s, "a signed body whose length nobody said, $what");
}

# One connection, a hundred streams: clicks, conversions and refusals together.
my $before = $edge->status->{counters};
open my $config, ">", "$edge->{dir}/curl" or die $!;
for my $i (1 .. 100) {
    print $config "next\n" if $i > 1;
    print $config qq(insecure\nhttp2\nresolve = "localhost:$port:127.0.0.1"\noutput = "/dev/null"\nwrite-out = "%{http_code} %{num_connects} $i\\n"\n);
    if ($i % 4 == 0) {
        print $config qq(url = "$url/postback"\nheader = "$key[1]"\ndata = "click_id=$click&txid=many$i"\n);
    } elsif ($i % 4 == 1) {
        print $config qq(url = "$url/postback"\ndata = "click_id=$click&txid=refused$i"\n);
    } else {
        print $config qq(url = "$url/c/abc?sub1=$i"\n);
    }
}
close $config;
my (%codes, $connects);
for (split /\n/, `curl -sS -Z --parallel-max 50 -K $edge->{dir}/curl`) {
    my ($code, $connected) = split / /;
    $codes{$code}++;
    $connects += $connected;
}
is_deeply(\%codes, { 302 => 50, 200 => 25, 401 => 25 }, "a hundred streams, each answered as it should be");
cmp_ok($connects, "<", 60, "on shared connections ($connects)");
my $after = $edge->status->{counters};
is($after->{clicks} - $before->{clicks}, 50, "clicks counted");
is($after->{conversions} - $before->{conversions}, 25, "conversions counted");
is($after->{conversions_refused} - $before->{conversions_refused}, 25, "refusals counted");
is(() = $edge->error_log =~ /\[(?:alert|crit|emerg)\]/g, 0, "nothing alarming in the log") or diag $edge->error_log;
done_testing;
