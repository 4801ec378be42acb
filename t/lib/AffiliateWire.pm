package AffiliateWire;

# An edge of its own for one test file: nginx with the module, a private redis-server on
# a unix socket, and t/tools/consumer at the other end.  Everything lives in one temporary
# folder, listens on loopback or unix sockets, and is ended by pid.
#
#   TEST_NGINX_BINARY   nginx to run (default: nginx)
#   AFFILIATE_MODULE    module to load; "static" for a binary that has it inside
#   AFFILIATE_TOOLS     folder of the programs fixture and consumer (default: build/t)

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp ();
use IO::Handle;
use IO::Socket::INET;
use IO::Socket::UNIX;
use IPC::Open2;
use JSON::PP ();
use POSIX ":sys_wait_h";
use Time::HiRes qw(sleep time);

# A child that is gone is an answer, not our death; and whoever ends us, children go first.
$SIG{PIPE} = "IGNORE";
$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);

my $PATIENCE = $ENV{AFFILIATE_PATIENCE} // 1; # times as long for everything: nginx runs under valgrind

my $ROOT = abs_path(dirname(__FILE__) . "/../..");

my $SNAPSHOT = <<'END';
program 1 1 1 30 EUR https://shop.example/
campaign 1 1 1 spring -
affiliate 1 2 Ann
link 7 1 1 1 abc https://shop.example/land?cid={click_id}
key 3 1 0 1 2 1 0 key-of-the-test secret=secret-of-the-test
END

sub new {
    my ($class, %arg) = @_;
    my $dir = File::Temp->newdir("affiliate-wire-XXXXXX", TMPDIR => 1);
    my $self = bless {
        dir => "$dir", keep => $dir, owner => $$, port => free_port(), workers => 2, journal => "traffic=64m money=16m retain=1h sync=100ms",
        redis => 1, snapshot => "file", rows => $SNAPSHOT, connections => 256, main => "", http => "", server => "", %arg,
        nginx => $ENV{TEST_NGINX_BINARY} // "nginx",
        tools => tool(""),
    }, $class;

    chmod 0755, $self->{dir};
    mkdir "$dir/$_" for qw(redis nginx state);
    $self->must("$self->{tools}/fixture", "keys", "$dir/keys");
    $self->snapshot("$dir/base", 1, $self->{rows});
    if ($> == 0) {
        my ($uid, $gid) = (getpwnam("www-data"))[2, 3];
        chown $uid, $gid, "$dir/state", "$dir/base";
        $self->{user} = "user www-data;";
    }
    $self->start_redis if $self->{redis};
    $self->start_consumer if $self->{redis};
    $self->start_nginx;
    return $self;
}

sub tool { return abs_path($ENV{AFFILIATE_TOOLS} // "$ROOT/build/t") . "/$_[0]" }

sub free_port {
    my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", LocalPort => 0) or die "no free port: $!";
    return $s->sockport;
}

sub must {
    my ($self, @command) = @_;
    system(@command) == 0 or die "@command failed";
}

# Rows as t/tools/fixture.c takes them.
sub snapshot {
    my ($self, $file, $version, $rows, $base) = @_;
    open my $in, "|-", "$self->{tools}/fixture", "snapshot", "$self->{dir}/keys", $file, $version, $base // () or die $!;
    print $in $rows // $SNAPSHOT;
    close $in or die "fixture snapshot failed";
}

sub rows { return $SNAPSHOT }

# Polls until the condition holds; a test never sleeps for luck.
sub await {
    my ($self, $seconds, $condition) = @_;
    my $until = time + $seconds * $PATIENCE;
    while (1) {
        my $value = $condition->();
        return $value if $value;
        return 0 if time > $until;
        sleep 0.02;
    }
}

sub spawn {
    my ($self, $log, @command) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN, "<", "/dev/null";
        open STDOUT, ">>", "$self->{dir}/$log";
        open STDERR, ">&", \*STDOUT;
        exec @command or POSIX::_exit(127);
    }
    return $pid;
}

sub stop {
    my ($self, $name, $signal) = @_;
    my $pid = delete $self->{"${name}_pid"} or return;
    kill CONT => $pid;
    kill $signal // "TERM", $pid;
    waitpid $pid, 0;
}

# ---- Redis ----

sub start_redis {
    my ($self) = @_;
    my $sock = "$self->{dir}/redis.sock";
    unlink $sock;
    $self->{redis_pid} = $self->spawn("redis.log", "redis-server", "--port", 0, "--unixsocket", $sock,
        "--unixsocketperm", 777, "--save", "", "--appendonly", "no", "--dir", "$self->{dir}/redis");
    $self->await(10, sub { -S $sock && $self->redis_cli("PING") =~ /PONG/ }) or die "redis-server does not start";
}

sub redis_cli {
    my ($self, @command) = @_;
    open my $out, "-|", "redis-cli", "-s", "$self->{dir}/redis.sock", @command or die $!;
    local $/;
    return scalar(<$out>) // "";
}

# The same with binary arguments.  What matters is that it was taken: the answer's first line.
sub redis_command {
    my ($self, @words) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => "$self->{dir}/redis.sock") or die "redis: $!";
    print $socket "*" . @words . "\r\n", map { "\$" . length($_) . "\r\n$_\r\n" } @words;
    $socket->flush;
    my $answer = <$socket> // "";
    die "redis: $answer" if $answer eq "" || $answer =~ /^-/;
    return $answer;
}

