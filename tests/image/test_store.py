"""The store gives the bytes of a digest or nothing."""

from pathlib import Path

import pytest

from troth.errors import Malformed, Unavailable
from troth.image.store import Store, digest

DATA = b"package"
SHA = digest(DATA)


def test_what_was_put_is_there(tmp_path: Path) -> None:
    store = Store(folder=tmp_path / "store")
    assert not store.has(sha256=SHA, name="p.deb")
    store.put(DATA, sha256=SHA, name="p.deb")
    store.put(DATA, sha256=SHA, name="q.deb")
    assert store.has(sha256=SHA, name="p.deb")
    assert store.get(sha256=SHA, name="p.deb") == DATA
    assert [path.name for path in store.folder.iterdir()] == [SHA]


def test_other_bytes_are_not_kept(tmp_path: Path) -> None:
    store = Store(folder=tmp_path)
    with pytest.raises(Malformed, match=r"p\.deb: has the SHA-256"):
        store.put(b"forged", sha256=SHA, name="p.deb")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_copy_is_removed_and_said(tmp_path: Path) -> None:
    store = Store(folder=tmp_path)
    store.put(DATA, sha256=SHA, name="p.deb")
    (tmp_path / SHA).write_bytes(DATA[:-1])
    with pytest.raises(Unavailable, match="damaged"):
        store.get(sha256=SHA, name="p.deb")
    with pytest.raises(Unavailable, match="not in the store"):
        store.get(sha256=SHA, name="p.deb")


def test_what_is_put_takes_the_place_of_a_damaged_copy(tmp_path: Path) -> None:
    """Else a kernel that was just built and compared would be lost to the one that is there."""
    store = Store(folder=tmp_path)
    (tmp_path / SHA).write_bytes(DATA[:-1])
    store.put(DATA, sha256=SHA, name="p.deb")
    assert store.get(sha256=SHA, name="p.deb") == DATA


def test_a_vendored_file_comes_first_and_must_be_right(tmp_path: Path) -> None:
    store = Store(folder=tmp_path / "store", vendored=tmp_path)
    (tmp_path / "p.deb").write_bytes(DATA)
    assert store.get(sha256=SHA, name="p.deb") == DATA
    (tmp_path / "p.deb").write_bytes(b"forged")
    store.put(DATA, sha256=SHA, name="p.deb")
    with pytest.raises(Malformed, match="lock says"):
        store.get(sha256=SHA, name="p.deb")


def test_a_store_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where a folder should be")
    with pytest.raises(Unavailable, match="writing"):
        Store(folder=tmp_path / "store").put(DATA, sha256=SHA, name="p.deb")
