# affiliate.js in a real browser: what no other client does with cookies, storage, CORS, CSP and forms.
#
# Guards against clicks that are reported twice in a session, ids that do not reach the form or the link that matters,
# ids that reach another site, and a page that breaks because it may not track.
use lib 't/lib';
use TestAffiliate;
use File::Temp ();
use JSON::PP ();

our $chromium = (grep { -x } map { ("$_/chromium", "$_/chromium-browser", "$_/google-chrome") } split /:/, $ENV{PATH})[0]
    or die 'no chromium: ./build.sh deps';
our $rows = join "\n", (grep { !/^campaign [35] / } @ROWS), 'campaign 3 7 1 Spring - hosts=.shop.test',
    'campaign 5 8 1 Dollars - hosts=.shop.test';

# One site for tracker and shop, and a tracker of another site.  Ports are not the scheme's own here: affiliate_origin.
our $http = '
    affiliate_cookie domain=shop.test secure=off;
    affiliate_origin http://www.shop.test:$TEST_NGINX_SERVER_PORT;
    server { listen $TEST_NGINX_SERVER_PORT; server_name track.shop.test;
             location /t/ { affiliate_click json; }
             location = /affiliate.js { affiliate_js; } }
    server { listen $TEST_NGINX_SERVER_PORT; server_name track.test;
             affiliate_cookie secure=off;
             location /t/ { affiliate_click json; }
             location = /affiliate.js { affiliate_js; } }
';
our $config = '
    add_header Content-Security-Policy "default-src \'none\'; script-src \'self\' http://track.shop.test:* http://track.test:*; connect-src http://track.shop.test:* http://track.test:*; frame-src *; form-action *";
';

our $page = <<'HTML';
<!doctype html><title>shop</title>
<script src="http://TRACKER:PORT/affiliate.js" data-hosts="friend.test"></script>
<a id="own" href="/cart?a=b#c">cart</a> <a id="sub" href="http://pay.shop.test/?x">pay</a> <a id="hash" href="#top">top</a>
<a id="foreign" href="http://evil.test/">evil</a> <a id="marked" data-affiliate href="http://partner.test/">partner</a>
<a id="friend" href="https://a.friend.test/?click_id=old">friend</a> <a id="mail" href="mailto:a@b.test">mail</a>
<div data-affiliate="off"><a id="off" href="/off">off</a></div>
<form id="buy" action="/buy"><input name="n" value="1"></form>
<form id="search" action="http://evil.test/search"><input name="q"></form>
<iframe id="frame" data-affiliate src="http://partner.test/frame"></iframe> <iframe id="plain" src="/none"></iframe>
<pre id="out"></pre>
<script src="/probe.js"></script>
HTML

our $probe = <<'JS';
(async () => {
    const out = {};
    const $ = (id) => document.getElementById(id);
    try {
        const id = out.id = await affiliate.ready;
        if (document.readyState === 'loading') {
            await new Promise((r) => document.addEventListener('DOMContentLoaded', r));
        }
        const show = (s) => (id ? s.split(id).join('ID') : s);
        addEventListener('click', (e) => e.preventDefault());
        addEventListener('submit', (e) => e.preventDefault());
        out.links = {};
        for (const name of ['own', 'sub', 'hash', 'foreign', 'marked', 'friend', 'mail', 'off']) {
            $(name).click();
            $(name).click();
            out.links[name] = show($(name).getAttribute('href'));
        }
        out.forms = {};
        for (const name of ['buy', 'search']) {
            $(name).requestSubmit();
            $(name).requestSubmit();
            out.forms[name] = show(new URLSearchParams(new FormData($(name))).toString());
        }
        out.frames = [show($('frame').getAttribute('src')), show($('plain').getAttribute('src'))];
        out.cookie = show(document.cookie);
        out.stored = show(localStorage.affiliate || '');
        if (location.pathname === '/page.html' && location.search.includes('again')) {
            sessionStorage.before = id;
            location.href = '/page2.html' + location.search;
            return;
        }
        if (location.pathname === '/page2.html') {
            out.kept = id === sessionStorage.before;
            history.pushState({}, '', '/product?ref=dollars');
            for (let i = 0; i < 200 && affiliate.clickId() === id; i++) {
                await new Promise((r) => setTimeout(r, 10));
            }
            out.pushed = affiliate.clickId().length === 40 && affiliate.clickId() !== id;
            $('off').parentNode.dataset.affiliate = '';
            $('off').click();
            out.after = $('off').href.endsWith('click_id=' + affiliate.clickId());
        }
    } catch (e) {
        out.error = String(e);
    }
    $('out').textContent = JSON.stringify(out);
    $('out').dataset.done = 1;
})();
JS

my $profile = File::Temp::tempdir('affiliate-browser.XXXXXX', TMPDIR => 1, CLEANUP => 1);

