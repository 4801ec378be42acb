#!/usr/bin/perl
#
# Forms and the custom fields they may have: what is taken, what is refused with which sentence, what the answers show,
# and the page that comes of it.  What could break: a definition that an edge cannot use, a field that no lead can have,
# people sent to any host, a title that becomes markup, a form whose page nobody could send.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Api;
use Test::More;

my $api = Api->start;
my %email = (name => 'email', label => 'E-mail', type => 'email', required => JSON::PP::true);
my $source = $api->post('sources', { name => 'Web' })->{json};

# ---- custom fields ----

my $budget = $api->post('custom_fields', { name => 'budget', label => 'Budget', type => 'select', options => [ 'low', 'high' ] })->{json};
is("$budget->{object} $budget->{state} $budget->{required}", 'lead active 0', 'a custom field of leads');
is_deeply($budget->{options}, [ 'low', 'high' ], '... with its options');
$api->post('custom_fields', { name => $_->[0], label => $_->[0], type => $_->[1] }) for [ agree => 'consent' ], [ born => 'date' ], [ campaign => 'text' ];
$api->is_error($api->post('custom_fields', { name => 'budget', label => 'x', type => 'text' }), 409, 'duplicate', 'a name is taken once');
my %bad_field = (
    'a standard name' => [ { name => 'email', type => 'email' }, 'name' ],   'a reserved name' => [ { name => 'click_id', type => 'text' }, 'name' ],
    'our own name'    => [ { name => '_token', type => 'text' }, 'name' ],   'capitals'        => [ { name => 'Budget', type => 'text' }, 'name' ],
    'a blank'         => [ { name => 'a b', type => 'text' }, 'name' ],      'no such type'    => [ { name => 'x', type => 'file' }, 'type' ],
    'no options'      => [ { name => 'x', type => 'select' }, 'options' ],   'options of text' => [ { name => 'x', type => 'text', options => ['a'] }, 'options' ],
    'an option twice' => [ { name => 'x', type => 'multi', options => [ 'a', 'a' ] }, 'options' ], 'a number' => [ { name => 'x', type => 'multi', options => [1] }, 'options' ],
    'a pattern that is none' => [ { name => 'x', type => 'text', pattern => '(' }, 'pattern' ], 'a bound that is none' => [ { name => 'x', type => 'number', minimum => '1x' }, 'minimum' ],
    'a day that is none' => [ { name => 'x', type => 'date', maximum => '2026-02-30' }, 'minimum' ], 'bounds of a box' => [ { name => 'x', type => 'checkbox', minimum => '1' }, 'minimum' ],
    'turned bounds'   => [ { name => 'x', type => 'number', minimum => '5', maximum => '4' }, 'minimum' ],
);
for my $name (sort keys %bad_field) {
    my ($body, $field) = @{ $bad_field{$name} };
    $api->is_error($api->post('custom_fields', { label => 'x', %$body }), 422, 'invalid_fields', "custom field: $name", $field);
}
$api->is_error($api->patch("custom_fields/$budget->{id}", { type => 'text' }), 422, 'invalid_fields', 'a type stays', 'type');
is($api->patch("custom_fields/$budget->{id}", { options => [ 'low', 'high', 'none' ] })->{status}, 200, 'options may change');

# ---- a form ----

my $made = $api->post('forms', {
    name => 'Webinar', source_id => $source->{id}, affiliate_id => '1', account => 'cpa', language => 'de', title => 'Zum Webinar', rate_per_minute => 5,
    fields => [ \%email, { name => 'budget', label => 'Budget', type => 'select', options => [ { value => 'low', label => 'Little' } ] },
        { name => 'born', label => 'Born', type => 'date', min => '1900-01-01', max => '2008-12-31' },
        { name => 'agree', label => 'Terms', type => 'consent', text => 'I agree', required => JSON::PP::true },
        { name => 'campaign', type => 'hidden', value => 'spring' } ],
    frame_ancestors => [ 'self', 'https://*.Shop.example' ], origins => [ 'HTTPS://Shop.example:8443' ], theme => { accent => '#ff8800', radius => 4 } });
is($made->{status}, 201, 'a form is made') or diag($made->{body});
my $form = $made->{json};
like($form->{key}, qr/^[\w-]{16}$/, 'its key is random');
is($form->{url}, "$api->{base_url}/f/$form->{key}", '... and stands in its address');
is_deeply([ @$form{qw(frame_ancestors origins)} ], [ [ 'self', 'https://*.shop.example' ], ['https://shop.example:8443'] ], 'origins are in lower case');
is("$form->{source_name} $form->{after_submit} $form->{min_fill_s}", 'Web message 2', 'the rest is as it is when nobody says');
is_deeply($api->get("forms/$form->{id}")->{json}, $form, 'it reads as it was made');
is($api->get("forms?key=$form->{key}")->{json}{total}, 1, 'found by its key');
isnt($api->post('forms', { name => 'Other', fields => [ \%email ] })->{json}{key}, $form->{key}, 'another form has another key');
$api->is_error($api->patch("forms/$form->{id}", { key => 'mine' }), 422, 'invalid_fields', 'nobody chooses one', 'key');

