"""Ctrl-C while a lock is made, in every phase: exit 130, nothing left running, the old lock as it was."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.image import made
from tests.image.conftest import Sample

from troth.image import lock as locks
from troth.image.recipe import load
from troth.image.store import Store, digest

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is absent")
SAMPLE = Path(__file__).parents[1] / "data" / "app"
DEB = b"a package"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "app"))


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, beside a store of the test's own."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def start(*words: str | Path) -> "subprocess.Popen[str]":
    """`troth lock` in a session of its own, as a terminal's foreground group is."""
    return subprocess.Popen(
        [sys.executable, "-m", "troth", "lock", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def in_session(session: int) -> list[str]:
    """Programs that still run in a session; what is dead and not yet reaped does not count."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        state, _, _, its_session = rest.split()[:4]
        if int(its_session) == session and state != "Z":
            found.append(name)
    return found


def interrupt(process: "subprocess.Popen[str]") -> None:
    """Ctrl-C, and what must be true after it."""
    os.killpg(process.pid, signal.SIGINT)
    said, talk = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, ""), talk
    assert talk == "interrupted\n"
    end = time.monotonic() + 5
    while left := in_session(process.pid):
        assert time.monotonic() < end, left
        time.sleep(0.02)


@needs_apt
@pytest.mark.parametrize("phase", ["lists", "packages", "wheels"])
def test_interrupted_while_something_is_fetched(
    app: Path, scratch: Path, silent: socket.socket, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """apt or pip has asked, and waits for an answer."""
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    words = ["--mirror", f"{address}/debian/", *(["--update"] if phase == "lists" else [])]
    locks.save(app, made.lock(load(app), deb=DEB, wheel="nobody-has-it"))
    if phase == "wheels":
        Store.of_user().put(DEB, sha256=digest(DEB), name="only.deb")
        monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple/")
    before = (app / locks.FILE).read_bytes()
    names = set(app.rglob("*"))
    process = start(app, *words)
    caller, _ = silent.accept()
    with caller:
        assert len(in_session(process.pid)) > 1
        interrupt(process)
    assert (app / locks.FILE).read_bytes() == before
    assert set(app.rglob("*")) == names
    assert list(scratch.iterdir()) == []


@pytest.fixture
def stocked(sample: Sample, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, beside the user's own store, in which everything is at hand."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(sample.store.folder.parents[2]))
    return scratch


@pytest.mark.network
@pytest.mark.parametrize("old", [True, False], ids=["after another", "the first"])
@pytest.mark.parametrize("after", [0, 0.2, 0.4, 0.7])
def test_interrupted_at_any_time(stocked: Path, app: Path, old: bool, after: float) -> None:
    if not old:
        (app / locks.FILE).unlink()
    names = set(app.rglob("*"))
    before = {path: path.read_bytes() for path in names if path.is_file()}
    process = start(app, "--update")
    end = time.monotonic() + 20
    while len(in_session(process.pid)) < 2:  # until the first question to apt
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(after)
    interrupt(process)
    assert set(app.rglob("*")) == names
    assert {path: path.read_bytes() for path in before} == before
    assert list(stocked.iterdir()) == []
