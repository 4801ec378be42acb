#!/usr/bin/perl
#
# Double opt-in from the form to the lead, by the mail that really goes: what could break is a link that confirms when a mail
# scanner looks at it, works twice, or for somebody else; a form that asks nobody because it has no address to write to;
# staff who can confirm in a person's place.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use SmtpSink;
use Test::More;

my $api = Api->start;
my $sink = SmtpSink->start;
my $from = 'The Shop <noreply@shop.example>';
my $email = { name => 'email', label => 'E-mail', type => 'email', required => JSON::PP::true() };
my $phone = { name => 'phone', label => 'Phone', type => 'phone', required => JSON::PP::true() };

# ---- forms ----

my %form = (name => 'Webinar', title => 'Join <us>', language => 'de', fields => [$email], double_opt_in => JSON::PP::true());
my $made = $api->post('forms', \%form);
is($made->{status}, 201, 'a form with double opt-in') or diag($made->{body});
my $form = $made->{json}{id};
ok($made->{json}{double_opt_in}, '... says so');
ok(!$api->post('forms', { %form, double_opt_in => JSON::PP::false() })->{json}{double_opt_in}, '... or not');
like($api->get("forms/$form/preview")->{body}, qr/E-Mail-Adresse|E-mail/, '... and can be looked at');
$api->is_error($api->post('forms', { %form, fields => [$phone] }), 422, 'invalid_fields', 'whom it cannot write to it cannot ask', 'double_opt_in');
$api->is_error($api->post('forms', { %form, fields => [ $phone, { %$email, required => JSON::PP::false() } ] }), 422, 'invalid_fields',
    '... nor who may leave the address out', 'double_opt_in');
$api->is_error($api->patch("forms/$form", { fields => [$phone] }), 422, 'invalid_fields', '... later neither', 'double_opt_in');
$api->is_error($api->post('forms', { %form, double_opt_in => 'yes' }), 422, 'invalid_fields', 'yes or no', 'double_opt_in');

# ---- from the form to the lead ----

sub fill { my ($who, $more) = @_; return $api->say('fill', $form, "email=$who\@example.com" . ($more // '')) }
sub round { return $api->say('mail', $sink->url, $from)->{well} }
sub lead { my ($who) = @_; return $api->get("leads?q=$who")->{json}{data}[0] }
sub path_of {
    my ($who) = @_;
    my ($mail) = grep { $_->{to} =~ /^\Q$who\E@/ } reverse $sink->mails;
    my ($path) = SmtpSink::parse($mail->{data})->{'text/plain'} =~ m{^\Q$api->{base_url}\E(/confirm/[\w-]{64})\r$}m;
    return $path;
}

is(fill('ada', '&first_name=Ada')->{verdict}, 5, 'a submission waits');
is(lead('ada')->{status}, 'unconfirmed', '... as an unconfirmed lead');
my ($entry) = @{ $api->get('outbox?q=ada')->{json}{data} };
is($entry->{lead_id}, lead('ada')->{id}, '... with a mail');
my $shown = $api->get("outbox/$entry->{id}")->{json};
unlike(Api::text($shown), qr{/confirm/}, '... whose link staff does not see');
like($shown->{text}, qr/^\[link\]$/m, '... only where it stands');
is($api->patch('leads/' . lead('ada')->{id}, { status => 'new' })->{status}, 409, '... nor can staff confirm by hand');
ok(round(), 'it goes');
my $path = path_of('ada');
ok($path, '... with a link');
my $mail = SmtpSink::parse(($sink->mails)[0]{data});
like($mail->{'text/html'}, qr{<a href="\Q$api->{base_url}$path\E">Adresse best\xc3\xa4tigen</a>}, '... in HTML too, in the form\'s language');
like($mail->{'text/html'}, qr/Join &lt;us&gt;/, '... with the form\'s title');
unlike($mail->{'text/plain'}, qr/Ada/, '... and nothing that a visitor typed');

for (1 .. 3) {
    my $page = $api->get($path, as => undef);
    is($page->{status}, 200, 'a mail scanner looks');
    like($page->{body}, qr/<html lang=de>.*<form method=post><button>Adresse/s, '... and sees a button');
    unlike($page->{body}, qr/\Q$path\E|ada/, '... no link, no person');
}
$api->head($path, as => undef);
is(lead('ada')->{status}, 'unconfirmed', '... which confirms nothing');
my $answer = $api->post($path, undef, as => undef, type => 'application/x-www-form-urlencoded', raw => '');
is($answer->{status}, 200, 'the button');
like($answer->{body}, qr/Vielen Dank/, '... says thank you');
my $lead = lead('ada');
is($lead->{status}, 'new', '... and it is a lead');
ok($lead->{confirmed_at}, '... confirmed');
is($api->post($path, undef, as => undef)->{status}, 200, 'once more');
is_deeply(lead('ada'), $lead, '... changes nothing');
like($api->get($path, as => undef)->{body}, qr/Vielen Dank/, '... and the page knows');

# ---- links that do not work ----

for my $bad ('/confirm/x', '/confirm/' . 'A' x 64, $path =~ s/.$/-/r =~ s/\w(?=.{20}$)/_/r) {
    for my $method (qw(GET POST)) {
        my $page = $api->ask($method, $bad, undef, as => undef);
        is($page->{status}, 404, "$method $bad");
        like($page->{body}, qr/<h1>This link does not work/, '... says so');
    }
}
fill('bob');
round();
my $late = path_of('bob');
$api->say('advance', 48 * 3600 + 1);
is($api->post($late, undef, as => undef)->{status}, 404, 'after 48 hours a link is over');
is(lead('bob')->{status}, 'unconfirmed', '... and confirms nothing');
is(fill('bob', '&first_name=Bob')->{verdict}, 2, 'who sends the form again is no second lead');
ok(round(), '... but gets another mail');
isnt(path_of('bob'), $late, '... with another link');
is($api->post(path_of('bob'), undef, as => undef)->{status}, 200, '... that works');
is(lead('bob')->{status}, 'new', '... for the lead there is');

# ---- who does not confirm ----

fill('eve');
round();
$api->say('advance', 7 * 86400 + 1);
$api->say('forget');
is($api->get('leads?q=eve')->{json}{total}, 0, 'after a week nothing is left of the person');
is($api->get('outbox?q=eve')->{json}{total}, 0, '... in no mail either');
unlike($api->log_text, qr/\@example\.com|confirm\//, 'the log has neither persons nor links');

$sink->stop;
$api->finish;
