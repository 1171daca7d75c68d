#!/bin/sh
# Builds a QEMU that has the machine `nitro-enclave`, which no package of Debian has.
#
#   scripts/build_qemu_nitro.sh [FOLDER]   default: $XDG_CACHE_HOME/troth/qemu-nitro, where troth looks
#   scripts/build_qemu_nitro.sh --check    only say whether it is there
#
# It is Debian's own source package, configured with libcbor and without nearly everything else: about
# 5 minutes of processor time, 9 MB in the end. troth needs it for `--on qemu-nitro` alone. The sources
# come from the mirror that this machine's apt uses, and are compared with the hashes below.
set -eu

VERSION=1:10.0.13+ds-0+deb13u1
SUITE=trixie
BUILD=1 # raise it when something else is configured or copied below
SOURCES="
6a0888e806c2ffc0c5f0733e974f9aea55491950d3c47c98669c8b236dde59ae  qemu_10.0.13+ds.orig.tar.xz
a426c892e5369058c3423816c8625bc8010bb5a58ece57261f62b64ee4d765ad  qemu_10.0.13+ds-0+deb13u1.dsc
da73c092f5684c551b0334d675eb16a3dec91e1edea94759cfb1102fa4a0364e  qemu_10.0.13+ds-0+deb13u1.debian.tar.xz
"
NEEDED="bison build-essential dpkg-dev flex libcbor-dev libfdt-dev libglib2.0-dev libgnutls28-dev
 libpixman-1-dev libseccomp-dev ninja-build pkg-config python3-venv xz-utils zlib1g-dev"

fail() { # what is wrong, what to do
    echo "error: $1" >&2
    [ -z "${2:-}" ] || echo "fix: $2" >&2
    exit 5
}

works() { "$1/bin/qemu-system-x86_64" -M help 2>/dev/null | grep -q '^nitro-enclave '; }

here=$(cd "$(dirname "$0")/.." && pwd)
default=${XDG_CACHE_HOME:-$HOME/.cache}/troth/qemu-nitro
if [ "${1:-}" = --check ]; then
    works "$default" && { echo "$default/bin/qemu-system-x86_64"; exit 0; }
    fail "no QEMU with the machine nitro-enclave in $default" "build it: $0"
fi
case "${1:-$default}" in
    -*) fail "unknown option $1" "read the first lines of $0" ;;
    /*) target=${1:-$default} ;;
    *) target=$(pwd)/$1 ;;
esac
if [ "$(cat "$target/version" 2>/dev/null)" = "$VERSION $BUILD" ] && works "$target"; then
    echo "$target/bin/qemu-system-x86_64"
    exit 0
fi

command -v apt-get >/dev/null 2>&1 || fail "there is no apt on this machine" "run this on Debian, or in its container"
[ "$(uname -m)" = x86_64 ] || fail "this machine is $(uname -m), the build is for x86_64"
mkdir -p "$target"
work=$(mktemp -d "${TMPDIR:-/tmp}/qemu-nitro.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
log=$target/build.log
: >"$log"
say() { echo "qemu: $1" >&2; }

# What it takes to build, where it is missing.
missing=
for package in $NEEDED; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q ' installed$' \
        || missing="$missing $package"
done
if [ -n "$missing" ]; then
    say "installs$missing"
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get update --quiet=2
    # shellcheck disable=SC2086 # a list of names on purpose
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install --quiet=2 --yes --no-install-recommends \
        $missing </dev/null >>"$log" 2>&1 || fail "apt cannot install$missing (see $log)"
fi

# An apt of its own beside the machine's: the same mirror, the suite that has the source.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
    | grep -v security | grep -E '/debian/?$' | head -n 1)
[ -n "$mirror" ] || fail "this machine's apt names no Debian mirror" "add a Debian source to apt"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keys" ] || fail "Debian's keys are missing" "install debian-archive-keyring"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/wheels" "$work/firmware"
for kind in deb deb-src; do
    echo "$kind [signed-by=$keys] $mirror $SUITE main"
done >"$work/sources.list"
apt() {
    command=$1
    shift
    "apt-$command" --quiet=2 -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::Etc::Preferences=- -o Dir::Etc::PreferencesParts=- -o "Dir::State::Lists=$work/lists" \
        -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root "$@" >>"$log" 2>&1
}
say "fetches the source of $VERSION"
cd "$work"
apt get update || fail "the lists of $SUITE cannot be fetched (see $log)"
apt get source --download-only "qemu=$VERSION" \
    || fail "the mirror has no source of qemu $VERSION (see $log)" "point apt to a dated snapshot that has it"
echo "$SOURCES" | grep . | sha256sum --check --quiet >>"$log" 2>&1 \
    || fail "what the mirror sent is not the source of $VERSION (see $log)"
apt get download seabios qemu-system-data || fail "the firmware cannot be fetched (see $log)"
for package in ./*.deb; do dpkg-deb --extract "$package" firmware; done
python3 -m venv venv >>"$log" 2>&1 || fail "python3 cannot make an environment (see $log)"
venv/bin/pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
    --dest wheels -r "$here/requirements/qemu.txt" >>"$log" 2>&1 || fail "meson cannot be fetched (see $log)"
dpkg-source --extract ./*.dsc source >>"$log" 2>&1 || fail "the source cannot be unpacked (see $log)"

cd source
mkdir -p python/wheels
cp "$work"/wheels/*.whl python/wheels/
cat >configs/devices/x86_64-softmmu/enclave.mak <<'MAK'
CONFIG_MICROVM=y
CONFIG_NITRO_ENCLAVE=y
CONFIG_VHOST_USER_VSOCK=y
CONFIG_VIRTIO_NSM=y
CONFIG_VIRTIO_RNG=y
MAK
say "compiles; $log tells more"
./configure --prefix="$target" --target-list=x86_64-softmmu --without-default-features \
    --without-default-devices --with-devices-x86_64=enclave --enable-kvm --enable-tcg --enable-libcbor \
    --enable-gnutls --enable-seccomp --enable-vhost-user --enable-vhost-kernel --enable-fdt=system \
    --disable-docs --disable-install-blobs --disable-tools --disable-debug-info >>"$log" 2>&1 \
    || fail "QEMU cannot be configured (see $log)"
nice -n 5 ninja -C build -j "${JOBS:-$(nproc)}" qemu-system-x86_64 >>"$log" 2>&1 \
    || fail "QEMU cannot be compiled (see $log)"

mkdir -p "$target/bin" "$target/share/qemu"
for name in bios-microvm.bin linuxboot_dma.bin pvh.bin qboot.rom; do
    found=$(find "$work/firmware" -name "$name" | head -n 1)
    [ -n "$found" ] || fail "the packages of the firmware have no $name"
    cp "$found" "$target/share/qemu/$name"
done
strip -o "$work/qemu" build/qemu-system-x86_64
mv "$work/qemu" "$target/bin/qemu-system-x86_64"
works "$target" || fail "the QEMU that was built has no machine nitro-enclave (see $log)"
echo "$VERSION $BUILD" >"$target/version"
echo "$target/bin/qemu-system-x86_64"