sub refused {
    my ($name, $field, %body) = @_;
    $api->is_error($api->post('forms', { name => 'Bad', fields => [ \%email ], %body }), 422, 'invalid_fields', "form: $name", $field);
}
my %bad = (
    'no field' => [], 'no list' => {}, 'no contact' => [ { name => 'name', label => 'Name', type => 'text', required => JSON::PP::true } ],
    'an e-mail address that may be left out' => [ { %email, required => JSON::PP::false } ], 'a name twice' => [ \%email, \%email ],
    'no such custom field' => [ \%email, { name => 'shoe', label => 'x', type => 'text' } ], 'a custom field of another type' => [ \%email, { name => 'budget', label => 'x', type => 'text' } ],
    'a standard field of another type' => [ { %email, type => 'text' } ], 'the honeypot' => [ \%email, { name => '_website', label => 'x', type => 'text' } ],
    'a click id' => [ \%email, { name => 'click_id', label => 'x', type => 'text' } ], 'no label' => [ { name => 'email', type => 'email', required => JSON::PP::true } ],
    'an unknown member' => [ { %email, style => 'red' } ], 'a script' => [ { %email, onclick => 'x' } ], 'no such type' => [ { %email, type => 'file' } ],
    'a hidden one that is required' => [ \%email, { name => 'campaign', type => 'hidden', required => JSON::PP::true } ], 'a consent to nothing' => [ \%email, { name => 'agree', label => 'x', type => 'consent' } ],
    'options without labels' => [ \%email, { name => 'budget', label => 'x', type => 'select', options => ['low'] } ], 'no options' => [ \%email, { name => 'budget', label => 'x', type => 'select' } ],
    'a newline in an option' => [ \%email, { name => 'budget', label => 'x', type => 'select', options => [ { value => "a\nb", label => 'x' } ] } ],
    'a date that is none' => [ \%email, { name => 'born', label => 'x', type => 'date', min => '1900-02-30' } ], 'a number for a date' => [ \%email, { name => 'born', label => 'x', type => 'date', min => 5 } ],
    'a bad pattern' => [ { %email, pattern => '[' } ], 'a bound in words' => [ { %email, min => '5' } ], 'too many' => [ map { { %email, name => "f$_" } } 1 .. 65 ],
    'no text' => [5], 'a label of control characters' => [ { %email, label => "a\x{1}b" } ], 'an endless label' => [ { %email, label => 'x' x 301 } ],
);
refused($_, 'fields', fields => $bad{$_}) for sort keys %bad;
refused("language $_", 'language', language => $_) for 'xx', 'EN', '';
refused('source ' . Api::text($_), 'source_id', source_id => $_) for '999', 5;
refused('affiliate 999', 'affiliate_id', affiliate_id => '999');
refused('theme ' . Api::text($_), 'theme', theme => $_)
    for { accent => 'red' }, { accent => '#12345' }, { accent => '#1234567' }, { accent => '#12345g' }, { radius => 25 }, { radius => -1 }, { radius => '8' }, { font => 'x' }, [], { scheme => 'blue' },
    { accent => '#fff;}a' };
refused('origins ' . Api::text($_), 'origins', origins => $_)
    for ['*'], ['self'], ['shop.example'], ['https://shop.example/'], ['https://shop.example:0'], ['https://shop.example:70000'], ['https://*.shop.example'], ['javascript://x'], [5], 'https://x.example', ["https://a.example\n"];
refused('frame_ancestors ' . Api::text($_), 'frame_ancestors', frame_ancestors => $_) for [ '*', 'self' ], ["'none'"], ['https://a.example; script-src *'], ['https://*'], ['none'];
is_deeply($api->post('forms', { name => 'Everywhere', fields => [ \%email ], frame_ancestors => ['*'] })->{json}{frame_ancestors}, ['*'], 'everybody may frame it, if one says so');

# ---- where it leads ----

refused('a URL is needed', 'after_url', after_submit => 'url');
refused('to a host nobody has allowed', 'after_url', after_submit => 'url', after_url => 'https://shop.example/thanks');
$api->patch('settings', { leads_redirect_hosts => [ 'shop.example', '.pages.example' ] });
my $url = $api->post('forms', { name => 'Leads on', fields => [ \%email ], after_submit => 'url', after_url => 'https://SHOP.example/thanks?a=b' })->{json};
is($url->{after_url}, 'https://SHOP.example/thanks?a=b', 'to one that is allowed');
is($api->patch("forms/$url->{id}", { after_url => 'https://a.pages.example:8443/x' })->{status}, 200, '... or lies below one');
for my $elsewhere ('https://shop.example.evil.example/', 'https://evil.example/?shop.example', 'https://shop.example@evil.example/', 'https://evilshop.example/',
    'ftp://shop.example/', '//shop.example/', 'https://shop.example\\@evil.example/', 'javascript:alert(1)//shop.example', 'https://shop.example/{click_id}', 'https://shop.example/#x') {
    $api->is_error($api->patch("forms/$url->{id}", { after_url => $elsewhere }), 422, 'invalid_fields', "not $elsewhere", 'after_url');
}
$api->is_error($api->patch('settings', { leads_redirect_hosts => ['shop.example'] }), 422, 'invalid_fields', 'a host that a form leads to stays', 'leads_redirect_hosts');
$api->del("forms/$url->{id}");
is($api->patch('settings', { leads_redirect_hosts => [] })->{status}, 200, '... until that form is archived');

