"""`troth tlog`: keys, logs, witnesses, proofs and looks, as one types them."""

import errno
import json
import os
from pathlib import Path

import pytest
from tests.tlog.governed import ANNA, BERT, STRANGER, release
from tests.tlog.governed import signed as owned

from troth.cli.main import run
from troth.tlog import checkpoint, note, snapshot
from troth.tlog.signer import SigningKey

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for key in (ANNA, BERT):
        Path(f"{key.verifier.name.rpartition('/')[2]}.pub").write_text(str(key.verifier))
    for n in range(3):
        Path(f"{n}.entry").write_bytes(owned(release(version=str(n))))
    return tmp_path


@pytest.fixture
def log(capsys: Captured) -> str:
    """A log in `log`; its public key, which is also in `log.pub`."""
    assert run(["tlog", "init", "log", "--name", "example.com/log", "--key", "log.key"]) == 0
    public = capsys.readouterr().out.strip()
    Path("log.pub").write_text(public)
    return public


@pytest.fixture
def witnesses(log: str, capsys: Captured) -> list[str]:
    """Two witnesses in `w1` and `w2`; their public keys."""
    for name in ("w1", "w2"):
        assert run(["tlog", "witness", name, "--new", f"{name}.example", "--log", log]) == 0
    return capsys.readouterr().out.split()


def ok(capsys: Captured, *words: str) -> str:
    assert run(["tlog", *words]) == 0, capsys.readouterr().err
    return capsys.readouterr().out.strip()


def refused(capsys: Captured, code: int, *words: str) -> str:
    assert run(["tlog", *words]) == code
    said = capsys.readouterr()
    return said.out + said.err


def test_keys(capsys: Captured) -> None:
    public = ok(capsys, "key", "owner.example/anna", "-o", "anna.key")
    assert note.verifier_key(public).name == "owner.example/anna"
    assert Path("anna.key").stat().st_mode & 0o777 == 0o600
    assert ok(capsys, "key", "--of", "anna.key") == public
    before = Path("anna.key").read_bytes()
    assert "exists" in refused(capsys, 2, "key", "x", "-o", "anna.key")
    assert Path("anna.key").read_bytes() == before
    Path("link.key").symlink_to("elsewhere")
    assert "exists" in refused(capsys, 2, "key", "x", "-o", "link.key")
    assert not Path("elsewhere").exists()
    refused(capsys, 2, "key", "a b", "-o", "b.key")
    refused(capsys, 2, "key", "x")
    refused(capsys, 2, "key", "--of", "anna.key", "x")
    refused(capsys, 5, "key", "x", "-o", "no/folder.key")
    Path("junk").write_bytes(b"\xff\x1b[31m")
    assert "\x1b" not in refused(capsys, 3, "key", "--of", "junk")


