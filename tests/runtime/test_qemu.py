"""QEMU as a process: found by asking, told all there is to tell, confined, and dead when we are."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from troth.errors import Unavailable
from troth.runtime import qemu
from troth.runtime.console import Console
from troth.runtime.qemu import Machine, Process


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program of this text where QEMU is looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(text: str) -> Path:
        path = folder / qemu.PROGRAM
        path.write_text(text)
        path.chmod(0o755)
        return path

    return make


def machine(program: str, folder: Path, **more) -> Machine:
    values = {
        "program": program,
        "machine": "microvm",
        "accelerator": "tcg",
        "cpu": "max",
        "memory": 64,
        "cpus": 1,
        "append": "quiet",
        "more": (),
        "files": (),
        "folder": folder,
    }
    return Machine(**values | more)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("echo 'QEMU emulator version 7.2.19 (Debian 1:7.2+dfsg)'", r"is QEMU 7\.2, and 10 is"),
        ("echo 'QEMU emulator version 9.99.0'", r"is QEMU 9\.99"),
        ("echo hello; echo trouble >&2", "does not say its version: trouble"),
        ("exit 1", "it says nothing"),
    ],
)
def test_what_is_too_old_or_something_else(program, said: str, wanted: str) -> None:
    program(f"#!/bin/sh\n{said}\n")
    with pytest.raises(Unavailable, match=wanted) as raised:
        qemu.find()
    assert "scripts/install_optional.sh" in raised.value.fix


def test_one_that_is_new_enough(program) -> None:
    path = program("#!/bin/sh\necho 'QEMU emulator version 11.0.0'\n")
    assert qemu.find() == str(path)


def test_one_that_cannot_be_executed(program) -> None:
    program("#!/absent/interpreter\n")
    with pytest.raises(Unavailable, match="cannot be executed"):
        qemu.find()


def test_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="there is no qemu-system-x86_64 here"):
        qemu.find()


@pytest.mark.parametrize(
    ("text", "khz"),
    [
        ("processor : 0\ncpu MHz\t\t: 2596.096\nflags: x\ncpu MHz\t\t: 1000.000\n", 2596096),
        ("cpu MHz : 800.000\n", 800000),
        ("cpu MHz : 800\n", None),
        ("BogoMIPS : 38.40\n", None),
        ("", None),
    ],
)
def test_the_frequency_of_the_counter(tmp_path: Path, text: str, khz: int | None) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert qemu.tsc_khz(path) == khz
    assert qemu.tsc_khz(tmp_path / "absent") is None


def test_a_file_in_memory() -> None:
    descriptor = qemu.in_memory("x", [b"one", memoryview(b"two"), b""])
    try:
        assert Path(f"/proc/self/fd/{descriptor}").read_bytes() == b"onetwo"
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_nothing_ambient_and_nothing_needless_is_in_the_command(tmp_path: Path) -> None:
    argv = machine("/q", tmp_path, cpus=2, memory=128).argv()
    assert argv[:3] == ["/q", "-nodefaults", "-no-user-config"]
    assert "-no-reboot" in argv
    assert argv[argv.index("-sandbox") + 1].startswith("on,")
    assert argv[argv.index("-m") + 1] == "128M"
    assert argv[argv.index("-smp") + 1] == "2"
    assert not {"-monitor", "-net", "-netdev", "-drive", "-hda"} & set(argv)


def test_it_gets_what_it_is_given_and_nothing_of_ours(program, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TROTH_TEST_SECRET", "x")
    path = program(
        f"#!{sys.executable}\nimport os, sys\n"
        "print(sorted(os.environ), os.read(0, 1), os.getcwd())\n"
        "seen = sorted(map(int, os.listdir('/proc/self/fd')))\n"  # with that folder's own
        "print([n for n in seen if os.path.exists(f'/proc/self/fd/{n}')])\n"
        "sys.stderr.write('talk')\n"
    )
    words, log = Console(), Console()
    words.start(tmp_path / "console.log")
    log.start(tmp_path / "qemu.log")
    kept = qemu.in_memory("kernel", [b"x"])
    more = machine(str(path), tmp_path, files=(kept,))
    running = Process(more, console=words.write_end, log=log)
    assert running.wait() == 0
    for end in (words, log):
        end.given()
        end.finish(5)
    running.close()
    os.close(kept)
    first, second = (tmp_path / "console.log").read_text().splitlines()
    assert "TROTH_TEST_SECRET" not in first
    assert f"b'' {tmp_path}" in first
    assert second == str([0, 1, 2, kept])
    assert (tmp_path / "qemu.log").read_text() == "talk"


def test_its_work_is_counted(program, tmp_path: Path) -> None:
    path = program(f"#!{sys.executable}\nwhile True: pass\n")
    words, log = Console(), Console()
    running = Process(machine(str(path), tmp_path), console=words.write_end, log=log)
    end = time.monotonic() + 30
    while running.worked() < 0.1:
        assert time.monotonic() < end
        time.sleep(0.02)
    running.kill()
    assert running.poll() == -signal.SIGKILL
    assert running.worked() == 0
    running.kill()
    running.close()


def test_it_dies_with_the_process_that_started_it(program, tmp_path: Path) -> None:
    path = program("#!/bin/sh\nexec sleep 600\n")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tests.runtime.test_qemu import machine\n"
        "from troth.runtime.console import Console; from troth.runtime.qemu import Process\n"
        f"p = Process(machine({str(path)!r}, Path({str(tmp_path)!r})), "
        "console=Console().write_end, log=Console())\n"
        "print(p.pid, flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    watch = os.pidfd_open(pid)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert select.select([watch], [], [], 10)[0]
    os.close(watch)
