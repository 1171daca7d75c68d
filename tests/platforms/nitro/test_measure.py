"""Registers predicted from an image, against the formulas written out and against real documents."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro.signer import NOW, identity, signature, with_section

from troth.errors import Malformed, Misuse
from troth.platforms.nitro import measure
from troth.platforms.nitro.format import parse
from troth.release.pcr8 import sign
from troth.wire import eif
from troth.wire.eif import Eif, Kind, Section


def _h(*parts: bytes) -> bytes:
    return hashlib.sha384(b"".join(parts)).digest()


def _image(disks: list[bytes], *, metadata: bytes = b"{}") -> Eif:
    sections = [
        Section(kind=Kind.KERNEL, pieces=(b"ker", b"nel")),
        Section(kind=Kind.COMMAND_LINE, pieces=(b"line",)),
        Section(kind=Kind.METADATA, pieces=(metadata,)),
        *(Section(kind=Kind.RAMDISK, pieces=(disk[:2], disk[2:])) for disk in disks),
    ]
    return Eif(sections=tuple(sections))


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_the_formulas(disks: list[bytes]) -> None:
    found = measure.measure(_image(disks))
    zero = bytes(48)
    assert found.pcr0 == _h(zero, _h(b"kernel", b"line", *disks))
    assert found.pcr1 == _h(zero, _h(b"kernel", b"line", disks[0]))
    assert found.pcr2 == _h(zero, _h(*disks[1:]))


def test_read_from_a_file_it_is_the_same() -> None:
    image = _image([b"first", b"second", b"third"])
    assert measure.measure(eif.read(eif.pack(image))) == measure.measure(image)


def test_hex_as_policies_write_it() -> None:
    found = measure.measure(_image([b"first"]))
    assert found.hex() == {
        "pcr0": found.pcr0.hex(),
        "pcr1": found.pcr1.hex(),
        "pcr2": found.pcr2.hex(),
    }


def test_what_no_register_covers() -> None:
    plain = measure.measure(_image([b"first"]))
    assert measure.measure(_image([b"first"], metadata=b'{"other":1}')) == plain


def test_a_signature_decides_pcr8_and_nothing_else() -> None:
    by, image = identity(), _image([b"first"])
    plain = measure.measure(image)
    found = measure.measure(with_section(image, signature(image, by)))
    assert plain.pcr8 is None
    assert found.pcr8 == _h(bytes(48), _h(by.der))
    assert replace(found, pcr8=None) == plain
    assert found.hex() == plain.hex() | {"pcr8": measure.pcr8(by.der).hex()}


def test_what_is_measured_is_the_certificate_and_not_its_text() -> None:
    by, image = identity(), _image([b"first"])
    unix, windows = by.pem, by.pem.replace(b"\n", b"\r\n")
    found = {
        measure.measure(
            with_section(image, sign(measure.measure(image).pcr0, pem=pem, key=by.key, at=NOW))
        ).pcr8
        for pem in (unix, windows)
    }
    assert len(found) == 1


def test_a_section_that_is_no_signature() -> None:
    image = eif.read(eif.pack(with_section(_image([b"first"]), b"signature")))
    with pytest.raises(Malformed) as caught:
        measure.measure(image)
    assert caught.value.field == "eif.signature"
    assert caught.value.offset is not None
    assert caught.value.offset >= image.sections[-1].offset


@pytest.mark.parametrize("part", [Kind.KERNEL, Kind.COMMAND_LINE, Kind.RAMDISK])
def test_one_byte_more_of_anything_measured(part: Kind) -> None:
    image = _image([b"first", b"second"])
    index = [s.kind for s in image.sections].index(part)
    sections = list(image.sections)
    sections[index] = Section(kind=part, pieces=(*sections[index].pieces, b"\n"))
    changed = measure.measure(Eif(sections=tuple(sections)))
    plain = measure.measure(image)
    assert changed.pcr0 != plain.pcr0
    assert changed.pcr1 != plain.pcr1
    assert changed.pcr2 == plain.pcr2


def test_extending() -> None:
    assert measure.extend(bytes(48), b"data") == _h(bytes(48), b"data")
    assert measure.extend(_h(b"before"), b"") == _h(_h(b"before"))


def test_role_and_instance_are_measured_as_text() -> None:
    role = "arn:aws:iam::123456789012:role/enclave"
    assert measure.pcr3(role) == _h(bytes(48), role.encode())
    assert measure.pcr4("i-0123456789abcdef0") == _h(bytes(48), b"i-0123456789abcdef0")


def test_the_signers_certificate_is_hashed_first() -> None:
    assert measure.pcr8(b"certificate") == _h(bytes(48), _h(b"certificate"))


@pytest.mark.parametrize("text", ["", "röle"])
def test_text_that_no_name_has(text: str) -> None:
    with pytest.raises(Misuse, match="role must be ASCII"):
        measure.pcr3(text)
    with pytest.raises(Misuse, match="instance must be ASCII"):
        measure.pcr4(text)


@pytest.mark.parametrize(
    "name", ["anjuna-prod-2021-03-17.bin", "yawn-prod-eu-central-1-2025-01-06.cose"]
)
def test_pcr4_of_real_documents(vectors: Path, name: str) -> None:
    document = parse((vectors / "nitro" / name).read_bytes())
    instance = document.module_id.partition("-enc")[0]
    assert document.pcrs[4] == measure.pcr4(instance)
