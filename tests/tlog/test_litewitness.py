"""A witness that others wrote, `litewitness` of filippo.io/torchwood, cosigns our logs by their code.

`go install filippo.io/torchwood/cmd/litewitness@v0.6.1` builds it; TROTH_LITEWITNESS names the program.
"""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.tlog.logs import KEY, consistency, numbered, signed

from troth.crypto import merkle
from troth.tlog import checkpoint, note, witnessing
from troth.tlog.note import VerifierKey
from troth.tlog.witnessing import Answer, Refused
from troth.trust.site import Site

pytestmark = [
    pytest.mark.toolchains,
    pytest.mark.skipif(
        not all(map(shutil.which, ("ssh-agent", "ssh-add", "ssh-keygen")))
        or not os.environ.get("TROTH_LITEWITNESS"),
        reason="needs litewitness, and the programs of OpenSSH that hold its key",
    ),
]
MANY = numbered(300)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[tuple[VerifierKey, str]]:
    """Its key as it says it, and its address."""
    agent, key = tmp_path / "s", tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    told = subprocess.run(["ssh-keygen", "-lf", key], check=True, capture_output=True, text=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{free.getsockname()[1]}"
    with subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL) as holding:
        _wait(agent.exists)
        environment = os.environ | {"SSH_AUTH_SOCK": str(agent)}
        subprocess.run(["ssh-add", "-q", key], check=True, env=environment)
        words = [
            *(os.environ["TROTH_LITEWITNESS"], "-name", "peer.example/w", "-db", tmp_path / "db"),
            *("-ssh-agent", agent, "-listen", at, "-key", told.stdout.split()[1]),
        ]
        said = tmp_path / "said"
        with said.open("wb") as out, subprocess.Popen(words, stderr=out) as process:
            try:
                _wait(lambda: "vkey=" in said.read_text())
                match = re.search(r'vkey="?([^"\s]+)', said.read_text())
                assert match is not None
                _knows(tmp_path / "db")
                _wait(lambda: socket.create_connection(("127.0.0.1", int(at.rpartition(":")[2]))))
                yield note.verifier_key(match[1]), f"http://{at}"
            finally:
                process.terminate()
                holding.terminate()


def _knows(db: Path) -> None:
    """What its own tool does, which needs more modules to build than the witness."""
    connection = sqlite3.connect(db, timeout=10)
    with connection:
        root = checkpoint.parse(note.parse(signed([])).text).text().split("\n")[2]
        assert len(merkle.EMPTY) == 32
        connection.execute("INSERT INTO log VALUES (?, 0, ?)", (KEY.verifier.name, root))
        connection.execute("INSERT INTO key VALUES (?, ?)", (KEY.verifier.name, str(KEY.verifier)))
    connection.close()


def _wait(done: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if done():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("it does not start")


def test_it_cosigns_what_grows_and_nothing_else(peer: tuple[VerifierKey, str]) -> None:
    witness, address = peer
    site = Site(address)

    def send(body: bytes) -> Answer:
        status, kind, data = site.post(witnessing.PATH, body, limit=10_000)
        return Answer(status=status, content_type=kind, body=data)

    def cosign(entries: list[bytes], known: int) -> None:
        found = witnessing.cosign(
            signed(entries),
            witness=witness,
            send=send,
            prove=lambda old: consistency(entries, old),
            known=known,
        )
        whole = signed(entries) + b"".join(s.line().encode() for s in found)
        assert checkpoint.opened(whole, log=KEY.verifier, witnesses=[witness]).times.keys() == {
            witness
        }

    for size, known in ((3, 0), (3, 3), (256, 3), (300, 0)):
        cosign(MANY[:size], known)
    with pytest.raises(Refused, match="has seen 300 entries"):
        cosign(MANY[:200], 0)
    with pytest.raises(Refused):
        cosign([b"other", *MANY[1:]], 300)
    with pytest.raises(Refused, match="422"):
        cosign([b"other", *MANY[1:], b"more"], 300)
