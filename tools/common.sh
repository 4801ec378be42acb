# Sourced by build.sh and by every tool: where things are, and how to speak.

BUILD=$ROOT/build

say() { printf '%s\n' "$*" >&2; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }

# A command line option's value: need_value "$@" fails clearly when there is none.
need_value() { [ $# -ge 2 ] && [ -n "$2" ] || die "$1 needs a value"; }

# nginx's configure and redis.conf cannot quote every byte; a clear error beats a strange one.
plain_path() {
    case $1 in
        *[!A-Za-z0-9._/+,@~-]*) die "$2 must not hold blanks or quotes: $1" ;;
    esac
}

debian_release() {
    (. /etc/os-release 2>/dev/null && printf '%s' "${VERSION_CODENAME:-}")
}

plain_path "$ROOT" "the path of this folder"
