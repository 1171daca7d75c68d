"""Certificates: one encoding each, exact lengths, and `Malformed` for everything else."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.der import children, der, rebuilt, seq

from troth.errors import Malformed
from troth.wire import x509

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = library.Name([library.NameAttribute(NameOID.COMMON_NAME, "somebody")])
BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def made(
    *, serial: int = 0x80FF, begin: datetime = BEGIN, end: datetime = BEGIN + timedelta(days=9)
) -> bytes:
    builder = (
        library.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(KEY.public_key())
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(library.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(library.SubjectKeyIdentifier.from_public_key(KEY.public_key()), False)
    )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


DER = made()
TBS, ALGORITHM, BITS = children(DER)
PARTS = children(TBS)
VERSION, SERIAL, INNER, ISSUER, VALIDITY, SUBJECT, SPKI, EXTENSIONS = PARTS


def with_part(index: int, part: bytes) -> bytes:
    return seq(seq(*PARTS[:index], part, *PARTS[index + 1 :]), ALGORITHM, BITS)


def with_extensions(*extensions: bytes) -> bytes:
    return with_part(7, der(0xA3, seq(*extensions)))


BASIC, SKI = children(children(EXTENSIONS)[0])


def test_every_field() -> None:
    found = x509.read(DER)
    assert found.der == DER
    assert found.signed == TBS
    assert found.algorithm == ALGORITHM == INNER
    assert BITS.endswith(found.signature)
    assert found.serial == 0x80FF
    assert found.issuer == found.subject == NAME.public_bytes()
    assert (found.not_before, found.not_after) == (BEGIN, BEGIN + timedelta(days=9))
    spki = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert found.key == spki
    assert set(found.extensions) == {x509.BASIC_CONSTRAINTS, bytes.fromhex("551d0e")}
    assert found.extensions[x509.BASIC_CONSTRAINTS] == seq(b"\1\1\xff", b"\2\1\1")
    assert found.critical == {x509.BASIC_CONSTRAINTS}
    assert x509.common_name(found.subject) == "somebody"


def test_a_serial_number_may_be_zero() -> None:
    """AMD's are; the library refuses to write one."""
    assert x509.read(with_part(1, b"\2\1\0")).serial == 0


def times(first: bytes, second: bytes) -> bytes:
    return with_part(4, seq(first, second))


def utc(text: str) -> bytes:
    return der(0x17, text.encode())


def general(text: str) -> bytes:
    return der(0x18, text.encode())


def test_years_of_two_digits_end_in_2049() -> None:
    for text, year in (("490101000000Z", 2049), ("500101000000Z", 1950), ("991231235959Z", 1999)):
        assert x509.read(times(utc(text), utc(text))).not_before.year == year
    found = x509.read(times(utc("260101000000Z"), general("99991231235959Z")))
    assert found.not_after.year == 9999


WRONG_TIMES = {
    "no seconds": utc("2601020304Z"),
    "an offset": utc("260102030405+0100"),
    "no zone": utc("260102030405"),
    "a fraction": general("20500102030405.5Z"),
    "a month too many": utc("261302030405Z"),
    "a day too many": utc("260230030405Z"),
    "second 60": utc("261231235960Z"),
    "hour 24": utc("261231240000Z"),
    "four digits in two": utc("20260102030405Z"),
    "two digits in four": general("260102030405Z"),
    "other digits": der(0x17, "٢٦0102030405Z".encode()),
    "a sign": utc("+60102030405Z"),
    "another type": der(0x0C, b"260102030405Z"),
    "nothing": utc(""),
}


@pytest.mark.parametrize("name", WRONG_TIMES)
def test_times_have_one_form(name: str) -> None:
    right = utc("260102030405Z")
    for data in (times(WRONG_TIMES[name], right), times(right, WRONG_TIMES[name])):
        with pytest.raises(Malformed):
            x509.read(data)


