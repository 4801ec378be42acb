#!/usr/bin/perl

# TLS: what of it is seen in cookies, redirects and variables, and tracking domains of one's own by SNI.
#
# Guards against a cookie without Secure where it was asked for, against a redirect that falls back to plain HTTP, and
# against domains that get each other's cookies.

use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use Test::More;

use AffiliateWire;

my ($tls, $own) = (AffiliateWire::free_port(), "track.partner.example");
my $edge = AffiliateWire->new(redis => 0, workers => 1, tls => $tls,
    http => 'log_format tls "$https $scheme $ssl_server_name $affiliate_click_id";',
    server => 'access_log DIR/access.log tls;
        location /t/ { affiliate_click json; }
        location /lax/ { affiliate_click; affiliate_cookie secure=off; }
        location /shared/ { affiliate_click; affiliate_cookie domain=partner.example; }
        location /lost/ { affiliate_click; affiliate_not_found /gone; }
        location /here/ { affiliate_click; affiliate_not_found $scheme://$host/gone; }');

sub fetch {
    my ($scheme, $host, $uri, @arguments) = @_;
    my $port = $scheme eq "https" ? $tls : $edge->{port};
    open my $out, "-|", "curl", "-sS", "--http1.1", "--cacert", "$edge->{dir}/tls.crt", "-i", "-m", 20,
        "--resolve", "$host:$port:127.0.0.1", @arguments, "$scheme://$host:$port$uri" or die $!;
    local $/;
    return scalar(<$out>) // "";
}

sub cookie { return $_[0] =~ /\nSet-Cookie: ([^\r\n]*)/i ? $1 : "" }
sub location { return $_[0] =~ /\nLocation: ([^\r\n]*)/i ? $1 : "" }

for my $scheme ("https", "http") {
    like(cookie(fetch($scheme, "localhost", "/c/abc")), qr/; Path=\/; Secure; HttpOnly; SameSite=Lax$/,
        "$scheme: a cookie is Secure unless it is said otherwise");
    unlike(cookie(fetch($scheme, "localhost", "/lax/abc")), qr/Secure/, "$scheme: secure=off");
}

like(location(fetch("https", "localhost", "/lost/no")), qr{^https://localhost(?::$tls)?/gone$}, "a path stays on TLS");
like(location(fetch("http", "localhost", "/lost/no")), qr{^http://localhost(?::$edge->{port})?/gone$}, "or off it");
is(location(fetch("https", $own, "/here/no")), "https://$own/gone", "variables name scheme and host");

# Whoever can change what a plain page says must not read what a visitor is given on TLS.  What ends TLS before this nginx
# hides it: so a page on TLS is one of ours there as well.
for (["https", "https", 200], ["https", "http", 403], ["http", "http", 200], ["http", "https", 200], ["http", "ftp", 403]) {
    my ($scheme, $page, $status) = @$_;
    my $port = $scheme eq "https" ? $tls : $edge->{port};
    my $answer = fetch($scheme, "localhost", "/t/abc", "-H", "Origin: $page://localhost:$port");
    like($answer, qr{^HTTP/1.1 $status }, "$scheme: a page on $page of the same host: $status");
    is($answer =~ /^Access-Control-Allow-Credentials: true/mi ? 200 : 403, $status, "and may read it accordingly");
}

my ($id) = location(fetch("https", $own, "/c/abc")) =~ /cid=([\w-]{40})/;
ok($edge->await(5, sub { $edge->access_log =~ /^on https \Q$own\E \Q$id\E$/m }), "the log: TLS, the domain by SNI, the click");
($id) = location(fetch("http", "localhost", "/c/abc")) =~ /cid=([\w-]{40})/;
ok($edge->await(5, sub { $edge->access_log =~ /^ http - \Q$id\E$/m || $edge->access_log =~ /^- http - \Q$id\E$/m }), "the log: no TLS");

unlike(cookie(fetch("https", $own, "/c/abc")), qr/Domain/, "a tracking domain's cookie is its own");
like(cookie(fetch("https", $own, "/shared/abc")), qr/; Domain=partner\.example;/, "unless the parent domain is to have it");

# Clients that give up within the handshake leave nothing behind.
for (1 .. 50) {
    my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $tls) or die $!;
    syswrite $socket, pack("H*", "16030100c8010000c40303") x ($_ % 2);
    close $socket;
}
like(fetch("https", "localhost", "/c/abc"), qr{^HTTP/1.1 302}, "after fifty broken handshakes");
is(() = $edge->error_log =~ /\[(?:alert|crit|emerg)\]/g, 0, "nothing alarming in the log") or diag $edge->error_log;
done_testing;
