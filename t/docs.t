# The reference pages name everything the module knows, and nothing else: a directive, variable or error code that
# was added or renamed without its documentation is found here.  So is a source that nginx's add-on script does not
# name: a module loaded with RTLD_LAZY would only miss it when a request comes by.
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
is_deeply(names($directives, qr/^    Syntax:  (\w+)/m), $known, 'with its syntax');

$known = names($variables, qr/ngx_string\("(affiliate_\w+)"\)/);
cmp_ok(scalar @$known, '>', 4, 'variables were found');
is_deeply(names($directives, qr/`\$(affiliate_\w+)`/), $known, 'each variable is in the table');

$known = names($errors, qr/X\(\w+, \d+, "(\w+)"/);
cmp_ok(scalar @$known, '>', 20, 'error codes were found');
my ($edge) = text('docs/errors.md') =~ /^## The edge$(.*)^## The API$/ms;
is_deeply(names($edge, qr/<a id="(\w+)"><\/a>`\1`/), $known, 'each error code has its line');

for my $error ($errors =~ /X\(\w+, (\d+, "\w+")/g) {
    my ($status, $code) = $error =~ /(\d+), "(\w+)"/;
    like($edge, qr/`$code` \| $status \|/, "$code is $status");
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
