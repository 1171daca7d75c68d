"""The same image from twelve environments that differ in what builds usually let in, and two Pythons."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.image.conftest import Sample

from troth.image import build as builder
from troth.image import bytecode, check
from troth.image.build import Built
from troth.image.check import Environment
from troth.image.interpreter import Interpreter
from troth.image.store import digest
from troth.image.tree import Tree
from troth.runtime import unpack
from troth.wire import cpio, ramdisk

BARE = {"LANG": "C.UTF-8"}


def _environment(
    name: str, *prefix: str, umask: int = 0o022, reverse: bool = False, **variables: str
) -> Environment:
    return Environment(
        name=name, prefix=prefix, umask=umask, reverse=reverse, variables={**BARE, **variables}
    )


IDENTITY = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--keep-caps")
HOST = ("unshare", "--user", "--map-root-user", "--uts", "sh", "-c")
ENVIRONMENTS = (
    _environment("plain", HOME="/"),
    _environment("plain again", HOME="/"),
    _environment("umask", umask=0o077, HOME="/"),
    _environment("zone and locale", TZ="Asia/Kathmandu", LC_ALL="tr_TR.ISO-8859-9"),
    _environment("nobody without a home", *IDENTITY),
    _environment("another host name", *HOST, 'hostname elsewhere && exec "$@"', "sh"),
    _environment("clock in 2031", "faketime", "-f", "@2031-02-03 04:05:06", HOME="/"),
    _environment("hash seed, one processor", "taskset", "-c", "0", PYTHONHASHSEED="12345"),
    _environment("another kernel, fixed addresses", "setarch", "x86_64", "--uname-2.6", "-R"),
    _environment("an epoch", SOURCE_DATE_EPOCH="1600000000", PYTHONOPTIMIZE="2"),
    _environment("shuffled folders", HOME="/"),
    _environment("a long path in memory", reverse=True, HOME="/"),
)
assert len(ENVIRONMENTS) == 12


@contextlib.contextmanager
def _shuffled(folder: Path) -> Iterator[Path]:
    """The folder through a file system that lists names in another order each time."""
    mount = folder.with_name("shuffled")
    mount.mkdir()
    options = ("--shuffle-dirents=yes", "--reverse-dirents=no")
    subprocess.run(
        ["disorderfs", *options, str(folder), str(mount)], check=True, capture_output=True
    )
    try:
        yield mount
    finally:
        tool = shutil.which("fusermount") or shutil.which("fusermount3") or "umount"
        subprocess.run([tool, "-u", str(mount)], check=True)


@contextlib.contextmanager
def _place(environment: Environment, tmp_path: Path) -> Iterator[Path]:
    if environment.name != "a long path in memory":
        yield tmp_path
        return
    with TemporaryDirectory(dir="/dev/shm") as folder:
        place = Path(folder, "a" * 70)
        place.mkdir()
        yield place


@pytest.mark.network
@pytest.mark.variation
@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: e.name)
def test_twelve_environments(
    environment: Environment, sample: Sample, built: Built, tmp_path: Path
) -> None:
    with _place(environment, tmp_path) as place, contextlib.ExitStack() as stack:
        app = place / "app"
        check.copy_app(sample.folder, app, reverse=environment.reverse)
        if environment.name == "shuffled folders":
            app = stack.enter_context(_shuffled(app))
        target = place / "build" / "out" / "x.eif"
        process = check.start(app, target, environment, sample.store.folder)
        stack.callback(check.end, process)
        check.finish(process)
        _same(target, built, tmp_path)


def _same(target: Path, built: Built, tmp_path: Path) -> None:
    expected = tmp_path / "expected" / "x.eif"
    builder.write(built, expected)
    for ending in (".eif", ".measurements.json", ".build.json"):
        one, other = target.with_suffix(ending), expected.with_suffix(ending)
        assert digest(one.read_bytes()) == digest(other.read_bytes()), ending


@pytest.mark.network
@pytest.mark.slow
def test_two_pythons(sample: Sample, built: Built, tmp_path: Path) -> None:
    """The image's own Python 3.13 builds the image that it is part of."""
    if sys.version_info[:2] == (3, 13):
        pytest.skip("the tests run on the Python that would be the other one")
    root = tmp_path / "root"
    root.mkdir()
    unpack.unpack(cpio.overlay([ramdisk.read(d.data) for d in built.image.ramdisks]), root)
    program = str(root / "usr/bin/python3.13")
    libraries = f"{root}/usr/lib/x86_64-linux-gnu"
    loader = str((root / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2").resolve())
    python = (loader, "--library-path", libraries, "--argv0", program, program, "-S", "-s")
    app = tmp_path / "app"
    check.copy_app(sample.folder, app, reverse=False)
    target = tmp_path / "build" / "out" / "x.eif"
    # It has no library but its own standard one: none is needed to build.
    environment = _environment("other Python")
    process = check.start(app, target, environment, sample.store.folder, python=python)
    try:
        check.finish(process)
    finally:
        check.end(process)
    _same(target, built, tmp_path)


@pytest.mark.network
def test_bytecode_does_not_depend_on_what_was_compiled_before(built: Built) -> None:
    """Compiled again from the image's own sources, in another order, each file is the same."""
    files = cpio.overlay([ramdisk.read(d.data) for d in built.image.ramdisks])
    whole = {e.path: e for e in files}
    tree = Tree()
    for entry in reversed(files):
        if entry.kind == 0o120000 and "/" in entry.path:
            tree.add_link(entry.path, bytes(entry.data).decode(), owner="x")
        elif entry.kind == 0o100000 and not entry.path.endswith(".pyc"):
            tree.add_file(entry.path, bytes(entry.data), owner="x", executable=True)
    with Interpreter(tree, python="3.13") as tool:
        bytecode.compile_all(tree, python="3.13", strict=frozenset(), interpreter=tool)
    made = {path: node.data for path, node in tree.files() if path.endswith(".pyc")}
    assert made == {p: bytes(e.data) for p, e in whole.items() if p.endswith(".pyc")}
    assert len(made) > 300
