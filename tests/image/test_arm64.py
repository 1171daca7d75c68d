"""Images for arm64: locked, built and measured here, where they cannot run."""

import fcntl
import json
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.image.conftest import Sample
from tests.image.containers import Files, as_tar, index, layout, manifest, program
from tests.image.made import library, member, package, tar

from troth.errors import Malformed, Misuse
from troth.image import brought, elf, kernel, locking, startable
from troth.image import build as builder
from troth.image import lock as locks
from troth.image.architecture import AMD64, ARCHITECTURES, ARM64
from troth.image.build import Built
from troth.image.lock import Lock
from troth.image.recipe import load, parse
from troth.runtime.load import load as load_image
from troth.wire import cpio, eif, ramdisk

SAMPLE = Path(__file__).parents[1] / "data" / "app"
DEVICES = frozenset({"dev/console", "dev/null"})


def elsewhere(folder: Path) -> Path:
    """The sample app, for arm64."""
    path = folder / "troth.toml"
    path.write_text(path.read_text() + '\n[debian]\narchitecture = "arm64"\n')
    return folder


@dataclass(frozen=True)
class Made:
    """An image for arm64 with its lock."""

    folder: Path
    lock: Lock
    built: Built

    @property
    def files(self) -> dict[str, cpio.Entry]:
        return files(self.built)


def files(built: Built) -> dict[str, cpio.Entry]:
    disks = built.image.ramdisks
    return {e.path: e for disk in disks for e in ramdisk.read(disk.data, devices=DEVICES)}


