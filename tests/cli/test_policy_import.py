"""`troth policy import`: other projects' measurements as policies, none of which takes anything."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from troth.cli.main import run
from troth.model.channel import Binding
from troth.policy import Policy

NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
A, B = "aa" * 48, "bb" * 48


def entry(name: str, value: str) -> dict[str, object]:
    return {
        "measurement_id": name,
        "attestation_type": "dcap-tdx",
        "measurements": {"0": {"expected_any": [value]}},
    }


def written(path: Path) -> Policy:
    return Policy.from_toml(path.read_text(), source=str(path))


def test_an_entry_of_flashbots_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, made = tmp_path / "list.json", tmp_path / "p.toml"
    source.write_text(json.dumps([entry("one", A), entry("two", B)]))
    line = ["policy", "import", str(source), "--from", "flashbots"]
    assert run([*line, "--entry", "two", "-o", str(made)]) == 0
    assert written(made).registers == {"tdx": {"mrtd": {B}}}
    assert run([*line, "--entry", "two", "-o", str(made)]) == 2  # never over a file
    capsys.readouterr()
    assert run(line) == 2
    assert "one, two" in capsys.readouterr().err
    assert run([*line, "--entry", "three"]) == 2
    assert run([*line, "--tag", "v1"]) == 2
    source.write_text(json.dumps([entry("one", A)]))
    assert run([*line, "--channel", "key"]) == 0
    assert Policy.from_toml(capsys.readouterr().out, source="out").channel is Binding.KEY
    source.write_text(json.dumps([entry("any", A) | {"measurements": {}}]))
    assert run(line) == 2
    source.write_text("{")
    assert run(line) == 3


def test_a_release_of_tinfoils(tmp_path: Path) -> None:
    pytest.importorskip("sigstore", reason="the extra sigstore is not installed")
    from tests.channel.services import test_tinfoil_release as made_there

    from troth.channel.services import tinfoil_release as releases

    lists = releases.Identity(repository=releases.HARDWARE_REPOSITORY, tag="v7")
    said = made_there.statement(releases.HARDWARE, made_there.SHAPES, digest=made_there.DIGEST)
    (tmp_path / "release").write_bytes(made_there.signed())
    (tmp_path / "hardware").write_bytes(made_there.INSTANCE.sign(said, lists, at=made_there.NOW))
    (tmp_path / "root").write_bytes(made_there.INSTANCE.trusted_root())
    line = ["policy", "import", str(tmp_path / "release"), "--from", "tinfoil"]
    who = [
        "--repository",
        "owner/model",
        "--tag",
        "v1.2.3",
        "--sigstore-root",
        str(tmp_path / "root"),
    ]
    made = tmp_path / "snp.toml"
    assert run([*line, *who, "-o", str(made)]) == 0
    assert set(written(made).registers) == {"snp"}
    listed = ["--hardware", str(tmp_path / "hardware"), "--hardware-tag", "v7"]
    # Two firmwares, each with its own configuration: which one, the evidence says.
    assert run([*line, *who, *listed]) == 2
    made = tmp_path / "both.toml"
    assert run([*line, *who, *listed, "--mrtd", "66" * 48, "-o", str(made)]) == 0
    assert written(made).registers["tdx"]["rtmr0"] == {"77" * 48}
    for wrong in (
        who[:4],
        [*who[:2], "--tag", "v9", *who[4:]],
        ["--repository", "someone/else", *who[2:]],
        [*who, "--hardware", str(tmp_path / "hardware")],
        [*who, *listed[:3], "v8"],
        [*who, "--entry", "one"],
    ):
        assert run([*line, *wrong]) in (2, 3)
