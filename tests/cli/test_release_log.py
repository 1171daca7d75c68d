"""From an image to a release in a log to a verdict, by the command line alone; and what is refused on the way."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import pytest
from tests.cli.released import app, evidence
from tests.cli.served import serving
from tests.platforms.nitro.signer import identity, image, signature, with_section

import troth
from troth.cli import _httpd
from troth.cli.main import run
from troth.platforms.nitro.measure import measure
from troth.tlog.note import Kind
from troth.tlog.signer import SigningKey
from troth.wire import eif

OWNERS = ("anna", "bert", "cleo")
WITNESSES = ("w1", "w2", "w3")


@dataclass(frozen=True)
class Desk:
    """A folder with an image and its record, three owners, a log, three witnesses and a policy."""

    folder: Path
    says: pytest.CaptureFixture[str]

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def run(self, *words: str) -> tuple[int, str]:
        """Exit code, and all that was printed; a word that begins with @ is a file of the folder."""
        code = run([self.path(w[1:]) if w.startswith("@") else w for w in words])
        printed = self.says.readouterr()
        return code, printed.out + printed.err

    def keep(self, name: str, *words: str) -> None:
        """Runs, and keeps what was printed in a file."""
        assert run([self.path(w[1:]) if w.startswith("@") else w for w in words]) == 0
        (self.folder / name).write_text(self.says.readouterr().out)

    def publish(self, file: str = "@app.entry", *more: str) -> tuple[int, str]:
        asked = [word for w in WITNESSES for word in ("--witness", f"@{w}")]
        where = ("--log", "@log", "--key", "@log.key", "--policy", "@app.policy.toml")
        return self.run("release", "publish", file, *where, *asked, *more)

    def sign(self, *names: str, file: str = "@app.entry") -> None:
        for name in names:
            code, told = self.run("release", "sign", file, "--owner-key", f"@{name}.key")
            assert code == 0, told

    def verify(self, *more: str, log: str = "@log") -> tuple[int, str]:
        words = ("--policy", "@app.policy.toml", "--trust", "@root.pem")
        return self.run("verify", "@evidence.bin", *words, "--log", log, *more)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    made = Desk(tmp_path, capsys)
    app(tmp_path)
    for name in (*OWNERS, "stranger"):
        made.keep(f"{name}.pub", "tlog", "key", f"owner.example/{name}", "-o", f"@{name}.key")
    made.keep("log.pub", "tlog", "init", "@log", "--name", "log.example/app", "--key", "@log.key")
    for name in WITNESSES:
        made.keep(
            f"{name}.pub",
            *("tlog", "witness", f"@{name}", "--new", f"{name}.example", "--log", "@log.pub"),
        )
    made.keep("app.policy.toml", *_policy("0s"))
    code, told = made.run(
        *("release", "entry", "@app.eif", "--app", "auction", "--version", "1.0.0"),
        *("-o", "@app.entry"),
    )
    assert code == 0, told
    evidence(tmp_path)
    return made


def _policy(notice: str, profile: str = "development-2026-11") -> tuple[str, ...]:
    return (
        *("policy", "releases", profile, "--app", "auction", "--log", "@log.pub"),
        *(word for w in WITNESSES for word in ("--witness", f"@{w}.pub")),
        *("--witness-threshold", "2", "--owner-threshold", "2", "--notice", notice),
        *(word for o in OWNERS for word in ("--owner", f"@{o}.pub")),
    )


def test_from_an_image_to_a_verdict(desk: Desk) -> None:
    assert "signed by 0 of the 2" in desk.publish()[1]
    code, told = desk.run("release", "sign", "@app.entry", "--owner-key", "@anna.key")
    assert code == 0
    assert "release 1.0.0 of auction" in told
    assert f"nitro pcr0 {measure(image()).pcr0.hex()}" in told
    code, told = desk.publish()
    assert (code, "signed by 1 of the 2" in told) == (2, True)
    assert desk.verify()[0] == 1  # the log is there, and empty
    desk.sign("bert")
    code, told = desk.publish()
    assert code == 0, told
    code, told = desk.verify()
    assert code == 0, told
    assert "auction 1.0.0, entry 0, signed by 2 of 3 owners" in told
    assert "one signer alone cannot: 2 of 3 owners must sign, without notice" in told
    assert desk.publish()[0] == 0  # again: it is there already
    assert "1 entr" in desk.verify()[1]


def test_the_log_in_a_file_and_in_a_bundle(desk: Desk) -> None:
    desk.sign("anna", "cleo")
    assert desk.publish()[0] == 0
    assert desk.run("tlog", "prove", "@log", "--whole", "-o", "@app.troth-log")[0] == 0
    assert desk.verify("--bundle", desk.path("b.troth"), log="@app.troth-log")[0] == 0
    policy = ("--policy", "@app.policy.toml", "--trust", "@root.pem")
    assert desk.run("verify", "@b.troth", *policy)[0] == 0
    assert desk.run("verify", "@evidence.bin", *policy)[0] == 4
    assert desk.run("verify", "@evidence.bin", *policy, "--collateral", "@app.troth-log")[0] == 0
    code, told = desk.verify("--format", "json", log="@app.troth-log")
    said = json.loads(told)
    assert (code, said["release_log"]["release"]["version"]) == (0, "1.0.0")
    data = (desk.folder / "app.troth-log").read_bytes()
    (desk.folder / "cut").write_bytes(data[:-1])
    assert desk.verify(log="@cut")[0] == 3
    assert desk.verify(log="@evidence.bin")[0] == 3
    assert desk.verify(log="@nowhere")[0] == 5
    code, told = desk.verify("--offline", log="https://log.example/2026")
    assert (code, "needs the network" in told) == (2, True)


def test_freeze_revoke_owners_and_policy(desk: Desk) -> None:
    desk.sign("anna", "bert")
    assert desk.publish()[0] == 0
    entries: dict[str, tuple[str, ...]] = {
        "policy": ("policy", "@app.policy.toml", "--app", "auction", "--version", "1"),
        "owners": (
            *("owners", "auction", "--key", "@anna.pub", "--key", "@stranger.pub"),
            *("--threshold", "2"),
        ),
        "frozen": ("freeze", "auction", "code"),
        "revoked": ("revoke", "@app.entry", "--why", "bids could be read"),
    }
    for name, words in entries.items():
        assert desk.run("release", *words, "-o", f"@{name}.entry")[0] == 0
        desk.sign("bert", "cleo", file=f"@{name}.entry")
        if name == "revoked":
            code, told = desk.verify()
            assert code == 0
            assert "this one is version 1 of the owners', entry 1, their newest" in told
            assert "code: since entry 3" in told
            assert "entry 2 announces 2 keys" in told
        assert desk.publish(f"@{name}.entry")[0] == 0
    code, told = desk.verify()
    assert (code, "M508" in told, "bids could be read" in told) == (1, True, True)


def test_a_notice_runs_from_the_witnesses_times(desk: Desk) -> None:
    (desk.folder / "app.policy.toml").unlink()
    desk.keep("app.policy.toml", *_policy("72h"))
    desk.sign("anna", "bert")
    assert desk.publish()[0] == 0
    code, told = desk.verify()
    assert (code, "M507" in told, "active at" in told) == (1, True, True)


def test_what_is_not_signed(desk: Desk) -> None:
    def refused(*words: str, code: int = 2) -> str:
        found, told = desk.run("release", "sign", *words)
        assert found == code, told
        return told

    desk.sign("anna")
    before = (desk.folder / "app.entry").read_bytes()
    assert "already" in refused("@app.entry", "--owner-key", "@anna.key")
    refused("@app.eif", "--owner-key", "@anna.key", code=3)
    refused("@app.entry", "--owner-key", "@anna.pub", code=3)
    refused("@app.entry", "--owner-key", "@app.eif", code=3)
    refused("@nothing", "--owner-key", "@anna.key", code=5)
    refused("@app.entry", "--owner-key", "@anna.key", "--pcr8")
    refused("@app.entry")
    refused("@app.entry", "--pcr8")
    refused("@app.entry", "--owner-key", "@bert.key", "-o", "@anna.pub")
    bad = before.replace(b'"version"', b'"vorsion"')
    (desk.folder / "bad").write_bytes(bad)
    assert "unknown keys" in refused("@bad", "--owner-key", "@bert.key", code=3)
    assert (desk.folder / "app.entry").read_bytes() == before
    desk.sign("stranger")
    code, told = desk.publish()
    assert (code, "signed by 1 of the 2" in told) == (2, True)


def _other(desk: Desk, change: Callable[[str], str]) -> None:
    path = desk.folder / "app.policy.toml"
    path.write_text(change(path.read_text()))


def test_what_is_not_published(desk: Desk) -> None:
    desk.sign("anna", "bert")
    code, told = desk.run(
        *("release", "publish", "@app.entry", "--log", "@log", "--key", "@anna.key"),
        *("--policy", "@app.policy.toml"),
    )
    assert (code, "is not the key of log.example/app" in told) == (2, True)
    code, told = desk.run(
        *("release", "publish", "@app.entry", "--log", "@log", "--key", "@log.key"),
        *("--policy", "production-2026-11"),
    )
    assert (code, "no release in a log" in told) == (2, True)
    _other(desk, lambda text: text.replace('app = "auction"', 'app = "shop"'))
    code, told = desk.publish()
    assert (code, "is of auction, and the policy is of shop" in told) == (2, True)
    assert not (desk.folder / "log" / "tile").exists()


def test_what_is_published_is_told_as_json_as_well(desk: Desk) -> None:
    desk.sign("anna", "bert")
    code, told = desk.publish("@app.entry", "--json")
    (line,) = [line for line in told.splitlines() if line.startswith("{")]
    said = json.loads(line)
    assert (code, said["schema"], said["size"]) == (0, "troth/tlog-append/1", 1)
    assert said["entries"] == [{"entry": desk.path("app.entry"), "index": 0}]


def test_a_signed_image_needs_its_own_record_as_well(desk: Desk) -> None:
    signed = with_section(image(), signature(image(), identity()))
    (desk.folder / "signed.eif").write_bytes(bytes(eif.pack(signed)))
    words = ("release", "entry", "@signed.eif", "--app", "auction", "--version", "2")
    assert desk.run(*words, "--record", "@app.build.json", "-o", "@signed.entry")[0] == 0
    other = {"lock_sha256": "0a" * 32, "image": {"sha256": "0b" * 32}}
    (desk.folder / "other.build.json").write_text(json.dumps(other))
    code, told = desk.run(*words, "--record", "@other.build.json", "-o", "@x.entry")
    assert (code, "the record of another image" in told) == (2, True)


def test_what_a_witness_answers_does_not_act_on_the_screen(desk: Desk) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J no"
    with serving(lambda _: _httpd.words(HTTPStatus.FORBIDDEN, hostile), most_body=1 << 17) as at:
        key = str(SigningKey.generate("w9.example/w", Kind.COSIGNATURE).verifier)
        desk.sign("anna", "bert")
        words = ("--log", "@log", "--key", "@log.key", "--policy", "@app.policy.toml")
        asked = ("--witness", f"http://{at}", "--witness-key", key)
        code, told = desk.run("release", "publish", "@app.entry", *words, *asked)
    assert (code, "w9.example/w does not cosign: 403" in told) == (5, True)
    assert "\x1b" not in told
    assert "\x07" not in told


def test_entries_that_are_not_written(desk: Desk) -> None:
    def refused(*words: str, code: int = 2) -> None:
        found, told = desk.run("release", *words)
        assert found == code, told

    image_words = ("entry", "@app.eif", "--app", "auction", "--version", "2")
    refused(*image_words, "-o", "@anna.pub")
    refused(*image_words, "--source-git", "https://git.example", "-o", "@x")
    refused(*image_words, "--source-git", "https://g", "--source-commit", "main", "-o", "@x")
    refused("entry", "@app.eif", "--app", "An App", "--version", "2", "-o", "@x")
    refused("entry", "@app.eif", "--app", "auction", "--version", "\u202e", "-o", "@x")
    refused(*image_words, "--record", "@app.policy.toml", "-o", "@x", code=3)
    refused(*image_words, "--record", "@none", "-o", "@x", code=5)
    (desk.folder / "other.build.json").write_text(
        json.dumps({"lock_sha256": "0a" * 32, "image": {"sha256": "0b" * 32}})
    )
    refused(*image_words, "--record", "@other.build.json", "-o", "@x")
    refused("freeze", "auction", "time", "-o", "@x")
    refused("revoke", "@app.eif", "--why", "x", "-o", "@x", code=3)
    owner = ("--key", "@anna.pub")
    refused("owners", "auction", *owner, *owner, "--threshold", "2", "-o", "@x")
    refused("owners", "auction", *owner, "--key", "@w1.pub", "--threshold", "2", "-o", "@x")
    refused("owners", "auction", *owner, "--key", "@bert.pub", "--threshold", "1", "-o", "@x")
    assert not (desk.folder / "x").exists()


def test_it_is_looked_at_before_anybody_believes_it(desk: Desk) -> None:
    desk.sign("anna", "bert")
    assert desk.publish()[0] == 0
    assert desk.run("tlog", "prove", "@log", "--whole", "-o", "@app.troth-log")[0] == 0
    code, told = desk.run("inspect", "@app.entry")
    assert (code, "owner.example/anna" in told, "nothing above was verified" in told) == (
        0,
        True,
        True,
    )
    code, told = desk.run("inspect", "@app.troth-log", "--json")
    said = json.loads(told.splitlines()[0])
    assert (code, said["kind"], said["size"]) == (0, "whole log", 1)
    assert said["entries"][0]["says"]["version"] == "1.0.0"
    (desk.folder / "bad").write_bytes(b"troth-log-entry/1\n{}\n")
    assert desk.run("inspect", "@bad")[0] == 3
    code, told = desk.run("trust", "show", "@app.troth-log")
    assert (code, "log.example/app, 1 entries" in told) == (0, True)


def test_the_log_at_an_address(desk: Desk) -> None:
    desk.sign("anna", "bert")
    assert desk.publish()[0] == 0
    program = [sys.executable, "-m", "troth", "tlog", "serve", desk.path("log")]
    with subprocess.Popen(
        [*program, "--listen", "127.0.0.1:0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(troth.__file__).parents[1])},
    ) as served:
        try:
            assert served.stderr is not None
            address = served.stderr.readline().split()[-1]
            code, told = desk.verify(log=address)
            assert code == 0, told
            assert desk.verify(log=f"{address}/none")[0] == 5
        finally:
            served.terminate()


def test_a_pin_asks_no_log(desk: Desk) -> None:
    words = ("--policy", "@app.policy.toml", "--trust", "@root.pem")
    code, told = desk.run("policy", "pin", "@evidence.bin", *words)
    assert (code, "asks a log" in told) == (2, True)


def test_a_log_that_no_policy_asks_for(desk: Desk) -> None:
    words = ("--policy", "development-2026-11", "--log", "@log")
    code, told = desk.run("verify", "@evidence.bin", *words)
    assert (code, "asks for no release" in told) == (2, True)
    code, told = desk.verify("--waive", "measurement")
    assert (code, "both expected and waived" in told) == (2, True)


def test_a_watch_tells_when_the_log_will_be_too_old(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", desk.path("data"))
    desk.sign("anna", "bert")
    assert desk.publish()[0] == 0
    fleet = desk.folder / "fleet"
    for name in ("evidence", "collateral"):
        (fleet / name).mkdir(parents=True)
    (desk.folder / "evidence.bin").rename(fleet / "evidence" / "one.bin")
    (desk.folder / "root.pem").rename(fleet / "roots.pem")
    whole = str(fleet / "collateral" / "app.troth-log")
    assert desk.run("tlog", "prove", "@log", "--whole", "-o", whole)[0] == 0
    (desk.folder / "app.policy.toml").rename(fleet / "policy.toml")
    code, told = desk.run("watch", "--once", str(fleet))
    assert code == 0, told
    until = datetime.fromisoformat(told.partition("so until ")[2][:19] + "+00:00")
    assert 23 < (until - datetime.now(UTC)).total_seconds() / 3600 <= 24
