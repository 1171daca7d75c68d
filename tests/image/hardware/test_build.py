"""Building around a stand-in compiler: what is refused, what is kept, what is left behind."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.image.hardware.stand_in import Compiler, left, lock

from troth.errors import Malformed, Unavailable
from troth.image.apt import Mirrors
from troth.image.fetched import Gone
from troth.image.hardware import build, kept, plan
from troth.image.hardware.inputs import Inputs
from troth.image.store import Store, digest

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is absent")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(folder=tmp_path / "store")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def pinned(store: Store, monkeypatch: pytest.MonkeyPatch, scratch: Path) -> Inputs:
    """A lock whose pinned kernel is what the stand-in compiles."""
    loose = lock(store)
    made = build.make(loose, store, sandbox=Compiler())
    found = replace(loose, kernel=made.pinned(loose.made_from()))
    for module in (build, kept):
        monkeypatch.setattr(module, "inputs", lambda: found)
    assert left(scratch) == []
    return found


def test_a_kernel_is_built_and_found_again(pinned: Inputs, store: Store, scratch: Path) -> None:
    assert kept.find(store) is None
    said: list[str] = []
    compiler = Compiler()
    made = build.build(store, sandbox=compiler, say=said.append)
    assert made.version == "6-t"
    assert [job.argv[-1] for job in compiler.jobs][1:] == ["allnoconfig", "bzImage"]
    found = kept.find(store)
    assert found is not None
    assert (found.image, found.version, found.modules) == (b"bzImage", "6-t", ())
    assert digest(kept.config(store)) == pinned.kernel.config_sha256
    assert left(scratch) == []
    assert said[0].startswith("unpacking the tools")


def test_twice_is_in_two_environments(store: Store) -> None:
    compiler = Compiler()
    build.build(store, sandbox=compiler, twice=True)
    assert {job.hostname for job in compiler.jobs} == {"build", "elsewhere"}
    assert {job.umask for job in compiler.jobs} == {0o022, 0o077}


@pytest.mark.parametrize("name", ["hostname", "umask", "variables"])
def test_two_builds_that_differ(store: Store, scratch: Path, name: str) -> None:
    compiler = Compiler(image=lambda job: b"image " + repr(getattr(job, name)).encode())
    with pytest.raises(build.Differs, match="two builds of the kernel differ: the image from byte"):
        build.build(store, sandbox=compiler, twice=True)
    assert kept.find(store) is None
    assert left(scratch) == []


def test_what_is_not_the_pinned_kernel_is_not_kept(store: Store, scratch: Path) -> None:
    before = left(store.folder)
    with pytest.raises(Unavailable, match="not the one that troth pins: its sha256 is") as caught:
        build.build(store, sandbox=Compiler(image=lambda _: b"bzImagf"))
    assert "its size" not in str(caught.value)
    assert caught.value.fix
    assert left(store.folder) == before
    assert left(scratch) == []


def test_an_option_that_was_dropped(store: Store) -> None:
    compiler = Compiler(drop=("CONFIG_NSM=", "CONFIG_MITIGATION_SRSO="))
    with pytest.raises(Unavailable, match="MITIGATION_SRSO is n and must be y; NSM is n"):
        build.build(store, sandbox=compiler)
    assert compiler.jobs[-1].argv[-1] == "allnoconfig"


@pytest.mark.parametrize("step", ["-xf", "allnoconfig", "bzImage"])
def test_a_step_that_fails(store: Store, scratch: Path, step: str) -> None:
    with pytest.raises(Unavailable, match="ended with 2 inside: error: no"):
        build.build(store, sandbox=Compiler(fail=step))
    assert kept.find(store) is None
    assert left(scratch) == []


def test_a_disk_that_fills_inside(store: Store) -> None:
    full = Compiler(fail="bzImage", said="as: cannot write: No space left on device")
    with pytest.raises(Unavailable, match="disk is full") as caught:
        build.build(store, sandbox=full)
    assert "TMPDIR" in caught.value.fix


def test_a_disk_with_too_little_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "ROOM", 1 << 60)
    compiler = Compiler()
    with pytest.raises(Unavailable, match="building the kernel needs") as caught:
        build.build(store, sandbox=compiler)
    assert "TMPDIR" in caught.value.fix
    assert compiler.jobs == []


def test_a_machine_of_another_kind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(Unavailable, match="this machine is aarch64") as caught:
        build.build(store, sandbox=Compiler())
    assert "x86_64" in caught.value.fix


def test_an_interruption_leaves_nothing(store: Store, scratch: Path) -> None:
    def interrupted(_: plan.Job) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build.build(store, sandbox=Compiler(image=interrupted))
    assert kept.find(store) is None
    assert left(scratch) == []


@needs_apt
def test_a_mirror_that_has_the_source_no_more(tmp_path: Path) -> None:
    (tmp_path / "debian").mkdir()
    mirror = Mirrors.beside(f"file://{tmp_path}/debian/", security=f"file://{tmp_path}/debian/")
    with pytest.raises(Gone, match=r"no longer has linux-source-6\.12_1_all\.deb, gcc_1") as caught:
        build.build(Store(folder=tmp_path / "empty"), sandbox=Compiler(), mirrors=mirror)
    assert "troth kernel build --mirror" in caught.value.fix


@needs_apt
def test_a_mirror_that_does_not_answer(tmp_path: Path) -> None:
    mirror = Mirrors.beside("http://127.0.0.1:9/debian/")
    with pytest.raises(Unavailable, match="can't be fetched") as caught:
        build.build(Store(folder=tmp_path / "empty"), sandbox=Compiler(), mirrors=mirror)
    assert "troth kernel build --mirror" in caught.value.fix


@needs_apt
def test_a_mirror_with_another_package(pinned: Inputs, tmp_path: Path) -> None:
    for package in pinned.packages:
        place = tmp_path / "debian" / package.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"forged")
    mirror = Mirrors.beside(f"file://{tmp_path}/debian/", security=f"file://{tmp_path}/debian/")
    with pytest.raises(Malformed, match="other bytes than the lock says"):
        build.build(Store(folder=tmp_path / "empty"), sandbox=Compiler(), mirrors=mirror)


def test_a_package_that_was_changed_in_the_store(pinned: Inputs, store: Store) -> None:
    place = store.folder / pinned.source.sha256
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    with pytest.raises(Unavailable, match="was damaged and has been removed"):
        build.build(store, sandbox=Compiler())


def test_a_kernel_that_was_changed_in_the_store(pinned: Inputs, store: Store) -> None:
    build.build(store, sandbox=Compiler())
    (store.folder / pinned.kernel.sha256).write_bytes(b"bzImagf")
    with pytest.raises(Unavailable, match=r"vmlinuz-6-t was damaged and has been removed"):
        kept.find(store)
    assert kept.find(store) is None


def test_a_damaged_kernel_is_mended_by_a_build(pinned: Inputs, store: Store) -> None:
    for name in (pinned.kernel.sha256, pinned.kernel.config_sha256):
        (store.folder / name).write_bytes(b"damaged")
    build.build(store, sandbox=Compiler(), twice=True)
    found = kept.find(store)
    assert found is not None
    assert digest(kept.config(store)) == pinned.kernel.config_sha256


def test_a_source_without_an_archive(store: Store, scratch: Path) -> None:
    loose = lock(store)
    odd = replace(loose, source=replace(loose.source, name="linux-source-6.13"))
    with pytest.raises(Malformed, match="holds 0 archives of a kernel, not one"):
        build.make(odd, store, sandbox=Compiler())
    assert left(scratch) == []
