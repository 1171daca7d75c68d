"""What a report lets one say of a service in ACI's words, each with who says it; never more than it shows.

A service's own statements stand beside these under its own name, and never in place of one.
"""

from collections.abc import Iterable
from typing import Final

from troth.model.check import Outcome
from troth.model.claims import Source
from troth.model.codes import Code, released
from troth.model.codes.binding import B101, B301, B501, B502, B503
from troth.model.report import Report, Verdict, decide
from troth.model.roots import RootClass
from troth.model.statement import Statement, Status

_GENUINE: Final = "FGR"
_TIES: Final = (B101, B301, B501)  # to what was asked, and to what lies beside it
_COMPARED: Final = (Source.HARDWARE, Source.VERIFIER)
_GPU: Final = "nvidia"
_LOGGED: Final = frozenset(code for code in vars(released).values() if isinstance(code, Code))


def derive(report: Report) -> tuple[Statement, ...]:
    """The statements of `VOCABULARY`, in its order, as far as this report supports them."""
    genuine, why = _genuine(report)
    return (
        _said("tee_attested", genuine, Source.HARDWARE, why),
        _gpu(report),
        # What registers say is as true as the hardware that holds them.
        *(
            one
            if one.status is not Status.ASSERTED or genuine is Status.ASSERTED
            else _said(one.name, Status.UNKNOWN, None, why)
            for one in (_tcb(report), _os(report), _software(report))
        ),
        Statement(
            name="model_weights_provenance",
            status=Status.UNKNOWN,
            source=None,
            why="nothing in this evidence measures the model's weights",
        ),
    )


def beside(derived: tuple[Statement, ...], own: Iterable[Statement]) -> tuple[Statement, ...]:
    """Ours first; then the service's own that speak of something else."""
    names = {one.name for one in derived}
    return (*derived, *(one for one in own if one.name not in names))


def held(report: Report, own: Iterable[Statement]) -> tuple[Statement, ...]:
    """A service's own statements, as far as its evidence carries them.

    What was compared with evidence is as true as the evidence; what somebody says is said all the same.
    """
    doubt = _doubt(report)
    return tuple(
        _said(one.name, Status.UNKNOWN, None, f"{one.why}; but {doubt}")
        if doubt and one.status is Status.ASSERTED and one.source in _COMPARED
        else one
        for one in own
    )


def _doubt(report: Report) -> str:
    """Why nothing may be taken from the leading part; empty where its root, whosever, vouches for it."""
    found = _outcomes(report, "FG")
    if Outcome.FAILED in found:
        return "its evidence is not genuine"
    if any(c.outcome is Outcome.FAILED and c.code in _TIES for c in report.checks):
        return "its evidence is another's, or answers another question"
    if report.root_class is None or found != {Outcome.PASSED}:
        return "not every question of its genuineness is answered"
    return ""


def _outcomes(report: Report, letters: str) -> set[Outcome]:
    return {check.outcome for check in report.checks if check.code.id[0] in letters}


def _genuine(report: Report) -> tuple[Status, str]:
    """Whether real hardware of a vendor made this part, whatever the policy thinks of it."""
    found = _outcomes(report, _GENUINE)
    if Outcome.FAILED in found:
        return Status.REFUTED, "its evidence is not genuine"
    if any(c.outcome is Outcome.FAILED and c.code in _TIES for c in report.checks):
        return Status.UNKNOWN, "its evidence is another's, or answers another question"
    if report.root_class is not RootClass.VENDOR:
        kind = report.root_class or "no"
        return Status.UNKNOWN, f"its evidence ends at {kind} root, which is no vendor's"
    if found != {Outcome.PASSED}:
        return Status.UNKNOWN, "not every question of its genuineness is answered"
    return Status.ASSERTED, f"signed by {report.platform_title} hardware"


