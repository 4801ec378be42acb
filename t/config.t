# Configuration errors: each ends nginx's start with one line that names the directive and what was wrong with it.
#
# Guards against a mistake that starts all the same: a key file that everybody can read, a click location without a journal
# to record into, a cookie domain that breaks a header.  Also that `nginx -t` leaves nothing behind: it runs as
# root, and what it made would belong to root.
use strict;
use warnings;
use File::Temp ();
use Test::More;

my $nginx = $ENV{TEST_NGINX_BINARY} // 'nginx';
my @modules = split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // '';
my $root = File::Temp::tempdir(CLEANUP => 1);
mkdir "$root/logs";

sub file {
    my ($name, $mode, $text) = @_;
    open my $f, '>', "$root/$name" or die "$root/$name: $!";
    print $f $text;
    close $f;
    chmod $mode, "$root/$name";
}

my $key = '0123456789abcdef' x 4;
file('edge.key', 0640, "# ours\n1 current $key\n");
file('open.key', 0644, "1 current $key\n");
file('bad.key', 0640, "1 current $key\n2 accepted nonsense\n");
file('none.key', 0640, "1 accepted $key\n");
file('large.key', 0640, "#" x 5000);
file('empty.key', 0640, '');
mkdir "$root/folder.key", 0700;
system("echo 192.0.2.0/24 country=DE | '$^X' t/tools/mmdb.pl $root/place.mmdb") == 0 or die 'mmdb.pl failed';

# Runs nginx -t on a configuration; (exit code, what it said).
sub check {
    my ($http, $server) = @_;
    my $load = join '', map { "load_module $_;\n" } @modules;
    file('nginx.conf', 0644, <<"EOC");
$load
pid $root/nginx.pid;
events { }
http {
    access_log off;
    client_body_temp_path $root/body; proxy_temp_path $root/proxy; fastcgi_temp_path $root/fastcgi;
    uwsgi_temp_path $root/uwsgi; scgi_temp_path $root/scgi;
    $http
    server { listen unix:$root/listen; $server }
}
EOC
    my $said = `'$nginx' -t -p '$root/' -c '$root/nginx.conf' -e stderr 2>&1`;
    return ($? >> 8, $said);
}

my $state = "affiliate_state $root/state; affiliate_key_file $root/edge.key;";

