"""What packages and wheels may bring: never what turns the agent's interpreter or loader elsewhere."""

from pathlib import Path

import pytest
from tests.image import made

from troth.errors import Malformed, Misuse
from troth.image import rootfs
from troth.image.lock import Lock
from troth.image.recipe import FILE, Recipe, load
from troth.image.store import Store, digest

LEAST = '[app]\nname = "x"\nentry = ["/app/x"]\n'


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / FILE).write_text(LEAST)
    return load(tmp_path)


def make(folder: Path, recipe: Recipe, package: bytes) -> None:
    """Makes the file system of an image whose one package is this."""
    only = made.lock(recipe, deb=package)
    held = Lock(
        suite=only.suite, keys=only.keys, recipe=only.recipe, debs=(only.kernel,),
        kernel=only.kernel, wheels=(), agent_wheels=(),
    )  # fmt: skip
    store = Store(folder=folder / "store")
    store.put(package, sha256=digest(package), name="only.deb")
    with rootfs.make(folder, recipe, held, store):
        pass


@pytest.mark.parametrize(
    "path",
    [
        *("usr/lib/python313.zip", "lib/python313.zip", "usr//lib/./python313.zip"),
        *("usr/lib/python313.zip/os.py", "usr/bin/pyvenv.cfg", "bin/pyvenv.cfg", "usr/pyvenv.cfg"),
        *("usr/bin/pybuilddir.txt", "init", "usr/lib/troth/lib/socket.py", "lib/troth/boot.py"),
        *("etc/troth/app.json", "etc/ld.so.preload", "etc/ld.so.cache"),
    ],
)
def test_no_package_diverts_the_agent(tmp_path: Path, recipe: Recipe, path: str) -> None:
    with pytest.raises(Malformed, match="which no package of Debian's has") as caught:
        make(tmp_path, recipe, made.package(made.member(f"./{path}", b"x")))
    assert caught.value.field == "only"


@pytest.mark.parametrize("path", ["usr/lib/python313.zip", "usr/lib/troth"])
def test_nor_by_a_link(tmp_path: Path, recipe: Recipe, path: str) -> None:
    link = made.member(f"./{path}", type=b"2", linkname="/srv/x")
    with pytest.raises(Malformed, match="which no package of Debian's has"):
        make(tmp_path, recipe, made.package(link))


def test_no_file_of_a_recipe_goes_through_a_packages_link(tmp_path: Path) -> None:
    rule = 'files = [{source = "python313.zip", target = "/srv/x/python313.zip"}]\n'
    (tmp_path / FILE).write_text(rule + LEAST)
    (tmp_path / "python313.zip").write_bytes(b"x")
    link = made.member("./srv/x", type=b"2", linkname="/usr/lib")
    with pytest.raises(Misuse, match=r"/srv/x/python313\.zip of app lies below /srv/x of only"):
        make(tmp_path, load(tmp_path), made.package(link))
