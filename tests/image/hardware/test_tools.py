"""Unpacking the tools: our reader alone, inside one folder."""

import tarfile
from pathlib import Path

import pytest
from tests.image.hardware.stand_in import deb
from tests.image.made import member, package

from troth.errors import Malformed, Misuse
from troth.image.hardware import tools
from troth.image.lock import Deb
from troth.image.store import Store, digest


def stored(store: Store, **packages: bytes) -> tuple[Deb, ...]:
    for data in packages.values():
        store.put(data, sha256=digest(data), name="x")
    return tuple(deb(name, data) for name, data in packages.items())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(folder=tmp_path / "store")


def link(path: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    return member(path, type=kind, linkname=target)


def test_what_is_unpacked(store: Store, tmp_path: Path) -> None:
    one = package(
        member("./bin/dash", b"shell", mode=0o4755),
        member("./usr/share/doc/dash/copyright", b"words"),
        member("./usr/bin/mawk", b"awk", mode=0o755),
        link("./usr/bin/first", "mawk"),
        link("./usr/bin/second", "./usr/bin/mawk", tarfile.LNKTYPE),
        member("./lib/x86_64-linux-gnu/libc.so.6", b"libc"),
    )
    base = package(link("./lib", "usr/lib"), link("./bin", "usr/bin"))
    tools.write(tools.tree(stored(store, one=one, base=base), store), tmp_path / "root")
    root = tmp_path / "root"
    assert (root / "usr/bin/dash").read_bytes() == (root / "bin/sh").read_bytes() == b"shell"
    assert (root / "usr/bin/dash").stat().st_mode & 0o7777 == 0o755
    assert (root / "usr/bin/second").read_bytes() == (root / "usr/bin/awk").read_bytes() == b"awk"
    assert (root / "usr/bin/first").is_symlink()
    assert (root / "lib/x86_64-linux-gnu/libc.so.6").read_bytes() == b"libc"
    assert not (root / "usr/share/doc/dash").exists()
    assert all((root / name).is_dir() for name in ("dev", "proc", "tmp"))


@pytest.mark.parametrize(
    ("items", "error"),
    [
        ((member("./../x", b"out"),), Malformed),
        ((member("/etc/x", b"out"),), Malformed),
        ((link("./usr/x", "/etc"), member("./usr/x/passwd", b"out")), Misuse),
        ((member("./usr/x", type=tarfile.CHRTYPE),), Malformed),
        ((member("./usr/x", b"1"), member("./usr/x", b"2")), Misuse),
        ((link("./usr/x", "./usr/absent", tarfile.LNKTYPE),), Malformed),
    ],
)
def test_no_path_leads_out(
    store: Store, items: tuple[tarfile.TarInfo, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        tools.tree(stored(store, one=package(*items)), store)
