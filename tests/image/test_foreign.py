"""A brought root made fit to run: mount points, and what a container's runtime puts over the image's own."""

import pytest
from tests.image.containers import tree

from troth.errors import Malformed
from troth.image import foreign
from troth.image.foreign import File, Folder, Foreign, Link
from troth.wire import cpio

OWN = {
    "dev": None,
    "etc": None,
    "etc/hostname": b"enclave\n",
    "etc/hosts": b"127.0.0.1 localhost\n::1 localhost\n",
    "etc/resolv.conf": b"",
    "proc": None,
    "run": None,
    "sys": None,
    "tmp": None,
}


def made(**nodes: object) -> Foreign:
    root = Foreign("app.tar")
    for path, value in nodes.items():
        name = path.replace("__", "/")
        if value is None:
            root.put(name, Folder())
        elif isinstance(value, str):
            root.put(name, Link(value))
        else:
            root.put(name, File(value, executable=False))  # type: ignore[arg-type]
    return root


def test_an_empty_root() -> None:
    root = made()
    assert root.settle() == ()
    assert tree(root) == OWN


def test_what_is_mounted_over_is_empty() -> None:
    root = made(
        dev__null=b"", proc__1__exe="/x", sys=None, run__lock__a=b"1", run__pid=b"2", tmp__x="y"
    )
    assert root.settle() == (
        "2 files below /run are left out: it is mounted over",
        "1 files below /tmp are left out: it is mounted over",
    )
    assert tree(root) == OWN | {"run/lock": None}


def test_mount_points_that_are_no_folders() -> None:
    root = made(var__tmp__x=b"kept", tmp="/var/tmp", dev=b"")
    said = root.settle()
    assert len(said) == 2 and all("is no folder in it" in line for line in said)
    assert tree(root) == OWN | {"var": None, "var/tmp": None, "var/tmp/x": b"kept"}


def test_the_containers_own_files() -> None:
    root = made(etc__hosts="/run/hosts", etc__hostname=b"b", run__troth__x=b"", etc__resolv=b"r")
    root.put(".dockerenv", File(b"", executable=False))
    root.settle()
    assert tree(root) == OWN | {"etc/resolv": b"r"}


def test_etc_behind_a_link() -> None:
    root = made(conf=None, etc="conf")
    root.settle()
    moved = {p.replace("etc", "conf", 1): v for p, v in OWN.items() if p.startswith("etc")}
    rest = {p: v for p, v in OWN.items() if not p.startswith("etc")}
    assert tree(root) == rest | moved | {"etc": "-> conf"}
    with pytest.raises(Malformed, match="passes through a file"):
        made(etc=b"").settle()


def test_following() -> None:
    root = made(
        a__b=b"x", l="a", abs="/a", up="../../a/../a", end="a/b", loop="loop", far="/none/x"
    )
    for path in ("a/b", "l/b", "abs/b", "up/b", "end", "/a/./b", "a/../a/b", "../a/b"):
        found = root.follow(path)
        assert isinstance(found, File), path
    for path in ("none", "far", "a/b/c", "l/none"):
        assert root.follow(path) is None, path
    assert isinstance(root.follow("end", last=False), Link)
    assert isinstance(root.follow("", last=False), Folder)
    with pytest.raises(Malformed, match="links without end"):
        root.follow("loop")


def test_what_an_archive_takes() -> None:
    root = made(a__b=b"x", l="../e")
    root.put("p", File(memoryview(b"#!x"), executable=True))
    entries = {e.path: (oct(e.mode), bytes(e.data)) for e in root.entries()}
    assert entries == {
        "rootfs": ("0o40755", b""),
        "rootfs/a": ("0o40755", b""),
        "rootfs/a/b": ("0o100644", b"x"),
        "rootfs/l": ("0o120777", b"../e"),
        "rootfs/p": ("0o100755", b"#!x"),
    }
    assert len(cpio.read(b"".join(cpio.pack(root.entries())))) == 5


def test_deeper_than_a_path_can_be() -> None:
    """Links make it possible: each name is short, and where it leads to is long."""
    root = made()
    root.put("/".join(["x" * 200] * 15), Folder())
    root.put("l", Link("/".join(["x" * 200] * 15)))
    root.put("/".join(["l"] + ["y" * 200] * 15), File(b"", executable=False))
    with pytest.raises(Malformed, match="is too long"):
        list(root.entries())


def test_too_many_folders_to_make_at_every_start() -> None:
    root = made(**{f"run__{n // 40}__{n}": None for n in range(1100)})
    with pytest.raises(Malformed, match="/run has more than 1000 folders"):
        root.settle()


def test_links_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "_MOST_STEPS", 100_000)
    root = made(a=None)
    for n in range(9):
        root.put(f"l{n}", Link("./" * 2000 + (f"l{n - 1}" if n else "a")))
    root.put("l8/once", Folder())
    for _ in range(4):
        root.follow("l8/once")
    with pytest.raises(Malformed, match="too many links to follow"):
        root.put("l8/again", Folder())


def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "MAX_ENTRIES", 10)
    with pytest.raises(Malformed, match="more than 5 files") as refused:
        made(a__b__c__d__e=b"", f=b"")
    assert "leave some out" in refused.value.fix
    made(a__b__c=b"", d=b"", e=None)
