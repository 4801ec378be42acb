#!/usr/bin/perl

# Every macro with every byte, and targets that would rather be elsewhere.
#
# Guards against what a visitor, a partner or a header can put into the destination: a control byte in Location, a header
# of their own behind it, another host before it.  What is expected is worked out here, from RFC 3986 and docs/links.md,
# not taken from the library.

use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use Test::More;

use AffiliateWire;

my @given = ((map { "sub$_" } 1 .. 10), qw(source creative ref_id)); # by the query
my @named = qw(affiliate campaign);                                 # by rows of the snapshot
my @others = qw(click_id affiliate_id link country region city asn device os browser language ip timestamp random);

sub encoded { my ($bytes, $keep) = @_; return join "", map { /$keep/ ? $_ : sprintf "%%%02X", ord } split //, $bytes }
sub plain { return encoded($_[0], qr/[A-Za-z0-9._~-]/) }
sub raw { return encoded($_[0], qr/[A-Za-z0-9._~!\$&'()*+,;=:\@\/?-]/) }
sub word { my ($text) = @_; return join "", map { sprintf "%%%02x", ord } split //, $text } # of a row, or of a query

# Names as the byte has them; a code and a row for each byte and form.
my @rows = ("program 1 1 1 30 EUR https://shop.example/");
for my $byte (0 .. 255) {
    my $value = "A" . chr($byte) . "Z";
    push @rows, "campaign @{[1 + $byte]} 1 1 @{[word $value]} -", "affiliate @{[1 + $byte]} 2 @{[word $value]}";
    for my $form (["p", ""], ["r", "_"]) {
        my $query = join "&", map { "$_={$form->[1]$_}" } @given, @named, @others;
        push @rows, "link @{[1000 * length($form->[1]) + 1 + $byte]} @{[1 + $byte]} @{[1 + $byte]} 1 $form->[0]$byte https://shop.example/x?$query&end=1";
    }
}
push @rows, "link 3001 1 1 1 path https://shop.example/{_sub1}/{_source}?{_sub2}#{_sub3}";
push @rows, "link 3002 1 1 1 front https://shop.example/{_sub1}";

my $edge = AffiliateWire->new(redis => 0, workers => 1, rows => join("\n", @rows) . "\n",
    server => 'location /lost/ { affiliate_click; affiliate_not_found https://lost.example/?was=$arg_x&host=$host; }
        location /away/ { affiliate_click; affiliate_not_found $arg_to; }');
my $socket;

# (status, Location, names of all headers)
sub ask {
    my ($uri, $headers) = @_;
    $socket //= $edge->connect_http;
    my ($code, undef, $head) = $edge->request($socket, "GET $uri HTTP/1.1\r\nHost: t\r\n" . ($headers // "") . "\r\n");
    undef $socket if !defined $head || $head =~ /\r\nConnection: close/i;
    my @lines = split /\r\n/, $head // "";
    my @locations = map { /^Location: (.*)/s ? $1 : () } @lines;
    return ($code, @locations == 1 ? $locations[0] : "", join " ", sort map { /^([\w-]+): / ? $1 : "?" } @lines[1 .. $#lines]);
}

my (undef, undef, $usual) = ask("/c/p65");
like($usual, qr/^Cache-Control Connection Content-Length Date Location (?:Referrer-Policy )?Server Set-Cookie$/, "the usual headers");

for my $form (["p", \&plain], ["r", \&raw]) {
    my ($letter, $expect) = @$form;
    my (@odd, @headers, @differ);
    for my $byte (0 .. 255) {
        my $value = "A" . chr($byte) . "Z";
        my $query = join "&", map { "$_=" . word($value) } @given;
        # nginx refuses control bytes in header values; the rest of them goes where macros may take it from
        my $header = $byte < 32 || $byte == 127 ? "" : join "", map { "$_: $value\r\n" } qw(User-Agent Accept-Language Referer Sec-CH-UA-Platform);
        my ($code, $location, $names) = ask("/c/$letter$byte?$query", $header);
        push @odd, $byte if $code != 302 || $location !~ m{^https://shop\.example/x\?[\x21-\x7e]*&end=1$};
        push @headers, $byte if $names ne $usual;
        for my $name (@given, @named) {
            my ($got) = $location =~ /[?&]$name=(.*?)(?:&(?:@{[join "|", @given, @named, @others]})=|&end=1$)/;
            push @differ, "$name $byte: " . ($got // "?") if ($got // "?") ne $expect->($value);
        }
    }
    is("@odd", "", "$letter: 256 bytes through every macro: one clean URL on the same host");
    is("@headers", "", "$letter: and no header more");
    is(scalar(@differ), 0, "$letter: each byte as RFC 3986 wants it") or diag join "\n", @differ[0 .. ($#differ > 9 ? 9 : $#differ)];
}

# The same bytes unescaped in the request line: what nginx lets through is encoded, the rest gets no answer of ours.
my @wrong;
for my $byte (0 .. 255) {
    next if chr($byte) =~ /[&#%+ ]/; # they mean something in a query
    my ($code, $location) = ask("/c/p65?sub1=A" . chr($byte) . "Z");
    if ($byte < 32 || $byte == 127) {
        push @wrong, "$byte: " . ($code // "closed") if defined $code && $code != 400;
        undef $socket;
    } else {
        push @wrong, "$byte: $code $location" if $code != 302 || index($location, "?sub1=" . plain("A" . chr($byte) . "Z") . "&") < 0;
    }
}
is("@wrong", "", "unescaped bytes");

my @hostile = ("/evil.example", "//evil.example", "\\\\evil.example", "/\\evil.example", "https://evil.example/", "https:evil.example",
    "javascript:alert(1)", "data:text/html,x", "\@evil.example", ":80\@evil.example/", "..//evil.example", "../../../evil.example",
    "\r\nSet-Cookie: a=b", "\r\n\r\n<script>", "\nLocation: https://evil.example", "%0d%0aSet-Cookie:%20a=b", "%2f%2fevil.example",
    "%5c%5cevil.example", "\t//evil.example", "\0//evil.example", " //evil.example", "#\@evil.example", "?\@evil.example",
    ".evil.example", "evil.example", "\xe3\x80\x82evil.example", "\xef\xbc\x8f\xef\xbc\x8fevil.example", "\xc0\xaf\xc0\xafevil.example",
    "\xe2\x80\xa8evil", "<script>alert(1)</script>", "\"onload=x", "'", "`", "{click_id}", "{_sub1}", "\${jndi:ldap://evil.example}", "A" x 400);
@wrong = ();
for my $value (@hostile) {
    my $word = word($value);
    for my $uri ("/c/front?sub1=$word", "/c/path?sub1=$word&source=$word&sub2=$word&sub3=$word") {
        my ($code, $location, $names) = ask($uri);
        push @wrong, "$value: $code $location" if $code != 302 || $location !~ m{^https://shop\.example/[\x21-\x7e]*$} || $location =~ /[{}<>"`\\^|]/;
        push @wrong, "$value: $names" if $names ne $usual;
    }
    my ($code, $location, $names) = ask("/lost/nosuch?x=$word", "");
    push @wrong, "lost $value: $code $location"
        if $code == 302 ? $location !~ m{^https://lost\.example/\?was=[\x21-\x7e\x80-\xff]*&host=t$} : $code != 404 && $code != 414;
    ($code, $location, $names) = ask("/away/nosuch?to=$word", "");
    push @wrong, "away $value: $code $location" if $code == 302 ? $location =~ /[\x00-\x20\x7f]/ : $code != 404 && $code != 414;
}
is(scalar(@wrong), 0, "hostile targets stay on the host that was set, without a control byte") or diag join "\n", @wrong;

is(() = $edge->error_log =~ /\[(?:alert|crit|emerg)\]/g, 0, "nothing alarming in the log") or diag $edge->error_log;
done_testing;
