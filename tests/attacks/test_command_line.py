"""Words on the command line that made the program fall over instead of answering."""

import json
from pathlib import Path

import pytest

from troth.cli.main import run

LONG_KEY = "ab" * 300  # as long as an RSA key; a file cannot have such a name
LONG_NAME = "n" * 300


@pytest.fixture(autouse=True)
def evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.bin").write_bytes(b"\x84\x44\xa1\x01\x38\x22")


def test_a_long_key_in_hex_is_a_key() -> None:
    assert run(["verify", "e.bin", "--key", LONG_KEY, "-q"]) == 3  # judged: the evidence is cut


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (2, ["verify", "e.bin", "--key", LONG_NAME]),
        (2, ["verify", "e.bin", "--policy", LONG_NAME]),
        (2, ["policy", "check", LONG_NAME]),
        (2, ["trust", "show", LONG_NAME]),
        (5, ["build", LONG_NAME]),
        (5, ["lock", LONG_NAME]),
        (5, ["up", LONG_NAME]),
    ],
)
def test_a_name_that_no_file_can_have(code: int, words: list[str]) -> None:
    assert run(words) == code


def test_json_is_written_on_this_refusal_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "e.bin", "--collateral", "x", "--format", "json"]) == 5
    assert json.loads(capsys.readouterr().out)


def test_an_empty_nonce_is_not_overlooked_by_a_live_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("nonce").write_bytes(b"")
    assert run(["verify", "https://127.0.0.1:1", "--nonce", "@nonce"]) == 2
    assert "leave --nonce" in capsys.readouterr().err
