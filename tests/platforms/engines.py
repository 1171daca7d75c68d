"""One judgement by each engine for signatures; nothing that one has said is remembered for the next."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import pytest

import troth
from troth.crypto import beside, keys, signature
from troth.crypto.beside import Asked
from troth.crypto.remembered import Remembered
from troth.model.collateral import Collateral, Item
from troth.model.report import Report
from troth.platforms.nvidia import rim
from troth.render.json import report_json


@dataclass(frozen=True)
class Case:
    """Evidence with all it is judged by.

    Attributes:
        name: how failures name it.
        evidence: bytes, or several pieces together.
        items: what lies beside it; each judgement has an object of collateral of its own.
        arguments: the others of `troth.appraise`.
    """

    name: str
    evidence: Any
    items: tuple[Item, ...]
    arguments: Mapping[str, Any]

    def report(self) -> Report:
        held = Collateral(items=self.items)
        return troth.appraise(self.evidence, collateral=held, **self.arguments)

    def but(self, name: str, **changes: Any) -> "Case":
        return replace(self, name=f"{self.name}: {name}", **changes)


class Mode(StrEnum):
    """Who checks, and when."""

    OPENSSL = "without the library"
    NATIVE = "with the library"
    UNBEGUN = "with the library, nothing is begun"
    UNASKED = "with the library, checks are begun and never asked for"
    SILENT = "with a library that never has an answer"
    YES = "with a library that says yes"
    NO = "with a library that says no"


SAME = (Mode.NATIVE, Mode.UNBEGUN, Mode.UNASKED, Mode.SILENT)
"""What must say the very words that OpenSSL says alone."""
_FIXED = {Mode.SILENT: None, Mode.YES: True, Mode.NO: False}


@dataclass
class Run:
    """One judgement, and who was asked what.

    Attributes:
        report: its report.
        asked: each signature that was to be checked, in order, and what `beside` said of it.
        answers: what the library answered, and how often.
        begun: checks that the library was to take on its own threads.
        left: checks that were begun, and whose answers nobody asked for.
        openssl: how often `cryptography` was asked.
    """

    report: Report | None = None
    asked: list[tuple[Asked, bool | None]] = field(default_factory=list)
    answers: Counter[bool | None] = field(default_factory=Counter)
    begun: int = 0
    left: int = 0
    openssl: int = 0

    @property
    def text(self) -> str:
        assert self.report is not None
        return report_json(self.report)

    @property
    def questions(self) -> list[Asked]:
        return [asked for asked, _ in self.asked]


_caches: list[Any] = []
_modules = 0


def forget() -> None:
    """Empties every cache of every module of troth that is loaded: whoever writes one need not say so.

    Not that of NVIDIA's documents: their XML is read, and its signature checked, by a library of its own.
    """
    global _caches, _modules  # noqa: PLW0603 - looked for again when modules were added
    if len(sys.modules) != _modules:
        _modules = len(sys.modules)
        _caches = [
            cache for cache in _found() if cache is not beside.native and cache is not rim.read
        ]
    for cache in _caches:
        (cache.clear if isinstance(cache, dict | WeakKeyDictionary) else cache.cache_clear)()


def _found() -> Iterator[Any]:
    seen: set[int] = set()
    for name, module in list(sys.modules.items()):
        for value in vars(module).values() if name.startswith("troth.") else ():
            remembers = isinstance(value, Remembered | WeakKeyDictionary) or value is beside._begun
            if (remembers or hasattr(value, "cache_clear")) and id(value) not in seen:
                seen.add(id(value))
                yield value


def judged(case: Case, mode: Mode, *, against: Asked | None = None) -> Run:
    """Judges with nothing remembered, and counts; the library says no to the one it is `against`."""
    forget()
    with running(mode, against) as run:
        run.report = case.report()
    return run


@contextmanager
def running(mode: Mode, against: Asked | None = None) -> Iterator[Run]:
    """Has signatures checked this way, and counts."""
    run = Run()
    refused = None if against is None else beside._check(against)
    with pytest.MonkeyPatch.context() as patch:
        batches = None if mode is Mode.OPENSSL else _batches(run, mode, refused)
        patch.setattr(beside, "native", lambda: batches)
        if mode is Mode.UNBEGUN:
            patch.setattr(beside, "begin", lambda _: None)
        verifies = beside.verifies

        def asking(asked: Asked) -> bool | None:
            said = None if mode is Mode.UNASKED else verifies(asked)
            run.asked.append((asked, said))
            return said

        def load(spki: bytes) -> keys.Key | None:
            run.openssl += 1
            return keys.load(spki)

        patch.setattr(beside, "verifies", asking)
        # What `cryptography` checks in this module, it checks with a key that is loaded there.
        patch.setattr(signature, "keys", SimpleNamespace(**(vars(keys) | {"load": load})))
        yield run
    run.left = len(beside._begun)
    beside._begun.clear()


def _batches(run: Run, mode: Mode, refused: object) -> type:
    from troth_native import Batch

    class Counted:
        def __init__(self, checks: Sequence[Any], *, beside: bool) -> None:
            self._real = Batch(checks, beside=beside)
            self._refused = [check == refused for check in checks]
            run.begun += len(checks) if beside else 0

        def answer(self, index: int) -> bool | None:
            said = _FIXED[mode] if mode in _FIXED else self._real.answer(index)
            said = False if self._refused[index] else said
            run.answers[said] += 1
            return said

    return Counted


def same(case: Case, totals: Counter[str]) -> Run:
    """Asserts that all engines say the same of a case, and that each was asked; OpenSSL's judgement."""
    alone = judged(case, Mode.OPENSSL)
    assert (alone.answers, alone.begun) == (Counter(), 0), case.name
    assert alone.openssl == len(alone.asked), case.name
    for mode in SAME:
        run = judged(case, mode)
        assert run.text == alone.text, (case.name, mode)
        assert run.questions == alone.questions, (case.name, mode)
        said = Counter(answer for _, answer in run.asked)
        assert run.openssl == said[False] + said[None], (case.name, mode)
        if mode is Mode.UNASKED:
            assert not run.answers, case.name
        else:
            assert run.answers[True] == said[True], (case.name, mode)
            assert run.answers[False] == said[False], (case.name, mode)
        if mode is Mode.UNBEGUN:
            assert run.begun == 0, case.name
        totals[f"begun, {mode.name}"] += run.begun
        totals[f"answered, {mode.name}"] += run.answers.total()
        if mode is Mode.NATIVE:
            totals["yes"] += said[True]
            totals["no"] += said[False]
            totals["not its own"] += sum(
                said is None and len(asked.signed) <= beside._LONG for asked, said in run.asked
            )
    totals["cases"] += 1
    totals["asked"] += len(alone.asked)
    totals["accepted"] += alone.report is not None and alone.report.verdict.value == "accepted"
    return alone
