"""Two libraries, one answer: whatever AWS-LC is handed, OpenSSL must say the same of it.

What only one of them takes would be accepted or not by what is installed. So hostile forms of keys and of
signatures go to both, and to the first as `beside` hands them over.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from itertools import product
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto.asking import spki as spki_of
from tests.crypto.asking import words

from troth.crypto import beside, keys
from troth.crypto.beside import Asked

pytestmark = pytest.mark.native

MESSAGE = b"what is signed"
P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
P384 = 2**384 - 2**128 - 2**96 + 2**32 - 1
N256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
N384 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
SIZES = pytest.mark.parametrize("size", [32, 48])
# Of each curve, by the bytes of its numbers: curve, digest, prime, order, how a key begins, names.
CURVES = {
    32: (ec.SECP256R1(), hashes.SHA256(), P256, N256, keys.P256_HEAD),
    48: (ec.SECP384R1(), hashes.SHA384(), P384, N384, keys.P384_HEAD),
}
DER = {32: keys.ECDSA_SHA256, 48: keys.ECDSA_SHA384}
RAW = {32: keys.P256_RAW, 48: keys.P384_RAW}


def agreed(asked: Asked) -> bool:
    """What both libraries say; AWS-LC must have been asked."""
    first = beside.verifies(asked)
    with patch.object(beside, "native", lambda: None):
        second = not words(asked)
    assert first is second, f"AWS-LC {first}, OpenSSL {second}: {asked}"
    return second


@cache
def curve_key(size: int) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    key = ec.derive_private_key(0x5EED << 200 | 1, CURVES[size][0])
    return key, spki_of(key)


@cache
def signed(size: int) -> tuple[int, int]:
    made = curve_key(size)[0].sign(MESSAGE, ec.ECDSA(CURVES[size][1]))
    return utils.decode_dss_signature(made)


@cache
def rsa_key() -> tuple[rsa.RSAPrivateKey, bytes]:
    key = rsa.generate_private_key(65537, 4096)
    return key, spki_of(key)


def length(value: int, form: str) -> bytes:
    if form == "indefinite":
        return b"\x80"
    least = b"" if form == "short" else bytes(form == "padded") + value.to_bytes(1, "big")
    return bytes([0x80 | len(least)]) + least if least else bytes([value & 0x7F])


def integer(value: int, form: str) -> bytes:
    """An INTEGER as DER has it, or as only others would read it."""
    body = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
    if form == "unsigned":  # without the zero that keeps it from being negative
        body = body.lstrip(b"\0") or b"\0"
    elif form == "zero":
        body = b"\0" + body
    elif form == "ones":
        body = b"\xff" + body
    elif form == "empty":
        body = b""
    tag = b"\x82" if form == "tag" else b"\x02"
    return tag + length(len(body), form if form in ("long", "padded") else "short") + body


def sequence(body: bytes, form: str) -> bytes:
    """A SEQUENCE likewise."""
    body += {"inside": b"\x02\x01\x01", "indefinite": b"\0\0"}.get(form, b"")
    tag = b"\x31" if form == "set" else b"\x30"
    long = form if form in ("long", "padded", "indefinite") else "short"
    return tag + length(len(body), long) + body + (b"\0" if form == "after" else b"")


INTEGERS = ("der", "unsigned", "zero", "ones", "empty", "tag", "long", "padded")
SEQUENCES = ("der", "inside", "after", "set", "long", "padded", "indefinite")


@SIZES
def test_forms_of_ecdsa(size: int) -> None:
    r, s = signed(size)
    spki = curve_key(size)[1]
    good = 0
    for of_r, of_s, of_both in product(INTEGERS, INTEGERS, SEQUENCES):
        # 48 bytes each need no long length: a SEQUENCE of 102 bytes is short.
        made = sequence(integer(r, of_r) + integer(s, of_s), of_both)
        good += agreed(Asked(spki, DER[size], made, MESSAGE))
    assert good in (1, 2, 4)  # `unsigned` is DER where the first bit is not set
    whole = sequence(integer(r, "der") + integer(s, "der"), "der")
    for end in range(len(whole)):
        assert not agreed(Asked(spki, DER[size], whole[:end], MESSAGE))


def numbers(size: int) -> Iterator[tuple[int, int]]:
    """Pairs of numbers at which arithmetic has an edge."""
    r, s = signed(size)
    prime, order = CURVES[size][2:4]
    ends = (0, 1, 2, order - 1, order, order + 1, prime - 1, prime, prime + 1, 2 ** (8 * size) - 1)
    odd = (*ends, -r, -1, 2 ** (8 * size), 2**3000)
    yield from product((r, r + order, prime - r, *odd), (s, order - s, s + order, -s, *odd))


@SIZES
def test_numbers_of_ecdsa(size: int) -> None:
    r, s = signed(size)
    order, spki = CURVES[size][3], curve_key(size)[1]
    for pair in numbers(size):
        verifies = pair in ((r, s), (r, order - s))
        body = b"".join(integer(number, "der") for number in pair)
        head = b"" if len(body) < 128 else len(body).to_bytes(2, "big").lstrip(b"\0")
        of_both = bytes([0x80 | len(head)]) + head if head else bytes([len(body)])
        whole = Asked(spki, DER[size], b"\x30" + of_both + body, MESSAGE)
        assert agreed(whole) is verifies
        if all(0 <= number < 2 ** (8 * size) for number in pair):
            raw = b"".join(number.to_bytes(size, "big") for number in pair)
            assert agreed(Asked(spki, RAW[size], raw, MESSAGE)) is verifies


@SIZES
def test_points(size: int) -> None:
    """Off the curve, at its edges, and in numbers that only a remainder would make right."""
    prime, head = CURVES[size][2], CURVES[size][4]
    r, s = signed(size)
    raw = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    spki = curve_key(size)[1]
    x = int.from_bytes(spki[-2 * size : -size], "big")
    y = int.from_bytes(spki[-size:], "big")
    assert agreed(Asked(spki, RAW[size], raw, MESSAGE))
    top = 2 ** (8 * size) - 1
    ends = (0, 1, 2, 3, 5, prime - 3, prime - 1, prime, prime + 1, prime + 5, top)
    for point in product((x, *ends), (y, prime - y, *ends)):
        if point == (x, y):
            continue
        other = head + b"".join(number.to_bytes(size, "big") for number in point)
        for name, made in ((RAW[size], raw), (DER[size], utils.encode_dss_signature(r, s))):
            assert not agreed(Asked(other, name, made, MESSAGE))


@SIZES
def test_sums_with_an_edge(size: int) -> None:
    """Signatures whose two multiples are one point, or cancel each other: keys d = 1, 2 and n − 1."""
    curve, digest, _, order, _ = CURVES[size]
    hashed = hashlib.new(digest.name, MESSAGE).digest()
    e = int.from_bytes(hashed, "big")
    good = 0
    for d in (1, 2, order - 2, order - 1):
        key = ec.derive_private_key(d, curve)
        spki = spki_of(key)
        one_point = e * pow(d, -1, order) % order
        made = utils.decode_dss_signature(key.sign(MESSAGE, ec.ECDSA(digest)))
        for r in (one_point, order - one_point, 1, made[0]):
            for s in (1, 2, e % order, made[1]):
                raw = r.to_bytes(size, "big") + s.to_bytes(size, "big")
                good += agreed(Asked(spki, RAW[size], raw, MESSAGE))
    assert good == 4


def masked(*, salt: int, trailer: int = 0xBC, top: int = 0, one: int = 1, pad: int = 0) -> int:
    """EMSA-PSS of the message (RFC 8017, 9.1.1) in 512 bytes, and each way of being wrong in one."""
    random = bytes(range(256)) * 2
    m = bytes(8) + hashlib.sha384(MESSAGE).digest() + random[:salt]
    h = hashlib.sha384(m).digest()
    block = bytearray(bytes(512 - salt - 50) + bytes([one]) + random[:salt])
    block[1] ^= pad if salt < 400 else 0
    mask = b"".join(hashlib.sha384(h + n.to_bytes(4, "big")).digest() for n in range(10))
    db = bytearray(a ^ b for a, b in zip(block, mask, strict=False))
    db[0] = db[0] & 0x7F | top
    return int.from_bytes(bytes(db) + h + bytes([trailer]), "big")


@cache
def power(em: int) -> int:
    private = rsa_key()[0].private_numbers()
    one, other = pow(em, private.dmp1, private.p), pow(em, private.dmq1, private.q)
    return other + (one - other) * private.iqmp % private.p * private.q


def pss(made: bytes, spki: bytes = b"") -> bool:
    return agreed(Asked(spki or rsa_key()[1], keys.PSS_SHA384, made, MESSAGE))


def test_forms_of_pss() -> None:
    n = rsa_key()[0].public_key().public_numbers().n
    assert pss(power(masked(salt=48)).to_bytes(512, "big"))
    for salt in (0, 1, 20, 32, 47, 49, 64, 461, 462):
        assert not pss(power(masked(salt=salt)).to_bytes(512, "big"))
    for wrong in (
        {"trailer": 0xCC},
        {"one": 0},
        {"one": 2},
        {"pad": 1},
        {"pad": 0x80},
        {"top": 0x80},
    ):
        em = masked(salt=48, **wrong)
        assert em >= n or not pss(power(em).to_bytes(512, "big"))


def test_numbers_of_pss() -> None:
    n = rsa_key()[0].public_key().public_numbers().n
    right = power(masked(salt=48))
    for value in (0, 1, 2, n - 1, n, n + 1, n - right, right + n, 2**4096 - 1):
        if value < 2**4096:
            assert not pss(value.to_bytes(512, "big"))
    whole = right.to_bytes(512, "big")
    for made in (b"", b"\0" + whole, whole + b"\0", whole[:-1], whole[1:], whole.lstrip(b"\0")):
        assert pss(made) is (made == whole)


def test_a_signature_without_its_leading_zero() -> None:
    """RFC 8017, 8.1.2: its length is the modulus's. OpenSSL by itself takes a shorter one."""
    key, spki = rsa_key()
    salted = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)
    made = b"\1"
    while made[0]:  # one in 256 begins so
        made = key.sign(MESSAGE, salted, hashes.SHA384())
    assert pss(made, spki)
    for shorter in (made[1:], made.lstrip(b"\0")):
        assert not pss(shorter, spki)


