#!/bin/sh
# Other projects' clients, which some tests drive against our simulators, in an environment of their own.
#
#   scripts/install_peers.sh FOLDER      makes it; then run the tests with TROTH_PEERS=FOLDER
set -eu

folder=${1:?usage: scripts/install_peers.sh FOLDER}
locked=$(dirname "$0")/../requirements/peers.txt
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$locked"
