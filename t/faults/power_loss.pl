#!/usr/bin/perl
# power_loss.pl SEED FOLDER ID:FROM...: what a power loss may do to journals that nobody has read yet.
#
# In the fullest segment of each journal ID, among its records from sequence FROM on: two pages of zeros, and one
# bit flipped in a record between them.  Of the last ID the end is missing as well: its last pages, and later
# segments, as if they had never been written.  A journal with few such records is left alone.
# Prints "hole ID SEQUENCE" or "tail ID SEQUENCE" for each record that is no more.  Knows the layout of segments
# and records from the comments of tracker_journal.h and tracker_record.h alone, not from the code.
use strict;
use warnings;

my ($seed, $folder, @ids) = @ARGV;
my $PAGE = 4096;
my $FEW = 600; # some 10 pages
my $CLICK = 1; # the type of records that are looked at; lines of the API's log lie between them, at the end
srand $seed;

# Each journal is its segments, in order: { path, bytes, records [{ at, len, sequence }] }.
my @journals = map { { id => s/:.*//r, segments => [segments(split /:/)] } } @ids;
for my $journal (@journals) {
    my @sizes = map { scalar @{$_->{records}} } @{$journal->{segments}};
    ($journal->{fullest}) = sort { $sizes[$b] <=> $sizes[$a] } 0 .. $#sizes;
    $journal->{records} = $sizes[$journal->{fullest}];
}
@journals = grep { $_->{records} >= $FEW } @journals;
die "no journal has $FEW records to damage\n" unless @journals;

for my $journal (@journals) {
    my @segments = @{$journal->{segments}}[$journal->{fullest} .. $#{$journal->{segments}}];
    damage($segments[0]);
    if ($journal == $journals[-1]) {
        my $tail = page_of($segments[0], 0.9);
        zero($segments[0], $tail, length($segments[0]{bytes}) / $PAGE - $tail);
        zero($_, 0, length($_->{bytes}) / $PAGE) for @segments[1 .. $#segments];
        $segments[0]{tail} = $tail * $PAGE;
        $_->{tail} = 0 for @segments[1 .. $#segments];
    }
    report($journal->{id}, $_) for @segments;
}

sub segments {
    my ($id, $from) = @_;
    my @found;
    for (my $number = 0; -e "$folder/$id.$number"; $number++) {
        my $bytes = content("$folder/$id.$number");
        push @found, { path => "$folder/$id.$number", bytes => $bytes, before => $bytes,
                       records => [grep { $_->{sequence} >= $from } records($bytes)] };
    }
    return @found;
}

sub damage {
    my ($segment) = @_;
    zero($segment, page_of($segment, 0.2 + rand 0.1), 1);
    zero($segment, page_of($segment, 0.6 + rand 0.1), 1);
    my $flipped = $segment->{records}[(0.4 + rand 0.1) * $#{$segment->{records}}];
    vec($segment->{bytes}, ($flipped->{at} + int rand $flipped->{len}) * 8 + int rand 8, 1) ^= 1;
}

# Writes it, and tells what is no more.
sub report {
    my ($id, $segment) = @_;
    open my $out, '+<:raw', $segment->{path} or die "$segment->{path}: $!\n";
    print $out $segment->{bytes};
    close $out or die "$segment->{path}: $!\n";
    for my $record (@{$segment->{records}}) {
        my ($at, $len) = @$record{'at', 'len'};
        next if substr($segment->{before}, $at, $len) eq substr($segment->{bytes}, $at, $len);
        my $tail = defined $segment->{tail} && $at + $len > $segment->{tail};
        print $tail ? 'tail' : 'hole', " $id $record->{sequence}\n";
    }
}

# The page in which the record lies that has this share of the segment's records before it.
sub page_of {
    my ($segment, $share) = @_;
    return int($segment->{records}[$share * $#{$segment->{records}}]{at} / $PAGE);
}

sub zero {
    my ($segment, $page, $count) = @_;
    substr($segment->{bytes}, $page * $PAGE, $count * $PAGE) = "\0" x ($count * $PAGE);
}

# A record: commit word with the length, CRC, sequence, time and type, payload; padding is no part of it.
sub records {
    my ($bytes, @found) = @_;
    for (my $at = $PAGE; $at + 24 <= length $bytes;) {
        my ($word, undef, $sequence, undef, $type) = unpack 'L< L< Q< C C', substr $bytes, $at, 18;
        last unless $word & 0x80000000;
        my $len = 24 + ($word & 0x7fffffff);
        push @found, { at => $at, len => $len, sequence => $sequence } if $type == $CLICK;
        $at += ($len + 7) & ~7;
    }
    return @found;
}

sub content {
    open my $in, '<:raw', $_[0] or die "$_[0]: $!\n";
    local $/;
    return scalar <$in>;
}
