"""Asking through configfs-tsm, on a real file system that behaves as the kernel's does."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.platforms.fuse import mounted
from tests.platforms.tsm import Kernel

from troth.errors import Malformed, Unavailable
from troth.platforms import _tsm

pytestmark = pytest.mark.namespaces
DATA = bytes(range(64))


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tsm, "_PAUSE", 0.001)


def echo(data: bytes, level: int) -> tuple[bytes, bytes]:
    return b"report over " + data + bytes([level]), b""


def certified(data: bytes, level: int) -> tuple[bytes, bytes]:
    return echo(data, level)[0], b"certificates"


def guest(**other: object) -> Kernel:
    return Kernel(**{"provider": "tdx_guest", "report": echo, **other})  # type: ignore[arg-type]


def levelled(**other: object) -> Kernel:
    said = {"provider": "sev_guest", "report": certified, "levels": True, "auxiliary": True}
    return guest(**{**said, **other})


@contextmanager
def served(kernel: Kernel, folder: Path) -> Iterator[str]:
    """Where report folders are made; all that were are gone in the end."""
    with mounted(kernel, folder) as root:
        yield f"{root}/report"
    assert not kernel.folders


def ask(kernel: Kernel, folder: Path, level: int | None = None) -> _tsm.Answer:
    with served(kernel, folder) as base:
        assert _tsm.there(base)
        return _tsm.ask(DATA, provider=kernel.provider or "tdx_guest", base=base, level=level)


def once(operation: str, name: str, action: Callable[[], None]) -> Callable[[str, str], None]:
    left = [action]

    def meddle(*happens: str) -> None:
        if happens == (operation, name) and left:
            left.pop()()

    return meddle


def raises(code: int) -> Callable[[], None]:
    def action() -> None:
        raise OSError(code, "as the test says")

    return action


def always(operation: str, name: str, code: int) -> Callable[[str, str], None]:
    def meddle(*happens: str) -> None:
        if happens == (operation, name):
            raises(code)()

    return meddle


def test_a_report_over_what_was_written(tmp_path: Path) -> None:
    kernel = guest()
    answer = ask(kernel, tmp_path)
    assert answer == _tsm.Answer(outblob=b"report over " + DATA + b"\0", auxblob=b"")
    assert len(kernel.made) == 1
    assert kernel.done[-1] == ("remove", "")


def test_each_report_has_a_folder_of_its_own(tmp_path: Path) -> None:
    kernel = guest()
    with served(kernel, tmp_path) as base:
        for _ in range(3):
            _tsm.ask(DATA, provider="tdx_guest", base=base)
    assert len(set(kernel.made)) == 3


@pytest.mark.parametrize(
    ("floor", "asked", "got"),
    [(0, None, 0), (0, 0, 0), (0, 3, 3), (2, None, 2), (2, 2, 2), (2, 3, 3)],
)
def test_privilege_levels(tmp_path: Path, floor: int, asked: int | None, got: int) -> None:
    kernel = levelled(floor=floor)
    answer = ask(kernel, tmp_path, asked)
    assert answer.outblob[-1] == got
    assert answer.auxblob == b"certificates"
    assert (("write", "privlevel") in kernel.done) == (asked is not None or floor > 0)


def test_a_level_below_the_floor(tmp_path: Path) -> None:
    kernel = levelled(floor=2)
    with pytest.raises(Unavailable, match="Invalid argument") as caught:
        ask(kernel, tmp_path, 1)
    assert "privilege level" in caught.value.fix


def test_a_level_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        ask(guest(), tmp_path, 1)


@pytest.mark.parametrize("size", [1, 4096, 4097, 20_000, 128 * 1024])
def test_reports_of_many_sizes(tmp_path: Path, size: int) -> None:
    report = os.urandom(size)
    kernel = levelled(report=lambda *_: (report, report[::-1]))
    assert ask(kernel, tmp_path) == _tsm.Answer(outblob=report, auxblob=report[::-1])


def test_a_report_that_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="outblob: is larger than 131072 bytes"):
        ask(guest(report=lambda *_: (bytes(128 * 1024 + 1), b"")), tmp_path)


def test_an_empty_report(tmp_path: Path) -> None:
    """What the TDX driver gives where the host's quote service does not answer."""
    with pytest.raises(Unavailable, match="empty") as caught:
        ask(guest(report=lambda *_: (b"", b"")), tmp_path)
    assert "quote service" in caught.value.fix


def test_another_kind_of_guest(tmp_path: Path) -> None:
    kernel = guest(provider="arm_cca_guest")
    with served(kernel, tmp_path) as base, pytest.raises(Unavailable, match="arm_cca_guest"):
        _tsm.ask(DATA, provider="tdx_guest", base=base)
    assert ("write", "inblob") not in kernel.done


