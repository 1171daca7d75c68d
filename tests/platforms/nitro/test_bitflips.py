"""Every bit counts: no accepted document stays accepted after any single-bit change or truncation.

What nothing signs, and why it can't matter:

| bytes | why |
| --- | --- |
| `00 02`, the compact length, and the bytes behind the document in the SCALE-framed files | a carrier's framing; it is dropped whole, and a change either leaves the very same document or is refused |
| the newline at the end of a base64 text | dropped; any other byte there is refused |

An ECDSA signature (r, s) has a second valid form (r, n − s). It is no bit flip and says the same thing,
but it means that the digest of a document is no guard against replays; nothing here uses it as one.
"""

import os
import random
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from tests.platforms.nitro.test_vectors import pinned, rows

import troth
from troth.errors import Malformed, TrothError
from troth.platforms import detect
from troth.wire import cose

ALL = "anjuna-prod-2021-03-17.bin"
SAMPLE = 400
P384_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973


@dataclass(frozen=True)
class Good:
    name: str
    framed: bytes
    bare: bytes
    at: datetime
    policy: troth.Policy

    def accepts(self, data: bytes) -> bool:
        """Whether this is accepted; anything but our errors fails the test."""
        try:
            troth.verify(data, policy=self.policy, at=self.at)
        except TrothError:
            return False
        return True


@pytest.fixture(scope="module")
def good(vectors: Path) -> list[Good]:
    found = []
    for name, data, at, verdict in rows(vectors):
        if verdict.startswith("accept") and "debug" not in verdict:
            detected = detect(data)
            assert detected is not None
            found.append(Good(name, data, detected[1], at, pinned(data, at)))
    assert len(found) == 7
    return found


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def test_every_bit_of_a_document(good: list[Good]) -> None:
    for document in good:
        assert document.accepts(document.bare), document.name
        bits = range(len(document.bare) * 8)
        if document.name != ALL and not os.environ.get("TROTH_ALL_BITS"):
            bits = random.Random(document.name).sample(bits, SAMPLE)
        for bit in bits:
            assert not document.accepts(flipped(document.bare, bit)), (document.name, bit)


def test_every_truncation(good: list[Good]) -> None:
    for document in good:
        step = 1 if document.name == ALL else 53
        for size in range(0, len(document.bare), step):
            assert not document.accepts(document.bare[:size]), (document.name, size)
        assert not document.accepts(document.bare + b"\x00"), document.name


def test_framing_changes_nothing_or_is_refused(good: list[Good]) -> None:
    for document in good:
        if document.framed == document.bare:
            continue
        begin = document.framed.find(document.bare)
        outside = (
            [*range(begin * 8), *range((begin + len(document.bare)) * 8, len(document.framed) * 8)]
            if begin >= 0
            else range((len(document.framed) - 40) * 8, len(document.framed) * 8)
        )
        for bit in outside:
            changed = flipped(document.framed, bit)
            try:
                found = detect(changed)
            except Malformed:
                continue
            if found is not None and document.accepts(changed):
                assert found[1] == document.bare, (document.name, bit)


def test_the_other_form_of_a_signature_is_the_same_statement(good: list[Good]) -> None:
    """Accepted, with another digest: which is why no digest of evidence is used against replays."""
    document = good[0]
    signature = cose.parse_sign1(document.bare).signature
    r, s = signature[:48], int.from_bytes(signature[48:], "big")
    other = r + (P384_ORDER - s).to_bytes(48, "big")
    assert document.accepts(document.bare.replace(signature, other))
