"""Public keys in PEM: of three kinds, each with its one form of signature."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from hypothesis import given
from hypothesis import strategies as st
from tests.release.supplied import public_pem

from troth.crypto import public
from troth.errors import Malformed, Misuse

ED = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())


@pytest.mark.parametrize("key", [P256, P384])
def test_ecdsa_takes_the_digest_of_its_curve(
    key: ec.EllipticCurvePrivateKey,
) -> None:
    mine = public.from_pem(public_pem(key))
    assert mine.digest is not None
    good = key.sign(b"data", ec.ECDSA(mine.digest))
    assert mine.verify(good, b"data") == ""
    assert "does not verify" in mine.verify(good, b"other")
    other = public.of((P384 if key is P256 else P256).public_key())
    assert other.digest is not None
    assert mine.verify(key.sign(b"data", ec.ECDSA(other.digest)), b"data")
    r, s = utils.decode_dss_signature(good)
    raw = r.to_bytes(mine.size, "big") + s.to_bytes(mine.size, "big")
    assert mine.verify(raw, b"data")
    assert mine.settled(raw) == good == mine.settled(good)


def test_ed25519_takes_the_bytes() -> None:
    mine = public.of(ED.public_key())
    assert mine.digest is None
    good = ED.sign(b"data")
    assert mine.verify(good, b"data") == ""
    assert mine.verify(good, b"other") == mine.verify(good[:-1], b"data") != ""
    assert mine.settled(good) == good


def test_a_key_is_named_by_its_digest() -> None:
    names = {public.of(key.public_key()).id for key in (ED, P256, P384)}
    assert len(names) == 3
    assert all(len(name) == 64 for name in names)
    assert public.from_pem(public_pem(ED)) == public.of(ED.public_key())
    assert public.of(ED.public_key()) != public.of(P256.public_key())


def test_what_is_no_public_key_of_these_kinds() -> None:
    with pytest.raises(Malformed, match="no public key in PEM"):
        public.from_pem(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    private = ED.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(Misuse, match="is a private key"):
        public.from_pem(private)
    other = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(Misuse, match="of a kind that is not used"):
        public.from_pem(public_pem(other))
    with pytest.raises(Misuse, match="of a kind that is not used"):
        public.of(object())


def test_a_file_with_two_keys_is_none() -> None:
    """Else who names it would believe that both must have signed."""
    with pytest.raises(Malformed, match="more than one key"):
        public.from_pem(public_pem(ED) + public_pem(P256))


@given(st.binary(max_size=120))
def test_any_bytes_are_no_signature(data: bytes) -> None:
    for key in (ED, P256, P384):
        assert public.of(key.public_key()).verify(data, b"data")
