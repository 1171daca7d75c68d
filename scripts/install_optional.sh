#!/bin/sh
# The parts that some tests and the variation check want, and troth itself does not need.
#
#   scripts/install_optional.sh           install what is missing (Debian or Ubuntu; asks sudo if needed)
#   scripts/install_optional.sh --check   only say what is missing and what it is for
set -eu

missing=""

want() { # program, package, what for
    if command -v "$1" >/dev/null 2>&1; then return; fi
    missing="$missing $2"
    [ "${mode:-}" = check ] && echo "optional: $1 is missing ($3)" >&2
    return 0
}

[ "${1:-}" = --check ] && mode=check
want faketime faketime "tests that build under another date; make bench's peer"
want disorderfs disorderfs "tests that build from another directory order"
want fusermount fuse "lets disorderfs mount"
want cpio cpio "another program reads our archives in a test"
want unshare util-linux "probes user namespaces"
[ -e /usr/share/ovmf/OVMF.fd ] || want OVMF.fd ovmf "tests measure real firmware for SEV-SNP and TDX"
want swtpm swtpm "a software TPM answers our commands in tests"
want softhsm2-util softhsm2 "a software token signs images in tests"
if [ "${mode:-}" = check ] && ! "$(dirname "$0")/../.venv/bin/python" -c 'import troth_native' 2>/dev/null; then
    echo "optional: troth-native is missing (new platforms verify faster); make native installs it, with cargo" >&2
fi
want apt-get apt "troth lock and troth build read Debian packages through it"

# Bookworm's own QEMU is 7.2; what boots our images is tried with 10, which its backports have.
qemu=qemu-system-x86
major() { # of a version such as 1:10.0.2+ds-1, or 0
    version=${1#*:}
    version=${version%%.*}
    case "$version" in "" | *[!0-9]*) echo 0 ;; *) echo "$version" ;; esac
}
if [ "$(major "$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/^QEMU emulator version //p')")" -lt 10 ]; then
    missing="$missing $qemu"
    [ "${mode:-}" = check ] && echo "optional: QEMU 10 or newer is missing (troth run --on microvm boots images in it)" >&2
fi

if [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null || echo 0)" = 1 ]; then
    echo "optional: user namespaces are restricted here (troth run needs them);" >&2
    echo "          sysctl kernel.apparmor_restrict_unprivileged_userns=0 allows them" >&2
fi

[ -n "$missing" ] || exit 0
if [ "${mode:-}" = check ]; then
    echo "          scripts/install_optional.sh installs:$missing" >&2
    exit 0
fi

command -v apt-get >/dev/null 2>&1 || { echo "error: no apt here; install by hand:$missing" >&2; exit 5; }
as_root=""
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update --quiet=2
install() {
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install --quiet=2 --yes --no-install-recommends "$@" </dev/null
}

case " $missing " in
*" $qemu "*)
    offered=$(LC_ALL=C apt-cache policy "$qemu" | sed -n 's/^  Candidate: //p')
    if [ "$(major "$offered")" -lt 10 ]; then
        # The suite of backports beside the machine's own one, from the same mirror, for these two calls
        # only: nothing is left in apt's configuration.
        suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
        mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' 'Component: main' |
            sed -n "s/ $suite\$//p" | head -n 1)
        [ -n "$suite" ] && [ -n "$mirror" ] ||
            { echo "error: no QEMU 10 in this release, and apt names no mirror of it" >&2; exit 5; }
        parts=$(mktemp -d)
        trap 'rm -rf "$parts"' EXIT
        chmod 755 "$parts"
        cp /etc/apt/sources.list.d/* "$parts/" 2>/dev/null || true
        echo "deb $mirror $suite-backports main" >"$parts/backports.list"
        $as_root apt-get -o "Dir::Etc::sourceparts=$parts" update --quiet=2
        install -o "Dir::Etc::sourceparts=$parts" --target-release "$suite-backports" "$qemu"
        missing=$(printf ' %s ' "$missing" | sed "s/ $qemu / /; s/^ *//; s/ *\$//")
    fi
    ;;
esac
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086 # a list of names on purpose
install $missing
