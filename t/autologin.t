# docs/autologin.md: the sample code that platforms copy, in C and in PHP, against tokens that are good and that are not.
#
# Guards people's accounts: a sample that takes a token twice, too late, of another program, of another use or with another
# signature opens a stranger's account wherever it was copied to.
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256_hex);
use File::Temp ();
use MIME::Base64 qw(decode_base64url encode_base64url);
use Test::More;

my $fixture = ($ENV{AFFILIATE_TOOLS} // 'build/t') . '/fixture';
my $dir = File::Temp->newdir('affiliate-autologin-XXXXXX', TMPDIR => 1);
my $secret = 'secret of the platform';
my $lead = '00112233445566778899aabbccddeeff';

sub text {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!";
    local $/;
    return <$in>;
}

sub write_file {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out;
}

my %sample = text('docs/autologin.md') =~ /^```(c|php)\n(.*?)^```$/gms;
is_deeply([sort keys %sample], ['c', 'php'], 'the samples are there');
system($fixture, 'keys', "$dir/keys") == 0 or die 'fixture keys failed';

# A token as an edge makes it: use, program, seconds from now, nonce.
sub token {
    my ($use, $program, $seconds, $nonce) = @_;
    my $token = `$fixture pass $dir/keys $use $program @{[time + $seconds]} $lead $nonce`;
    chomp $token;
    return $token;
}

sub signed { return ($_[0], hmac_sha256_hex($_[0], $_[1] // $secret)) }

# What the sample says to each: the lead's id, or nothing.
sub judge_all {
    my ($name, $run) = @_;
    my $says = sub { return $run->(@_) };
    mkdir "$dir/$name";
    my $good = token(2, 7, 60, 'a' x 16);
    is($says->(signed($good)), $lead, "$name: a good one");
    is($says->(signed($good)), '', "$name: works once");
    is($says->(signed(token(2, 7, 59, 'a' x 16))), '', "$name: nor does another token with its nonce");
    is($says->(signed(token(2, 7, 60, 'b' x 16))), $lead, "$name: another login");
    my $fresh = token(2, 7, 60, 'c' x 16);
    is($says->(signed($fresh, 'secret of somebody else')), '', "$name: another secret");
    is($says->($fresh, ''), '', "$name: no signature");
    is($says->($fresh, uc((signed($fresh))[1])), '', "$name: a signature in capitals");
    is($says->($fresh, substr((signed($fresh))[1], 0, 63)), '', "$name: a signature that was cut");
    (my $changed = $fresh) =~ s/^(.{30})(.)/$1 . ($2 eq 'x' ? 'y' : 'x')/e;
    is($says->($changed, (signed($fresh))[1]), '', "$name: a token that was changed");
    is($says->(signed(token(2, 7, 0, 'd' x 16))), '', "$name: one that has expired");
    is($says->(signed(token(2, 7, -1, 'd' x 16))), '', "$name: one that has expired before");
    is($says->(signed(token(2, 8, 60, 'd' x 16))), '', "$name: another program's");
    is($says->(signed(token(1, 7, 60, 'd' x 16))), '', "$name: a ticket");
    is($says->(signed('x')), '', "$name: no token at all");
    is($says->('', ''), '', "$name: nothing");
    is($says->(signed(encode_base64url(decode_base64url($fresh) . 'xyz'))), '', "$name: a longer one");
    is($says->(signed($fresh)), $lead, "$name: after all that, the good one");
}

write_file("$dir/c.c", $sample{c} . <<'END');
int
main(int argc, char **argv)
{
    char lead[33];

    if (argc == 5 && autologin(argv[1], argv[2], argv[3], 7, argv[4], lead))
        puts(lead);
    return 0;
}
END
is(system('gcc', qw(-std=gnu11 -Wall -Wextra -Werror -O2 -o), "$dir/sample", "$dir/c.c", '-lcrypto'), 0, 'the C sample compiles');
sub output {
    my (@command) = @_;
    open my $out, '-|', @command or die "$command[0]: $!";
    my $line = <$out> // '';
    chomp $line;
    return $line;
}
judge_all('c', sub { return output("$dir/sample", @_, $secret, "$dir/c") });

SKIP: {
    skip 'php is not installed', 17 if system('php -v >/dev/null 2>&1') != 0;
    write_file("$dir/sample.php", $sample{php});
    judge_all('php', sub { return output('php', '-r', 'require $argv[1]; echo autologin($argv[2], $argv[3], $argv[4], 7, $argv[5]);',
        "$dir/sample.php", @_, $secret, "$dir/php") });
}
done_testing();
