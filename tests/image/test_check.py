"""Building twice: equal is said only of equal bytes, and a build that fails takes its twin with it."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.image.conftest import Sample

from troth.errors import Malformed, Misuse, Unavailable
from troth.image import check
from troth.image import lock as locks
from troth.image.build import Built
from troth.image.check import Environment
from troth.image.store import Store, digest


@pytest.mark.network
def test_two_environments_one_image(sample: Sample, built: Built, tmp_path: Path) -> None:
    out = tmp_path / "sample.eif"
    said: list[str] = []
    twice = check.build_twice(sample.folder, out, store=sample.store, say=said.append)
    assert twice.differences == ()
    assert twice.sha256 == built.sha256 == digest(out.read_bytes())
    assert twice.measurements == built.measurements
    assert {p.name for p in tmp_path.iterdir()} == {
        *("sample.eif", "sample.measurements.json", "sample.build.json")
    }
    assert said == ["building sample twice"]


@pytest.mark.network
def test_a_build_that_depends_on_where_it_is_made(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second build gets another source tree: what a non-reproducible step would do."""
    real = check.copy_app

    def copy(app: Path, place: Path, *, reverse: bool, but: Path | None) -> None:
        real(app, place, reverse=reverse, but=but)
        if reverse:
            main = place / "app" / "main.py"
            main.write_bytes(main.read_bytes() + b"# elsewhere\n")

    monkeypatch.setattr(check, "copy_app", copy)
    twice = check.build_twice(sample.folder, tmp_path / "x.eif", store=sample.store)
    assert any("ramdisk 1: /app/main.py: differs" in line for line in twice.differences)
    assert "sample.build.json differs" in twice.differences


@pytest.mark.network
def test_packages_that_travel_with_the_app(sample: Sample, tmp_path: Path) -> None:
    """Both builds take them from beside the app; the store stays empty, and nothing is downloaded."""
    folder, empty = tmp_path / "app", Store(folder=tmp_path / "store")
    check.copy_app(sample.folder, folder, reverse=False)
    locked = locks.load(folder)
    (folder / "packages").mkdir()
    for item in (*locked.all_debs, *locked.all_wheels):
        data = sample.store.get(sha256=item.sha256, name=item.file)
        (folder / "packages" / item.file).write_bytes(data)
    locks.save(folder, replace(locked, vendor="packages"))
    store = replace(empty, vendored=folder / "packages")
    twice = check.build_twice(folder, tmp_path / "x.eif", store=store)
    assert twice.differences == ()
    assert not empty.folder.exists()


@pytest.mark.network
def test_what_a_build_says_is_passed_on(sample: Sample, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    check.copy_app(sample.folder, folder, reverse=False)
    (folder / "app" / "main.py").write_bytes(b"def x(:\n")
    with pytest.raises(Misuse, match=r"^/app/main.py of app has a syntax error$") as caught:
        check.build_twice(folder, tmp_path / "x.eif", store=sample.store)
    assert caught.value.fix == "run python3.13 -m py_compile on it"
    assert not (tmp_path / "x.eif").exists()


def test_errors_keep_their_kind() -> None:
    for code, kind in ((2, Misuse), (3, Malformed), (5, Unavailable), (1, Unavailable)):
        text = "error: thing: is wrong\\nfix: do this\\n"
        program = f"import sys; sys.stderr.write('{text}'); sys.exit({code})"
        process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
        with pytest.raises(kind, match=r"^thing: is wrong$") as caught:
            check.finish(process)
        assert caught.value.fix == "do this"


def test_a_build_that_says_nothing() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], stderr=subprocess.PIPE
    )
    with pytest.raises(Unavailable, match="a build ended with -9"):
        check.finish(process)


def test_ending_a_build_ends_what_it_started(tmp_path: Path) -> None:
    program = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    environment = Environment(
        name="x", variables={}, umask=0o022, prefix=(sys.executable, "-c", program)
    )
    process = check.start(tmp_path, tmp_path / "home" / "out" / "x.eif", environment, tmp_path)
    group = process.pid
    time.sleep(0.3)
    check.end(process)
    assert process.returncode == -signal.SIGKILL
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process of the build's is left")


def test_a_copy_is_the_same_app(tmp_path: Path) -> None:
    app = tmp_path / "app"
    (app / "sub").mkdir(parents=True)
    (app / "sub" / "tool").write_bytes(b"#!")
    (app / "sub" / "tool").chmod(0o700)
    (app / "text").write_bytes(b"text")
    (app / "link").symlink_to("text")
    for reverse in (False, True):
        copy = tmp_path / f"copy-{reverse}"
        check.copy_app(app, copy, reverse=reverse)
        assert (copy / "sub" / "tool").stat().st_mode & 0o777 == 0o755
        assert (copy / "text").stat().st_mode & 0o777 == 0o644
        assert (copy / "text").read_bytes() == b"text"
        assert (copy / "link").is_symlink()


def test_the_command_of_one_build(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "troth.image", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run().returncode == 2
    done = run(str(tmp_path), str(tmp_path / "x.eif"), str(tmp_path))
    assert done.returncode == 2
    assert "has no troth.lock" in done.stderr
    assert "\nfix: run `troth lock`" in done.stderr


def test_the_strange_environment_differs_in_all_that_is_here() -> None:
    plain, strange = check.plain(), check.strange()
    assert plain.umask != strange.umask
    assert {"HOME", "TZ", "USER"} <= plain.variables.keys() & strange.variables.keys()
    for name in ("HOME", "TZ", "USER"):
        assert plain.variables[name] != strange.variables[name]


@pytest.mark.namespaces
def test_what_a_build_has_in_shared_memory_ends_with_it(tmp_path: Path) -> None:
    """Else faketime leaves its clock there when a build is killed, and trips over it later."""
    name = f"troth-test-{tmp_path.name}-{os.getpid()}"
    made = Path("/dev/shm", name)
    script = 'touch "$0" && ls /dev/shm'
    done = subprocess.run(
        [*check.strange().prefix, "sh", "-c", script, str(made)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert name in done.stdout.split()
    assert not made.exists()


def test_what_an_app_brings_is_not_copied(tmp_path: Path) -> None:
    app = tmp_path / "app"
    (app / "root" / "bin").mkdir(parents=True)
    for name in ("troth.toml", "root/bin/sh", "root.tar"):
        (app / name).touch()
    for number, but in enumerate((app / "root", app / "root.tar", tmp_path / "elsewhere")):
        copy = tmp_path / f"{number}"
        check.copy_app(app, copy, reverse=bool(number), but=but)
        copied = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
        assert copied == {"troth.toml", "root/bin/sh", "root.tar"} - {
            but.relative_to(app).as_posix() + rest for rest in ("", "/bin/sh") if number < 2
        }
