"""`inspect` shows every byte of a report once, with what it means."""

from pathlib import Path

import pytest
from tests.platforms.snp.made import asked

from troth.errors import Malformed
from troth.platforms.snp.fields import LAYOUT, fields
from troth.platforms.snp.format import SIZE, VMPL_HOST
from troth.platforms.snp.simulate import Processor, extended


def test_the_layout_is_the_whole_report_and_no_byte_twice() -> None:
    at = 0
    for name, start, size, meaning in LAYOUT:
        assert start == at, name
        assert size > 0 and meaning
        at += size
    assert at == SIZE
    assert len({name for name, *_ in LAYOUT}) == len(LAYOUT)


def test_a_report_for_somebody_who_has_never_seen_one(turin: Processor) -> None:
    data = asked(turin, version=5, policy=0xB0000, vmpl=1, platform_info=0x65, key_info=3)
    shown = dict(fields(data))
    assert shown["version"].startswith("5 = 05000000  [0x000-0x003: ")
    assert "DEBUG" in shown["policy"] and "SMT allowed" in shown["policy"]
    assert "unknown bit 6" in shown["platform_info"]
    assert "memory checked for aliases" in shown["platform_info"]
    assert shown["vmpl"].startswith("1 = ")
    by_host = dict(fields(asked(turin, version=5, vmpl=VMPL_HOST)))["vmpl"]
    assert by_host.startswith("asked by the host = ")
    assert "MASK_CHIP_KEY" in shown["key_info"] and "VCEK" in shown["key_info"]
    assert "Turin" in shown["cpuid"]
    assert shown["reported_tcb"].startswith("fmc 1, boot_loader 1, tee 1, snp 4, microcode 81")
    assert "not checked" in shown["signed"]
    assert all(value for value in shown.values())


def test_what_a_version_2_report_does_not_say_is_said(milan: Processor) -> None:
    shown = dict(fields(asked(milan, version=2)))
    assert "if a Milan or Genoa" in shown["reported_tcb"]
    assert shown["cpuid"].startswith("3 zero bytes")
    unknown = dict(fields(asked(milan, cpu=(0x1A, 0x50, 0))))
    assert "does not know" in unknown["cpuid"]
    assert "boot_loader" not in unknown["reported_tcb"]


def test_what_the_host_sent_along_is_shown(milan: Processor) -> None:
    shown = dict(fields(extended(asked(milan), {**milan.table(), "ab" * 16: b"x"})))
    assert shown["table VCEK"].startswith(milan.endorsement.hex())
    assert "does not know" in shown["table " + "ab" * 16]


def test_what_is_no_report_is_malformed(milan: Processor) -> None:
    with pytest.raises(Malformed):
        list(fields(asked(milan)[:-1]))


def test_real_reports_are_shown(vectors: Path) -> None:
    for path in sorted((vectors / "snp").glob("*.report.bin")):
        shown = dict(fields(path.read_bytes()))
        assert shown.keys() >= {name for name, *_ in LAYOUT}
