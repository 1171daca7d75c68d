"""`python -m troth.channel.services.simulate`: what it writes is what `troth verify` needs."""

import sys
from pathlib import Path

import pytest
from tests.channel.services.stage import now

from troth.channel.services.simulate.__main__ import files, main
from troth.channel.services.simulate.stages import STAGES
from troth.cli.main import run
from troth.policy import Policy

# Nothing in these protocols makes evidence fresh, so that the verdict stays open.
STALE = ("tinfoil-v2", "ratls", "dstack")


@pytest.mark.parametrize("name", STAGES)
def test_its_files_are_all_that_a_verifier_needs(name: str, tmp_path: Path) -> None:
    stage = STAGES[name](now())
    with stage.serve() as server:
        for one, data in files(stage, server.url, "").items():
            (tmp_path / one).write_bytes(data)
        flags = [f"--policy={tmp_path / 'policy.toml'}", f"--trust={tmp_path / 'root.pem'}"]
        if (tmp_path / "collateral.json").exists():
            flags.append(f"--collateral={tmp_path / 'collateral.json'}")
        url = (tmp_path / "url").read_text().strip()
        assert run(["verify", url, *flags, "-q"]) == (4 if name in STALE else 0)
        if name in STALE:
            assert run(["verify", url, *flags, "--waive", "freshness", "-q"]) == 6
        assert run(["verify", url, flags[0], *flags[2:], "-q"]) in (1, 4)  # without its root
    text = (tmp_path / "policy.toml").read_text(encoding="utf-8")
    assert Policy.from_toml(text, source=name).channel is stage.channel


@pytest.mark.parametrize("arguments", [[], ["phala"], ["nobody", "folder"], ["phala", "a", "b"]])
def test_how_it_is_used(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert not said.out
    assert all(name in said.err for name in STAGES)


def test_a_service_whose_library_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "coincurve", None)
    monkeypatch.delitem(sys.modules, "troth.channel.services.simulate.phala", raising=False)
    assert main(["phala", str(tmp_path)]) == 5
    assert "troth[services]" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["oyster", str(tmp_path / "file" / "below")]) == 5
    assert capsys.readouterr().err.startswith("error: ")
