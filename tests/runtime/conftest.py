"""For tests of images that boot in QEMU."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.agent.conftest import PROBE
from tests.runtime.machines import built, machines

from troth.runtime import state


@pytest.fixture(scope="session")
def probe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that boots."""
    return built(PROBE, tmp_path_factory.mktemp("image") / "probe.eif")


@pytest.fixture
def variant(tmp_path: Path) -> Callable[..., Path]:
    """The probe with another program or recipe: nothing else is built anew."""

    def make(
        program: str | None = None, *, recipe: Callable[[str], str] = lambda text: text
    ) -> Path:
        app = tmp_path / "variant"
        shutil.copytree(PROBE, app)
        if program is not None:
            (app / "app/main.py").write_text(program)
        (app / "troth.toml").write_text(recipe((app / "troth.toml").read_text()))
        return built(app, tmp_path / "variant.eif")

    return make


@pytest.fixture
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own; nothing may be left in it, and no QEMU that was started from it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    yield tmp_path
    assert state.everything() == ()
    assert not machines(tmp_path)


@pytest.fixture
def elsewhere() -> Iterator[None]:
    here = Path.cwd()
    yield
    os.chdir(here)
