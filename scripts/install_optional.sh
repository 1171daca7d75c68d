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
want apt-get apt "troth lock and troth build read Debian packages through it"

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
# shellcheck disable=SC2086 # a list of names on purpose
DEBIAN_FRONTEND=noninteractive $as_root apt-get install --quiet=2 --yes --no-install-recommends $missing </dev/null