# What the page found out; a profile of that name keeps cookies and storage from call to call.
sub browse {
    my ($name, $url) = @_;
    my $port = Test::Nginx::Util::server_port();
    $url =~ s/PORT/$port/g;
    my $html = `$::chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \\
        --disable-background-networking --disable-component-update --user-data-dir=$profile/$name \\
        --host-resolver-rules='MAP *.test 127.0.0.1' --virtual-time-budget=20000 --dump-dom '$url' 2>$profile/log`;
    my ($out) = $html =~ m{<pre id="out"[^>]*>(.*?)</pre>}s;
    $out //= '';
    $out =~ s/&quot;/"/g, $out =~ s/&amp;/&/g, $out =~ s/&lt;/</g, $out =~ s/&gt;/>/g;
    my $told = eval { JSON::PP::decode_json($out) };
    Test::More::diag("no answer from the page:\n" . substr $html, 0, 2000) if !$told;
    return $told // {};
}

sub files {
    my ($tracker) = @_;
    my $port = Test::Nginx::Util::server_port();
    my $html = $::page =~ s/TRACKER:PORT/$tracker:$port/r;
    return ">>> page.html\n$html\n>>> page2.html\n$html\n>>> probe.js\n$::probe\n>>> hello\nhello";
}

our %links = (own => 'http://www.shop.test:PORT/cart?a=b&click_id=ID#c', sub => 'http://pay.shop.test/?x&click_id=ID',
    hash => '#top', foreign => 'http://evil.test/', marked => 'http://partner.test/?click_id=ID',
    friend => 'https://a.friend.test/?click_id=ID', mail => 'mailto:a@b.test', off => '/off');

sub check {
    my ($name, $out, $cookie, $stored) = @_;
    my $port = Test::Nginx::Util::server_port();
    Test::More::is($out->{error}, undef, "$name: nothing broke");
    Test::More::like($out->{id}, qr/^[-0-9A-Z_a-z]{40}$/, "$name: the page knows the id");
    Test::More::is_deeply($out->{links}, { map { $_ => $::links{$_} =~ s/PORT/$port/r } keys %::links }, "$name: links");
    Test::More::is_deeply($out->{forms}, { buy => 'n=1&click_id=ID', search => 'q=' }, "$name: forms");
    Test::More::is_deeply($out->{frames}, ['http://partner.test/frame?click_id=ID', '/none'], "$name: frames");
    Test::More::like($out->{cookie}, $cookie, "$name: cookies that the page sees");
    Test::More::like($out->{stored}, $stored, "$name: storage");
}

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: tracker and shop of one site: the tracker's own cookie; once a session, new addresses of an application too
--- rows eval: $::rows
--- http eval: $::http
--- config eval: $::config
--- user_files eval: ::files('track.shop.test')
--- request
GET /hello
--- after eval
sub {
    my $out = ::browse('same', 'http://www.shop.test:PORT/page.html?ref=spring&sub1=ad&again=1');
    ::check('same site', $out, qr/^$/, qr/"id":"ID","first":"ID","program":"7"/);
    Test::More::ok($out->{kept}, 'the next page of the session has the same id');
    Test::More::ok($out->{pushed}, 'a code in an address that was pushed is a click');
    Test::More::ok($out->{after}, 'and its id is the one that links get');
}
--- events
{"link": 11, "flags": 65536, "sub1": "ad", "referrer": "~^http://www.shop.test:[0-9]+/page.html.ref=spring&sub1=ad&again=1$"}
{"link": 14, "flags": 65536, "program": 8}



=== TEST 2: a tracker of another site: the page keeps the id itself, for later visits too
--- rows eval: $::rows
--- http eval: $::http
--- config eval: $::config
--- user_files eval: ::files('track.test')
--- request
GET /hello
--- after eval
sub {
    my $out = ::browse('cross', 'http://www.shop.test:PORT/page.html?via=spring');
    ::check('another site', $out, qr/^aff_7=ID\.ID$/, qr/"id":"ID"/);
    my $later = ::browse('cross', 'http://www.shop.test:PORT/page.html');
    Test::More::is($later->{id}, $out->{id}, 'a later visit without a code has the id still');
    my $again = ::browse('cross', 'http://www.shop.test:PORT/page.html?ref=spring');
    Test::More::isnt($again->{id}, $out->{id}, 'a code in another session is another click');
    Test::More::is($again->{cookie}, "aff_7=$out->{id}.ID", 'with the first touch of the first');
}
--- events
{"link": 11, "flags": 65536}
{"link": 11, "flags": 65536}



=== TEST 3: a page of a stranger: no click, no id, nothing broken
--- rows eval: $::rows
--- http eval: $::http
--- config eval: $::config
--- user_files eval: ::files('track.test')
--- request
GET /hello
--- after eval
sub {
    my $out = ::browse('stranger', 'http://www.evil.test:PORT/page.html?ref=spring');
    Test::More::is($out->{error}, undef, 'nothing broke');
    Test::More::is("$out->{id}$out->{cookie}$out->{stored}", '', 'nothing was kept');
    Test::More::is($out->{links}{own}, '/cart?a=b#c', 'links stay as they are');
}
--- events



=== TEST 4: where nothing may be remembered, the page itself knows the id, and nobody else
--- rows eval: $::rows
--- http eval: $::http =~ s/affiliate_cookie secure=off/affiliate_cookie off/r
--- config eval: $::config
--- user_files eval: ::files('track.test')
--- request
GET /hello
--- after eval
sub {
    my $out = ::browse('off', 'http://www.shop.test:PORT/page.html?ref=spring');
    ::check('cookies off', $out, qr/^$/, qr/^$/);
}
--- events
{"link": 11, "flags": 65540}
