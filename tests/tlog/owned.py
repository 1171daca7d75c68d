"""Entries as an app's owners sign them."""

from collections.abc import Iterable

from troth.tlog import entry
from troth.tlog.note import Note
from troth.tlog.signer import SigningKey
from troth.tlog.statement import Freeze, KeyRelease, Release, Statement

ANNA = SigningKey.generate("owner.example/anna")
BERT = SigningKey.generate("owner.example/bert")
STRANGER = SigningKey.generate("stranger.example/key")


def release(version: str, app: str = "auction") -> Release:
    return Release(
        app=app,
        version=version,
        measurements={"nitro": {"pcr0": frozenset({"ab" * 48})}},
        source=None,
        lock_sha256="00" * 32,
        record_sha256="11" * 32,
        image_sha256="22" * 32,
    )


def signed(says: Statement, keys: Iterable[SigningKey] = (ANNA, BERT)) -> bytes:
    text = entry.text(says)
    return Note(text=text, signatures=tuple(key.sign(text) for key in keys)).encode()


__all__ = ["ANNA", "BERT", "STRANGER", "Freeze", "KeyRelease", "release", "signed"]
