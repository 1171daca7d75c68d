"""Puts the stand-in for `nitro-cli` on the path, for the tests of what drives it."""

import json
import sys
from pathlib import Path

import pytest
from tests.runtime import stand_in_nitro_cli


class StandIn:
    """The stand-in and what it holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fails(self, command: str, *codes: object) -> None:
        """From now on this subcommand ends with these codes; a list stands for one call."""
        (self.folder / "trouble.json").write_text(json.dumps({command: codes}), encoding="utf-8")

    def enclaves(self) -> list[dict[str, object]]:
        """What was started and not terminated."""
        path = self.folder / "enclaves.json"
        return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []

    def calls(self, command: str) -> list[list[str]]:
        """The arguments of each call of a subcommand."""
        path = self.folder / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [call for call in map(json.loads, lines) if call[0] == command]


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """From now on `nitro-cli` is the stand-in."""
    programs = folder / "bin"
    programs.mkdir()
    script = programs / "nitro-cli"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in_nitro_cli.__file__} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("STAND_IN", str(folder))
    return StandIn(folder)
