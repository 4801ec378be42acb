# The reference pages name everything the module knows, and nothing else: a directive, variable, verdict, metric or
# error code that was added or renamed without its documentation is found here, and so is a syntax or context that
# nginx would not accept.  Also a source that nginx's add-on script does not name: a module loaded with RTLD_LAZY would
# only miss it when a request comes by.
use strict;
use warnings;
use Test::More;

sub text {
    my ($path) = @_;
    open my $f, '<', $path or die "$path: $!";
    local $/;
    return <$f>;
}

sub names {
    my ($text, $pattern) = @_;
    my %names = map { $_ => 1 } $text =~ /$pattern/g;
    return [sort keys %names];
}

my $module = text('ngx_http_affiliate_module/ngx_http_affiliate_module.c');
my $variables = text('ngx_http_affiliate_module/ngx_http_affiliate_variables.c');
my $errors = text('ngx_http_affiliate_module/ngx_http_affiliate_request.h');
my $directives = text('docs/directives.md');

my $known = names($module, qr/ngx_string\("(affiliate_\w+)"\)/);
cmp_ok(scalar @$known, '>', 10, 'directives were found');
is_deeply(names($directives, qr/^## (\w+)$/m), $known, 'each directive has its section');

for my $section ($directives =~ /^(## \w+\n.*?)(?=^##? |\z)/gms) {
    my ($name) = $section =~ /^## (\w+)/;
    my ($flags) = $module =~ /\{ ngx_string\("$name"\),\s*([A-Z0-9_|\s]+),/;
    my ($syntax, $default, $context) = $section =~
        /\A## \w+\n\n    Syntax:  ($name\b[^;\n]*;(?:\n             $name\b[^;\n]*;)*)\n    Default: (.+)\n    Context: (.+)\n\n\S/;
    ok(defined $context, "$name: Syntax, Default and Context, in nginx's form") or next;
    is($context, contexts($flags), "$name: its contexts");
    is_deeply([arguments($name, $syntax, $flags)], [], "$name: takes as many arguments as its syntax says");
    like($default, qr/^(?:-|(?:$name\b[^;]*;(?: |$))+)$/, "$name: its default is a directive, or -");
}

# NGX_HTTP_..._CONF as nginx's documentation names them.
sub contexts {
    my ($flags) = @_;
    return join ', ', map { $_->[1] } grep { $flags =~ /\bNGX_HTTP_$_->[0]_CONF\b/ }
        ['MAIN', 'http'], ['SRV', 'server'], ['LOC', 'location'], ['LIF', 'if in location'];
}

# What the syntax allows against what nginx lets through: the counts that only one of them knows.
sub arguments {
    my ($name, $syntax, $flags) = @_;
    my (%said, %taken, @differ);
    my $most = 9;
    for my $form (map { $_ eq '' ? $_ : split / \| / } $syntax =~ /$name\b\s*([^;]*);/g) {
        my @words = split ' ', $form;
        my $least = grep { !/^\[/ } @words;
        my $all = $form =~ /\.\.\./ ? $most : @words;
        $said{$_} = 1 for $least .. $all;
    }
    $taken{0} = 1 if $flags =~ /NOARGS/;
    $taken{1} = 1 if $flags =~ /FLAG/;
    for my $digits ($flags =~ /TAKE(\d+)/g) {
        $taken{$_} = 1 for split //, $digits;
    }
    for my $from (map { $_ eq 'ANY' ? 0 : substr $_, 0, 1 } $flags =~ /NGX_CONF_(ANY|[12]MORE)/g) {
        # options may be left out each, but not all of them; how many there are at most the setter knows
        delete @said{ 0 .. $from - 1 };
        $taken{$_} = 1 for keys %said;
    }
    push @differ, "syntax allows $_ arguments, nginx does not" for grep { !$taken{$_} } sort keys %said;
    push @differ, "nginx takes $_ arguments, syntax does not" for grep { !$said{$_} } sort keys %taken;
    return @differ;
}

$known = names($variables, qr/ngx_string\("(affiliate_\w+)"\)/);
cmp_ok(scalar @$known, '>', 4, 'variables were found');
is_deeply(names($directives, qr/`\$(affiliate_\w+)`/), $known, 'each variable is in the table');

my $zone = text('ngx_http_affiliate_module/ngx_http_affiliate.h');
my ($flags) = text('tracker-core/include/tracker_event.h') =~ /^enum tracker_click_flag \{(.*?)^\};/ms;
my ($verdicts) = $zone =~ /define NGX_HTTP_AFFILIATE_VERDICTS\(X\)(.*?)\n\n/s;
$known = names($flags, qr/TRACKER_CLICK_(\w+)/);
is_deeply(names($verdicts, qr/X\((\w+)/), $known, 'each verdict bit of a click has a name');
my ($row) = $directives =~ /^\| `\$affiliate_verdict` \|(.*)$/m;
like($row, qr/`$_`/, "verdict $_ is documented") for @{ names($verdicts, qr/"(\w+)"/) };

$known = names($errors, qr/X\(\w+, \d+, "(\w+)"/);
cmp_ok(scalar @$known, '>', 20, 'error codes were found');
my ($edge) = text('docs/errors.md') =~ /^## The edge$(.*)^## The API$/ms;
is_deeply(names($edge, qr/<a id="(\w+)"><\/a>`\1`/), $known, 'each error code has its line');

for my $error ($errors =~ /X\(\w+, (\d+, "\w+")/g) {
    my ($status, $code) = $error =~ /(\d+), "(\w+)"/;
    like($edge, qr/`$code` \| $status \|/, "$code is $status");
}

# What a metric may be called: counters and gauges of the zone, and the families that are written out.
my %metrics = map { $_ => 1 } text('ngx_http_affiliate_module/ngx_http_affiliate_metrics.c') =~ /\(t, "(\w+)"/g;
for my $list (['COUNTERS', '_total'], ['GAUGES', '']) {
    my ($names) = $zone =~ /define NGX_HTTP_AFFILIATE_$list->[0]\(X\)(.*?)\n\n/s;
    $metrics{"$_$list->[1]"} = 1 for @{ names($names, qr/X\(\w+, "(\w+)"/) };
}
cmp_ok(scalar keys %metrics, '>', 40, 'metrics were found');
for my $file ('docs/monitoring.md', 'conf/prometheus/affiliate.rules.yml') {
    my @unknown = grep { !$metrics{$_} && $module !~ /"affiliate_$_"/ } @{ names(text($file), qr/\baffiliate_(\w+)/) };
    is_deeply(\@unknown, [], "$file names no metric that does not exist");
}

my $config = text('config');
my %listed;
for my $list ($config =~ /^for affiliate_file in (.*?)^do/msg) {
    $listed{$_}++ for grep { !/^\\$/ } split ' ', $list;
}
my @sources = map { m{/(?:ngx_http_affiliate|tracker)_(\w+)\.c$} } glob('ngx_http_affiliate_module/*.c tracker-core/src/*.c');
my %sources;
$sources{$_}++ for @sources;
is_deeply(\%listed, \%sources, 'config names every source of the module and the library once');
done_testing();
