#!/usr/bin/perl
#
# Bad input: one clear error, nothing written, nothing leaked.  Bodies that are no JSON, values that the document's
# schemas refuse (made from its own examples), addresses, methods and sizes that nobody should send.  What could break:
# a field that is read without a look at its type, a number that wraps, a NUL that hides the rest.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Leads;
use JSON::PP;
use Test::More;

my $api = Api->start;
my $document = Api::document();
my $referral = $api->say('sell', '100.00', 'EUR', 'INPUT', 1);
$api->post('api_users', { name => 'Shop', role => 'advertiser' });
$api->post('referrals/bulk', { ids => [ $referral->{id} ], action => 'approve' });
$api->post('payouts', { affiliate_id => '1' });
$api->post('traders', { email => 'input@example.com' });
Leads::lead($api);

sub state_of_things {    # all that a request could have written
    return join '; ', map { my ($n) = $api->rows("SELECT COUNT(*), MAX(rowid) FROM $_"); "$_ $n" }
        qw(affiliates affiliate_groups campaigns links api_users api_keys staff payouts state_changes audit_log idempotency_keys ledger_legs plans departments lead_sources leads lead_notes lead_log traders trader_accounts trader_invitations);
}
sub address { my ($path) = @_; return $path =~ s/\{id\}/1/r =~ s/\{\w+\}/1/r }

my (@with_body, @without);
for my $route (@{ $api->{routes} }) {
    next if $route->{path} =~ /^\/(setup|invite)/ || "@{ $route->{roles} }" =~ /^(affiliate|api_user)$/;
    my $operation = $document->get([ paths => $route->{path}, lc $route->{method} ]);
    if (my $content = $operation->{requestBody}) { push @with_body, [ @$route{qw(method path)}, $content->{content}{'application/json'} ] }
    else { push @without, [ @$route{qw(method path)} ] }
}
my $before = state_of_things();

# ---- bodies that cannot be read ----

my @unreadable = (
    [ 'no JSON' => '{' ],                       [ 'text' => 'hello' ],
    [ 'blanks' => '   ' ],                      [ 'two values' => '{}{}' ],
    [ 'a comment' => '{/* */}' ],               [ 'single quotes' => "{'a':1}" ],
    [ 'a name twice' => '{"name":"a","name":"b"}' ], [ 'a comma too many' => '{"name":"a",}' ],
    [ 'a NUL' => "{\"name\":\"a\0b\"}" ],       [ 'an escaped NUL' => '{"name":"a\u0000b"}' ],
    [ 'an escaped NUL in a name' => '{"na\u0000me":"a"}' ],
    [ 'bad UTF-8' => "{\"name\":\"\xff\xfe\"}" ], [ 'overlong UTF-8' => "{\"name\":\"\xc0\xaf\"}" ],
    [ 'half a surrogate' => '{"name":"\ud800"}' ], [ 'UTF-16' => "{\0\"\0a\0\"\0:\0" . "1\0}\0" ],
    [ 'a byte order mark' => "\xef\xbb\xbf{}" ], [ 'NaN' => '{"a":NaN}' ],
    [ 'a number beyond 64 bits' => '{"window_days":99999999999999999999}' ],
    [ 'a number beyond doubles' => '{"a":1e999}' ],
    [ 'deep lists' => '[' x 1000 . ']' x 1000 ], [ 'deep objects' => '{"a":' x 1000 . '1' . '}' x 1000 ],
    [ 'endless depth' => '[' x 500_000 ],       [ 'no end of a string' => '{"a":"' . 'x' x 1000 ],
);
for my $case (@unreadable) {
    my ($name, $raw) = @$case;
    $api->is_error($api->ask('POST', 'affiliates', undef, raw => $raw), 400, 'malformed_json', "$name: refused");
}
for my $route (@with_body) {
    my ($method, $path) = @$route;
    my $where = "$method $path";
    $api->is_error($api->ask($method, address($path), undef, raw => '{'), 400, 'malformed_json', "$where: no JSON");
    for my $type ('text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'multipart/form-data; boundary=x', '') {
        $api->is_error($api->ask($method, address($path), undef, raw => '{}', type => $type), 415, 'content_type', "$where: as \"$type\"");
    }
    for my $raw ('[]', '"x"', '5', 'null', 'true', '[{}]') {
        $api->is_error($api->ask($method, address($path), undef, raw => $raw), 422, 'invalid_fields', "$where: $raw is no object");
    }
    $api->is_error($api->ask($method, address($path), undef, raw => '{"surprise":1}', type => 'Application/JSON ; charset=utf-8'), 422,
        'invalid_fields', "$where: an unknown field", 'surprise');
    $api->is_error($api->ask($method, address($path) . '?x=1', {}), 422, 'invalid_fields', "$where: a query", 'x');
}
is(state_of_things(), $before, 'nothing was written by any of these');

