"""Revocation lists: whole ones of one encoding, and nobody's number gets lost in them."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.der import children, der, seq

from troth.errors import Malformed
from troth.wire import crl

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = library.Name([library.NameAttribute(NameOID.COMMON_NAME, "an authority")])
BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SERIALS = (1, 0x7F, 0x80, 0xFFFF, 1 << 158)


def made(*serials: int) -> bytes:
    builder = (
        library.CertificateRevocationListBuilder()
        .issuer_name(NAME)
        .last_update(BEGIN)
        .next_update(BEGIN + timedelta(days=30))
        .add_extension(library.CRLNumber(7), critical=False)
    )
    for serial in serials:
        entry = library.RevokedCertificateBuilder().serial_number(serial).revocation_date(BEGIN)
        reason = library.CRLReason(library.ReasonFlags.key_compromise)
        builder = builder.add_revoked_certificate(entry.add_extension(reason, False).build())
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


DER = made(*SERIALS)
TBS, ALGORITHM, BITS = children(DER)
VERSION, INNER, ISSUER, THIS, NEXT, REVOKED, EXTENSIONS = PARTS = children(TBS)
NUMBER, DATE, ENTRY_EXTENSIONS = children(children(REVOKED)[0])


def with_part(index: int, part: bytes) -> bytes:
    return seq(seq(*PARTS[:index], part, *PARTS[index + 1 :]), ALGORITHM, BITS)


def with_entry(*parts: bytes) -> bytes:
    return with_part(5, seq(seq(*parts)))


def test_every_field() -> None:
    found = crl.read(DER)
    assert found.signed == TBS
    assert found.algorithm == ALGORITHM
    assert BITS.endswith(found.signature)
    assert found.issuer == NAME.public_bytes()
    assert (found.this_update, found.next_update) == (BEGIN, BEGIN + timedelta(days=30))
    assert found.revoked() == set(SERIALS)
    for serial in SERIALS:
        assert found.revokes(serial)
    for serial in (0, 2, 0x81, 0x80FF, 0xFFFE, 1 << 157, 1 << 159):
        assert not found.revokes(serial)


def test_an_empty_list() -> None:
    found = crl.read(made())
    assert found.entries == b""
    assert found.revoked() == frozenset()
    assert not found.revokes(1)
    bare = crl.read(seq(seq(*PARTS[:5]), ALGORITHM, BITS))
    assert bare.revoked() == frozenset()


def test_a_number_is_not_found_inside_of_another() -> None:
    """The quick search is for bytes; what it finds is looked at as a number."""
    inside = int.from_bytes(b"\x02\x01\x05", "big")
    found = crl.read(made(inside))
    assert found.revokes(inside)
    assert not found.revokes(5)


@given(
    serials=st.lists(st.integers(1, (1 << 159) - 1), max_size=20, unique=True),
    asked=st.integers(-1 << 159, 1 << 159),
)
def test_the_quick_search_agrees_with_the_walk(serials: list[int], asked: int) -> None:
    found = crl.read(made(*serials))
    for serial in (*serials, asked):
        assert found.revokes(serial) is (serial in serials)
    assert found.revoked() == set(serials)


@pytest.mark.parametrize("serial", [-1, -0x80, -0x81, -1 << 150])
def test_a_number_below_zero(serial: int) -> None:
    """Certificates may have one, and lists may not: who is on such a list is not passed over."""
    assert not crl.read(made(*SERIALS)).revokes(serial)
    size = (~serial).bit_length() // 8 + 1
    found = crl.read(with_entry(der(0x02, serial.to_bytes(size, "big", signed=True)), DATE))
    with pytest.raises(Malformed):
        found.revokes(serial)


CRITICAL = seq(b"\6\3\x55\x1d\x1c", b"\1\1\xff", der(0x04, seq()))
WRONG = {
    "empty": b"",
    "bytes behind": DER + b"\0",
    "bytes behind, inside": seq(TBS, ALGORITHM, BITS, b"\5\0"),
    "an indefinite length": b"\x30\x80" + TBS + ALGORITHM + BITS + b"\0\0",
    "a length in a longer form": b"\x30\x83\0" + DER[2:],
    "version 1": seq(seq(*PARTS[1:6]), ALGORITHM, BITS),
    "version 1, written": with_part(0, b"\2\1\0"),
    "version 3": with_part(0, b"\2\1\2"),
    "another algorithm inside": with_part(1, seq(b"\6\3\x2a\3\4")),
    "no next update": seq(seq(*PARTS[:4], *PARTS[5:]), ALGORITHM, BITS),
    "no updates": seq(seq(*PARTS[:3], *PARTS[5:]), ALGORITHM, BITS),
    "a time that is none": with_part(4, der(0x17, b"260230000000Z")),
    "a critical extension (a part of the certificates, or a delta)": with_part(
        6, der(0xA0, seq(CRITICAL))
    ),
    "an extension behind the list of them": with_part(
        6, der(0xA0, seq() + seq(b"\6\3\x55\x1d\x14", der(0x04, b"\2\1\1")))
    ),
    "something behind the extensions": seq(seq(*PARTS, b"\5\0"), ALGORITHM, BITS),
    "the list behind the extensions": seq(seq(*PARTS[:5], EXTENSIONS, REVOKED), ALGORITHM, BITS),
    "two lists": seq(seq(*PARTS[:6], REVOKED, EXTENSIONS), ALGORITHM, BITS),
    "a signature with unused bits": seq(TBS, ALGORITHM, BITS[:2] + b"\1" + BITS[3:]),
    "no signature": seq(TBS, ALGORITHM, b"\3\0"),
    "a certificate": bytes.fromhex("3003020101"),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_other_encoding_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        crl.read(WRONG[name])


WRONG_ENTRIES = {
    "no date": (NUMBER,),
    "no number": (DATE,),
    "a number in a longer form": (b"\2\2\0\1", DATE),
    "a negative number": (b"\2\1\xff", DATE),
    "a date of another type": (NUMBER, b"\5\0"),
    "a critical extension (of another authority)": (NUMBER, DATE, seq(CRITICAL)),
    "something behind": (NUMBER, DATE, ENTRY_EXTENSIONS, b"\5\0"),
}


@pytest.mark.parametrize("name", WRONG_ENTRIES)
def test_entries_that_are_refused(name: str) -> None:
    found = crl.read(with_entry(*WRONG_ENTRIES[name]))
    with pytest.raises(Malformed):
        found.revoked()


def test_an_unreadable_entry_does_not_hide_another() -> None:
    """Whoever is asked for and stands in the list gets the error, never a «no»."""
    bad = seq(b"\2\1\x05", DATE, seq(CRITICAL))
    for entries in ((seq(NUMBER, DATE), bad), (bad, seq(NUMBER, DATE))):
        found = crl.read(with_part(5, seq(*entries)))
        for serial in (1, 5):
            with pytest.raises(Malformed):
                found.revokes(serial)


def test_too_large() -> None:
    with pytest.raises(Malformed, match="larger"):
        crl.read(bytes(crl.MAX_CRL + 1))


@given(size=st.integers(0, len(DER) - 1))
def test_cut_anywhere(size: int) -> None:
    with pytest.raises(Malformed):
        crl.read(DER[:size])


@given(data=st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    with pytest.raises(Malformed):
        crl.read(data)


@given(at=st.integers(0, len(DER)), new=st.binary(max_size=6), drop=st.integers(0, 6))
def test_what_is_read_is_what_the_library_reads(at: int, new: bytes, drop: int) -> None:
    data = DER[:at] + new + DER[at + drop :]
    try:
        ours = crl.read(data)
        serials = ours.revoked()
    except Malformed:
        return
    try:
        theirs = library.load_der_x509_crl(data)
        listed = {entry.serial_number for entry in theirs}
        window = (theirs.last_update_utc, theirs.next_update_utc)
    except ValueError:
        return
    assert serials == listed
    assert (ours.this_update, ours.next_update) == window
    assert ours.signed == theirs.tbs_certlist_bytes
