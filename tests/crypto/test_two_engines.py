"""AWS-LC and OpenSSL on the same bytes: keys, signatures and encodings as nobody should write them.

What AWS-LC accepts, OpenSSL is not asked for: so it must accept nothing that OpenSSL would refuse. What
it refuses and OpenSSL accepts would be told as two minds: so that must not happen either.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.crypto import beside, keys, signature
from troth.crypto.beside import Asked

pytestmark = pytest.mark.native

TEXT = b"what is signed"
EC: dict[int, tuple[Any, Any, bytes, bytes, int]] = {
    32: (
        ec.SECP256R1(),
        hashes.SHA256(),
        keys.ECDSA_SHA256,
        keys.P256_RAW,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
    48: (
        ec.SECP384R1(),
        hashes.SHA384(),
        keys.ECDSA_SHA384,
        keys.P384_RAW,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
}
GOOD = "as it should be"
# What is not written so, and verifies nevertheless.
ALSO = (GOOD, "the other s")
# Points in forms that OpenSSL reads, and that the library is not asked about.
OPENSSLS = ("the hybrid form", "compressed")


def spki(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def checked(asked: Asked) -> str:
    if asked.algorithm == keys.P256_RAW:
        return signature.ecdsa_p256_raw(asked.spki, asked.signature, asked.signed)
    if asked.algorithm == keys.P384_RAW:
        return signature.ecdsa_p384_raw(asked.spki, asked.signature, asked.signed)
    return signature.verify(asked.spki, asked.algorithm, asked.signature, asked.signed)


def both(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said without the library; the same must be said with it, asked ahead or not."""
    keys.load.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(beside, "native", lambda: None)
        alone = checked(asked)
    assert checked(asked) == alone
    other = asked._replace(signed=b"another")
    beside.begin((asked, other))
    assert checked(asked) == alone
    beside._begun.clear()
    said = beside.verifies(asked)
    assert said in (None, not alone), (alone, said)
    return alone


def _tlv(tag: int, content: bytes, *, long: bool = False) -> bytes:
    size = len(content)
    head = bytes((0x81, size)) if long or size >= 0x80 else bytes((size,))
    return bytes((tag,)) + head + content


