"""Entries of a log: one form for each statement."""

from collections.abc import Iterable

from fuzz.target import Target, attempt, must
from troth.tlog import entry
from troth.tlog.note import Note
from troth.tlog.signer import SigningKey
from troth.tlog.statement import Freeze, Owners, PolicyChange, Release, Revoke, Statement


def _run(data: bytes) -> None:
    attempt(entry.draft, data)
    found = entry.parse(data)
    must(entry.text(found.says) == found.note.text, "a statement written again")


def _says() -> Iterable[Statement]:
    key = str(SigningKey.generate("owner.example/one").verifier)
    yield Release(
        app="auction",
        version="1",
        measurements={"nitro": {"pcr0": frozenset({"01" * 48})}},
        source=None,
        lock_sha256="0a" * 32,
        record_sha256="0b" * 32,
        image_sha256="0c" * 32,
    )
    yield PolicyChange(app="auction", policy_sha256="0d" * 32, version="2")
    yield Freeze(app="auction", what="keys")
    yield Revoke(app="auction", release="0e" * 32, why="a hole")
    yield Owners(app="auction", keys=(key,), threshold=1)


def _seeds() -> Iterable[bytes]:
    key = SigningKey.generate("owner.example/two")
    for says in _says():
        text = entry.text(says)
        yield Note(text=text, signatures=(key.sign(text),)).encode()


TARGET = Target(run=_run, seeds=_seeds, words=(b'"kind":', b"null", b"\\ud800", "— ".encode()))
