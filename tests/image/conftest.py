"""The sample app, locked and built once for all tests of a session."""

import fcntl
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from troth.errors import Unavailable
from troth.image import build as builder
from troth.image import locking
from troth.image.build import Built
from troth.image.store import Store

SAMPLE = Path(__file__).parents[1] / "data" / "app"


@dataclass(frozen=True)
class Sample:
    """The sample app, locked, with its packages at hand."""

    folder: Path
    store: Store


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Only for tests that are marked `network`. The user's own store is used: it holds no secrets."""
    folder = tmp_path_factory.mktemp("sample") / "app"
    shutil.copytree(SAMPLE, folder)
    # A name that a locale could spell in another way.
    (folder / "app" / "grüße").mkdir()
    (folder / "app" / "grüße" / "täglich.py").write_text("x = 1\n", "utf-8")
    store = Store.of_user()
    # Several workers of one run share the user's package lists, which apt locks.
    with (tmp_path_factory.getbasetemp().parent / "sample.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        try:
            locking.ensure(folder, store=store)
        except Unavailable:  # the mirror went on to newer versions
            locking.make(folder, store=store)
    return Sample(folder, store)


@pytest.fixture(scope="session")
def built(sample: Sample) -> Built:
    return builder.build(sample.folder, store=sample.store)
