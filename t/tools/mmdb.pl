#!/usr/bin/perl
# mmdb.pl FILE [RECORD_SIZE]: writes a MaxMind database (MaxMind DB File Format 2.0) of a few networks, for tests and
# benchmarks: no distribution has one.  Networks come from standard input, one a line, more special ones later:
#
#     192.0.2.0/24   country=DE region=BY city=München asn=64500
#     2001:db8::/32  country=FR
#
# The tree is IPv6 with IPv4 below ::/96, as MaxMind's are.  Records have 24, 28 or 32 bits.
use strict;
use warnings;
use Socket qw(inet_pton AF_INET AF_INET6);

my ($file, $bits) = @ARGV;
$bits //= 24;
die "usage: mmdb.pl FILE [24|28|32] <NETWORKS\n" if !defined $file || $bits !~ /^(?:24|28|32)$/;

# A value is [type, content]; heads are 3 bits of type and 5 of size, larger ones in the bytes behind.
sub head {
    my ($type, $size) = @_;
    my $more = $size < 29 ? '' : $size < 285 ? pack('C', $size - 29) : pack('n', $size - 285);
    my $low = $size < 29 ? $size : $size < 285 ? 29 : 30;
    return $type < 8 ? pack('C', $type << 5 | $low) . $more : pack('CC', $low, $type - 7) . $more;
}
sub text { return head(2, length $_[0]) . $_[0] }
sub uint { (my $bytes = pack 'N', $_[1]) =~ s/^\0+//; return head($_[0], length $bytes) . $bytes }
sub map_ { return head(7, @_ / 2) . join '', map { $_ % 2 ? $_[$_] : text($_[$_]) } 0 .. $#_ }
sub array { return head(11, scalar @_) . join '', @_ }

# The data section: what was written before is pointed at, as MaxMind's writer does.
my ($data, %known) = ('');
sub record {
    my (%p) = @_;
    my $content = '';
    my @members;
    push @members, city => map_(names => map_(de => text("auf Deutsch: $p{city}"), en => text($p{city}))) if defined $p{city};
    if (defined $p{country}) {
        my $value = map_(geoname_id => uint(6, 4242), iso_code => text($p{country}));
        if (!defined $known{$value}) {
            $known{$value} = length $data;
            $data .= $value;
        }
        my $at = $known{$value};
        die "more data than this writer's pointers reach" if $at >= 2048;
        push @members, country => pack('CC', 1 << 5 | $at >> 8, $at & 0xff);
    }
    push @members, registered_country => map_(iso_code => text($p{registered})) if defined $p{registered};
    push @members, subdivisions => array(map_(iso_code => text($p{region}))) if defined $p{region};
    push @members, location => map_(accuracy => head(14, 1), latitude => head(3, 8) . pack('d>', 48.1)) if defined $p{city};
    push @members, autonomous_system_number => uint(6, $p{asn}), autonomous_system_organization => text('x' x 300)
        if defined $p{asn};
    my $at = length $data;
    $data .= map_(@members);
    return $at;
}

# The tree: a node is [left, right]; each is undef, a node, or the offset of a record.
my $root = [];
while (my $line = <STDIN>) {
    my ($network, @words) = split ' ', $line;
    next if !defined $network || $network =~ /^#/;
    my ($address, $length) = split m{/}, $network;
    my $bytes = $address =~ /:/ ? inet_pton(AF_INET6, $address) : ("\0" x 12) . inet_pton(AF_INET, $address);
    $length += 96 if $address !~ /:/;
    my @path = (split //, unpack 'B128', $bytes)[0 .. $length - 1];
    my $at = record(map { split /=/, $_, 2 } @words);
    my $last = pop @path;
    my $node = $root;
    for my $bit (@path) {
        # a smaller network within a larger one: the larger one's record moves down both ways
        $node->[$bit] = [$node->[$bit], $node->[$bit]] if ref $node->[$bit] ne 'ARRAY';
        $node = $node->[$bit];
    }
    $node->[$last] = $at;
}

my @nodes = $root;
my %number = ($root => 0);
for (my $i = 0; $i < @nodes; $i++) {
    for my $child (grep { ref } @{ $nodes[$i] }[0, 1]) {
        $number{$child} = @nodes;
        push @nodes, $child;
    }
}

my $tree = '';
for my $node (@nodes) {
    my ($left, $right) = map { !defined $_ ? scalar @nodes : ref $_ ? $number{$_} : @nodes + 16 + $_ } @{$node}[0, 1];
    if ($bits == 28) {
        $tree .= substr(pack('N', $left), 1) . pack('C', $left >> 20 & 0xf0 | $right >> 24 & 0x0f) . substr(pack('N', $right), 1);
    } else {
        $tree .= join '', map { $bits == 24 ? substr(pack('N', $_), 1) : pack 'N', $_ } $left, $right;
    }
}

my $metadata = map_(
    binary_format_major_version => uint(5, 2), binary_format_minor_version => head(5, 0),
    build_epoch => head(9, 4) . pack('N', 1700000000), database_type => text('Test-City'),
    description => map_(en => text('for tests')), ip_version => uint(5, 6), languages => array(text('en')),
    node_count => uint(6, scalar @nodes), record_size => uint(5, $bits));

open my $out, '>:raw', "$file.tmp" or die "$file.tmp: $!";
print $out $tree, "\0" x 16, $data, "\xab\xcd\xefMaxMind.com", $metadata;
close $out or die "$file.tmp: $!";
rename "$file.tmp", $file or die "$file: $!";
