package Api;

# The API's fixture (serve.c), and a small HTTP client whose every answer is held against docs/openapi.yaml: status,
# headers, and the body by its closed schema.  An answer that contradicts the document fails the test that asked.

use strict;
use warnings;
use Cwd 'abs_path';
use File::Basename 'dirname';
use IO::Handle;
use IO::Socket::UNIX;
use IPC::Open2;
use JSON::PP;
use JSON::Validator;
use Socket qw(SOCK_STREAM);
use Test::More;

our $ROOT = abs_path(dirname(__FILE__) . '/../../../..');
our $ADMIN = '/api/admin/v1';
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $document;

# The description, parsed once; checked against the 3.0 specification by contract.t.
sub document {
    unless ($document) {
        $document = JSON::Validator->new->schema("file://$ROOT/docs/openapi.yaml")->schema;
        $document->coerce({});    # "1" is no number
    }
    return $document;
}

# ---- the fixture ----

# start(ARGUMENT...): a server on a fresh database.  $api->{staff}, {program}, {affiliate}, {setup} as serve.c says them,
# {routes} as `affiliated routes --json` does.
sub start {
    my ($class, @arguments) = @_;
    my $program = $ENV{API_SERVE} // "$ROOT/build/admin-san/api_serve";
    my $log = "$ROOT/build/test/api-$$-" . time . '.log';
    mkdir "$ROOT/build/test";
    -x $program or BAIL_OUT("$program is not built");

    local $ENV{ASAN_OPTIONS}  = 'detect_leaks=1:' . ($ENV{ASAN_OPTIONS}  // '');
    local $ENV{UBSAN_OPTIONS} = 'print_stacktrace=1:' . ($ENV{UBSAN_OPTIONS} // '');
    my $pid = open2(my $from, my $to, 'sh', '-c', 'exec "$0" "$@" 2>' . "'$log'", $program, @arguments);
    my $line = <$from> // BAIL_OUT("$program did not start: see $log");
    my $routes = `${\ ($program =~ s{[^/]+$}{affiliated}r) } routes --json`;
    return bless {
        %{ $json->decode($line) }, routes => $json->decode($routes), pid => $pid, from => $from, to => $to, log => $log, answers => 0, parent => $$
    }, $class;
}

# One word to the fixture: say('advance', 60), say('sell', '100.00', 'EUR', 'T1', 1).
sub say {
    my ($self, @words) = @_;
    print { $self->{to} } "@words\n";
    $self->{to}->flush;
    my $answer = $json->decode(scalar readline $self->{from});
    die "the fixture does not know: @words" if ref $answer eq 'HASH' && exists $answer->{unknown};
    return $answer;
}

# Ends the server: its exit status says whether the sanitizers, if it has them, were silent.
sub stop {
    my ($self) = @_;
    close $self->{to};
    waitpid $self->{pid}, 0;
    my $status = $?;
    is($status, 0, 'the server ended in peace') or diag($self->log_text);
    delete $self->{pid};
    return;
}

# Stops, says how many answers were held against the document, and ends the suite.
sub finish {
    my ($self) = @_;
    $self->stop if $self->{pid};
    ok($self->{answers} > 0, "$self->{answers} answers, each as docs/openapi.yaml says");
    unlink $self->{log} if Test::More->builder->is_passing;
    done_testing();
    return;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $!);
    kill 'TERM', $self->{pid} if $self->{pid} && $self->{parent} == $$;
}

sub log_text {
    my ($self) = @_;
    open my $in, '<', $self->{log} or return '';
    local $/;
    return scalar <$in>;
}

# The rows of a question to the database, columns parted by tabs; what the daemon has committed.
sub rows {
    my ($self, $sql) = @_;
    open my $out, '-|', 'sqlite3', '-readonly', '-separator', "\t", $self->{database}, $sql or die "sqlite3: $!";
    chomp(my @rows = <$out>);
    close $out or die "sqlite3 failed: $sql";
    return @rows;
}

# ---- asking ----

# get|post|patch|del(PATH, BODY?, OPTION => VALUE...): PATH below /api/admin/v1 unless it starts with /; as admin.
# Options: as (role; "affiliate": the program's own, by a session; undef: nobody), headers ({}), raw (a body as it is),
# type (its Content-Type), key (Idempotency-Key).
sub get   { my ($self, $path, %option) = @_; return $self->ask('GET', $path, undef, %option) }
sub head  { my ($self, $path, %option) = @_; return $self->ask('HEAD', $path, undef, %option) }
sub post  { my ($self, $path, $body, %option) = @_; return $self->ask('POST', $path, $body, %option) }
sub patch { my ($self, $path, $body, %option) = @_; return $self->ask('PATCH', $path, $body, %option) }
sub del   { my ($self, $path, %option) = @_; return $self->ask('DELETE', $path, undef, %option) }

sub ask {
    my ($self, $method, $path, $body, %option) = @_;
    my $request = $self->request($method, $path, $body, headers => { Connection => 'close' }, %option);
    my $socket = $self->connect;
    print $socket $request;
    my $answer = $self->read_answer($socket, $method);
    die "$method $path: no answer" unless $answer;
    $self->hold($method, $path, $answer);
    return $answer;
}

sub connect {
    my ($self) = @_;
    return IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $self->{socket}) // die "$self->{socket}: $!";
}

