# deps: what is missing on a Debian 12 machine, by apt.  Nothing is done when nothing is missing.

# To build and run.  nginx brings /usr/sbin/nginx, nginx-dev what a module is built with.
DEPS_RUN="gcc make libc6-dev nginx nginx-dev redis-server libhiredis-dev libmicrohttpd-dev libsodium-dev
    libsqlite3-dev libinih-dev libjansson-dev libidn2-dev libmaxminddb-dev libpcre2-dev libssl-dev iso-codes
    libcurl4-openssl-dev curl jq procps"

# To test and measure.  dpkg-dev, patch and xz-utils unpack nginx's sources.
DEPS_TEST="libcmocka-dev clang libclang-rt-14-dev wrk valgrind sqlite3 perl libjson-validator-perl dpkg-dev patch xz-utils
    libjson-validator-perl libyaml-libyaml-perl libio-socket-ssl-perl openssl chromium php-cli"

deps() {
    case ${1:-all} in
        run)  deps_ensure run ;;
        test) deps_ensure test ;;
        all)  deps_ensure run test ;;
        *)    die "deps: run, test or all, not $1" ;;
    esac
}

# deps_ensure SET...: installs what these sets lack.
deps_ensure() {
    local set missing=() want=""
    command -v dpkg-query >/dev/null || deps_explain "$@"

    for set in "$@"; do
        [ "$set" = run ] && want+=" $DEPS_RUN"
        [ "$set" = test ] && want+=" $DEPS_RUN $DEPS_TEST"
    done
    mapfile -t missing < <(deps_missing $want)
    # Node's own package manager often comes with Node rather than from Debian.
    case " $* " in
        *" test "*) command -v npm >/dev/null || missing+=(npm) ;;
    esac

    if [ ${#missing[@]} -gt 0 ]; then
        [ "$(debian_release)" = bookworm ] || deps_explain "$@"
        say "Installing: ${missing[*]}"
        as_root tools/install_packages.sh "${missing[@]}"
    fi
    case " $* " in
        *" test "*) deps_test_nginx ;;
    esac
}

deps_missing() {
    local package have
    have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null | sed -n 's/ installed$//p')
    for package in $(printf '%s\n' "$@" | sort -u); do
        grep -qxF -- "$package" <<<"$have" || printf '%s\n' "$package"
    done
}

# Elsewhere than on Debian 12 we name what is needed and leave the installing to its owner.
deps_explain() {
    local set tool
    for set in "$@"; do
        [ "$set" = run ] && set -- gcc make nginx redis-server curl jq || set -- clang wrk valgrind sqlite3 prove npm
        for tool in "$@"; do
            command -v "$tool" >/dev/null || say "missing: $tool"
        done
    done
    die "installing packages works on Debian 12 (bookworm) only; there it would be:" $DEPS_RUN $DEPS_TEST
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "needs root, and there is no sudo; as root: $ROOT/build.sh deps"
    fi
}

# Test::Nginx is packaged in Debian sid only; it is arch: all and satisfied by Debian 12's own libraries.
# apt fetches it with a list folder of its own, so that the machine's sources stay as they are.
deps_test_nginx() {
    local folder=$BUILD/apt-sid deb

    if perl -MTest::Nginx::Socket -e1 2>/dev/null; then
        return
    fi
    say "Installing: Test::Nginx"
    apt_private "$folder" deb sid
    rm -f "$folder"/libtest-nginx-perl_*.deb
    (cd "$folder" && apt-get "${APT_PRIVATE[@]}" -qq download libtest-nginx-perl)
    deb=$(echo "$folder"/libtest-nginx-perl_*.deb)
    [ -f "$deb" ] || die "libtest-nginx-perl could not be fetched"
    as_root tools/install_packages.sh "$deb"
}

# The mirror of this Debian release that the machine uses already: no host name is written here.
apt_mirror() {
    local mirror
    mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
             awk -v release="$1" '$1 == release && $2 == "main" && ($3 == "Debian" || $3 !~ /^[A-Z]/) { print $NF; exit }')
    [ -n "$mirror" ] || die "apt's sources name no mirror of Debian $1"
    echo "$mirror"
}

# apt_private FOLDER deb|deb-src SUITE: an apt of our own below FOLDER that knows this suite of that mirror.  Sets
# APT_PRIVATE, the options for apt-get.  A mirror that is seldom refreshed is fine (apt.conf(5), Min-ValidTime, in
# seconds): signatures are checked as ever, and nothing newer than what it has is wanted.
apt_private() {
    local folder=$1 type=$2 suite=$3 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(apt_mirror "$(debian_release)")

    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/none"
    [ -f "$keyring" ] && keyring="[signed-by=$keyring] " || keyring=
    printf '%s %s%s %s main\n' "$type" "$keyring" "$mirror" "$suite" >"$folder/sources.list"
    APT_PRIVATE=(-o "Dir::Etc::SourceList=$folder/sources.list" -o "Dir::Etc::SourceParts=$folder/none"
                 -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache"
                 -o "Dir::Etc::Preferences=$folder/none/-"
                 -o "Dir::Etc::PreferencesParts=$folder/none" -o APT::Get::List-Cleanup=0
                 -o Acquire::Min-ValidTime=31536000)
    [ "$(id -u)" != 0 ] || APT_PRIVATE+=(-o APT::Sandbox::User=root)
    apt-get "${APT_PRIVATE[@]}" -qq update || die "apt-get update for $suite failed"
}
