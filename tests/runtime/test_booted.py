"""What is decided before QEMU is started: memory, and what stands behind the image's command line."""

from dataclasses import replace
from pathlib import Path
from stat import S_IFDIR, S_IFREG

import pytest

from troth.errors import Misuse, Unavailable
from troth.runtime import booted, room
from troth.runtime.grounds import Job
from troth.runtime.load import MODULES, Loaded
from troth.wire import cpio, eif

MIB = 1 << 20


def job(*, size: int, memory: int, load: bytes | None = None) -> Job:
    entries = [cpio.Entry(path="data", mode=S_IFREG | 0o644, data=bytes(size))]
    if load is not None:
        folders = ("usr", "usr/lib", "usr/lib/modules")
        entries += [cpio.Entry(path=path, mode=S_IFDIR | 0o755) for path in folders]
        entries.append(cpio.Entry(path=MODULES, mode=S_IFREG | 0o644, data=load))
    image = eif.Eif(
        sections=(
            eif.Section(kind=eif.Kind.KERNEL, pieces=(b"k",)),
            eif.Section(kind=eif.Kind.COMMAND_LINE, pieces=(b"quiet",)),
            eif.Section(kind=eif.Kind.RAMDISK, pieces=cpio.pack(entries)),
            eif.Section(kind=eif.Kind.METADATA, pieces=(b"{}",)),
        )
    )
    loaded = Loaded(
        image=image,
        entries=tuple(entries),
        name="app",
        ports=(),
        free=frozenset(),
        memory=memory,
        cpus=1,
        raw_nsm=False,
        pcrs=(bytes(48),) * 3,
    )
    return Job(
        image=Path("app.eif"),
        loaded=loaded,
        folder=Path(),
        free={},
        pki="",
        debug=False,
        unless_stopped=lambda: None,
    )


def test_an_image_that_fits() -> None:
    room.check_memory(job(size=10 * MIB, memory=84), 0)


def test_one_that_does_not_is_told_how_much_it_takes() -> None:
    # 10 packed, 10 in a file system of half the memory, 52 for the kernel, and a fiftieth of it all.
    given = job(size=10 * MIB, memory=83)
    with pytest.raises(Misuse, match=r"has 10 MiB of files, .* takes 84 MiB to boot, .* 83") as no:
        room.check_memory(given, 0)
    assert no.value.fix.startswith("set memory = 84 or more in its troth.toml")


def test_what_is_beside_the_image_and_how_it_is_packed_counts() -> None:
    given = job(size=10 * MIB, memory=84)
    with pytest.raises(Misuse, match="it takes 99 MiB"):
        room.check_memory(given, 5 * MIB)
    with pytest.raises(Misuse, match="it takes 105 MiB"):
        room.check_memory(given, 0, packed=30 * MIB)
    room.check_memory(given, 0, packed=3 * MIB)


def test_a_file_takes_whole_pages() -> None:
    small = [cpio.Entry(path=f"{n}", mode=S_IFREG | 0o644, data=b"x") for n in range(1024)]
    given = job(size=0, memory=1)
    given = replace(given, loaded=replace(given.loaded, entries=tuple(small)))
    assert room.memory_to_boot(given, 0, packed=0) == -(-(52 + 2 * 4) * 50 // 49)


def test_more_than_this_machine_has() -> None:
    with pytest.raises(
        Unavailable, match=r"asks for \d+ MiB of memory, and this machine has"
    ) as no:
        room.check_free(job(size=1, memory=1 << 40))
    assert no.value.fix


def test_what_a_host_would_give_counts_where_it_is_not_what_is_asked_for() -> None:
    given = job(size=10 * MIB, memory=84)
    room.check_memory(given, 0, given=84)
    with pytest.raises(Misuse, match="takes 84 MiB to boot, and this host would give it 83"):
        room.check_memory(given, 0, given=83)


@pytest.mark.parametrize(
    ("load", "alone"), [(None, True), (b"", True), (b"\n", True), (b"nsm.ko\n", False)]
)
def test_an_image_without_modules_has_a_kernel_that_needs_none(load, alone) -> None:
    assert job(size=1, memory=1, load=load).loaded.self_contained is alone


def test_what_is_said_to_the_kernel() -> None:
    always = "quiet panic=-1 reboot=t"
    emulated = f"{always} tsc_early_khz=2596096 mitigations=off"
    assert booted.appended(fast=True, khz=None, simple=True) == always
    assert booted.appended(fast=False, khz=2596096, simple=False) == emulated
    alone = f"{emulated} nolapic_timer io_delay=none"
    assert booted.appended(fast=False, khz=2596096, simple=True) == alone
