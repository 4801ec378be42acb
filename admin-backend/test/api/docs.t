#!/usr/bin/perl
#
# The pages about the API tell the truth: docs/errors.md lists every code the daemon can answer with, with its status and
# nothing else, and the commands of docs/api.md run as they stand there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use File::Temp 'tempdir';
use Test::More;

sub text {
    my ($path) = @_;
    open my $in, '<', "$Api::ROOT/$path" or die "$path: $!";
    local $/;
    return scalar <$in>;
}

# ---- codes ----

my %status = (INVALID => 422, NOT_FOUND => 404, CONFLICT => 409, STALE => 412, FORBIDDEN => 403, UNAVAILABLE => 503, FAILED => 500);
my %moved = (unauthenticated => 401, login_failed => 401, too_many_attempts => 429, key_missing => 401, key_unknown => 401,
    autologin_expired => 410);    # HTTP has words of its own for these
my %said;
for my $file (grep { !/demo\.c$/ } glob "$Api::ROOT/admin-backend/src/{http,service}/*.c") {    # the demo has no address
    my $source = text(substr $file, 1 + length $Api::ROOT);
    while ($source =~ /\bservice_refuse\(\s*[^,]+,\s*SERVICE_(\w+),\s*"(\w+)"/g) {
        $said{$2} = $moved{$2} // $status{$1};
    }
    while ($source =~ /\banswer_error\(\s*[^,]+,\s*(\d+),\s*"(\w+)"/g) {
        $said{$2} = $1;
    }
}
cmp_ok(scalar keys %said, '>', 25, 'codes were found');
my ($edge, $api_section) = text('docs/errors.md') =~ /^## The edge$(.*)^## The API$(.*)/ms;
my %edge = $edge =~ /<a id="(\w+)"><\/a>`\1` \| (\d+) \|/g;
my %listed = $api_section =~ /<a id="(\w+)"><\/a>`\1` \| (\d+) \|/g;
exists $edge{$_} && ($listed{$_} = $edge{$_}) for keys %said;    # one anchor for what both say
is_deeply(\%listed, \%said, 'docs/errors.md lists every code with its status, and no other');

# ---- commands ----

my $api = Api->start;
my $folder = tempdir(CLEANUP => 1);
my @blocks = text('docs/api.md') =~ /^```bash\n(.*?)^```$/msg;
cmp_ok(scalar @blocks, '>', 5, 'commands were found');
local @ENV{qw(SOCKET URL TOKEN EMAIL PASSWORD)} = ($api->{socket}, "http://localhost$Api::ADMIN", $api->{staff}{admin}{token},
    @{ $api->{staff}{admin} }{qw(email password)});
for my $block (@blocks) {
    my ($first) = $block =~ /^(.{0,70})/;
    open my $out, '>', "$folder/block" or die $!;
    print $out qq(curl() { command curl -sS --fail-with-body --unix-socket "\$SOCKET" "\$@"; }\n), $block;
    close $out;
    my $said = qx(cd '$folder' && bash -eu -o pipefail block 2>&1);
    is($?, 0, "it runs: $first") or diag($said);
    like($said, qr/^(\{.*\})*$/s, '... and answers with JSON');
    is(scalar(() = $said =~ /"name":"Summer"/g), 2, '... twice the same') if $block =~ /Idempotency/;
}
is(($api->rows("SELECT COUNT(*) FROM campaigns WHERE name = 'Summer'"))[0], 1, 'twice the same request: one campaign');

$api->stop;
done_testing();
