"""`troth rebuild` as people call it: equal is never said of what differs, or of evidence that was not accepted."""

import json
import os
import shutil
import subprocess
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.image.conftest import Sample, built, sample  # noqa: F401 - fixtures
from tests.image.test_stated import RECORD, SOURCE
from tests.platforms.nitro.signer import DAY, identity, image, signature, with_section

from troth.cli import _against, _rebuilt
from troth.cli._against import Against, elsewhere, expecting, is_of
from troth.cli._rebuild_source import of as place
from troth.cli.main import run
from troth.errors import Misuse
from troth.image import check, stated
from troth.image.build import Built
from troth.image.checkout import Source
from troth.image.rebuild import Rebuilt
from troth.model.report import Report
from troth.platforms.nitro.measure import measure
from troth.platforms.nitro.simulate import DevelopmentPki, SimulatedNsm, new_instance
from troth.policy import Policy
from troth.wire import cbor, eif

NOW = datetime.now(UTC)
NONCE = bytes(range(32))
OURS = {f"pcr{n}": f"{n + 1}" * 96 for n in range(3)}
THEIRS = {**OURS, "pcr2": "f" * 96}


class Evidence:
    """Documents of a security module that runs an image with these registers."""

    def __init__(self, folder: Path) -> None:
        self._pki = DevelopmentPki.create(NOW)
        self._folder = folder
        self.root = folder / "root.pem"
        self.root.write_text(self._pki.root_pem())

    def of(self, registers: dict[str, str]) -> Path:
        pcrs = {int(name[3:]): bytes.fromhex(value) for name, value in registers.items()}
        nsm = SimulatedNsm(self._pki, pcrs, new_instance(), lambda: datetime.now(UTC))
        asked = {"Attestation": {"user_data": None, "nonce": NONCE, "public_key": None}}
        reply = cbor.decode(nsm.request(cbor.encode_in_order(asked)), field="reply")
        path = self._folder / "evidence.bin"
        path.write_bytes(reply["Attestation"]["document"])
        return path


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path)


def flags(evidence: Evidence, registers: dict[str, str], **changes: Any) -> Against:
    asked: dict[str, Any] = {
        "against": str(evidence.of(registers)),
        "trust": [str(evidence.root)],
        "nonce": NONCE.hex(),
    }
    return Against(**{**asked, **changes})


def judged(asked: Against) -> Report:
    return _against.judge(str(asked.against), asked, OURS, name="the rebuild")


@pytest.mark.parametrize(
    ("registers", "changes", "code"),
    [
        (OURS, {}, 0),
        (OURS, {"nonce": None, "waive": ["freshness"]}, 6),
        (OURS, {"key": "00" * 32}, 1),
        (THEIRS, {}, 1),
        (OURS, {"trust": []}, 1),
        (OURS, {"nonce": "00" * 31 + "01"}, 1),
    ],
)
def test_evidence_is_judged_by_the_production_verifier(
    evidence: Evidence, registers: dict[str, str], changes: dict[str, Any], code: int
) -> None:
    report = judged(flags(evidence, registers, **changes))
    assert report.verdict.exit_code == code
    assert is_of(report, OURS) is (registers == OURS)
    where = ["what runs has another pcr2: the ramdisk with the app and its packages"]
    assert elsewhere(report, OURS) == (where if registers == THEIRS else [])


@pytest.mark.parametrize("name", [f.name for f in fields(Against) if f.name != "against"])
def test_each_flag_for_evidence_needs_evidence(name: str) -> None:
    given: dict[str, Any] = {name: "given"}
    with pytest.raises(Misuse, match="none is named"):
        Against(**given).check()
    Against(against="evidence.bin", **given).check()
    Against().check()


def test_a_policy_is_about_the_rebuild_and_nothing_else() -> None:
    tdx = {"mrtd": frozenset({"1" * 96})}
    either = {"pcr0": frozenset({OURS["pcr0"], "e" * 96}), "pcr8": frozenset({"8" * 96})}
    given = Policy(name="mine", registers={"tdx": tdx, "nitro": either})
    merged = expecting(given, OURS, name="the rebuild")
    assert set(merged.registers) == {"nitro"}
    assert merged.registers["nitro"] == {
        **{name: frozenset({value}) for name, value in OURS.items()},
        "pcr8": frozenset({"8" * 96}),
    }
    with pytest.raises(Misuse, match="allows other values of pcr2"):
        expecting(Policy.for_image({"nitro": THEIRS}), OURS, name="the rebuild")


