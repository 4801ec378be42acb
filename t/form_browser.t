# A form in a real browser: filled in and sent, with scripts and without, alone and in a frame.
#
# Guards what only a browser knows: that our policy lets the page's style in and its form out, also when where it leads is
# redirected on; that a form works without a script; who may frame it; that the page that waits comes back by itself.
use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . "/lib";
use JSON::PP ();
use Test::More;

use AffiliateWire;
use Chromium;

plan skip_all => "no chromium" if !Chromium::binary();

my $PAGE = <<'END' =~ s/\^/%01/gr =~ s/([^\w%])/sprintf "%%%02X", ord $1/egr;
<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Form</title><style>p{color:#a00}</style></head><body>
<p id="note">^N1;stale^.^X*;mend this^.</p><form method="post" action="^L"><input type="hidden" name="_token" value="^T">
<input type="hidden" name="click_id" value="^C"><input id="name" name="name" value="^V0;">^R0;<b id="no-name">no name</b>^.
<input id="email" name="email" value="^V1;">^I1;<b id="no-email">no email</b>^.<input type="checkbox" id="terms" name="terms" value="1"^H2;>
<input name="_website" tabindex="-1" autocomplete="off" hidden><button>Send</button></form></body></html>
END
my $DONE = "%3C!doctype%20html%3E%3Ctitle%3Edone%3C/title%3E%3Cp%20id=%22done%22%3EThanks%3C/p%3E";
my $WAIT = "%3C!doctype%20html%3E%3Cmeta%20http-equiv=%22refresh%22%20content=%221%22%3E%3Ctitle%3Ewait%3C/title%3E%3Cp%20id=%22wait%22%3EPreparing%3C/p%3E";
my $port = AffiliateWire::free_port();

sub form {
    my ($id, $key, %options) = @_;
    my $fields = JSON::PP->new->encode([{ name => "name", type => 1, required => JSON::PP::true }, { name => "email", type => 2 }, { name => "terms", type => 9 }])
        =~ s/([^\w])/sprintf "%%%02X", ord $1/egr;
    return join " ", "form", $id, 1, 0, 1, $key, $fields, "page=$PAGE", "done=$DONE", "wait=$WAIT", map { "$_=$options{$_}" } sort keys %options;
}

my $rows = join "\n", AffiliateWire::rows() =~ s{^program.*$}{program 1 1 1 30 EUR - platform_user=5 platform_url=http://platform.test:$port/in}mr,
    "key 5 1 0 1 2 32 0 key-of-the-platform secret=secret-of-the-platform", form(1, "message"),
    form(2, "url", after => 2, after_url => "http://shop.test:$port/moved"), form(3, "in", after => 3),
    form(4, "framed", ancestors => "http://shop.test:$port"), "";
my $edge = AffiliateWire->new(port => $port, rows => $rows, workers => 1, http => "affiliate_lead_wait 300ms;", server => <<'END');
location /f/ { affiliate_form; }
location = /moved { return 302 http://www.shop.test:$server_port/thanks; }
location = /thanks { default_type text/html; return 200 "<p id=shop>shop</p>"; }
location = /in { default_type text/html; return 200 "<p id=platform>platform</p>"; }
location = /outside { default_type text/html; return 200 "<iframe src=http://track.test:$server_port/f/framed></iframe>"; }
location = /favicon.ico { return 204; }
END
my $browser = Chromium->new;
my $form = "http://track.test:$port/f";

sub leads {
    my $lead;
    $edge->await(20, sub { ($lead) = grep { /^lead/ } $edge->applied; $lead });
    return scalar grep { /^lead/ } $edge->applied;
}

# Fills the form in and sends it by the Enter key.
sub fill {
    my (%values) = @_;
    $browser->type("#$_", $values{$_}) for sort keys %values;
    $browser->focus("#terms");
    $browser->press(" ");
    $browser->focus("#name");
    $browser->leads(sub { $browser->press("Enter") });
}

subtest "the page's style is let in, and nothing is complained about" => sub {
    $browser->go("$form/message");
    is($browser->evaluate('getComputedStyle(document.querySelector("p")).color'), "rgb(170, 0, 0)", "its style");
    is($browser->evaluate('document.querySelector("[name=_token]").value.length'), 36, "its token");
    is_deeply([$browser->complaints], [], "no complaint");
};

subtest "without scripts: a mistake, mended, and sent" => sub {
    $browser->scripts(0);
    $browser->go("$form/message");
    fill(email => 'no"body<b>');
    is($browser->url, "$form/message", "the page again");
    my $html = $browser->html;
    like($html, qr/mend this.*id="no-name".*id="no-email"/s, "what is wrong");
    like($html, qr/id="email" name="email" value="no&quot;body(?:<|&lt;)b(?:>|&gt;)"/, "what was typed");
    like($html, qr/<input[^>]*id="terms"[^>]* checked/, "and ticked");
    $browser->type("#name", "Jane");
    $browser->focus("#email");
    $browser->ask("Input.dispatchKeyEvent", { type => $_, key => "a", code => "KeyA", modifiers => 2, windowsVirtualKeyCode => 65, commands => ["selectAll"] }) for qw(keyDown keyUp);
    $browser->ask("Input.insertText", { text => 'jane@x.example' });
    $browser->leads(sub { $browser->press("Enter") });
    is($browser->url, "$form/message?done=1", "thanked behind a redirect");
    like($browser->html, qr/id="done"/, "with the message");
    is(leads(), 1, "one lead");
    $browser->leads(sub { $browser->ask("Page.reload") });
    is($browser->url, "$form/message?done=1", "reloaded");
    is(leads(), 1, "still one");
    $browser->scripts(1);
    is_deeply([grep { !/422/ } $browser->complaints], [], "no complaint");
};

subtest "on to another site, that sends it further" => sub {
    $browser->go("$form/url");
    fill(name => "Jim");
    is($browser->url, "http://www.shop.test:$port/thanks", "there");
    is_deeply([$browser->complaints], [], "no complaint");
};

subtest "into the platform, at once and after a wait" => sub {
    $browser->go("$form/in");
    fill(name => "Joe");
    like($browser->url, qr{^http://platform\.test:$port/in\?affiliate_token=[-\w]{64}&affiliate_sig=[0-9a-f]{64}$}, "at once");
    $edge->consumer("pause");
    $browser->go("$form/in");
    fill(name => "Jack");
    like($browser->url, qr{^\Q$form\E/in\?wait=[-\w]{64}$}, "it waits");
    like($browser->html, qr/id="wait"/, "and says so");
    $edge->consumer("resume");
    ok($edge->await(20, sub { $browser->url =~ m{^http://platform\.test:$port/in\?affiliate_token=} }), "led on by itself");
    is_deeply([$browser->complaints], [], "no complaint");
};

subtest "who may frame it" => sub {
    $browser->go("http://shop.test:$port/outside");
    is(($browser->frames)[0], "$form/framed", "whom its list names");
    is_deeply([$browser->complaints], [], "no complaint");
    $browser->go("http://evil.test:$port/outside");
    like(($browser->frames)[0], qr/^chrome-error:/, "and nobody else");
};
done_testing;
