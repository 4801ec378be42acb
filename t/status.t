# The status page: for the machine itself, in JSON, with numbers that agree with what was done.
#
# Guards against counters that nobody increments, and against the page being served to the world: it names workers and
# the state of the wire.
use lib 't/lib';
use TestAffiliate;

our $click = click_id(11, now_ms() - 60000, 1);

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: JSON, not cached
--- request
GET /status
--- response_headers
Content-Type: application/json
Cache-Control: no-store
--- response_body_like: ^\{\n  "edge": ".+",\n
--- no_error_log
[error]



=== TEST 2: counters count
--- http
affiliate_edge edge-7;
--- request eval
["GET /c/spring", "GET /c/nosuch", "GET /c/nowhere", "HEAD /c/spring", "GET /c/paused", "GET /postback", "GET /postback?click_id=$::click", "GET /status"]
--- more_headers
X-Api-Key: ak_advertiser
--- error_code eval
[302, 404, 404, 302, 302, 400, 200, 200]
--- response_body_like eval
[("") x 7, qr/"edge": "edge-7".*"clicks": 2,.*"clicks_unrecorded": 0,.*"clicks_unknown": 1,.*"clicks_refused": 1,.*"conversions": 1,.*"conversions_refused": 1,.*"snapshots_loaded": 1,.*"snapshots_refused": 0,.*"journals_created": 2,/s]



=== TEST 3: the worker that answers, and the configuration it answers with
--- request
GET /status
--- response_body_like eval
qr/"workers": \[\s+\{\s+"pid": [1-9][0-9]*,\s+"snapshot_version": 5,\s+"clicks": 0,\s+"redis_connected": 0\s+\}\s+\]/s



=== TEST 4: only for loopback, judged after the realip module
--- config
set_real_ip_from 127.0.0.1;
real_ip_header X-Forwarded-For;
location = /status { affiliate_status; }
location = /open { affiliate_status open; }
location = /closed { affiliate_status open; deny all; }
--- request eval
["GET /status", "GET /status", "GET /status", "GET /status", "GET /open", "GET /closed"]
--- more_headers eval
["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 127.0.0.9", "X-Forwarded-For: ::1", "X-Forwarded-For: ::2", "X-Forwarded-For: 192.0.2.1", ""]
--- error_code eval
[403, 200, 200, 403, 200, 403]



=== TEST 5: HEAD, and what is not allowed
--- request eval
["HEAD /status", "POST /status\nabc", "DELETE /status"]
--- error_code eval
[200, 405, 405]



=== TEST 6: counters outlive a worker
--- request eval
["GET /c/spring", "GET /c/spring"]
--- after eval
sub {
    my $pid = ::status()->{workers}[0]{pid};
    kill 'KILL', $pid;
    ::wait_for('another worker answers', sub {
        my $s = eval { ::status() };
        $s && @{ $s->{workers} } == 1 && $s->{workers}[0]{pid} != $pid;
    });
    ::is(::status()->{counters}{clicks}, 1, 'the count goes on');
}
--- error_code eval
[302, 302]
