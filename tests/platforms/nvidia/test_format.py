"""The parser of reports: an independent dump field by field, and everything that is no report."""

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nvidia.made import ALONE, evidence, file, report

from troth.errors import Malformed
from troth.platforms.nvidia.format import BLOCK, REQUEST, SIGNATURE, Field, Kind, parse

REAL = [*ALONE, "parsed-h100"]
RECORD = 45


def opaque_at(data: bytes) -> int:
    """Where the length of the opaque data stands."""
    return RECORD + int.from_bytes(data[42:45], "little") + 32


def with_opaque(data: bytes, extra: bytes) -> bytes:
    at = opaque_at(data)
    size = int.from_bytes(data[at : at + 2], "little")
    end = at + 2 + size
    return (
        data[:at] + struct.pack("<H", size + len(extra)) + data[at + 2 : end] + extra + data[end:]
    )


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", kind, len(value)) + value


def test_the_oracle_says_the_same_field_by_field(vectors: Path) -> None:
    oracle = json.loads(file(vectors, "parsed-h100.oracle.json"))
    found = parse(report(vectors, "parsed-h100"))
    data = found.report

    def number(name: str) -> int:
        return int(oracle.pop(name), 16)

    def raw(text: str) -> bytes:
        return bytes.fromhex(text.removeprefix("0x"))

    head = [number(n) for n in ("SPDMVersion", "RequestResponseCode", "Param1", "Param2")]
    assert head == list(data[REQUEST : REQUEST + 4])
    assert oracle.pop("NumberOfBlocks") == len(found.measurements) == data[41]
    assert oracle.pop("MeasurementRecordLength") == BLOCK * len(found.measurements)
    assert raw(oracle.pop("Nonce")) == found.responder_nonce
    assert raw(oracle.pop("Signature")) == found.signature == data[-SIGNATURE:]
    assert oracle.pop("OpaqueLength") == sum(4 + len(value) for value in found.opaque.values())
    record = oracle.pop("MeasurementRecord")
    assert record.pop("NumberOfBlocks") == len(found.measurements)
    blocks = record.pop("MeasurementBlocks")
    assert not record
    assert len(blocks) == len(found.measurements)
    for index, value in enumerate(found.measurements, 1):
        block = blocks[str(index)]
        assert block.pop("DMTFSpecMeasurementValueType") == 1
        assert block.pop("DMTFSpecMeasurementValueSize") == 48
        assert raw(block.pop("DMTFSpecMeasurementValue")) == value
        assert not block
    opaque = oracle.pop("OpaqueData").pop("OpaqueDataField")
    # The dump is of a tool that did not know the last two yet.
    later = {Field.OPAQUE_DATA_VERSION, Field.FEATURE_FLAG}
    assert later <= set(found.opaque)
    named = {
        "CPRINFO": Field.CPR_INFO,
        **{field.name: field for field in Field},
    }
    seen = {}
    for name, value in opaque.items():
        field = named[name.removeprefix("OPAQUE_FIELD_ID_")]
        if isinstance(value, list):
            seen[field] = struct.pack(f"<{len(value)}I", *value)
        else:
            seen[field] = raw(value)
    assert seen == {k: v for k, v in found.opaque.items() if k not in later}
    assert not oracle


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpu-gb100-575.32", (Kind.GPU, "575.32", "97.00.88.00.0F", "")),
        ("gpu-h100-550.90.07", (Kind.GPU, "550.90.07", "96.00.9F.00.01", "")),
        ("gpu-h100-580.159.03", (Kind.GPU, "535.86.09", "96.00.5E.00.01", "")),
        ("gpu-h100-560.00.invalid-signature", (Kind.GPU, "560.00", "96.00.A5.00.01", "ppcie")),
        ("parsed-h100", (Kind.GPU, "580.159.03", "96.00.74.00.20", "spt")),
        ("switch-ls10", (Kind.SWITCH, "", "96.10.55.00.01", "")),
        ("switch-ls10.invalid-signature", (Kind.SWITCH, "", "96.10.52.00.00", "")),
    ],
)
def test_real_reports(vectors: Path, name: str, said: tuple[Kind, str, str, str]) -> None:
    data = report(vectors, name)
    found = parse(data)
    assert (found.kind, found.driver_version, found.vbios_version, found.mode) == said
    assert found.report == data
    assert found.signed + found.signature == data
    assert found.nonce == data[4:36]
    assert found.chain == ()
    assert not found.pem


def test_words_of_the_opaque_data(vectors: Path) -> None:
    found = parse(report(vectors, "gpu-h100-550.90.07"))
    assert [found.word(f) for f in (Field.PROJECT, Field.PROJECT_SKU, Field.CHIP_SKU)] == [
        "1010",
        "0200",
        "882",
    ]
    assert found.word(Field.CHIP_INFO) == ""
    assert found.word(Field.FWID) == ""  # no text


