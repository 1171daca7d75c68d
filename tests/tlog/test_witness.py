"""A witness cosigns what only adds to what it has seen, and nothing else; whoever asks is lied to in vain."""

import errno
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tlog.logs import KEY, consistency, numbered, signed

from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.tlog import kept, note, witness_state
from troth.tlog.note import Kind, VerifierKey
from troth.tlog.signer import SigningKey
from troth.tlog.witness import Witness
from troth.tlog.witnessing import MOST_PROOF, MOST_REQUEST, SIZE_TYPE, Answer, Request

TWELVE = numbered(12)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.7

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def witness(tmp_path: Path, clock: Clock) -> Witness:
    made = Witness.create(tmp_path / "w", "witness.example/w1", clock=clock)
    made.add_log(KEY.verifier)
    return made


def ask(
    witness: Witness, entries: list[bytes], old: int, proof: Sequence[bytes] | None = None
) -> Answer:
    steps = consistency(entries, old) if proof is None and old <= len(entries) else proof or ()
    body = Request(old_size=old, proof=tuple(steps), note=signed(entries)).encode()
    return witness.add_checkpoint(body)


def evidence(witness: Witness) -> list[dict[str, str]]:
    return [json.loads(p.read_text()) for p in sorted(witness.folder.glob("logs/*/evidence/*"))]


def test_cosigns_a_log_that_grows(witness: Witness, clock: Clock) -> None:
    old = 0
    for size in (0, 1, 4, 5, 12, 12):
        answer = ask(witness, TWELVE[:size], old)
        assert answer.status == 200, answer
        assert not answer.finding
        whole = note.parse(signed(TWELVE[:size]) + answer.body)
        (line,) = note.signers(whole, [witness.verifier])[witness.verifier]
        at = note.time_of(line)
        assert at is not None and at.timestamp() == int(clock.now)
        clock.now += 60
        old = size
    assert evidence(witness) == []
    (state,) = Witness.open(witness.folder).logs()
    assert (state.log, state.latest.size) == (KEY.verifier, 12)


def test_same_checkpoint_again_is_cosigned_with_the_new_time(
    witness: Witness, clock: Clock
) -> None:
    first = ask(witness, TWELVE, 0)
    clock.now += 86400
    again = ask(witness, TWELVE, 12)
    assert (first.status, again.status) == (200, 200)
    assert first.body != again.body


def test_a_fork_of_the_same_size_is_refused_and_kept(witness: Witness) -> None:
    ask(witness, TWELVE, 0)
    other = [*TWELVE[:11], b"other"]
    for old in (12, 0, 5):
        answer = ask(witness, other, old)
        assert (answer.status, answer.content_type) == (409, SIZE_TYPE)
        assert answer.body == b"12\n"
        assert "FORK" in answer.finding
    (kept_once,) = evidence(witness)
    assert kept_once["kind"] == "fork"
    assert kept_once["cosigned"].encode() == signed(TWELVE)
    assert kept_once["refused"].encode() == signed(other)


def test_a_fork_of_an_earlier_size_is_known_for_one(witness: Witness) -> None:
    ask(witness, TWELVE[:4], 0)
    ask(witness, TWELVE, 4)
    answer = ask(witness, [*TWELVE[:3], b"other"], 4)
    assert answer.status == 409
    assert "FORK" in answer.finding
    (found,) = evidence(witness)
    assert found["cosigned"].encode() == signed(TWELVE[:4])


def test_a_longer_fork_has_no_proof(witness: Witness) -> None:
    ask(witness, TWELVE[:4], 0)
    other = [b"other", *TWELVE[1:]]
    for proof in (consistency(other, 4), consistency(TWELVE, 4), (), (b"\0" * 32,) * 5):
        answer = ask(witness, other, 4, proof)
        assert answer.status == 422, answer
        assert "NOT PROVED" in answer.finding
    assert [e["kind"] for e in evidence(witness)] == ["unproved"]
    assert ask(witness, TWELVE, 4).status == 200


def test_a_rollback_is_refused_and_kept(witness: Witness) -> None:
    ask(witness, TWELVE, 0)
    for old in (0, 8, 12):
        answer = ask(witness, TWELVE[:8], min(old, 8))
        assert (answer.status, answer.body) == (409, b"12\n")
        assert "ROLLBACK" in answer.finding
    assert [e["kind"] for e in evidence(witness)] == ["rollback"]


