#!/bin/sh
# Installs the Debian packages named, where they are missing: as root at once, otherwise it names the line to paste.
set -eu
command -v dpkg-query >/dev/null 2>&1 || exit 0 # not a Debian-like system: docs/install.md names what is needed
missing=
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    echo "Installing$missing"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Missing system packages; paste: sudo apt-get install$missing" >&2
fi
