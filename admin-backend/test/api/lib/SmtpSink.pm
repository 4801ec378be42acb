package SmtpSink;

# A mail server that keeps what it is given, in a process of its own: enough of SMTP (RFC 5321), STARTTLS, AUTH PLAIN, and
# of what goes wrong: what it does with a mail is said by the part of its recipient before the "@" -
#
#     refused     550 to RCPT             content     554 to what follows DATA
#     busy        450 to RCPT             drop        the line goes dead in the middle of DATA
#     late        250 only when told      gone        it takes the mail, and the line goes dead before it says so
#
# Each mail that was taken, and each command, is a line of JSON in a file that mails() and commands() read.

use strict;
use warnings;
use File::Temp;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64;
use POSIX ();

my $json = JSON::PP->new->canonical->ascii;

# start(OPTION => VALUE...): port (0: a free one), tls ({cert, key}: 'starttls' or 'smtps' as mode), user and password,
# greeting (a line in the place of 220).
sub start {
    my ($class, %option) = @_;
    my $folder = $option{folder} // File::Temp->newdir;
    my $listener = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $option{port} // 0, Listen => 50, ReuseAddr => 1
    ) // die "no port: $!";
    my $self = bless { %option, folder => $folder, port => $listener->sockport, parent => $$ }, $class;

    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        local $SIG{PIPE} = 'IGNORE';
        $_ == fileno $listener or POSIX::close($_) for 3 .. 63;    # what others wait for the end of
        eval { $self->serve($listener) };
        print STDERR $@ if $@;
        POSIX::_exit(0);
    }
    close $listener;
    return $self;
}

sub url { my ($self) = @_; return ($self->{smtps} ? 'smtps' : 'smtp') . "://127.0.0.1:$self->{port}" }

sub stop {
    my ($self) = @_;
    return unless $self->{pid};
    local ($?, $!);
    kill 'KILL', $self->{pid};
    waitpid delete $self->{pid}, 0;
    return;
}

sub DESTROY {
    my ($self) = @_;
    $self->stop if $self->{pid} && $self->{parent} == $$;
}

# ---- what came ----

sub lines_of {
    my ($self, $name) = @_;
    open my $in, '<', "$self->{folder}/$name" or return ();
    return map { $json->decode($_) } grep { /\n\z/ } <$in>;
}

# {from, to, data, user, tls} each.
sub mails    { return $_[0]->lines_of('mails') }
sub commands { return map { $_->{command} } $_[0]->lines_of('commands') }

# Lets a mail to "late" go on.
sub release { my ($self) = @_; open my $out, '>', "$self->{folder}/released" or die; close $out; return }

sub note {
    my ($self, $name, $what) = @_;
    open my $out, '>>', "$self->{folder}/$name" or die "$name: $!";
    syswrite $out, $json->encode($what) . "\n";
    close $out;
    return;
}

# ---- serving: one conversation at a time ----

sub serve {
    my ($self, $listener) = @_;
    while (my $client = $listener->accept) {
        $client->autoflush(1);
        eval { $self->converse($client) };
        close $client;
    }
    return;
}

sub secured {
    my ($self, $client) = @_;
    require IO::Socket::SSL;
    IO::Socket::SSL->start_SSL(
        $client, SSL_server => 1, SSL_cert_file => $self->{tls}{cert}, SSL_key_file => $self->{tls}{key}
    ) or die 'no TLS';
    return $client;
}