@pytest.mark.parametrize("name", ["gpu-gb100-575.32", "switch-ls10"])
def test_every_truncation_of_a_report_with_its_chain(vectors: Path, name: str) -> None:
    data = evidence(vectors, name)
    whole = len(report(vectors, name))
    for size in range(len(data)):
        if size == whole:  # a report alone is one
            assert parse(data[:size]).chain == ()
            continue
        try:
            found = parse(data[:size])
        except Malformed:
            continue
        # Certificates cut between two of them, or the last line end.
        assert found.report == data[:whole]
        assert len(found.chain) < 5 or size == len(data.rstrip())


def test_one_trailing_byte_has_its_name(vectors: Path) -> None:
    alone = report(vectors, "gpu-h100-550.90.07")
    pem = file(vectors, "gpu-h100-550.90.07.chain.pem")
    for data in (alone + b"\0", alone + b"\n" + pem):
        with pytest.raises(Malformed, match="one trailing byte") as raised:
            parse(data)
        assert (raised.value.field, raised.value.offset) == ("trailing byte", len(alone))
    with pytest.raises(Malformed, match="2 bytes follow"):
        parse(alone + b"\0\0")


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (0, 0x12, "asks for no signature"),
        (2, 0, "asks for no signature"),
        (3, 1, "asks for no signature"),
        (36, 1, "of another slot"),
        (37, 0x10, "no answer of SPDM 1.1"),
        (38, 0xE0, "no answer of SPDM 1.1"),
        (39, 1, "no answer of SPDM 1.1"),
        (40, 1, "of another slot"),
        (41, 63, "is 63"),
        (41, 31, "not 31 × 55"),
        (42, 0, "record length"),
        (44, 1, "record length"),
        (45, 2, "out of order"),
        (45 + 55, 1, "out of order"),
        (46, 2, "no SHA-384"),
        (47, 50, "no SHA-384"),
        (49, 0x81, "no SHA-384"),
        (50, 49, "no SHA-384"),
    ],
)
def test_a_field_with_another_value(vectors: Path, at: int, value: int, words: str) -> None:
    data = bytearray(report(vectors, "gpu-h100-550.90.07"))
    assert data[at] != value
    data[at] = value
    with pytest.raises(Malformed, match=words):
        parse(bytes(data))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (tlv(Field.DRIVER_VERSION, b"1.2\0"), "stands twice"),
        (tlv(Field.FWID, bytes(47)), "opaque field 20"),
        (tlv(Field.OPAQUE_DATA_VERSION, b"\1"), "should be 2"),
        (tlv(Field.FEATURE_FLAG, b"\1\0\0"), "should be 2"),
        (b"\x63", "ends amid a head"),
        (b"\x63\0\1", "ends amid a head"),
        (b"\x63\0\xff\xff", "opaque field 99"),
    ],
)
def test_opaque_data_that_contradicts_itself(vectors: Path, extra: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        parse(with_opaque(report(vectors, "gpu-h100-550.90.07"), extra))


def test_an_opaque_field_that_nobody_knows_is_kept(vectors: Path) -> None:
    found = parse(with_opaque(report(vectors, "gpu-h100-550.90.07"), tlv(4095, b"later")))
    assert found.opaque[4095] == b"later"


@pytest.mark.parametrize(
    ("version", "flag", "pcie", "mode"),
    [
        (1, 0, b"\x55", "spt"),
        (1, 1, b"\x55", "mpt"),
        (1, 2, b"\xaa", "ppcie"),
        (2, 1, b"\x55", "mpt"),
        (1, 3, b"\xaa", ""),  # a mode that troth does not know is none
        (0, 1, b"\x55", ""),
        (0, 1, b"\xaa", "ppcie"),
    ],
)
def test_modes(vectors: Path, version: int, flag: int, pcie: bytes, mode: str) -> None:
    data = report(vectors, "gpu-h100-550.90.07").replace(
        tlv(Field.PROTECTED_PCIE_STATUS, b"\x55"), tlv(Field.PROTECTED_PCIE_STATUS, pcie)
    )
    extra = tlv(Field.OPAQUE_DATA_VERSION, struct.pack("<H", version))
    extra += tlv(Field.FEATURE_FLAG, struct.pack("<H", flag))
    assert parse(with_opaque(data, extra)).mode == mode


def test_versions_that_are_none(vectors: Path) -> None:
    gpu = report(vectors, "gpu-h100-550.90.07")
    switch = report(vectors, "switch-ls10")
    for data, old, new, words in (
        (gpu, b"550.90.07\0", b"550.90.0x\0", "driver version"),
        (gpu, b"550.90.07\0", b"550.90.07\1", "driver version"),
        (gpu, tlv(6, bytes.fromhex("009f009601000000")), tlv(6, bytes(8)[:7] + b"\1"), "VBIOS"),
        (gpu, tlv(6, bytes.fromhex("009f009601000000")), tlv(99, bytes(8)), "VBIOS"),
        (switch, b"96.10.55.00.01", b"96.10.55.00.0\0", "VBIOS"),
    ):
        assert data.count(old) == 1
        with pytest.raises(Malformed, match=words):
            parse(data.replace(old, new))


@given(st.binary(max_size=200))
def test_junk_is_refused(data: bytes) -> None:
    for start in (b"", b"\x11\xe0\x01\xff"):
        with pytest.raises(Malformed):
            parse(start + data)
