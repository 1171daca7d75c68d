"""KVM is believed when a kernel has booted in it, and what came of trying is remembered."""

import os
import sys
import time
from pathlib import Path

import pytest

from troth.runtime import kvm


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def program(folder: Path, text: str) -> Path:
    """In QEMU's place: each call leaves a mark."""
    path = folder / "qemu"
    path.write_text(f"#!/bin/sh\necho x >>{folder}/calls\n{text}\n")
    path.chmod(0o755)
    return path


def calls(folder: Path) -> int:
    path = folder / "calls"
    return len(path.read_text().split()) if path.exists() else 0


def test_no_device_is_no_kvm(cache: Path) -> None:
    tried = kvm.probe("/absent", "microvm", b"k", device=str(cache / "kvm"))
    assert not tried.works
    assert tried.reason.endswith("kvm: No such file or directory")


@pytest.mark.parametrize(
    ("text", "works", "reason"),
    [
        (
            "echo '[    0.6] Kernel panic - not syncing: VFS: Unable to mount root fs'",
            True,
            "passed",
        ),
        (
            "echo 'KVM internal error. Suberror: 1'; exit 1",
            False,
            "KVM internal error. Suberror: 1",
        ),
        ("exit 1", False, "QEMU's last word: nothing"),
    ],
)
def test_a_boot_decides_and_is_remembered(cache: Path, text: str, works: bool, reason: str) -> None:
    qemu = str(program(cache, text))
    for _ in range(2):
        tried = kvm.probe(qemu, "microvm", b"k", device="/dev/null")
        assert tried.works is works
        assert reason in tried.reason
    assert calls(cache) == 1
    kvm.probe(qemu, "microvm", b"another kernel", device="/dev/null")
    kvm.probe(qemu, "microvm,acpi=off", b"k", device="/dev/null")
    assert calls(cache) == 3


@pytest.mark.parametrize(("text", "tries"), [("echo Kernel panic", 1), ("exit 1", 3)])
def test_that_it_did_not_work_counts_for_a_day(cache: Path, text: str, tries: int) -> None:
    qemu = str(program(cache, text))
    kvm.probe(qemu, "microvm", b"k", device="/dev/null")
    (kept,) = (cache / "cache/troth/kvm").iterdir()
    for shift in (-kvm.DAY - 60, kvm.DAY, -kvm.DAY + 60):  # past, in a wrong clock's future, today
        moment = time.time() + shift
        os.utime(kept, (moment, moment))
        kvm.probe(qemu, "microvm", b"k", device="/dev/null")
    assert calls(cache) == tries


def test_what_is_remembered_may_be_damaged(cache: Path) -> None:
    qemu = str(program(cache, "echo Kernel panic"))
    kvm.probe(qemu, "microvm", b"k", device="/dev/null")
    (kept,) = (cache / "cache/troth/kvm").iterdir()
    for damage in (b"", b"{", b"[]", b'{"schema":"troth/kvm/1","works":1,"reason":""}'):
        kept.write_bytes(damage)
        assert kvm.probe(qemu, "microvm", b"k", device="/dev/null").works
    assert calls(cache) == 5


def test_a_boot_that_makes_no_end() -> None:
    tried = kvm.watch([sys.executable, "-c", "import time; time.sleep(60)"], seconds=0.5)
    assert tried == kvm.Tried(works=False, reason="a kernel under KVM made no end within 0.5 s")


def test_no_program() -> None:
    assert "cannot be started" in kvm.watch(["/absent/qemu"]).reason
