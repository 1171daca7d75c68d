"""A TPM's signatures: each scheme with each hash, and what is none."""

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from troth.crypto import quoted
from troth.wire import tpm

HASHES = {tpm.SHA256: hashes.SHA256(), tpm.SHA384: hashes.SHA384(), tpm.SHA512: hashes.SHA512()}
RSA = rsa.generate_private_key(65537, 2048)
CURVES = [ec.generate_private_key(curve) for curve in (ec.SECP256R1(), ec.SECP384R1())]
SIGNED = b"what a TPM made"


def spki(key: object) -> bytes:
    return key.public_key().public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def made(scheme: int, number: int, key: object = RSA) -> tpm.Signature:
    chosen = HASHES[number]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(SIGNED, ec.ECDSA(chosen)))
        values = (r.to_bytes(48, "big"), s.to_bytes(48, "big"))
    else:
        assert isinstance(key, rsa.RSAPrivateKey)
        pss = padding.PSS(padding.MGF1(chosen), padding.PSS.MAX_LENGTH)
        how = pss if scheme == tpm.RSAPSS else padding.PKCS1v15()
        values = (key.sign(SIGNED, how, chosen),)
    return tpm.Signature(scheme=scheme, hash=number, values=values)


@pytest.mark.parametrize("number", HASHES)
def test_each_scheme_with_each_hash(number: int) -> None:
    for scheme in (tpm.RSASSA, tpm.RSAPSS):
        good = made(scheme, number)
        assert quoted.unsigned(spki(RSA), good, SIGNED) == ""
        assert quoted.unsigned(spki(RSA), good, SIGNED + b"!")
        for other in (tpm.RSASSA, tpm.RSAPSS, tpm.ECDSA):
            changed = tpm.Signature(scheme=other, hash=number, values=good.values * 2)
            assert bool(quoted.unsigned(spki(RSA), changed, SIGNED)) is (other != scheme)
    for key in CURVES:
        good = made(tpm.ECDSA, number, key)
        assert quoted.unsigned(spki(key), good, SIGNED) == ""
        assert quoted.unsigned(spki(key), good, SIGNED + b"!")
        changed = tpm.Signature(scheme=tpm.RSASSA, hash=number, values=good.values)
        assert quoted.unsigned(spki(key), changed, SIGNED)
        zero = tpm.Signature(scheme=tpm.ECDSA, hash=number, values=(bytes(32), bytes(32)))
        assert quoted.unsigned(spki(key), zero, SIGNED)


def test_a_signature_has_one_length() -> None:
    """OpenSSL takes one of RSA-PSS that lost its leading zero."""
    short = next(
        good
        for good in (made(tpm.RSAPSS, tpm.SHA256) for _ in range(20_000))
        if good.values[0][0] == 0
    )
    assert quoted.unsigned(spki(RSA), short, SIGNED) == ""
    for value in (short.values[0][1:], bytes(1) + short.values[0]):
        changed = tpm.Signature(scheme=tpm.RSAPSS, hash=tpm.SHA256, values=(value,))
        assert "should be 256" in quoted.unsigned(spki(RSA), changed, SIGNED)


def test_another_hash_than_the_signatures() -> None:
    good = made(tpm.RSASSA, tpm.SHA256)
    for number in (tpm.SHA384, tpm.SHA1):
        changed = tpm.Signature(scheme=tpm.RSASSA, hash=number, values=good.values)
        assert quoted.unsigned(spki(RSA), changed, SIGNED)


def test_keys_that_do_not_count() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    odd = rsa.generate_private_key(3, 2048)
    for key in (weak, odd):
        assert quoted.unsigned(spki(key), made(tpm.RSASSA, tpm.SHA256, key), SIGNED)
    other = ec.generate_private_key(ec.SECP521R1())
    assert quoted.unsigned(spki(other), made(tpm.RSASSA, tpm.SHA256), SIGNED)
    assert quoted.unsigned(b"no key", made(tpm.RSASSA, tpm.SHA256), SIGNED)


def test_digests_by_number() -> None:
    sizes = {number: len(quoted.digest(number, b"")) for number in tpm.BANKS}
    assert sizes == tpm.DIGESTS
