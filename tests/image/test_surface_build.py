"""The surface of a real image, and a budget that stops its build."""

import shutil
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.image.conftest import Sample

from troth.cli.main import run
from troth.image import budget, check, companions, kernel, locking, rootfs, surface_build
from troth.image import build as builder
from troth.image import recipe as recipes
from troth.image.budget import OverBudget
from troth.image.build import Built
from troth.image.surface_names import OPTIONS
from troth.image.surface_words import KINDS, NUMBERS
from troth.wire import json

pytestmark = pytest.mark.network


def test_what_a_record_says(built: Built) -> None:
    surface = built.record["surface"]
    numbers = surface["numbers"]
    assert set(numbers) == set(NUMBERS)
    assert numbers["programs"] == 1
    assert surface["named"]["interpreters"] == ["/usr/bin/python3.13"]
    for none in (
        "shells",
        "compilers",
        "package_managers",
        "setuid",
        "missing_libraries",
        "unread",
    ):
        assert numbers[none] == 0, none
    assert numbers["elf"] > 40
    assert numbers["modules"] >= 3
    assert {owner["kind"] for owner in surface["owners"]} <= set(KINDS)
    for name, total in numbers.items():
        assert total == sum(owner["numbers"].get(name, 0) for owner in surface["owners"])
    packed = {p["name"]: p for p in built.record["packages"]}
    for owner in surface["owners"]:
        if owner["kind"] == "interpreter" and owner["name"] != "libc6":
            assert owner["numbers"]["files"] == packed[owner["name"]]["files"]
    assert set(surface["kernel"]["options"]) == set(OPTIONS)
    assert surface["kernel"]["options"]["MODULES"] == "y"  # out of Debian's own file


def test_the_kernels_options(sample: Sample) -> None:
    recipe = recipes.load(sample.folder)
    bare = kernel.Kernel(image=b"", version="1")
    assert set(surface_build.kernel_facts(recipe, bare)["options"].values()) == {"unknown"}
    said = kernel.Kernel(
        image=b"", version="1", config=b"CONFIG_MODULES=y\n# CONFIG_KEXEC is not set\n"
    )
    found = surface_build.kernel_facts(recipe, said)["options"]
    assert (found["MODULES"], found["KEXEC"]) == ("y", "n")
    found = surface_build.kernel_facts(replace(recipe, kernel="hardware"), bare)["options"]
    assert "unknown" not in found.values()
    assert (found["MODULES"], found["SECCOMP_FILTER"]) == ("n", "y")


def test_what_is_over_its_budget_is_not_written(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(sample.folder, tmp_path / "app")
    with (folder / "troth.toml").open("a") as recipe:
        recipe.write("\n[budget]\nshells = 0\nfiles = 10\n")
    target = tmp_path / "out" / "a.eif"
    assert run(["build", str(folder), "-o", str(target)]) == 1
    assert "over 10 (by libpython3.13-" in capsys.readouterr().err
    assert not target.parent.exists()


def test_a_flag_takes_the_place_of_the_table(
    sample: Sample, built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(sample.folder, tmp_path / "app")
    with (folder / "troth.toml").open("a") as recipe:
        recipe.write("\n[budget]\nfiles = 10\n")
    nothing = nullcontext(rootfs.Rootfs(None, None, None))  # type: ignore[arg-type]
    monkeypatch.setattr(rootfs, "make", lambda *_, **__: nothing)
    monkeypatch.setattr(surface_build, "report", lambda *_, **__: built.record["surface"])
    with pytest.raises(OverBudget) as caught:
        builder.build(folder, store=sample.store, budget=budget.of_text("elf=1"))
    assert "elf is " in str(caught.value)
    assert "files" not in str(caught.value)


def test_an_earlier_build_as_the_budget(sample: Sample, built: Built, tmp_path: Path) -> None:
    limits = budget.of_record(json.canonical(built.record), name="a.build.json")
    budget.hold(built.record["surface"], limits)
    folder = shutil.copytree(sample.folder, tmp_path / "app")
    (folder / "app" / "more.py").write_text("x = 1\n")
    recipe, lock, store = locking.ensure(folder, store=sample.store)
    with rootfs.make(folder, recipe, lock, store) as made:
        surface = surface_build.report(recipe, lock, made.tree, made.kernel, None)
    with pytest.raises(OverBudget, match=r"files is \d+, 2 over \d+ \(by app \+2\)"):
        budget.hold(surface, limits)  # the file, and what it is compiled to


def test_building_twice_holds_it_too(
    sample: Sample, built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(_: Path, target: Path, *__: Any, **___: Any) -> "subprocess.Popen[bytes]":
        builder.write(built, target)
        return subprocess.Popen(
            ["true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )

    monkeypatch.setattr(check, "start", made)
    out = tmp_path / "a.eif"
    with pytest.raises(OverBudget, match="files is"):
        check.build_twice(sample.folder, out, store=sample.store, budget=budget.of_text("files=1"))
    assert not out.exists()
    assert not companions.of(out, companions.RECORD).exists()
    assert check.build_twice(sample.folder, out, store=sample.store).differences == ()
