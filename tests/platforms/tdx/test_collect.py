"""Quotes of a trust domain: from configfs-tsm, from device and quote service, and from liars."""

import errno
import os
from pathlib import Path

import pytest
from tests.platforms.dcap.made import NOW, PKI, pinned
from tests.platforms.fuse import apart, mounted
from tests.platforms.tdx.service import Driver, answer, device, framed, listening, quoted, td_report
from tests.platforms.tsm import Kernel

import troth
from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.platforms import _guest
from troth.platforms.dcap.simulate import QuoteKind
from troth.platforms.tdx import format as quote_format
from troth.platforms.tdx.collect import collect

DATA = bytes(range(64))
OTHER = DATA[::-1]
FILE = "/dev/null"  # anything that opens; the driver is played
KINDS = [kind for kind in QuoteKind if kind.tdx]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guest, "_PAUSE", 0.001)


def quote(data: bytes = DATA, kind: QuoteKind = QuoteKind.TDX_4) -> bytes:
    return PKI.quote(kind, fields={"reportdata": data})


def asked(played: Driver, service: str = "/absent") -> bytes:
    return collect(DATA, tsm="/absent", device=FILE, service=service, ioctl=played)


@pytest.mark.parametrize("kind", KINDS)
def test_device_and_quote_service(tmp_path: Path, kind: QuoteKind) -> None:
    with listening(tmp_path / "qgs", quoted(PKI, kind)) as service:
        evidence = asked(Driver(), service)
    report = troth.appraise(
        evidence,
        policy=pinned(evidence),
        at=NOW,
        nonce=DATA,
        trust=PKI.roots(),
        collateral=PKI.collateral(),
    )
    assert report.verdict == "accepted"


def test_padding_behind_the_quote_is_removed(tmp_path: Path) -> None:
    exact = quote()
    padded = exact.ljust(8192, b"\0")
    with listening(tmp_path / "qgs", lambda _: framed(answer(padded))) as service:
        assert asked(Driver(), service) == exact


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (quote(OTHER), "reportdata: is not what was asked for"),
        (PKI.quote(QuoteKind.SGX_3, fields={"reportdata": DATA}), "is none of a trust domain"),
        (PKI.quote(QuoteKind.SGX_4, fields={"reportdata": DATA}), "is none of a trust domain"),
        (b"", "is none of a trust domain"),
        (bytes(5000), "is none of a trust domain"),
        (quote()[:-1], "is"),
        (quote() + b"x", "is"),
        (td_report(DATA), "is none of a trust domain"),
    ],
)
def test_what_is_no_quote_over_this(tmp_path: Path, given: bytes, words: str) -> None:
    with (
        listening(tmp_path / "qgs", lambda _: framed(answer(given))) as service,
        pytest.raises(Malformed, match=words),
    ):
        asked(Driver(), service)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: td_report(OTHER),
        lambda report: b"\0" + report[1:],
        lambda _: bytes(1024),
        lambda report: report[:191] + b"\0" + report[192:],
    ],
)
def test_a_report_over_other_data_is_not_sent(change) -> None:
    with pytest.raises(Malformed, match="TDREPORT at byte 0: is no TDX report over"):
        asked(Driver(change=change))


@pytest.mark.parametrize("code", [errno.EINTR, errno.EAGAIN, errno.EBUSY])
def test_passing_trouble_is_tried_again(tmp_path: Path, code: int) -> None:
    played = Driver(refusals=[code] * 4)
    with listening(tmp_path / "qgs", quoted(PKI)) as service:
        assert asked(played, service)
    assert played.asked == 5
    with pytest.raises(Unavailable, match=os.strerror(code)):
        asked(Driver(refusals=[code] * 9))


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOTTY, errno.EFAULT])
def test_refusals_are_final(code: int) -> None:
    played = Driver(refusals=[code] * 2)
    with pytest.raises(Unavailable, match=f"gave no report: {os.strerror(code)}") as caught:
        asked(played)
    assert caught.value.fix
    assert played.asked == 1


@pytest.mark.parametrize("size", [0, 32, 63, 65, 128])
def test_report_data_of_another_size(size: int) -> None:
    with pytest.raises(Misuse, match="should be 64"):
        collect(bytes(size))


def test_no_interface_at_all(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file") as caught:
        collect(DATA, tsm=str(tmp_path / "no"), device=str(tmp_path / "none"))
    assert "modprobe tdx-guest" in caught.value.fix


def test_a_device_that_may_not_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, _: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr("troth.platforms._guest.os.open", refuse)
    with pytest.raises(Unavailable, match="Permission denied") as caught:
        asked(Driver())
    assert "root" in caught.value.fix


def test_a_device_of_another_kind() -> None:
    with pytest.raises(Unavailable, match="gave no report"):
        collect(DATA, tsm="/absent", device=FILE)


@pytest.mark.namespaces
def test_the_kernels_own_ioctl(tmp_path: Path) -> None:
    """The number and the structure go through a real system call, during which Python stands still."""
    (tmp_path / "dev").mkdir()
    serve = apart("tests.platforms.tdx.service:device")
    with (
        mounted(device(), tmp_path / "dev", serve) as root,
        listening(tmp_path / "qgs", quoted(PKI)) as service,
    ):
        evidence = collect(DATA, tsm="/absent", device=f"{root}/tdx_guest", service=service)
    assert quote_format.parse(evidence).field("reportdata") == DATA


@pytest.mark.namespaces
@pytest.mark.parametrize("kind", KINDS)
def test_configfs_tsm(tmp_path: Path, kind: QuoteKind) -> None:
    kernel = Kernel("tdx_guest", lambda data, _: (quote(data, kind), b""))
    with mounted(kernel, tmp_path) as root:
        base = str(root / "report")
        evidence = collect(DATA, tsm=base, device="/absent")
        assert quote_format.parse(evidence).field("reportdata") == DATA
        kernel.report = lambda data, _: (quote(data, kind).ljust(8192, b"\0"), b"")
        assert not quote_format.unwrap(collect(DATA, tsm=base))[1]
        kernel.report = lambda *_: (quote(OTHER, kind), b"")
        with pytest.raises(Malformed, match="not what was asked"):
            collect(DATA, tsm=base)
        kernel.report = lambda *_: (b"\0" * 600, b"")
        with pytest.raises(Malformed, match="none of a trust domain"):
            collect(DATA, tsm=base)
        kernel.provider = "sev_guest"
        with pytest.raises(Unavailable, match="'sev_guest'"):
            collect(DATA, tsm=base)
    assert not kernel.folders


@pytest.mark.namespaces
def test_quotes_cut_anywhere_raise_only_our_errors(tmp_path: Path) -> None:
    whole = quote()
    cut = [0]
    kernel = Kernel("tdx_guest", lambda *_: (whole[: cut[0]], b""))
    with mounted(kernel, tmp_path) as root:
        for cut[0] in range(0, len(whole), 97):
            with pytest.raises(TrothError):
                collect(DATA, tsm=str(root / "report"))
    assert not kernel.folders
