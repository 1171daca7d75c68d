"""`troth watch --once`: how stored evidence stands, what ends when, and what the next recovery changes."""

import json
import re
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.trust.conftest import site  # noqa: F401 - the fixture
from tests.trust.server import Site

import troth
from troth.cli.main import run
from troth.model.collateral import Collateral, Kind
from troth.platforms import detect
from troth.trust import cache, freeze, load

# A platform whose status changes between two evaluation numbers that were both current on one day.
AT = datetime(2025, 6, 15, 12, tzinfo=UTC)
QUOTE = "sgx/phala-adl-cfgneeded.quote.bin"
NOW = "sgx/collateral/sgxv2-00a067110000-eval17-20250615-processor.json"
NEXT = "sgx/collateral/sgxv2-00a067110000-eval19-20250615-processor.json"
POLICY = """schema = "troth/policy/1"
name = "fleet"
expires = 2025-07-30T00:00:00Z

[sgx]
mrenclave = ["{mrenclave}"]
tcb_status = [{statuses}]
"""


@dataclass(frozen=True)
class Fleet:
    folder: Path
    vectors: Path

    def watch(self, *flags: str) -> int:
        return run(["watch", "--once", str(self.folder), *flags])

    def asked(self, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
        capsys.readouterr()
        code = self.watch("--at", AT.isoformat(), "--json", *flags)
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert found["exit_code"] == code
        return found

    def collateral(self, *, early: bool) -> None:
        items = load(self.vectors / NOW).items
        if early:
            items += tuple(
                replace(item, early=True)
                for item in load(self.vectors / NEXT).items
                if item.kind in (Kind.INTEL_TCB_INFO, Kind.INTEL_QE_IDENTITY)
            )
        (self.folder / "collateral.json").write_bytes(freeze(Collateral(items=items)))

    def policy(self, *statuses: str) -> None:
        data = (self.vectors / QUOTE).read_bytes()
        found = detect(data)
        assert found is not None
        claims = found[0].claims(found[0].parse(found[1]))
        text = POLICY.format(
            mrenclave=claims.registers["mrenclave"],
            statuses=", ".join(f'"{status}"' for status in statuses),
        )
        (self.folder / "policy.toml").write_text(text)
        assert claims.user_data is not None
        (self.folder / "evidence" / "node.nonce").write_text(claims.user_data.hex() + "\n")


@pytest.fixture
def fleet(home: Path, tmp_path: Path, vectors: Path) -> Fleet:
    assert home.is_dir()
    folder = tmp_path / "fleet"
    (folder / "evidence").mkdir(parents=True)
    shutil.copy(vectors / QUOTE, folder / "evidence" / "node.bin")
    made = Fleet(folder, vectors)
    made.policy("UpToDate", "SWHardeningNeeded", "ConfigurationAndSWHardeningNeeded")
    made.collateral(early=True)
    return made


def test_good_now_and_not_after_the_next_recovery(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    found = fleet.asked(capsys)
    (node,) = found["evidence"]
    assert (node["name"], node["platform"]) == ("node.bin", "sgx")
    assert node["now"]["verdict"] == "accepted", node
    assert node["now"]["tcb_status"] == "ConfigurationAndSWHardeningNeeded"
    assert node["now"]["evaluation_number"] == 17
    assert node["next"]["verdict"] == "rejected"
    assert node["next"]["tcb_status"] == "OutOfDateConfigurationNeeded"
    assert node["next"]["codes"] == ["T101 tcb-status"]
    assert found["exit_code"] == 0
    # What ends first of what it rests on: the verdict is another one second later, and not before.
    ends = sorted(row["ends"] for row in found["collateral"] if not row["early"])
    assert node["until"] == ends[0]
    assert node["then"]["verdict"] == "undecided"
    assert [row["ends"] for row in found["ends"]] == sorted(row["ends"] for row in found["ends"])
    assert found["ends"][0] == {"what": "policy fleet", "ends": "2025-07-30T00:00:00Z"}
    until = datetime.fromisoformat(node["until"])
    assert fleet.watch("--at", until.isoformat()) == 0
    assert fleet.watch("--at", (until + timedelta(seconds=1)).isoformat()) == 4


def test_the_same_as_text(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.watch("--at", AT.isoformat()) == 0
    text = capsys.readouterr().out
    assert "✓ accepted  node.bin · ConfigurationAndSWHardeningNeeded · evaluation number 17" in text
    assert "under the next evaluation number: ✗ rejected" in text
    assert re.search(r"so until 2025-.*days left; then \? undecided", text)
    assert "policy fleet: to 2025-07-30" in text
    assert text.endswith("1 accepted · exit 0\n")


def test_nothing_is_said_of_a_next_that_is_not_at_hand(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.collateral(early=False)
    (node,) = fleet.asked(capsys)["evidence"]
    assert node["next"] is None
    fleet.policy("OutOfDateConfigurationNeeded", "ConfigurationAndSWHardeningNeeded")
    fleet.collateral(early=True)
    (node,) = fleet.asked(capsys)["evidence"]
    assert node["now"]["verdict"] == node["next"]["verdict"] == "accepted"


def test_exit_codes(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--at", AT.isoformat()]
    evidence = fleet.folder / "evidence"
    (evidence / "node.nonce").rename(fleet.folder / "kept")
    assert fleet.watch(*at) == 4
    assert fleet.watch(*at, "--waive", "freshness") == 6
    (fleet.folder / "kept").rename(evidence / "node.nonce")
    assert fleet.watch(*at) == 0
    shutil.copy(evidence / "node.bin", evidence / "other.bin")  # without a nonce
    assert fleet.watch(*at) == 4
    (evidence / "junk.bin").write_bytes(b"junk")
    assert fleet.watch(*at) == 3
    (evidence / "broken.troth").write_bytes(b"\xa4\x65maker")
    assert fleet.watch(*at) == 3
    fleet.policy("UpToDate")
    assert fleet.watch(*at) == 1
    found = fleet.asked(capsys)
    assert {row["name"]: row["now"]["verdict"] for row in found["evidence"]} == {
        "broken.troth": "malformed",
        "junk.bin": "malformed",
        "node.bin": "rejected",
        "other.bin": "rejected",
    }


def test_a_policy_of_its_own(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = fleet.folder / "evidence"
    shutil.copy(evidence / "node.bin", evidence / "strict.bin")
    shutil.copy(evidence / "node.nonce", evidence / "strict.nonce")
    own = (fleet.folder / "policy.toml").read_text().replace('"fleet"', '"strict"')
    (evidence / "strict.toml").write_text(own.replace(', "ConfigurationAndSWHardeningNeeded"', ""))
    found = fleet.asked(capsys)
    assert [row["now"]["verdict"] for row in found["evidence"]] == ["accepted", "rejected"]
    assert {row["what"] for row in found["ends"]} >= {"policy fleet", "policy strict"}


def test_older_collateral_is_left_out(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """Once evaluation number 19 was seen, 17 is not judged by again: that is exit 5."""
    found = fleet.asked(capsys)
    assert found["troubles"] == []
    output = str(fleet.folder / "newer")
    assert run(["trust", "freeze", str(fleet.vectors / NEXT), "-o", output]) == 0
    found = fleet.asked(capsys)
    assert any("older collateral is not handed over" in trouble for trouble in found["troubles"])
    assert found["evidence"][0]["now"]["verdict"] == "undecided"
    assert found["exit_code"] == 5


def test_fetched_from_a_server(
    fleet: Fleet,
    site: Site,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from troth.cli import _expect

    monkeypatch.setattr(cache, "utc_now", lambda: AT)
    monkeypatch.setattr(_expect, "instant", lambda _: (AT, False))
    (fleet.folder / "collateral.json").unlink()
    assert fleet.watch() == 4
    site.serve(load(fleet.vectors / NOW).items)
    site.serve(load(fleet.vectors / NEXT).items, early=True)
    capsys.readouterr()
    assert fleet.watch("--fetch", "--pcs", site.base, "--json") == 0
    (node,) = json.loads(capsys.readouterr().out)["evidence"]
    assert node["now"]["verdict"] == "accepted"
    assert node["next"]["verdict"] == "rejected"
    # Down: what is cached serves on. Nothing cached: that is a trouble, and the rest is said.
    site.down = True
    assert fleet.watch("--fetch", "--pcs", site.base) == 0
    shutil.rmtree(cache.Cache().folder)
    capsys.readouterr()
    assert fleet.watch("--fetch", "--pcs", site.base, "--json") == 5
    found = json.loads(capsys.readouterr().out)
    assert len(found["troubles"]) == 4
    assert found["evidence"][0]["now"]["verdict"] == "undecided"


SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z0-9_]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? (-?[0-9.e+]+)')


def test_metrics(fleet: Fleet, tmp_path: Path) -> None:
    evidence = fleet.folder / "evidence"
    odd = 'a"b\\c\nd'
    shutil.copy(evidence / "node.bin", evidence / f"{odd}.bin")
    path = tmp_path / "troth.prom"
    assert fleet.watch("--at", AT.isoformat(), "--prometheus", str(path)) == 4
    text = path.read_text()
    helped: set[str] = set()
    values: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("# "):
            helped.add(line.split()[2])
            continue
        match = SAMPLE.fullmatch(line)
        assert match is not None, line
        assert match[1] in helped
        values[match[1] + (match[2] or "")] = float(match[3])
    node = 'evidence="node.bin",platform="sgx"'
    assert values[f'troth_evidence_verdict{{{node},verdict="accepted"}}'] == 1
    assert values[f'troth_evidence_verdict{{{node},verdict="rejected"}}'] == 0
    assert values[f'troth_evidence_next_verdict{{{node},verdict="rejected"}}'] == 1
    assert values["troth_watch_exit_code"] == 4
    assert values["troth_watch_timestamp_seconds"] == AT.timestamp()
    status = 'status="OutOfDateConfigurationNeeded"'
    assert values[f"troth_evidence_next_evaluation_number{{{node},{status}}}"] > 17
    assert 'evidence="a\\"b\\\\c\\nd.bin"' in text
    ends = [v for k, v in values.items() if k.startswith("troth_collateral_end_timestamp_seconds")]
    assert len(ends) == 6
    assert min(ends) > AT.timestamp()


def test_evidence_with_a_time_of_its_own(home: Path, tmp_path: Path, vectors: Path) -> None:
    """Nitro's certificates live for hours: a stored document is undecided at best, as in a bundle."""
    assert home.is_dir()
    (tmp_path / "evidence").mkdir()
    name = "anjuna-prod-2021-03-17.bin"
    shutil.copy(vectors / "nitro" / name, tmp_path / "evidence" / name)
    report = troth.appraise(
        (vectors / "nitro" / name).read_bytes(), policy=troth.Policy(name="x"), at=AT
    )
    assert report.presented is not None
    registers = {n: report.presented.registers[n] for n in report.presented.identity}
    policy = troth.Policy.for_image({"nitro": registers}, name="then")
    (tmp_path / "policy.toml").write_text(policy.to_toml())
    assert run(["watch", "--once", str(tmp_path)]) == 4


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (2, "--at=yesterday"),
        (2, "--fetch --at=2025-06-15T12:00:00Z"),
        (2, "--pcs=http://pcs.example --at=2025-06-15T12:00:00Z"),
        (2, "--waive=signature"),
        (2, "policy"), (2, "no policy"), (2, "no evidence"), (5, "no folder"), (3, "nonce"),
        (3, "collateral"), (3, "roots"), (5, "prometheus"),
    ],
)  # fmt: skip
def test_misuse(fleet: Fleet, tmp_path: Path, code: int, change: str) -> None:
    flags: list[str] = []
    match change:
        case "policy":
            (fleet.folder / "policy.toml").write_text("policy")
        case "no policy":
            (fleet.folder / "policy.toml").unlink()
        case "no evidence":
            for path in (fleet.folder / "evidence").iterdir():
                path.unlink()
        case "no folder":
            shutil.rmtree(fleet.folder)
        case "nonce":
            (fleet.folder / "evidence" / "node.nonce").write_text("nonce")
        case "collateral":
            (fleet.folder / "collateral.json").write_text("{}")
        case "roots":
            (fleet.folder / "roots.pem").write_text("roots")
        case "prometheus":
            flags = ["--prometheus", str(tmp_path / "absent" / "x.prom")]
        case _:
            flags = change.split()
    assert fleet.watch(*flags) == code


def test_it_does_not_stay(fleet: Fleet) -> None:
    assert run(["watch", str(fleet.folder)]) == 2


def test_what_cannot_be_asked_for_is_a_trouble(
    fleet: Fleet,
    site: Site,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One piece says nothing of its platform, one is broken: the rest is fetched and judged."""
    evidence = fleet.folder / "evidence"
    (evidence / "broken.troth").write_bytes(b"\xa4\x65maker")
    shutil.copy(fleet.vectors / "sgx" / "certtype3-fortanix.quote.bin", evidence / "other.bin")
    capsys.readouterr()
    assert fleet.watch("--fetch", "--pcs", site.base, "--json") in (1, 3)
    found = json.loads(capsys.readouterr().out)
    assert any(t.startswith("other.bin: what it needs is not known") for t in found["troubles"])
    assert [row["name"] for row in found["evidence"]] == ["broken.troth", "node.bin", "other.bin"]
    assert any("/sgx/certification/v4/tcb?fmspc=00a067110000" in path for path in site.asked)


def test_collateral_that_cannot_be_read_is_a_trouble(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    (fleet.folder / "collateral").mkdir()
    (fleet.folder / "collateral" / "bad.json").write_text('{"tcbInfo":{},"signature":"00"}')
    found = fleet.asked(capsys)
    assert (found["exit_code"], len(found["troubles"])) == (5, 1)
    assert found["evidence"][0]["now"]["verdict"] == "accepted"
