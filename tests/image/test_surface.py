"""The attack surface of trees made on the spot: each number, by who brought it."""

import struct
from stat import S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.image.made import library

from troth.errors import Malformed
from troth.image import surface, surface_links, surface_root
from troth.image.surface import Item, Owner, Root
from troth.image.surface_words import KINDS, NUMBERS
from troth.wire.cpio import Entry

APP = Owner(name="app", kind="app", packaged=False)
DEB = Owner(name="tool", kind="deb")
ROOT = Root(at="rootfs", path=("/usr/bin",))


def file(path: str, data: bytes = b"", mode: int = 0o644, owner: Owner = DEB) -> Item:
    return Item(path=path, mode=S_IFREG | mode, data=data, owner=owner)


def link(path: str, target: str, owner: Owner = DEB) -> Item:
    return Item(path=path, mode=S_IFLNK | 0o777, data=target.encode(), owner=owner)


def folders(*items: Item) -> list[Item]:
    """The items, with the folders above them."""
    above = {i.path[:n] for i in items for n, letter in enumerate(i.path) if letter == "/"}
    made = [Item(path=p, mode=S_IFDIR | 0o755, data=b"", owner=DEB) for p in sorted(above)]
    return [*made, *items]


def numbers(*items: Item) -> dict[str, int]:
    found = surface.measure(folders(*items))["numbers"]
    assert isinstance(found, dict)
    return {name: value for name, value in found.items() if value}


def program(*, fixed: bool = False, relro: bool = True, stack: int | None = 6) -> bytes:
    """A static program with the segments that say how it was linked, and no code."""
    rows = [(1, 5)]
    rows += [(0x6474E552, 4)] if relro else []
    rows += [] if stack is None else [(0x6474E551, stack)]
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack(
        "<HHIQQQIHHHHHH", 2 if fixed else 3, 62, 1, 0, 64, 0, 0, 64, 56, len(rows), 64, 0, 0
    )
    body = b"".join(struct.pack("<IIQQQQQQ", kind, flags, 0, 0, 0, 0, 0, 8) for kind, flags in rows)
    return head + body


def test_an_empty_tree_has_every_number() -> None:
    found = surface.measure([])
    assert found["numbers"] == dict.fromkeys(NUMBERS, 0)
    assert found["owners"] == []


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (file("usr/bin/bash", mode=0o755), {"shells": 1, "programs": 1}),
        (file("opt/x/bash", mode=0o755), {"shells": 1}),
        (file("usr/bin/bash"), {}),
        (file("usr/bin/python3.13", mode=0o755), {"interpreters": 1, "programs": 1}),
        (file("usr/bin/x86_64-linux-gnu-gcc-14", mode=0o755), {"compilers": 1, "programs": 1}),
        (file("usr/bin/apt-get", mode=0o755), {"package_managers": 1, "programs": 1}),
        (file("usr/bin/curl", mode=0o755), {"network_clients": 1, "programs": 1}),
        (
            file("usr/bin/busybox", mode=0o755),
            {"shells": 1, "network_clients": 1, "programs": 1},
        ),
        (file("usr/bin/sudo", mode=0o4755), {"setuid": 1, "programs": 1}),
        (file("usr/bin/wall", mode=0o2755), {"setgid": 1, "programs": 1}),
        (file("srv/open", mode=0o666), {"world_writable": 1}),
        (file("usr/lib/modules/a/nsm.ko"), {"modules": 1}),
        (file("usr/lib/systemd/system/a.service"), {"units": 1}),
        (file("etc/cron.d/a"), {"units": 1}),
        (file("srv/a.py", b"#!/usr/bin/python3\nx\n"), {"scripts": 1, "python_lines": 2}),
    ],
)  # fmt: skip
def test_what_a_file_counts_as(item: Item, expected: dict[str, int]) -> None:
    size = {"bytes": len(item.data)} if item.data else {}
    assert numbers(item) == {"files": 1, "packages": 1, **size, **expected}


def test_a_shell_that_only_the_loader_would_start() -> None:
    """`ld.so /srv/bash` asks nobody whether that may be executed."""
    found = surface.measure(folders(file("srv/bash", library(), mode=0o644)))
    assert found["named"]["shells"] == ["/srv/bash"]
    assert found["numbers"]["programs"] == 0


def test_a_shell_under_the_name_of_a_link() -> None:
    found = surface.measure(
        folders(file("usr/lib/thing", mode=0o755), link("usr/bin/sh", "/usr/lib/thing"))
    )
    assert found["numbers"]["shells"] == 1
    assert found["named"]["shells"] == ["/usr/lib/thing"]
    assert found["named"]["programs"] == ["/usr/lib/thing"]


def test_a_device() -> None:
    item = Item(path="console", mode=S_IFCHR | 0o600, data=b"", owner=DEB)
    assert numbers(item) == {"devices": 1}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (program(), set()),
        (program(fixed=True), {"static", "no_pie"}),
        (program(fixed=True, relro=False), {"static", "no_pie", "no_relro"}),
        (program(stack=7), {"executable_stack"}),
        (program(stack=None), {"executable_stack"}),
        (library(("libnone.so",)), {"missing_libraries", "no_relro", "executable_stack"}),
        (library(runpath="/opt/lib"), {"outside_rpath", "no_relro", "executable_stack"}),
        (library(runpath="$ORIGIN/../lib"), {"no_relro", "executable_stack"}),
        (library(interpreter="/lib/ld.so"), {"missing_libraries", "no_relro", "executable_stack"}),
        (b"\x7fELF\1\1\1" + bytes(60), {"unread"}),
        (b"\x7fELF", {"unread"}),
        (b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HH", 1, 62), set()),
    ],
)
def test_how_machine_code_was_linked(data: bytes, expected: set[str]) -> None:
    found = numbers(file("usr/lib/x", data))
    assert set(found) == {"files", "bytes", "packages", "elf", *expected}


