#!/usr/bin/perl
#
# Lists: a walk by cursors sees each row once, whatever is added meanwhile; filters and searches find what they say.
# What could break: rows of one instant (the fixture's clock stands still) at a page's edge, LIKE's own characters in a
# search, a cursor used with another order.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use MIME::Base64 qw(encode_base64url decode_base64url);
use Test::More;

my $api = Api->start;
my $seed = $ENV{SEED} // int rand 2**31;
srand $seed;
diag("SEED=$seed");

# Names with what searches trip over; three instants, so that many rows share one.
my @names = ('100% Media', '100 Media', 'under_score', 'underXscore', 'wow!', 'wow', "O'Brien", 'Zebra', 'zebra', '\\back',
    '"quoted"', "\x{c4}rger", 'a b', 'null');
my $group = $api->post('groups', { name => 'Second' })->{json}{id};
my %affiliate;
for my $n (1 .. 60) {
    $api->say('advance', 3600) if $n % 20 == 0;
    my $answer = $api->post('affiliates', {
        name => $names[$n] // sprintf('Affiliate %02d', int(rand 30)), email => "a$n\@example.com",
        status => (qw(pending approved suspended terminated))[ $n % 4 ], group_id => $n % 3 ? $group : undef });
    $affiliate{ $answer->{json}{id} } = $answer->{json};
}
$affiliate{ $_->{id} } //= $_ for @{ $api->get('affiliates?page_size=500')->{json}{data} };
my $total = keys %affiliate;

sub walk {    # all pages: the ids in order
    my ($path, $between) = @_;
    my (@ids, $cursor);
    for my $page (1 .. 200) {
        my $answer = $api->get($path . (defined $cursor ? "&cursor=$cursor" : ''));
        return ("$answer->{status}: $answer->{body}") if $answer->{status} != 200;
        push @ids, map { $_->{id} } @{ $answer->{json}{data} };
        $cursor = $answer->{json}{next_cursor} // return @ids;
        $between->() if $between;
    }
    return ('the walk does not end');
}

# ---- order and pages ----

my %by = (
    created_at => sub { $_[0]{created_at} cmp $_[1]{created_at} || $_[0]{id} <=> $_[1]{id} },
    name => sub { utf8($_[0]{name}) cmp utf8($_[1]{name}) || $_[0]{id} <=> $_[1]{id} },
);
sub utf8 { my ($text) = @_; utf8::encode($text); return $text }
for my $sort (sort keys %by) {
    my @up = sort { $by{$sort}->($affiliate{$a}, $affiliate{$b}) } keys %affiliate;
    for my $size (1, 7, $total - 1, $total, $total + 1) {
        is_deeply([ walk("affiliates?sort=$sort&page_size=$size") ], \@up, "sort=$sort, pages of $size");
        is_deeply([ walk("affiliates?sort=-$sort&page_size=$size") ], [ reverse @up ], "sort=-$sort, pages of $size");
    }
}
my @default = sort { $by{created_at}->($affiliate{$a}, $affiliate{$b}) } keys %affiliate;
is_deeply([ walk('affiliates?page_size=9') ], [ reverse @default ], 'newest first, unless told otherwise');
my $page = $api->get('affiliates')->{json};
is(scalar @{ $page->{data} }, 50, 'fifty a page, unless told otherwise');
is($page->{total}, $total, 'the total counts all pages');
ok($page->{total_exact}, '... exactly');

# ---- while rows are added ----

for my $sort (qw(created_at -created_at name -name)) {
    my $n = 0;
    my @seen = walk("affiliates?sort=$sort&page_size=8", sub {
        $n++;
        $api->post('affiliates', { name => "Affiliate $n", email => "late$n$sort\@example.com" });
    });
    my %times;
    $times{$_}++ for @seen;
    is_deeply([ grep { $times{$_} > 1 } keys %times ], [], "sort=$sort while $n are added: none twice");
    is_deeply([ grep { !$times{$_} } keys %affiliate ], [], '... and none left out that was there');
}
$affiliate{ $_->{id} } //= $_ for @{ $api->get('affiliates?page_size=500')->{json}{data} };

# ---- filters ----

