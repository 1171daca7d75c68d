"""Every bit counts: no accepted document stays accepted after any single-bit change or truncation.

What nothing signs, and why it can't matter:

| bytes | why |
| --- | --- |
| `00 02`, the compact length, and the bytes behind the document in the SCALE-framed files | a carrier's framing; it is dropped whole, and a change either leaves the very same document or is refused |
| the end of the line behind a base64 text | dropped; any other byte there is refused |

Everything else is signed, or signs, or has one form only: the heads of the COSE array and of its byte
strings, and the empty unprotected header, admit no other value; the root certificate is compared whole.

An ECDSA signature (r, s) has a second valid form (r, n − s). It is no bit flip and says the same thing,
but it means that the digest of a document is no guard against replays; nothing here uses it as one.
"""

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
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
PARTS = 4  # so that two processes share the work
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


def refuse_all(document: Good, bits: Iterable[int]) -> None:
    for bit in bits:
        assert not document.accepts(flipped(document.bare, bit)), (document.name, bit)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_bit_of_a_document(good: list[Good], part: int) -> None:
    (document,) = (d for d in good if d.name == ALL)
    assert document.accepts(document.bare)
    size = len(document.bare) * 8
    refuse_all(document, range(size * part // PARTS, size * (part + 1) // PARTS))


def test_some_bits_of_every_document(good: list[Good]) -> None:
    for document in good:
        assert document.accepts(document.bare), document.name
        bits = range(len(document.bare) * 8)
        refuse_all(document, random.Random(document.name).sample(bits, SAMPLE))


@pytest.mark.slow
def test_every_bit_of_every_document(good: list[Good]) -> None:
    if not os.environ.get("TROTH_ALL_BITS"):
        pytest.skip("slow: some minutes; set TROTH_ALL_BITS=1 to run it")
    for document in good:
        refuse_all(document, range(len(document.bare) * 8))


def test_changed_documents_that_were_never_accepted_raise_only_our_errors(vectors: Path) -> None:
    """Debug enclaves, the bad signature and the mock: other fields, other lengths, as hostile."""
    for name, data, at, verdict in rows(vectors):
        if verdict.startswith("accept") and "debug" not in verdict:
            continue
        document = Good(name, data, data, at, troth.Policy(name="none"))
        refuse_all(document, random.Random(name).sample(range(len(data) * 8), SAMPLE // 2))
        for size in range(0, len(data), 97):
            assert not document.accepts(data[:size]), (name, size)


def test_every_truncation(good: list[Good]) -> None:
    for document in good:
        step = 1 if document.name == ALL else 53
        for size in range(0, len(document.bare), step):
            assert not document.accepts(document.bare[:size]), (document.name, size)
        assert not document.accepts(document.bare + b"\x00"), document.name
        assert not document.accepts(b"\x00" + document.bare), document.name
        assert not document.accepts(document.bare * 2), document.name


def same_or_refused(document: Good, changed: bytes) -> None:
    """What is judged is the very same document, or it is not accepted."""
    try:
        found = detect(changed)
    except Malformed:
        found = None
    if found is None or found[1] != document.bare:
        assert not document.accepts(changed), document.name


def test_framing_changes_nothing_or_is_refused(good: list[Good]) -> None:
    framed = [document for document in good if document.framed != document.bare]
    assert {document.name.partition("-")[0] for document in framed} == {"blocky", "dstack"}
    for found in framed:
        document = found
        begin = document.framed.find(document.bare)
        if begin >= 0:
            end = begin + len(document.bare)
            bits = [*range(begin * 8), *range(end * 8, len(document.framed) * 8)]
        else:  # base64: some of the text, and its end with the line's
            end = len(document.framed.rstrip())
            document = replace(found, framed=document.framed[:end] + b"\r\n")
            bits = random.Random(document.name).sample(range(end * 8), SAMPLE)
            bits += range((end - 4) * 8, len(document.framed) * 8)
        assert document.accepts(document.framed)
        for bit in bits:
            same_or_refused(document, flipped(document.framed, bit))
        for cut in range(end - 4, len(document.framed)):
            changed = document.framed[:cut]
            same_or_refused(document, changed)
            if cut < end:
                assert not document.accepts(changed), (document.name, cut)


def test_the_other_form_of_a_signature_is_the_same_statement(good: list[Good]) -> None:
    """Accepted, with another digest: which is why no digest of evidence is used against replays."""
    document = good[0]
    signature = cose.parse_sign1(document.bare).signature
    r, s = signature[:48], int.from_bytes(signature[48:], "big")
    other = r + (P384_ORDER - s).to_bytes(48, "big")
    changed = document.bare.replace(signature, other)
    assert changed != document.bare
    assert document.accepts(changed)
    assert troth.Evidence(data=changed).sha256 != troth.Evidence(data=document.bare).sha256
