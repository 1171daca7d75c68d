"""A witness whose disk fails, that is killed, or asked twice at once: it never cosigns two histories."""

import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tlog.logs import KEY, consistency, numbered, signed
from tests.tlog.test_witness import TWELVE, ask

from troth.errors import Unavailable
from troth.tlog import note
from troth.tlog.signer import SigningKey
from troth.tlog.witness import Witness
from troth.tlog.witnessing import Request


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    made = Witness.create(tmp_path / "w", "witness.example/w1")
    made.add_log(KEY.verifier)
    return made


def test_it_is_on_the_disk_before_it_is_answered(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    sync, sign = os.fsync, SigningKey.sign

    def fsync(handle: int) -> None:
        seen.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        sync(handle)

    def signs(self: SigningKey, text: str, *, time: int | None = None) -> note.Signature:
        seen.append("sign")
        return sign(self, text, time=time)

    body = Request(old_size=0, proof=(), note=signed(TWELVE)).encode()
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(SigningKey, "sign", signs)
    assert witness.add_checkpoint(body).status == 200
    (place,) = witness.folder.glob("logs/*")
    assert seen == [".state.json.new", place.name, "sign"]


def test_a_full_disk_cosigns_nothing(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(witness, TWELVE[:4], 0)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(Unavailable, match="no space left"):
            ask(witness, TWELVE, 4)
    assert witness.logs()[0].latest.size == 4
    assert ask(witness, TWELVE, 4).status == 200


def _race(folder: Path, word: str, start: Barrier, told: "SimpleQueue[tuple[int, str]]") -> None:
    start.wait()
    witness, old = Witness.open(folder), 0
    for size in range(1, 40):
        entries = [word.encode() + e for e in numbered(size)]
        answer = ask(witness, entries, old)
        if answer.status != 200:
            break
        told.put((size, word))
        old = size


def test_two_histories_at_once_are_never_both_cosigned(witness: Witness) -> None:
    context = multiprocessing.get_context("fork")
    start, told = context.Barrier(2), context.SimpleQueue()
    both = [
        context.Process(target=_race, args=(witness.folder, word, start, told)) for word in "ab"
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    cosigned: dict[int, set[str]] = {}
    while not told.empty():
        size, word = told.get()
        cosigned.setdefault(size, set()).add(word)
    assert len(cosigned) == 39
    assert {len(words) for words in cosigned.values()} == {1}
    assert len({word for words in cosigned.values() for word in words}) == 1


@pytest.mark.parametrize("step", range(6))
def test_a_disk_that_fails_at_any_step_leads_to_no_fork(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whatever was reached, nothing was signed, the memory is whole, and only one history goes on."""
    ask(witness, TWELVE[:4], 0)
    left = step

    def failing(name: str, true: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **keywords: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(5, f"no {name}")
            return true(*args, **keywords)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing("fsync", os.fsync))
        patched.setattr(os, "open", failing("open", os.open))
        patched.setattr(Path, "replace", failing("replace", Path.replace))
        try:
            assert ask(witness, TWELVE, 4).status == 200
            assert step == 5  # open, fsync, replace, open, fsync
        except Unavailable:
            assert step < 5
    size = witness.logs()[0].latest.size
    assert size in (4, 12)
    fork = [b"other", *TWELVE[1:]]
    for old in (4, 12):
        assert ask(witness, fork, old).status != 200
    assert ask(witness, TWELVE, size).status == 200


def _cosign_for_ever(folder: Path, told: int) -> None:
    witness, entries = Witness.open(folder), numbered(5000)
    for size in range(1, 5000):
        answer = ask(witness, entries[:size], size - 1)
        assert answer.status == 200
        os.write(told, b"%d\n" % size)


def test_a_witness_that_is_killed_remembers_what_it_gave_out(witness: Witness) -> None:
    context = multiprocessing.get_context("fork")
    chance = random.Random(6)
    folder = witness.folder
    for _ in range(8):
        reading, writing = os.pipe()
        shutil.rmtree(folder)
        made = Witness.create(folder, "w.example")
        made.add_log(KEY.verifier)
        process = context.Process(target=_cosign_for_ever, args=(folder, writing))
        process.start()
        os.close(writing)
        with os.fdopen(reading) as told:
            given = [int(told.readline()) for _ in range(chance.randint(2, 12))]
            time.sleep(chance.uniform(0, 0.02))  # somewhere within the next
            process.kill()
            process.join()
            given += [int(line) for line in told.read().split()]
        known = Witness.open(folder)
        latest = known.logs()[0].latest.size
        assert latest >= max(given)
        assert ask(known, [b"other"] * (latest + 1), latest).status == 422
        assert ask(known, numbered(latest), latest).status == 200


_HISTORIES = [
    numbered(24),
    [*numbered(7), *numbered(17, "fork")],
    [*numbered(16), *numbered(8, "late")],
    numbered(24, "else"),
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    asked=st.lists(
        st.tuples(
            st.integers(0, 3),  # whose checkpoint
            st.integers(0, 24),
            st.one_of(st.none(), st.integers(0, 25)),  # old size; None is what the witness has
            st.integers(0, 3),  # whose proof
            st.sampled_from([0, 0, 0, -40, 40]),  # what the clock does
        ),
        max_size=25,
    )
)
def test_whatever_is_asked_one_history_is_cosigned(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int, int | None, int, int]]
) -> None:
    """All that is ever cosigned is the beginning of what is cosigned next, at times that do not go back."""
    now = 1_700_000_000.0
    witness = Witness.create(tmp_path_factory.mktemp("w") / "w", "w", clock=lambda: now)
    witness.add_log(KEY.verifier)
    cosigned: list[bytes] = []
    size, time = 0, 0
    for whose, new, old, other, step in asked:
        now += step
        entries = _HISTORIES[whose][:new]
        old_size = size if old is None else old
        steps = consistency(_HISTORIES[other][:new], min(old_size, new))
        body = Request(old_size=old_size, proof=steps, note=signed(entries)).encode()
        answer = witness.add_checkpoint(body)
        if answer.status == 200:
            assert entries[: len(cosigned)] == cosigned
            whole = note.parse(signed(entries) + answer.body)
            (line,) = note.signers(whole, [witness.verifier])[witness.verifier]
            told = note.time_of(line)
            assert told is not None
            assert told.timestamp() >= time
            cosigned, size, time = entries, new, int(told.timestamp())
        assert witness.logs()[0].latest.size == size
    if now >= time:  # and an honest log goes on
        for history in _HISTORIES:
            if history[:size] == cosigned:
                assert ask(witness, history, size).status == 200
                break
