#!/bin/bash
# clean_machine.sh [root|user] [run|test]...   (as root)
#
# README's two commands on a machine that has nothing of ours: a fresh Debian 12 by debootstrap, from the mirror this
# machine uses, with a clone of this repository's HEAD.  `user` does it as an ordinary user with sudo.  The folder
# ($CLEAN_FOLDER, else below /var/tmp) goes afterwards; CLEAN_KEEP=1 leaves it.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$ROOT/tools/common.sh"
. "$ROOT/tools/deps.sh"

READY_MAX_S=300
READY_AGAIN_MAX_S=20

main() {
    local who=${1:-root}
    shift || true
    [ "$(id -u)" = 0 ] || die "debootstrap needs root"
    [ "$who" = root ] || [ "$who" = user ] || die "root or user, not $who"
    FOLDER=${CLEAN_FOLDER:-$(mktemp -d /var/tmp/affiliate-clean.XXXXXX)}
    [ -n "${CLEAN_KEEP:-}" ] || trap 'rm -rf --one-file-system "$FOLDER"' EXIT
    chmod 755 "$FOLDER"

    make_machine
    make_clone "$who"
    for step in "${@:-run test}"; do
        for part in $step; do
            "try_$part" "$who"
        done
    done
}

make_machine() {
    local mirror release file
    release=bookworm
    mirror=$(apt_mirror "$release")
    say "debootstrap $release"
    command -v debootstrap >/dev/null || "$ROOT/tools/install_packages.sh" debootstrap
    debootstrap --variant=minbase --include=ca-certificates,sudo,adduser "$release" "$FOLDER" "$mirror" \
        >"$FOLDER.log" 2>&1 || { tail "$FOLDER.log" >&2; die "debootstrap failed"; }
    rm -f "$FOLDER.log"

    # What belongs to the network we are in, not to the product: names, proxies, further authorities.
    cp -L /etc/resolv.conf "$FOLDER/etc/resolv.conf"
    apt-config dump | grep -iE '^Acquire::[a-z]+::proxy ' >"$FOLDER/etc/apt/apt.conf.d/90proxy" || true
    mkdir -p "$FOLDER/usr/local/share/ca-certificates"
    for file in /usr/local/share/ca-certificates/*.crt; do
        [ ! -f "$file" ] || cp "$file" "$FOLDER/usr/local/share/ca-certificates/"
    done
    inside root update-ca-certificates >/dev/null 2>&1
}

make_clone() {
    local home=/opt
    if [ "$1" = user ]; then
        inside root adduser --disabled-password --gecos '' tester >/dev/null
        echo 'tester ALL=(ALL) NOPASSWD: ALL' >"$FOLDER/etc/sudoers.d/tester"
        home=/home/tester
    fi
    CLONE=$home/affiliate
    git clone -q --no-hardlinks "$ROOT" "$FOLDER$CLONE"
    [ "$1" != user ] || inside root chown -R tester: "$CLONE"
}

# inside root|user COMMAND...: in namespaces of its own, so that nothing survives it, and no mount either.
inside() {
    local who=$1
    shift
    unshare --mount --pid --fork --kill-child -- bash -c '
        folder=$1 who=$2; shift 2
        mount --make-rprivate / && mount -t proc proc "$folder/proc" && mount --rbind /dev "$folder/dev" || exit 1
        vars=(LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt)
        for name in http_proxy https_proxy no_proxy; do [ -z "${!name:-}" ] || vars+=("$name=${!name}"); done
        if [ "$who" = user ]; then
            exec chroot --userspec=tester:tester "$folder" env -i "${vars[@]}" HOME=/home/tester USER=tester "$@"
        fi
        exec chroot "$folder" env -i "${vars[@]}" HOME=/root USER=root "$@"
    ' inside "$FOLDER" "$who" "$@"
}

try_run() {
    local port seconds=$SECONDS
    port=$(perl -MIO::Socket::INET -e \
           'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
    # One life of the namespace: run, click, stop, run again, stop.
    inside "$1" bash -euc '
        cd "$1"
        log=$(mktemp) # not here: check-source reads what lies in the folder
        started=$SECONDS
        ./build.sh run --demo --detach --port "$2" 2>"$log" || { cat "$log"; exit 1; }
        first=$((SECONDS - started))
        state=$(sed -n "s/^Ready: .*(state: \(.*\))/\1/p" "$log")
        link=$(sed -n "s/^Try a click: curl -i //p" "$log")
        [ "$(curl -s -o /dev/null -w "%{http_code}" "$link")" = 302 ] || { echo "no click at $link"; exit 1; }
        ./build.sh stop
        started=$SECONDS
        ./build.sh run --demo --detach --port "$2" 2>>"$log"
        again=$((SECONDS - started))
        ./build.sh stop
        [ ! -e /etc/systemd/system/multi-user.target.wants/nginx.service ] || { echo "nginx was enabled"; exit 1; }
        [ ! -e /usr/sbin/policy-rc.d ] || { echo "policy-rc.d was left behind"; exit 1; }
        echo "ready after $first s, later after $again s; state in $state"
        [ $first -le "$3" ] && [ $again -le "$4" ]
    ' run "$CLONE" "$port" $READY_MAX_S $READY_AGAIN_MAX_S
}

try_test() {
    inside "$1" bash -uc 'cd "$1" && .ci/run' test "$CLONE"
}

main "$@"
