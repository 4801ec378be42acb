#!/bin/sh
# Prints the ISO 3166-1 codes and English names of iso-codes' iso_3166-1.json ($1) as a C table, sorted by code.
# The file is machine-written, one member a line in alphabetical order, so awk is parser enough;
# a file of another shape yields too few codes and fails here, not at run time.
set -eu

rows=$(awk -F '"' '
    $2 == "alpha_2"     { code = $4; common = "" }
    $2 == "common_name" { common = $4 }
    $2 == "name"        { print "    { \"" code "\", \"" (common != "" ? common : $4) "\" }," }
' "$1" | LC_ALL=C grep -E '^    \{ "[A-Z][A-Z]", "[^"\\]+" \},$' | LC_ALL=C sort -u)
count=$(printf '%s\n' "$rows" | grep -c .) || true
if [ "$count" -lt 240 ]; then
    echo "countries.sh: found only $count codes in $1" >&2
    exit 1
fi

echo '/* Made by tools/countries.sh from iso_3166-1.json (package iso-codes); sorted. */'
echo 'static const struct country_row { char code[3]; const char *name; } tracker_country_table[] = {'
printf '%s\n' "$rows"
echo '};'
