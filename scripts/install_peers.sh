#!/bin/sh
# Other projects' clients, which some tests drive against our simulators, in an environment of their own.
#
#   scripts/install_peers.sh FOLDER      makes it; then run the tests with TROTH_PEERS=FOLDER
set -eu

folder=${1:?usage: scripts/install_peers.sh FOLDER}
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
    tinfoil==0.15.0 tinfoil-ehbp==0.4.1 dstack-sdk==0.5.4