# The bytes of a lead's verdict, as the consumer wrote them.
sub verdict_of {
    my ($self, $id) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => "$self->{dir}/redis.sock") or die "redis: $!";
    my $key = "affiliate:verdict:$id";
    print $socket "*2\r\n\$3\r\nGET\r\n\$@{[length $key]}\r\n$key\r\n";
    $socket->flush;
    my ($len) = (<$socket> // "") =~ /^\$(\d+)/ or return "";
    read $socket, my ($bytes), $len;
    return $bytes;
}

# Publishes snapshot files as affiliated does: chunks first, then the hash that names them.
sub publish {
    my ($self, $version, $base, $delta) = @_;
    my @fields = (version => $version);
    for ([base => $base], [delta => $delta]) {
        my ($name, $file) = @$_;
        my ($bytes, $hash, $chunks) = ("", "", 0);
        if (defined $file) {
            open my $in, "<:raw", $file or die "$file: $!";
            $bytes = do { local $/; <$in> };
            $hash = unpack "H*", substr($bytes, -32, 16);
            for (; $chunks << 20 < length $bytes; $chunks++) {
                $self->redis_command("SET", "affiliate:snapshot:$hash:$chunks", substr($bytes, $chunks << 20, 1 << 20));
            }
        }
        push @fields, "${name}_hash" => $hash, "${name}_size" => $hash eq "" ? "" : length $bytes,
            "${name}_chunks" => $hash eq "" ? "" : $chunks;
    }
    $self->redis_command("HSET", "affiliate:snapshot", @fields);
}

# ---- the consumer ----

sub start_consumer {
    my ($self) = @_;
    my ($out, $in);
    $self->{consumer_pid} = open2($out, $in, "$self->{tools}/consumer", "$self->{dir}/redis.sock", "$self->{dir}/keys");
    $self->{consumer_in} = $in;
    $self->{consumer_out} = $out;
}

sub consumer {
    my ($self, $command) = @_;
    my $in = $self->{consumer_in};
    print $in "$command\n";
    $in->flush;
    my $line = readline($self->{consumer_out}) // die "the consumer is gone";
    return $command eq "status" ? JSON::PP::decode_json($line) : $line;
}

# What the database would hold, in its order.
sub applied {
    my ($self) = @_;
    my $file = "$self->{dir}/applied";
    $self->consumer("dump $file");
    open my $in, "<", $file or die $!;
    chomp(my @lines = <$in>);
    return @lines;
}

# ---- nginx ----

sub module_line {
    my ($self) = @_;
    my $module = $ENV{AFFILIATE_MODULE};
    if (!defined $module) {
        my ($version) = `$self->{nginx} -v 2>&1` =~ m{nginx/(\S+)};
        $module = "$ROOT/build/nginx-$version/ngx_http_affiliate_module.so";
    }
    return $module eq "static" ? "" : "load_module " . abs_path($module) . ";";
}

