"""`troth doctor` lists every way in which a guest asks its hardware, where it is."""

import json
import os
from pathlib import Path

import pytest

from troth.cli.main import run

WAYS = {
    "troth.platforms.nitro.collect.DEVICE": "nsm",
    "troth.platforms._tsm.BASE": "report",
    "troth.platforms.tdx.collect.DEVICE": "tdx_guest",
    "troth.platforms.snp.collect.DEVICE": "sev-guest",
    "troth.platforms.sgx.collect.FOLDER": "attestation",
}


@pytest.fixture
def machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which all of them would be."""
    for name, file in WAYS.items():
        monkeypatch.setattr(name, str(home / file))
    return home


def asked(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    assert run(["doctor", "--json"]) == 0
    (found,) = [f for f in json.loads(capsys.readouterr().out) if f["name"] == name]
    return dict(found)


def attest(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return asked("attest", capsys)


def put(machine: Path, file: str) -> str:
    path = machine / file
    if file == "attestation":
        path.mkdir()
        path /= "user_report_data"
    path.touch()
    return str(path)


def test_no_guest(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = attest(capsys)
    assert (found["works"], found["fix"]) == (False, "")
    assert str(found["what"]).startswith("this is no guest")
    assert all(str(machine / file) in str(found["what"]) for file in WAYS.values())


@pytest.mark.parametrize("file", WAYS.values())
def test_each_kind_of_guest(machine: Path, capsys: pytest.CaptureFixture[str], file: str) -> None:
    path = put(machine, file)
    assert attest(capsys) == {"name": "attest", "works": True, "what": path, "fix": ""}


def test_several_ways(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [put(machine, file) for file in WAYS.values()]
    assert attest(capsys)["what"] == ", ".join(paths)


def test_what_this_user_may_not_ask(
    machine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = put(machine, "report")
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, how: path != closed and allowed(path, how))
    found = attest(capsys)
    assert (found["works"], found["what"]) == (False, f"{closed}; this user may not ask {closed}")
    assert "root" in str(found["fix"])
    device = put(machine, "tdx_guest")
    found = attest(capsys)
    assert (found["works"], found["what"]) == (
        True,
        f"{closed}, {device}; this user may not ask {closed}",
    )


def test_what_is_kept(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = home / ".cache" / "troth"
    assert asked("store", capsys)["what"] == (
        f"0 packages, 0 MiB in {cache}; 0 MiB that builds remember"
    )
    for folder, size in (("store/sha256", 3 << 20), ("made", 5 << 20)):
        (cache / folder).mkdir(parents=True)
        (cache / folder / "x").write_bytes(bytes(size))
        (cache / folder / ".being-written").write_bytes(bytes(1 << 20))
    (cache / "made" / "gone").symlink_to("nowhere")
    assert asked("store", capsys)["what"] == (
        f"1 packages, 3 MiB in {cache}; 5 MiB that builds remember"
    )