def test_half_a_key_is_not_left(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "no space" in refused(capsys, 5, "key", "owner.example/anna", "-o", "anna.key")
    assert "no space" in refused(capsys, 5, "init", "new", "--name", "x", "--key", "anna.key")
    assert not Path("anna.key").exists()


def test_a_log_is_begun_once(log: str, capsys: Captured) -> None:
    assert Path("log.key").stat().st_mode & 0o777 == 0o600
    again = ("init", "log", "--name", "example.com/log", "--key")
    assert "not empty" in refused(capsys, 2, *again, "other.key")
    assert not Path("other.key").exists()
    assert "exists" in refused(capsys, 2, "init", "new", "--name", "x", "--key", "log.key")
    assert not Path("new").exists()
    Path("file").write_text("")
    refused(capsys, 2, "init", "file", "--name", "x", "--key", "other.key")
    refused(capsys, 2, "init", "new", "--name", "a+b", "--key", "other.key")
    assert ok(capsys, "check", "log", "--log", log).startswith("example.com/log: 0 entries")


def test_entries_are_appended(log: str, capsys: Captured) -> None:
    del log
    words = ("append", "log", "0.entry", "1.entry", "--key", "log.key")
    assert ok(capsys, *words) == "0  0.entry\n1  1.entry"
    found = json.loads(ok(capsys, *("append", "log", "2.entry", "--key", "log.key", "--json")))
    assert (found["size"], found["entries"]) == (3, [{"entry": "2.entry", "index": 2}])
    assert "nothing to append" in refused(capsys, 2, "append", "log", "--key", "log.key")
    refused(capsys, 5, "append", "log", "absent", "--key", "log.key")
    Path("huge").write_bytes(bytes(65536))
    refused(capsys, 3, "append", "log", "huge", "--key", "log.key")
    ok(capsys, "key", "example.com/log", "-o", "other.key")
    refused(capsys, 2, "append", "log", "0.entry", "--key", "other.key")
    refused(capsys, 2, "append", "none", "0.entry", "--key", "log.key")
    refused(capsys, 2, "append", "log", "0.entry", "--key", "log.key", "--witness-threshold", "1")


def test_with_witnesses(log: str, witnesses: list[str], capsys: Captured) -> None:
    both = ("--key", "log.key", "--witness", "w1", "--witness", "w2")
    ok(capsys, "append", "log", "0.entry", *both)
    opened = checkpoint.opened(
        Path("log/checkpoint").read_bytes(),
        log=note.verifier_key(log),
        witnesses=[note.verifier_key(w) for w in witnesses],
    )
    assert [len(times) for times in opened.times.values()] == [1, 1]
    ok(capsys, "append", "log", *both)
    keys = [word for witness in witnesses for word in ("--witness-key", witness)]
    look = ("check", "log", "--log", "log.pub", *keys)
    assert "seen by w1.example" in ok(capsys, *look)
    stranger = ok(capsys, "witness", "w3", "--new", "w3.example")
    assert "2 of the 3" in refused(capsys, 4, *look, "--witness-key", stranger)
    ok(capsys, *look, "--witness-key", stranger, "--witness-threshold", "2")
    document = json.loads(ok(capsys, *look, "--json"))
    assert document["seen"].keys() == {"w1.example", "w2.example"}


def test_too_few_witnesses_publish_nothing(
    log: str, witnesses: list[str], capsys: Captured
) -> None:
    del witnesses
    ok(capsys, "append", "log", "0.entry", "--key", "log.key", "--witness", "w1")
    ok(capsys, "witness", "w3", "--new", "w3.example")  # which knows no log
    words = ("append", "log", "1.entry", "--key", "log.key", "--witness", "w1", "--witness", "w3")
    said = refused(capsys, 5, *words)
    assert "w3.example did not cosign: w3.example does not cosign: 404" in said
    assert "1 of 2 witnesses cosigned" in said
    assert "1 entries" in ok(capsys, "check", "log", "--log", log)
    ok(capsys, *words[:2], *words[3:], "--witness-threshold", "1")
    assert "2 entries" in ok(capsys, "check", "log", "--log", log)


def test_witnesses_that_cannot_be_asked(log: str, witnesses: list[str], capsys: Captured) -> None:
    words = ("append", "log", "0.entry", "--key", "log.key", "--witness")
    assert "named twice" in refused(capsys, 2, *words, "w1", "--witness", "w1")
    assert "keys are given" in refused(capsys, 2, *words, "http://127.0.0.1:1")
    assert "keys are given" in refused(capsys, 2, *words, "w1", "--witness-key", witnesses[0])
    refused(capsys, 2, *words, "http://127.0.0.1:1", "--witness-key", log)
    refused(capsys, 2, *words, "http://example.com", "--witness-key", witnesses[0])
    refused(capsys, 5, *words, "http://127.0.0.1:1", "--witness-key", witnesses[0])
    refused(capsys, 2, *words, "absent")
    refused(capsys, 2, *words, "w1", "--witness-threshold", "2")


def test_one_request_is_answered(log: str, witnesses: list[str], capsys: Captured) -> None:
    del log
    ok(capsys, "append", "log", "0.entry", "--key", "log.key")
    data = Path("log/checkpoint").read_bytes()
    Path("request").write_bytes(b"old 0\n\n" + data)
    line = ok(capsys, "witness", "w1", "--once", "request")
    whole = note.parse(data + line.encode() + b"\n")
    assert note.signers(whole, [note.verifier_key(witnesses[0])])
    assert "has seen 1" in refused(capsys, 1, "witness", "w1", "--once", "request")
    Path("request").write_bytes(b"junk")
    refused(capsys, 3, "witness", "w1", "--once", "request")
    # The same key, another history: this is what a witness is for.
    key = SigningKey.read(Path("log.key").read_text())
    text = note.parse(data).text
    forged = text.replace(text.split("\n")[2], "A" * 43 + "=")
    Path("request").write_bytes(
        b"old 1\n\n" + note.Note(text=forged, signatures=(key.sign(forged),)).encode()
    )
    assert "FORK" in refused(capsys, 1, "witness", "w1", "--once", "request")
    assert list(Path("w1").glob("logs/*/evidence/fork-*.json"))
    assert "not known" in refused(capsys, 2, "witness", "w3", "--new", "w3", "--once", "request")
    refused(capsys, 2, "witness", "w1", "--once", "request", "--serve", "127.0.0.1:0")
    refused(capsys, 2, "witness", "w1", "--once", "request", "--json")
    found = json.loads(ok(capsys, "witness", "w1", "--json"))
    assert (found["key"], found["logs"][0]["size"]) == (witnesses[0], 1)
    refused(capsys, 2, "witness", "w1", "--new", "again")
    refused(capsys, 2, "witness", "absent")


def test_proofs(log: str, witnesses: list[str], capsys: Captured) -> None:
    all_of_them = ("0.entry", "1.entry", "2.entry")
    ok(capsys, "append", "log", *all_of_them, "--key", "log.key", "--witness", "w1")
    ok(capsys, "prove", "log", "1.entry", "-o", "a.proof", "--log", log)
    ok(capsys, "prove", "log", "1", "-o", "b.proof")
    assert Path("a.proof").read_bytes() == Path("b.proof").read_bytes()
    check = ("check", "a.proof", "--log", "log.pub")
    assert ok(capsys, *check, "--entry", "1.entry") == "entry 1 of example.com/log, which had 3"
    seen = (*check, "--entry", "1.entry", "--witness-key")
    assert "seen by w1.example" in ok(capsys, *seen, witnesses[0])
    assert "undecided" in refused(capsys, 4, *seen, witnesses[1])
    found = json.loads(ok(capsys, *check, "--entry", "1.entry", "--json"))
    assert (found["proved"], found["index"]) == (True, 1)
    assert "NOT PROVED" in refused(capsys, 1, *check, "--entry", "0.entry")
    assert run(["tlog", *check, "--entry", "0.entry", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["proved"] is False and "does not show" in found["why"]
    refused(capsys, 2, *check)
    refused(capsys, 2, *check, "--entry", "1.entry", "--state", "s")
    other = str(SigningKey.generate("example.com/log").verifier)
    words = ("check", "a.proof", "--log", other, "--entry", "1.entry")
    assert "NOT PROVED" in refused(capsys, 1, *words)
    whole = Path("a.proof").read_bytes()
    for data in (b"", whole[:20], whole[:-1], whole.replace(b"index 1", b"index 01")):
        Path("a.proof").write_bytes(data)
        refused(capsys, 3, *check, "--entry", "1.entry")
    refused(capsys, 2, "prove", "log", "3", "-o", "c.proof")
    refused(capsys, 2, "prove", "log", "99999999999999999999999", "-o", "c.proof")
    Path("other").write_bytes(b"other")
    assert "not among the 3" in refused(capsys, 2, "prove", "log", "other", "-o", "c.proof")
    refused(capsys, 2, "prove", "log", "-o", "c.proof")
    refused(capsys, 2, "prove", "log", "1", "--whole", "-o", "c.proof")
    refused(capsys, 3, "prove", "log", "1", "--log", other, "-o", "c.proof")
    refused(capsys, 2, "prove", "absent", "1", "-o", "c.proof")
    assert not Path("c.proof").exists()


def test_all_of_a_log_in_one_file(log: str, witnesses: list[str], capsys: Captured) -> None:
    for n in range(3):
        ok(capsys, "append", "log", f"{n}.entry", "--key", "log.key", "--witness", "w1")
    ok(capsys, "prove", "log", "--whole", "-o", "app.troth-log", "--log", log)
    opened = snapshot.opened(
        Path("app.troth-log").read_bytes(),
        log=note.verifier_key(log),
        witnesses=[note.verifier_key(witnesses[0])],
    )
    assert len(opened.entries) == 3
    assert [one.checkpoint.size for one in opened.older] == [1, 2]
    assert all(one.times for one in (opened.newest, *opened.older))


def test_a_look_with_a_memory(log: str, capsys: Captured) -> None:
    ok(capsys, "append", "log", "0.entry", "--key", "log.key")
    look = ("check", "log", "--log", log, "--state", "log.state")
    assert "1 entries," in ok(capsys, *look)
    ok(capsys, "append", "log", "1.entry", "2.entry", "--key", "log.key")
    assert "3 entries, 2 new" in ok(capsys, *look)
    remembered = Path("log.state").read_bytes()
    Path("log").rename("true")
    ok(capsys, "init", "log", "--name", "example.com/log", "--key", "unused.key")
    assert "UNSIGNED" in refused(capsys, 1, *look)
    for entries, word in ((1, "ROLLBACK"), (3, "FORK"), (4, "FORK")):
        _log_of(entries)
        assert word in refused(capsys, 1, *look)
        assert Path("log.state").read_bytes() == remembered
    assert {p.name.split("-")[0] for p in Path().glob("log.state.*")} == {
        "log.state.rollback",
        "log.state.fork",
    }
    assert run(["tlog", *look, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["findings"][0]["kind"] == "fork"


def _log_of(count: int) -> None:
    """Another history, signed with the true key."""
    import shutil

    from tests.tlog.logs import publish

    shutil.rmtree("log")
    Path("log").mkdir()
    key = SigningKey.read(Path("log.key").read_text())
    publish(Path("log"), [b"other %d" % n for n in range(count)], key=key)


def test_what_owners_did_not_make(log: str, capsys: Captured) -> None:
    Path("mine").mkdir()
    for n in range(2):
        Path(f"mine/{n}.entry").write_bytes(Path(f"{n}.entry").read_bytes())
    ok(capsys, "append", "log", "0.entry", "1.entry", "--key", "log.key")
    owners = ("--owner", "anna.pub", "--owner", str(BERT.verifier))
    look = ("check", "log", "--log", log, "--state", "s", "--app", "auction", *owners)
    shown = ok(capsys, *look, "--mine", "mine")
    assert (
        "     0  release      0  yours, signed by owner.example/anna, owner.example/bert" in shown
    )
    Path("evil.entry").write_bytes(owned(release(version="6.6.6"), STRANGER))
    ok(capsys, "append", "log", "evil.entry", "--key", "log.key")
    for _ in range(2):
        said = refused(capsys, 1, *look, "--mine", "mine")
        assert "FOREIGN: entry 2 for auction, release 6.6.6: not made by its owners" in said
    Path("mine/evil.entry").write_bytes(Path("evil.entry").read_bytes())
    ok(capsys, *look, "--mine", "mine")
    refused(capsys, 2, *look, "--mine", "absent")
    Path("mine/bad.entry").write_bytes(b"bad")
    refused(capsys, 3, *look, "--mine", "mine")
    refused(capsys, 2, "check", "log", "--log", log, *owners)
    refused(capsys, 2, "check", "log", "--log", log, "--max-age", "soon")
    refused(capsys, 2, "check", "log", "--log", "junk")
    refused(capsys, 2, "check", "absent", "--log", log)
    refused(capsys, 5, "check", "http://127.0.0.1:1", "--log", log)
