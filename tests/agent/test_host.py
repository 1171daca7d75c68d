"""What a host hands over is kept as data and nothing else; names that lead elsewhere are refused."""

from pathlib import Path

import pytest

from troth.agent import host
from troth.errors import Malformed


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "free"
    place.mkdir()
    monkeypatch.setattr(host, "_FREE", place)
    return place


def test_data_become_files(folder: Path) -> None:
    host._keep(("free", {"hint": "00ff", "empty": ""}))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {"hint": b"\0\xff", "empty": b""}
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in folder.iterdir())


@pytest.mark.parametrize(
    "first",
    [
        None,
        ("free", []),
        ("stop", True),
        ("free", {"../up": ""}),
        ("free", {"a/b": ""}),
        ("free", {".hidden": ""}),
        ("free", {"": ""}),
        ("free", {"x" * 65: ""}),
        ("free", {"a": "0"}),
        ("free", {"a": "FF"}),
        ("free", {"a": "zz"}),
        ("free", {"a": 1}),
    ],
)
def test_what_is_no_data(first, folder: Path) -> None:
    with pytest.raises(Malformed):
        host._keep(first)
    assert not list(folder.parent.glob("up*"))
