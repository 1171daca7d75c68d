"""The log of troth's own releases: what is said in it is signed, seen, and true of this repository."""

import hashlib
import importlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from troth.cli.main import run
from troth.crypto import public
from troth.errors import Malformed
from troth.image.hardware.inputs import inputs
from troth.model.governed import Filed, Governed
from troth.policy import Policy
from troth.release import artifact_provenance, dsse, provenance
from troth.tlog import checkpoint as checkpoints
from troth.tlog import entry as entries
from troth.tlog import governance, proof, read, snapshot
from troth.tlog import note as notes
from troth.tlog.statement import Artifacts
from troth.tlog.terms import Terms

REPOSITORY = Path(__file__).parents[2]
RELEASES = REPOSITORY / "releases"
REQUIREMENTS = REPOSITORY / "requirements"
LOG = RELEASES / "log"
PAPERS = sorted(path.parent for path in RELEASES.glob("*/release.entry"))
SECRET = ("PRIVATE KEY", "PRIVATE+KEY")


def _terms() -> Terms:
    text = (RELEASES / "policy.toml").read_text(encoding="utf-8")
    found = Policy.from_toml(text, source="policy.toml").release
    assert found is not None
    return found


TERMS = _terms()


@pytest.fixture(scope="module")
def state() -> Governed:
    """The log, judged at the instant of its newest witness: a log in a repository grows old between releases."""
    reader = read.from_folder(LOG)
    note = reader.checkpoint()
    newest = checkpoints.opened(note, log=TERMS.log, witnesses=TERMS.witnesses)
    size = newest.checkpoint.size
    older = [LOG / "checkpoints" / str(n) for n in range(1, size)]
    data = snapshot.pack(
        snapshot.Snapshot(
            checkpoint=note,
            older=tuple(path.read_bytes() for path in older if path.is_file()),
            entries=tuple(reader.entries(0, size, newest.checkpoint)),
        )
    )
    opened = snapshot.opened(data, log=TERMS.log, witnesses=TERMS.witnesses)
    at = max(max(times) for times in newest.times.values())
    return governance.state(governance.read(opened, TERMS), at)


def of(state: Governed, folder: Path) -> Filed:
    """What stands in the log of an entry in a folder."""
    name = entries.parse((folder / "release.entry").read_bytes()).id
    return next(one for one in state.artifacts if one.id == name)


def test_the_log_is_two_owners_and_two_witnesses(state: Governed) -> None:
    assert (len(TERMS.owners), TERMS.owner_threshold) == (2, 2)
    assert (len(TERMS.witnesses), TERMS.witness_threshold) == (2, 2)
    assert state.witnessed == 2
    assert state.witnessed_at is not None
    assert state.ignored == ()
    assert PAPERS


def test_every_checkpoint_is_witnessed_and_a_beginning_of_the_newest() -> None:
    reader = read.from_folder(LOG)
    newest = checkpoints.opened(reader.checkpoint(), log=TERMS.log, witnesses=TERMS.witnesses)
    kept = sorted((LOG / "checkpoints").iterdir(), key=lambda path: int(path.name))
    assert kept[-1].read_bytes() == reader.checkpoint()
    for path in kept:
        one = checkpoints.opened(path.read_bytes(), log=TERMS.log, witnesses=TERMS.witnesses)
        assert one.checkpoint.size == int(path.name)
        if one.checkpoint.size:
            assert set(one.times) == set(TERMS.witnesses)
            size = one.checkpoint.size
            assert reader.root(size, newest.checkpoint) == one.checkpoint.root
    assert newest.checkpoint.size == int(kept[-1].name)


@pytest.mark.parametrize("folder", PAPERS, ids=lambda path: path.name)
def test_every_entry_is_signed_by_both_owners_and_included(state: Governed, folder: Path) -> None:
    data = (folder / "release.entry").read_bytes()
    found = entries.parse(data)
    assert set(notes.signers(found.note, TERMS.owners)) == set(TERMS.owners)
    filed = of(state, folder)
    assert (filed.standing, filed.signed) == ("active", 2)
    reader = read.from_folder(LOG)
    signed = checkpoints.opened(reader.checkpoint(), log=TERMS.log, witnesses=TERMS.witnesses)
    assert reader.entry(filed.index, signed.checkpoint) == data
    made = proof.make(reader, filed.index, reader.checkpoint(), signed.checkpoint)
    proved = proof.check(made, data, log=TERMS.log, witnesses=TERMS.witnesses)
    assert proved.index == filed.index


def test_every_entry_of_the_log_has_its_papers(state: Governed) -> None:
    assert sorted(one.id for one in state.artifacts) == sorted(of(state, f).id for f in PAPERS)
    assert state.size == len(PAPERS)


