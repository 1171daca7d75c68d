"""AWS-LC and OpenSSL with the same keys, among them such as nobody should write: the same words of both.

What AWS-LC accepts, OpenSSL is not asked for: so it must accept nothing that OpenSSL would refuse. What
it refuses and OpenSSL accepts would be told as two minds: so that must not happen either.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.crypto.asking import spki, words

from troth.crypto import beside, keys
from troth.crypto.beside import Asked

pytestmark = pytest.mark.native

TEXT = b"what is signed"
EC: dict[int, tuple[Any, Any, bytes, bytes]] = {
    32: (ec.SECP256R1(), hashes.SHA256(), keys.ECDSA_SHA256, keys.P256_RAW),
    48: (ec.SECP384R1(), hashes.SHA384(), keys.ECDSA_SHA384, keys.P384_RAW),
}
# Points in forms that OpenSSL reads, and that the library is not asked about.
OPENSSLS = ("the hybrid form", "compressed")


def both(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said without the library; the same must be said with it, asked ahead or not."""
    keys.load.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(beside, "native", lambda: None)
        alone = words(asked)
    assert words(asked) == alone
    other = asked._replace(signed=b"another")
    beside.begin((asked, other))
    assert words(asked) == alone
    beside._begun.clear()
    said = beside.verifies(asked)
    assert said in (None, not alone), (alone, said)
    return alone


def _tlv(tag: int, content: bytes) -> bytes:
    assert len(content) < 0x80
    return bytes((tag, len(content))) + content


def _points(good: bytes, size: int) -> Iterator[tuple[str, bytes]]:
    head, point = good[: -2 * size - 1], good[-2 * size - 1 :]
    x, y = point[1 : size + 1], point[size + 1 :]
    most = b"\xff" * size
    yield "not on the curve", head + b"\4" + x + y[:-1] + bytes((y[-1] ^ 1,))
    yield "zeros", head + b"\4" + bytes(2 * size)
    yield "beyond the field", head + b"\4" + most + y
    yield "beyond the field, y", head + b"\4" + x + most
    yield "exchanged", head + b"\4" + y + x
    yield "the hybrid form", head + bytes((6 | y[-1] & 1,)) + x + y
    short = ec.EllipticCurvePublicKey.from_encoded_point(EC[size][0], point).public_bytes(
        Encoding.X962, PublicFormat.CompressedPoint
    )
    names = _tlv(0x30, head[4:-3])  # the algorithm and the curve
    assert good == _tlv(0x30, names + _tlv(3, b"\0" + point))
    yield "compressed", _tlv(0x30, names + _tlv(3, b"\0" + short))
    yield "infinity, of its length", _tlv(0x30, names + _tlv(3, b"\0\0"))
    yield "infinity", head + b"\0"
    yield "one byte more", good + b"\0"
    yield "one byte less", good[:-1]
    yield "the bare point", point
    yield "nothing", b""
    yield "another key", spki(ec.generate_private_key(EC[size][0]))
    yield "the other curve's", spki(ec.generate_private_key(EC[80 - size][0]))
    yield "another kind", spki(rsa.generate_private_key(65537, 2048))


@pytest.mark.parametrize("size", EC)
def test_keys_on_curves(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    curve, digest, algorithm, raw = EC[size]
    key = ec.generate_private_key(curve)
    der = key.sign(TEXT, ec.ECDSA(digest))
    r, s = utils.decode_dss_signature(der)
    fixed = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    for name, public in _points(spki(key), size):
        for form, made in ((algorithm, der), (raw, fixed)):
            asked = Asked(public, form, made, TEXT)
            said = both(asked, monkeypatch)
            assert (said == "") is (name in OPENSSLS), (name, said)
            assert not said or beside.verifies(asked) is not True
            assert said or beside.verifies(asked) is None


@pytest.fixture(scope="module")
def large() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 4096)


def salted(key: rsa.RSAPrivateKey) -> bytes:
    digest = hashes.SHA384()
    return key.sign(TEXT, padding.PSS(padding.MGF1(digest), salt_length=48), digest)


