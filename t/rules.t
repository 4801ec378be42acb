# Rules: who is sent where.
#
# Guards that the first rule that holds decides, that what is unknown about a visitor is in no list, that a rotation keeps its
# shares and a visitor his target, and that the event says which rule and target it was: reports and payouts of split tests
# stand on it.  How each condition is judged is the library's to test (test_tracker_rule.c).
use lib 't/lib';
use TestAffiliate;

sub owners { return ('program 7 1 1 30 EUR https://shop.example/gone', 'campaign 3 7 1 Spring -', 'affiliate 5 2 Ann') }

sub target { return { weight => $_[1] // 1, destination => "https://$_[0].example/?cid={click_id}" } }
sub on { my ($subject, @values) = @_; return { subject => $subject, values => \@values } }
sub off { return { %{on(@_)}, negate => JSON::PP::true() } }
sub rows { return join "\n", owners(), 'link 11 3 5 1 spring https://own.example/?cid={click_id}' . " @_" }

# A visitor's cookie, of a first click of its own.
sub visitor { return 'Cookie: ' . cookie(7, click_id(11, now_ms() - 60000, $_[0])) }

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: the first rule that holds decides, by language; the event says which
--- rows eval
package main; rows(rules({ conditions => [on('language', 'de')], targets => [target('german')] },
             { conditions => [on('language', 'de', 'fr')], targets => [target('both')] }))
--- request eval
[("GET /c/spring") x 3]
--- more_headers eval
["Accept-Language: DE-ch,fr;q=0.9\n", "Accept-Language: fr\n", "Accept-Language: en,de;q=0.5\n"]
--- error_code eval
[302, 302, 302]
--- response_headers_like eval
["Location: https://german\\.example/\\?cid=[-0-9A-Z_a-z]{40}", "Location: https://both\\.example/.*", "Location: https://own\\.example/.*"]
--- events
{"rule": 1, "target": 1, "flags": null}
{"rule": 2, "target": 1}
{"rule": null, "target": null}



=== TEST 2: all conditions of a rule hold, or it does not
--- rows eval
package main; rows(rules({ conditions => [on('language', 'de'), on('schedule', '1-7'), on('connection', 'datacentre')],
               targets => [target('never')] },
             { conditions => [on('language', 'de'), on('schedule', '1-7'), on('connection', 'other')],
               targets => [target('all')] }))
--- more_headers
Accept-Language: de
--- error_code: 302
--- response_headers_like
Location: https://all\.example/.*
--- events
{"rule": 2, "target": 1}



=== TEST 3: what is unknown is in no list and outside of every list
--- rows eval
package main; rows(rules((map { { conditions => [on(@$_)], targets => [target('never')] } } ['country', 'DE'], ['region', 'DE-BY'],
               ['language', 'de'], ['asn', '64512']),
             { conditions => [off('country', 'DE'), off('region', 'DE-BY'), off('language', 'de'), off('asn', '64512')],
               targets => [target('outside')] }))
--- error_code: 302
--- response_headers_like
Location: https://outside\.example/.*
--- events
{"rule": 5, "target": 1}



=== TEST 4: a schedule that is over, and one in another zone that is not
--- rows eval
package main; my ($minute, $day) = (gmtime)[2] * 60 + (gmtime)[1] < 1380 ? (1, (gmtime)[6] || 7) : (0, (gmtime)[6] || 7);
my $other = $day % 7 + 1;
$other = $other % 7 + 1 if !$minute; # tomorrow is too near
rows(rules({ conditions => [on('schedule', "$other")], targets => [target('never')] },
             { conditions => [on('schedule', ($day % 7 + 1) . '', "$day")], utc_offset_minutes => 60, targets => [target('now')] }))
--- error_code: 302
--- response_headers_like
Location: https://now\.example/.*



=== TEST 5: a visitor keeps his target, visitors are shared out
--- rows eval
package main; rows(rules({ conditions => [], targets => [target('a'), target('b')] }))
--- after eval
package main; sub {
    my %seen;
    my @cookies = map { visitor($_) } 0 .. 40;
    for my $round (1 .. 2) {
        for my $n (1 .. 40) {
            my (undef, $head) = ask('/c/spring', $cookies[$n]);
            my ($shop) = $head->{location} =~ m{^https://([ab])\.example/} or die $head->{location};
            $seen{$n}{$shop}++;
        }
    }
    is(scalar(grep { keys %$_ == 1 } values %seen), 40, 'each of 40 visitors sees one target');
    my $a = grep { $_->{a} } values %seen;
    cmp_ok($a, '>', 5, 'some of them one target') and cmp_ok($a, '<', 35, 'and some the other');
}
--- error_code: 302



=== TEST 6: the first click's target is the one that the cookie it sets leads to
--- rows eval
package main; rows(rules({ conditions => [], targets => [map { target("t$_") } 1 .. 16] }))
--- after eval
package main; sub {
    my $same = 0;
    for (1 .. 8) {
        my (undef, $first) = ask('/c/spring');
        my ($cookie) = $first->{'set-cookie'} =~ /^([^;]+);/;
        my (undef, $again) = ask('/c/spring', "Cookie: $cookie");
        my @shops = map { $_->{location} =~ m{^https://(t\d+)\.} } $first, $again;
        $same++ if $shops[0] eq $shops[1];
    }
    is($same, 8, 'all eight visitors came back to the same of 16 targets');
}
--- error_code: 302



=== TEST 7: another link of the program shares its visitors out anew
--- rows eval
package main; my @split = rules({ conditions => [], targets => [target('a'), target('b')] });
rows(@split) . "\nlink 12 3 5 1 other https://own.example/ @split"
--- after eval
package main; sub {
    my %seen;
    for my $n (1 .. 40) {
        my $cookie = visitor($n);
        my @shops = map { (ask("/c/$_", $cookie))[1]{location} =~ m{^https://(\w)\.} } 'spring', 'other';
        $seen{"@shops"}++;
    }
    is(scalar keys %seen, 4, 'all four pairs of targets occur: ' . join ', ', sort keys %seen);
}
--- error_code: 302



=== TEST 8: weights
--- rows eval
package main; rows(rules({ conditions => [], targets => [target('few', 1), target('many', 9)] }))
--- after eval
package main; sub {
    my $few = grep { (ask('/c/spring'))[1]{location} =~ m{^https://few\.} } 1 .. 400;
    # 40 expected; six standard deviations of six either way
    cmp_ok($few, '>', 4, 'a tenth of the clicks goes to the lighter target') and cmp_ok($few, '<', 76, 'and no more');
}
--- error_code: 302



=== TEST 9: every macro works in a target; HEAD follows rules and leaves nothing
--- rows eval
package main; rows(rules({ conditions => [on('language', 'de')],
               targets => [{ weight => 1, destination => 'https://de.example/{affiliate_id}?s={sub1}&c={click_id}' }] }))
--- request eval
["GET /c/spring?sub1=x%20y", "HEAD /c/spring?sub1=z"]
--- more_headers
Accept-Language: de
--- error_code eval
[302, 302]
--- response_headers_like eval
["Location: https://de\\.example/5\\?s=x%20y&c=[-0-9A-Z_a-z]{40}", "Location: https://de\\.example/5\\?s=z&c="]
--- events
{"rule": 1, "sub1": "x y"}



=== TEST 10: rules of a link that is paused, or whose affiliate is terminated, decide nothing
--- rows eval
package main; my $rules = rules({ conditions => [], targets => [target('rule')] });
join "\n", owners(), 'affiliate 8 4 Tom', "link 11 3 5 2 spring https://own.example/ $rules",
    "link 12 3 8 1 tom https://own.example/ $rules"
--- request eval
["GET /c/spring", "GET /c/tom"]
--- error_code eval
[302, 302]
--- response_headers eval
["Location: https://shop.example/gone", "Location: https://shop.example/gone"]
--- events
{"rule": null, "flags": 36}
{"rule": null, "flags": 132}



=== TEST 11: without a cookie each click draws for itself
--- rows eval
package main; rows(rules({ conditions => [], targets => [target('a'), target('b')] }))
--- config
location /c/ { affiliate_click; affiliate_cookie off; }
--- after eval
package main; sub {
    my $cookie = visitor(1);
    my %seen;
    $seen{(ask('/c/spring', $cookie))[1]{location} =~ m{^https://(\w)\.} ? $1 : ''}++ for 1 .. 30;
    is(join(' ', sort keys %seen), 'a b', 'a cookie that is not read binds nobody');
}
--- error_code: 302



=== TEST 12: country, region, network, device, system and browser, all known
--- detect
--- before eval
package main; sub {
    mmdb('city.mmdb', "192.0.2.0/25 country=DE region=BY\n192.0.2.128/25 country=DE region=BE\n198.51.100.0/24 country=AT");
    mmdb('asn.mmdb', "192.0.2.0/24 asn=64500\n198.51.100.0/24 asn=64501");
}
--- http
set_real_ip_from 127.0.0.1;
real_ip_header X-Test-IP;
affiliate_geoip city $TEST_NGINX_ROOT/city.mmdb;
affiliate_geoip asn $TEST_NGINX_ROOT/asn.mmdb;
--- rows eval
package main; rows(rules(
    { conditions => [on('schedule', '1-7'), on('connection', 'datacentre')], targets => [target('never')] },
    { conditions => [on('region', 'DE-BY'), on('device', 'phone', 'tablet')], targets => [target('bavarian')] },
    { conditions => [on('country', 'DE'), on('os', 'ios'), off('browser', 'chrome')], targets => [target('ios')] },
    { conditions => [off('country', 'DE', 'CH'), on('asn', '64501')], targets => [target('abroad')] },
    { conditions => [on('country', 'DE')], targets => [target('german')] }))
    . "\nagents \@tracker-core/data/agents.txt\ndatacentres 64502"
--- after eval
package main; sub {
    my $phone = 'User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) '
        . 'Version/17.4 Mobile/15E148 Safari/604.1';
    my $desktop = 'User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) '
        . 'Chrome/124.0.0.0 Safari/537.36';
    my ($bavaria, $berlin, $vienna, $nowhere) = map { "X-Test-IP: $_" } '192.0.2.1', '192.0.2.200', '198.51.100.1', '203.0.113.1';
    is(went('/c/spring', 1, $phone, $bavaria), 'bavarian=1', 'region and device');
    is(went('/c/spring', 1, $phone, $berlin), 'ios=1', 'country, system, and not a browser');
    is(went('/c/spring', 1, $desktop, $bavaria), 'german=1', 'country alone');
    is(went('/c/spring', 1, $desktop, $vienna), 'abroad=1', 'none of two countries, and a network');
    is(went('/c/spring', 1, $desktop, $nowhere), 'own=1', 'an address that no database knows');
    is(join(' ', map { $_->{rule} // 0 } events()), '0 2 3 5 4 0', 'the events say which');
}
--- error_code: 302



=== TEST 13: a hosting company's network
--- detect
--- before eval
package main; sub { mmdb('asn.mmdb', "192.0.2.0/24 asn=64500\n127.0.0.0/8 asn=64502") }
--- http
affiliate_geoip asn $TEST_NGINX_ROOT/asn.mmdb;
--- rows eval
package main; rows(rules({ conditions => [on('connection', 'other')], targets => [target('home')] },
                         { conditions => [on('connection', 'datacentre')], targets => [target('hosted')] }))
    . "\nagents \@tracker-core/data/agents.txt\ndatacentres 64502"
--- more_headers
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0
--- response_headers_like
Location: https://hosted\.example/.*
--- error_code: 302
--- events
{"rule": 2, "flags": 512}
