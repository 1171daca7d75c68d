#!/bin/sh
# Pin everything that is installed for running, developing and comparing, with hashes.
#
# The files name no index: packages come from wherever the machine's own pip is configured to look.
# Run it after a change of pyproject.toml; `--upgrade` takes the newest versions.
set -eu
cd "$(dirname "$0")/.."
UV=${UV:-.venv/bin/uv}
[ -x "$UV" ] || { echo "error: $UV is absent; set UV to the uv program (pip install uv)" >&2; exit 5; }

lock() {
    output=$1
    shift
    "$UV" pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
        --no-annotate --python-version 3.11 --output-file "$output" "$@"
}

lock requirements/runtime.txt "$@" pyproject.toml
lock requirements/dev.txt "$@" -c requirements/runtime.txt --group dev pyproject.toml requirements/dev.in
lock requirements/build.txt "$@" -c requirements/dev.txt --only-binary :all: requirements/build.in
lock requirements/bench.txt "$@" requirements/bench.in
lock requirements/fuzz.txt "$@" requirements/fuzz.in
lock requirements/peers.txt "$@" requirements/peers.in
lock requirements/qemu.txt "$@" requirements/qemu.in
