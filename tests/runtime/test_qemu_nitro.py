"""QEMU's enclave machine as a ground: what QEMU is told, and what is refused before anything boots."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from stat import S_IFREG

import pytest
from tests.agent.conftest import PROBE
from tests.runtime import machines
from tests.runtime.test_load import image, kept
from tests.runtime.test_qemu_nitro_found import WITH, WITHOUT, put

from troth.errors import Malformed, Misuse, Unavailable
from troth.image import build as builder
from troth.runtime import qemu_nitro_found, runs, state
from troth.runtime.console import Console
from troth.runtime.grounds import Job
from troth.runtime.load import MODULES, Loaded, load
from troth.runtime.qemu_nitro import MODULE, PARENT, ROLE, QemuNitro
from troth.runtime.room import memory_to_boot
from troth.wire import cpio, eif, ramdisk


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return load(kept(tmp_path, image()))


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something that lists the machine."""
    made = put(tmp_path / "qemu", WITH)
    monkeypatch.setenv(qemu_nitro_found.VARIABLE, str(made))
    monkeypatch.setattr("troth.runtime.kvm.DEVICE", str(tmp_path / "absent"))
    return made


@pytest.fixture
def ground() -> Iterator[QemuNitro]:
    made = QemuNitro(Console())
    yield made
    made.kill()
    made.close()


def job(folder: Path, loaded: Loaded, *, debug: bool = False) -> Job:
    return Job(
        image=folder / "app.eif",
        loaded=loaded,
        folder=folder,
        free={},
        pki="",
        debug=debug,
        unless_stopped=lambda: None,
    )


def with_modules(loaded: Loaded) -> Loaded:
    """As an image with Debian's kernel has them."""
    entry = cpio.Entry(path=MODULES, mode=S_IFREG | 0o644, data=b"nsm.ko\n")
    return replace(loaded, entries=(*loaded.entries, entry))


def after(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]


def test_what_qemu_is_told(
    tmp_path: Path, loaded: Loaded, program: Path, ground: QemuNitro
) -> None:
    argv = ground.plan(job(tmp_path, loaded)).argv()
    assert argv[0] == str(program)
    machine = after(argv, "-machine").split(",")
    assert machine[0] == "nitro-enclave"
    assert {f"id={MODULE}", f"parent-role={ROLE}", f"parent-id={PARENT}"} <= set(machine)
    assert after(argv, "-kernel") == str(tmp_path / "app.eif")
    assert after(argv, "-m") == "256M"
    assert "-initrd" not in argv
    assert "rdinit" not in after(argv, "-append")


@pytest.mark.parametrize(("debian", "acpi"), [(True, "acpi=on"), (False, "acpi=off")])
def test_devices_by_acpi_for_debians_kernel_alone(
    tmp_path: Path, loaded: Loaded, program: Path, ground: QemuNitro, *, debian: bool, acpi: str
) -> None:
    assert program.exists()
    chosen = with_modules(loaded) if debian else loaded
    machine = after(ground.plan(job(tmp_path, chosen)).argv(), "-machine")
    assert acpi in machine.split(",")


def test_no_debug_mode(tmp_path: Path, loaded: Loaded, program: Path, ground: QemuNitro) -> None:
    assert program.exists()
    with pytest.raises(Misuse, match="no debug mode"):
        ground.plan(job(tmp_path, loaded, debug=True))


def test_more_memory_than_there_is(
    tmp_path: Path, loaded: Loaded, program: Path, ground: QemuNitro
) -> None:
    assert program.exists()
    with pytest.raises(Unavailable, match="this machine has"):
        ground.plan(job(tmp_path, replace(loaded, memory=1 << 24)))
    with pytest.raises(Misuse, match="memory"):
        ground.plan(job(tmp_path, replace(loaded, memory=1)))


def test_a_qemu_without_the_machine(
    tmp_path: Path, loaded: Loaded, program: Path, ground: QemuNitro
) -> None:
    put(program, WITHOUT)
    with pytest.raises(Unavailable, match="has no machine nitro-enclave"):
        ground.plan(job(tmp_path, loaded))


def test_nothing_runs_where_nothing_was_launched(ground: QemuNitro) -> None:
    assert (ground.poll(), ground.wait()) == (0, 0)


def test_images_that_are_refused_before_qemu_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    path = kept(tmp_path, image(flags=1))
    with pytest.raises(Misuse, match="is for aarch64"):
        runs.start(path, pki=None, on="qemu-nitro")
    data = bytearray(kept(tmp_path, image()).read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(Malformed, match="crc32"):
        runs.start(path, pki=None, on="qemu-nitro")


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "probe.eif"
    builder.write(builder.build(PROBE, kernel="hardware"), path)
    return path


@pytest.mark.qemu_nitro
def test_qemu_itself_refuses_a_changed_byte(tmp_path: Path) -> None:
    """That it would is why its word counts; troth is only earlier."""
    data = bytearray(kept(tmp_path, image()).read_bytes())
    data[-1] ^= 1
    (tmp_path / "app.eif").write_bytes(data)
    asked = subprocess.run(
        [
            qemu_nitro_found.find(),
            *("-M", f"nitro-enclave,vsock=c,id={MODULE}", "-nodefaults", "-display", "none"),
            *("-chardev", "null,id=c", "-kernel", str(tmp_path / "app.eif")),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert asked.returncode != 0
    assert "CRC mismatch" in asked.stderr


@pytest.mark.qemu_nitro
@pytest.mark.hardware_kernel
@pytest.mark.network
@pytest.mark.slow
def test_qemu_killed_in_mid_boot(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    def kill() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for folder in Path("/proc").glob("[0-9]*"):
                with_path = (folder / "cmdline").exists() and (folder / "cmdline").read_bytes()
                if with_path and str(probe).encode() in with_path and b"nitro-enclave" in with_path:
                    os.kill(int(folder.name), signal.SIGKILL)
                    return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Unavailable, match="QEMU was ended by signal 9"):
        runs.start(probe, pki=None, on="qemu-nitro")
    killer.join()
    assert list(state.root().glob("*")) == []


@pytest.mark.qemu_nitro
@pytest.mark.hardware_kernel
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_no_image_runs_without_some_of_its_files(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host gives little memory, the kernel leaves files away, and the registers are as ever."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("troth.runtime.qemu_nitro.check_memory", lambda *_: None)
    whole = eif.read(probe.read_bytes())
    last = whole.ramdisks[-1]
    entries = list(ramdisk.read(last.data))
    entries.append(cpio.Entry(path="zz", mode=S_IFREG | 0o644, data=bytes(100 << 20)))
    larger = eif.Section(kind=eif.Kind.RAMDISK, pieces=cpio.pack(entries))
    sections = [larger if section is last else section for section in whole.sections]
    path = tmp_path / "larger.eif"
    path.write_bytes(eif.pack(eif.Eif(sections=tuple(sections))))
    # Half of what is missing are pages of that last file, and not of a file without which nothing starts.
    little = memory_to_boot(machines.job(path, tmp_path), 0) - 120
    with machines.ground(path, tmp_path / "run", kind=QemuNitro, memory=little) as (made, _):
        with pytest.raises(Unavailable, match="too little memory for the image's files"):
            machines.until(made.ready, 120)
        assert b"Initramfs unpacking failed" in Path(state.CONSOLE).read_bytes()
