"""A wheel from its source to a log: bill of materials, provenance, entry, and every word of it checked."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from tests.cli.filed import GIT, Desk, a_desk, a_template, git  # noqa: F401 - fixtures
from tests.cli.test_rebuild_file import kernel

from troth.cli.main import run
from troth.image.hardware.inputs import inputs
from troth.release import dsse
from troth.tlog import entry
from troth.tlog.statement import Artifacts

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is absent")
Says = pytest.CaptureFixture[str]
BUILDER = "https://example.com/ci"


def state(made: Desk, *more: str, out: str = "p.json") -> int:
    words = ["release", "provenance", str(made.wheel), *made.origin, "--builder", BUILDER]
    return run([*words, "--key", "ed.pem", "-o", out, *more])


def check(made: Desk, *more: str, file: Path | None = None) -> int:
    key = () if "--key" in more else ("--key", "ed.pub")
    return run(["release", "check", str(file or made.wheel), "--provenance", "p.json", *key, *more])


def test_the_bill_of_materials(made: Desk) -> None:
    for name in ("a.json", "b.json"):
        assert run(["release", "sbom", str(made.wheel), *made.origin, "-o", name]) == 0
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()
    said = json.loads(Path("a.json").read_bytes())
    assert (said["bomFormat"], said["specVersion"]) == ("CycloneDX", "1.6")
    about = said["metadata"]["component"]
    assert (about["name"], about["version"], about["purl"]) == (
        "thing",
        "1.0",
        "pkg:pypi/thing@1.0",
    )
    assert about["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    parts = {one["name"]: one for one in said["components"]}
    assert {name: one["scope"] for name, one in parts.items()} == {
        "tiny-backend": "excluded",
        "other": "required",
        "more": "optional",
    }
    assert parts["tiny-backend"]["purl"] == "pkg:pypi/tiny-backend@1.0"


def test_a_statement_is_made_again_from_the_source(made: Desk, capsys: Says) -> None:
    assert state(made) == 0
    clone = ("--source", str(made.clone))
    assert check(made, *clone) == 0
    shown = capsys.readouterr().out
    assert f"inputs   all as commit {made.commit} has them, taken from {made.clone}" in shown
    assert f"the statement names {GIT}" in shown
    assert check(made) == 4
    assert "name the wheel's source with --source" in capsys.readouterr().out
    assert check(made, *clone, "--builder", BUILDER, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["result"], said["inputs_compared"], said["problems"]) == ("verified", True, [])
    assert check(made, *clone, "--builder", "urn:other") == 1
    assert check(made, *clone, "--key", "other.pub") == 1
    assert check(made, *clone, "--source-commit", "0" * 40) == 1
    assert check(made, *clone, "--source-git", "https://git.example/other") == 1
    assert check(made, *clone, "--source-commit", made.commit, "--source-git", GIT) == 0


def test_a_statement_about_something_else(made: Desk, capsys: Says) -> None:
    assert state(made) == 0
    clone = ("--source", str(made.clone))
    other = made.folder / "other"
    other.mkdir()
    data = made.wheel.read_bytes()
    (other / made.wheel.name).write_bytes(data + b"\0")
    assert check(made, *clone, file=other / made.wheel.name) == 1
    (made.folder / "thing-2.0-py3-none-any.whl").write_bytes(data)
    assert check(made, *clone, file=made.folder / "thing-2.0-py3-none-any.whl") == 1
    # Signed by the right key, and each word of it false in turn.
    envelope = json.loads(Path("p.json").read_bytes())
    good = dsse.read(Path("p.json").read_bytes()).payload.decode()
    for old, new in (
        (made.commit, "0" * 40),
        ("urn:troth:build:wheel:1", "urn:troth:build:1"),
        ("tiny-backend@1.0", "tiny-backend@1.1"),
        ("tiny_backend", "tiny_frontend"),
        ('"byproducts":[]', '"byproducts":[{}]'),
        ('"path":"."', '"path":"requirements"'),
        (made.wheel.name, "thing-3.0-py3-none-any.whl"),
    ):
        assert old in good
        _resign(good.replace(old, new))
        assert check(made, *clone) in (1, 2, 3, 5), (old, new)
        assert not capsys.readouterr().out.startswith("verified"), (old, new)
    Path("p.json").write_text(json.dumps(envelope))


def _resign(payload: str) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from troth.crypto import public
    from troth.release import keys

    pem = Path("ed.pem").read_bytes()
    private = keys.from_pem(pem, edwards=True)
    named = public.of(load_pem_private_key(pem, None).public_key())
    made = dsse.sign(payload.encode(), payload_type=dsse.IN_TOTO, keys=[(named, private)])
    Path("p.json").write_bytes(made.to_json())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["sbom", "W"], 2, "where the wheel's source is, is not said"),
        (["sbom", "W", "--source", "clone"], 2, "is not said"),
        (["sbom", "W", "--source", "clone", "--source-commit", "C"], 2, "a folder of this machine"),
        (["sbom", "W", "--source", "gone", "--source-commit", "C"], 2, "no folder and no address"),
        (["sbom", "W", "--packages", "packages", "--source", "clone"], 2, "looked into for an image"),
        (["sbom", "W", "--record", "x"], 2, "a build record is an image's"),
        (["sbom", "x.eif", "--source", "clone"], 2, "of no meaning for an image"),
        (["sbom", "vmlinuz"], 2, "is not the hardware kernel"),
        (["sbom", "vmlinuz", "--source", "clone"], 2, "of no meaning for the hardware kernel"),
        (["sbom", "other-1.0-py3-none-any.whl", "--source", "clone", "--source-commit", "C", "--source-git", GIT], 3, "says of itself that it is thing 1.0"),
    ],
)  # fmt: skip
def test_what_is_refused(made: Desk, capsys: Says, words: list[str], code: int, said: str) -> None:
    Path("x.eif").write_bytes(b".eif")
    Path("vmlinuz").write_bytes(kernel(inputs().kernel.version))
    shutil.copy(made.wheel, "other-1.0-py3-none-any.whl")
    given = [{"W": made.wheel.name, "C": made.commit}.get(word, word) for word in words]
    assert run(["release", *given]) == code
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


def test_a_kernel_that_is_another_one_is_refused_or_undecided(made: Desk) -> None:
    assert state(made) == 0
    Path("vmlinuz").write_bytes(kernel(inputs().kernel.version))
    assert check(made, file=Path("vmlinuz")) == 1


def test_the_whole_way_into_a_log(made: Desk, capsys: Says) -> None:
    assert state(made) == 0
    assert run(["release", "sbom", str(made.wheel), *made.origin, "-o", "s.json"]) == 0
    words = ["release", "artifacts", str(made.wheel), "--app", "thing", "--version", "1.0"]
    papers = ["--sbom", "s.json", "--provenance", "p.json"]
    source = ["--source-git", GIT, "--source-commit", made.commit]
    assert run([*words, *papers, *source, "-o", "e.entry"]) == 0
    says = entry.statement(Path("e.entry").read_text())
    assert isinstance(says, Artifacts)
    assert list(says.files) == [made.wheel.name]
    _refused(made, words, papers, source)
    _keys(capsys)
    look = ["release", "logged", str(made.wheel), "--log", "log", "--policy", "t.toml", *papers]
    publish = ["release", "publish", "e.entry", "--log", "log", "--key", "log.key"]
    publish += ["--policy", "t.toml", "--witness", "w"]
    assert run(look) == 1
    assert run(["release", "sign", "e.entry", "--owner-key", "anna.key"]) == 0
    assert run(publish) == 2
    assert run(["release", "sign", "e.entry", "--owner-key", "bert.key"]) == 0
    assert run(publish) == 0
    assert f"{made.wheel.name} " in capsys.readouterr().err
    assert run([*look, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["result"], said["entry"]["index"], said["entry"]["signed"]) == ("logged", 0, 2)
    assert said["entry"]["commit"] == made.commit
    assert said["as_of"] is False
    assert run([*look, "--at", "2001-01-01T00:00:00Z"]) == 4
    assert "as of       2001-01-01T00:00:00Z, chosen by you" in capsys.readouterr().out
    _policies_that_decide_nothing(look, capsys)
    assert run([*look[:-1], "s.json"]) == 1  # another statement of provenance
    data = made.wheel.read_bytes()
    made.wheel.write_bytes(data + b"\0")
    assert run(look) == 1
    assert "gives thing-1.0-py3-none-any.whl another" in capsys.readouterr().out
    made.wheel.write_bytes(data)
    assert run(["release", "revoke", "e.entry", "--why", "a hole", "-o", "r.entry"]) == 0
    for name in ("anna.key", "bert.key"):
        assert run(["release", "sign", "r.entry", "--owner-key", name]) == 0
    assert run([*publish[:2], "r.entry", *publish[3:]]) == 0
    assert run(look) == 1
    assert "its owners revoked it: a hole" in capsys.readouterr().out


def _policies_that_decide_nothing(look: list[str], capsys: Says) -> None:
    """As with evidence: one that has ended, and one that nobody has read."""
    text = Path("t.toml").read_text()
    for name, line, why in (
        ("old.toml", "expires = 2020-01-01T00:00:00Z", "has ended"),
        ("new.toml", "unreviewed = true", "nobody has read"),
    ):
        Path(name).write_text(text.replace("\n[", f"\n{line}\n[", 1))
        capsys.readouterr()
        assert run([name if word == "t.toml" else word for word in look]) == 4
        assert why in capsys.readouterr().out


def _refused(made: Desk, words: list[str], papers: list[str], source: list[str]) -> None:
    out = ["-o", "f.entry"]
    assert run([*words, *papers, *out]) == 2  # the statement names a source
    assert run([*words, *papers, *source[:-1], "0" * 40, *out]) == 2
    assert run([*words[:2], "--app", "x", "--version", "1", *papers, *source, *out]) == 2
    Path("thing.py").write_text("")
    assert run([words[0], words[1], "thing.py", *words[3:], *papers, *source, *out]) == 2
    assert run([*words, "--sbom", "p.json", "--provenance", "p.json", *source, *out]) == 3
    assert run([*words, "--sbom", "s.json", "--provenance", "s.json", *source, *out]) == 3
    assert not Path("f.entry").exists()
    assert git(made.clone, "status", "--short") == ""


def _keys(capsys: Says) -> None:
    capsys.readouterr()
    keys = {}
    for name in ("anna", "bert"):
        assert run(["tlog", "key", f"owner.example/{name}", "-o", f"{name}.key"]) == 0
        keys[name] = capsys.readouterr().out.strip()
    assert run(["tlog", "init", "log", "--name", "example.com/log", "--key", "log.key"]) == 0
    log = capsys.readouterr().out.strip()
    assert run(["tlog", "witness", "w", "--new", "w.example/w", "--log", log]) == 0
    witness = capsys.readouterr().out.split()[0]
    words = ["policy", "releases", "production-2026-11", "--app", "thing", "--log", log]
    words += ["--witness", witness, "--witness-threshold", "1", "--owner", keys["anna"]]
    words += ["--owner", keys["bert"], "--owner-threshold", "2", "--notice", "0s", "-o", "t.toml"]
    assert run(words) == 0
    assert tomllib.loads(Path("t.toml").read_text())["release"]["app"] == "thing"
    capsys.readouterr()