sub found {
    my ($query, $wanted, $name) = @_;
    my $answer = $api->get("affiliates?page_size=500&$query");
    my @got = sort { $a <=> $b } map { $_->{id} } @{ $answer->{json}{data} // [] };
    is_deeply(\@got, [ sort { $a <=> $b } grep { $wanted->($affiliate{$_}) } keys %affiliate ], $name // $query);
    is($answer->{json}{total}, scalar @got, '... and so many in total');
    return scalar @got;
}
sub escaped { return join '', map { sprintf '%%%02x', ord } split //, $_[0] }

ok(found('status=pending', sub { $_[0]{status} eq 'pending' }) > 0, '... some');
ok(found('status=pending,suspended', sub { $_[0]{status} =~ /^(pending|suspended)$/ }) > 0, '... some');
found('status=nonsense', sub { 0 });
ok(found("group_id=$group", sub { ($_[0]{group_id} // '') eq $group }) > 0, '... some');
found("group_id=$group&status=approved&q=media", sub { ($_[0]{group_id} // '') eq $group && $_[0]{status} eq 'approved' && $_[0]{name} =~ /media/i },
    'all of several filters');
my ($middle) = map { $affiliate{$_}{created_at} } (sort { $by{created_at}->($affiliate{$a}, $affiliate{$b}) } keys %affiliate)[ $total / 2 ];
ok(found("from=$middle", sub { $_[0]{created_at} ge $middle }, 'from: with that instant') > 0, '... some');
ok(found("to=$middle", sub { $_[0]{created_at} lt $middle }, 'to: without it') > 0, '... some');
found("from=$middle&to=$middle", sub { 0 }, 'from = to: nothing');
found('from=2024-05-01&to=2024-05-02', sub { $_[0]{created_at} =~ /^2024-05-01/ }, 'a date is its midnight in UTC');

for my $text ('media', 'MEDIA', '100%', '%', '_', 'under_', '!', '!!', 'wow!', "'", "O'B", '\\', '"', "' OR 1=1 --", 'a b', 'null', '%%', '__') {
    my $count = found('q=' . escaped($text), sub { index(lc $_[0]{name}, lc $text) >= 0 || index($_[0]{email}, lc $text) >= 0 }, "q=$text");
    ok($count < 60, '... not everything');
}
found('q=' . escaped("\xc3\x84rger"), sub { index($_[0]{name}, "\x{c4}rger") >= 0 }, 'q beyond ASCII');
found('q=' . escaped('@example.com'), sub { 1 }, 'q looks at addresses too');

# ---- what is refused ----

my $cursor = $api->get('affiliates?page_size=5&sort=name')->{json}{next_cursor};
my @refused = (
    [ 'page_size=0', 'page_size' ],     [ 'page_size=501', 'page_size' ], [ 'page_size=-1', 'page_size' ],
    [ 'page_size=abc', 'page_size' ],   [ 'page_size=', 'page_size' ],    [ 'page_size=1e2', 'page_size' ],
    [ 'page_size=99999999999999999999', 'page_size' ],
    [ 'sort=email', 'sort' ],           [ 'sort=', 'sort' ],              [ 'sort=-', 'sort' ],
    [ 'sort=--name', 'sort' ],          [ 'sort=name,created_at', 'sort' ], [ 'sort=1;DROP TABLE staff', 'sort' ],
    [ 'cursor=', 'cursor' ],            [ 'cursor=x', 'cursor' ],         [ 'cursor=' . 'A' x 5000, 'cursor' ],
    [ "cursor=$cursor", 'cursor' ],     [ "cursor=$cursor&sort=-name", 'cursor' ], [ "cursor=$cursor&sort=created_at", 'cursor' ],
    [ 'group_id=0', 'group_id' ],       [ 'group_id=x', 'group_id' ],     [ 'group_id=1,2', 'group_id' ],
    [ 'group_id=1%20OR%201=1', 'group_id' ], [ 'group_id=9223372036854775808', 'group_id' ],
    [ 'status=', 'status' ],            [ 'status=,', 'status' ],         [ 'status=' . join(',', ('a') x 40), 'status' ],
    [ 'from=yesterday', 'from' ],       [ 'from=2024-02-30T00:00:00Z', 'from' ], [ 'to=2024-01', 'to' ],
    [ 'q=' . 'x' x 300, 'q' ],          [ 'name=x', 'name' ],             [ 'status=pending&status=approved', 'status' ],
    [ 'page_size=5&page_size=6', 'page_size' ], [ '=x', '' ],
);
for my $case (@refused) {
    my ($query, $field) = @$case;
    $api->is_error($api->get('affiliates?' . $query =~ s/ /%20/gr), 422, 'invalid_fields', substr($query, 0, 60) . ' is refused', $field);
}
$api->is_error($api->get('affiliates?' . join '&', map { "p$_=1" } 1 .. 25), 400, 'malformed_query', '25 parameters are too many');
$api->is_error($api->get('affiliates?q=%ff'), 400, 'malformed_query', 'no UTF-8 is refused');
$api->is_error($api->get('affiliates?q=a&q=b&status=%ff'), 400, 'malformed_query', '... whatever else is wrong');
$api->is_error($api->get('affiliates?%c3%28=1'), 400, 'malformed_query', '... in names too');

# Cursors are the client's to keep, hence the client's to forge.
my @forged = map { encode_base64url($_) }
    '[]', '{}', '[1,2,3,4]', '["name",false,"x"]', '["name",false,1,1]', '["name",false,null,1]', '["name",false,"x","1"]',
    '["name",false,"x",1.5]', '["name",false,"x",99999999999999999999]', '["name",0,"x",1]', '["email",false,"x",1]',
    '["name",false,"\\u0000",1]', '["name",false,["x"],1]', '[' x 100, "[\"name\",false,\"\xff\",1]";
for my $forged (@forged) {
    $api->is_error($api->get("affiliates?sort=name&cursor=$forged"), 422, 'invalid_fields', 'forged: ' . decode_base64url($forged), 'cursor');
}
my $bytes = decode_base64url($cursor);
for (1 .. 100) {
    my $broken = $bytes;
    vec($broken, int rand(8 * length $bytes), 1) ^= 1;
    my $answer = $api->get('affiliates?sort=name&cursor=' . encode_base64url($broken));
    $answer->{status} =~ /^(200|422)$/ or fail("a broken cursor: $answer->{status}");
}

# ---- every list walks ----

$api->say('sell', '10.00', 'EUR', "LIST$_", 1) for 1 .. 5;
$api->post('api_users', { name => "User $_", role => 'affiliate' }) for 1 .. 3;
$api->post('campaigns', { name => "Campaign $_" }) for 1 .. 3;
$api->post('links', { affiliate_id => '1', campaign_id => '1', destination => 'https://shop.example.com/' }) for 1 .. 3;
for my $list (qw(groups campaigns links api_users referrals commissions staff audit)) {
    my @all = map { $_->{id} } @{ $api->get("$list?page_size=500")->{json}{data} };
    ok(@all > 1, "$list: " . @all);
    is_deeply([ walk("$list?page_size=2") ], \@all, '... by pages of two the same');
}

$api->finish;
