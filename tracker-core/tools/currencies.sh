#!/bin/sh
# Prints the ISO 4217 codes of iso-codes' iso_4217.json ($1) as a sorted C table.
# The file is machine-written, one member a line, so sed is parser enough;
# a file of another shape yields too few codes and fails here, not at run time.
set -eu

codes=$(sed -n 's/^ *"alpha_3": *"\([A-Z][A-Z][A-Z]\)",\{0,1\} *$/\1/p' "$1" | LC_ALL=C sort -u)
count=$(printf '%s\n' "$codes" | grep -c .) || true
if [ "$count" -lt 150 ]; then
    echo "currencies.sh: found only $count codes in $1" >&2
    exit 1
fi

echo '/* Made by tools/currencies.sh from iso_4217.json (package iso-codes); sorted. */'
echo 'static const char tracker_currency_table[][4] = {'
printf '%s\n' "$codes" | sed 's/.*/    "&",/'
echo '};'
