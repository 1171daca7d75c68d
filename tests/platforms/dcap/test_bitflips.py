"""Every bit counts: no accepted quote stays accepted after any single-bit change, or cut anywhere.

What nothing signs: no bit of the three real quotes here. Header and body are signed by the attestation
key; that key and the authentication data by their hash in the quoting enclave's report; that report by
the platform's key; the certificates one by another, and the root's by itself. Lengths, types and PEM have
one form only.

What can be changed by more than one bit, and says the same:

| change | why it says the same |
| --- | --- |
| s to n - s in one of the two raw signatures | a second valid form; the digest of a quote is no guard against replays, and nothing here uses it as one |
| zeros behind the quote, NULs behind the PEM | padding of guest drivers and of Intel's library; removed, and said in the report |
| line ends in the PEM: CR LF, other line lengths | the text of the same DER, which is what is signed |
| the root's certificate for another one that the same key has signed for the same name | Intel has two; the root is pinned by its key |
"""

import functools
import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.platforms.dcap.changes import parts, rebuilt
from tests.platforms.dcap.made import KINDS, NONCE, NOW, PKI, good, pinned, put
from tests.platforms.dcap.rows import P256_ORDER, Row, accepting, look, manifest, reportdata

import troth
from troth.errors import Malformed, TrothError
from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.platforms.dcap import quote
from troth.trust.served import to_pem

REAL = {
    ("sgx", "phala-adl-cfgneeded", "ConfigurationAndSWHardeningNeeded"): 3,
    ("tdx", "phala-tdx-v4", "UpToDate"): 4,
    ("tdx", "openenclave-v5-relaunch", "UpToDate"): 5,
}
NAMES = pytest.mark.parametrize("name", [name for _, name, _ in REAL])
SAMPLE = 700


@dataclass(frozen=True)
class Good:
    """A quote that is accepted, and the question to which it is."""

    row: Row
    policy: troth.Policy
    nonce: bytes | None

    @functools.cached_property
    def _arguments(self) -> dict[str, object]:
        return {"collateral": self.row.collateral(), "at": self.row.at, "nonce": self.nonce}

    def accepts(self, data: bytes) -> bool:
        """Whether this is accepted; anything but our errors fails the test."""
        try:
            troth.verify(data, policy=self.policy, **self._arguments)  # type: ignore[arg-type]
        except TrothError:
            return False
        return True