@pytest.fixture(scope="module")
def made(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = elsewhere(Path(shutil.copytree(sample.folder, tmp_path_factory.mktemp("arm") / "app")))
    with (tmp_path_factory.getbasetemp().parent / "sample.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        lock = locking.make(folder, store=sample.store)
    return Made(folder, lock, builder.build(folder, store=sample.store))


@pytest.mark.network
def test_a_lock_for_the_other_machine(made: Made) -> None:
    lock = made.lock
    assert lock.machine is ARM64
    assert locks.load(made.folder) == lock
    assert lock.kernel.name.endswith("-cloud-arm64")
    assert all(deb.file.endswith(("_arm64.deb", "_all.deb")) for deb in (*lock.debs, lock.kernel))
    assert all(deb.file.endswith(("_amd64.deb", "_all.deb")) for deb in lock.builder)
    assert any("aarch64" in wheel.file for wheel in lock.all_wheels)
    assert not any("x86_64" in wheel.file for wheel in lock.all_wheels)


@pytest.mark.network
def test_the_image_says_whose_it_is(made: Made) -> None:
    image = eif.read(b"".join(eif.pieces(made.built.image)))
    assert (image.flags, image.architecture) == (eif.FLAG_AARCH64, "aarch64")
    assert bytes(image.kernel.data[56:60]) == b"ARMd"  # raw, as arm64's loaders want it
    record = made.built.record
    assert record["architecture"] == "arm64"
    assert {package["name"] for package in record["builder"]} >= {"python3.13-minimal"}


@pytest.mark.network
def test_no_program_or_module_is_for_another_machine(made: Made) -> None:
    seen = {
        p: elf.machine(bytes(e.data)) for p, e in made.files.items() if elf.is_elf(bytes(e.data))
    }
    assert set(seen.values()) == {elf.ARM_64}
    assert "usr/bin/python3.13" in seen
    assert sum(path.endswith(".ko") for path in seen) == 5
    assert bytes(made.files["usr/lib/modules/load"].data).splitlines()[-1] == b"nsm.ko"


@pytest.mark.network
def test_bytecode_is_the_same_on_both(made: Made, built: Built) -> None:
    mine, theirs = made.files, files(built)
    both = [p for p in mine if p.endswith(".py") and p in theirs and mine[p].data == theirs[p].data]
    assert len(both) > 500
    compared = 0
    for path in both:
        folder, _, name = path.rpartition("/")
        cached = f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-313.pyc"
        if cached in mine:
            assert mine[cached].data == theirs[cached].data
            compared += 1
    assert compared > 500


@pytest.mark.network
def test_again_it_is_the_same_image(made: Made, sample: Sample) -> None:
    again = builder.build(made.folder, store=sample.store)
    assert again.sha256 == made.built.sha256
    assert again.record == made.built.record


@pytest.mark.network
def test_the_hardware_kernel_is_not_for_it(made: Made, sample: Sample) -> None:
    with pytest.raises(Misuse, match="hardware kernel is for amd64 alone"):
        builder.build(made.folder, store=sample.store, kernel="hardware")


@pytest.mark.network
@pytest.mark.skipif(platform.machine() == "aarch64", reason="here it is this machine's")
def test_it_is_not_started_here(made: Made, tmp_path: Path) -> None:
    builder.write(made.built, tmp_path / "arm.eif")
    with pytest.raises(Misuse, match="is for aarch64, this machine is") as caught:
        load_image(tmp_path / "arm.eif")
    assert "host for aarch64" in caught.value.fix


def recipe(**more: Any) -> dict[str, Any]:
    return {
        "app": {"name": "app", "entry": ["x"]},
        "debian": {"architecture": "arm64"},
    } | more


def test_what_a_recipe_may_say(tmp_path: Path) -> None:
    assert parse(recipe(), folder=tmp_path).architecture == "arm64"
    usual = parse(recipe(debian={}), folder=tmp_path)
    named = parse(recipe(debian={"architecture": "amd64"}), folder=tmp_path)
    assert usual == named
    assert usual.pinned() != parse(recipe(), folder=tmp_path).pinned()
    for word in ("riscv64", "aarch64", ""):
        with pytest.raises(Misuse, match="must be one of amd64, arm64"):
            parse(recipe(debian={"architecture": word}), folder=tmp_path)
    with pytest.raises(Misuse, match="hardware kernel is for amd64 alone") as caught:
        parse(recipe(kernel="hardware"), folder=tmp_path)
    assert 'kernel = "debian"' in caught.value.fix


def test_a_container_for_the_other_machine(tmp_path: Path) -> None:
    """Of an image for several machines the app's own is taken; programs in it are looked at."""
    saved: Files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    rows = []
    for name, number in (("amd64", 62), ("arm64", 183)):
        layer = tar(program("app", library()[:18] + bytes([number, 0]) + library()[20:]))
        row = manifest(saved, [layer], architecture=name, config={"Cmd": ["/app"]})
        rows.append(row | {"platform": {"os": "linux", "architecture": name}})
    saved["index.json"] = index(*rows)
    path = as_tar(saved, tmp_path / "app.tar")
    app = {"name": "app", "from_oci": "app.tar"}
    mine = parse(recipe(app=app), folder=tmp_path)
    pin = brought.pin(path, machine=ARM64)
    found = brought.bring(tmp_path, mine, pin)
    assert found is not None
    (data,) = (entry.data for entry in found.entries if entry.path == "rootfs/app")
    assert elf.machine(bytes(data)) == elf.ARM_64
    usual = parse(recipe(app=app, debian={}), folder=tmp_path)
    with pytest.raises(Misuse, match="the lock names"):
        brought.bring(tmp_path, usual, pin)
    wrong = layout(tar(program("app", library())), architecture="arm64", config={"Cmd": ["/app"]})
    path = as_tar(wrong, tmp_path / "app.tar")
    with pytest.raises(Misuse, match="is a program for 64-bit x86") as caught:
        brought.bring(tmp_path, mine, brought.pin(path, machine=ARM64))
    assert "linux/arm64" in caught.value.fix
    with pytest.raises(Misuse, match="holds only linux/arm64"):
        brought.pin(path)


def arm_lock() -> dict[str, Any]:
    """The sample's lock, as if it were for arm64."""
    value: dict[str, Any] = json.loads((SAMPLE / locks.FILE).read_bytes())
    return value | {"architecture": "arm64", "builder": [value["debs"][0]]}


def test_a_lock_says_which_machine(tmp_path: Path) -> None:
    lock = locks.parse(locks.pretty(arm_lock()))
    assert (lock.architecture, len(lock.builder)) == ("arm64", 1)
    assert lock.builder[0] in lock.all_debs
    assert locks.parse(lock.to_json()) == lock
    usual = locks.load(SAMPLE)
    assert usual.machine is AMD64
    assert b"architecture" not in usual.to_json()
    with pytest.raises(Misuse, match="is for arm64, the recipe asks for amd64") as caught:
        lock.check(load(SAMPLE))
    assert "troth lock" in caught.value.fix
    folder = elsewhere(Path(shutil.copytree(SAMPLE, tmp_path / "app")))
    with pytest.raises(Misuse, match="is for amd64, the recipe asks for arm64"):
        usual.check(load(folder))
    assert not usual.fits(load(folder))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"architecture": "amd64"}, locks.FILE),
        ({"architecture": "amd64", "builder": []}, locks.FILE),
        ({"architecture": "mips"}, "architecture"),
        ({"architecture": 1}, "architecture"),
        ({"builder": []}, "builder"),
        ({"builder": {}}, "builder"),
        ({"builder": [1]}, "builder[0]"),
    ],
)
def test_locks_that_are_none(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as caught:
        locks.parse(locks.pretty(arm_lock() | changes))
    assert caught.value.field == field


def test_one_without_the_other() -> None:
    for name in ("architecture", "builder"):
        value = arm_lock()
        del value[name]
        with pytest.raises(Malformed):
            locks.parse(locks.pretty(value))


RAW = b"MZ" + bytes(54) + b"ARMd"


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (b"MZ\0\0zimg" + bytes(60), "compressed"),
        (b"\x1f\x8b" + bytes(60), "compressed"),
        (b"MZ" + bytes(62), "of another kind"),
        (b"short", "of another kind"),
    ],
)
def test_a_kernel_that_is_not_raw(image: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words) as caught:
        kernel.take(package(member("./boot/vmlinuz-6", image)), name="linux.deb", raw=True)
    assert caught.value.field == "linux.deb"


def test_a_raw_kernel_is_one() -> None:
    with pytest.raises(Malformed, match="lacks the module"):
        kernel.take(package(member("./boot/vmlinuz-6", RAW)), name="linux.deb", raw=True)


def test_programs_for_the_wrong_one() -> None:
    programs = {
        name: b"\x7fELF\2\1\1" + bytes(9) + b"\2\0" + number.to_bytes(2, "little") + bytes(44)
        for name, number in (("amd64", 62), ("arm64", 183))
    }
    for name, machine in ARCHITECTURES.items():
        startable.check_machine(programs[name], name="/x", wanted=machine.elf)
        (other,) = programs.keys() - {name}
        with pytest.raises(Misuse, match="is compiled for") as caught:
            startable.check_machine(programs[other], name="/x", wanted=machine.elf)
        assert machine.elf in caught.value.fix
