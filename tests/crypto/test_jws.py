"""The three algorithms of tokens, each with its own kind of key and no other."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from troth.crypto import jws

KEY = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP384R1())
PSS = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)


def spki(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def raw(signature: bytes) -> bytes:
    r, s = utils.decode_dss_signature(signature)
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


GOOD = {
    "RS256": (spki(KEY), KEY.sign(b"a", padding.PKCS1v15(), hashes.SHA256())),
    "PS384": (spki(KEY), KEY.sign(b"a", PSS, hashes.SHA384())),
    "ES384": (spki(CURVE), raw(CURVE.sign(b"a", ec.ECDSA(hashes.SHA384())))),
}


@pytest.mark.parametrize("alg", GOOD)
def test_each_under_its_own_name(alg: str) -> None:
    key, signature = GOOD[alg]
    assert jws.refused(alg, key) == ""
    assert jws.verify(alg, key, signature, b"a") == ""
    assert jws.verify(alg, key, signature, b"b")
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(len(signature)), b"\0" + signature):
        assert jws.verify(alg, key, wrong, b"a")
    for other in {*GOOD, "none", "HS256", "RS384", "ES256", "rs256", ""} - {alg}:
        assert jws.verify(other, key, signature, b"a")


def test_salts_digests_and_curves_of_others() -> None:
    for salt in (0, 20, 32, padding.PSS.MAX_LENGTH):
        scheme = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=salt)
        assert jws.verify("PS384", spki(KEY), KEY.sign(b"a", scheme, hashes.SHA384()), b"a")
    for digest in (hashes.SHA1(), hashes.SHA384(), hashes.SHA512()):  # noqa: S303 - to be refused
        signature = KEY.sign(b"a", padding.PKCS1v15(), digest)
        assert jws.verify("RS256", spki(KEY), signature, b"a")
    for digest in (hashes.SHA256(), hashes.SHA512()):
        assert jws.verify("ES384", spki(CURVE), raw(CURVE.sign(b"a", ec.ECDSA(digest))), b"a")
    for curve in (ec.SECP256R1(), ec.SECP521R1()):
        key = ec.generate_private_key(curve)
        assert "P-384" in jws.refused("ES384", spki(key))
        assert "RSA" in jws.refused("RS256", spki(key))


@pytest.mark.parametrize(
    ("bits", "exponent"),
    [(1024, 65537), (2040, 65537), (2048, 3)],
)
def test_weak_keys(bits: int, exponent: int) -> None:
    key = rsa.generate_private_key(exponent, bits)
    for alg in ("RS256", "PS384"):
        assert jws.refused(alg, spki(key))
    signature = key.sign(b"a", padding.PKCS1v15(), hashes.SHA256())
    assert jws.verify("RS256", spki(key), signature, b"a").startswith("the key has")


@pytest.mark.parametrize("data", [b"", b"\x30\0", bytes(300), spki(KEY)[:-1], spki(CURVE)[1:]])
def test_keys_that_are_none(data: bytes) -> None:
    for alg in GOOD:
        assert "cannot be read" in jws.refused(alg, data)
