"""Many pieces of evidence on all cores: one policy, one collateral object, an answer for each.

Each worker process prepares the collateral once. Answers come in the order of the questions, as values:
an accepted one holds `Verified`, every other one the error that `verify` would have raised.
"""

import os
import pickle
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from troth.crypto import beside
from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.model.check import Outcome
from troth.model.collateral import NONE, Collateral
from troth.model.evidence import Evidence
from troth.model.report import Rejected, Report, Undecided, Verdict
from troth.model.roots import Root
from troth.model.verified import Verified, seal
from troth.policy import Policy
from troth.policy.appraise import Expectation
from troth.verifier.appraisal import examined

CHUNK: Final = 64
_AHEAD: Final = 3  # chunks that wait for each worker, so that memory stays flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One piece of evidence, what lies beside it, and what is expected of it alone; see `verify`."""

    evidence: bytes | Evidence
    nonce: bytes | None = None
    key: bytes | None = None
    binding: bytes | None = None
    event_log: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one question. Nothing here is a bool: read `verdict`, or take `verified()`.

    Attributes:
        index: place among the questions, from 0.
        verdict: the answer; only `Verdict.ACCEPTED` is a yes.
        codes: numbers of the checks that failed or stayed undecided.
    """

    index: int
    verdict: Verdict
    codes: tuple[str, ...]
    _packed: bytes

    @property
    def result(self) -> Verified | TrothError:
        """`Verified`, or the error that `verify` raises for this evidence."""
        report, malformed = pickle.loads(self._packed)  # noqa: S301 - made by a process of our own
        if malformed is not None:
            message, field, offset = malformed
            return _Malformed(message, field=field, offset=offset)
        match report.verdict:
            case Verdict.ACCEPTED:
                return seal(report)
            case Verdict.REJECTED:
                return Rejected(report)
            case _:
                return Undecided(report)

    def verified(self) -> Verified:
        """The accepted evidence.

        Raises:
            Rejected, Undecided, Malformed: as `verify`.
        """
        result = self.result
        if isinstance(result, TrothError):
            raise result
        return result


class _Malformed(Malformed):
    """An error of a worker's, whose message names field and offset already."""

    def __init__(self, message: str, *, field: str, offset: int | None) -> None:
        TrothError.__init__(self, message)
        self.field, self.offset = field, offset


@dataclass(frozen=True, kw_only=True)
class _Job:
    policy: Policy
    at: datetime
    trust: tuple[Root, ...]
    collateral: Collateral
    as_of: bool
    reports: Path | None
    write: Callable[[Report], str] | None


def verify_many(
    questions: Iterable[bytes | Evidence | Question],
    *,
    policy: Policy,
    at: datetime,
    trust: Sequence[Root] = (),
    collateral: Collateral = NONE,
    as_of: bool = False,
    processes: int | None = None,
    reports: Path | None = None,
    write: Callable[[Report], str] | None = None,
) -> Iterator[Answer]:
    """Judges any number of pieces of evidence, and yields an answer for each, in order.

    Args:
        questions: evidence, or evidence with its nonce, key or binding; read as answers are taken.
        policy: one for all, and so the rest; as for `verify`.
        at: the instant of judgement.
        trust: roots added by name.
        collateral: endorsements; each worker prepares them once.
        as_of: whether the instant is a claim about the past.
        processes: how many workers; None is one for each core, 1 is this process itself.
        reports: file to which each worker appends its reports, one line each, in no order.
        write: report to one line of text, such as `troth.render.json.report_line`; with `reports`.

    Raises:
        Misuse: contradictory expectations; as `verify`.
        Unavailable: the file of reports cannot be written, or a worker died.

    Does not verify: that `reports` is whole: an answer counts when it was yielded.
    """
    if (reports is None) is not (write is None):
        raise Misuse("reports need both a file and a way to write them")
    workers = _cores() if processes is None else processes
    if workers < 1:
        raise Misuse(f"{workers} processes cannot judge anything")
    job = _Job(
        policy=policy,
        at=at,
        trust=tuple(trust),
        collateral=collateral,
        as_of=as_of,
        reports=reports,
        write=write,
    )
    asked = (q if isinstance(q, Question) else Question(evidence=q) for q in questions)
    if workers == 1:
        return _alone(job, asked)
    return _together(job, asked, workers)


