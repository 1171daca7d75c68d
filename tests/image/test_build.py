"""The sample app, really built: what is in the image, what is not, and what is written beside it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG

import pytest
from tests.image import made
from tests.image.conftest import Sample

from troth.errors import Misuse
from troth.image import agent_parts, check
from troth.image import build as builder
from troth.image.build import Built
from troth.image.store import digest
from troth.platforms.nitro.measure import measure
from troth.wire import cpio, eif, ramdisk

network = pytest.mark.network


@pytest.fixture(scope="module")
def disks(built: Built) -> list[Mapping[str, cpio.Entry]]:
    return [{e.path: e for e in ramdisk.read(disk.data)} for disk in built.image.ramdisks]


@pytest.fixture(scope="module")
def files(disks: list[Mapping[str, cpio.Entry]]) -> dict[str, cpio.Entry]:
    return {e.path: e for e in cpio.overlay([tuple(disk.values()) for disk in disks])}


@network
def test_troth_and_modules_are_first_and_the_app_is_second(
    disks: list[Mapping[str, cpio.Entry]],
) -> None:
    boot, system = ({p for p, e in disk.items() if not S_ISDIR(e.mode)} for disk in disks)
    assert all(p == "init" or p.startswith(("usr/lib/troth/", "usr/lib/modules/")) for p in boot)
    assert "usr/lib/modules/nsm.ko" in boot
    assert not boot & system
    assert "app/main.py" in system


@network
def test_nothing_unneeded_is_inside(files: dict[str, cpio.Entry]) -> None:
    programs = {p for p, e in files.items() if p.startswith(("usr/bin/", "usr/sbin/"))}
    assert programs == {"usr/bin/python3.13"}
    for part in ("usr/share", "var", "usr/lib/python3.13/test", "usr/lib/python3.13/ensurepip"):
        assert part not in files
    for part in ("image", "cli", "render"):
        assert f"usr/lib/troth/lib/troth/{part}" not in files
    assert not any("simulate" in path or path.endswith((".a", ".pyi")) for path in files)


@network
def test_nobody_may_write_and_nothing_changes_identity(files: dict[str, cpio.Entry]) -> None:
    for entry in files.values():
        assert S_ISDIR(entry.mode) or S_ISLNK(entry.mode) or S_ISREG(entry.mode)
        if not S_ISLNK(entry.mode):
            assert entry.mode & 0o7777 in (0o755, 0o644)


@network
def test_links_lead_to_something(files: dict[str, cpio.Entry]) -> None:
    for path, entry in files.items():
        if S_ISLNK(entry.mode):
            target = bytes(entry.data).decode()
            base = "" if target.startswith("/") else os.path.dirname(path)  # noqa: PTH120
            where = os.path.normpath(f"/{base}/{target}").lstrip("/")
            assert where in files or path in ("sbin", "bin", "lib", "lib64"), path


@network
def test_init_and_configuration(files: dict[str, cpio.Entry]) -> None:
    assert bytes(files["init"].data).startswith(b"#!/usr/bin/python3.13 -IS\n")
    assert files["init"].mode & 0o111
    config = bytes(files["etc/troth/app.json"].data)
    assert json.loads(config) == {
        "name": "sample",
        "entry": ["/usr/bin/python3.13", "/app/main.py"],
        "environment": {"GREETING": "hello"},
        "listen": [{"port": 8080}],
        "memory": 256,
        "cpus": 1,
        "measured": {"currency": "EUR"},
        "sealed": [],
        "free": [],
        "raw_nsm": False,
        "scratch": [],
        "root": "/",
        "directory": "/",
        "stop_signal": 15,
    }
    assert config == json.dumps(json.loads(config), sort_keys=True, separators=(",", ":")).encode()


@network
def test_every_source_has_its_bytecode(files: dict[str, cpio.Entry]) -> None:
    """Unchecked, by hash, of the image's own paths: nothing of the builder's is in it."""
    sources = {p for p, e in files.items() if p.endswith(".py") and not S_ISLNK(e.mode)}
    missing = []
    for path in sorted(sources - {"usr/lib/troth/boot.py"}):
        folder, _, name = path.rpartition("/")
        cached = files.get(f"{folder}/__pycache__/{name[:-3]}.cpython-313.pyc")
        if cached is None:
            missing.append(path)
            continue
        assert bytes(cached.data[4:8]) == b"\1\0\0\0", path
        assert f"/{path}".encode() in bytes(cached.data), path
    assert missing == []
    everything = b"".join(bytes(e.data) for p, e in files.items() if p.endswith(".pyc"))
    assert b"troth-compile-" not in everything


@network
def test_the_agent_is_in_it(files: dict[str, cpio.Entry]) -> None:
    ours = "usr/lib/troth/lib/troth/"
    inside = {p.removeprefix(ours) for p in files if p.startswith(ours) and p.endswith(".py")}
    assert inside == {path for path, _ in agent_parts.files()}


@network
def test_the_measurements_are_the_images(built: Built) -> None:
    data = eif.pack(built.image)
    assert built.sha256 == digest(data)
    assert built.measurements == {"nitro": dict(measure(eif.read(data)).hex())}


@network
def test_the_record_names_every_input(built: Built, sample: Sample) -> None:
    record = built.record
    assert record["recipe_sha256"] == digest((sample.folder / "troth.toml").read_bytes())
    assert record["lock_sha256"] == digest((sample.folder / "troth.lock").read_bytes())
    lock = json.loads((sample.folder / "troth.lock").read_bytes())
    text = json.dumps(lock)
    assert len(record["packages"]) > 20
    assert all(package["sha256"] in text for package in record["packages"])
    main = digest((sample.folder / "app" / "main.py").read_bytes())
    assert {"path": "/app/main.py", "sha256": main} in record["app"]
    assert record["nitro"] == built.measurements["nitro"]
    assert record["image"]["sha256"] == built.sha256


@network
def test_what_is_written(built: Built, tmp_path: Path) -> None:
    builder.write(built, tmp_path / "x.eif")
    assert {p.name for p in tmp_path.iterdir()} == {"x.eif", "x.measurements.json", "x.build.json"}
    assert digest((tmp_path / "x.eif").read_bytes()) == built.sha256
    said = json.loads((tmp_path / "x.measurements.json").read_bytes())
    assert said["schema"] == "troth/measurements/1"
    assert said["image"] == {"name": "sample", "sha256": built.sha256, "size": built.image.size}
    assert said["nitro"] == built.measurements["nitro"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """The file size limit stands for a disk that fills while the image is written."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "from pathlib import Path\n"
        "from troth.errors import Unavailable\n"
        "from troth.image.files import write_together\n"
        "try:\n"
        "    write_together(Path(sys.argv[1]), {'a.json': [b'x'], 'a.eif': [bytes(2 << 20)]})\n"
        "except Unavailable as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "writing a.json, a.eif: file too large" in done.stdout
    assert list(tmp_path.iterdir()) == []