def _gpu(report: Report) -> Statement:
    gpus = [part for part in report.parts if part.report.platform == _GPU]
    if not gpus:
        return _said("gpu_attested", Status.UNKNOWN, None, "no evidence of a GPU was presented")
    names = {part.name for part in gpus}
    for check in report.checks:
        # Each may be genuine, and all of them one device, or of several machines.
        twice = check.code is B502 and check.subject in names
        if check.outcome is Outcome.FAILED and (twice or check.code is B503):
            why = f"{check.subject}: {check.code.title}"
            return _said("gpu_attested", Status.REFUTED, Source.HARDWARE, why)
    verdicts = {decide(part.report.checks, part.report.required) for part in gpus}
    if verdicts == {Verdict.ACCEPTED}:
        status, why = next(
            (found for part in gpus if (found := _genuine(part.report))[0] is not Status.ASSERTED),
            (Status.ASSERTED, f"{len(gpus)} of {len(gpus)} GPUs accepted"),
        )
        return _said("gpu_attested", status, Source.HARDWARE, why)
    refused = verdicts & {Verdict.REJECTED, Verdict.MALFORMED}
    status = Status.REFUTED if refused else Status.UNKNOWN
    bad = [
        part.name
        for part in gpus
        if decide(part.report.checks, part.report.required) is not Verdict.ACCEPTED
    ]
    return _said("gpu_attested", status, Source.HARDWARE, f"not accepted: {', '.join(bad)}")


def _tcb(report: Report) -> Statement:
    """Of all parts that have levels: the weakest decides."""
    every = (report, *(part.report for part in report.parts))
    found = set().union(*(_outcomes(one, "T") for one in every))
    if Outcome.FAILED in found:
        return _said(
            "tcb_up_to_date", Status.REFUTED, Source.VERIFIER, "the vendor's levels say no"
        )
    words = {one.presented.tcb.status for one in every if one.presented and one.presented.tcb}
    if found == {Outcome.PASSED} and words == {"UpToDate"}:
        why = "the vendor's signed levels say UpToDate"
        return _said("tcb_up_to_date", Status.ASSERTED, Source.VERIFIER, why)
    if words - {"", "UpToDate"}:
        why = f"the vendor's levels say {', '.join(sorted(words))}"
        return _said("tcb_up_to_date", Status.REFUTED, Source.VERIFIER, why)
    return _said("tcb_up_to_date", Status.UNKNOWN, None, "no signed level was looked up")


def _os(report: Report) -> Statement:
    asked = ("M101", "M201", "M202", "M203")
    outcomes = [c.outcome for c in report.checks if c.code.id in asked or c.code in _LOGGED]
    if Outcome.FAILED in outcomes:
        return _said(
            "os_known_good",
            Status.REFUTED,
            Source.VERIFIER,
            "what identifies code is not as expected",
        )
    if outcomes and set(outcomes) == {Outcome.PASSED}:
        chosen = None if report.governed is None else report.governed.chosen
        by = report.policy if chosen is None else f"release {chosen.version} in a log"
        why = f"every register that identifies code is pinned by {by}"
        return _said("os_known_good", Status.ASSERTED, Source.VERIFIER, why)
    return _said("os_known_good", Status.UNKNOWN, None, "the policy does not pin all that runs")


def _software(report: Report) -> Statement:
    """What runs on that system: where an event log names it, the policy must say which it may be."""
    name = "serving_software_known_good"
    checks = [check for check in report.checks if check.code.id == "M304"]
    if any(check.outcome is Outcome.FAILED for check in checks):
        return _said(name, Status.REFUTED, Source.VERIFIER, "an event is not as expected")
    if checks and all(check.outcome is Outcome.PASSED for check in checks):
        why = f"{', '.join(sorted(check.subject for check in checks))} pinned by {report.policy}"
        return _said(name, Status.ASSERTED, Source.VERIFIER, why)
    return _said(name, Status.UNKNOWN, None, "the policy names no software that must be serving")


def _said(name: str, status: Status, source: Source | None, why: str) -> Statement:
    return Statement(
        name=name, status=status, source=None if status is Status.UNKNOWN else source, why=why
    )