# The bytes of a request.
sub request {
    my ($self, $method, $path, $body, %option) = @_;
    $path = full($path);
    my %headers = (Host => 'x', %{ $option{headers} // {} });
    my $as = exists $option{as} ? $option{as} : 'admin';
    if (($as // '') eq 'affiliate') {
        %headers = (%{ $self->{session_of_affiliate} //= $self->portal_in }, %headers);
    } elsif (defined $as) {
        $headers{Authorization} //= "Bearer $self->{staff}{$as}{token}";
    }
    $headers{'Idempotency-Key'} = $option{key} if defined $option{key};

    my $bytes = $option{raw} // (defined $body ? $json->encode($body) : undef);
    if (defined $bytes) {
        $headers{'Content-Type'} //= $option{type} // 'application/json';
        $headers{'Content-Length'} //= length $bytes;
    }
    return join("\r\n", "$method $path HTTP/1.1", map({ "$_: $headers{$_}" } sort keys %headers), '', $bytes // '');
}

sub full {
    my ($path) = @_;
    return $path =~ m{^/} ? $path : "$ADMIN/$path";
}

# One answer from a connection: {status, headers (names in lower case), body, json}; undef when it ended before one.
sub read_answer {
    my ($self, $socket, $method) = @_;
    local $/ = "\r\n";
    my $line = <$socket> // return undef;
    my ($status) = $line =~ m{^HTTP/1\.1 (\d{3}) } or die "no status line: $line";
    my %headers;
    while (defined(my $header = <$socket>)) {
        last if $header eq "\r\n";
        my ($name, $value) = $header =~ /^([^:]+):\s*(.*?)\r\n$/ or die "no header: $header";
        $headers{ lc $name } = $value;
    }
    return $self->read_answer($socket, $method) if $status == 100;

    my ($body, $length) = ('', $headers{'content-length'} // 0);
    $length = 0 if $method eq 'HEAD' || $status == 204;
    while (length $body < $length) {
        read($socket, $body, $length - length $body, length $body) or die "the answer was cut off";
    }
    my $is_json = ($headers{'content-type'} // '') eq 'application/json' && $body ne '';
    return {
        status => $status, headers => \%headers, body => $body, json => $is_json ? $json->decode($body) : undef
    };
}

# ---- holding answers against the document ----

sub hold {
    my ($self, $method, $path, $answer) = @_;
    my @complaints = $self->complaints($method, $path, $answer);
    $self->{answers}++;
    fail("$method $path: $answer->{status} as documented") if @complaints;
    diag($_) for @complaints, @complaints ? substr($answer->{body}, 0, 2000) : ();
    return;
}

sub complaints {
    my ($self, $method, $path, $answer) = @_;
    my ($status, $headers) = @$answer{qw(status headers)};
    my @complaints;

    push @complaints, "$status is never right" if $status >= 500 && $status != 503;
    push @complaints, 'no nosniff' if ($headers->{'x-content-type-options'} // '') ne 'nosniff';
    push @complaints, 'may be cached' if ($headers->{'cache-control'} // '') ne 'no-store';
    push @complaints, 'no policy' if ($headers->{'content-security-policy'} // '') !~ /^default-src 'none';/;
    push @complaints, '401 without WWW-Authenticate' if $status == 401 && !$headers->{'www-authenticate'};
    push @complaints, "$status without Retry-After" if $status =~ /^(429|503)$/ && !$headers->{'retry-after'};

    my $template = template($path);
    my $verb = lc($method eq 'HEAD' ? 'GET' : $method);
    my $operation = $template && document()->get([ paths => $template, $verb ]);
    undef $operation if $operation && $operation->{'x-edge'};    # nginx's, not ours
    return (@complaints, error_complaints($answer, $template ? 405 : 404)) unless $operation;

    push @complaints, "$status is not documented" unless $operation->{responses}{$status};
    push @complaints, error_complaints($answer, $status)
        if $status >= 400 && $status != 503 && $headers->{'content-type'} !~ /html/;
    return @complaints if $method eq 'HEAD';
    my %sent = map { lc $_ => $headers->{ lc $_ } } keys %$headers;
    push @complaints, document()->validate_response(
        [ $verb, $template, $status ],
        {
            header => { map { $_ => $sent{ lc $_ } } keys %{ $operation->{responses}{$status}{headers} // {} } },
            body => sub {
                return {
                    exists => $answer->{body} ne '', value => $answer->{json} // $answer->{body},
                    content_type => ($headers->{'content-type'} // '') =~ s/;.*//r
                };
            },
        }
    );
    push @complaints, 'the ETag is not the version'
        if $headers->{etag} && $headers->{etag} ne '"' . ($answer->{json}{version} // '') . '"';
    return @complaints;
}

# The one shape of errors, also where no operation stands.
sub error_complaints {
    my ($answer, $status) = @_;
    my @complaints;
    my $error = ref $answer->{json} eq 'HASH' ? $answer->{json}{error} : undef;
    push @complaints, "$answer->{status}, not $status" if $answer->{status} != $status;
    push @complaints, '405 without Allow' if $status == 405 && !$answer->{headers}{allow};
    push @complaints, 'no error object' if !$error && $answer->{body} ne '';
    push @complaints, "doc_url leads elsewhere: $error->{doc_url}"
        if $error && $error->{doc_url} ne "/docs/errors#$error->{code}";
    push @complaints, "the message tells too much: $error->{message}"
        if $error && $error->{message} =~ m{SELECT|INSERT|UPDATE|sqlite|constraint|/tmp/|\.c:|0x[0-9a-f]{6}}i;
    return @complaints;
}

# The path of the document that this one is an instance of.
sub template {
    my ($path) = @_;
    my ($bare) = full($path) =~ /^([^?]*)/;
    for my $template (sort keys %{ document()->get('/paths') }) {    # "bulk" before "{id}"
        my $pattern = join '/', map { /^\{/ ? '[^/]+' : quotemeta } split m{/}, $template, -1;
        return $template if $bare =~ /^$pattern$/ && !($template =~ /\{/ && document()->get([ paths => $bare ]));
    }
    return undef;
}

# ---- what suites say often ----

sub text { return $json->encode($_[0]) }

# The code of an error, or "" - so that  is($api->code($answer), '')  reads well.
sub code {
    my ($self, $answer) = @_;
    return ref $answer->{json} eq 'HASH' && $answer->{json}{error} ? $answer->{json}{error}{code} : '';
}

# is_error(ANSWER, STATUS, CODE, NAME, FIELD?): also that FIELD is what it complains about.
sub is_error {
    my ($self, $answer, $status, $code, $name, $field) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $got = "$answer->{status} " . $self->code($answer);
    my $fields = ref $answer->{json} eq 'HASH' && $answer->{json}{error} ? $answer->{json}{error}{fields} // {} : {};
    my $right = $got eq "$status $code" && (!defined $field || exists $fields->{$field});
    ok($right, $name) or diag("$got, fields: @{[sort keys %$fields]}, not $status $code", $field // '', $answer->{body});
    return $right;
}

# A session of a member of staff: the headers that carry it.
sub log_in {
    my ($self, $role) = @_;
    my ($email, $password) = @{ $self->{staff}{$role} }{qw(email password)};
    my $answer = $self->post('session', { email => $email, password => $password }, as => undef);
    die "no session: $answer->{body}" if $answer->{status} != 200;
    my ($cookie) = $answer->{headers}{'set-cookie'} =~ /^([^;]+)/;
    return { Cookie => $cookie, 'X-CSRF-Token' => $answer->{json}{csrf_token} };
}

# A session of an affiliate, of the program's own unless told: likewise.
sub portal_in {
    my ($self, $email, $password) = @_;
    my $answer = $self->post('/api/portal/v1/session',
        { email => $email // $self->{affiliate}{email}, password => $password // $self->{affiliate}{password} }, as => undef);
    die "no session: $answer->{body}" if $answer->{status} != 200;
    my ($cookie) = $answer->{headers}{'set-cookie'} =~ /^([^;]+)/;
    return { Cookie => $cookie, 'X-CSRF-Token' => $answer->{json}{csrf_token} };
}

1;
