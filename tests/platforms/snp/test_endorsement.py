"""VCEK and VLEK certificates: each extension in its one encoding, in real ones and in forgeries."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.snp.made import AT, START, flipped

from troth.errors import Malformed
from troth.platforms.snp.endorsement import read
from troth.platforms.snp.format import SigningKey
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import TCB, Processor
from troth.platforms.snp.simulate_pki import amd_extensions, certificate, extension, integer, tlv

ARC = bytes.fromhex("2b060104019c7801")
HWID = b"\x02\x3e" + b"\x11" * 62  # begins as an INTEGER of all the rest would
MILAN = TCB[Product.MILAN]
STRUCTURE, NAME, TEE, MICROCODE, CHIP = 0, 1, 3, 5, 6


def made(processor: Processor, extensions: list[bytes], *, role: str = "SEV-VCEK") -> bytes:
    """A certificate with these extensions; nothing here looks at who signed it."""
    return certificate(
        serial=0,
        issuer="SEV-Milan",
        subject=role,
        key=processor.key.public_key(),
        start=START,
        end=AT,
        extensions=extensions,
        signer=processor.pki.keys.ask,
    )


def good(*, hwid: bytes = HWID, name: str = "Milan-B0", structure: int = 0) -> list[bytes]:
    return amd_extensions(name, MILAN, structure=structure, hwid=hwid)


def test_what_a_certificate_says(milan: Processor, turin: Processor, rented: Processor) -> None:
    found = read(milan.endorsement)
    assert (found.signing_key, found.product) == (SigningKey.VCEK, Product.MILAN)
    assert (found.product_name, found.hwid, found.csp) == ("Milan-B0", milan.chip_id, None)
    assert dict(found.parts) == MILAN
    assert found.certificate.serial == 0
    found = read(turin.endorsement)
    assert (found.product, found.hwid) == (Product.TURIN, turin.chip_id[:8])
    assert dict(found.parts) == TCB[Product.TURIN]
    found = read(rented.endorsement)
    assert (found.signing_key, found.hwid) == (SigningKey.VLEK, None)
    assert found.csp == "CN=cc-us-east-2.cloud.example"


def test_a_chip_id_is_raw_bytes_whatever_they_begin_with(milan: Processor) -> None:
    for hwid in (HWID, b"\x04\x3e" + b"\x22" * 62, b"\x30" * 64):
        assert read(made(milan, good(hwid=hwid))).hwid == hwid


@pytest.mark.parametrize(
    "hwid", [HWID[:-1], HWID + b"\0", tlv(0x04, HWID), HWID[:8], b"\x01", tlv(0x04, HWID[:62])]
)
def test_a_chip_id_of_another_form_is_refused(milan: Processor, hwid: bytes) -> None:
    if len(hwid) == 64:  # an OCTET STRING that happens to fit is raw bytes like any others
        assert read(made(milan, good(hwid=hwid))).hwid == hwid
        return
    with pytest.raises(Malformed, match="HWID"):
        read(made(milan, good(hwid=hwid)))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "milan",
        "Milano",
        "Milan-",
        "Milan-B",
        "Milan-B00",
        "Milan-B0\0",
        "Rome",
        "Milan-B0 ",
        "Turin",
    ],
)
def test_product_names_match_whole(milan: Processor, name: str) -> None:
    with pytest.raises(Malformed):
        read(made(milan, good(name=name)))


def test_the_structures_version_goes_with_the_product(milan: Processor) -> None:
    for structure in (1, 2):
        with pytest.raises(Malformed, match="structVersion"):
            read(made(milan, good(structure=structure)))


@pytest.mark.parametrize(
    "value",
    [
        b"\x02\x01\xdb",  # negative
        b"\x02\x02\x00\x1b",  # not in its shortest form
        b"\x02\x02\x01\x00",  # more than a byte
        b"\x02\x01\x1b\x00",  # bytes follow
        b"\x02\x81\x01\x1b",
        b"\x02\x00",
        b"\x04\x01\x1b",
        b"\x1b",
        b"",
    ],
)
def test_security_versions_have_one_encoding(milan: Processor, value: bytes) -> None:
    extensions = good()
    extensions[MICROCODE] = extension(ARC + b"\x03\x08", value)
    with pytest.raises(Malformed):
        read(made(milan, extensions))
    extensions[MICROCODE] = extension(ARC + b"\x03\x08", b"\x02\x02\x00\xdb")
    assert read(made(milan, extensions)).parts["microcode"] == 0xDB


@pytest.mark.parametrize("number", [0, 1, 126, 127, 128, 129, 219, 254, 255])
def test_every_version_of_one_byte_is_read_in_its_one_encoding(
    milan: Processor, number: int
) -> None:
    """Real certificates have 0xDB as 02 02 00 DB: without the zero it would be negative."""
    value = b"\x02\x02\0" if number & 0x80 else b"\x02\x01"
    wrong = b"\x02\x01" if number & 0x80 else b"\x02\x02\0"
    extensions = good()
    extensions[MICROCODE] = extension(ARC + b"\x03\x08", value + bytes((number,)))
    assert read(made(milan, extensions)).parts["microcode"] == number
    extensions[MICROCODE] = extension(ARC + b"\x03\x08", wrong + bytes((number,)))
    with pytest.raises(Malformed):
        read(made(milan, extensions))


@pytest.mark.parametrize("index", [STRUCTURE, NAME, TEE, MICROCODE, CHIP])
def test_nothing_may_be_missing_or_stand_twice(milan: Processor, index: int) -> None:
    extensions = good()
    with pytest.raises(Malformed):
        read(made(milan, extensions[:index] + extensions[index + 1 :]))
    with pytest.raises(Malformed, match="twice"):
        read(made(milan, [*extensions, extensions[index]]))


def test_reserved_versions_are_zero(milan: Processor) -> None:
    for number in range(4, 8):
        oid = ARC + bytes((3, number))
        assert read(made(milan, [*good(), extension(oid, integer(0))])).product is Product.MILAN
        with pytest.raises(Malformed, match="reserved"):
            read(made(milan, [*good(), extension(oid, integer(1))]))


@pytest.mark.parametrize("oid", [b"\x06", b"\x03\x09", b"\x03\x0a", b"\x03", b"\x04\x01", b""])
def test_unknown_extensions_of_amds_are_refused(milan: Processor, oid: bytes) -> None:
    with pytest.raises(Malformed):
        read(made(milan, [*good(), extension(ARC + oid, integer(1))]))


def test_a_key_is_a_chips_or_a_providers(milan: Processor) -> None:
    csp = extension(ARC + b"\x05", tlv(0x16, b"CN=cloud.example"))
    with pytest.raises(Malformed, match="chip and a provider"):
        read(made(milan, [*good(), csp]))
    with pytest.raises(Malformed, match="of one kind"):
        read(made(milan, good(), role="SEV-VLEK"))
    with pytest.raises(Malformed, match="of one kind"):
        read(made(milan, good(), role="SEV-VCEK2"))
    vlek = [*amd_extensions("Milan", MILAN, structure=0), csp]
    assert read(made(milan, vlek, role="SEV-VLEK")).csp == "CN=cloud.example"
    stepping = [*amd_extensions("Milan-B0", MILAN, structure=0), csp]
    with pytest.raises(Malformed, match="of one kind"):
        read(made(milan, stepping, role="SEV-VLEK"))


@pytest.mark.parametrize("text", [b"", b"\xff", b"x" * 257])
def test_a_providers_name_is_a_short_text(milan: Processor, text: bytes) -> None:
    csp = extension(ARC + b"\x05", tlv(0x16, text))
    with pytest.raises(Malformed):
        read(made(milan, [*amd_extensions("Milan", MILAN, structure=0), csp], role="SEV-VLEK"))


@pytest.mark.parametrize("text", ["x", "x" * 256])
def test_the_shortest_and_the_longest_name_of_a_provider(milan: Processor, text: str) -> None:
    csp = extension(ARC + b"\x05", tlv(0x16, text.encode("ascii")))
    extensions = [*amd_extensions("Milan", MILAN, structure=0), csp]
    assert read(made(milan, extensions, role="SEV-VLEK")).csp == text


def test_real_certificates_are_read(vectors: Path) -> None:
    seen = set()
    for path in sorted((vectors / "snp" / "certs").glob("*.der")):
        if path.name == "neg-test-vcek-invalid-new.der":
            with pytest.raises(Malformed, match="HWID"):
                read(path.read_bytes())
            continue
        found = read(path.read_bytes())
        assert found.certificate.serial == 0
        assert (found.signing_key is SigningKey.VLEK) == ("vlek" in path.name)
        if not path.name.startswith("neg-"):
            assert str(found.product).lower() in path.name
        seen.add((found.signing_key.name, found.product_name))
    assert seen == {
        ("VCEK", "Milan-B0"),
        ("VCEK", "Genoa"),
        ("VCEK", "Turin"),
        ("VLEK", "Milan"),
    }


@given(size=st.integers(0, 1400))
def test_every_truncation_is_malformed(size: int, milan: Processor) -> None:
    if size < len(milan.endorsement):
        with pytest.raises(Malformed):
            read(milan.endorsement[:size])


@given(bit=st.integers(0, 8 * 1200 - 1))
def test_any_change_is_read_or_malformed(bit: int, milan: Processor) -> None:
    try:
        read(flipped(milan.endorsement, bit))
    except Malformed:
        pass
