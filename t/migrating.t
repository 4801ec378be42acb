# Campaigns imported from other products: every row of docs/migrating.md is sent as it stands there, to the
# configuration that we ship for it, and what the journal then holds is what the row says.
#
# Guards published links and postbacks that nobody can change any more: a name or a default that is wrong loses a
# partner's sales without an error anywhere.
use lib 't/lib';
use TestAffiliate;
use Cwd ();
use JSON::PP ();

our $repository = Cwd::cwd();
our $click = click_id(41, now_ms() - 60000, 1);
our %link = ('26-1004' => 41, '2CTPL-55M6S' => 42, '0b7c4ba5-1c1f-4f0e-9a53-7a9e0a1b2c3d' => 43, 'summer-sale' => 44, 'ann-11110001' => 45, launch => 46);
our $rows = CORE::join "\n", @ROWS, 'key 61 7 0 1 2 1 0 ak_moved networks=127.0.0.1',
    map { "link $link{$_} 3 5 1 $_ https://shop.example/?cid={click_id}" } sort keys %link;

sub text { my ($file) = @_; open my $in, '<', "$repository/$file" or die "$file: $!"; local $/; return scalar <$in> }

our (%requests, %events, @products);
for my $row (grep { /^\| [^|]+ \| `(?:GET|POST) / } split /\n/, text('docs/migrating.md')) {
    my ($product, $request, $says) = $row =~ /^\| ([^|]+) \| `([^`]+)` \| ([^|]+) \|$/ or die "not a row: $row";
    my %want = map { /^([a-z_0-9]+)=(.*)$/ ? ($1 => $2) : die "not name=value: $_" } $says =~ /`([^`]+)`/g;
    $request =~ s/CLICK/$click/;
    $request =~ s/^(POST \S+) /$1\n/;
    if (defined(my $code = delete $want{code})) {
        $want{type} = 'click';
        $want{link} = $link{$code} // die "no link for $code";
    } else {
        $want{type} = 'conversion';
        $want{click} = { verdict => 'ok' } if $request =~ /\Q$click/;
        $want{api_user} = 61;
        $want{auth} = 3;
        $want{status} = { pending => undef, approved => 1, rejected => 2 }->{$want{status}} if exists $want{status};
    }
    push @products, $product if !$requests{$product};
    push @{$requests{$product}}, $request;
    push @{$events{$product}}, \%want;
}

# In the order of the journals: money before traffic.
our $events = sub {
    my @of = @{$events{$_[0]}};
    return CORE::join "\n", map { JSON::PP::encode_json($_) } (grep { $_->{type} eq 'conversion' } @of), grep { $_->{type} eq 'click' } @of;
};
our $codes = sub { return [map { $_->{type} eq 'click' ? 302 : 200 } @{$events{$_[0]}}] };
our $json = "Content-Type: application/json\nAuthorization: Bearer DUB_API_KEY\n";
(our $keys = text('conf/migrating/keys.conf')) =~ s/"KEY"/"ak_moved"/g;
our $include = sub { return "include $repository/conf/migrating/$_[0].conf;" };

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('rows', $rows);
    $block->set_value('http', $keys) if !defined $block->http;
});
plan 'no_plan';
is("@products", 'TUNE Everflow Voluum Keitaro Post Affiliate Pro Dub', 'rows of every product were found');
run_tests();

__DATA__

=== TEST 1: TUNE
--- config eval
$::include->('tune')
--- request eval
$::requests{'TUNE'}
--- error_code eval
$::codes->('TUNE')
--- events eval
$::events->('TUNE')
--- no_error_log
[error]



=== TEST 2: Everflow
--- config eval
$::include->('everflow')
--- request eval
$::requests{'Everflow'}
--- error_code eval
$::codes->('Everflow')
--- events eval
$::events->('Everflow')



=== TEST 3: Voluum
--- config eval
$::include->('voluum')
--- request eval
$::requests{'Voluum'}
--- error_code eval
$::codes->('Voluum')
--- events eval
$::events->('Voluum')



=== TEST 4: Keitaro
--- config eval
$::include->('keitaro')
--- request eval
$::requests{'Keitaro'}
--- error_code eval
$::codes->('Keitaro')
--- events eval
$::events->('Keitaro')



=== TEST 5: Post Affiliate Pro
--- config eval
$::include->('postaffiliatepro')
--- request eval
$::requests{'Post Affiliate Pro'}
--- error_code eval
$::codes->('Post Affiliate Pro')
--- events eval
$::events->('Post Affiliate Pro')



=== TEST 6: Dub
--- config eval
$::include->('dub')
--- request eval
$::requests{'Dub'}
--- more_headers eval
$::json
--- error_code eval
$::codes->('Dub')
--- events eval
$::events->('Dub')



=== TEST 7: other credentials than those in keys.conf open nothing
--- config eval
CORE::join "\n", map { $::include->($_) } qw(tune everflow postaffiliatepro), 'keitaro'
--- request eval
["GET /aff_lsr?transaction_id=$::click&security_token=x", "GET /aff_lsr?transaction_id=$::click", "GET /?nid=451&transaction_id=$::click&verification_token=",
 "GET /scripts/sale.php?AccountId=x&visitorId=$::click", "GET /wrong/postback?subid=$::click"]
--- error_code eval
[(401) x 5]
--- response_body_like eval
[("key_missing") x 5]
--- events



=== TEST 8: a homepage is no postback
--- config eval
$::include->('everflow')
--- request
GET /
--- error_code: 404
