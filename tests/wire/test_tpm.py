"""A TPM's structures: real ones read whole; cut, grown and changed ones are refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.wire import tpm


def sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def quote(
    *,
    magic: int = tpm.GENERATED,
    kind: int = tpm.QUOTE,
    safe: int = 1,
    selections: bytes = b"",
    extra: bytes = b"nonce",
) -> bytes:
    chosen = selections or tpm.selected((tpm.Selection(algorithm=tpm.SHA256, pcrs=(0, 7, 23)),))
    return (
        magic.to_bytes(4, "big")
        + kind.to_bytes(2, "big")
        + sized(b"\0\x0b" + bytes(32))
        + sized(extra)
        + (5).to_bytes(8, "big")
        + (6).to_bytes(4, "big")
        + (7).to_bytes(4, "big")
        + bytes([safe])
        + (8).to_bytes(8, "big")
        + chosen
        + sized(bytes(32))
    )


def rsa_public(*, exponent: int = 0, bits: int = 2048, scheme: bytes = b"\0\x14\0\x0b") -> bytes:
    return (
        b"\0\1\0\x0b\0\5\0\x72"
        + sized(b"")
        + b"\0\x10"
        + scheme
        + bits.to_bytes(2, "big")
        + exponent.to_bytes(4, "big")
        + sized(b"\xc0" + bytes(254) + b"\1")
    )


def ecc_public() -> bytes:
    return (
        b"\0\x23\0\x0b\0\5\0\x72"
        + sized(bytes(32))
        + b"\0\x10\0\x18\0\x0b\0\3\0\x10"
        + sized(bytes(32))
        + sized(bytes(32))
    )


RSASSA_SIGNATURE = b"\0\x14\0\x0b" + sized(bytes(256))
ECDSA_SIGNATURE = b"\0\x18\0\x0b" + sized(bytes(32)) + sized(bytes(32))
READERS = (
    (tpm.attest, quote()),
    (tpm.signature, RSASSA_SIGNATURE),
    (tpm.signature, ECDSA_SIGNATURE),
    (tpm.public, rsa_public()),
    (tpm.public, ecc_public()),
    (tpm.selections, tpm.selected((tpm.Selection(algorithm=tpm.SHA384, pcrs=(1,)),))),
)


def test_a_quote_says_what_was_put_in() -> None:
    found = tpm.attest(quote())
    assert (found.clock, found.reset_count, found.restart_count) == (5, 6, 7)
    assert (found.safe, found.firmware_version, found.extra_data) == (True, 8, b"nonce")
    assert found.selections == (tpm.Selection(algorithm=tpm.SHA256, pcrs=(0, 7, 23)),)
    assert found.qualified_signer == b"\0\x0b" + bytes(32)
    assert found.pcr_digest == bytes(32)


def test_keys_say_what_was_put_in() -> None:
    found = tpm.public(rsa_public())
    assert isinstance(found.key, tpm.RsaKey)
    assert found.key.exponent == 65537
    assert (found.scheme, found.scheme_hash, found.attributes) == (tpm.RSASSA, 11, 0x00050072)
    other = tpm.public(rsa_public(exponent=3, scheme=b"\0\x10"))
    assert isinstance(other.key, tpm.RsaKey)
    assert (other.key.exponent, other.scheme) == (3, tpm.NULL)
    point = tpm.public(ecc_public())
    assert isinstance(point.key, tpm.EccKey)
    assert point.key.curve == tpm.P256
    assert tpm.signature(ECDSA_SIGNATURE).values == (bytes(32), bytes(32))


@pytest.mark.parametrize(("read", "data"), READERS)
def test_every_truncation_and_junk_at_the_end_is_malformed(read, data) -> None:
    read(data)
    for size in range(len(data)):
        with pytest.raises(Malformed):
            read(data[:size])
    for junk in (b"\0", bytes(5000)):
        with pytest.raises(Malformed):
            read(data + junk)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (quote(magic=0xFF544348), "magic"),
        (quote(kind=0x8014), "type"),
        (quote(kind=0x8017), "type"),
        (quote(safe=2), "safe"),
        (quote(extra=bytes(67)), "extra data's size"),
        (quote(selections=b"\0\0\0\x11"), "banks"),
        (quote(selections=b"\0\0\0\2" + 2 * b"\0\x0b\3\0\0\1"), "bank"),
        (quote(selections=b"\0\0\0\1\0\x0b\4\0\0\0\1"), "bitmap's size"),
        (quote(selections=b"\0\0\0\1\0\x12\3\0\0\1"), "bank"),
    ],
)
def test_a_quote_that_no_tpm_made(data: bytes, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        tpm.attest(data)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "data",
    [
        b"\0\x1a\0\x0b" + sized(bytes(32)),
        b"\0\x14\0\x10" + sized(bytes(256)),
        b"\0\x14\0\x0b" + sized(bytes(513)),
    ],
)
def test_a_signature_of_another_kind(data: bytes) -> None:
    with pytest.raises(Malformed):
        tpm.signature(data)


@pytest.mark.parametrize("data", [rsa_public(bits=3072), b"\0\x25" + rsa_public()[2:]])
def test_a_public_area_of_another_kind(data: bytes) -> None:
    with pytest.raises(Malformed):
        tpm.public(data)


@given(pcrs=st.sets(st.integers(0, 23)), bank=st.sampled_from(sorted(tpm.BANKS)))
def test_selections_come_back(pcrs: set[int], bank: int) -> None:
    one = tpm.Selection(algorithm=bank, pcrs=tuple(sorted(pcrs)))
    assert tpm.selections(tpm.selected((one,))) == (one,)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    for read, head in (
        (tpm.attest, b"\xffTCG\x80\x18"),
        (tpm.public, b"\0\1"),
        (tpm.signature, b""),
    ):
        with pytest.raises(Malformed):
            read(head + data + b"\xff" * 3)


def test_real_structures_read_whole(vectors: Path) -> None:
    folder = vectors / "tpm" / "gce-cos-85"
    public = tpm.public((folder / "ak.tpmt_public").read_bytes())
    assert public.attributes & tpm.RESTRICTED
    quotes = json.loads((folder / "quotes.json").read_text())
    for row in quotes:
        found = tpm.attest(bytes.fromhex(row["attest"]))
        assert [tpm.BANKS[s.algorithm] for s in found.selections] == [row["bank"]]
        assert set(map(str, found.selections[0].pcrs)) == row["pcrs"].keys()
        signature = tpm.signature(bytes.fromhex(row["signature"]))
        assert (signature.scheme, signature.hash) == (tpm.RSASSA, tpm.SHA256)


def test_keys_as_certificates_have_them() -> None:
    point = ecc_public()
    assert tpm.spki(tpm.public(point))[-64:] == bytes(64)
    other = point.replace(b"\0\x18\0\x0b\0\3", b"\0\x18\0\x0b\0\5")
    short = point.replace(b"\0\x20" + bytes(32), b"\0\x1f" + bytes(31))
    for data in (other, short):
        with pytest.raises(Malformed, match="P-256"):
            tpm.spki(tpm.public(data))
    derived = point.replace(b"\0\3\0\x10", b"\0\3\0\x20\0\x0b")
    assert tpm.public(derived).key == tpm.public(point).key
    with pytest.raises(Malformed, match="should be RSA or ECC"):
        tpm.public(b"\0\x08" + point[2:])
