"""The tree in memory: merged folders, links, modes, and no silent overwriting."""

from stat import S_IFDIR, S_IFLNK, S_IFREG

import pytest

from troth.errors import Malformed, Misuse
from troth.image.tree import Tree, merged, normal


def test_debians_merged_folders() -> None:
    tree = Tree()
    tree.add_file("bin/tool", b"x", owner="a", executable=True)
    assert "usr/bin/tool" in tree
    assert tree.resolve("/bin/tool") == "usr/bin/tool"
    links = {e.path: bytes(e.data) for e in tree.entries() if e.mode == S_IFLNK | 0o777}
    assert links == {
        "bin": b"usr/bin",
        "lib": b"usr/lib",
        "lib64": b"usr/lib64",
        "sbin": b"usr/sbin",
    }


def test_modes_are_one_of_two() -> None:
    tree = Tree()
    tree.add_file("a", b"", owner="x", executable=True)
    tree.add_file("d/b", b"", owner="x")
    modes = {e.path: e.mode for e in tree.entries()}
    assert (modes["a"], modes["d/b"], modes["d"]) == (
        S_IFREG | 0o755,
        S_IFREG | 0o644,
        S_IFDIR | 0o755,
    )


def test_two_who_bring_the_same() -> None:
    tree = Tree()
    tree.add_file("a", b"1", owner="one")
    tree.add_file("a", b"1", owner="two")
    with pytest.raises(Misuse, match="/a comes from two and, with other content, from three"):
        tree.add_file("a", b"2", owner="three")


def test_nothing_lies_below_what_is_no_folder() -> None:
    """A machine that unpacks the image would follow the link, and put the file where it leads."""
    tree = Tree()
    tree.add_link("srv/x", "/usr/lib", owner="pkg")
    tree.add_file("srv/y", b"", owner="pkg")
    for path in ("srv/x/python313.zip", "srv/x/a/b", "srv/y/z"):
        with pytest.raises(Misuse, match="which is no folder"):
            tree.add_file(path, b"", owner="app")
    tree.add_file("srv/z/a", b"", owner="pkg")
    for add, what in ((tree.add_link, "/usr/lib"), (tree.add_file, b""), (tree.add_link, "")):
        with pytest.raises(Misuse, match="/srv/z comes from"):
            add("srv/z", what, owner="app")  # type: ignore[operator]


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../../b"])
def test_paths_that_climb(path: str) -> None:
    for add in (Tree().add_file, Tree().add_link):
        with pytest.raises(Malformed, match="has the path"):
            add(path, b"" if add.__name__ == "add_file" else "", owner="x")  # type: ignore[arg-type]


def test_links_are_followed_inside() -> None:
    tree = Tree()
    tree.add_file("usr/lib/real.so.1.2", b"x", owner="a")
    tree.add_link("usr/lib/real.so.1", "real.so.1.2", owner="a")
    tree.add_link("usr/lib/real.so", "/lib/real.so.1", owner="a")
    tree.add_link("opt/up", "../../../../usr", owner="a")
    assert tree.resolve("usr/lib/real.so") == "usr/lib/real.so.1.2"
    assert tree.resolve("/opt/up/lib/real.so.1") == "usr/lib/real.so.1.2"
    assert tree.resolve("usr/lib/absent") is None


def test_links_that_go_round() -> None:
    tree = Tree()
    tree.add_link("a", "b", owner="x")
    tree.add_link("b", "a", owner="x")
    assert tree.resolve("a") is None


def test_folders_in_which_nothing_is_left() -> None:
    tree = Tree()
    tree.add_folder("proc", owner="image")
    tree.add_file("usr/share/doc/x", b"", owner="a")
    tree.remove("usr/share/doc/x")
    paths = {e.path for e in tree.entries()}
    assert "proc" in paths
    assert "usr/share" not in paths


def test_paths_in_their_plain_form() -> None:
    assert normal("/a//b/./c/../d") == "a/b/d"
    assert normal("../../a") == "a"
    assert merged("lib64/ld.so") == "usr/lib64/ld.so"
    assert merged("library/x") == "library/x"