# Each: what, http{}, server{}, what is said.
my @wrong = (
    ['a click without a state folder', '', 'location /c/ { affiliate_click; }',
        qr/"affiliate_click" needs "affiliate_state"/],
    ['a conversion without a state folder', '', 'location /p { affiliate_conversion; }',
        qr/"affiliate_conversion" needs "affiliate_state"/],
    ['a status page without a state folder', '', 'location /s { affiliate_status; }',
        qr/"affiliate_status" needs "affiliate_state"/],
    ['a state folder without keys', 'affiliate_state state;', '', qr/"affiliate_state" needs "affiliate_key_file"/],
    ['a state folder twice', "$state affiliate_state other;", '', qr/"affiliate_state" directive is duplicate/],
    ['a state folder in server{}', $state, 'affiliate_state other;', qr/"affiliate_state" directive is not allowed here/],

    ['a key file that is not there', 'affiliate_key_file nosuch.key;', '',
        qr/"affiliate_key_file" ".*nosuch\.key" cannot be opened.*No such file/],
    ['a key file that is a folder', 'affiliate_key_file folder.key;', '',
        qr/"affiliate_key_file" ".*folder\.key" is not a regular file/],
    ['a key file that everybody can read', 'affiliate_key_file open.key;', '',
        qr/"affiliate_key_file" ".*open\.key" is open to everybody: its mode must be 0640/],
    ['a key file that is too large', 'affiliate_key_file large.key;', '',
        qr/"affiliate_key_file" ".*large\.key" is larger than 4096 bytes/],
    ['a key file with a bad line', 'affiliate_key_file bad.key;', '', qr/"affiliate_key_file" ".*bad\.key", line 2: \w/],
    ['a key file without a current key', 'affiliate_key_file none.key;', '', qr/"affiliate_key_file" ".*none\.key", line \d+: \w/],
    ['an empty key file', 'affiliate_key_file empty.key;', '', qr/"affiliate_key_file" ".*empty\.key", line \d+: \w/],
    ['a key file twice', 'affiliate_key_file edge.key; affiliate_key_file edge.key;', '',
        qr/"affiliate_key_file" directive is duplicate/],

    ['a Redis by name', 'affiliate_redis redis.example:6379;', '',
        qr/"affiliate_redis" "redis\.example:6379": .*host names are not resolved, write an address/],
    ['a Redis with a bad port', 'affiliate_redis 127.0.0.1:99999;', '', qr/"affiliate_redis" "127\.0\.0\.1:99999": \w/],
    ['a Redis with an empty path', 'affiliate_redis unix:;', '', qr/"affiliate_redis" "unix:": \w/],
    ['a Redis twice', 'affiliate_redis 127.0.0.1; affiliate_redis 127.0.0.1;', '',
        qr/"affiliate_redis" directive is duplicate/],

    ['an edge without a name', 'affiliate_edge "";', '', qr/"affiliate_edge" must have 1 to 31 characters/],
    ['an edge with a long name', 'affiliate_edge ' . 'x' x 32 . ';', '', qr/"affiliate_edge" must have 1 to 31 characters/],
    ['an edge with a blank in its name', 'affiliate_edge "a b";', '',
        qr/"affiliate_edge" "a b" must be printable ASCII without spaces/],

    ['a snapshot without a name', 'affiliate_snapshot "";', '', qr/"affiliate_snapshot" names no file/],

    ['a zone without a size', 'affiliate_zone affiliate;', '', qr/"affiliate_zone" "affiliate" is not name:size/],
    ['a zone without a name', 'affiliate_zone :1m;', '', qr/"affiliate_zone" ":1m" is not name:size/],
    ['a zone of a bad size', 'affiliate_zone a:1x;', '', qr/"affiliate_zone" has an invalid size "1x"/],
    ['a zone that is too small', 'affiliate_zone a:64k;', '', qr/"affiliate_zone" "a" is too small: at least \d+k are needed/],
    ['a zone too small for its links', 'affiliate_zone a:1m links=100000;', '',
        qr/"affiliate_zone" "a" is too small: at least \d+k are needed with links=100000/],
    ['a zone with too many links', 'affiliate_zone a:64m links=1000001;', '',
        qr/"affiliate_zone": "links=1000001" is not links= and a number up to 1000000/],
    ['a zone with nonsense', 'affiliate_zone a:1m rate=3;', '', qr/"affiliate_zone": "rate=3" is not links=/],
    ['a zone twice', 'affiliate_zone a:1m; affiliate_zone b:1m;', '', qr/"affiliate_zone" directive is duplicate/],
    ['a zone that another module has', 'affiliate_zone a:1m; limit_req_zone $uri zone=a:1m rate=1r/s;', '', qr/"a"/],

    ['a journal without parameters', 'affiliate_journal;', '', qr/invalid number of arguments in "affiliate_journal"/],
    ['a journal parameter that is unknown', 'affiliate_journal keep=1d;', '',
        qr/"affiliate_journal": "keep=1d" is none of traffic=, money=, retain= and sync=/],
    ['a quota that is too small', 'affiliate_journal traffic=1m;', '',
        qr/"affiliate_journal": "traffic=1m" is not a size of at least 16m/],
    ['a quota that is no size', 'affiliate_journal money=lots;', '',
        qr/"affiliate_journal": "money=lots" is not a size of at least 16m/],
    ['a quota twice', 'affiliate_journal money=16m money=16m;', '', qr/"affiliate_journal": "money=16m" is duplicate/],
    ['a retention beyond all reason', 'affiliate_journal retain=11y;', '',
        qr/"affiliate_journal": "retain=11y" is not a time such as 26h, at most 10 years/],
    ['a retention that is no time', 'affiliate_journal retain=x;', '',
        qr/"affiliate_journal": "retain=x" is not a time such as 26h/],
    ['a sync of nothing', 'affiliate_journal sync=0;', '', qr/"affiliate_journal": "sync=0" is not a time from 1ms to 1m/],
    ['a sync that is too slow', 'affiliate_journal sync=2m;', '', qr/"affiliate_journal": "sync=2m" is not a time from 1ms to 1m/],

    ['a click in a regular expression without a code', $state, 'location ~ ^/go/ { affiliate_click; }',
        qr/"affiliate_click" directive needs an argument that is the code, such as \$1/],
    ['a click in an exact location without a code', $state, 'location = /go { affiliate_click; }',
        qr/"affiliate_click" directive needs an argument that is the code in an exact or named location/],
    ['a click with an unknown variable', $state, 'location /go { affiliate_click $nosuch; }', qr/unknown "nosuch" variable/],
    ['a click twice', $state, 'location /go { affiliate_click; affiliate_click; }', qr/"affiliate_click" directive is duplicate/],
    ['a click in server{}', $state, 'affiliate_click;', qr/"affiliate_click" directive is not allowed here/],

    ['a place for unknown codes that is no URL', "$state affiliate_not_found shop.example;", '',
        qr!"affiliate_not_found" "shop\.example" begins with neither http://, https:// nor /!],
    ['a place for unknown codes of another scheme', $state,
        'location /c/ { affiliate_click; affiliate_not_found javascript:alert(1); }',
        qr!"affiliate_not_found" "javascript:alert\(1\)" begins with neither!],
    ['a permanent redirect', "$state affiliate_redirect 301;", '',
        qr/"affiliate_redirect" 301 is permanent: browsers would remember it.*use 302, 303 or 307/],
    ['the other permanent redirect', $state, 'location /c/ { affiliate_click; affiliate_redirect 308; }',
        qr/"affiliate_redirect" 308 is permanent/],
    ['a redirect that is none', "$state affiliate_redirect 304;", '', qr/"affiliate_redirect" is 302, 303 or 307, not 304/],
    ['a redirect that is no number', "$state affiliate_redirect found;", '', qr/invalid number/],
    ['a redirect twice', "$state affiliate_redirect 302; affiliate_redirect 303;", '',
        qr/"affiliate_redirect" directive is duplicate/],
    ['a place for unknown codes twice', 'affiliate_not_found /a; affiliate_not_found /b;', '',
        qr/"affiliate_not_found" directive is duplicate/],

    ['a cookie domain that breaks a header', 'affiliate_cookie "domain=a;b";', '',
        qr/"affiliate_cookie": "domain=a;b" is not a domain name/],
    ['an empty cookie domain', 'affiliate_cookie domain=;', '', qr/"affiliate_cookie": "domain=" is not a domain name/],
    ['a cookie parameter that is unknown', 'affiliate_cookie path=/;', '',
        qr!"affiliate_cookie": "path=/" is none of domain=, secure= and a single off!],
    ['a cookie that is off and more', 'affiliate_cookie off secure=on;', '', qr/"affiliate_cookie": "off" is none of/],
    ['a cookie neither secure nor not', 'affiliate_cookie secure=yes;', '',
        qr/"affiliate_cookie": "secure=yes" is neither on nor off/],
    ['a cookie parameter twice', 'affiliate_cookie secure=on secure=on;', '', qr/"affiliate_cookie": "secure=on" is duplicate/],
    ['a cookie twice', 'affiliate_cookie off; affiliate_cookie off;', '', qr/"affiliate_cookie" directive is duplicate/],

    ['a conversion twice', $state, 'location /p { affiliate_conversion; affiliate_conversion; }',
        qr/"affiliate_conversion" directive is duplicate/],
    ['a conversion with an argument', $state, 'location /p { affiliate_conversion token; }',
        qr/"affiliate_conversion" directive takes token= and a value, or nothing/],
    ['a conversion with an empty token', $state, 'location /p { affiliate_conversion token=; }',
        qr/"affiliate_conversion" directive takes token= and a value, or nothing/],
    ['leads without a state folder', '', 'location /l { affiliate_lead; }', qr/"affiliate_lead" needs "affiliate_state"/],
    ['leads twice', $state, 'location /l { affiliate_lead; affiliate_lead; }', qr/"affiliate_lead" directive is duplicate/],
    ['leads and conversions', $state, 'location /l { affiliate_lead; affiliate_conversion; }',
        qr/"affiliate_conversion" directive and "affiliate_lead" cannot both take a location's POST/],
    ['conversions and leads', $state, 'location /l { affiliate_conversion; affiliate_lead; }',
        qr/"affiliate_lead" directive and "affiliate_conversion" cannot both take a location's POST/],
    ['a wait that is too long', "$state affiliate_lead_wait 61s;", '', qr/"affiliate_lead_wait" is more than 60 s/],
    ['a wait that is no time', "$state affiliate_lead_wait soon;", '', qr/"affiliate_lead_wait" directive invalid value/],
    ['who may pass without a state folder', '', 'location /a { affiliate_auth on; }', qr/"affiliate_auth" needs "affiliate_state"/],
    ['a scope that is none', $state, 'location /a { affiliate_auth leads:read leads; }',
        qr/"affiliate_auth" "leads" is no scope of API users, and neither a single on nor off/],
    ['on beside a scope', $state, 'location /a { affiliate_auth on leads:read; }', qr/"affiliate_auth" "on" is no scope/],
    ['who may pass, twice', $state, 'location /a { affiliate_auth on; affiliate_auth off; }', qr/"affiliate_auth" directive is duplicate/],
    ['a conversion with an unknown variable', $state, 'location /p { affiliate_conversion token=$nosuch; }',
        qr/unknown "nosuch" variable/],
    ['a pixel twice', $state, 'location /p { affiliate_pixel; affiliate_pixel; }', qr/"affiliate_pixel" directive is duplicate/],
    ['a pixel without a state folder', '', 'location /p { affiliate_pixel; }', qr/"affiliate_pixel" needs "affiliate_state"/],
    ['a pixel of nonsense', $state, 'location /p { affiliate_pixel 7; }', qr/"affiliate_pixel": "7" is none of program= and rate=/],
    ['a pixel of a bad rate', $state, 'location /p { affiliate_pixel rate=often; }',
        qr/"affiliate_pixel": "rate=often" is not rate= and a number up to 1000000/],
    ['a form twice', $state, 'location /f/ { affiliate_form; affiliate_form; }', qr/"affiliate_form" directive is duplicate/],
    ['a form without a state folder', '', 'location /f/ { affiliate_form; }', qr/"affiliate_form" needs "affiliate_state"/],
    ['a form in an exact location without a key', $state, 'location = /f { affiliate_form; }',
        qr/"affiliate_form" directive needs an argument that is the (?:code|key) in an exact or named location/],
    ['a value of nothing', 'affiliate_value nothing a b;', '', qr/"affiliate_value": "nothing" is no parameter of a conversion/],
    ['a value of a click', 'affiliate_value sub1 a b;', '', qr/"affiliate_value": "sub1" is no parameter of a conversion/],
    ['a value for an empty one', 'affiliate_value event "" b;', '', qr/"affiliate_value" directive needs a value of theirs/],
    ['a value twice', 'affiliate_value event 1 a; affiliate_value event 1 b;', '', qr/"affiliate_value": "1" of "event" stands there twice/],
    ['a default of nothing', 'affiliate_default nothing a;', '', qr/"affiliate_default": "nothing" is no parameter of a conversion/],
    ['a default twice', 'affiliate_default event a; affiliate_default event b;', '', qr/"affiliate_default": "event" stands there twice/],
    ['an alias of nothing', 'affiliate_alias x nothing;', '',
        qr/"affiliate_alias": "nothing" is no parameter of a click or conversion/],
    ['an alias of an eleventh sub', 'affiliate_alias x sub11;', '', qr/"affiliate_alias": "sub11" is no parameter/],
    ['an alias without a name', 'affiliate_alias "" sub1;', '', qr/"affiliate_alias" directive needs a name that is not empty/],
    ['an alias twice', 'affiliate_alias x sub1; affiliate_alias x sub2;', '', qr/"affiliate_alias": "x" stands there twice/],
    ['a status page for somebody', $state, 'location /s { affiliate_status all; }',
        qr/"affiliate_status" takes "open" or nothing, not "all"/],
    ['a database that is not there', "$state affiliate_geoip city nosuch.mmdb;", '',
        qr/"affiliate_geoip" ".*nosuch\.mmdb" cannot be opened.*No such file/],
    ['a database that is none', "$state affiliate_geoip city edge.key;", '',
        qr/"affiliate_geoip" ".*edge\.key" is not a MaxMind database/],
    ['a database that is empty', "$state affiliate_geoip asn empty.key;", '',
        qr/"affiliate_geoip" ".*empty\.key" is not a MaxMind database/],
    ['a database that is a folder', "$state affiliate_geoip asn folder.key;", '',
        qr/"affiliate_geoip" ".*folder\.key" is not a regular file/],
    ['a database without a name', "$state affiliate_geoip asn '';", '', qr/"affiliate_geoip" names no file/],
    ['a database of something else', "$state affiliate_geoip isp x.mmdb;", '',
        qr/"affiliate_geoip" "isp" is none of country, city and asn/],
    ['a database twice', "$state affiliate_geoip asn place.mmdb; affiliate_geoip asn place.mmdb;", '',
        qr/"affiliate_geoip" directive is duplicate/],
    ['a database without a state folder', 'affiliate_geoip asn place.mmdb;', '',
        qr/"affiliate_geoip" needs "affiliate_state"/],
    ['detection of something', $state, 'affiliate_detect bots;', qr/invalid value "bots" in "affiliate_detect" directive/],
    ['a rate of nothing', $state, 'affiliate_rate 0;', qr/"affiliate_rate" "0" is neither off nor a number of clicks/],
    ['a rate that is too high', $state, 'affiliate_rate 60001;', qr/"affiliate_rate" "60001" is neither off nor/],
    ['a rate twice', $state, 'affiliate_rate 5; affiliate_rate off;', qr/"affiliate_rate" directive is duplicate/],
    ['an address in pieces', $state, 'affiliate_ip half;', qr/invalid value "half"/],
    ['consent of somebody', $state, 'affiliate_consent gpc tcf;',
        qr/"affiliate_consent": "tcf" is none of gpc, dnt, one param=name, required and a single off/],
    ['consent off and on', $state, 'affiliate_consent off gpc;', qr/"affiliate_consent": "off" is none of/],
    ['consent that nobody can give', $state, 'affiliate_consent gpc required;',
        qr/"affiliate_consent" directive that is required needs a param= by which it is given/],
    ['consent twice', $state, 'affiliate_consent gpc; affiliate_consent dnt;', qr/"affiliate_consent" directive is duplicate/],
    ['a status page twice', $state, 'location /s { affiliate_status; affiliate_status open; }',
        qr/"affiliate_status" directive is duplicate/],
);

my @right = (
    ['nothing of ours', '', ''],
    ['keys alone', "affiliate_key_file edge.key;", ''],
    ['a state folder and keys', $state, 'location /c/ { affiliate_click; }'],
    ['directives in any order', "affiliate_key_file edge.key; affiliate_state state/; affiliate_edge edge-1.example;", ''],
    ['a click before its state', '', "location /c/ { affiliate_click; } } $state server { listen unix:$root/listen2;"],
    ['everything', "$state affiliate_redis [::1]:6380; affiliate_snapshot file; affiliate_edge e; affiliate_zone a:512k;
        affiliate_journal traffic=16m money=1g retain=0 sync=1ms; affiliate_not_found /lost; affiliate_cookie secure=off;
        affiliate_alias aff_sub sub10; affiliate_alias goal event;
        affiliate_value status A approved; affiliate_value status D rejected; affiliate_default event lead;
        affiliate_default p1 \$arg_x;
        affiliate_geoip city place.mmdb; affiliate_geoip country place.mmdb; affiliate_geoip asn place.mmdb;
        affiliate_detect on; affiliate_rate 60000; affiliate_ip hash; affiliate_consent gpc dnt param=ok required;",
        'location /c/ { affiliate_click; affiliate_redirect 303; affiliate_not_found https://$host/; affiliate_cookie domain=.shop-1.example; }
         location ~ ^/go/(.*) { affiliate_click $1; } location = /t { affiliate_click $arg_ref; affiliate_cookie off; }
         location /p { affiliate_conversion; } location /s { affiliate_status open; }
         location /f/ { affiliate_form; } location = /sign-up { affiliate_form KEY; }
         location /px { affiliate_pixel program=7 rate=0; } location ~ ^/([^/]+)/p$ { affiliate_conversion token=$1; }'],
    ['a Redis on a unix socket', "$state affiliate_redis unix:/run/redis.sock;", ''],
);

for my $case (@wrong) {
    my ($what, $http, $server, $said) = @$case;
    my ($code, $text) = check($http, $server);
    my @errors = grep { /\[emerg\]|\[alert\]/ } split /\n/, $text;
    subtest $what => sub {
        isnt($code, 0, 'nginx must die');
        is(scalar @errors, 1, 'one error') or diag($text);
        like($errors[0] // '', $said, 'that says what is wrong');
        unlike($text, qr/$key/, 'no key is shown');
    };
}

for my $case (@right) {
    my ($what, $http, $server) = @$case;
    my ($code, $text) = check($http, $server);
    is($code, 0, $what) or diag($text);
}

ok(!-e "$root/state/journal", 'nginx -t makes no journals');
done_testing();