# ---- values that the schemas refuse ----

my @odd = (undef, JSON::PP::true, JSON::PP::false, 0, 1, -1, 1.5, '', ' ', 'x' x 5000, "\x{1f600}" x 100, "a\x{7}b", [], [1], {}, { a => 1 },
    -9223372036854775807, 9223372036854775807, '1e5', '0x10', '-5.00', '<script>', "' OR 1=1 --", "\x{202e}", '../../etc/passwd', '%00');
my ($refused, $taken) = (0, 0);

sub mutants {    # copies of a value with one of its members replaced, removed or surrounded
    my ($value) = @_;
    my @out = grep { !defined $_ || Api::text($_) ne Api::text($value) } @odd;
    if (ref $value eq 'HASH') {
        for my $name (sort keys %$value) {
            push @out, map { { %$value, $name => $_ } } mutants($value->{$name});
            push @out, { map { $_ => $value->{$_} } grep { $_ ne $name } keys %$value };
        }
        push @out, { %$value, surprise => 'x' };
    } elsif (ref $value eq 'ARRAY') {
        push @out, map { [ @$value[ 1 .. $#$value ], $_ ] } @odd;
        push @out, [ (@$value) x 100 ];
    }
    return @out;
}
for my $route (@with_body) {
    my ($method, $path, $content) = @$route;
    next if $path =~ /session$/;    # each of those takes its time; login.t looks at them
    my $bad = 0;
    for my $mutant (mutants($content->{example})) {
        my @complaints = $document->validate($mutant, $content->{schema});
        my $answer = $api->ask($method, address($path), undef, raw => Api::text($mutant));
        next if $answer->{status} >= 400 && ++$refused;
        $taken++;
        next unless @complaints;
        $bad++;
        diag("$method $path took ", substr(Api::text($mutant), 0, 300), " though: @complaints") if $bad < 4;
    }
    is($bad, 0, "$method $path takes nothing that its schema refuses");
}
ok($refused > 1000 && $taken > 100, "$refused mutants were refused, $taken were fair");

# ---- money and numbers ----

my %group = (name => 'Never');
for my $amount ('1.234', '1e3', '-1.00', '1,00', '', '.', '1.', '.5', '00x', "1\0", '9' x 30, '92233720368547758.08', ' 1', '+1') {
    my $answer = $api->post('groups', { %group, minimum_payout => { amount => $amount, currency => 'EUR' } });
    $api->is_error($answer, 422, 'invalid_fields', "an amount of \"$amount\" is refused", 'minimum_payout') unless $amount =~ /\0/;
}
for my $currency ('EURO', 'XYZ', '', 'E R', 'USD') {
    $api->is_error($api->post('groups', { %group, minimum_payout => { amount => '1.00', currency => $currency } }), 422,
        'invalid_fields', "a minimum in \"$currency\" is refused", 'minimum_payout');
}
for my $rate ('100.0001', '101', '-1', '1e1', '0.00001', '', 'x', 20) {
    $api->is_error($api->post('groups', { %group, commission => { type => 'percentage', percentage => $rate } }), 422, 'invalid_fields',
        "a commission of \"$rate\" percent is refused", 'commission');
}

# ---- addresses and methods ----

for my $path ('/api/admin/v1', '/api/admin/v1/', '/api/admin/v1/affiliates/', '/api/admin/v1/affiliates/1/', '/api/admin/v2/affiliates',
    '/api/admin/v1/Affiliates', '//api/admin/v1/affiliates', '/api/admin/v1/affiliates/1/x', '/api/admin/v1/affiliates/..',
    '/api/admin/v1/affiliates%2f1%2f2', '/api/admin/v1/' . 'x' x 4000, '/api/admin/v1/affiliates%00', '/healthz%00', '/%',
    '/api/admin/v1/nonsense', '/setup/', '/setup/a/b', '/*', '/.git/config') {
    $api->is_error($api->get($path), 404, 'not_found', substr($path, 0, 60) . ' is nowhere');
}
for my $id ('0', '01', '-1', '1.0', '1e0', 'x', '%00', '1%00', '1%00.json', '+1', '%201', '1%20', '9223372036854775807', '9223372036854775808',
    '999999999999999999', '1' x 70, '1' x 72, '%ff', '..', '1;2', '1%0a') {
    for my $list (qw(affiliates links payouts staff)) {
        $api->is_error($api->get("$list/$id"), 404, 'not_found', "$list/" . substr($id, 0, 30) . ' is nobody');
    }
    $api->is_error($api->patch("affiliates/$id", { notes => 'x' }), 404, 'not_found', '... to be changed') if $id ne '..';
}
my %methods;
$methods{ $_->{path} }{ $_->{method} } = 1 for @{ $api->{routes} };
for my $path (sort keys %methods) {
    my %allowed = (%{ $methods{$path} }, $methods{$path}{GET} ? (HEAD => 1) : ());
    for my $method (grep { !$allowed{$_} } qw(GET HEAD POST PUT PATCH DELETE OPTIONS BREW)) {
        my $answer = $api->ask($method, address($path), undef);
        is("$answer->{status} " . join(',', sort split /, /, $answer->{headers}{allow} // ''), '405 ' . join(',', sort keys %allowed),
            "$method $path: not here, but what is");
    }
}
for my $route (@without) {
    my ($method, $path) = @$route;
    next if $path =~ /session$/ && $method eq 'DELETE' || $method eq 'GET' && $path =~ m{^/(api/openapi.yaml|healthz|readyz)?$};
    next if $methods{$path}{GET} && $document->parameters_for_request([ get => $path ]) && grep { $_->{in} eq 'query' } @{ $document->parameters_for_request([ get => $path ]) };
    $api->is_error($api->ask($method, address($path) . '?x=1', undef), 422, 'invalid_fields', "$method $path: a query", 'x');
}

# ---- sizes ----

my %big = (name => 'Big', email => 'big@example.com', notes => '');
my $filled = sub { my ($size) = @_; my $rest = $size - length Api::text({ %big }); return Api::text({ %big, notes => 'x' x $rest }) };
is(length $filled->(1 << 20), 1 << 20, 'a body of 1 MiB');
$api->is_error($api->post('affiliates', undef, raw => $filled->(1 << 20)), 422, 'invalid_fields', '... is read', 'notes');
$api->is_error($api->post('affiliates', undef, raw => $filled->((1 << 20) + 1)), 413, 'body_too_large', 'one byte more is not');
$api->is_error($api->post('affiliates', undef, raw => $filled->(4 << 20)), 413, 'body_too_large', 'nor are 4 MiB');
is($api->post('affiliates', { %big, notes => 'x' x 4000 })->{status}, 201, 'notes of 4000 bytes');
is($api->get('affiliates')->{status}, 200, 'and all goes on');

$api->finish;
