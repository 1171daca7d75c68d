"""Another project's client reads a log that `troth tlog serve` serves, and verifies what our witness signed."""

from pathlib import Path

import pytest
from tests.cli.served import serving
from tests.tlog.logs import KEY, numbered, publish, signed
from tests.tlog.test_peers import peer, ran, refused

from troth.cli._log_files import Files
from troth.tlog.witness import Witness
from troth.tlog.witnessing import Request

pytestmark = [pytest.mark.toolchains]
__all__ = ["peer"]


def test_they_read_what_is_served(peer: Path, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    for size in (1, 600, 70_000):
        publish(folder, numbered(size))
        with serving(Files(folder)) as at:
            told = ran(peer, "read", f"http://{at}/", str(KEY.verifier))
            assert told == f"{KEY.verifier.name} {size} {size}\n"
    publish(folder, numbered(600), note=signed(numbered(601)))
    with serving(Files(folder)) as at:
        refused(peer, "read", f"http://{at}/", str(KEY.verifier))


def test_they_verify_what_our_witness_signed(peer: Path, tmp_path: Path) -> None:
    witness = Witness.create(tmp_path / "w", "witness.example/ours")
    witness.add_log(KEY.verifier)
    data = signed(numbered(5))
    answer = witness.add_checkpoint(Request(old_size=0, proof=(), note=data).encode())
    words = ("open", str(KEY.verifier), str(witness.verifier))
    told = ran(peer, *words, given=data + answer.body).splitlines()
    assert told[0] == "example.com/log"
    assert told[1] == f"witness.example/ours {witness.logs()[0].time}"
    other = data.replace(b"\n5\n", b"\n6\n") + answer.body
    refused(peer, *words, given=other)