def _number(value: int, pad: int = 0) -> bytes:
    size = max(value.bit_length() // 8 + 1, 1) + pad
    return _tlv(2, value.to_bytes(size, "big"))


def _encodings(r: int, s: int, order: int) -> Iterator[tuple[str, bytes]]:
    a, b = _number(r), _number(s)
    plain = _tlv(0x30, a + b)
    yield GOOD, plain
    yield "the other s", _tlv(0x30, a + _number(order - s))
    yield "zeros before r", _tlv(0x30, _number(r, 1) + b)
    yield "zeros before s", _tlv(0x30, a + _number(s, 2))
    yield "a long length", _tlv(0x30, a + b, long=True)
    yield "a long length inside", _tlv(0x30, _tlv(2, a[2:], long=True) + b)
    yield "something behind", plain + b"\0"
    yield "something behind inside", _tlv(0x30, a + b + b"\5\0")
    yield "no end", b"\x30\x80" + a + b + b"\0\0"
    yield "cut", plain[:-1]
    yield "nothing", b""
    yield "an empty sequence", b"\x30\0"
    yield "one number", _tlv(0x30, a)
    yield "three numbers", _tlv(0x30, a + b + b)
    yield "a set", _tlv(0x31, a + b)
    yield "numbers as octets", _tlv(0x30, _tlv(4, a[2:]) + b)
    yield "r below zero", _tlv(0x30, _tlv(2, b"\xff" + a[2:]) + b)
    yield "no sign byte", _tlv(0x30, _tlv(2, a[2:].lstrip(b"\0")) + _tlv(2, b"\x80" + b[3:]))
    yield "empty numbers", _tlv(0x30, _tlv(2, b"") + _tlv(2, b""))
    yield "r and s exchanged", _tlv(0x30, b + a)
    for name, x, y in _ranges(r, s, order):
        yield name, _tlv(0x30, _number(x) + _number(y))
    yield "as r ‖ s", r.to_bytes(48, "big") + s.to_bytes(48, "big")


def _ranges(r: int, s: int, order: int) -> Iterator[tuple[str, int, int]]:
    yield "r is zero", 0, s
    yield "s is zero", r, 0
    yield "both are zero", 0, 0
    yield "both are one", 1, 1
    yield "r is the order", order, s
    yield "s is the order", r, order
    yield "r beyond the order", r + order, s
    yield "s beyond the order", r, s + order
    yield "s is the last", r, order - 1


def _raws(r: int, s: int, order: int, size: int) -> Iterator[tuple[str, bytes]]:
    def raw(x: int, y: int) -> bytes:
        return x.to_bytes(size + 1, "big")[-size:] + y.to_bytes(size + 1, "big")[-size:]

    yield GOOD, raw(r, s)
    yield "the other s", raw(r, order - s)
    for name, x, y in _ranges(r, s, order):
        yield name, raw(x, y)
    yield "exchanged", raw(s, r)
    yield "from the lowest byte on", raw(r, s)[:size][::-1] + raw(r, s)[size:][::-1]
    yield "cut", raw(r, s)[:-1]
    yield "longer", raw(r, s) + b"\0"
    yield "nothing", b""
    yield "DER", _tlv(0x30, _number(r) + _number(s))


@pytest.mark.parametrize("size", EC)
def test_encodings_of_ecdsa(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    curve, digest, algorithm, raw, order = EC[size]
    for _ in range(4):  # numbers with and without a sign byte
        key = ec.generate_private_key(curve)
        r, s = utils.decode_dss_signature(key.sign(TEXT, ec.ECDSA(digest)))
        for name, made in _encodings(r, s, order):
            said = both(Asked(spki(key), algorithm, made, TEXT), monkeypatch)
            assert (said == "") is (name in ALSO), (name, said)
        for name, made in _raws(r, s, order, size):
            said = both(Asked(spki(key), raw, made, TEXT), monkeypatch)
            assert (said == "") is (name in ALSO), (name, said)


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
    curve, digest, algorithm, raw, _ = EC[size]
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


def test_what_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """From nothing to more than is begun ahead; and a signature is of its own text and algorithm alone."""
    for curve, digest, algorithm, _, _ in EC.values():
        key = ec.generate_private_key(curve)
        for text in (b"", b"a", bytes(64 * 1024), bytes(64 * 1024 + 1), bytes(300_000)):
            made = key.sign(text, ec.ECDSA(digest))
            assert both(Asked(spki(key), algorithm, made, text), monkeypatch) == ""
            assert both(Asked(spki(key), algorithm, made, text + b"b"), monkeypatch)
            assert both(Asked(spki(key), algorithm, text[:99], made), monkeypatch)
        other = hashes.SHA384() if digest.name == "sha256" else hashes.SHA256()
        made = key.sign(TEXT, ec.ECDSA(other))
        assert both(Asked(spki(key), algorithm, made, TEXT), monkeypatch)


@pytest.fixture(scope="module")
def large() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 4096)


def _pss(digest: Any, salt: int, mask: Any = None) -> Callable[[rsa.RSAPrivateKey], bytes]:
    how = padding.PSS(padding.MGF1(mask or digest), salt_length=salt)
    return lambda key: key.sign(TEXT, how, digest)


SHA384, SHA256 = hashes.SHA384(), hashes.SHA256()
PSS = {
    GOOD: _pss(SHA384, 48),
    "no salt": _pss(SHA384, 0),
    "a short salt": _pss(SHA384, 20),
    "a salt of 47 bytes": _pss(SHA384, 47),
    "a salt of 49 bytes": _pss(SHA384, 49),
    "the longest salt": _pss(SHA384, 462),
    "another hash": _pss(SHA256, 32),
    "another hash, this salt": _pss(SHA256, 48),
    "another mask": _pss(SHA384, 48, SHA256),
    "PKCS#1": lambda key: key.sign(TEXT, padding.PKCS1v15(), SHA384),
    "zeros": lambda _: bytes(512),
    "one": lambda _: bytes(511) + b"\1",
    "ones": lambda _: b"\xff" * 512,
    "nothing": lambda _: b"",
    "the modulus": lambda key: key.public_key().public_numbers().n.to_bytes(512, "big"),
    "one byte less": lambda key: _pss(SHA384, 48)(key)[:-1],
    "one byte more": lambda key: _pss(SHA384, 48)(key) + b"\0",
    "a zero before": lambda key: b"\0" + _pss(SHA384, 48)(key),
}


@pytest.mark.parametrize("algorithm", [keys.PSS_SHA384, keys.PSS_SHA384_SHORT])
def test_pss(large: rsa.RSAPrivateKey, algorithm: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, sign in PSS.items():
        said = both(Asked(spki(large), algorithm, sign(large), TEXT), monkeypatch)
        assert (said == "") is (name == GOOD), (name, said)
    good = PSS[GOOD](large)
    assert both(Asked(spki(large), algorithm, good, TEXT + b"s"), monkeypatch)
    beyond = int.from_bytes(good, "big") + large.public_key().public_numbers().n
    for more in (512, 513):
        if beyond.bit_length() <= 8 * more:
            made = beyond.to_bytes(more, "big")
            assert both(Asked(spki(large), algorithm, made, TEXT), monkeypatch)


def test_signatures_that_begin_with_zero(
    large: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers have no leading zeros, signatures do: without them they are of another length."""
    made = next(made for _ in range(20_000) if (made := PSS[GOOD](large))[0] == 0)
    assert both(Asked(spki(large), keys.PSS_SHA384, made, TEXT), monkeypatch) == ""
    assert both(Asked(spki(large), keys.PSS_SHA384, made[1:], TEXT), monkeypatch)


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
    made = PSS[GOOD](large)
    for name, public in wrong.items():
        assert both(Asked(public, keys.PSS_SHA384, made, TEXT), monkeypatch), name
        # What any exponent makes of these numbers is themselves.
        for fixed in (bytes(512), bytes(511) + b"\1"):
            assert both(Asked(public, keys.PSS_SHA384, fixed, TEXT), monkeypatch), name


@pytest.mark.parametrize("bits", [2048, 3072])
def test_smaller_rsa_keys_are_not_taken(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(65537, bits)
    said = both(Asked(spki(key), keys.PSS_SHA384, PSS[GOOD](key), TEXT), monkeypatch)
    assert said == "its issuer has no RSA-4096 key"


def test_another_exponent(monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(3, 4096)
    assert beside._check(Asked(spki(key), keys.PSS_SHA384, b"", b"")) is None
    said = both(Asked(spki(key), keys.PSS_SHA384, PSS[GOOD](key), TEXT), monkeypatch)
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
    said = both(Asked(spki(key), keys.PSS_SHA384, PSS[GOOD](key), TEXT), monkeypatch)
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


ENDS = tuple(
    Asked(spki(key), algorithm, key.sign(TEXT, ec.ECDSA(digest)), TEXT)
    for curve, digest, algorithm, _, _ in EC.values()
    for key in (ec.generate_private_key(curve),)
)
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(("set", "insert", "remove")), st.integers(0, 255)),
    min_size=1,
    max_size=3,
)


def edited(data: bytes, edits: list[tuple[float, str, int]]) -> bytes:
    changed = bytearray(data)
    for where, how, byte in edits:
        at = min(int(where * len(changed)), len(changed) - 1)
        if how == "set":
            changed[at] = byte
        elif how == "insert":
            changed.insert(at, byte)
        else:
            del changed[at]
    return bytes(changed)


@settings(max_examples=400)
@given(good=st.sampled_from(ENDS), part=st.sampled_from(Asked._fields), edits=EDITS)
def test_any_change_of_any_part(
    good: Asked, part: str, edits: list[tuple[float, str, int]]
) -> None:
    """Whatever is changed, both say the same; and hardly anything is accepted: what reads as the same."""
    asked = good._replace(**{part: edited(getattr(good, part), edits)})
    with pytest.MonkeyPatch.context() as patch:
        said = both(asked, patch)
    assert said or asked == good or part == "spki"
