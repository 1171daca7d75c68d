"""git within bounds: of memory, of what it writes, and of time."""

import shutil
from pathlib import Path

import pytest

from troth.errors import Unavailable
from troth.image import git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is absent")


def test_git_has_bounds(tmp_path: Path) -> None:
    said = git.git("-c", "alias.x=!ulimit -v; ulimit -f", "x", folder=tmp_path).split()
    assert said == [b"%d" % (8 << 20), b"%d" % (8 << 20)]  # 8 GiB in KiB; 4 GiB in blocks of 512


def test_git_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "_SECONDS", 0.2)
    for words in ("sleep 60 | cat", "sleep 60 & exit 0"):
        monkeypatch.setattr(git, "command", lambda *_, words=words: ["sh", "-c", words])
        with pytest.raises(Unavailable, match="took longer"):
            git.git("fetch", folder=tmp_path)
