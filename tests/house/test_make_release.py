"""What makes releases: how a log of them begins, and what it refuses before it writes anything."""

import importlib
import stat
from pathlib import Path
from typing import Any

import pytest

from troth.policy import Policy

REPOSITORY = Path(__file__).parents[2]
ASKED = ["--version", "1", "--commit", "0" * 40, "--repository", "https://example.org/x.git"]


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    return importlib.import_module("make_release")


def test_a_log_is_begun_once_and_its_keys_are_their_owners_alone(
    maker: Any, tmp_path: Path
) -> None:
    desk = maker.Desk(tmp_path / "keys", tmp_path / "releases")
    maker.begin(desk)
    terms = Policy.from_toml(desk.policy.read_text("utf-8"), source="policy.toml").release
    assert terms is not None
    assert (len(terms.owners), terms.owner_threshold) == (2, 2)
    assert (len(terms.witnesses), terms.witness_threshold) == (2, 2)
    secret = [
        path for path in desk.keys.rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes()
    ]
    assert {path.relative_to(desk.keys).as_posix() for path in secret} >= {
        *("log.key", "provenance.key", "owner-1.key", "owner-2.key"),
    }
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in secret)
    assert not any(b"PRIVATE" in p.read_bytes() for p in desk.releases.rglob("*") if p.is_file())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit, match="a log is begun once"):
        maker.begin(desk)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_step_that_fails_ends_the_release(maker: Any) -> None:
    with pytest.raises(SystemExit, match="nothing of the release counts"):
        maker.troth("release", "check", "absent", "--provenance", "absent", "--key", "absent")


def test_keys_inside_of_the_repository_are_refused(
    maker: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = REPOSITORY / "releases" / "keys"
    words = ["make_release.py", "--keys", str(place), "--releases", str(tmp_path), "--begin"]
    monkeypatch.setattr("sys.argv", [*words, *ASKED])
    with pytest.raises(SystemExit, match="do not belong into the repository"):
        maker.main()
    assert not place.exists() and not list(tmp_path.iterdir())