def test_what_was_cosigned_before_may_be_sent_again_by_anybody(witness: Witness) -> None:
    ask(witness, TWELVE[:4], 0)
    ask(witness, TWELVE, 4)
    answer = ask(witness, TWELVE[:4], 4)
    assert (answer.status, answer.finding) == (409, "")
    assert evidence(witness) == []


def test_another_old_size_is_answered_with_ours(witness: Witness) -> None:
    ask(witness, TWELVE[:4], 0)
    for old in (0, 3, 5, 12):
        answer = ask(witness, TWELVE, old)
        assert (answer.status, answer.content_type, answer.body) == (409, SIZE_TYPE, b"4\n")
    assert ask(witness, TWELVE[:4], 5).status == 400


def test_a_proof_where_none_belongs(witness: Witness) -> None:
    assert ask(witness, TWELVE, 0, (b"\0" * 32,)).status == 422
    assert ask(witness, TWELVE, 0).status == 200
    assert ask(witness, TWELVE, 12, (b"\0" * 32,)).status == 422


def test_who_signed(witness: Witness) -> None:
    stranger = SigningKey.generate("example.com/other")
    impostor = SigningKey.generate(KEY.verifier.name)

    def sent(data: bytes) -> int:
        return witness.add_checkpoint(Request(old_size=0, proof=(), note=data).encode()).status

    assert sent(signed(TWELVE, stranger)) == 404
    assert sent(signed(TWELVE, impostor)) == 403
    honest = signed(TWELVE)
    assert sent(honest.replace(b"\n12\n", b"\n13\n")) == 403
    # Signatures of others beside the log's say nothing, and aren't kept.
    more = signed(TWELVE, impostor).rpartition(b"\n\n")[2]
    assert sent(honest + more) == 200
    (state,) = witness.logs()
    assert state.cosigned == (honest,)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 0\n\n",
        b"old 0\n\nx",
        b"old 00\n\n" + signed(TWELVE),
        b"old +0\n\n" + signed(TWELVE),
        b"old 0 \n\n" + signed(TWELVE),
        b"Old 0\n\n" + signed(TWELVE),
        b"old 0\r\n\n" + signed(TWELVE),
        b"old 0\nAAAA\n\n" + signed(TWELVE),
        b"old 0\n" + b"A" * 43 + b"=\n" * (MOST_PROOF + 1) + b"\n" + signed(TWELVE),
        b"old 99999999999999999999\n\n" + signed(TWELVE),
        b"old 0\n\n" + signed(TWELVE) + b"junk",
        b"old 0\n\n" + signed(TWELVE).replace(b"\n12\n", b"\n-1\n"),
        b"old 0\n\n" + b"x" * 200_000,
        b"\xff" * 100,
    ],
)
def test_a_malformed_request(witness: Witness, body: bytes) -> None:
    answer = witness.add_checkpoint(body)
    assert answer.status == 400
    assert len(answer.body) < 400
    assert witness.logs()[0].cosigned == ()


def test_a_request_reads_what_it_writes() -> None:
    request = Request(old_size=7, proof=(b"\1" * 32, b"\2" * 32), note=signed(TWELVE))
    assert Request.parse(request.encode()) == request


def test_a_damaged_request_is_never_cosigned(witness: Witness) -> None:
    body = Request(old_size=0, proof=(), note=signed(TWELVE)).encode()

    @settings(max_examples=300, deadline=None)
    @given(at=st.integers(0, len(body) - 1), bit=st.integers(0, 7), cut=st.booleans())
    def judged(at: int, bit: int, *, cut: bool) -> None:
        changed = body[:at] if cut else bytes([*body[:at], body[at] ^ 1 << bit, *body[at + 1 :]])
        assert witness.add_checkpoint(changed).status in {400, 403, 404, 409}

    judged()
    assert witness.add_checkpoint(body).status == 200


def test_the_clock_must_not_go_back(witness: Witness, clock: Clock) -> None:
    ask(witness, TWELVE[:4], 0)
    clock.now -= 3600
    answer = ask(witness, TWELVE, 4)
    assert answer.status == 503
    assert "CLOCK" in answer.finding
    assert witness.logs()[0].latest.size == 4
    clock.now += 3600
    assert ask(witness, TWELVE, 4).status == 200


