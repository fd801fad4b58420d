#!/bin/sh
# Installs the Debian packages named, where they are missing: as root at once, otherwise it names the line to paste.
set -eu
patience_seconds=600

# apt-get update does not wait where another program holds the lock of the lists.
update_patiently() {
    waited=0
    until problems=$(LC_ALL=C apt-get update -qq 2>&1 >/dev/null); do
        case $problems in
            *"Could not get lock"*) ;;
            *) echo "$problems" >&2; return 1 ;;
        esac
        [ $waited -lt $patience_seconds ] || { echo "$problems" >&2; return 1; }
        [ $waited -gt 0 ] || echo "Waiting for another program that uses apt"
        sleep 2
        waited=$((waited + 2))
    done
}

command -v dpkg-query >/dev/null 2>&1 || exit 0 # not a Debian-like system: docs/install.md names what is needed
missing=
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    echo "Installing$missing"
    patient="-o DPkg::Lock::Timeout=$patience_seconds" # while another program installs packages
    update_patiently && DEBIAN_FRONTEND=noninteractive apt-get install $patient -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Missing system packages; paste: sudo apt-get install$missing" >&2
fi
