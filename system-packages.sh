#!/bin/sh
# Installs the system packages named (as Debian names them), where they are missing: as root on Debian at once; otherwise it
# prints the line to paste, on Fedora and Arch Linux with their own names.
set -eu
patience_seconds=600

# Debian, Fedora, Arch Linux; a package that is not here has the same name everywhere.
names='
libportaudio2 portaudio portaudio
libasound2-plugins alsa-plugins-pulseaudio alsa-plugins
libegl1 libglvnd-egl libglvnd
libgl1 libglvnd-glx libglvnd
libxkbcommon-x11-0 libxkbcommon-x11 libxkbcommon-x11
libxcb-cursor0 xcb-util-cursor xcb-util-cursor
libxcb-icccm4 xcb-util-wm xcb-util-wm
libxcb-keysyms1 xcb-util-keysyms xcb-util-keysyms
libxcb-shape0 libxcb libxcb
libdbus-1-3 dbus-libs dbus
libfontconfig1 fontconfig fontconfig
python3-venv python3 python
pulseaudio pulseaudio pulseaudio
pulseaudio-utils pulseaudio-utils libpulse
fluid-soundfont-gm fluid-soundfont-gm soundfont-fluid
xvfb xorg-x11-server-Xvfb xorg-server-xvfb
xauth xorg-x11-xauth xorg-xauth
libc6-dev glibc-devel glibc
chromium-driver chromedriver chromium
'

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

# The packages that a query does not find, under the names of a column of the table.
missing_packages() {
    column=$1
    query=$2
    shift 2
    for package in "$@"; do
        echo "$package" | awk -v table="$names" -v column="$column" '
            BEGIN { for (n = split(table, lines, "\n"); n > 0; n--) { split(lines[n], row, " "); other[row[1]] = row[column] } }
            { print ($1 in other) ? other[$1] : $1 }'
    done | sort -u | while read -r package; do
        $query "$package" >/dev/null 2>&1 || printf ' %s' "$package"
    done
}

debian_has() {
    dpkg-query -W -f '${Status}' "$1" | grep -q 'ok installed'
}

if command -v dpkg-query >/dev/null 2>&1; then
    missing=$(missing_packages 1 debian_has "$@")
    install="apt-get install"
elif command -v rpm >/dev/null 2>&1; then
    missing=$(missing_packages 2 "rpm -q --whatprovides" "$@")
    install="dnf install"
elif command -v pacman >/dev/null 2>&1; then
    missing=$(missing_packages 3 "pacman -Q" "$@")
    install="pacman -S --needed"
else
    exit 0 # docs/install.md names what is needed
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && [ "$install" = "apt-get install" ]; then
    echo "Installing$missing"
    patient="-o DPkg::Lock::Timeout=$patience_seconds" # while another program installs packages
    update_patiently && DEBIAN_FRONTEND=noninteractive apt-get install $patient -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Missing system packages; paste: sudo $install$missing" >&2
fi