def _cores() -> int:
    """Those that this process may use, where the system says which; else all."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return os.cpu_count() or 1 if allowed is None else len(allowed(0))


def _alone(job: _Job, asked: Iterator[Question]) -> Iterator[Answer]:
    first = 0
    while chunk := list(islice(asked, CHUNK)):
        for place, packed in enumerate(_chunk(job, first, chunk), first):
            yield _answer(place, packed)
        first += len(chunk)


def _together(job: _Job, asked: Iterator[Question], workers: int) -> Iterator[Answer]:
    from concurrent.futures.process import BrokenProcessPool

    # Forking is quick, and safe while there is one thread.
    alone = sys.platform == "linux" and threading.active_count() == 1
    pool = ProcessPoolExecutor(
        workers, get_context("fork" if alone else "spawn"), initializer=_begin, initargs=(job,)
    )
    waiting: deque[tuple[int, Future[list[_Packed]]]] = deque()
    first = 0
    try:
        while True:
            while len(waiting) < workers * _AHEAD and (chunk := list(islice(asked, CHUNK))):
                waiting.append((first, pool.submit(_work, first, chunk)))
                first += len(chunk)
            if not waiting:
                return
            begin, future = waiting.popleft()
            for place, packed in enumerate(future.result(), begin):
                yield _answer(place, packed)
    except BrokenProcessPool:
        raise Unavailable("a worker process died", fix="see the system's log; memory?") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_Packed = tuple[str, tuple[str, ...], bytes]
_job: list[_Job] = []


def _begin(job: _Job) -> None:
    _job[:] = [job]
    beside.stay()


def _work(first: int, chunk: Sequence[Question]) -> list[_Packed]:
    return _chunk(_job[0], first, chunk)


def _chunk(job: _Job, first: int, chunk: Sequence[Question]) -> list[_Packed]:
    lines, packed = [], []
    for place, question in enumerate(chunk, first):
        evidence = question.evidence
        if not isinstance(evidence, Evidence):
            evidence = Evidence(data=evidence, name=f"evidence {place}")
        report, error = examined(
            evidence,
            policy=job.policy,
            at=job.at,
            expectation=Expectation(
                nonce=question.nonce, key=question.key, binding=question.binding
            ),
            trust=job.trust,
            collateral=job.collateral,
            receipts=(),
            as_of=job.as_of,
            event_log=question.event_log,
        )
        if job.write is not None:
            lines.append(job.write(report))
        told = None if error is None else (str(error), error.field, error.offset)
        packed.append((report.verdict.value, _codes(report), pickle.dumps((report, told), 5)))
    if job.reports is not None:
        _append(job.reports, lines)
    return packed


def _codes(report: Report) -> tuple[str, ...]:
    wrong = (Outcome.FAILED, Outcome.UNDECIDED)
    return tuple(dict.fromkeys(c.code.id for c in report.checks if c.outcome in wrong))


def _answer(place: int, packed: _Packed) -> Answer:
    verdict, codes, data = packed
    return Answer(index=place, verdict=Verdict(verdict), codes=codes, _packed=data)


def _append(path: Path, lines: Sequence[str]) -> None:
    """In one write, so that lines of several workers do not run into each other."""
    data = "".join(f"{line}\n" for line in lines).encode()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            while data:
                data = data[os.write(handle, data) :]
        finally:
            os.close(handle)
    except OSError as error:
        raise Unavailable(f"cannot write {path}: {error.strerror}") from None
