#!/usr/bin/perl
#
# Mails out of the outbox, against a mail server that keeps what it is given (lib/SmtpSink.pm).  What could break: a mail
# that is sent twice or never, one bad address that holds up all others, a server that is down using up everybody's tries,
# a header that somebody else wrote, text that arrives otherwise than it was written, the secret link or a password shown
# to staff, logs or whoever listens on the wire.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use File::Temp;
use MIME::Base64;
use SmtpSink;
use Test::More;
use Time::HiRes 'sleep';

my $from = "Gr\x{c3}\x{bc}ner Laden <noreply\@b\x{c3}\x{bc}cher.example>";
my $link = 'https://track.example.com/confirm/secret-of-the-recipient';
my $api = Api->start;
my $sink = SmtpSink->start;

sub entry { return $api->get("outbox/$_[0]")->{json} }
sub about { my ($id) = @_; my $e = entry($id); return "$e->{status} $e->{tries}" }
sub round { return $api->say("mail", $_[0] // $sink->url, $from)->{well} }
sub to { my ($who) = @_; return grep { $_->{to} =~ /^\Q$who\E@/ } $sink->mails }

# Encoded words undone; the bytes of UTF-8.
sub decoded {
    my ($text) = @_;
    $text =~ s/\?= =\?/?==?/g;
    $text =~ s/=\?UTF-8\?B\?([^?]*)\?=/decode_base64($1)/ge;
    return $text;
}

# ---- a mail as it arrives ----

my $subject = "\x{c3}\x{84}nderung best\x{c3}\x{a4}tigen: \x{e2}\x{82}\x{ac} " . ("\x{c3}\x{bc}" x 60);
my $first = $api->say('write', 'confirm:1', 'Ada.Lovelace@Example.com', 'Please confirm')->{id};
my $second = $api->say('write', 'confirm:2', "bob\@b\x{c3}\x{bc}cher.example", $subject)->{id};
is($api->say('write', 'confirm:1', 'ada@example.com', 'Once more')->{id}, $second, 'what is asked for twice is there once');
is(about($first), 'queued 0', 'a mail waits');
ok(round(), 'all of it is sent');
is(about($_), 'sent 1', '... in one try') for $first, $second;
my @mails = $sink->mails;
is(scalar(@mails), 2, 'two mails arrived');
is(scalar(grep { /^EHLO/ } $sink->commands), 1, '... in one conversation');
is((grep { /^EHLO/ } $sink->commands)[0], 'EHLO xn--bcher-kva.example', '... that begins with our domain');

my $mail = SmtpSink::parse($mails[0]{data});
is($mails[0]{from}, 'noreply@xn--bcher-kva.example', 'the sender, as DNS has it');
is($mails[0]{to}, 'Ada.Lovelace@example.com', 'the recipient, whose own part keeps its case');
is($mail->{headers}{subject}, 'Please confirm', 'a plain subject is plain');
is(decoded($mail->{headers}{from}), "Gr\x{c3}\x{bc}ner Laden <noreply\@xn--bcher-kva.example>", 'From');
is($mail->{headers}{to}, 'Ada.Lovelace@example.com', 'To');
like($mail->{headers}{date}, qr/^Wed, 01 May 2024 12:00:\d\d \+0000$/, 'Date');
like($mail->{headers}{'message-id'}, qr/^<[0-9a-f]{32}\@xn--bcher-kva\.example>$/, 'Message-ID');
is($mail->{headers}{'auto-submitted'}, 'auto-generated', 'it says that no person wrote it');
is($mail->{headers}{'mime-version'}, '1.0', 'MIME');
ok($mail->{alternative}, 'text and HTML');
is_deeply($mail->{types}, [ 'text/plain; charset=utf-8', 'text/html; charset=utf-8' ], '... in this order');
is($mail->{'text/plain'}, "Gr\x{c3}\x{bc}\x{c3}\x{9f} Gott,\r\n.\r\n..two dots\r\n\r\n$link\r\n", 'the text, its dots, the link');
is($mail->{'text/html'}, qq(<p>Gr\x{c3}\x{bc}\x{c3}\x{9f} Gott, <a href="$link">this way</a></p>\r\n), 'the HTML');

my ($raw) = $mails[1]{data} =~ /^(Subject: .*?)\r\n(?=\S)/ms;
is(decoded(SmtpSink::parse($mails[1]{data})->{headers}{subject}), $subject, 'a long subject in UTF-8 comes back as it was');
is(scalar(grep { length > 76 } split /\r\n/, $raw), 0, '... in lines of at most 76 characters');
is(scalar(grep { length > 998 } split /\r\n/, $mails[1]{data}), 0, 'no line is too long');
is($mails[1]{to}, 'bob@xn--bcher-kva.example', 'a domain beyond ASCII');
ok(round() && $sink->mails == 2, 'nothing is sent twice');

# ---- what staff sees ----

my $seen = entry($first);
unlike(Api::text($seen), qr/secret-of-the-recipient/, 'the link is the recipient\'s alone');
like($seen->{text}, qr/^\[link\]$/m, '... its place is shown');
is_deeply([ map { $_->{id} } @{ $api->get('outbox?status=sent&sort=created_at')->{json}{data} } ], [ $first, $second ], 'the list');
ok(!exists $api->get('outbox')->{json}{data}[0]{text}, '... without texts');
is($api->get('outbox?q=Lovelace')->{json}{total}, 1, '... searched');
is($api->get('outbox?status=failed&kind=mail')->{json}{total}, 0, '... filtered');
for my $role (qw(finance manager agent viewer)) {
    $api->is_error($api->get('outbox', as => $role), 403, 'role_denied', "$role: no list");
    $api->is_error($api->get("outbox/$first", as => $role), 403, 'role_denied', "$role: none of them");
    $api->is_error($api->post("outbox/$first/resend", {}, as => $role), 403, 'role_denied', "$role: sends none");
}

# ---- sent again ----

$api->is_error($api->post('outbox/999/resend', {}), 404, 'not_found', 'what is not there');
my $again = $api->post("outbox/$first/resend", {}, key => 'again');
is("$again->{status} $again->{json}{status} $again->{json}{tries}", '200 queued 0', 'sent again: it waits');
is($api->post("outbox/$first/resend", {}, key => 'again')->{status}, 200, '... the same request is answered alike');
$api->is_error($api->post("outbox/$first/resend", {}), 409, 'outbox_queued', '... another one is not');
ok(round(), '... and goes');
my @ids = map { SmtpSink::parse($_->{data})->{headers}{'message-id'} } to('Ada.Lovelace');
is(scalar(@ids), 2, '... a second time');
isnt($ids[0], $ids[1], '... under an id of its own, or receivers would drop it');
my ($audit) = @{ $api->get('audit?object_type=outbox%20entry')->{json}{data} };
is($audit->{action}, 'outbox.resend', 'the audit log has it');
unlike(Api::text($audit), qr/Lovelace|confirm|secret/i, '... and keeps nothing of the person');

# ---- one bad mail is not everybody's trouble ----

my %id = map { $_ => $api->say('write', "case:$_", "$_\@example.com", 'Case')->{id} }
    qw(refused busy content drop gone well nobody@);
ok(round(), 'the server is fine');
is(about($id{refused}), 'failed 1', 'an address that is refused for good is not asked again');
like(entry($id{refused})->{last_error}, qr/^550 5\.1\.1 <refused\@example\.com> unknown$/, '... in the server\'s own words');
is(about($id{content}), 'failed 1', 'nor is a mail that it does not like');
is(about($id{busy}), 'queued 1', 'one that is to come later waits');
is(about($id{drop}), 'queued 1', 'so does one in whose middle the line went dead');
is(about($id{gone}), 'queued 1', '... or before the answer');
is(about($id{well}), 'sent 1', 'the others go');
is(about($id{'nobody@'}), 'failed 0', 'what is no address is not even tried');
unlike($api->log_text, qr/\@example\.com/, 'the log names nobody');
my $tried = () = $sink->commands;
ok(round() && $tried == (() = $sink->commands), 'nothing is due yet');
$api->say('advance', 76);
ok(round(), 'a minute later, more or less');
is(about($id{busy}), 'queued 2', '... the next try');
is(about($id{refused}), 'failed 1', '... of those that wait');
@ids = map { SmtpSink::parse($_->{data})->{headers}{'message-id'} } to('gone');
is_deeply([ scalar(@ids), $ids[0] ], [ 2, $ids[1] ], 'what may have arrived already comes under the same id');
for (3 .. 10) {
    my ($next) = $api->rows("SELECT next_us - updated_us FROM outbox WHERE id = $id{busy}");
    my $pause = 60e6 * 2**($_ - 2);
    $pause = 21600e6 if $pause > 21600e6;
    ok($next >= $pause * 0.75 && $next <= $pause * 1.25, "try $_ comes after " . $pause / 1e6 . ' s, give or take a quarter');
    $api->say('advance', int($pause / 1e6 * 1.25) + 1);
    round();
}
is(about($id{busy}), 'failed 10', 'after ten tries it is given up');
is(about($id{drop}), 'failed 10', '... likewise');
is($api->post("outbox/$id{busy}/resend", {})->{status}, 200, 'somebody may begin anew');
is(about($id{busy}), 'queued 0', '... from the first try');

# ---- a server that is down, or that does not take us ----

my @waiting = map { $api->say('write', "down:$_", "down$_\@example.com", 'Down')->{id} } 1 .. 5;
my $port = $sink->{port};
$sink->stop;
ok(!round(), 'nobody is there');
is(join(',', sort map { entry($_)->{tries} } $id{busy}, @waiting), '0,0,0,0,0,1', '... and one mail at most has counted a try');
for my $case ([ greeting => '554 no service', 'a greeting that is none' ], [ refuse_sender => 1, 'our address is refused' ]) {
    my ($option, $value, $name) = @$case;
    my $other = SmtpSink->start($option => $value);
    $api->say('advance', 90);
    ok(!round($other->url), $name);
    is(scalar(grep { entry($_)->{status} eq 'failed' } @waiting), 0, '... is no mail\'s fault');
}
$sink = SmtpSink->start(folder => $sink->{folder}, port => $port);
$api->say('advance', 300);
ok(round(), 'it is back');
is(scalar(grep { entry($_)->{status} eq 'sent' } @waiting), 5, '... and all are sent');
is(scalar(to("down$_")), 1, '... once') for 1 .. 5;

# ---- too late ----

my $late = $api->say('write', 'late:1', 'slow@example.com', 'Late')->{id};
$api->say('advance', 2 * 86400);
ok(round(), 'what is of no use any more');
is(scalar(to('slow')), 0, '... is not sent');
$api->say('forget');
is(about($late), 'dropped 0', '... but dropped');
$api->is_error($api->post("outbox/$late/resend", {}), 409, 'outbox_expired', '... for good');
is($api->say('advance', 27 * 86400) && $api->say('forget') && about($first), 'sent 1', 'what is over is kept for a while');
$api->say('advance', 4 * 86400);
$api->say('forget');
$api->is_error($api->get("outbox/$first"), 404, 'not_found', '... and then forgotten');

# ---- the daemon: TLS, log-in, and a sudden end between sending and writing down ----

my $affiliated = ($ENV{API_SERVE} // "$Api::ROOT/build/admin-san/api_serve") =~ s{[^/]+$}{affiliated}r;
my $folder = File::Temp->newdir;
mkdir "$folder/state";
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    . " -addext subjectAltName=IP:127.0.0.1 -keyout $folder/tls.key -out $folder/tls.crt 2>$folder/openssl.log") == 0 or die;
my %tls = (cert => "$folder/tls.crt", key => "$folder/tls.key");
my $password = 'correct horse: battery';
spew("$folder/password", "$password\n");

sub spew { my ($path, $text) = @_; open my $out, '>', $path or die "$path: $!"; print $out $text; close $out; return }
sub slurp { my ($path) = @_; open my $in, '<', $path or return ''; local $/; return scalar <$in> }

# The configuration with these lines; OTHER => VALUE.
sub configure {
    my (%more) = @_;
    my %all = (database => "sqlite:$folder/a.db", key_file => "$folder/keys", base_url => 'http://127.0.0.1:1',
        state => "$folder/state", mail_from => 'noreply@shop.example', %more);
    spew("$folder/conf", join("\n", '[affiliated]', map { "$_ = $all{$_}" } sort keys %all) . "\n");
    return;
}

sub run { return system("$affiliated -c $folder/conf @_ >$folder/out 2>&1") >> 8 }
sub sql { my ($sql) = @_; system('sqlite3', "$folder/a.db", $sql) == 0 or die $sql; return }
sub ask { my ($sql) = @_; chomp(my $row = qx(sqlite3 -readonly $folder/a.db "$sql")); return $row }

sub daemon {
    my $pid = fork // die;
    if ($pid == 0) {
        open STDERR, '>>', "$folder/log";
        exec $affiliated, '-c', "$folder/conf", 'work';
    }
    return $pid;
}

sub end { my ($signal, $pid) = @_; kill $signal, $pid; waitpid $pid, 0; return $? }

sub await {
    my ($what, $name) = @_;
    my $until = time + 40;
    sleep 0.05 until $what->() || time > $until;
    ok($what->(), $name) or diag(slurp("$folder/log"));
    return;
}

sub queue {
    my ($who) = @_;
    sql("INSERT INTO outbox (kind, name, uid, recipient, subject, text, html, link, next_us, expires_us, created_us, updated_us)"
        . " VALUES ('mail', '$who', lower(hex(randomblob(16))), '$who\@example.com', 'S', 'T' || char(26), '', '$link', 0,"
        . " 9000000000000000, 1, 1)");
    return;
}

configure();
is(run('keygen', "$folder/keys"), 0, 'keys') or diag(slurp("$folder/out"));
is(run('migrate'), 0, 'a database') or diag(slurp("$folder/out"));
for my $case (
    [ { smtp => 'smtp://m.example', mail_from => 'x' }, qr/"mail_from" is no address/ ],
    [ { smtp => 'http://m.example' }, qr/"smtp" begins with/ ],
    [ { smtp => 'smtp://u:p@m.example' }, qr/"smtp" has nothing behind its host/ ],
    [ { smtp => 'smtp://m.example/x' }, qr/"smtp" has nothing behind its host/ ],
    [ { smtp => 'smtp://m.example:99999' }, qr/"smtp" has nothing behind its host/ ],
    [ { smtp => 'smtp://m.example', smtp_tls => 'maybe' }, qr/"smtp_tls" is required, optional or off/ ],
    [ { smtp => 'smtp://m.example', smtp_user => 'u' }, qr/go together/ ],
    [ { smtp => 'smtp://m.example', smtp_user => 'u', smtp_password_file => "$folder/password", smtp_tls => 'optional' },
        qr/travel in the open/ ],
    [ { smtp => 'smtp://127.0.0.1.m.example', smtp_user => 'u', smtp_password_file => "$folder/password", smtp_tls => 'off' },
        qr/travel in the open/ ],
) {
    my ($keys, $error) = @$case;
    configure(%$keys);
    isnt(run('work'), 0, 'a configuration that makes no sense');
    like(slurp("$folder/out"), $error, '... is told why');
}

$sink = SmtpSink->start(tls => \%tls, user => 'tracker', password => $password);
my %login = (smtp => $sink->url, smtp_user => 'tracker', smtp_password_file => "$folder/password", smtp_tls => 'required');
queue('ada');
configure(%login);
my $pid = daemon();
await(sub { slurp("$folder/log") =~ /outbox 1, try 1: / }, 'a certificate that nobody vouches for');
is(scalar(grep { /^(AUTH|MAIL)/ } $sink->commands), 0, '... hears neither password nor mail');
is(end(TERM => $pid), 0, '... and the daemon ends in peace');
sql('UPDATE outbox SET next_us = 0');
configure(%login, smtp_ca_file => "$folder/tls.crt");
$pid = daemon();
await(sub { ask('SELECT state FROM outbox') eq 'sent' }, 'one that somebody vouches for');
my ($got) = $sink->mails;
is("$got->{tls} $got->{user}", '1 tracker', '... gets the log-in and the mail, encrypted');
like($got->{data}, qr/T\Q$link\E/, '... text alone, with its link');
queue('late');
await(sub { $sink->mails == 2 }, 'a mail is taken, its answer is not there yet');
end(KILL => $pid);
is(ask("SELECT state || tries FROM outbox WHERE name = 'late'"), 'queued1', 'a sudden end: the try is counted');
sql('UPDATE outbox SET next_us = 0');
$sink->release;
$pid = daemon();
await(sub { ask("SELECT state || tries FROM outbox WHERE name = 'late'") eq 'sent2' }, 'it is sent once more');
end(TERM => $pid);
my @twice = map { SmtpSink::parse($_->{data})->{headers}{'message-id'} } grep { $_->{to} =~ /^late/ } $sink->mails;
is_deeply([ scalar(@twice), $twice[0] ], [ 2, $twice[1] ], '... under the same id, by which receivers know it');

my $plain = SmtpSink->start;
queue('eve');
configure(%login, smtp => $plain->url);
$pid = daemon();
await(sub { slurp("$folder/log") =~ /outbox 3, try 1: / }, 'a server that does not encrypt');
is(scalar(grep { /^(AUTH|MAIL)/ } $plain->commands), 0, '... hears neither password nor mail');
end(TERM => $pid);
my $smtps = SmtpSink->start(tls => \%tls, smtps => 1, user => 'tracker', password => 'another');
sql('UPDATE outbox SET next_us = 0');
configure(%login, smtp => $smtps->url, smtp_ca_file => "$folder/tls.crt");
$pid = daemon();
await(sub { ask("SELECT tries FROM outbox WHERE name = 'eve'") eq '2' && slurp("$folder/log") =~ /outbox 3, try 2: / }, 'smtps, and a password that is wrong');
is(ask("SELECT state FROM outbox WHERE name = 'eve'"), 'queued', '... is no mail\'s fault');
end(TERM => $pid);
configure();
sql('UPDATE outbox SET next_us = 0');
$pid = daemon();
await(sub { slurp("$folder/log") =~ /mails wait: / }, 'without a server mails wait, and the log says so');
end(TERM => $pid);
unlike(slurp("$folder/log"), qr/battery|secret-of|\@example\.com/, 'no log has a password, a link or an address');

$sink->stop;
$api->finish;
