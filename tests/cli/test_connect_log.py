"""`troth connect --log`: nothing is sent until a release in the log names what answers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_connect_command import REGISTERS, Enclave
from tests.tlog.governed import HOUR, OTHER, World, release, signed, terms

from troth.cli import _release_log
from troth.cli.main import run
from troth.model.collateral import Collateral
from troth.policy.profiles import profile

RUNS = {f"pcr{i}": value.hex() for i, value in REGISTERS.items()}


@pytest.fixture
def enclave(tmp_path: Path) -> Iterator[Enclave]:
    made = Enclave(tmp_path)
    yield made
    made.listener.close()


@pytest.fixture
def policy(tmp_path: Path) -> str:
    chosen = replace(profile("development-2026-11"), release=terms())
    (tmp_path / "app.policy.toml").write_text(chosen.to_toml())
    return str(tmp_path / "app.policy.toml")


def _log(folder: Path, registers: dict[str, str]) -> str:
    now = datetime.now(UTC)
    world = World().add(signed(release({"nitro": registers}))).seen(now - 100 * HOUR)
    (folder / "app.troth-log").write_bytes(world.add(b"x").seen(now - HOUR).pack())
    return str(folder / "app.troth-log")


def test_what_the_log_names_is_talked_to(
    enclave: Enclave, policy: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ["--policy", policy, f"--trust={enclave.root}", "--log", _log(tmp_path, RUNS)]
    kept = str(tmp_path / "seen.troth")
    assert run(["connect", f"{enclave.url}/bids", *asked, "--save-bundle", kept]) == 0
    assert capfd.readouterr().out.startswith("GET /bids")
    assert run(["verify", enclave.url, *asked]) == 0
    own = ["--policy", policy, f"--trust={enclave.root}"]
    assert run(["verify", kept, *own]) == 0  # the log went along
    assert run(["verify", kept, "--replay"]) == 4


def test_the_log_that_was_judged_goes_along_and_no_later_one(
    enclave: Enclave, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Path(_log(tmp_path, RUNS))
    load = _release_log.load

    def once(*given: Any, **named: Any) -> Collateral:
        held = load(*given, **named)
        log.unlink()
        return held

    monkeypatch.setattr(_release_log, "load", once)
    kept = str(tmp_path / "seen.troth")
    asked = ["--policy", policy, f"--trust={enclave.root}"]
    assert run(["connect", enclave.url, *asked, "--log", str(log), "--save-bundle", kept]) == 0
    monkeypatch.undo()
    assert run(["verify", kept, *asked]) == 0


def test_what_it_does_not_name_hears_nothing(
    enclave: Enclave, policy: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = ["--policy", policy, f"--trust={enclave.root}"]
    assert run(["connect", enclave.url, *own, "--log", _log(tmp_path, OTHER)]) == 1
    assert "M501" in capfd.readouterr().err
    assert run(["connect", enclave.url, *own]) == 4
    assert "M502" in capfd.readouterr().err
    assert enclave.received == b""
