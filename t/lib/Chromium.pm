package Chromium;

# A headless Chromium led by the DevTools protocol over a pipe: for what a person does with a page, with and without
# scripts.  Names that end in .test are this machine.  It is ended by pid.

use strict;
use warnings;

use Fcntl qw(F_DUPFD);
use File::Temp ();
use IO::Handle;
use IO::Select;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;

sub binary {
    return (grep { -x } map { ("$_/chromium", "$_/chromium-browser", "$_/google-chrome") } split /:/, $ENV{PATH})[0];
}

sub new {
    my ($class) = @_;
    my $dir = File::Temp->newdir("affiliate-chromium-XXXXXX", TMPDIR => 1);
    pipe my $commands_out, my $commands or die "pipe: $!";
    pipe my $answers, my $answers_in or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        # both may sit on each other's places
        my ($in, $out) = map { fcntl($_, F_DUPFD, 10) // die "fcntl: $!" } $commands_out, $answers_in;
        POSIX::dup2($in, 3);
        POSIX::dup2($out, 4);
        open STDIN, "<", "/dev/null";
        open STDOUT, ">", "$dir/log";
        open STDERR, ">&", \*STDOUT;
        exec binary(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--user-data-dir=$dir/profile",
            "--host-resolver-rules=MAP *.test 127.0.0.1", "--disable-features=IsolateOrigins,site-per-process",
            "--disable-site-isolation-trials", "--remote-debugging-pipe", "about:blank" or POSIX::_exit(127);
    }
    $commands->autoflush;
    my $self = bless { dir => $dir, pid => $pid, owner => $$, commands => $commands, answers => $answers, buffer => "", id => 0,
        events => [], patience => 60 * ($ENV{AFFILIATE_PATIENCE} // 1) }, $class;
    my $target = $self->ask("Target.createTarget", { url => "about:blank" })->{targetId};
    $self->{session} = $self->ask("Target.attachToTarget", { targetId => $target, flatten => JSON::PP::true })->{sessionId};
    $self->ask("$_.enable") for qw(Page Log DOM);
    return $self;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    kill KILL => $self->{pid};
    local $?;
    waitpid $self->{pid}, 0;
}

# The answer to one command; what happens meanwhile is kept.
sub ask {
    my ($self, $method, $params) = @_;
    my $id = ++$self->{id};
    my %command = (id => $id, method => $method, params => $params // {});
    $command{sessionId} = $self->{session} if defined $self->{session};
    print { $self->{commands} } $json->encode(\%command), "\0";
    while (1) {
        my $message = $self->next_message;
        if (($message->{id} // 0) == $id) {
            die "$method: $message->{error}{message}" if $message->{error};
            return $message->{result};
        }
        push @{ $self->{events} }, $message if defined $message->{method};
    }
}

sub next_message {
    my ($self) = @_;
    my $until = time + $self->{patience};
    my $end;
    while (($end = index $self->{buffer}, "\0") < 0) {
        IO::Select->new($self->{answers})->can_read($until - time) or die "chromium is silent";
        sysread($self->{answers}, $self->{buffer}, 1 << 20, length $self->{buffer}) or die "chromium is gone";
    }
    my $message = substr $self->{buffer}, 0, $end + 1, "";
    chop $message;
    return $json->decode($message);
}

# Does what leads to another page, and waits until that is there.
sub leads {
    my ($self, $action) = @_;
    @{ $self->{events} } = grep { $_->{method} !~ /^Page\./ } @{ $self->{events} };
    $action->();
    $self->loaded;
}

sub loaded {
    my ($self) = @_;
    while (!grep { $_->{method} eq "Page.loadEventFired" } @{ $self->{events} }) {
        my $message = $self->next_message;
        push @{ $self->{events} }, $message if defined $message->{method};
    }
    @{ $self->{events} } = grep { $_->{method} !~ /^Page\./ } @{ $self->{events} };
}

sub go {
    my ($self, $url) = @_;
    $self->leads(sub { $self->ask("Page.navigate", { url => $url }) });
}

sub scripts {
    my ($self, $on) = @_;
    $self->ask("Emulation.setScriptExecutionDisabled", { value => $on ? JSON::PP::false : JSON::PP::true });
}

sub url { return $_[0]->ask("Page.getFrameTree")->{frameTree}{frame}{url} }
sub frames { return map { $_->{frame}{url} } @{ $_[0]->ask("Page.getFrameTree")->{frameTree}{childFrames} // [] } }

sub html {
    my ($self) = @_;
    my $root = $self->ask("DOM.getDocument")->{root}{nodeId};
    return $self->ask("DOM.getOuterHTML", { nodeId => $root })->{outerHTML};
}

sub focus {
    my ($self, $selector) = @_;
    my $root = $self->ask("DOM.getDocument")->{root}{nodeId};
    my $node = $self->ask("DOM.querySelector", { nodeId => $root, selector => $selector })->{nodeId} or die "no $selector";
    $self->ask("DOM.focus", { nodeId => $node });
}

sub type {
    my ($self, $selector, $text) = @_;
    $self->focus($selector);
    $self->ask("Input.insertText", { text => $text });
}

# A key pressed where the focus is: "Enter" or " ".
sub press {
    my ($self, $key) = @_;
    my %key = (key => $key, code => $key eq " " ? "Space" : $key, text => $key eq " " ? " " : "\r", windowsVirtualKeyCode => $key eq " " ? 32 : 13);
    $self->ask("Input.dispatchKeyEvent", { type => $_, %key }) for qw(keyDown keyUp);
}

# What a script of ours finds in the page.
sub evaluate {
    my ($self, $text) = @_;
    return $self->ask("Runtime.evaluate", { expression => $text, returnByValue => JSON::PP::true })->{result}{value};
}

# What the browser has complained about since the last call, such as breaches of a page's policy.
sub complaints {
    my ($self) = @_;
    my @said = map { $_->{params}{entry}{text} } grep { $_->{method} eq "Log.entryAdded" && $_->{params}{entry}{level} eq "error" } @{ $self->{events} };
    @{ $self->{events} } = ();
    return grep { !/favicon/ } @said;
}

1;
