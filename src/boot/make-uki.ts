/** Where the program is on every system that starts by unified kernel images. */
export const makeUkiPath = "/usr/lib/imgbuild/make-uki";

/**
 * Lays a kernel, its initramfs and its command line into systemd's boot stub: a unified kernel image (UAPI specification). In Perl,
 * because perl-base is on every Debian system, so the same program makes the image at a build and at every update of a kernel;
 * Debian 12 has no ukify, and Debian 13's brings Python along. It does what ukify's `pe_add_sections` does.
 */
export const makeUki = String.raw`#!/usr/bin/perl
# Made by imgbuild: lays a kernel, its initramfs and its command line into systemd's boot stub (docs/BOOT.md).
use strict;
use warnings;

my %given;
while (@ARGV) {
    my ($name, $value) = (shift, shift);
    die "make-uki: $name is not understood\n"
        unless $name =~ /^--(stub|linux|initrd|cmdline|os-release|uname|output)$/ && defined $value;
    $given{$1} = $value;
}
for my $name (qw(stub linux initrd cmdline os-release uname output)) {
    die "make-uki: --$name is missing\n" unless defined $given{$name};
}

sub content {
    my ($path) = @_;
    open(my $in, '<:raw', $path) or die "make-uki: $path: $!\n";
    local $/;
    my $bytes = <$in>;
    die "make-uki: $path is empty\n" unless defined $bytes && length $bytes;
    return $bytes;
}

sub up { my ($number, $to) = @_; return int(($number + $to - 1) / $to) * $to }

sub pe_header {
    my ($bytes, $what) = @_;
    my $at = length($$bytes) > 64 && substr($$bytes, 0, 2) eq 'MZ' ? unpack('V', substr($$bytes, 60, 4)) : 0;
    die "make-uki: $what is no PE file\n" unless $at && substr($$bytes, $at, 4) eq "PE\0\0";
    die "make-uki: $what is no 64-bit PE file\n" unless unpack('v', substr($$bytes, $at + 24, 2)) == 0x20b;
    return $at;
}

my $image = content($given{stub});
my $pe = pe_header(\$image, $given{stub});
my $optional = $pe + 24;
my $count = unpack('v', substr($image, $pe + 6, 2));
my $table = $optional + unpack('v', substr($image, $pe + 20, 2));
my ($section_align, $file_align) = unpack('VV', substr($image, $optional + 32, 8));
my $headers = unpack('V', substr($image, $optional + 60, 4));
die "make-uki: $given{stub} is signed already\n" if unpack('V', substr($image, $optional + 144, 4));

# A symbol table at the end is of no use in an image, and would lie where the sections go.
substr($image, $pe + 12, 8) = pack('VV', 0, 0);
my ($end, $virtual) = ($headers, 0);
for my $index (0 .. $count - 1) {
    my ($size, $address, $raw_size, $raw) = unpack('VVVV', substr($image, $table + 40 * $index + 8, 16));
    die "make-uki: $given{stub} has sections that are not aligned\n" if $raw % $file_align || $raw_size % $file_align;
    $end = $raw + $raw_size if $raw + $raw_size > $end;
    $virtual = $address + $size if $address + $size > $virtual;
}
die "make-uki: $given{stub} is cut off\n" if length($image) < $end;
$image = substr($image, 0, $end);

my $cmdline = join(' ', grep { length } map { split ' ' } grep { !/^\s*#/ } split(/\n/, content($given{cmdline})));
my $linux = content($given{linux});
my $inner = pe_header(\$linux, $given{linux});
# Stub and kernel must agree on whether memory may be both writable and executable.
my $nx = 0x100;
unless (unpack('v', substr($linux, $inner + 24 + 70, 2)) & $nx) {
    my $flags = unpack('v', substr($image, $optional + 70, 2));
    substr($image, $optional + 70, 2) = pack('v', $flags & ~$nx);
}

my ($data, $code) = (0x40000040, 0x40000020);
my @sections = (
    ['.osrel', content($given{'os-release'}), $data],
    ['.cmdline', $cmdline, $data],
    ['.uname', $given{uname}, $data],
    ['.initrd', content($given{initrd}), $data],
    # The last one: old stubs start it where it lies, and it needs room behind itself.
    ['.linux', $linux, $code],
);
die "make-uki: the stub has no room for more sections\n" if $table + 40 * ($count + @sections) > $headers;
my $align = $section_align < 4096 ? 4096 : $section_align;
my $added = 0;
for my $section (@sections) {
    my ($name, $bytes, $flags) = @$section;
    $virtual = up($virtual, $align);
    my $raw = length $image;
    my $raw_size = up(length $bytes, $file_align);
    substr($image, $table + 40 * $count, 40) =
        pack('a8VVVVVVvvV', $name, length $bytes, $virtual, $raw_size, $raw, 0, 0, 0, 0, $flags);
    $image .= $bytes . ("\0" x ($raw_size - length $bytes));
    $virtual += length $bytes;
    $added += $raw_size;
    $count++;
}
substr($image, $pe + 6, 2) = pack('v', $count);
my $initialized = unpack('V', substr($image, $optional + 8, 4));
substr($image, $optional + 8, 4) = pack('V', $initialized + $added);
substr($image, $optional + 56, 4) = pack('V', up($virtual, $section_align));
# Of EFI nobody looks at the checksum; what is there would be wrong.
substr($image, $optional + 64, 4) = pack('V', 0);

open(my $out, '>:raw', "$given{output}.new") or die "make-uki: $given{output}.new: $!\n";
print $out $image and close $out or die "make-uki: $given{output}.new: $!\n";
rename("$given{output}.new", $given{output}) or die "make-uki: $given{output}: $!\n";
`;
