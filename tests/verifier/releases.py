"""Evidence of Nitro judged under a policy that asks a log."""

from datetime import datetime
from typing import Any

from tests.platforms.nitro.forge import document
from tests.tlog.governed import NOW, World, collateral, terms

import troth
from troth.model.check import Outcome
from troth.model.report import Verdict
from troth.policy import Policy

REJECTED, UNDECIDED = Verdict.REJECTED, Verdict.UNDECIDED


def policy(*, registers: Any = None, **changes: Any) -> Policy:
    return Policy(name="test", registers=registers or {}, release=terms(**changes))


def judge(*logs: World | bytes, at: datetime = NOW, **given: Any) -> troth.Report:
    packed = [log.pack() if isinstance(log, World) else log for log in logs]
    changes = {k: given.pop(k) for k in list(given) if k in terms().__slots__}
    evidence, root = document(timestamp=int(at.timestamp() * 1000), **given.pop("document", {}))
    arguments = {"policy": policy(**changes), "at": at, "trust": [root]} | given
    return troth.appraise(evidence, collateral=collateral(*packed), **arguments)


def wrong(report: troth.Report) -> tuple[Verdict, set[str]]:
    bad = (Outcome.FAILED, Outcome.UNDECIDED)
    found = {
        check.code.id
        for one in (report, *(joined.report for joined in report.parts))
        for check in one.checks
        if check.outcome in bad
    }
    return report.verdict, found
