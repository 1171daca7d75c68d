"""Reports of a guest: from configfs-tsm, from the device, and from ones that answer as none should."""

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.fuse import Device, mounted
from tests.platforms.snp import driver
from tests.platforms.snp.driver import BUSY, GET_EXTENDED_REPORT, GET_REPORT, Driver
from tests.platforms.snp.made import AT, CODE, LISTED, POLICY
from tests.platforms.tsm import Kernel

import troth
from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.platforms import _guest
from troth.platforms.snp import format as report_format
from troth.platforms.snp.collect import collect
from troth.platforms.snp.simulate import Processor, extended

DATA = bytes(range(64))
OTHER = DATA[::-1]
FILE = "/dev/null"  # anything that opens; the driver is played


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guest, "_PAUSE", 0.001)


def reporter(chip: Processor) -> Callable[[bytes, int], bytes]:
    return lambda data, vmpl: chip.report(report_data=data, vmpl=vmpl, measurement=CODE)


def certificates(chip: Processor, **form: bool) -> bytes:
    return extended(b"", chip.table(), **form)


def asked(played: Driver, **how: object) -> bytes:
    said = {"tsm": "/absent", "device": FILE, "ioctl": played, **how}
    return collect(DATA, **said)  # type: ignore[arg-type]


def test_the_device_with_the_hosts_table(milan: Processor) -> None:
    played = Driver(reporter(milan), certificates(milan))
    evidence = asked(played)
    said = report_format.parse(evidence)
    assert (said.report_data, said.vmpl) == (DATA, 0)
    assert dict(said.table.entries) == milan.table()
    assert played.asked == [GET_EXTENDED_REPORT] * 2


def test_what_is_collected_is_accepted(milan: Processor) -> None:
    evidence = asked(Driver(reporter(milan), certificates(milan)))
    report = troth.appraise(
        evidence,
        policy=POLICY,
        at=AT,
        nonce=DATA,
        trust=[milan.pki.root()],
        collateral=milan.collateral(LISTED),
    )
    assert report.verdict == "accepted"


def test_the_device_of_a_host_without_a_table(genoa: Processor) -> None:
    played = Driver(reporter(genoa))
    assert len(asked(played)) == report_format.SIZE
    assert played.asked == [GET_EXTENDED_REPORT]


def test_the_device_without_asking_for_the_table(genoa: Processor) -> None:
    played = Driver(reporter(genoa), certificates(genoa))
    assert len(asked(played, certificates=False)) == report_format.SIZE
    assert played.asked == [GET_REPORT]


def test_a_table_that_the_host_took_away(genoa: Processor) -> None:
    """Pages of zeros say that there is none."""
    played = Driver(reporter(genoa), certificates(genoa))

    def before(room: int) -> None:
        if room:
            played.table = b""

    played.before = before
    assert len(asked(played)) == report_format.SIZE


def test_a_table_that_grew_once(genoa: Processor) -> None:
    small, large = certificates(genoa), extended(b"", {**genoa.table(), "CRL": bytes(5000)})
    played = Driver(reporter(genoa), small)

    def before(room: int) -> None:
        played.table = large if room else small

    played.before = before
    assert report_format.parse(asked(played)).table.entries["CRL"] == bytes(5000)
    assert len(played.asked) == 3