@pytest.mark.parametrize("folder", PAPERS, ids=lambda path: path.name)
def test_the_papers_are_those_that_the_entry_names(state: Governed, folder: Path) -> None:
    filed = of(state, folder)
    bill, said = (folder / "sbom.cdx.json").read_bytes(), (folder / "provenance.json").read_bytes()
    assert hashlib.sha256(bill).hexdigest() == filed.sbom_sha256
    assert hashlib.sha256(said).hexdigest() == filed.provenance_sha256
    envelope = dsse.read(said)
    key = public.from_pem((RELEASES / "provenance.pub").read_bytes(), name="provenance.pub")
    assert dsse.problems(envelope, [key]) == ()
    statement = provenance.parse(envelope.payload)
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    assert subjects == filed.files
    about = json.loads(bill)["metadata"]["component"]
    assert [one["content"] for one in about["hashes"]] == list(filed.files.values())


def test_the_kernel_is_the_one_that_is_pinned(state: Governed) -> None:
    pinned = inputs().kernel
    folder = RELEASES / f"linux-{pinned.version}"
    assert of(state, folder).files == {pinned.file: pinned.sha256}
    statement = _statement(folder)
    asked: Any = {"name": pinned.file, "sha256": pinned.sha256, "kind": "kernel", "made": None}
    assert artifact_provenance.problems(statement, **asked) == ()


@pytest.mark.hardware_kernel
def test_the_kernel_s_papers_are_made_again(tmp_path: Path) -> None:
    folder = RELEASES / f"linux-{inputs().kernel.version}"
    kernel = tmp_path / "vmlinuz"
    assert run(["kernel", "build", "-o", str(kernel)]) == 0
    _check(folder, kernel, (), tmp_path)


def _statement(folder: Path) -> dict[str, Any]:
    return provenance.parse(dsse.read((folder / "provenance.json").read_bytes()).payload)


def _check(folder: Path, file: Path, origin: tuple[str, ...], place: Path) -> None:
    """As a stranger does: `release check`, `release logged`, and the bill of materials once more."""
    said, bill = folder / "provenance.json", folder / "sbom.cdx.json"
    words = ["release", "check", str(file), "--provenance", str(said)]
    assert run([*words, "--key", str(RELEASES / "provenance.pub"), *origin[:2]]) == 0
    words = ["release", "logged", str(file), "--log", str(LOG)]
    words += ["--policy", str(RELEASES / "policy.toml"), "--sbom", str(bill)]
    assert run([*words, "--provenance", str(said)]) == 0
    again = place / "again.json"
    assert run(["release", "sbom", str(file), *origin, "-o", str(again)]) == 0
    assert json.loads(again.read_bytes()) == json.loads(bill.read_bytes())


@pytest.mark.network
@pytest.mark.parametrize(
    "folder",
    [path for path in PAPERS if path.name.startswith("troth-")],
    ids=lambda path: path.name,
)
def test_the_wheel_is_built_again_from_the_commit_that_its_entry_names(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    says = entries.parse((folder / "release.entry").read_bytes()).says
    assert isinstance(says, Artifacts) and says.source is not None
    commit = says.source.commit
    if shutil.which("git") is None or not _has(commit):
        pytest.skip(f"this is no clone that has the commit {commit}")
    ((name, sha256),) = says.files.items()
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    wheel = importlib.import_module("make_release").build(commit, REPOSITORY, tmp_path / "first")
    capsys.readouterr()
    assert wheel.name == name
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == sha256
    words = ["rebuild", str(wheel), "--source", str(REPOSITORY), "--commit", commit, "--json"]
    assert run(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["equal"] is True
    assert said["rebuilt"]["sha256"] == sha256
    origin = ("--source", str(REPOSITORY), "--source-commit", commit)
    _check(folder, wheel, (*origin, "--source-git", says.source.git), tmp_path)


def _has(commit: str) -> bool:
    done = subprocess.run(
        ["git", "cat-file", "-e", f"{commit}^{{commit}}"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def test_what_builds_the_wheel_is_what_is_developed_with() -> None:
    """So that a wheel of `make setup`'s environment is the one that anybody builds again."""
    pinned = {name: _pins(REQUIREMENTS / f"{name}.txt") for name in ("build", "dev")}
    assert pinned["build"]
    assert {n: pinned["dev"].get(n) for n in pinned["build"]} == pinned["build"]


def _pins(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    heads = [line.split(" ")[0] for line in lines if "==" in line and not line.startswith(" ")]
    return dict(head.split("==") for head in heads)


def test_no_private_key_is_in_the_repository() -> None:
    for path in RELEASES.rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            assert not any(word in text for word in SECRET), path


def test_a_changed_log_is_not_taken(tmp_path: Path) -> None:
    place = tmp_path / "log"
    shutil.copytree(LOG, place)
    bundles = [path for path in (place / "tile" / "entries").rglob("*") if path.is_file()]
    for bundle in bundles:
        data = bytearray(bundle.read_bytes())
        data[len(data) // 2] ^= 1
        bundle.write_bytes(data)
    reader = read.from_folder(place)
    newest = checkpoints.opened(reader.checkpoint(), log=TERMS.log, witnesses=TERMS.witnesses)
    with pytest.raises(Malformed):
        list(reader.entries(0, newest.checkpoint.size, newest.checkpoint))
