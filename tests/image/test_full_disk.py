"""A disk that fills, wherever it is: exit 5 with the way out, and nothing half written kept.

A file system in memory, of a size of our choosing, stands for the disk; a user namespace lets an
ordinary user mount it.
"""

import contextlib
import http.server
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.image import made
from tests.image.conftest import Sample

from troth.image import lock as locks
from troth.image.recipe import load
from troth.image.store import Store, digest

pytestmark = pytest.mark.namespaces
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is absent")
SAMPLE = Path(__file__).parents[1] / "data" / "app"
DEB = random.Random(1).randbytes(3 << 20)
BESIDE = ("x.eif", "x.measurements.json", "x.build.json")
_SCRIPT = (
    'place=$1 size=$2 after=$3; shift 3; cp -a "$place" "$after.before" &&'
    ' mount -t tmpfs -o "size=$size" none "$place" && cp -a "$after.before/." "$place" &&'
    ' { "$@"; code=$?; cp -a "$place" "$after" && exit $code; }; exit 99'
)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "app"))


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; the store is the test's own too, but where it is `stocked`."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def troth_on(place: Path, size: str, *words: str | Path) -> Path:
    """Runs troth with a disk of `size` at `place`, which refuses.

    Returns:
        A folder that has what was on that disk at the end.
    """
    after = place.with_name(f"{place.name}.after")
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _SCRIPT, "sh"]
    command += [str(place), size, str(after), sys.executable, "-m", "troth"]
    done = subprocess.run(
        [*command, *map(str, words)], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout) == (5, ""), done.stderr
    assert "error: " in done.stderr
    assert "no space left" in done.stderr.lower() or "MiB left" in done.stderr
    assert "  fix: free space" in done.stderr
    assert "bug" not in done.stderr
    return after


@contextlib.contextmanager
def serving(data: bytes) -> Iterator[str]:
    """A mirror whose every package has these bytes; apt copies them, as it does not from `file:`."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/debian/"
        finally:
            server.shutdown()


def under(folder: Path) -> dict[str, str]:
    """Digests of all files below a folder, by path."""
    return {
        str(path.relative_to(folder)): digest(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_lock_without_room_for_the_lists(app: Path, tmp_path: Path) -> None:
    """Said before anything is fetched: apt itself would wait for ever."""
    before = under(app)
    words = ("--update", "--mirror", "file:///nowhere/debian/")
    after = troth_on(tmp_path / "cache", "1m", "lock", app, *words)
    assert under(after) == {}
    assert under(app) == before


@needs_apt
@pytest.mark.parametrize("full", ["scratch", "cache"])
def test_a_lock_without_room_for_the_packages(
    app: Path, tmp_path: Path, scratch: Path, full: str
) -> None:
    held = made.lock(load(app), deb=DEB)
    locks.save(app, held)
    before = under(app)
    with serving(DEB) as mirror:
        after = troth_on(tmp_path / full, "1m", "lock", app, "--mirror", mirror)
    assert under(after) == {}
    assert under(app) == before
    assert under(tmp_path / "cache") == {}
    assert list(scratch.iterdir()) == []


def test_a_lock_without_room_for_the_vendored_packages(app: Path, scratch: Path) -> None:
    held = made.lock(load(app), deb=DEB)
    locks.save(app, held)
    Store.of_user().put(DEB, sha256=digest(DEB), name="only.deb")
    before = under(app)
    assert under(troth_on(app, "1m", "lock", app, "--vendor", "packages")) == before
    assert list(scratch.iterdir()) == []


def test_a_lock_without_room_for_itself(app: Path, scratch: Path) -> None:
    """There is room for the packages and for one lock, and the old one stays."""
    small = b"a package"
    held = made.lock(load(app), deb=small, version="1" * 600_000)
    locks.save(app, held)
    Store.of_user().put(small, sha256=digest(small), name="only.deb")
    before = under(app)
    after = under(troth_on(app, "1m", "lock", app, "--vendor", "packages"))
    assert after == before | {f"packages/{held.kernel.file}": digest(small)}
    assert list(scratch.iterdir()) == []


@pytest.fixture
def stocked(sample: Sample, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    """The sample app, with the user's own store, in which everything is at hand."""
    assert scratch.is_dir()  # asked for, so that its own store is set before this one
    monkeypatch.setenv("XDG_CACHE_HOME", str(sample.store.folder.parents[2]))
    return sample


@pytest.mark.usefixtures("stocked")
@pytest.mark.network
@pytest.mark.parametrize("old", [True, False], ids=["after another", "the first"])
def test_a_new_lock_without_room_for_itself(app: Path, scratch: Path, old: bool) -> None:
    """Everything is at hand, and the app's folder takes not one page more than is there."""
    if not old:
        (app / locks.FILE).unlink()
    before = under(app)
    page = os.sysconf("SC_PAGESIZE")
    pages = sum(-(-path.stat().st_size // page) for path in app.rglob("*") if path.is_file())
    assert under(troth_on(app, str(pages * page), "lock", app, "--update")) == before
    assert list(scratch.iterdir()) == []


@pytest.mark.network
@pytest.mark.parametrize("check", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("full", ["out", "scratch"])
def test_a_build_without_room(
    stocked: Sample, tmp_path: Path, scratch: Path, full: str, check: bool
) -> None:
    """The image and the records of an earlier build stay whole, and nothing else is there."""
    out = tmp_path / "out"
    out.mkdir()
    for name in BESIDE:
        (out / name).write_text(f"an earlier {name}")
    before = under(out)
    words = ["build", stocked.folder, "-o", out / "x.eif", *(["--check"] if check else [])]
    after = troth_on(tmp_path / full, "2m", *words)
    assert under(after) == (before if full == "out" else {})
    assert under(out) == before
    assert list(scratch.iterdir()) == []
