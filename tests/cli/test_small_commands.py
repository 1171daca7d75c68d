"""inspect, explain, trust and doctor: what they say, and that none of them gives a verdict."""

import json
from pathlib import Path

import pytest
from tests.platforms.nitro.forge import document

from troth.cli.main import run
from troth.model.codes import TABLE
from troth.trust import vendor_roots


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    path = tmp_path / "evidence.bin"
    path.write_bytes(document()[0])
    return path


def test_inspect_tells_every_field_and_what_it_means(
    evidence: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(evidence)]) == 0
    text = capsys.readouterr().out
    assert "pcr0 (the whole image: kernel, command line, every ramdisk): " in text
    assert "cabundle[0] (the root as presented):" in text
    assert text.endswith("nothing above was verified\n")
    for word in ("accepted", "rejected", "undecided", "✓", "✗"):
        assert word not in text


def test_inspect_as_json(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(evidence), "--json"]) == 0
    fields = json.loads(capsys.readouterr().out)["fields"]
    assert len(fields["pcr0"]) == 96
    assert fields["certificate"]["sha256"]


def test_inspect_of_what_it_does_not_know(
    tmp_path: Path, evidence: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for data in (b"", b"junk\x1b[2J", evidence.read_bytes()[:-1], b".eif", b"\xa4\x65maker"):
        (tmp_path / "junk").write_bytes(data)
        assert run(["inspect", str(tmp_path / "junk")]) == 3
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("code", TABLE.values(), ids=lambda code: code.id)
def test_every_code_is_explained(capsys: pytest.CaptureFixture[str], code: object) -> None:
    found = next(c for c in TABLE.values() if c == code)
    assert run(["explain", found.id.lower()]) == 0
    by_number = capsys.readouterr().out
    assert run(["explain", found.slug]) == 0
    assert capsys.readouterr().out == by_number
    assert by_number.startswith(f"{found.id} {found.slug}: {found.title}\n")
    assert "fix: " in by_number


def test_the_list_of_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--list"]) == 0
    assert [line[:4] for line in capsys.readouterr().out.splitlines()] == list(TABLE)
    assert run(["explain", "Z999"]) == 2


def test_roots_are_listed_and_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert home.is_dir()
    assert run(["trust", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [root["sha256"] for root in listed] == [root.sha256 for root in vendor_roots()]
    assert {root["class"] for root in listed} == {"vendor"}
    assert run(["trust", "show", vendor_roots()[0].sha256[:8]]) == 0
    assert "review_by: 2" in capsys.readouterr().out
    assert run(["trust", "show", "ffff"]) == 2


def test_doctor_tells_what_works_and_how_to_get_the_rest(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.is_dir()
    assert run(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert {"verify", "clock", "pinned roots", "run on simulator", "lock"} <= {
        f["name"] for f in findings
    }
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for finding in findings:
        assert any(finding["name"] in line for line in lines)
        if not finding["works"] and finding["fix"]:
            assert any(finding["fix"] in line for line in lines)