def _with(sample: Sample, tmp_path: Path, change: str, *, files: Mapping[str, bytes]) -> Path:
    folder = tmp_path / "app"
    check.copy_app(sample.folder, folder, reverse=False)
    text = (folder / "troth.toml").read_text("utf-8")
    (folder / "troth.toml").write_text(change + text, "utf-8")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@network
def test_one_byte_of_the_app_changes_the_second_ramdisk_alone(
    sample: Sample, built: Built, tmp_path: Path
) -> None:
    source = (sample.folder / "app" / "main.py").read_bytes()
    folder = _with(sample, tmp_path, "", files={"app/main.py": source + b"\n"})
    other = builder.build(folder, store=sample.store).measurements["nitro"]
    mine = built.measurements["nitro"]
    assert other["pcr0"] != mine["pcr0"]
    assert other["pcr1"] == mine["pcr1"]
    assert other["pcr2"] != mine["pcr2"]


@network
def test_a_syntax_error_of_the_apps(sample: Sample, tmp_path: Path) -> None:
    folder = _with(sample, tmp_path, "", files={"app/main.py": b"def x(:\n"})
    with pytest.raises(Misuse, match=r"/app/main.py of app has a syntax error"):
        builder.build(folder, store=sample.store)


@network
def test_an_entry_that_is_not_there(sample: Sample, tmp_path: Path) -> None:
    folder = _with(sample, tmp_path, "", files={})
    text = (folder / "troth.toml").read_text("utf-8").replace("python3.13", "perl")
    (folder / "troth.toml").write_text(text, "utf-8")
    with pytest.raises(Misuse, match="the entry 'perl' is no program in the image"):
        builder.build(folder, store=sample.store)


