"""What goes wrong in a build while something else is at work beside it: told as it is, and nothing left."""

import shutil
import tempfile
import threading
from pathlib import Path

import pytest
from tests.image.conftest import Sample

from troth.errors import Misuse, Unavailable
from troth.image import budget, rootfs, squeeze
from troth.image import build as builder
from troth.image.budget import OverBudget
from troth.image.build import Built
from troth.image.hardware import kept
from troth.image.memo import Memo


@pytest.mark.network
def test_each_is_told_and_leaves_nothing(
    sample: Sample, built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All with one memo, which none of it spoils."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    memo = Memo(folder=tmp_path / "made", key=bytes(32))
    folder = shutil.copytree(sample.folder, tmp_path / "app")
    threads = threading.active_count()
    budget_of_one = budget.of_text("elf=1")

    def missing(*_: object) -> None:
        raise kept.Missing

    def full(*_: object, **__: object) -> None:
        raise Unavailable("compressing: no space left on device")

    def refused(kind: type[Exception], words: str, limit: budget.Budget | None = None) -> None:
        with pytest.raises(kind, match=words):
            builder.build(folder, store=sample.store, memo=memo, budget=limit)
        assert list(scratch.iterdir()) == []
        assert threading.active_count() == threads

    broken = folder / "app" / "broken.py"
    broken.write_text("def x(:\n")
    for _ in range(2):  # that it has no bytecode is remembered, and still refused
        refused(Misuse, "app/broken.py of app has a syntax error")
    with monkeypatch.context() as both:
        both.setattr(rootfs, "_kernel", missing)
        refused(Misuse, "syntax error")
    broken.unlink()
    refused(OverBudget, "elf is ", budget_of_one)
    with monkeypatch.context() as without:
        without.setattr(rootfs, "_kernel", missing)
        refused(kept.Missing, "not built yet")
    with monkeypatch.context() as disk:
        disk.setattr(squeeze, "squeeze", full)
        refused(Unavailable, "no space left")
        refused(OverBudget, "elf is ", budget_of_one)
    assert builder.build(folder, store=sample.store, memo=memo).sha256 == built.sha256
