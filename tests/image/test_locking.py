"""Whole locks, with the machine's own apt and pip, and what a mirror may do to them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from troth.errors import Malformed, Misuse, Unavailable
from troth.image import lock as locks
from troth.image import locking
from troth.image.apt import Mirrors
from troth.image.fetched import Gone
from troth.image.lock import Lock
from troth.image.recipe import load
from troth.image.store import Store, digest

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is absent")
SAMPLE = Path(__file__).parents[1] / "data" / "app"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "app"))


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store(folder=tmp_path / "store")


def only(lock: Lock, name: str) -> Lock:
    """The lock, cut down to one small package."""
    (deb,) = (deb for deb in lock.debs if deb.name == name)
    return replace(lock, debs=(), kernel=deb, wheels=(), agent_wheels=())


def archive(folder: Path, lock: Lock, data: bytes | None) -> Mirrors:
    """A mirror on disk that has these bytes as the kernel of the lock."""
    place = folder / "debian" / lock.kernel.path
    place.parent.mkdir(parents=True)
    if data is not None:
        place.write_bytes(data)
    return Mirrors.beside(f"file://{folder}/debian/", security=f"file://{folder}/debian/")


@needs_apt
def test_a_vanished_package_is_named_with_ways_on(tmp_path: Path, empty: Store) -> None:
    lock = only(locks.load(SAMPLE), "netbase")
    with pytest.raises(Gone, match="no longer has netbase_") as caught:
        locking.fetch(lock, store=empty, mirrors=archive(tmp_path, lock, None))
    assert caught.value.names == (lock.kernel.file,)
    assert all(word in caught.value.fix for word in ("--update", "--mirror", "--vendor"))


@needs_apt
def test_other_bytes_than_the_locks_are_refused(tmp_path: Path, empty: Store) -> None:
    lock = only(locks.load(SAMPLE), "netbase")
    with pytest.raises(Malformed, match="other bytes than the lock says") as caught:
        locking.fetch(lock, store=empty, mirrors=archive(tmp_path, lock, b"forged"))
    assert "another mirror" in caught.value.fix
    assert not empty.has(sha256=lock.kernel.sha256, name=lock.kernel.file)


@needs_apt
def test_a_digest_that_somebody_edited_is_not_fetched_for(tmp_path: Path, empty: Store) -> None:
    """The mirror has the package as it was locked, and a lock of the right form says otherwise."""
    lock, data = only(locks.load(SAMPLE), "netbase"), b"as it was"
    true = replace(lock.kernel, sha256=digest(data), size=len(data))
    locking.fetch(
        replace(lock, kernel=true),
        store=Store(folder=tmp_path / "true"),
        mirrors=archive(tmp_path, lock, data),
    )
    edited = replace(lock, kernel=replace(true, sha256="0" * 64))
    with pytest.raises(Malformed, match="other bytes than the lock says") as caught:
        locking.fetch(edited, store=empty, mirrors=archive(tmp_path / "again", lock, data))
    assert caught.value.field == lock.kernel.file
    assert "If troth.lock was edited, take it back as it was" in caught.value.fix
    assert not empty.folder.exists() or not list(empty.folder.iterdir())


@needs_apt
def test_no_answer_is_no_vanished_package(empty: Store) -> None:
    lock = only(locks.load(SAMPLE), "netbase")
    with pytest.raises(Unavailable, match="can't be fetched") as caught:
        locking.fetch(lock, store=empty, mirrors=Mirrors.beside("http://127.0.0.1:9/debian/"))
    assert not isinstance(caught.value, Gone)
    assert "network" in caught.value.fix


@pytest.mark.parametrize("vendor", ["/x", "../x", "a/../b", ".", "", "app", "app/packages"])
def test_packages_are_kept_inside_the_app_and_outside_the_image(vendor: str) -> None:
    with pytest.raises(Misuse, match="--vendor"):
        locking.check_vendor(vendor, load(SAMPLE))


def test_no_lock_and_a_lock_that_does_not_fit(app: Path, empty: Store) -> None:
    text = (app / "troth.toml").read_text()
    (app / "troth.toml").write_text(text + '[debian]\npackages = ["socat"]\n')
    with pytest.raises(Misuse, match="does not fit the recipe"):
        locking.ensure(app, store=empty)
    (app / locks.FILE).unlink()
    with pytest.raises(Misuse, match=r"no troth\.lock"):
        locking.ensure(app, store=empty)


@pytest.mark.network
def test_a_lock_of_the_sample(app: Path) -> None:
    store = Store.of_user()
    lock = locking.make(app, store=store, vendor="packages")
    assert locks.load(app) == lock
    assert all(item.size > 0 for item in (*lock.all_debs, *lock.all_wheels))
    assert "python3.13-minimal" in {deb.name for deb in lock.debs}
    kept = {path.name for path in (app / "packages").iterdir()}
    assert kept == {item.file for item in (*lock.all_debs, *lock.all_wheels)}
    # With the packages beside it, neither network nor store is needed.
    _, again, _ = locking.ensure(
        app, store=Store(folder=app / "nothing", vendored=app / lock.vendor)
    )
    assert again == lock
    assert not (app / "nothing").exists()


@pytest.mark.network
def test_a_failed_lock_leaves_the_old_one(app: Path, empty: Store) -> None:
    before = (app / locks.FILE).read_bytes()
    with pytest.raises(Unavailable):
        locking.make(app, store=empty, mirrors=Mirrors.beside("file:///nowhere/debian/"))
    text = (app / "troth.toml").read_text()
    (app / "troth.toml").write_text(text + '[debian]\npackages = ["no-such-package"]\n')
    with pytest.raises(Misuse, match="no-such-package"):
        locking.make(app, store=empty)
    assert (app / locks.FILE).read_bytes() == before
    assert not list(app.glob(".troth*"))