def test_moduli() -> None:
    """Those that are no key's: even, a square, a prime alone, and all of one bit."""
    whole = power(masked(salt=48)).to_bytes(512, "big")
    n = rsa_key()[0].public_key().public_numbers().n
    half = 2**2048 - 1
    for modulus in (
        n - 1,
        n + 2,
        n ^ 2,
        2**4095,
        2**4095 + 1,
        2**4096 - 1,
        half * half | 1 << 4095,
    ):
        spki = keys.RSA4096_HEAD + modulus.to_bytes(512, "big") + keys.RSA4096_TAIL
        for made in (whole, bytes(512), bytes(511) + b"\1"):
            assert not pss(made, spki)


def test_a_modulus_whose_maker_can_sign_though_it_is_no_product_of_two_primes() -> None:
    p = rsa_key()[0].private_numbers().p
    made = pow(masked(salt=48), pow(65537, -1, p * (p - 1)), p * p).to_bytes(512, "big")
    spki = keys.RSA4096_HEAD + (p * p).to_bytes(512, "big") + keys.RSA4096_TAIL
    assert pss(made, spki)


CASES = (*(RAW[size] for size in RAW), *(DER[size] for size in DER), keys.PSS_SHA384)


@settings(max_examples=400, deadline=None)
@given(
    algorithm=st.sampled_from(CASES),
    part=st.integers(0, 2),
    at=st.integers(0, 2**16),
    value=st.binary(min_size=0, max_size=3),
    cut=st.integers(0, 3),
)
def test_any_change(algorithm: bytes, part: int, at: int, value: bytes, cut: int) -> None:
    """Bytes put in the place of others, in the point or the modulus, the signature, or what is signed."""
    spki, made = original(algorithm)
    parts = [spki, made, MESSAGE]
    heads = {32: len(keys.P256_HEAD), 48: len(keys.P384_HEAD), 0: len(keys.RSA4096_HEAD)}
    size = 32 if algorithm in (RAW[32], DER[32]) else 48 if algorithm in (RAW[48], DER[48]) else 0
    begin = heads[size] if part == 0 else 0
    at = begin + at % (len(parts[part]) - begin)
    cut = len(value) if part == 0 else cut
    before = parts[part]
    parts[part] = (before[:at] + value + before[at + cut :])[: len(before) if part == 0 else None]
    asked = Asked(parts[0], algorithm, parts[1], parts[2])
    if beside._check(asked) is not None:
        assert agreed(asked) is (parts == [spki, made, MESSAGE])


@cache
def original(algorithm: bytes) -> tuple[bytes, bytes]:
    if algorithm == keys.PSS_SHA384:
        key, spki = rsa_key()
        pss_48 = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)
        return spki, key.sign(MESSAGE, pss_48, hashes.SHA384())
    size = 32 if algorithm in (RAW[32], DER[32]) else 48
    r, s = signed(size)
    if algorithm == DER[size]:
        return curve_key(size)[1], utils.encode_dss_signature(r, s)
    return curve_key(size)[1], r.to_bytes(size, "big") + s.to_bytes(size, "big")
