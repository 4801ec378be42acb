#!/bin/bash
# install_packages.sh PACKAGE...   (as root)
#
# apt-get install that starts and enables no service, and leaves those that run as they are.  Debian asks
# /usr/sbin/policy-rc.d before it starts or restarts anything; ours says no while we install, and whatever
# was there before is put back, also after a kill (the next run repairs).
set -euo pipefail

GUARD=/usr/sbin/policy-rc.d
SAVED=/usr/sbin/policy-rc.d.before-affiliate
MARK='# affiliate: no service starts while packages are installed'

guard_off() {
    if [ -e "$SAVED" ] || [ -L "$SAVED" ]; then
        mv -f "$SAVED" "$GUARD"
    elif [ -f "$GUARD" ] && grep -qxF "$MARK" "$GUARD"; then
        rm -f "$GUARD"
    fi
}

guard_on() {
    guard_off
    if [ -e "$GUARD" ] || [ -L "$GUARD" ]; then
        mv "$GUARD" "$SAVED"
    fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$MARK" >"$GUARD"
    chmod 755 "$GUARD"
}

installed() {
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p' | sort
}

# What a package enables at its first installation is disabled again; units that were there before are not ours.
disable_services_of() {
    local package file
    for package in "$@"; do
        dpkg-query -L "$package" 2>/dev/null | while read -r file; do
            case $file in
                /lib/systemd/system/*@.*|/usr/lib/systemd/system/*@.*) ;;
                /lib/systemd/system/*.service|/usr/lib/systemd/system/*.service|/lib/systemd/system/*.timer|/lib/systemd/system/*.socket)
                    disable_unit "${file##*/}" ;;
                /etc/init.d/*)
                    update-rc.d "${file##*/}" disable >/dev/null 2>&1 || true ;;
            esac
        done
    done
}

disable_unit() {
    if command -v systemctl >/dev/null; then
        systemctl --quiet disable "$1" >/dev/null 2>&1 || true
    else
        deb-systemd-helper disable "$1" >/dev/null 2>&1 || true
    fi
}

main() {
    local before options=(-y -q --no-install-recommends -o Dpkg::Use-Pty=0)
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none

    trap guard_off EXIT
    trap 'exit 1' INT TERM HUP
    before=$(installed)
    guard_on
    apt-get -q update || echo "apt-get update failed for some source; going on with what it has" >&2
    apt-get "${options[@]}" install "$@"
    disable_services_of $(comm -13 <(printf '%s\n' "$before") <(installed))
}

main "$@"
