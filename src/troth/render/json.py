"""`json-v1`: the report as a program reads it, in frozen copy types, so that what we hold can change.

The schema is `schema/report-v1.json`. Nothing is shortened here, and everything is ASCII: control
sequences and bidirectional marks in presented text are escaped by the JSON itself.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from troth import _version
from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.model.check import Check, Outcome
from troth.model.claims import Claims
from troth.model.report import Joined, Report, Verdict
from troth.model.statement import Statement
from troth.render import governed, tcb
from troth.render.words import rfc3339

SCHEMA: Final = "troth/report/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class _ToolV1:
    name: str = "troth"
    version: str = _version.__version__


@dataclass(frozen=True, slots=True, kw_only=True)
class _NamedV1:
    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _CheckV1:
    code: str
    slug: str
    outcome: str
    subject: str
    presented: str
    expected: str
    source: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClaimsV1:
    platform: str
    registers: dict[str, str]
    identity: tuple[str, ...]
    debug: bool
    timestamp: str | None
    instance: str
    nonce: str | None
    user_data: str | None
    public_key: str | None
    source: str
    alternative: tuple[str, ...]
    numbers: dict[str, int]
    tcb: tcb.TcbV1 | None
    events: dict[str, str]
    texts: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _StatementV1:
    name: str
    status: str
    source: str | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReportV1:
    schema: str
    tool: _ToolV1
    subject: _NamedV1
    platform: str
    at: str
    as_of: bool
    policy: _NamedV1
    roots: tuple[str, ...]
    root_class: str | None
    collateral: tuple[str, ...]
    verdict: str
    exit_code: int
    checks: tuple[_CheckV1, ...]
    required: tuple[str, ...]
    missing: tuple[str, ...]
    counts: dict[str, int]
    notes: tuple[str, ...]
    event_log: str | None


def report_line(report: Report) -> str:
    """The report on one line, for files of many (JSON Lines)."""
    return report_json(report, indent=None)


def report_json(report: Report, *, indent: int | None = 2) -> str:
    """The report as indented JSON, without a line end at the end; on one line where `indent` is None.

    `claims` is there only when the verdict is accepted; otherwise the same fields are under
    `presented`, so that a program that reads `claims` cannot believe what was not accepted.
    """
    return json.dumps(_document(report, accepted=report.verdict is Verdict.ACCEPTED), indent=indent)


def _document(report: Report, *, accepted: bool) -> dict[str, Any]:
    """One report; what it says is claimed only if all parts are accepted."""
    document: dict[str, Any] = asdict(_report(report))
    if report.presented is not None:
        document["claims" if accepted else "presented"] = asdict(_claims(report.presented))
    if report.parts:
        document["lead"] = {"name": report.lead, "says": report.says}
        document["parts"] = [_part(part, accepted=accepted) for part in report.parts]
    if report.governed is not None:
        document["release_log"] = asdict(governed.v1(report.governed))
    if report.statements:
        document["statements"] = [asdict(_statement(one)) for one in report.statements]
    return document


def _part(part: Joined, *, accepted: bool) -> dict[str, Any]:
    """A part's report, whose own verdict no program can take for the whole's."""
    document = _document(part.report, accepted=accepted)
    document["alone"] = document.pop("verdict")
    for key in ("schema", "tool", "exit_code"):
        del document[key]
    return {"name": part.name, "says": part.says, "report": document}


def _statement(statement: Statement) -> _StatementV1:
    return _StatementV1(
        name=statement.name,
        status=statement.status.value,
        source=None if statement.source is None else statement.source.value,
        why=statement.why,
    )


def error_json(error: TrothError, *, subject: str) -> str:
    """What is printed where no report could be made: the same schema with an `error` in place of checks."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "tool": asdict(_ToolV1()),
        "subject": {"name": subject},
        "verdict": Verdict.MALFORMED.value if isinstance(error, Malformed) else None,
        "exit_code": error.exit_code,
        "error": {"kind": _kind(error), "message": str(error), "fix": error.fix},
    }
    if isinstance(error, Malformed):
        document["error"] |= {"field": error.field, "offset": error.offset}
    return json.dumps(document, indent=2)


def schema_text() -> str:
    """The JSON Schema (2020-12) of both shapes."""
    from importlib.resources import files  # 10 ms that a report does not need

    return files("troth.render").joinpath("schema", "report-v1.json").read_text("utf-8")


def _kind(error: TrothError) -> str:
    match error:
        case Malformed():
            return "malformed"
        case Misuse():
            return "misuse"
        case Unavailable():
            return "unavailable"
        case _:
            return "error"


def _report(report: Report) -> _ReportV1:
    return _ReportV1(
        schema=SCHEMA,
        tool=_ToolV1(),
        subject=_NamedV1(name=report.subject, sha256=report.subject_sha256),
        platform=report.platform,
        at=rfc3339(report.at),
        as_of=report.as_of,
        policy=_NamedV1(name=report.policy, sha256=report.policy_sha256),
        roots=report.roots,
        root_class=None if report.root_class is None else report.root_class.value,
        collateral=report.collateral,
        verdict=report.verdict.value,
        exit_code=report.verdict.exit_code,
        checks=tuple(map(_check, report.checks)),
        required=tuple(code.id for code in report.required),
        missing=tuple(code.id for code in report.missing()),
        counts={outcome.value: report.count(outcome) for outcome in Outcome},
        notes=report.notes,
        event_log=report.event_log or None,
    )


def _check(check: Check) -> _CheckV1:
    return _CheckV1(
        code=check.code.id,
        slug=check.code.slug,
        outcome=check.outcome.value,
        subject=check.subject,
        presented=check.presented,
        expected=check.expected,
        source=check.source,
        why=check.why,
        fix="" if check.outcome is Outcome.PASSED else check.code.fix,
    )


def _claims(claims: Claims) -> _ClaimsV1:
    return _ClaimsV1(
        platform=claims.platform,
        registers=dict(claims.registers),
        identity=claims.identity,
        debug=claims.debug,
        timestamp=None if claims.timestamp is None else rfc3339(claims.timestamp),
        instance=claims.instance,
        nonce=_hex(claims.nonce),
        user_data=_hex(claims.user_data),
        public_key=_hex(claims.public_key),
        source=claims.source.value,
        alternative=claims.alternative,
        numbers=dict(claims.numbers),
        tcb=tcb.v1(claims.tcb),
        events=dict(claims.events),
        texts=dict(claims.texts),
    )


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