sub write_conf {
    my ($self) = @_;
    my $dir = $self->{dir};
    my $snapshot = $self->{snapshot} eq "file" ? "affiliate_snapshot $dir/base;" : "";
    my $tls = $self->{tls} ? $self->tls_lines : "";
    my $redis = $self->{redis} ? "affiliate_redis unix:$dir/redis.sock;" : "";
    my ($http, $server) = map { s/DIR\b/$dir/gr } @$self{qw(http server)}; # DIR: this edge's folder
    open my $out, ">", "$dir/nginx.conf" or die $!;
    print $out <<"END";
@{[$self->module_line]}
@{[$self->{user} // ""]}
worker_processes $self->{workers};
daemon off;
$self->{main}
pid $dir/nginx/pid;
error_log $dir/error.log info;
events { worker_connections $self->{connections}; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path $dir/nginx/b; proxy_temp_path $dir/nginx/p; fastcgi_temp_path $dir/nginx/f;
    scgi_temp_path $dir/nginx/s; uwsgi_temp_path $dir/nginx/u;
    affiliate_state @{[$self->{state} // "$dir/state"]};
    affiliate_key_file $dir/keys;
    affiliate_edge wire-test;
    affiliate_journal $self->{journal};
    affiliate_detect off; # clients here have no User-Agent
    $snapshot
    $redis
    $http
    server {
        listen 127.0.0.1:$self->{port};
        $tls
        location /c/ { affiliate_click; }
        location /postback { affiliate_conversion; }
        location /status { affiliate_status; }
        $server
    }
}
END
    close $out;
}

# A TLS listener with HTTP/2 on the port $self->{tls}; the certificate is made once.
sub tls_lines {
    my ($self) = @_;
    my $name = "$self->{dir}/tls";
    $self->must("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.crt "
        . "-days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,DNS:track.partner.example 2>$name.log") if !-e "$name.crt";
    my ($old, $new) = $self->nginx_version < 1025001 ? (" http2", "") : ("", "http2 on;");
    return "listen 127.0.0.1:$self->{tls} ssl$old; $new ssl_certificate $name.crt; ssl_certificate_key $name.key;";
}

sub start_nginx {
    my ($self) = @_;
    $self->write_conf;
    local $ENV{LD_PRELOAD} = $self->{preload} // "";
    local $ENV{FAIL_SYNC_IF} = "$self->{dir}/disk-is-broken";
    local $ENV{MOVE_CLOCK_BY} = "$self->{dir}/clock";
    local $ENV{SLOW_SYNC_IF} = "$self->{dir}/disk-is-slow";
    $self->{nginx_pid} = $self->spawn("nginx.out", $self->{nginx}, "-p", "$self->{dir}/nginx", "-c", "$self->{dir}/nginx.conf",
        "-e", "$self->{dir}/error.log");
    $self->await(15, sub { eval { $self->status } }) or die "nginx does not start: " . $self->error_log . `cat $self->{dir}/nginx.out`;
}

sub error_log {
    my ($self) = @_;
    open my $in, "<", "$self->{dir}/error.log" or return "";
    local $/;
    return scalar(<$in>) // "";
}

# Of a server{} that says "access_log DIR/access.log".
sub access_log {
    my ($self) = @_;
    open my $in, "<", "$self->{dir}/access.log" or return "";
    local $/;
    return scalar(<$in>) // "";
}

# The living workers, not those that a reload has told to go.
sub workers {
    my ($self) = @_;
    open my $in, "<", "/proc/$self->{nginx_pid}/task/$self->{nginx_pid}/children" or return ();
    return grep { my $pid = $_; open my $c, "<", "/proc/$pid/cmdline"; ($c && <$c> // "") =~ /worker process(?! is)/ } split ' ', <$in> // "";
}

sub status {
    my ($self) = @_;
    my ($code, $body) = $self->get("/status");
    die "status: $code" if $code != 200;
    return JSON::PP::decode_json($body);
}

sub counter { my ($self, $name) = @_; return $self->status->{counters}{$name} }
sub gauge { my ($self, $name) = @_; return $self->status->{gauges}{$name} }

sub connect_http {
    my ($self) = @_;
    return IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $self->{port}, Timeout => 5);
}

# nginx's version as a number to compare: 1.22.1 is 1022001.
sub nginx_version {
    my ($self) = @_;
    my ($a, $b, $c) = `$self->{nginx} -v 2>&1` =~ m{nginx/(\d+)\.(\d+)\.(\d+)} or die "no version";
    return $a * 1_000_000 + $b * 1000 + $c;
}

# The next answers to requests that were pipelined, each (code, body, head); fewer when the connection ends or is
# silent for five seconds.  What has come beyond them is kept in $$rest.
sub answers {
    my ($self, $socket, $rest, @methods) = @_;
    my @answers;
    my $more = sub {
        vec(my $ready = "", fileno $socket, 1) = 1;
        return select($ready, undef, undef, 5 * $PATIENCE) > 0 && sysread($socket, $$rest, 65536, length $$rest);
    };
    for my $method (@methods) {
        while ($$rest !~ /\r\n\r\n/) {
            $more->() or return @answers;
        }
        my ($head) = $$rest =~ /^(.*?\r\n\r\n)/s;
        my ($code) = $head =~ m{^HTTP/1\.1 (\d+)} or return @answers;
        my ($len) = $head =~ /\r\nContent-Length: (\d+)/i;
        $len = 0 if $method eq "HEAD" || !defined $len;
        while (length $$rest < length($head) + $len) {
            $more->() or return @answers;
        }
        push @answers, [$code, substr($$rest, length $head, $len), $head];
        substr $$rest, 0, length($head) + $len, "";
    }
    return @answers;
}

# One request on a kept-alive connection.  (code, body, head), or () when the connection broke.
sub request {
    my ($self, $socket, $text) = @_;
    my $in = "";
    syswrite($socket, $text) // return ();
    while ($in !~ /\r\n\r\n/) {
        sysread($socket, $in, 65536, length $in) or return ();
    }
    my ($head, $body) = split /\r\n\r\n/, $in, 2;
    my ($len) = $text =~ /^HEAD / ? 0 : $head =~ /\r\nContent-Length: (\d+)/i;
    if (defined $len) {
        while (length $body < $len) {
            sysread($socket, $body, 65536, length $body) or return ();
        }
    } elsif ($head =~ /\r\nTransfer-Encoding: chunked/i) {
        while ($body !~ /(^|\r\n)0\r\n\r\n$/) {
            sysread($socket, $body, 65536, length $body) or return ();
        }
        my $plain = "";
        while ($body =~ s/^([0-9a-f]+)\r\n//i && hex $1 > 0) {
            $plain .= substr $body, 0, hex $1, "";
            $body =~ s/^\r\n//;
        }
        $body = $plain;
    }
    my ($code) = $head =~ m{^HTTP/1.1 (\d+)};
    return ($code, $body, $head);
}

sub get {
    my ($self, $uri) = @_;
    my $socket = $self->connect_http or die "connect: $!";
    return $self->request($socket, "GET $uri HTTP/1.1\r\nHost: t\r\n\r\n");
}

sub convert {
    my ($self, $click, $txid) = @_;
    my $socket = $self->connect_http or die "connect: $!";
    return $self->request($socket, "GET /postback?click_id=$click&event=sale&amount=1.00&currency=EUR&txid=$txid HTTP/1.1\r\n"
        . "Host: t\r\nAuthorization: Bearer key-of-the-test\r\n\r\n");
}

# The click id of one answered click; undef when it was not answered.
sub click {
    my ($self, $socket) = @_;
    my ($code, $body, $head) = $self->request($socket, "GET /c/abc HTTP/1.1\r\nHost: t\r\nUser-Agent: one-that-clicks\r\n\r\n");
    return undef if !defined $code;
    return $code == 302 && $head =~ /\r\nLocation: \S+cid=([\w-]{40})/ ? $1 : undef;
}

sub clicks {
    my ($self, $n) = @_;
    my $socket = $self->connect_http or die "connect: $!";
    return map { $self->click($socket) // die "a click was not answered" } 1 .. $n;
}

# Clients in processes of their own that click until told to stop; each writes down what was answered.
sub load_start {
    my ($self, $clients) = @_;
    unlink "$self->{dir}/load.stop";
    for my $i (1 .. $clients) {
        my $pid = fork // die "fork: $!";
        next if push(@{$self->{load}}, $pid) && $pid;
        $SIG{$_} = "DEFAULT" for qw(INT TERM HUP);
        open my $out, ">>", "$self->{dir}/load.$i" or POSIX::_exit(1);
        my $socket;
        until (-e "$self->{dir}/load.stop") {
            $socket //= $self->connect_http;
            my $id = $socket && $self->click($socket);
            if (defined $id && $id) {
                print $out "$id\n";
            } else {
                undef $socket;
                sleep 0.005;
            }
        }
        close $out;
        POSIX::_exit(0);
    }
}

# The ids of all answered clicks.
sub load_stop {
    my ($self) = @_;
    open my $stop, ">", "$self->{dir}/load.stop";
    waitpid $_, 0 for splice @{$self->{load}};
    my @ids;
    for my $file (glob "$self->{dir}/load.*") {
        next if $file =~ /stop$/;
        open my $in, "<", $file;
        chomp(my @lines = <$in>);
        push @ids, @lines;
        unlink $file;
    }
    return @ids;
}

sub DESTROY {
    my ($self) = @_;
    return if $$ != $self->{owner};
    local ($?, $!);
    if ($self->{load}) {
        kill KILL => @{$self->{load}};
        waitpid $_, 0 for @{$self->{load}};
    }
    $self->stop($_) for qw(nginx consumer redis);
}

1;