def test_rsa_keys(large: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    good = spki(large)
    at = len(keys.RSA4096_HEAD)
    wrong = {
        "an even modulus": good[: at + 511] + bytes((good[at + 511] & 0xFE,)) + good[at + 512 :],
        "a modulus below zero": good[: at - 1] + b"\x80" + good[at:],
        "4095 bits": good[:at] + bytes((good[at] & 0x7F,)) + good[at + 1 :],
        "zeros": good[:at] + bytes(512) + good[at + 512 :],
        "ones": good[:at] + b"\xff" * 512 + good[at + 512 :],
        "the exponent 3": good[: at + 512] + b"\2\3\0\0\3",
        "the exponent 65536": good[:-1] + b"\0",
        "the exponent 1": good[: at + 512] + b"\2\3\0\0\1",
        "the exponent in another tag": good[: at + 512] + b"\4\3\1\0\1",
        "one byte more": good + b"\0",
        "one byte less": good[:-1],
        "another key": spki(rsa.generate_private_key(65537, 2048)),
    }
    made = salted(large)
    for name, public in wrong.items():
        assert both(Asked(public, keys.PSS_SHA384, made, TEXT), monkeypatch), name
        # What any exponent makes of these numbers is themselves.
        for fixed in (bytes(512), bytes(511) + b"\1"):
            assert both(Asked(public, keys.PSS_SHA384, fixed, TEXT), monkeypatch), name


@pytest.mark.parametrize("bits", [2048, 3072])
def test_smaller_rsa_keys_are_not_taken(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(65537, bits)
    said = both(Asked(spki(key), keys.PSS_SHA384, salted(key), TEXT), monkeypatch)
    assert said == "its issuer has no RSA-4096 key"


def test_another_exponent(monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(3, 4096)
    assert beside._check(Asked(spki(key), keys.PSS_SHA384, b"", b"")) is None
    said = both(Asked(spki(key), keys.PSS_SHA384, salted(key), TEXT), monkeypatch)
    assert said == "its issuer has no RSA-4096 key"


def test_an_exponent_of_the_same_length(
    large: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS-LC would take this key, and nobody else's verdict would: the whole tail of a key is looked at."""
    numbers = large.private_numbers()
    p, q, e = numbers.p, numbers.q, 65539
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    key = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    ).private_key()
    assert len(spki(key)) == len(spki(large))
    said = both(Asked(spki(key), keys.PSS_SHA384, salted(key), TEXT), monkeypatch)
    assert said == "its issuer has no RSA-4096 key"


P256, P384 = (spki(ec.generate_private_key(curve)) for curve, *_ in EC.values())


def test_keys_that_the_library_is_not_asked_about(large: rsa.RSAPrivateKey) -> None:
    """All but the point and the modulus is compared, to the bit; a key of each form is for its own schemes."""
    forms = {
        (keys.ECDSA_SHA256, keys.P256_RAW): (P256, range(len(P256) - 64)),
        (keys.ECDSA_SHA384, keys.P384_RAW): (P384, range(len(P384) - 96)),
        (keys.PSS_SHA384, keys.PSS_SHA384_SHORT): (
            spki(large),
            (*range(len(keys.RSA4096_HEAD)), *range(-len(keys.RSA4096_TAIL), 0)),
        ),
    }
    others = (keys.RSA_SHA256, keys.RSA_SHA384, keys.RSA_SHA512, b"", b"\x30\0")
    known = [algorithm for pair in forms for algorithm in pair]
    for mine, (good, fixed) in forms.items():
        for algorithm in mine:

            def asked(public: bytes, algorithm: bytes = algorithm) -> object:
                return beside._check(Asked(public, algorithm, b"signature", TEXT))

            assert asked(good) is not None
            for at in fixed:
                wrong = bytearray(good)
                wrong[at] ^= 1
                assert asked(bytes(wrong)) is None, at
            for wrong_size in (b"", good[:-1], good + b"\0", good + keys.RSA4096_TAIL, good * 2):
                assert asked(wrong_size) is None
            assert asked(good[: len(good) // 2] + good[len(good) // 2 + 1 :]) is None
            assert asked(good[:40] + b"\0" + good[40:]) is None
        for algorithm in (*others, *known):
            answer = beside._check(Asked(good, algorithm, b"signature", TEXT))
            assert (answer is not None) is (algorithm in mine)
    # A modulus of fewer bits, with a zero that DER does not have.
    at = len(keys.RSA4096_HEAD)
    short = spki(large)[:at] + b"\x7f" + spki(large)[at + 1 :]
    assert beside._check(Asked(short, keys.PSS_SHA384, b"signature", TEXT)) is None
