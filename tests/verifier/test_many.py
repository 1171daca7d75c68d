"""Many pieces of evidence: each answer is the one that `verify` gives, in order, on any number of cores."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.platforms.nitro.forge import NONCE, NOW, document, policy

import troth
from troth.model.report import Verdict
from troth.render.json import report_line
from troth.verifier.many import CHUNK

EVIDENCE, TRUSTED = document()
MEANT = troth.Question(evidence=EVIDENCE, nonce=NONCE)


def judged(
    questions: list[bytes | troth.Question], processes: int | None, **more: object
) -> list[troth.Answer]:
    return list(
        troth.verify_many(
            questions,
            policy=policy(),
            at=NOW,
            trust=[TRUSTED],
            processes=processes,
            **more,  # type: ignore[arg-type]
        )
    )


@pytest.mark.parametrize("processes", [1, 2])
def test_each_answer_is_the_one_that_verify_gives(processes: int) -> None:
    other = replace(MEANT, nonce=NONCE[::-1])
    kinds = [MEANT, other, b"junk", EVIDENCE[:-1]]
    answers = judged([kinds[i % 4] for i in range(3 * CHUNK + 5)], processes)
    assert [a.index for a in answers] == list(range(3 * CHUNK + 5))
    expected = (
        (Verdict.ACCEPTED, ()),
        (Verdict.REJECTED, ("B101",)),
        (Verdict.MALFORMED, ("F102",)),
        (Verdict.MALFORMED, ("F101",)),
    )
    for answer in answers:
        assert (answer.verdict, answer.codes) == expected[answer.index % 4]
    good, bad, junk, short = answers[:4]
    assert isinstance(good.result, troth.Verified)
    assert (
        good.verified().claims
        == troth.verify(EVIDENCE, policy=policy(), at=NOW, nonce=NONCE, trust=[TRUSTED]).claims
    )
    with pytest.raises(troth.Rejected) as rejected:
        bad.verified()
    assert rejected.value.report.verdict is Verdict.REJECTED
    for answer in (junk, short):
        with pytest.raises(troth.Malformed) as malformed:
            answer.verified()
        with pytest.raises(troth.Malformed) as one:
            troth.verify(
                troth.Evidence(data=kinds[answer.index], name=f"evidence {answer.index}"),  # type: ignore[arg-type]
                policy=policy(),
                at=NOW,
                trust=[TRUSTED],
            )
        assert str(malformed.value) == str(one.value)
        assert (malformed.value.field, malformed.value.offset) == (
            one.value.field,
            one.value.offset,
        )


def test_what_was_not_asked_for_is_undecided() -> None:
    (answer,) = judged([replace(MEANT, evidence=EVIDENCE, nonce=None)], 1)
    assert answer.verdict is Verdict.ACCEPTED  # a Nitro document is fresh by its own time
    answers = list(
        troth.verify_many([MEANT], policy=troth.Policy(name="x"), at=NOW, trust=[TRUSTED])
    )
    assert answers[0].verdict is Verdict.UNDECIDED
    with pytest.raises(troth.Undecided):
        answers[0].verified()


@pytest.mark.parametrize("processes", [1, 2])
def test_reports_go_to_a_file_a_line_each(tmp_path: Path, processes: int) -> None:
    path = tmp_path / "reports.jsonl"
    count = 2 * CHUNK + 3
    judged([MEANT] * count, processes, reports=path, write=report_line)
    names = [json.loads(line)["subject"]["name"] for line in path.read_text().splitlines()]
    assert sorted(names) == sorted(f"evidence {i}" for i in range(count))


def test_questions_are_read_as_answers_are_taken() -> None:
    read = 0

    def endless() -> Iterator[troth.Question]:
        nonlocal read
        while True:
            read += 1
            yield MEANT

    answers = troth.verify_many(endless(), policy=policy(), at=NOW, trust=[TRUSTED], processes=2)
    assert next(answers).verdict is Verdict.ACCEPTED
    assert read <= 7 * CHUNK


@pytest.mark.parametrize("processes", [1, 2])
def test_impossible_questions_are_misuse(tmp_path: Path, processes: int) -> None:
    with pytest.raises(troth.Misuse, match="nonce"):
        judged([replace(MEANT, nonce=b"short")], processes)
    with pytest.raises(troth.Misuse, match="processes"):
        judged([MEANT], 0)
    with pytest.raises(troth.Misuse, match="reports"):
        judged([MEANT], processes, reports=tmp_path / "x")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    for processes in (1, 2):
        with pytest.raises(troth.Unavailable, match="cannot write"):
            judged([MEANT], processes, reports=tmp_path / "no" / "x", write=report_line)


def _dies(_: object) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def test_a_worker_that_dies_is_said(tmp_path: Path) -> None:
    with pytest.raises(troth.Unavailable, match="a worker process died"):
        judged([MEANT] * 3, 2, reports=tmp_path / "x", write=_dies)


def test_a_system_that_does_not_say_which_cores_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS and Windows have no affinity to ask for."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    (answer,) = judged([MEANT], None)
    assert answer.verdict is Verdict.ACCEPTED
