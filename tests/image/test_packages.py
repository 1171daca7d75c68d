"""What packages hold: the same from memory as from the package, whatever the locale, however much."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.image.hardware.stand_in import deb
from tests.image.made import ar, member, package

from troth.errors import Malformed
from troth.image import packages
from troth.image.memo import Memo
from troth.image.store import Store, digest
from troth.image.tree import Tree
from troth.wire import json

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/."), min_size=1, max_size=12)


def stored(folder: Path, data: bytes) -> Store:
    store = Store(folder=folder / "store")
    store.put(data, sha256=digest(data), name="x")
    return store


@settings(max_examples=30)
@given(st.dictionaries(NAMES, st.tuples(st.binary(max_size=9), st.booleans())))
def test_a_tree_is_the_same_from_memory(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, tuple[bytes, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("x")
    data = package(
        *(member(f"./usr/x/{n}", d, mode=0o755 if e else 0o644) for n, (d, e) in files.items()),
        *(member(f"./usr/y/{n}", type=tarfile.SYMTYPE, linkname=f"../x/{n}") for n in files),
        *(member(f"./usr/z/{n}", type=tarfile.LNKTYPE, linkname=f"./usr/x/{n}") for n in files),
    )
    memo = Memo(folder=folder / "made", key=bytes(32))
    found = []
    for used in (None, memo, memo):
        tree = Tree()
        packages.install(tree, [deb("libx", data)], stored(folder, data), used)
        found.append(tree.entries())
        known = {path: node.known for path, node in tree.files()}
        assert {path: bytes.fromhex(digest(tree[path].data)) for path in known} == known
    assert found[0] == found[1] == found[2]
    assert {f"usr/x/{name}" for name in files} <= {entry.path for entry in found[0]}


def test_another_package_under_the_same_name_and_the_same_slimmed(tmp_path: Path) -> None:
    """What decides is what it holds, and whether it comes with every image."""
    memo = Memo(folder=tmp_path / "made", key=bytes(32))
    for content in (b"1", b"2"):
        data = package(member("./usr/lib/libx.so.1", content), member("./usr/bin/tool", b""))
        for base in (False, True):
            row = replace(deb("libx", data), base=base)
            for used in (None, memo, memo):
                tree = Tree()
                packages.install(tree, [row], stored(tmp_path, data), used)
                assert tree["usr/lib/libx.so.1"].data == content
                assert ("usr/bin/tool" in tree) is not base


def test_more_files_than_a_document_of_others_may_have(tmp_path: Path) -> None:
    """The table is larger than `json.MAX_BYTES`, and ours."""
    long = "/".join(["d" * 200] * 20)
    count = json.MAX_BYTES // len(long) + 1
    data = package(*(member(f"./usr/x/{long}/{n}") for n in range(count)))
    tree = Tree()
    packages.install(tree, [deb("libx", data)], stored(tmp_path, data))
    assert sum(1 for _ in tree.files()) == count


def test_names_are_the_same_in_every_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would read them as the file system's are, which a locale decides."""
    data = package(member("./usr/x/Főtanúsítvány", b"1"))
    expected = [path for path, _ in packages.kept(data, owner="x", base=False)]
    assert expected == ["usr/x/Főtanúsítvány"]
    monkeypatch.setattr(tarfile.TarFile, "encoding", "iso8859-9")
    assert [path for path, _ in packages.kept(data, owner="x", base=False)] == expected


@pytest.mark.parametrize("at", ["name", "linkname"])
def test_a_name_that_is_not_utf8(at: str) -> None:
    item = tarfile.TarInfo("usr/x/a")
    item.type = tarfile.SYMTYPE
    setattr(item, at, "usr/x/\udcff")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(item)
    data = ar(("debian-binary", b"2.0\n"), ("data.tar", out.getvalue()))
    with pytest.raises(Malformed, match="a name that is not UTF-8"):
        list(packages.kept(data, owner="x", base=False))