refused('no platform to log in at', 'after_submit', after_submit => 'autologin');
my $platform = $api->post('api_users', { name => 'Platform', role => 'advertiser', scopes => ['autologin'] })->{json};
$api->patch('programs/1', { platform_url => 'https://platform.example/login', platform_user_id => $platform->{id} });
is($api->post('forms', { name => 'Autologin', fields => [ \%email ], after_submit => 'autologin' })->{status}, 201, '... with one it may be');

# ---- the page, and what one copies ----

my $preview = $api->get("forms/$form->{id}/preview", as => 'viewer');
is($preview->{headers}{'content-type'}, 'text/html; charset=utf-8', 'the preview is a page');
my $page = $preview->{body};
like($page, qr/^<!doctype html>\n<html lang="de" dir="ltr">/, '... in the form\'s language');
like($page, qr/<h1>Zum Webinar<\/h1>/, '... with its title');
like($page, qr/name="robots" content="noindex/, '... that no search engine keeps');
unlike($page, qr/<script|\bstyle=|\x01/, '... without scripts, style attributes or marks');
is(scalar(() = $page =~ /<style>/g), 1, '... with one style');
like($page, qr/--accent:#ff8800;--on-accent:#000;--radius:4px/, '... in its theme');
like($page, qr/<input type="hidden" name="campaign" value="spring">/, '... its hidden field');
like($page, qr/<input type="email" inputmode="email" id="f0" name="email" required autocomplete="email" value="">/, '... and an e-mail address');
$api->is_error($api->get('forms/999/preview'), 404, 'not_found', 'no form, no page');

my $code = $api->get("forms/$form->{id}/integration")->{json};
is($code->{url}, $form->{url}, 'the direct link');
like($code->{iframe}, qr/^<iframe src="\Q$form->{url}\E" title="Zum Webinar" /, 'the frame has a title');
like($code->{html}, qr/<form method="post" action="\Q$form->{url}\E">.*name="email".*name="budget"/s, "a form of one's own");
like($code->{script}, qr/const form = "\Q$form->{url}\E";/, '... and a script');
like($api->get("forms/$url->{id}/integration")->{json}{iframe}, qr/^<!-- nobody may frame this form yet/, 'a frame that would stay empty is said');
$api->say('run', "UPDATE forms SET fields = '[]' WHERE id = $url->{id}");
$api->is_error($api->get("forms/$url->{id}/preview"), 409, 'conflict', 'a row that somebody ruined has no page');
my $sharp = $api->post('forms', { name => '"><script>alert(1)</script>', title => '</title><script>alert(2)</script>', fields => [ { %email, label => '<img src=x onerror=alert(3)>' } ] })->{json};
unlike($api->get("forms/$sharp->{id}/preview")->{body}, qr/<script|<img/, 'hostile texts stay texts');
unlike(join('', @{ $api->get("forms/$sharp->{id}/integration")->{json} }{qw(iframe html)}), qr/<script|<img/, '... there too');

# ---- states ----

my $verdicts = $api->post('forms/bulk', { ids => [ $form->{id}, $sharp->{id} ], action => 'pause' })->{json}{data};
is(scalar(grep { $_->{ok} } @$verdicts), 2, 'many are paused at once');
is($api->get("forms/$form->{id}")->{json}{state}, 'paused', '... and are');
is($api->del("forms/$sharp->{id}")->{json}{state}, 'archived', 'a form is archived');
$api->say('run', qq{UPDATE forms SET fields = '[{"name":"email","type":"select"}]' WHERE id = $form->{id}});
is($api->del("forms/$form->{id}")->{json}{state}, 'archived', 'one that somebody ruined can be put away');
is($api->get("forms/$sharp->{id}")->{status}, 200, '... and stays to be read: leads came by it');
my $kept = $api->post('forms', { name => 'Kept', fields => $form->{fields} })->{json};
$api->del("custom_fields/$budget->{id}");
is($api->patch("forms/$kept->{id}", { title => 'x' })->{status}, 200, 'a form keeps a field that was archived since');
$api->is_error($api->patch("forms/$kept->{id}", { fields => $form->{fields} }), 422, 'invalid_fields', '... until its fields change', 'fields');

$api->finish;