def test_what_was_judged_is_looked_at_once_more(evidence: Evidence) -> None:
    report = judged(flags(evidence, OURS))
    assert is_of(report, OURS)
    assert not is_of(report, THEIRS)
    assert not is_of(replace(report, platform="tdx"), OURS)
    assert not is_of(replace(report, presented=None), OURS)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / "x.eif").write_bytes(eif.pack(image()))
    (tmp_path / "junk").write_bytes(b"junk")
    (tmp_path / "cut.build.json").write_bytes(b'{"cut')
    (tmp_path / "r.build.json").write_text(json.dumps(RECORD))
    (tmp_path / "s.build.json").write_text(json.dumps({**RECORD, "source": SOURCE}))
    old = {k: v for k, v in RECORD.items() if k not in ("recipe", "lock")}
    made = {**SOURCE, "made": ["bin/x"]}
    (tmp_path / "made.build.json").write_text(json.dumps({**RECORD, "source": made}))
    (tmp_path / "old.build.json").write_text(json.dumps(old))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing"], 5, "cannot read nothing"),
        (["junk"], 3, "is neither an image nor a build record"),
        (["cut.build.json"], 3, "is not JSON"),
        # What is compared is not written over by what it is compared with.
        (["r.build.json", "--source", "app", "--image", "x.eif", "-o", "x.eif"], 2, "x.eif exists"),
        (["r.build.json", "--source", "app", "-o", "r.eif"], 2, "r.build.json exists"),
        (["x.eif"], 2, "there is no build record x.build.json beside x.eif"),
        (["x.eif", "--image", "x.eif"], 2, "the target is an image already"),
        (["old.build.json"], 2, "lacks the text of recipe and lock"),
        (["r.build.json"], 2, "does not say where the source is"),
        (["r.build.json", "--source", "app", "--image", "junk"], 3, "eif"),
        (["made.build.json"], 2, "bin/x is made from the source"),
        (["r.build.json", "--source", "app"], 2, "has no troth.toml"),
        (["r.build.json", "--source", "gone"], 2, "no folder and no address"),
        (["r.build.json", "--source", "me@host:x"], 2, "no folder and no address"),
        (["app"], 2, "nothing to compare"),
        (["app", "--image", "x.eif"], 2, "has no troth.toml"),
        (["app", "--image", "x.eif", "--source", "app"], 2, "a source already"),
        (["https://example.org/x", "--image", "x.eif"], 2, "neither a commit nor a tag"),
        (["https://example.org/x", "--tag", "v1"], 2, "nothing to compare"),
        (["ext::sh -c x", "--tag", "v1", "--image", "x.eif"], 2, "is no address"),
        (["http://example.org/x", "--tag", "v1", "--image", "x.eif"], 2, "is no address"),
        (["file:///nowhere", "--tag", "v1", "--image", "x.eif"], 5, "git fetch"),
        (["s.build.json", "--policy", "x"], 2, "are for evidence, and none is named"),
        (["s.build.json", "--waive", "key"], 2, "are for evidence, and none is named"),
        (["s.build.json", "--against", "x", "--waive", "measurement"], 2, "measurement"),
    ],
)
def test_what_cannot_be_rebuilt(
    files: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(files.rglob("*"))
    assert run(["rebuild", *words]) == code
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
    assert sorted(files.rglob("*")) == before


def test_which_commit_of_which_repository() -> None:
    """The record's, unless the caller names another; its folder stays the record's."""
    said = stated.read(
        json.dumps({**RECORD, "source": {**SOURCE, "tag": "v1"}}).encode(), field="x"
    )
    nothing = {"tag": None, "commit": None, "path": None}
    found = place("x.eif", said, None, **nothing)
    assert found == said.source
    found = place("x.eif", said, None, **{**nothing, "commit": "2" * 40})
    assert found == Source(git=SOURCE["git"], commit="2" * 40, path="app")
    found = place("x.eif", said, "https://mirror.example/x", **nothing)
    assert found == replace(said.source, git="https://mirror.example/x")
    found = place("https://other.example/y", said, None, **{**nothing, "tag": "v2"})
    assert found == Source(git="https://other.example/y", tag="v2", path="app")


@pytest.mark.parametrize(
    ("record", "told", "own", "words"),
    [
        ({}, {"folder": "app"}, None, "equal to what the build record says\n"),
        ({"source": SOURCE}, {**SOURCE}, True, "equal to what the build record says\n"),
        ({"source": SOURCE}, {"folder": "app"}, False, "but for the commit that it names"),
        ({"source": SOURCE}, {**SOURCE, "commit": "2" * 40}, False, "but for the commit"),
    ],
)
def test_a_record_is_not_confirmed_in_the_commit_that_nobody_took(
    record: Any, told: Any, own: bool | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = stated.read(json.dumps({**RECORD, **record}).encode(), field="x")
    again = Rebuilt(
        image=b"x", record=json.dumps(RECORD).encode(), measurements=b"", nitro={}, raw_nsm=False
    )
    found = _rebuilt.compared("", None, said, again, of_source=[])
    assert not found.differs
    for as_json in (True, False):
        _rebuilt.show(found, again, report=None, told=told, out=None, code=0, json=as_json)
    first, _, rest = capsys.readouterr().out.partition("\n")
    assert json.loads(first)["record_source"] is own
    assert words in rest


def test_what_stands_in_the_place_of_a_signature_must_be_one() -> None:
    """It is taken off before all else is compared, and holds up to 32 KiB."""
    plain, by = image(), identity(begin=NOW - 9 * DAY, end=NOW - DAY)
    again = Rebuilt(
        image=eif.pack(plain),
        record=b"{}",
        measurements=b"",
        nitro=dict(measure(plain).hex()),
        raw_nsm=False,
    )

    def found(section: bytes) -> list[str]:
        data = memoryview(eif.pack(with_section(plain, section)))
        made = _rebuilt.compared("x", data, None, again, of_source=[])
        assert made.signed
        return [str(one.difference.first) for one in made.found]

    good = signature(plain, by, at=NOW - 2 * DAY)
    assert found(good) == []  # whether the certificate is still valid is another question
    ((why,), (other,), (mine,)) = (
        found(b"hidden" * 5000),
        found(signature(image(kernel=b"other"), by, at=NOW - 2 * DAY)),
        found(good[:-1] + bytes([good[-1] ^ 1])),
    )
    assert "CBOR" in why or "eif.signature" in why
    assert "is over another image" in other
    assert "not made with the key" in mine or "cannot" in mine


def _git(folder: Path, *words: str) -> None:
    nobody = {
        f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    variables = {**os.environ, **nobody, "GIT_CONFIG_GLOBAL": "/dev/null"}
    subprocess.run(["git", *words], cwd=folder, env=variables, check=True, capture_output=True)


@pytest.mark.network
@pytest.mark.skipif(shutil.which("git") is None, reason="git is absent")
def test_from_a_record_alone_to_what_runs(  # noqa: PLR0917 - fixtures
    sample: Sample,  # noqa: F811
    built: Built,  # noqa: F811
    evidence: Evidence,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The record names a repository and a tag; the source comes from there, and the evidence is of its image."""
    repository = tmp_path / "repository"
    repository.mkdir()
    check.copy_app(sample.folder, repository / "app", reverse=False)
    _git(repository, "init", "-q")
    _git(repository, "add", "-A")
    _git(repository, "commit", "-qm", "one")
    _git(repository, "tag", "v1")
    monkeypatch.chdir(tmp_path)
    address = repository.as_uri()
    words = ["build", str(repository / "app"), "-o", "x.eif"]
    assert run([*words, "--source-git", address, "--source-tag", "v1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == built.sha256
    shutil.rmtree(repository / "app")
    (tmp_path / "x.eif").unlink()
    running = evidence.of(dict(built.measurements["nitro"]))
    words = ["rebuild", "x.build.json", "--against", str(running), "--trust", str(evidence.root)]
    code = run([*words, "--nonce", NONCE.hex(), "-o", "again.eif", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert said["equal"] is True
    assert said["differences"] == []
    assert said["rebuilt"]["sha256"] == built.sha256
    assert said["source"]["tag"] == "v1" and len(said["source"]["commit"]) == 40
    assert said["evidence"]["verdict"] == "accepted"
    kept = {p.name for p in tmp_path.glob("again.*")}
    assert kept == {"again.eif", "again.measurements.json", "again.build.json"}
