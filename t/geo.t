# Where visitors are: GeoIP databases, looked up, remembered, and replaced while nginx runs.
#
# Guards against a place that outlives the database that said so (addresses are remembered), a database that is cut or
# damaged in place (a mapping of it would kill every worker by SIGBUS), an IPv6 or mapped address that is looked up as
# another, and a damaged download that replaces a good database.
use lib 't/lib';
use TestAffiliate;

our @PLACES = (
    '192.0.2.0/24 country=DE region=BY city=Munich',
    '192.0.2.128/25 country=DE region=BE city=Berlin',
    '198.51.100.0/24 country=AT',
    '203.0.113.0/24 registered=US',
    '2001:db8::/32 country=FR region=IDF city=Paris',
);
our $places = join "\n", @PLACES;
our $networks = "192.0.2.0/24 asn=64500\n2001:db8::/32 asn=4200000000";
our $realip = "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Test-IP;\n";
our $geoip = "$realip affiliate_geoip city \$TEST_NGINX_ROOT/city.mmdb; affiliate_geoip asn \$TEST_NGINX_ROOT/asn.mmdb;";
our @rows = (@ROWS, 'link 40 3 5 1 where https://shop.example/{country}/{region}/{city}/{asn}?ip={ip}&cid={click_id}');
our $rows = join "\n", @rows;

our $write = sub { mmdb('city.mmdb', $places); mmdb('asn.mmdb', $networks) };
our $spoil = sub {
    my ($change) = @_;
    my $path = "$ENV{TEST_NGINX_ROOT}/city.mmdb";
    open my $f, '+<:raw', $path or die $!;
    my $bytes = do { local $/; <$f> };
    $change->($bytes);
    seek $f, 0, 0;
    print $f $bytes;
    truncate $f, length $bytes;
    close $f;
};

# A new database is seen within two ticks; then what is remembered is void.
our $loaded = sub {
    my ($count) = @_;
    wait_for("$count databases loaded", sub { status()->{counters}{geoip_loaded} == $count });
};
our $refused = sub { wait_for('one is refused', sub { status()->{counters}{geoip_refused} == 1 }) };

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: an IPv4 address: event, macros
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- rows eval: $::rows
--- request
GET /c/where
--- more_headers
X-Test-IP: 192.0.2.7
--- response_headers_like
Location: https://shop\.example/DE/BY/Munich/64500\?ip=192\.0\.2\.7&cid=.*
--- error_code: 302
--- events
{"country": "DE", "region": "BY", "city": "Munich", "asn": 64500, "ip": "192.0.2.7"}



=== TEST 2: the smallest network wins; a country without a region; registered only; nowhere at all
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 192.0.2.200", "X-Test-IP: 198.51.100.1", "X-Test-IP: 203.0.113.9", "X-Test-IP: 8.8.8.8"]
--- error_code eval
[302, 302, 302, 302]
--- events
{"country": "DE", "region": "BE", "city": "Berlin", "asn": 64500}
{"country": "AT", "region": null, "city": null, "asn": null}
{"country": "US", "region": null}
{"country": null, "region": null, "city": null, "asn": null}



=== TEST 3: IPv6, and IPv4 mapped into it
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 2001:db8:1::2", "X-Test-IP: ::ffff:192.0.2.1", "X-Test-IP: 2001:db9::1"]
--- error_code eval
[302, 302, 302]
--- events
{"country": "FR", "region": "IDF", "city": "Paris", "asn": 4200000000}
{"country": "DE", "region": "BY", "ip": "192.0.2.1"}
{"country": null}



=== TEST 4: what is remembered is the same, and of that address alone
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 192.0.2.1", "X-Test-IP: 198.51.100.1", "X-Test-IP: 192.0.2.1"]
--- error_code eval
[302, 302, 302]
--- events
{"country": "DE", "city": "Munich", "asn": 64500}
{"country": "AT", "city": null, "asn": null}
{"country": "DE", "city": "Munich", "asn": 64500}



=== TEST 5: records of 28 bits
--- before eval
sub { ::mmdb('city.mmdb', $::places, 28); ::mmdb('asn.mmdb', $::networks, 32) }
--- http eval: $::geoip
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 192.0.2.1", "X-Test-IP: 2001:db8::1"]
--- error_code eval
[302, 302]
--- events
{"country": "DE", "city": "Munich", "asn": 64500}
{"country": "FR", "city": "Paris", "asn": 4200000000}



=== TEST 6: a country database fills in where the city's says nothing, and never contradicts it
--- before eval
sub { $::write->(); ::mmdb('country.mmdb', "192.0.2.0/24 country=XX\n192.0.3.0/24 country=CH") }
--- http eval
"$::geoip affiliate_geoip country \$TEST_NGINX_ROOT/country.mmdb;"
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 192.0.2.1", "X-Test-IP: 192.0.3.1"]
--- error_code eval
[302, 302]
--- events
{"country": "DE", "city": "Munich"}
{"country": "CH", "city": null}



=== TEST 7: names are UTF-8, cut between characters; codes that are none are left out
--- before eval
sub { $::write->(); ::mmdb('city.mmdb', "192.0.2.0/24 country=de region=toolong city=\xc3\x9c" . "\xc3\xbc" x 40 . "\n"
    . "192.0.3.0/24 country=DE city=bad\xff\n192.0.4.0/24 country=DE city=x" . "\xc3\xbc" x 40) }