WRONG = {
    "empty": b"",
    "bytes behind": DER + b"\0",
    "bytes behind, inside": seq(TBS, ALGORITHM, BITS, b"\5\0"),
    "a member less": seq(TBS, ALGORITHM),
    "an indefinite length": b"\x30\x80" + TBS + ALGORITHM + BITS + b"\0\0",
    "a length in a longer form": b"\x30\x83\0" + DER[2:4] + DER[4:],
    "a length in a longer form, inside": with_part(1, b"\2\x81\3\0\x80\xff"),
    "a set and no sequence": b"\x31" + DER[1:],
    "version 1": seq(seq(*PARTS[1:7]), ALGORITHM, BITS),
    "version 2": with_part(0, der(0xA0, b"\2\1\1")),
    "version 4": with_part(0, der(0xA0, b"\2\1\3")),
    "a negative serial in a longer form": with_part(1, b"\2\2\xff\x80"),
    "an empty serial": with_part(1, b"\2\0"),
    "a serial in a longer form": with_part(1, b"\2\2\0\1"),
    "another algorithm inside": with_part(2, seq(b"\6\3\x2a\3\4")),
    "a time too many": with_part(4, seq(*children(VALIDITY), utc("260102030405Z"))),
    "a time less": with_part(4, seq(children(VALIDITY)[0])),
    "no extensions": seq(seq(*PARTS[:7]), ALGORITHM, BITS),
    "something behind the extensions": seq(seq(*PARTS, b"\5\0"), ALGORITHM, BITS),
    "a unique id": seq(seq(*PARTS[:7], b"\x81\2\0\1", EXTENSIONS), ALGORITHM, BITS),
    "extensions twice": seq(seq(*PARTS, EXTENSIONS), ALGORITHM, BITS),
    "an extension twice": with_extensions(BASIC, SKI, SKI),
    "critical false, written": with_extensions(seq(children(SKI)[0], b"\1\1\0", children(SKI)[1])),
    "critical of another value": with_extensions(
        seq(children(SKI)[0], b"\1\1\1", children(SKI)[1])
    ),
    "critical twice": with_extensions(
        seq(children(SKI)[0], b"\1\1\xff", b"\1\1\xff", children(SKI)[1])
    ),
    "something behind an extension": with_extensions(seq(*children(SKI), b"\5\0")),
    "an extension without a value": with_extensions(seq(children(SKI)[0])),
    "an extension whose value is another type": with_extensions(seq(children(SKI)[0], b"\5\0")),
    "something behind the list of extensions": with_part(7, der(0xA3, seq(SKI), b"\5\0")),
    "a signature with unused bits": seq(TBS, ALGORITHM, BITS[:2] + b"\1" + BITS[3:]),
    "no signature": seq(TBS, ALGORITHM, b"\3\0"),
    "too large": seq(der(0x04, bytes(x509.MAX_CERTIFICATE))),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_other_encoding_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        x509.read(WRONG[name])


def test_the_parts_are_put_together_right() -> None:
    """So that each case above is wrong in one place alone."""
    assert rebuilt(0x30, [rebuilt(0x30, PARTS), ALGORITHM, BITS]) == DER
    assert with_extensions(BASIC, SKI) == DER
    assert x509.read(with_part(1, b"\2\1\1")).serial == 1


@given(size=st.integers(0, len(DER) - 1))
def test_cut_anywhere(size: int) -> None:
    with pytest.raises(Malformed):
        x509.read(DER[:size])


@given(data=st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    for read in (x509.read, lambda d: x509.read_pem(d, field="x")):
        try:
            read(data)
        except Malformed:
            pass
    x509.common_name(data)


@given(at=st.integers(0, len(DER)), new=st.binary(max_size=6), drop=st.integers(0, 6))
def test_what_is_read_is_what_the_library_reads(at: int, new: bytes, drop: int) -> None:
    """Where both read a changed certificate they say the same; ours alone never reads on past an end."""
    data = DER[:at] + new + DER[at + drop :]
    try:
        ours = x509.read(data)
    except Malformed:
        return
    try:
        theirs = library.load_der_x509_certificate(data)
        fields = (
            theirs.serial_number,
            theirs.not_valid_before_utc,
            theirs.not_valid_after_utc,
            theirs.tbs_certificate_bytes,
            theirs.signature,
        )
    except (ValueError, library.InvalidVersion):
        return
    assert (ours.serial, ours.not_before, ours.not_after, ours.signed, ours.signature) == fields


# PEM


def pem(der_: bytes, *, width: int = 64, end: str = "\n") -> bytes:
    text = base64.b64encode(der_).decode()
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    begin, stop = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return end.join((begin, *lines, stop, "")).encode()


PEM = pem(DER)


@pytest.mark.parametrize(
    "text",
    [PEM, PEM[:-1], pem(DER, width=76), pem(DER, end="\r\n"), PEM + b"\0", PEM + bytes(64)],
)
def test_pem_of_one(text: bytes) -> None:
    assert x509.read_pem(text, field="x") == (DER,)


def test_pem_of_many() -> None:
    assert x509.read_pem(PEM * x509.MAX_CHAIN, field="x") == (DER,) * x509.MAX_CHAIN
    with pytest.raises(Malformed, match="certificates"):
        x509.read_pem(PEM * (x509.MAX_CHAIN + 1), field="x")


WRONG_PEM: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "NULs alone": lambda: bytes(4),
    "text before": lambda: b"x\n" + PEM,
    "a blank line before": lambda: b"\n" + PEM,
    "a blank line between": lambda: PEM + b"\n" + PEM,
    "text behind": lambda: PEM + b"x",
    "NULs between": lambda: PEM + b"\0" + PEM,
    "two on a line": lambda: PEM[:-1] + PEM,
    "blanks in the base64": lambda: PEM.replace(b"M", b" M", 1),
    "another alphabet": lambda: PEM.replace(b"M", b"-", 1),
    "another label": lambda: PEM.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"),
    "headers": lambda: PEM.replace(b"-----\nM", b"-----\nA: b\n\nM", 1),
    "an end that is no end": lambda: PEM.replace(b"-----END", b"----END"),
    "cut": lambda: PEM[:-10],
    "padding inside": lambda: PEM.replace(b"\n", b"=\n", 2),
    "padding alone": lambda: pem(b"\0").replace(b"AA==", b"===="),
    "base64 cut": lambda: pem(b"\0\0").replace(b"AAA=", b"AAA"),
    "nothing inside": lambda: b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "unused bits that are set": lambda: pem(b"\0").replace(b"AA==", b"AB=="),
}


@pytest.mark.parametrize("name", WRONG_PEM)
def test_pem_has_one_form(name: str) -> None:
    with pytest.raises(Malformed):
        x509.read_pem(WRONG_PEM[name](), field="x")


@given(at=st.integers(0, len(PEM)), new=st.binary(max_size=3), drop=st.integers(0, 3))
def test_changed_pem_is_other_der_or_none(at: int, new: bytes, drop: int) -> None:
    """Line ends aside, one text for each DER: what is read was written so."""
    text = PEM[:at] + new + PEM[at + drop :]
    try:
        found = x509.read_pem(text, field="x")
    except Malformed:
        return
    assert b"".join(text.rstrip(b"\0").split()) == b"".join(b"".join(map(pem, found)).split())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"", ""),
        (NAME.public_bytes(), "somebody"),
        (seq(der(0x31, seq(x509.COMMON_NAME, der(0x0C, "ü".encode())))), "ü"),
        (seq(der(0x31, seq(x509.COMMON_NAME, der(0x0C, b"\xff")))), ""),
        (seq(der(0x31, seq(x509.COMMON_NAME))), ""),
        (x509.COMMON_NAME, ""),
        (x509.COMMON_NAME + b"\x0c\x7fabc", ""),
    ],
)
def test_common_names(name: bytes, text: str) -> None:
    assert x509.common_name(name) == text


@pytest.mark.parametrize("tag", [0x04, 0x0C, 0x16, 0x19])
def test_a_text_with_a_times_digits_is_no_time(tag: int) -> None:
    for digits in (b"261123031000Z", b"20261123031000Z"):
        data = bytes((tag, len(digits))) + digits
        with pytest.raises(Malformed, match="is no time"):
            x509.instant(data, 0, len(data), "notAfter")


def test_limits_are_said_before_anything_is_read() -> None:
    with pytest.raises(Malformed, match=f"is larger than {x509.MAX_CERTIFICATE} bytes"):
        x509.read(bytes(x509.MAX_CERTIFICATE + 1))
    with pytest.raises(Malformed, match=f"is larger than {x509.MAX_PEM} bytes"):
        x509.read_pem(bytes(x509.MAX_PEM + 1), "chain")


def test_a_serial_number_may_be_negative_as_some_authorities_draw_them() -> None:
    assert x509.read(with_part(1, b"\2\1\x80")).serial == -128
