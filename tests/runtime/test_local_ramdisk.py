"""The ramdisk of a local boot: what is in it, and where its module comes from."""

import ast
import hashlib
import json
import lzma
from pathlib import Path

import pytest
from tests.image.made import member, package

from troth.image import rootfs
from troth.image.keys import suite
from troth.platforms.nitro import collect
from troth.runtime import local_ramdisk
from troth.wire import control, cpio


def entries(modules: dict[str, bytes]) -> dict[str, cpio.Entry]:
    return {e.path: e for e in cpio.read(b"".join(local_ramdisk.make(modules)))}


def test_what_is_in_it() -> None:
    found = entries({"cuse": b"module"})
    names = {"init", "cuse.py", "cuse.ko"}
    assert set(found) == {"troth-local", *(f"troth-local/{name}" for name in names)}
    assert found["troth-local/init"].mode & 0o777 == 0o755
    assert bytes(found["troth-local/cuse.ko"].data) == b"module"
    assert f"/{local_ramdisk.FOLDER}/init" == local_ramdisk.INIT
    assert set(entries({})) == {"troth-local", "troth-local/init"}


def test_its_program_needs_nothing_that_an_image_lacks() -> None:
    """It runs on the image's Python without `site`: the standard library only, and little of it."""
    found = entries({"cuse": b"module"})
    script = bytes(found["troth-local/init"].data)
    assert script.startswith(b"#!/usr/bin/python3.13 -IS\n")
    names = set()
    for text in (script, bytes(found["troth-local/cuse.py"].data)):
        tree = ast.parse(text)
        types = [n for n in tree.body if isinstance(n, ast.If) and "TYPE" in ast.unparse(n.test)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            assert not isinstance(node, ast.ImportFrom) or any(node in n.body for n in types)
    assert names == {"_socket", "ctypes", "os", "struct", "sys", "time", "traceback"}


def test_its_numbers_are_those_of_the_rest() -> None:
    """Nothing of troth's can be imported there, so each file has its own; they stand for the same."""
    same: dict[str, object] = {
        "HERE": f"/{local_ramdisk.FOLDER}",
        "PORT": control.MODULE_PORT,
        **{
            name: getattr(collect, name) for name in ("DEVICE", "IOCTL", "MAX_REQUEST", "MAX_REPLY")
        },
    }
    found = entries({"cuse": b"module"})
    for name, own in (("init", {"HERE", "PORT", "DEVICE"}), ("cuse.py", {"HERE", "IOCTL"})):
        tree = ast.parse(bytes(found[f"troth-local/{name}"].data))
        said = {
            ast.unparse(line.targets[0]): ast.literal_eval(line.value)
            for line in tree.body
            if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) in same
        }
        assert set(said) == {*own, "MAX_REQUEST", "MAX_REPLY"}
        assert said == {key: same[key] for key in said}


def test_the_images_own_init_is_one_that_it_runs_itself() -> None:
    """Where the first line is another, the kernel starts what it names; that takes longer."""
    script = bytes(entries({})["troth-local/init"].data)
    head = rootfs._INIT.format(python=suite("trixie").python).encode("ascii")
    assert script.startswith(head)
    assert f"HEAD = {head!r}".replace("'", '"').encode() in script


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image's name with its record, and a store with the kernel package that this names."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    module = member("usr/lib/modules/6.1/kernel/fs/fuse/cuse.ko.xz", lzma.compress(b"the module"))
    other = member("usr/lib/modules/6.1/kernel/fs/fat/fat.ko.xz", lzma.compress(b"another"))
    data = package(other, module)
    digest = hashlib.sha256(data).hexdigest()
    store = tmp_path / "cache/troth/store/sha256"
    store.mkdir(parents=True)
    (store / digest).write_bytes(data)
    record(tmp_path, {"kernel": {"package": {"name": "linux-image-x", "sha256": digest}}})
    return tmp_path / "app.eif"


def record(folder: Path, content: object) -> None:
    (folder / "app.build.json").write_text(json.dumps(content))


def test_the_module_comes_from_the_package_that_the_record_names(image: Path) -> None:
    assert local_ramdisk.modules_of(image) == {"cuse": b"the module"}


def test_what_was_found_is_kept(image: Path, tmp_path: Path) -> None:
    local_ramdisk.modules_of(image)
    for path in (tmp_path / "cache/troth/store/sha256").iterdir():
        path.unlink()
    assert local_ramdisk.modules_of(image) == {"cuse": b"the module"}


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"kernel": {}},
        {"kernel": {"package": {"name": "x", "sha256": "../../../../etc/passwd"}}},
        {"kernel": {"package": {"name": "x", "sha256": "00" * 32}}},
        {"kernel": {"package": {"name": 1, "sha256": "00" * 32}}},
    ],
)
def test_without_such_a_package_there_is_none(image: Path, content: object) -> None:
    record(image.parent, content)
    assert local_ramdisk.modules_of(image) == {}


def test_without_a_record_there_is_none(image: Path) -> None:
    assert local_ramdisk.modules_of(image.with_name("other.eif")) == {}
    (image.parent / "app.build.json").write_text("{")
    assert local_ramdisk.modules_of(image) == {}


def test_a_damaged_package_gives_none(image: Path, tmp_path: Path) -> None:
    (path,) = (tmp_path / "cache/troth/store/sha256").iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    assert local_ramdisk.modules_of(image) == {}