def test_a_memory_that_is_lost_is_not_taken_for_empty(witness: Witness) -> None:
    ask(witness, TWELVE, 0)
    (path,) = witness.folder.glob("logs/*/state.json")
    whole = path.read_bytes()
    damaged = [
        *(whole[:-3], b"", b"{}", b"[]", whole.replace(b"/1", b"/2")),
        *(whole.replace(b"\\n12\\n", b"\\n11\\n"), whole.replace(b'"time":', b'"time":-')),
        whole.replace(b'"cosigned":[', b'"cosigned":[1,'),
        whole.replace(b"\\n12\\n", b"\\n\\ud800\\n"),
    ]
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(Unavailable, match="lost or damaged"):
            ask(witness, [b"other"] * 12, 0)
    path.unlink()
    with pytest.raises(Unavailable, match="lost or damaged"):
        ask(witness, [b"other"] * 12, 0)
    with pytest.raises(Unavailable, match="lost or damaged"):
        witness.add_log(KEY.verifier)


def test_a_log_with_another_key_is_another_log(witness: Witness) -> None:
    witness.add_log(KEY.verifier)
    with pytest.raises(Misuse, match="is known by the key"):
        witness.add_log(SigningKey.generate(KEY.verifier.name).verifier)
    other = SigningKey.generate("other", Kind.COSIGNATURE).verifier
    with pytest.raises(Misuse, match="no log's"):
        witness.add_log(other)


def test_a_witness_is_made_once(witness: Witness, tmp_path: Path) -> None:
    assert (witness.folder / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(Misuse, match="not empty"):
        Witness.create(witness.folder, "w.example")
    with pytest.raises(Misuse, match="holds no witness"):
        Witness.open(tmp_path / "absent")
    with pytest.raises(Misuse, match="no name"):
        Witness.create(tmp_path / "bad", "a b")
    shutil.copytree(witness.folder, tmp_path / "key alone", ignore=lambda *_: ["logs"])
    with pytest.raises(Unavailable, match="lost its memory"):
        Witness.open(tmp_path / "key alone")
    (witness.folder / "key").chmod(0o644)
    with pytest.raises(Misuse, match="others may read"):
        Witness.open(witness.folder)
    (witness.folder / "key").chmod(0o600)
    (witness.folder / "key").write_text("junk")
    with pytest.raises(Malformed):
        Witness.open(witness.folder)
    (witness.folder / "key").write_text(KEY.text())
    with pytest.raises(Misuse, match="no witness's key"):
        Witness.open(witness.folder)


def test_evidence_is_kept_with_an_end(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(witness, TWELVE, 0)
    monkeypatch.setattr(witness_state, "MOST_EVIDENCE", 3)
    for n in range(6):
        assert "FORK" in ask(witness, [*TWELVE[:11], b"%d" % n], 12).finding
        assert "ROLLBACK" in ask(witness, TWELVE[: n + 1], 0).finding
    assert sorted(found["kind"] for found in evidence(witness)) == ["fork"] * 3 + ["rollback"] * 3


def test_only_the_newest_are_remembered(witness: Witness) -> None:
    entries = numbered(60)
    for size in range(1, 61):
        assert ask(witness, entries[:size], size - 1).status == 200
    assert len(witness.logs()[0].cosigned) == 32


def test_locks_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fcntl", None)
    with pytest.raises(Unavailable, match="locks"), kept.alone(tmp_path / "lock"):
        pass


def test_a_disk_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(Unavailable, match="no locks"), kept.alone(tmp_path / "lock"):
        pass


def test_errors_are_ours(witness: Witness) -> None:
    (witness.folder / "lock").unlink()
    (witness.folder / "lock").mkdir()
    with pytest.raises(TrothError):
        ask(witness, TWELVE, 0)
    assert isinstance(witness.verifier, VerifierKey)


def test_limits_of_a_request() -> None:
    head = b"old 0\n\n"
    assert Request.parse(head + b"x" * (MOST_REQUEST - len(head))).old_size == 0
    with pytest.raises(Malformed, match="more than"):
        Request.parse(head + b"x" * (MOST_REQUEST - len(head) + 1))
    lines = b"A" * 43 + b"=\n"
    assert len(Request.parse(b"old 0\n" + lines * MOST_PROOF + b"\n").proof) == MOST_PROOF
    with pytest.raises(Malformed, match="lines of proof"):
        Request.parse(b"old 0\n" + lines * (MOST_PROOF + 1) + b"\n")


def test_a_clock_that_does_not_run_signs_nothing(witness: Witness, clock: Clock) -> None:
    clock.now = 0.5
    assert ask(witness, TWELVE, 0).status == 503
    clock.now = 1.5
    assert ask(witness, TWELVE, 0).status == 200
