# Click caps and dates over midnight UTC, with a clock that the test moves on.
#
# Guards against a cap of a day that never ends or a cap of all time that does, against a campaign that goes on behind its
# last day as long as nobody changes anything, and against a zone that fills up with the counts of days gone by.
use strict;
use warnings;
use lib 't/lib';
use AffiliateWire;
use Test::More;

my $DAY = 86400;
my $noon = int(time / $DAY) * $DAY + $DAY / 2;
my $edge = AffiliateWire->new(workers => 1, redis => 0, preload => AffiliateWire::tool('move_clock.so'));
my $rule = '%5B%7B"conditions":[],"cap_day":1,"targets":[%7B"weight":1,"destination":"https://rule.example/"%7D]%7D%5D';

# The wall clock stands at noon, that many days from today, plus what has gone by.
sub clock {
    my ($days) = @_;
    open my $f, '>', "$edge->{dir}/clock.new" or die $!;
    print $f $noon + $days * $DAY - time;
    close $f;
    rename "$edge->{dir}/clock.new", "$edge->{dir}/clock" or die $!;
}

# Where one click goes, by the host's first label.
sub goes {
    my ($code) = @_;
    my (undef, undef, $head) = $edge->get("/c/$code");
    return $head =~ m{Location: https://(\w+)\.} ? $1 : $head;
}

sub caps_uncounted { return $edge->counter('caps_uncounted') }

my $end = ($noon + $DAY * 3 / 2) * 1000; # the midnight after tomorrow
$edge->snapshot("$edge->{dir}/base", 2, join "\n", 'program 1 1 1 30 EUR https://fallback.example/', 'campaign 1 1 1 spring -',
    "campaign 2 1 1 ends - ends=$end", 'affiliate 1 2 Ann', 'link 1 1 1 1 day https://own.example/ cap_day=2',
    'link 2 1 1 1 total https://own.example/ cap_total=3', "link 3 1 1 1 rule https://own.example/ rules=$rule",
    'link 4 2 1 1 dates https://own.example/', (map { "link $_ 1 1 1 l$_ https://own.example/ cap_day=1" } 100 .. 5199), '');
ok($edge->await(30, sub { ($edge->status->{workers}[0]{snapshot_version} // 0) == 2 }), 'the rows are there');

clock(0);
is(join(' ', map { goes('day') } 1 .. 3), 'own own fallback', 'two a day');
is(join(' ', map { goes('total') } 1 .. 2), 'own own', 'two of three in all');
is(join(' ', map { goes('rule') } 1 .. 2), 'rule own', 'one a day by the rule');
is(goes('dates'), 'own', 'the campaign runs');

clock(1);
is(join(' ', map { goes('day') } 1 .. 3), 'own own fallback', 'the next day two more');
is(join(' ', map { goes('total') } 1 .. 2), 'own fallback', 'one more, not three');
is(join(' ', map { goes('rule') } 1 .. 2), 'rule own', 'the rule has another one');
is(goes('dates'), 'own', 'the last day of the campaign');

clock(2);
is(goes('dates'), 'fallback', 'the campaign is over, without another snapshot');
goes("l$_") for 100 .. 5099;
my $full = caps_uncounted();
cmp_ok($full, '>', 900, 'five thousand caps are more than the zone counts');

clock(3);
my @new = map { "l$_" } 5100 .. 5199;
is(join(' ', map { goes($_) eq 'own' && goes($_) eq 'fallback' ? () : $_ } @new), '', 'yesterday\'s places are today\'s');
is(caps_uncounted(), $full, 'and nothing was left to the backend');
is(goes('total'), 'fallback', 'what counts for ever kept its place');

done_testing();
