"""A lock made from a file in which somebody pinned Python packages."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.image.conftest import SAMPLE

from troth.errors import Misuse
from troth.image import lock as locks
from troth.image import locking, recipe, wheels
from troth.image.lock import Wheel
from troth.image.pins import Pin
from troth.image.store import Store


def app(folder: Path, requirements: str, *, name: str = "requirements.txt") -> Path:
    folder.mkdir()
    (folder / "troth.toml").write_text(
        f'[app]\nname = "a"\nentry = ["/usr/bin/python3.13"]\n[python]\nrequirements = "{name}"\n'
    )
    (folder / name).write_text(requirements)
    return folder


def lines(items: Sequence[Wheel]) -> str:
    return "".join(f"{w.name}=={w.version} --hash=sha256:{w.sha256}\n" for w in items)


def test_a_recipe_names_the_file(tmp_path: Path) -> None:
    folder = app(tmp_path / "a", "# nothing yet\n")
    first = recipe.load(folder)
    assert first.requirements is not None
    assert first.requirements.path == "requirements.txt"
    bare = (folder / "troth.toml").read_text()
    (folder / "requirements.txt").write_text("# something else\n")
    assert recipe.load(folder).pinned() != first.pinned()
    for said, wrong in (
        ("both given", bare + 'packages = ["idna"]\n'),
        ("must be a path inside", bare.replace('"requirements.txt"', '"../requirements.txt"')),
        ("only the root that it brings", bare.replace("[python]", 'from_rootfs = "r"\n[python]')),
    ):
        (folder / "troth.toml").write_text(wrong)
        with pytest.raises(Misuse, match=said):
            recipe.load(folder)
    (folder / "troth.toml").write_text(bare)
    (folder / "requirements.txt").rename(folder / "there.txt")
    (folder / "requirements.txt").symlink_to("there.txt")
    with pytest.raises(Misuse, match="is a link"):
        recipe.load(folder)


def test_a_recipe_without_one_needs_no_new_lock(tmp_path: Path) -> None:
    """The digest that old locks have is the one of a recipe that does not know the key."""
    folder = shutil.copytree(SAMPLE, tmp_path / "app")
    assert locks.load(folder).recipe == recipe.load(folder).pinned()


@pytest.mark.network
def test_the_wheels_are_those_that_are_pinned(tmp_path: Path) -> None:
    store = Store.of_user()
    found = wheels.resolve(["cffi"], python="3.13")
    assert [w.name for w in found] == ["cffi", "pycparser"]
    pins = [Pin(name=w.name, version=w.version, sha256=(w.sha256, "ab" * 32)) for w in found]
    assert wheels.resolve_pinned(pins, python="3.13") == found
    other = [Pin(name=w.name, version=w.version, sha256=("ab" * 32,)) for w in found]
    with pytest.raises(Misuse, match="a wheel for each package") as caught:
        wheels.resolve_pinned(other, python="3.13")
    assert "nothing is built from source here" in caught.value.fix

    folder = app(tmp_path / "whole", lines(found))
    made = locking.make(folder, store=store)
    assert [(w.name, w.sha256) for w in made.wheels] == [(w.name, w.sha256) for w in found]
    locking.ensure(folder, store=store)
    (folder / "requirements.txt").write_text(lines(found) + "\n")
    with pytest.raises(Misuse, match="does not fit the recipe"):
        locking.ensure(folder, store=store)

    short = app(tmp_path / "short", lines(found[:1]))
    with pytest.raises(
        Misuse, match=r"cffi .* needs pycparser, which requirements\.txt does not pin"
    ):
        locking.make(short, store=store)
    assert not (short / locks.FILE).exists()