--- http eval: $::geoip
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 192.0.2.1", "X-Test-IP: 192.0.3.1", "X-Test-IP: 192.0.4.1"]
--- error_code eval
[302, 302, 302]
--- events
{"country": null, "region": null, "city": "~^\\\\xc3\\\\x9c(\\\\xc3\\\\xbc){31}$"}
{"country": "DE", "city": null}
{"country": "DE", "city": "~^x(\\\\xc3\\\\xbc){31}$"}



=== TEST 8: a database that is replaced is used, also for addresses that are remembered
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers
X-Test-IP: 192.0.2.1
--- after eval
sub { ::mmdb('city.mmdb', '192.0.2.0/24 country=NL city=Delft'); $::loaded->(3) }
--- error_code eval
[302, 302]
--- events
{"country": "DE", "city": "Munich", "asn": 64500}
{"country": "NL", "city": "Delft", "asn": 64500}
--- said
\[notice\].* the city database ".*/city\.mmdb" was replaced



=== TEST 9: a database that is cut where it lies: nobody dies, the last good one stays
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 192.0.2.1", "X-Test-IP: 192.0.2.130"]
--- after eval
sub { $::spoil->(sub { $_[0] = '' }); $::refused->() }
--- error_code eval
[302, 302]
--- events
{"country": "DE", "city": "Munich"}
{"country": "DE", "city": "Berlin"}
--- said
\[error\].* the city database ".*/city\.mmdb" is refused: .*; the last good one stays



=== TEST 10: half a download
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 192.0.2.1", "X-Test-IP: 192.0.2.130"]
--- after eval
sub { $::spoil->(sub { substr($_[0], length($_[0]) / 2) = '' }); $::refused->() }
--- error_code eval
[302, 302]
--- events
{"country": "DE", "city": "Munich"}
{"country": "DE", "city": "Berlin"}
--- said
\[error\].* the city database ".*/city\.mmdb" is refused: .*



=== TEST 11: a hole in the data
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 192.0.2.1", "X-Test-IP: 192.0.2.130"]
--- after eval
sub { $::spoil->(sub { substr($_[0], index($_[0], 'Munich') - 20, 30) = "\0" x 30 }); $::refused->() }
--- error_code eval
[302, 302]
--- events
{"country": "DE", "city": "Munich"}
{"country": "DE", "city": "Berlin"}
--- said
is refused: its data are damaged; the last good one stays



=== TEST 12: a tree that leads nowhere
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- after eval
sub { $::spoil->(sub { substr($_[0], 60, 3) = "\x7f\xff\xff" }); $::refused->() }
--- error_code: 302
--- said
is refused: its search tree leads to no data; the last good one stays



=== TEST 13: a pointer to the middle of a value
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- after eval
sub { $::spoil->(sub { $_[0] =~ s/(country)\x20./$1\x20\x03/s or die }); $::refused->() }
--- error_code: 302
--- said
is refused: its data point to where there are none; the last good one stays



=== TEST 14: damaged when nginx starts: visitors are served, and it is said
--- before eval
sub { $::write->(); $::spoil->(sub { substr($_[0], index($_[0], 'Munich') - 20, 30) = "\0" x 30 }) }
--- http eval: $::geoip
--- more_headers
X-Test-IP: 192.0.2.1
--- error_code: 302
--- events
{"country": null, "asn": 64500}
--- said
\[error\].* is refused: its data are damaged; nothing is looked up in it



=== TEST 15: a database that vanishes, and comes back
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers eval
["X-Test-IP: 192.0.2.1", "X-Test-IP: 192.0.2.130"]
--- after eval
sub {
    unlink "$ENV{TEST_NGINX_ROOT}/city.mmdb" or die $!;
    Time::HiRes::sleep(1.2);
    ::is(::status()->{counters}{geoip_refused}, 0, 'nothing is refused');
    ::mmdb('city.mmdb', '192.0.2.0/24 country=SE'); $::loaded->(3);
}
--- error_code eval
[302, 302]
--- events
{"country": "DE"}
{"country": "SE"}



=== TEST 16: variables, for logs and headers
--- before eval
sub { $::write->() }
--- http eval: $::geoip
--- config
location /c/ {
    affiliate_click;
    add_header X-Country "$affiliate_country" always;
    add_header X-Source "$affiliate_source" always;
}
--- request eval
["GET /c/spring?source=news", "GET /c/spring?source=a%0d%0aX-Evil:1", "GET /c/nosuch?source=news"]
--- more_headers
X-Test-IP: 192.0.2.1
--- response_headers_like eval
["X-Country: DE\nX-Source: news", "X-Country: DE\nX-Evil: \nX-Source: ", "X-Country: \nX-Source: "]
--- error_code eval
[302, 302, 404]



=== TEST 17: without databases nothing is known
--- http eval: $::realip
--- more_headers
X-Test-IP: 192.0.2.1
--- error_code: 302
--- events
{"country": null, "region": null, "city": null, "asn": null, "ip": "192.0.2.1"}
