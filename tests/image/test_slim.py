"""Slimming: base packages keep what is reached, everything else keeps all; what is missing is named."""

import pytest
from tests.image.made import library

from troth.errors import Misuse
from troth.image import slim
from troth.image.tree import Tree

LIB = "usr/lib/x86_64-linux-gnu"


def _tree() -> Tree:
    tree = Tree()
    tree.add_file(f"{LIB}/libc.so.6", library(), owner="libc6", executable=True)
    tree.add_file(f"{LIB}/ld-linux-x86-64.so.2", library(), owner="libc6", executable=True)
    tree.add_link("usr/lib64/ld-linux-x86-64.so.2", f"/{LIB}/ld-linux-x86-64.so.2", owner="libc6")
    tree.add_file(f"{LIB}/libused.so.1.2", library(("libdeep.so.1",)), owner="libused")
    tree.add_link(f"{LIB}/libused.so.1", "libused.so.1.2", owner="libused")
    tree.add_file(f"{LIB}/libdeep.so.1", library(("libc.so.6",)), owner="libdeep")
    tree.add_file(f"{LIB}/libunused.so.1", library(("libnowhere.so.9",)), owner="libunused")
    tree.add_file(f"{LIB}/libgcc_s.so.1", library(), owner="libgcc-s1")
    program = library(("libc.so.6", "libused.so.1"), interpreter="/lib64/ld-linux-x86-64.so.2")
    tree.add_file("usr/bin/python3.13", program, owner="python3.13-minimal", executable=True)
    return tree


BASE = frozenset(
    {"libc6", "libused", "libdeep", "libunused", "libgcc-s1", "python3.13-minimal", "libextra"}
)


def test_what_is_reached_stays() -> None:
    tree = _tree()
    slim.close(tree, base=BASE)
    left = {path.removeprefix(f"{LIB}/") for path in tree if slim.is_library(path)}
    assert left == {
        *("libc.so.6", "ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2"),
        *("libused.so.1.2", "libused.so.1", "libdeep.so.1", "libgcc_s.so.1"),
    }


def test_wheels_bring_their_own_needs() -> None:
    tree = _tree()
    tree.add_file(f"{LIB}/libextra.so.1", library(), owner="libextra")
    tree.add_file("usr/lib/troth/lib/mod.so", library(("libextra.so.1",)), owner="wheel")
    slim.close(tree, base=BASE)
    assert f"{LIB}/libextra.so.1" in tree


def test_libraries_beside_a_wheel_are_found_by_their_origin() -> None:
    tree = _tree()
    where = "usr/local/lib/python3.13/dist-packages"
    data = library(("libown.so",), runpath="$ORIGIN/../mod.libs")
    tree.add_file(f"{where}/mod/mod.so", data, owner="wheel")
    tree.add_file(f"{where}/mod.libs/libown.so", library(), owner="wheel")
    slim.close(tree, base=BASE)
    assert f"{where}/mod.libs/libown.so" in tree


def test_packages_that_the_recipe_names_are_whole() -> None:
    tree = _tree()
    tree.add_file(f"{LIB}/libnamed.so.1", library(), owner="named")
    slim.close(tree, base=BASE)
    assert f"{LIB}/libnamed.so.1" in tree


def test_a_missing_library_is_named() -> None:
    tree = _tree()
    tree.add_file("app/mod.so", library(("libnowhere.so.9",)), owner="app")
    with pytest.raises(Misuse, match=r"/app/mod.so \(of app\) needs libnowhere.so.9") as caught:
        slim.close(tree, base=BASE)
    assert "debian.packages" in caught.value.fix


def test_a_missing_loader_is_named() -> None:
    tree = _tree()
    tree.add_file("app/tool", library(interpreter="/lib/ld-musl.so.1"), owner="app")
    with pytest.raises(Misuse, match=r"needs the loader /lib/ld-musl\.so\.1"):
        slim.close(tree, base=BASE)


@pytest.mark.parametrize(
    "path",
    [
        "usr/share/doc/python3.13/copyright",
        "usr/share/man/man1/x.1.gz",
        "usr/share/locale/de/x.mo",
        "usr/lib/x86_64-linux-gnu/gconv/UTF-16.so",
        "usr/include/stdio.h",
        "usr/lib/x86_64-linux-gnu/libc.a",
    ],
)
def test_what_nothing_reads(path: str) -> None:
    assert slim.unread(path)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("usr/bin/python3.13", True),
        ("usr/lib/python3.13/ssl.py", True),
        ("usr/lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", True),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", True),
        ("usr/bin/pdb3.13", False),
        ("usr/bin/perl", False),
        ("usr/sbin/ldconfig", False),
        ("etc/python3.13/sitecustomize.py", False),
        ("usr/lib/python3.13/sitecustomize.py", False),
        ("usr/lib/python3.13/test/test_ssl.py", False),
        ("usr/lib/python3.13/idlelib/idle.py", False),
        ("usr/lib/python3.13/ensurepip/__init__.py", False),
        ("usr/lib/python3.13/config-3.13-x86_64-linux-gnu/Makefile", False),
        ("usr/lib/python3.13/lib-dynload/readline.cpython-313-x86_64-linux-gnu.so", False),
        ("usr/lib/python3.13/__pycache__/ssl.cpython-313.pyc", False),
    ],
)
def test_what_stays_of_the_base(path: str, kept: bool) -> None:
    assert slim.kept_of_base(path) is kept