def test_no_driver(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        ask(guest(provider=""), tmp_path)
    assert "modprobe" in caught.value.fix


def test_no_interface(tmp_path: Path) -> None:
    base = str(tmp_path / "absent")
    assert not _tsm.there(base)
    with pytest.raises(Unavailable) as caught:
        _tsm.ask(DATA, provider="tdx_guest", base=base)
    assert "configfs" in caught.value.fix


@pytest.mark.parametrize(
    ("operation", "name", "code", "words"),
    [
        ("make", "", errno.EACCES, "root"),
        ("make", "", errno.EPERM, "root"),
        ("open", "outblob", errno.ENODEV, "modprobe"),
        ("read", "provider", errno.ENXIO, "modprobe"),
        ("read", "outblob", errno.EINVAL, "level"),
        ("read", "outblob", errno.EIO, "quote service"),
        ("read", "outblob", errno.ETIMEDOUT, "quote service"),
        ("read", "outblob", errno.EFBIG, ""),
        ("read", "outblob", errno.ENOMEM, ""),
        ("write", "inblob", errno.ENOMEM, ""),
    ],
)
def test_refusals_are_final_and_say_what_to_do(
    tmp_path: Path, operation: str, name: str, code: int, words: str
) -> None:
    kernel = guest(meddle=always(operation, name, code))
    with pytest.raises(Unavailable) as caught:
        ask(kernel, tmp_path)
    assert os.strerror(code) in str(caught.value)
    assert words in caught.value.fix
    assert kernel.done.count((operation, name)) == 1


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EWOULDBLOCK])
@pytest.mark.parametrize("place", [("make", ""), ("write", "inblob"), ("read", "outblob")])
def test_passing_trouble_is_tried_again(tmp_path: Path, place: tuple[str, str], code: int) -> None:
    kernel = guest(meddle=once(*place, raises(code)))
    assert ask(kernel, tmp_path).outblob[12:76] == DATA
    kernel = guest(meddle=always(*place, code))
    with pytest.raises(Unavailable, match="5 tries"):
        ask(kernel, tmp_path)
    assert kernel.done.count(place) == 5


def test_a_lost_write_is_noticed(tmp_path: Path) -> None:
    """The kernel says nothing of a blob that its driver did not take; only the generation does."""
    kernel = guest(meddle=once("close", "inblob", raises(errno.EBUSY)))
    assert ask(kernel, tmp_path).outblob[12:76] == DATA
    assert len(kernel.made) == 2
    kernel = guest(meddle=always("close", "inblob", errno.EBUSY))
    with pytest.raises(Unavailable, match="another program"):
        ask(kernel, tmp_path)
    assert ("read", "outblob") not in kernel.done


def others(kernel: Kernel) -> Callable[[], None]:
    """Another program writes into the report's folder."""

    def action() -> None:
        (folder,) = kernel.folders.values()
        folder.advance()
        folder.inblob = b"another's".ljust(64)

    return action


@pytest.mark.parametrize(
    "place", [("open", "inblob"), ("open", "outblob"), ("read", "outblob"), ("read", "auxblob")]
)
def test_what_another_wrote_is_never_reported_over(tmp_path: Path, place: tuple[str, str]) -> None:
    kernel = levelled()
    kernel.meddle = once(*place, others(kernel))
    assert ask(kernel, tmp_path).outblob[12:76] == DATA
    assert len(kernel.made) == 2
    kernel = levelled()
    kernel.meddle = lambda *happens: others(kernel)() if happens == place else None
    with pytest.raises(Unavailable, match="5 tries: another program"):
        ask(kernel, tmp_path)
    assert len(kernel.made) == 5


def test_a_generation_that_is_no_number(tmp_path: Path) -> None:
    kernel = guest()
    shown = {"generation": b"-1\n"}
    with served(kernel, tmp_path) as base, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tests.platforms.tsm.File.shown",
            lambda file: shown.get(file.name, b"tdx_guest\n"),
        )
        for odd in (b"-1\n", b"\n", b"1 2\n", "²\n".encode(), b"9" * 21):
            shown["generation"] = odd
            with pytest.raises(Malformed, match="no number"):
                _tsm.ask(DATA, provider="tdx_guest", base=base)


def test_a_generation_of_many_digits(tmp_path: Path) -> None:
    kernel = guest()

    def old() -> None:
        (folder,) = kernel.folders.values()
        folder.written = folder.read = 2**64 - 9

    kernel.meddle = once("open", "provider", old)
    assert ask(kernel, tmp_path).outblob[12:76] == DATA
    assert len(kernel.made) == 1


def test_the_folder_goes_when_the_asker_is_interrupted(tmp_path: Path) -> None:
    kernel = guest()
    with served(kernel, tmp_path) as base, pytest.MonkeyPatch.context() as patch:

        def interrupted(*_: object) -> bytes:
            raise KeyboardInterrupt

        patch.setattr("troth.platforms._guest.write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _tsm.ask(DATA, provider="tdx_guest", base=base)
        assert kernel.made
        assert not kernel.folders
