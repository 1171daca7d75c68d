"""Images that boot in QEMU, and each way in which a guest or QEMU can fail: named with its fix."""

import os
import threading
import time
from pathlib import Path

import pytest
from tests.runtime.machines import ask, ground, job, machines, start, until, with_init

from troth.errors import Misuse, Unavailable
from troth.runtime import booted, console, qemu, room, runs
from troth.runtime.microvm import Microvm

pytestmark = [pytest.mark.microvm, pytest.mark.network, pytest.mark.usefixtures("nothing_left")]


def test_no_qemu_and_an_old_one(probe_file: Path, tmp_path: Path, monkeypatch) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    monkeypatch.setenv("PATH", str(bin_folder))
    with pytest.raises(Unavailable, match="there is no qemu-system-x86_64") as raised:
        start(probe_file)
    assert "scripts/install_optional.sh" in raised.value.fix
    old = bin_folder / qemu.PROGRAM
    old.write_text("#!/bin/sh\necho 'QEMU emulator version 7.2.19 (Debian)'\n")
    old.chmod(0o755)
    with pytest.raises(Unavailable, match=r"is QEMU 7\.2, and 10 is needed") as raised:
        start(probe_file)
    assert "bookworm-backports" in raised.value.fix


def test_killed_in_mid_boot(probe_file: Path, tmp_path: Path) -> None:
    def kill() -> None:
        until(lambda: machines(tmp_path), 60)
        time.sleep(0.5)
        for process in machines(tmp_path):
            os.kill(int(process), 9)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Unavailable, match="QEMU was ended by signal 9") as raised:
        start(probe_file)
    killer.join()
    assert raised.value.fix


def test_killed_later(probe_file: Path, tmp_path: Path) -> None:
    with start(probe_file, detach=True) as run:
        (process,) = machines(tmp_path)
        os.kill(int(process), 9)
        assert run.wait() == booted.LOST
        assert b"QEMU was ended by signal 9" in run.console()
    assert runs.clean() == (run.id,)


def test_a_guest_that_panics(probe_file: Path, tmp_path: Path) -> None:
    broken = with_init(probe_file, tmp_path / "broken.eif", b"#!/absent\n")
    with pytest.raises(
        Unavailable, match="the image's kernel panicked; the guest said: "
    ) as raised:
        start(broken)
    assert "FileNotFoundError" in str(raised.value)
    assert "without --on" in raised.value.fix


def test_a_guest_that_never_answers(probe_file: Path, tmp_path: Path) -> None:
    script = b"#!/usr/bin/python3.13 -IS\nwhile True: pass\n"
    silent = with_init(probe_file, tmp_path / "silent.eif", script)
    with pytest.raises(Unavailable, match=r"the app was not ready within 12 s") as raised:
        start(silent, timeout=12)
    assert raised.value.fix


def test_an_app_that_never_listens(variant) -> None:
    with pytest.raises(Unavailable, match="it must listen on the ports") as raised:
        start(variant("import time; time.sleep(600)"), timeout=25)
    assert raised.value.fix


def test_a_guest_that_floods_the_console(variant) -> None:
    program = (
        "import threading, http.server\n"
        "def flood():\n"
        "    while True: print('x' * 4000, flush=True)\n"
        "threading.Thread(target=flood, daemon=True).start()\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.send_header('Content-Length', '2')\n"
        "        self.end_headers(); self.wfile.write(b'ok')\n"
        "    def log_message(self, *_): pass\n"
        "http.server.ThreadingHTTPServer(('127.0.0.1', 8080), H).serve_forever()\n"
    )
    path = variant(program)
    with start(path, timeout=90) as run:
        assert ask(run, path) == b"ok"
        until(lambda: len(run.console()) > 1 << 16)
        kept = sum(file.stat().st_size for file in run.state.folder.glob("console.log*"))
        assert kept <= 2 * console.MAX_BYTES


def test_an_image_bigger_than_its_memory(variant) -> None:
    path = variant(recipe=lambda text: text.replace("memory = 256", "memory = 64"))
    with pytest.raises(
        Misuse, match=r"it takes \d+ MiB to boot, and its recipe gives it 64"
    ) as raised:
        start(path)
    assert "set memory = " in raised.value.fix
    assert "troth.toml" in raised.value.fix


def test_a_clock_that_is_wrong_is_refused_inside(probe_file: Path, tmp_path: Path) -> None:
    """QEMU is told another date, as a host might."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    wrapper = bin_folder / qemu.PROGRAM
    real = qemu.find()
    wrapper.write_text(f'#!/bin/sh\nexec {real} "$@" -rtc base=2001-02-03T04:05:06\n')
    wrapper.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
        with pytest.raises(Unavailable, match="clock shows 2001-02-03") as raised:
            start(probe_file)
    assert raised.value.fix


@pytest.mark.usefixtures("elsewhere")
def test_a_boot_without_a_sign_of_life_is_begun_anew_once(
    probe_file, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(booted, "STALLED", 2.0)
    monkeypatch.setattr(booted, "TOILED", 0.1)
    silent = with_init(
        probe_file, tmp_path / "silent.eif", b"#!/usr/bin/python3.13 -IS\nwhile 1: pass\n"
    )
    with ground(silent, tmp_path / "run") as (made, _):
        first = made.fileno()
        with pytest.raises(Unavailable, match="booted twice and showed no sign of life") as raised:
            until(made.ready, 60)
        assert made.fileno() != first
    assert "less busy" in raised.value.fix


def test_archives_stay_packed_where_there_is_no_room(
    probe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emulated processor boots sooner from what is unpacked already, but not in any memory."""
    monkeypatch.setattr("troth.runtime.kvm.DEVICE", str(tmp_path / "absent"))
    sizes = []
    given = job(probe_file, tmp_path)
    unpacked = sum(len(entry.data) for entry in given.loaded.entries)
    packed = sum(section.size for section in given.loaded.image.ramdisks)
    plenty = room.memory_to_boot(given, 1 << 20, packed=2 * unpacked)
    least = room.memory_to_boot(given, 1 << 20, packed=packed + (1 << 20))
    for memory in (plenty, least):
        made = Microvm(console.Console())
        machine = made.plan(job(probe_file, tmp_path, memory=memory))
        sizes.append(os.stat(machine.files[1]).st_size)  # noqa: PTH116 - a descriptor
        made.close()
    assert packed <= sizes[1] < packed + (1 << 20)
    assert sizes[1] < unpacked < sizes[0]
    with pytest.raises(Misuse, match="MiB to boot, and its recipe gives it"):
        Microvm(console.Console()).plan(job(probe_file, tmp_path, memory=least - 6))