def test_libraries_are_found_where_the_loader_looks() -> None:
    needed = library(("libx.so.1",))
    for place in ("usr/lib/x86_64-linux-gnu/libx.so.1", "usr/local/lib/libx.so.1"):
        assert "missing_libraries" not in numbers(file("srv/a", needed), file(place))
    there = [file("etc/ld.so.conf.d/a.conf", b"# a\n/opt/a\n"), file("opt/a/libx.so.1")]
    assert "missing_libraries" not in numbers(file("srv/a", needed), *there)
    assert numbers(file("srv/a", needed), file("opt/a/libx.so.1"))["missing_libraries"] == 1
    own = library(("libx.so.1",), runpath="$ORIGIN/../lib")
    assert "missing_libraries" not in numbers(file("srv/bin/a", own), file("srv/lib/libx.so.1"))


def test_a_brought_root_is_looked_at_from_inside() -> None:
    """Its program does not see the image's own libraries, nor does its PATH lead to its programs."""
    needed = library(("libx.so.1",))
    own = file("usr/lib/libx.so.1")
    inside = [file("rootfs/usr/bin/a", needed, 0o755), link("rootfs/usr/bin/sh", "/usr/bin/a")]
    found = surface.measure(folders(own, *inside), roots=[surface.OWN, ROOT])["numbers"]
    assert (found["missing_libraries"], found["programs"], found["shells"]) == (1, 1, 1)
    there = [*inside, file("rootfs/usr/lib/libx.so.1")]
    found = surface.measure(folders(*there), roots=[surface.OWN, ROOT])["numbers"]
    assert found["missing_libraries"] == 0


def test_who_brought_what() -> None:
    found = surface.measure(
        folders(file("app/a", b"12", owner=APP), file("usr/b", b"1", owner=DEB)),
        extra=[("bytes", Owner(name="linux", kind="kernel"), 9, ""), ("listeners", APP, 1, "80")],
    )
    assert [(o["name"], o["numbers"].get("bytes")) for o in found["owners"]] == [
        ("linux", 9), ("app", 2), ("tool", 1),
    ]  # fmt: skip
    assert found["numbers"]["bytes"] == 12
    assert found["numbers"]["unowned"] == 1
    assert found["named"]["listeners"] == ["80"]
    for name, total in found["numbers"].items():
        assert total == sum(o["numbers"].get(name, 0) for o in found["owners"])


def test_a_root_that_says_who_brought_what() -> None:
    entries = [
        Entry(path="rootfs/bin", mode=S_IFLNK | 0o777, data=b"usr/bin"),
        *(
            Entry(path=f"rootfs/{path}", mode=S_IFREG | 0o644, data=data)
            for path, data in {
                "usr/bin/bash": b"",
                "usr/bin/own": b"",
                "lib/musl": b"",
                "var/lib/dpkg/info/bash:amd64.list": b"/.\n/bin/bash\n/etc/../../nowhere\n",
                "lib/apk/db/installed": b"P:musl\nF:lib\nR:musl\n",
            }.items()
        ),
        *(
            Entry(path=f"rootfs/{path}", mode=S_IFDIR | 0o755)
            for path in ("usr", "usr/bin", "lib", "etc")
        ),
    ]
    owners = {item.path: item.owner.name for item in surface_root.items(entries)}
    assert owners["rootfs/usr/bin/bash"] == "bash"
    assert owners["rootfs/lib/musl"] == "musl"
    assert owners["rootfs/usr/bin/own"] == "root"


def test_links_that_go_round_and_on() -> None:
    round_ = [link("usr/bin/sh", "bash"), link("usr/bin/bash", "sh"), link("usr/bin/ksh", "/")]
    assert numbers(*round_) == {"links": 3}


def test_a_tree_that_would_be_looked_at_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface_links, "_MOST_STEPS", 1000)
    many = (file(f"usr/lib/{n}", library((f"lib{n}.so",))) for n in range(200))
    with pytest.raises(Malformed, match="too many libraries"):
        numbers(*many)


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(max_size=200).map(lambda b: b"\x7fELF\2\1" + b),
    cut=st.integers(0, 500),
    flip=st.integers(0, 8 * 500 - 1),
)
def test_damaged_machine_code_never_fails_a_report(data: bytes, cut: int, flip: int) -> None:
    good = bytearray(library(("libc.so.6",), runpath="/x", interpreter="/lib/ld.so"))
    good[flip // 8 % len(good)] ^= 1 << flip % 8
    for bad in (data, bytes(good), bytes(good[:cut])):
        found = surface.measure([file("x", bad)])
        assert found["numbers"]["files"] == 1


def test_every_kind_has_words() -> None:
    assert set(KINDS) == {"kernel", "interpreter", "agent", "deb", "wheel", "app", "root", "image"}
    assert not any(words.endswith(".") for words in {**NUMBERS, **KINDS}.values())
