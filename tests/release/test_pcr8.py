"""A signature is made in one place and put into the image in another; nothing wrong comes out of either."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro.signer import (
    CURVES,
    DAY,
    NOW,
    Identity,
    identity,
    image,
    signature,
    with_section,
)

from troth.errors import Malformed, Misuse
from troth.platforms.nitro.measure import measure, pcr8
from troth.platforms.nitro.signature import Algorithm
from troth.release.pcr8 import attach, sign
from troth.wire import eif, eif_signature
from troth.wire.eif import Kind

BY = identity()
IMAGE = image()
SIGNED = signature(IMAGE, BY)


class Answers:
    """A key that gives what it is told to."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def sign(self, data: bytes, algorithm: Algorithm) -> bytes:
        del data, algorithm
        return self.answer


class Raw:
    """A key that gives r ‖ s."""

    def __init__(self, by: Identity) -> None:
        self.by = by

    def sign(self, data: bytes, algorithm: Algorithm) -> bytes:
        r, s = utils.decode_dss_signature(self.by.key.sign(data, algorithm))
        return r.to_bytes(algorithm.size) + s.to_bytes(algorithm.size)


@pytest.mark.parametrize("name", CURVES)
def test_from_key_to_image(name: str) -> None:
    by = identity(ec.generate_private_key(CURVES[name]))
    for key in (by.key, Raw(by)):
        section = sign(measure(IMAGE).pcr0, pem=by.pem, key=key, at=NOW)
        signed = eif.read(eif.pack(attach(IMAGE, section, at=NOW)))
        before, after = measure(IMAGE), measure(signed)
        assert (after.pcr0, after.pcr1, after.pcr2) == (before.pcr0, before.pcr1, before.pcr2)
        assert before.pcr8 is None
        assert after.pcr8 == pcr8(by.der)
        assert signed.sections[-1].kind is Kind.SIGNATURE
        assert (signed.default_memory, signed.default_cpus) == (1 << 30, 2)


def test_another_takes_its_place() -> None:
    other = identity()
    first = attach(IMAGE, SIGNED, at=NOW)
    second = attach(first, signature(IMAGE, other), at=NOW)
    assert measure(second).pcr8 == pcr8(other.der)
    assert eif.pack(attach(second, SIGNED, at=NOW)) == eif.pack(first)


def test_one_that_is_not_last_moves_to_the_end() -> None:
    section = eif.Section(kind=Kind.SIGNATURE, pieces=(SIGNED,))
    sections = (IMAGE.sections[0], section, *IMAGE.sections[1:])
    read = eif.read(eif.pack(replace(IMAGE, sections=sections)))
    assert eif.pack(attach(read, SIGNED, at=NOW)) == eif.pack(attach(IMAGE, SIGNED, at=NOW))


def test_a_broken_one_is_replaced() -> None:
    broken = with_section(IMAGE, b"junk")
    assert eif.pack(attach(broken, SIGNED, at=NOW)) == eif.pack(attach(IMAGE, SIGNED, at=NOW))


def test_a_certificate_out_of_its_time() -> None:
    for at, words in ((NOW - 2 * DAY, "not valid before"), (NOW + 2 * DAY, "expired")):
        with pytest.raises(Misuse, match=words) as caught:
            sign(measure(IMAGE).pcr0, pem=BY.pem, key=BY.key, at=at)
        assert caught.value.fix
        with pytest.raises(Misuse, match=words) as caught:
            attach(IMAGE, SIGNED, at=at)
        assert caught.value.fix


def test_another_images_signature() -> None:
    with pytest.raises(Misuse, match="over another image") as caught:
        attach(image(b"other"), SIGNED, at=NOW)
    assert "troth release sign" in caught.value.fix


def test_another_keys_certificate() -> None:
    with pytest.raises(Misuse, match="not that of the certificate") as caught:
        sign(measure(IMAGE).pcr0, pem=BY.pem, key=identity().key, at=NOW)
    assert "ES384" in caught.value.fix
    on_another_curve = identity(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(Misuse):
        sign(measure(IMAGE).pcr0, pem=BY.pem, key=on_another_curve.key, at=NOW)


@pytest.mark.parametrize(
    "answer",
    [b"", b"\n", b"junk", bytes(96), bytes(95), b"0\x06\x02\x01\x00\x02\x01\x00", b"\x30" * 4096],
)
def test_what_is_no_signature(answer: bytes) -> None:
    with pytest.raises(Misuse) as caught:
        sign(measure(IMAGE).pcr0, pem=BY.pem, key=Answers(answer), at=NOW)
    assert caught.value.fix


@given(st.binary(max_size=120))
def test_no_answer_of_a_key_gets_through(answer: bytes) -> None:
    with pytest.raises(Misuse):
        sign(measure(IMAGE).pcr0, pem=BY.pem, key=Answers(answer), at=NOW)


def test_a_line_end_after_the_signature_is_no_signature() -> None:
    key = Raw(BY)
    data = b"x"
    made = key.sign(data, _es384())
    with pytest.raises(Misuse, match="97 bytes that are no signature"):
        sign(measure(IMAGE).pcr0, pem=BY.pem, key=Answers(made + b"\n"), at=NOW)


def _es384() -> Algorithm:
    from troth.platforms.nitro.signature import ES384

    return ES384


def test_certificates_that_cannot_sign() -> None:
    for pem in (b"", b"junk", BY.pem * 2, b"text\n" + BY.pem, BY.key_pem()):
        with pytest.raises(Malformed):
            sign(measure(IMAGE).pcr0, pem=pem, key=BY.key, at=NOW)


def test_one_with_too_much_in_it() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    made = (
        x509.CertificateBuilder()
        .subject_name(BY.certificate.subject)
        .issuer_name(BY.certificate.subject)
        .public_key(BY.private.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(15000)), critical=False
        )
        .sign(BY.private, hashes.SHA384())
    )
    with pytest.raises(Misuse, match="32768 are allowed"):
        sign(measure(IMAGE).pcr0, pem=Identity(BY.private, made).pem, key=BY.key, at=NOW)


def test_signatures_that_are_none() -> None:
    for junk in (b"", b"junk", SIGNED[:-1], SIGNED + b"\0"):
        with pytest.raises(Malformed):
            attach(IMAGE, junk, at=NOW)


def test_an_older_image_takes_none() -> None:
    without = tuple(s for s in IMAGE.sections if s.kind is not Kind.METADATA)
    with pytest.raises(Misuse, match="version 3"):
        attach(replace(IMAGE, sections=without, version=3), SIGNED, at=NOW)


def test_an_image_without_room_for_it() -> None:
    more = tuple(IMAGE.sections[-1] for _ in range(32 - len(IMAGE.sections)))
    full = replace(IMAGE, sections=IMAGE.sections + more)
    with pytest.raises(Malformed, match="33"):
        attach(full, signature(full, BY), at=NOW)


def test_metadata_may_change_after_signing() -> None:
    signed = attach(IMAGE, SIGNED, at=NOW)
    changed = tuple(
        replace(s, pieces=(b'{"other":1}',)) if s.kind is Kind.METADATA else s
        for s in signed.sections
    )
    other = replace(signed, sections=changed)
    assert measure(other) == measure(signed)
    assert eif_signature.read(SIGNED).value == measure(other).pcr0
