# What a worker remembers of User-Agents: the same answer as the snapshot's list gives, sooner.
#
# Guards against an answer that outlives the list it came from, one that is given to another User-Agent which met it in
# the table, and against a new delta (there is one at every change of a link) making everybody be judged anew.
use lib 't/lib';
use TestAffiliate;

our $list = join "\n", @ROWS, 'agents bot+robot%0Aphone,ios+iPhone%0Apreview+Preview';
our $seen = sub { my ($name) = @_; ::status()->{counters}{"agent_$name"} };

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: the second of a kind is remembered
--- detect
--- rows eval: $::list
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["User-Agent: a robot", "User-Agent: a robot", "User-Agent: an iPhone", "User-Agent: a robot", "User-Agent: a Robot"]
--- error_code eval
[(302) x 5]
--- finally eval
sub {
    ::is($::seen->('misses'), 3, 'judged');
    ::is($::seen->('hits'), 2, 'remembered');
}
--- events
{"flags": 8, "device": null}
{"flags": 8}
{"flags": null, "device": "phone", "os": "ios"}
{"flags": 8}
{"flags": 8}



=== TEST 2: another list judges anew
--- detect
--- rows eval: $::list
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers
User-Agent: an iPhone robot
--- error_code eval
[302, 302, 302]
--- after eval
sub {
    ::snapshot($ENV{TEST_NGINX_SNAPSHOT}, 9, CORE::join "\n", @TestAffiliate::ROWS, 'agents preview+robot');
    ::wait_for('loaded', sub { ::status()->{counters}{snapshots_loaded} >= 2 });
}
--- events
{"flags": 8, "device": "phone"}
{"flags": 260, "device": null}
{"flags": 260, "device": null}



=== TEST 3: a list that is gone judges nobody
--- detect
--- rows eval: $::list
--- request eval
["GET /c/spring", "GET /c/spring"]
--- more_headers
User-Agent: an iPhone robot
--- error_code eval
[302, 302]
--- after eval
sub {
    ::snapshot($ENV{TEST_NGINX_SNAPSHOT}, 9, CORE::join "\n", @TestAffiliate::ROWS);
    ::wait_for('loaded', sub { ::status()->{counters}{snapshots_loaded} >= 2 });
}
--- events
{"flags": 8, "device": "phone"}
{"flags": null, "device": null}



=== TEST 4: a delta on the same base changes nothing of what is remembered
--- before eval
sub {
    File::Path::remove_tree("$ENV{TEST_NGINX_ROOT}/kept");
    File::Path::make_path("$ENV{TEST_NGINX_ROOT}/kept/snapshot");
    TestAffiliate::snapshot('kept/snapshot/base', 5, $::list);
}
--- http_config
affiliate_state $TEST_NGINX_ROOT/kept;
affiliate_key_file $TEST_NGINX_ROOT/edge.key;
affiliate_zone kept:512k;
--- request eval
["GET /c/spring", "GET /c/summer"]
--- more_headers
User-Agent: an iPhone robot
--- error_code eval
[302, 302]
--- after eval
sub {
    ::snapshot('kept/snapshot/delta', 6, 'link 40 3 5 1 summer https://shop.example/summer', 'kept/snapshot/base');
    ::wait_for('loaded', sub { ::status()->{counters}{snapshots_loaded} >= 2 });
}
--- finally eval
sub {
    ::is($::seen->('misses') . ' ' . $::seen->('hits'), '1 1', 'judged once, remembered once');
}



=== TEST 5: many more than the table has places, each gets its own answer
--- detect
--- http: affiliate_rate off;
--- rows eval: $::list
--- after eval
sub {
    for my $round (1, 2) {
        for my $i (1 .. 1500) {
            ::ask('/c/spring', "User-Agent: number $i " . ($i % 3 == 0 ? 'robot' : $i % 3 == 1 ? 'Preview' : 'iPhone'));
        }
    }
}
--- more_headers
User-Agent: nobody
--- error_code: 302
--- finally eval
sub {
    my @want = map { (0, 260, 0, 8)[$_ % 3 == 0 ? 3 : $_ % 3] } 1 .. 1500;
    my @got = map { $_->{flags} // 0 } ::events();
    ::is(scalar @got, 3001, 'clicks');
    my @wrong = grep { $got[$_] != (0, @want, @want)[$_] } 0 .. $#got;
    ::is("@wrong[0 .. ($#wrong < 9 ? $#wrong : 9)]", '', 'none is judged as another');
    ::cmp_ok($::seen->('hits'), '>', 200, 'some are remembered');
    ::cmp_ok($::seen->('misses'), '>', 1500, 'some had to go');
}



=== TEST 6: what is judged is what the event keeps
--- detect
--- rows eval: $::list
--- request eval
["GET /c/spring", "GET /c/spring", "GET /c/spring"]
--- more_headers eval
["User-Agent: " . ("x" x 507) . "robot", "User-Agent: " . ("x" x 508) . "robot", "User-Agent: " . ("x" x 508) . "robo, and more"]
--- error_code eval
[302, 302, 302]
--- finally eval
sub {
    ::is($::seen->('hits'), 1, 'the same 512 bytes are the same');
}
--- events
{"flags": 8}
{"flags": null}
{"flags": null}