@network
def test_a_program_that_is_not_made_yet(sample: Sample, tmp_path: Path) -> None:
    rule = 'files = [{ source = "bin/hello", target = "/app/hello", mode = "755" }]\n'
    folder = _with(sample, tmp_path, rule, files={})
    with pytest.raises(Misuse, match="bin/hello is not in the app's folder") as refused:
        builder.build(folder, store=sample.store)
    assert refused.value.fix == "correct `files` in troth.toml"
    (folder / "compile").write_text("#!/bin/sh\n", "utf-8")
    with pytest.raises(Misuse) as refused:
        builder.build(folder, store=sample.store)
    assert refused.value.fix == "make it: run ./compile in that folder"


@network
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x7fELF\2\1\1" + bytes(11) + b"\xb7\0", "/app/hello is compiled for 64-bit Arm"),
        (made.library(("libfoo.so.1",)), r"/app/hello \(of app\) needs libfoo.so.1"),
        (
            made.library(interpreter="/lib/ld-musl-x86_64.so.1"),
            r"/app/hello \(of app\) needs the loader /lib/ld-musl-x86_64.so.1",
        ),
    ],
)
def test_a_program_that_could_not_start(
    sample: Sample, tmp_path: Path, data: bytes, said: str
) -> None:
    rule = 'files = ["app", { source = "hello", target = "/app/hello", mode = "755" }]\n'
    folder = _with(sample, tmp_path, rule, files={"hello": data})
    with pytest.raises(Misuse, match=said) as refused:
        builder.build(folder, store=sample.store)
    assert refused.value.fix


@network
def test_links_in_the_apps_folder(sample: Sample, tmp_path: Path) -> None:
    folder = _with(sample, tmp_path, 'files = ["app", "more"]\n', files={})
    (folder / "more").symlink_to("/etc")
    with pytest.raises(Misuse, match="more is a link, or behind one"):
        builder.build(folder, store=sample.store)
    (folder / "more").unlink()
    (folder / "more").mkdir()
    (folder / "more" / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(Misuse, match="is a link or no file"):
        builder.build(folder, store=sample.store)


@network
def test_names_that_are_not_utf8(sample: Sample, tmp_path: Path) -> None:
    folder = _with(sample, tmp_path, "", files={})
    Path(os.fsdecode(bytes(folder / "app") + b"/\xff.txt")).touch()
    with pytest.raises(Misuse, match="is not UTF-8"):
        builder.build(folder, store=sample.store)


@network
def test_files_no_build_takes_in(sample: Sample, built: Built, tmp_path: Path) -> None:
    """An editor's and an interpreter's droppings do not change the image."""
    folder = _with(sample, tmp_path, "", files={"app/.swp": b"x", "app/old.pyc": b"x"})
    (folder / "app" / "__pycache__").mkdir()
    (folder / "app" / "__pycache__" / "main.cpython-311.pyc").write_bytes(b"x")
    assert builder.build(folder, store=sample.store).sha256 == built.sha256