@functools.cache
def _good(vectors: Path, name: str) -> Good:
    platform, file, status = next(key for key in REAL if key[1] == name)
    row = next(
        r
        for r in reversed(manifest(vectors, platform))
        if r.file.startswith(file) and r.status == status
    )
    found = Good(row, accepting(row, look(row)), reportdata(row))
    assert int.from_bytes(row.data[:2], "little") == REAL[platform, file, status]
    assert found.accepts(row.data)
    return found


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def refuse_all(found: Good, bits: Iterable[int]) -> None:
    for bit in bits:
        assert not found.accepts(flipped(found.row.data, bit)), (found.row.file, bit // 8, bit % 8)


@NAMES
def test_some_bits_of_every_real_quote(vectors: Path, name: str) -> None:
    found = _good(vectors, name)
    bits = range(len(found.row.data) * 8)
    refuse_all(found, random.Random(name).sample(bits, SAMPLE))


@NAMES
def test_some_bits_of_every_certificate(vectors: Path, name: str) -> None:
    """The bits of the DER itself, each in a text of its one form: the root's count like the others'."""
    found = _good(vectors, name)
    chain = quote.parse(found.row.data).pck_chain
    assert found.accepts(rebuilt(found.row.data, b"".join(map(to_pem, chain))))
    draw = random.Random(name)
    for index, der in enumerate(chain):
        for bit in draw.sample(range(len(der) * 8), SAMPLE // 4):
            other = [*chain[:index], flipped(der, bit), *chain[index + 1 :]]
            data = rebuilt(found.row.data, b"".join(map(to_pem, other)))
            assert not found.accepts(data), (name, index, bit)


@pytest.mark.slow
@NAMES
def test_every_bit_of_every_real_quote(vectors: Path, name: str) -> None:
    if not os.environ.get("TROTH_ALL_BITS"):
        pytest.skip("slow: a minute each; set TROTH_ALL_BITS=1 to run it")
    found = _good(vectors, name)
    refuse_all(found, range(len(found.row.data) * 8))


@NAMES
def test_every_truncation(vectors: Path, name: str) -> None:
    found = _good(vectors, name)
    data = found.row.data
    for size in range(len(data)):
        assert not found.accepts(data[:size]), (name, size)
        if size > 48:
            with pytest.raises(Malformed):
                quote.parse(data[:size])
    for behind in (b"\1", b"\0\1", data):
        assert not found.accepts(data + behind)
    assert not found.accepts(b"\0" + data)


@NAMES
def test_what_says_the_same_is_accepted(vectors: Path, name: str) -> None:
    """The table above, made: each is accepted, and says exactly the same."""
    found = _good(vectors, name)
    data = found.row.data
    signed = len(quote.parse(data).signed)
    before = look(found.row, found.policy).presented
    pem = parts(data)[2].rstrip(b"\0")
    changed = [
        data[: signed + 36] + _negated(data[signed + 36 : signed + 68]) + data[signed + 68 :],
        data + bytes(100),
        rebuilt(data, pem + bytes(3)),
        rebuilt(data, pem.replace(b"\n", b"\r\n")),
    ]
    for other in changed:
        assert other != data
        assert found.accepts(other)
        assert look(replace(found.row, data=other), found.policy).presented == before


def _negated(s: bytes) -> bytes:
    return (P256_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("certification", [4, 5])
def test_some_bits_of_every_simulated_kind(kind: str, certification: int) -> None:
    case = good(kind, certification=certification)  # type: ignore[arg-type]
    whole = put(case.collateral, PKI.pck_chain())
    policy = pinned(case.data)

    def verdict(data: bytes) -> Verdict:
        return troth.appraise(
            data, policy=policy, at=NOW, nonce=NONCE, trust=PKI.roots(), collateral=whole
        ).verdict

    assert verdict(case.data) is Verdict.ACCEPTED
    bits = range(len(case.data) * 8)
    for bit in random.Random(kind).sample(bits, SAMPLE // 7):
        assert verdict(flipped(case.data, bit)) is not Verdict.ACCEPTED, (kind, bit // 8, bit % 8)


def test_some_bits_of_collateral() -> None:
    """Every bit of a document or list, and of its signer's certificate.

    What nothing signs: the letters of a signature's hex may be small or large. Beside a document, the
    root's certificate only has to have the root's key; beside a list no certificate is needed, and none
    is looked at: its authority is in the platform's chain.
    """
    case = good(KINDS[-1])
    policy = pinned(case.data)
    draw = random.Random("collateral")
    needed = [item for item in case.collateral.items if b'"id":"SGX"' not in item.data]
    needed = [item for item in needed if b'"id":"QE"' not in item.data]
    assert len(needed) == 4
    for item in needed:
        signer = item.chain.index(b"-----END")
        spans = {"data": len(item.data)}
        spans |= {"chain": signer} if item.data.startswith(b"{") else {}
        for part, size in spans.items():
            for bit in draw.sample(range(size * 8), SAMPLE // 8):
                old = getattr(item, part)
                new = flipped(old, bit)
                tail = old[bit // 8 :].removesuffix(b'"}')
                if tail.isalnum() and new.lower() == old.lower():  # in the signature's hex
                    continue
                changed = replace(item, **{part: new})
                items = tuple(changed if i is item else i for i in case.collateral.items)
                report = troth.appraise(
                    case.data,
                    policy=policy,
                    at=NOW,
                    nonce=NONCE,
                    trust=PKI.roots(),
                    collateral=Collateral(items=items),
                )
                assert report.verdict is not Verdict.ACCEPTED, (item.kind, part, bit // 8, bit % 8)
