"""Folders to write to: made where there is nothing, refused where something would be hidden."""

from stat import S_IFDIR

import pytest

from troth.errors import Misuse
from troth.image import scratch
from troth.image.foreign import File, Folder, Foreign, Link
from troth.image.tree import Tree


def test_a_recipe_names_its_own() -> None:
    assert scratch.check(("/data",), "troth.toml") == ("/data",)
    with pytest.raises(Misuse, match=r"troth\.toml: scratch has '/etc/x', and /etc is not") as no:
        scratch.check(("/etc/x",), "troth.toml")
    assert no.value.fix


def test_in_an_images_own_root() -> None:
    tree = Tree()
    tree.add_file("app/main.py", b"", owner="app")
    scratch.in_tree(tree, ("/var/lib/app", "/app/data"))
    folders = [e.path for e in tree.entries() if e.kind == S_IFDIR]
    assert folders == ["app", "app/data", "var", "var/lib", "var/lib/app"]
    for path in ("/app", "/app/main.py"):
        with pytest.raises(Misuse, match=r"the image has the file /app/main\.py"):
            scratch.in_tree(tree, (path,))


def test_not_the_folder_that_goes_at_the_start() -> None:
    """An image with it was built, and its app never started on a machine of its own."""
    place = "/root"
    with pytest.raises(Misuse, match="taken away at the start"):
        scratch.in_tree(Tree(), (place,))
    scratch.in_tree(Tree(), (f"{place}/app",))
    scratch.in_root(Foreign("app.tar"), (place,))  # that one is another folder


def test_not_through_a_link_in_an_images_own_root() -> None:
    tree = Tree()
    tree.add_link("srv", "/usr", owner="x")
    with pytest.raises(Misuse):
        scratch.in_tree(tree, ("/srv/data",))
    with pytest.raises(Misuse):
        scratch.in_tree(tree, ("/srv",))


def test_in_a_root_that_was_brought() -> None:
    root = Foreign("app.tar")
    root.put("var/lib/postgres/empty", Folder())
    root.put("srv", Link("/usr"))
    root.put("data/kept", File(b"x", executable=False))
    scratch.in_root(root, ("/var/lib/postgres", "/new/place"))
    assert isinstance(root.follow("new/place", last=False), Folder)
    with pytest.raises(Misuse, match="on the way there is no folder"):
        scratch.in_root(root, ("/srv/x",))
    with pytest.raises(Misuse, match="the image has the file /data/kept"):
        scratch.in_root(root, ("/data",))
    with pytest.raises(Misuse):
        scratch.in_root(root, ("/data/kept",))
