#!/usr/bin/perl

# A click id is worth money: only what an edge with the key made is taken.
#
# Guards against an id that was changed in any bit, cut, lengthened or written otherwise: as a postback's click_id it is
# refused, in a cookie it is ignored and marked.  One that passed would credit another click, or none that ever was.

use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use MIME::Base64 qw(decode_base64url encode_base64url);
use Test::More;

use AffiliateWire;

my $edge = AffiliateWire->new(redis => 0, workers => 1);
my $socket = $edge->connect_http or die $!;
my ($good) = $edge->clicks(1);

sub encoded { return join "", map { sprintf "%%%02x", ord } split //, $_[0] }

# The status and error code of a conversion that names this id.
sub convert {
    my ($id) = @_;
    my ($code, $body) = $edge->request($socket, "GET /postback?click_id=" . encoded($id) . " HTTP/1.1\r\nHost: t\r\n"
        . "X-Api-Key: key-of-the-test\r\n\r\n");
    return "$code " . ($body =~ /"code":"(\w+)"/ ? $1 : "accepted");
}

# Does a click with this cookie pass for a repeated one?
sub repeats {
    my ($cookie) = @_;
    my (undef, undef, $head) = $edge->request($socket, "GET /c/abc HTTP/1.1\r\nHost: t\r\nCookie: aff_1=$cookie\r\n\r\n");
    my ($first, $last) = $head =~ /\r\nSet-Cookie: aff_1=([\w-]{40})\.([\w-]{40});/ or die "no cookie: $head";
    return $first ne $last;
}

is(convert($good), "200 accepted", "the id as it was given");
ok(repeats("$good.$good"), "and in a cookie");

my $bytes = decode_base64url($good);
is(length $bytes, 30, "30 bytes in 40 characters");
my (@taken, @repeated);
for my $bit (0 .. 8 * length($bytes) - 1) {
    my $flipped = $bytes;
    vec($flipped, $bit, 1) ^= 1;
    my $id = encode_base64url($flipped);
    push @taken, $bit if convert($id) ne "400 click_id_invalid";
    push @repeated, $bit if repeats("$id.$good") || repeats("$good.$id") || repeats("$id.$id");
}
is("@taken", "", "each of its 240 bits flipped is refused");
is("@repeated", "", "and ignored in a cookie, first and last");

@taken = ();
for my $bit (0 .. 8 * length($good) - 1) {
    my $flipped = $good;
    vec($flipped, $bit, 1) ^= 1;
    my $answer = convert($flipped);
    push @taken, "$bit: $answer" if $answer !~ /^400 (?:click_id_invalid|parameter_malformed)$/;
}
is("@taken", "", "each bit of its text flipped is refused");

my $other = join "", map { chr(ord("A") + int rand 26) } 1 .. 40;
my %wrong = (
    "one character less" => substr($good, 0, 39),
    "one character more" => "${good}A",
    "twice" => "$good$good",
    "with padding" => "$good=",
    "with a blank before it" => " $good",
    "in the other alphabet" => $good =~ tr/-_/+\//r . ($good =~ /[-_]/ ? "" : "!"),
    "in capitals" => uc $good,
    "of nobody" => $other,
    "of zeros" => "A" x 40,
    "halves changed round" => substr($good, 20) . substr($good, 0, 20),
);
for my $what (sort keys %wrong) {
    next if $wrong{$what} eq $good;
    like(convert($wrong{$what}), qr/^400 click_id_invalid$/, $what);
}
is($edge->counter("conversions"), 1, "one conversion in all");
is($edge->status->{refusals}{click_id_invalid} // 0, $edge->counter("conversions_refused") - ($edge->status->{refusals}{parameter_malformed} // 0),
    "the rest was refused, each counted");
cmp_ok($edge->status->{verdicts}{broken_cookie}, ">=", 240 * 3, "broken cookies are marked");
is($edge->status->{verdicts}{repeat}, 1, "one repeated click in all");
done_testing;