def test_the_largest_table(genoa: Processor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger than today's drivers take, and as large as troth reads."""
    monkeypatch.setattr(driver, "MOST", 1 << 20)
    table = extended(b"", {"CRL": bytes(65536 - 48)})
    assert len(table) == 65536
    evidence = asked(Driver(reporter(genoa), table))
    assert evidence[report_format.SIZE :] == table
    with pytest.raises(Malformed, match="asks for 69632 bytes after 0"):
        asked(Driver(reporter(genoa), table + bytes(4096)))


def test_a_table_that_always_grows(genoa: Processor) -> None:
    played = Driver(reporter(genoa))

    def before(room: int) -> None:
        played.table = bytes([1]) * (room + 1)

    played.before = before
    with pytest.raises(Unavailable, match="grew each time") as caught:
        asked(played)
    assert "without" in caught.value.fix


@pytest.mark.parametrize("needed", [0, 1, 4095, 4097, 16 * 4096 + 4096, 0xFFFFF000])
def test_a_table_of_a_size_that_is_none(
    genoa: Processor, monkeypatch: pytest.MonkeyPatch, needed: int
) -> None:
    import ctypes

    def extended_(_: Driver, asked_at: int, __: int) -> tuple[int, int, int]:
        ctypes.memmove(asked_at + 104, struct.pack("<I", needed), 4)
        return errno.EIO, 0, driver.INVALID_LEN

    monkeypatch.setattr(Driver, "extended", extended_)
    with pytest.raises(Malformed, match="certificate table") as caught:
        asked(Driver(reporter(genoa)))
    assert "without" in caught.value.fix


def test_a_table_that_is_none(genoa: Processor) -> None:
    played = Driver(reporter(genoa), b"\x01" * 100)
    with pytest.raises(Malformed, match="the host's certificate table: is none") as caught:
        asked(played)
    assert "without" in caught.value.fix
    assert asked(played, certificates=False)


@pytest.mark.parametrize("vmpl", [0, 1, 2, 3])
@pytest.mark.parametrize("with_table", [False, True])
def test_privilege_levels(genoa: Processor, vmpl: int, *, with_table: bool) -> None:
    evidence = asked(Driver(reporter(genoa)), vmpl=vmpl, certificates=with_table)
    assert report_format.parse(evidence).vmpl == vmpl


def test_a_level_that_the_guest_may_not_report(genoa: Processor) -> None:
    with pytest.raises(Unavailable, match="may not report this VMPL") as caught:
        asked(Driver(reporter(genoa), lowest=2), vmpl=1)
    assert "VMPL" in caught.value.fix


@pytest.mark.parametrize("vmpl", [-1, 4, 0xFFFFFFFF])
def test_levels_that_there_are_not(vmpl: int) -> None:
    with pytest.raises(Misuse, match="0 to 3"):
        collect(DATA, vmpl=vmpl)


@pytest.mark.parametrize("size", [0, 32, 63, 65, 128])
def test_report_data_of_another_size(size: int) -> None:
    with pytest.raises(Misuse, match="should be 64"):
        collect(bytes(size))


@pytest.mark.parametrize("with_table", [False, True])
@pytest.mark.parametrize("code", [errno.EINTR, errno.EAGAIN, errno.EBUSY])
def test_passing_trouble_is_tried_again(genoa: Processor, code: int, *, with_table: bool) -> None:
    played = Driver(reporter(genoa), refusals=[(code, 0xFF, 0)] * 4)
    assert asked(played, certificates=with_table)
    assert len(played.asked) == 5
    played = Driver(reporter(genoa), refusals=[(code, 0xFF, 0)] * 9)
    with pytest.raises(Unavailable, match=os.strerror(code)):
        asked(played, certificates=with_table)
    assert len(played.asked) == 5


@pytest.mark.parametrize("with_table", [False, True])
def test_refusals_carry_both_errors(genoa: Processor, *, with_table: bool) -> None:
    played = Driver(reporter(genoa), refusals=[(errno.EIO, 0x27, 0x5)])
    with pytest.raises(Unavailable, match=r"firmware's error 0x27, host's error 0x5") as caught:
        asked(played, certificates=with_table)
    assert not caught.value.fix
    played = Driver(reporter(genoa), refusals=[(errno.EIO, 0, BUSY)])
    with pytest.raises(Unavailable, match="host's error 0x2") as caught:
        asked(played, certificates=with_table)
    assert "later" in caught.value.fix


def test_a_host_that_asks_for_room_where_none_was_offered(genoa: Processor) -> None:
    """A plain report has no table that could be too small."""
    played = Driver(reporter(genoa), refusals=[(errno.EIO, 0, driver.INVALID_LEN)])
    with pytest.raises(Unavailable, match="host's error 0x1"):
        asked(played, certificates=False)


@pytest.mark.parametrize(
    ("head", "kind", "words"),
    [
        (struct.pack("<II", 0x16, 0), Unavailable, "status 0x16"),
        (struct.pack("<II", 0x27, 0), Unavailable, "no such key"),
        (struct.pack("<II", 1, 1184), Unavailable, "unknown"),
        (struct.pack("<II", 0, 0), Malformed, "report size"),
        (struct.pack("<II", 0, 1183), Malformed, "report size"),
        (struct.pack("<II", 0, 0xFFFFFFFF), Malformed, "report size"),
    ],
)
def test_responses_without_a_report(
    genoa: Processor, head: bytes, kind: type[TrothError], words: str
) -> None:
    played = Driver(reporter(genoa), answer=lambda response: head + response[len(head) :])
    with pytest.raises(kind, match=words):
        asked(played)


def test_a_report_over_other_data(genoa: Processor) -> None:
    with pytest.raises(Malformed, match="report_data at byte 80: is not what was asked for"):
        asked(Driver(lambda _, vmpl: genoa.report(report_data=OTHER, vmpl=vmpl)))


def test_a_report_of_another_level(genoa: Processor) -> None:
    played = Driver(lambda data, _: genoa.report(report_data=data, vmpl=0))
    with pytest.raises(Malformed, match="vmpl at byte 48: is 0, 2 was asked for"):
        asked(played, vmpl=2)
    assert asked(played)


@given(st.binary(max_size=200), st.binary(max_size=4000))
def test_junk_raises_only_our_errors(genoa: Processor, head: bytes, body: bytes) -> None:
    for junk in (head, struct.pack("<II24x", 0, 1184) + body):
        played = Driver(reporter(genoa), answer=lambda _, junk=junk: junk.ljust(4000, b"\0")[:4000])
        with pytest.raises(TrothError):
            asked(played)


def test_no_interface_at_all(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file") as caught:
        collect(DATA, tsm=str(tmp_path / "no"), device=str(tmp_path / "none"))
    assert "modprobe sev-guest" in caught.value.fix


def test_a_device_of_another_kind() -> None:
    with pytest.raises(Unavailable, match="gave no report"):
        collect(DATA, tsm="/absent", device=FILE)


@pytest.mark.namespaces
def test_the_kernels_own_ioctl(tmp_path: Path, milan: Processor) -> None:
    """The numbers and structures go through a real system call, and come back where it refuses too."""
    played = Driver(reporter(milan), certificates(milan))
    with mounted(Device("/sev-guest", played.ioctl), tmp_path) as root:
        how = {"tsm": "/absent", "device": str(root / "sev-guest")}
        evidence = collect(DATA, **how)
        assert dict(report_format.parse(evidence).table.entries) == milan.table()
        assert played.asked == [GET_EXTENDED_REPORT] * 2
        assert len(collect(DATA, certificates=False, **how)) == report_format.SIZE
        assert played.asked[2:] == [GET_REPORT]
        played.refusals = [(errno.EINTR, 0xFF, 0), (errno.EIO, 0x27, 0x5)]
        with pytest.raises(Unavailable, match=r"Input/output error \(firmware's error 0x27"):
            collect(DATA, **how)


@pytest.mark.namespaces
@pytest.mark.parametrize("form", [{}, {"mixed": True}, {"pages": True}])
def test_configfs_tsm(tmp_path: Path, milan: Processor, form: dict[str, bool]) -> None:
    report, table = reporter(milan), certificates(milan, **form)
    kernel = Kernel("sev_guest", lambda *how: (report(*how), table), levels=True, auxiliary=True)
    with mounted(kernel, tmp_path) as root:
        base = str(root / "report")
        evidence = collect(DATA, tsm=base, device="/absent")
        assert dict(report_format.parse(evidence).table.entries) == milan.table()
        assert len(collect(DATA, tsm=base, certificates=False)) == report_format.SIZE
        assert report_format.parse(collect(DATA, tsm=base, vmpl=3)).vmpl == 3
        kernel.floor = 2
        assert report_format.parse(collect(DATA, tsm=base)).vmpl == 2
        kernel.report = lambda _, level: (report(OTHER, level), table)
        with pytest.raises(Malformed, match="report_data"):
            collect(DATA, tsm=base)
        kernel.report = lambda *how: (report(*how)[:-1], b"")
        with pytest.raises(Malformed, match="1183"):
            collect(DATA, tsm=base)
        kernel.report = lambda *how: (report(*how) + table, b"")
        with pytest.raises(Malformed, match="should be 1184"):
            collect(DATA, tsm=base)
    assert not kernel.folders