sub converse {
    my ($self, $client) = @_;
    my (%mail, $tls, $user);
    my $say = sub { print $client "$_[0]\r\n"; $client->flush };

    if ($self->{smtps}) {
        $self->secured($client);
        $tls = 1;
    }
    $say->($self->{greeting} // '220 sink.example ESMTP');
    while (defined(my $line = <$client>)) {
        $line =~ s/\r?\n\z//;
        $self->note(commands => { command => $line });
        if ($line =~ /^EHLO /i) {
            my @can = ('sink.example', '8BITMIME');
            push @can, 'STARTTLS' if $self->{tls} && !$tls;
            push @can, 'AUTH PLAIN' if $self->{user};
            $say->('250' . ($_ == $#can ? ' ' : '-') . $can[$_]) for 0 .. $#can;
        } elsif ($line =~ /^STARTTLS$/i && $self->{tls}) {
            $say->('220 go on');
            $self->secured($client);
            $tls = 1;
        } elsif ($line =~ /^AUTH PLAIN ?(.*)$/i) {
            my $given = $1;
            if ($given eq '') {
                $say->('334 ');
                $given = <$client>;
            }
            $user = (split /\0/, decode_base64($given))[1];
            $say->(decode_base64($given) eq "\0$self->{user}\0$self->{password}" ? '235 welcome' : '535 5.7.8 who is that');
        } elsif ($line =~ /^MAIL FROM:<([^>]*)>/i) {
            %mail = (from => $1, tls => $tls ? 1 : 0, user => $user);
            $say->($self->{refuse_sender} ? '550 5.7.1 not from you' : '250 ok');
        } elsif ($line =~ /^RCPT TO:<(([^>@]*)[^>]*)>/i) {
            $mail{to} = $1;
            $mail{case} = $2;
            $say->($2 eq 'refused' ? "550 5.1.1 <$1> unknown" : $2 eq 'busy' ? '450 4.2.0 come later' : '250 ok');
        } elsif ($line =~ /^DATA$/i) {
            $say->('354 go on');
            $self->take($client, $say, \%mail) or return;
        } elsif ($line =~ /^QUIT$/i) {
            $say->('221 bye');
            return;
        } else {
            $say->('500 what');
        }
    }
    return;
}

# False: the conversation is over.
sub take {
    my ($self, $client, $say, $mail) = @_;
    my $data = '';
    while (defined(my $line = <$client>)) {
        return 0 if $mail->{case} eq 'drop' && length $data > 100;
        last if $line eq ".\r\n";
        $line =~ s/^\.//;
        $data .= $line;
    }
    if ($mail->{case} eq 'content') {
        $say->('554 5.6.0 we do not like that');
        return 1;
    }
    $self->note(mails => { %$mail, data => $data });
    return 0 if $mail->{case} eq 'gone';
    if ($mail->{case} eq 'late') {
        select undef, undef, undef, 0.05 until -e "$self->{folder}/released";
    }
    $say->('250 ok');
    return 1;
}

# ---- reading a mail ----

# parse(DATA): {headers (unfolded, names in lower case), type => text} with encodings undone.
sub parse {
    my ($data) = @_;
    my ($head, $body) = split /\r\n\r\n/, $data, 2;
    $head =~ s/\r\n[ \t]+/ /g;
    my %mail = (headers => { map { /^([^:]+): ?(.*)$/ ? (lc $1 => $2) : () } split /\r\n/, $head });
    my $type = $mail{headers}{'content-type'} // '';

    if ($type =~ /^multipart\/(?:alternative|mixed); *boundary="?([^";]+)/) {
        my @parts = split /(?:\r\n|^)--\Q$1\E(?:--)?(?:\r\n|\z)/, $body;
        for my $part (grep { /\S/ } @parts) {
            my $inner = parse($part);
            $mail{$_} = $inner->{$_} for grep { !/^(?:headers|types)$/ } keys %$inner;
            push @{ $mail{types} }, $inner->{types} ? @{ $inner->{types} } : $inner->{headers}{'content-type'};
        }
        $mail{alternative} //= $type =~ /alternative/ || $body =~ m{Content-Type: multipart/alternative} ? 1 : 0;
        return \%mail;
    }
    if (($mail{headers}{'content-transfer-encoding'} // '') eq 'quoted-printable') {
        $body =~ s/=\r\n//g;
        $body =~ s/=([0-9A-F]{2})/chr hex $1/ge;
    }
    my ($bare) = $type =~ m{^([^;]+)};
    $mail{ $bare // 'text/plain' } = $body;
    return \%mail;
}

1;
