"""The user's own root: made once, agreed on by all who come first, and never half written."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from troth.errors import Malformed, Unavailable
from troth.runtime import development, folders


@pytest.mark.usefixtures("home")
def test_many_at_once_agree() -> None:
    code = "from troth.runtime import development; print(development.nitro().root().sha256)"

    def one(_: int) -> str:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return done.stdout.decode()

    with ThreadPoolExecutor(6) as many:
        assert len(set(many.map(one, range(6)))) == 1
    assert sorted(p.name for p in development.folder().iterdir()) == ["pki.pem", "root.pem"]


@pytest.mark.usefixtures("home")
def test_damage_is_named_with_the_way_out() -> None:
    development.nitro()
    keys = development.folder() / "pki.pem"
    whole = keys.read_text("ascii")
    for text in ("", whole.replace("MII", "\u00e4II", 1), whole[:-200], whole.replace("A", "B", 5)):
        keys.write_text(text, "utf-8")
        with pytest.raises(Malformed) as raised:
            development.nitro()
        assert raised.value.fix


@pytest.mark.usefixtures("home")
def test_a_root_file_that_was_changed_is_written_anew() -> None:
    pki = development.nitro()
    development.root_file().write_text("another root")
    development.nitro()
    assert development.root_file().read_text("ascii") == pki.root_pem()


def test_a_home_that_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(Unavailable) as raised:
        development.nitro()
    assert raised.value.fix


def test_relative_folders_are_ignored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "here")
    assert folders.data() == home / ".local" / "share" / "troth"
