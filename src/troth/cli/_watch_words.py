"""What `troth watch` prints: text for people, JSON for programs, metrics for Prometheus."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from troth.cli import _collateral
from troth.cli._watched import Found, Stand, Watched
from troth.model.report import Verdict
from troth.render.escape import visible
from troth.render.words import VERDICTS, rfc3339
from troth.wire import json as strict

SCHEMA: Final = "troth/watch/1"


def text(found: Found) -> str:
    """For people: each piece of evidence, then what ends when."""
    lines = [f"at {rfc3339(found.at)}"]
    for watched in found.evidence:
        lines += _piece(watched, found)
    lines += ["", *(line for row in found.rows for line in _collateral.lines(row, found.at))]
    for what, end in found.ends:
        lines.append(
            f"{'good' if found.at <= end else 'over':10}  {what}: to {end:%Y-%m-%d}, "
            f"{_collateral.left(end, found.at)}"
        )
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"could not be done: {trouble}" for trouble in found.troubles]
    lines += ["", f"{_counts(found)} · exit {found.exit_code}"]
    return "\n".join(visible(line) for line in lines)


def json(found: Found) -> str:
    """For programs: everything, in canonical JSON of schema `troth/watch/1`."""
    return strict.canonical(
        {
            "schema": SCHEMA,
            "at": rfc3339(found.at),
            "exit_code": found.exit_code,
            "evidence": [
                {
                    "name": _utf8(watched.name),
                    "platform": watched.platform,
                    "now": _stand(watched.now),
                    "next": _stand(watched.next) if watched.next else None,
                    "until": rfc3339(watched.until) if watched.until else None,
                    "then": _stand(watched.then) if watched.then else None,
                    "notes": [_utf8(note) for note in watched.notes],
                }
                for watched in found.evidence
            ],
            "collateral": [_plain(row, found) for row in found.rows],
            "ends": [{"what": _utf8(what), "ends": rfc3339(end)} for what, end in found.ends],
            "troubles": [_utf8(trouble) for trouble in found.troubles],
            "notes": [_utf8(note) for note in found.notes],
        }
    ).decode("utf-8")


def prometheus(found: Found) -> bytes:
    """For a textfile collector: metrics in Prometheus' text format, all of them gauges."""
    lines: list[str] = []

    def family(name: str, help: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:  # noqa: A002
        found_rows = list(rows)
        if found_rows:
            lines.extend((f"# HELP troth_{name} {help}", f"# TYPE troth_{name} gauge"))
            lines.extend(
                f"troth_{name}{_labels(labels)} {value:.15g}" for labels, value in found_rows
            )

    def verdicts(stands: Iterable[tuple[Watched, Stand | None]]) -> Iterator[Any]:
        for watched, stand in stands:
            if stand is not None:
                for verdict in Verdict:
                    named = {**_named(watched), "verdict": str(verdict)}
                    yield named, float(stand.verdict is verdict)

    def numbers(stands: Iterable[tuple[Watched, Stand | None]]) -> Iterator[Any]:
        for watched, stand in stands:
            if stand is not None and stand.number is not None:
                yield {**_named(watched), "status": stand.status}, float(stand.number)

    now = [(watched, watched.now) for watched in found.evidence]
    later = [(watched, watched.next) for watched in found.evidence]
    family("watch_timestamp_seconds", "When troth watch judged.", [({}, found.at.timestamp())])
    family("watch_exit_code", "What troth watch exited with.", [({}, float(found.exit_code))])
    family("watch_troubles", "What could not be done.", [({}, float(len(found.troubles)))])
    family("evidence_verdict", "1 for the verdict that holds now.", verdicts(now))
    family("evidence_next_verdict", "1 for that under the next evaluation number.", verdicts(later))
    family("evidence_evaluation_number", "Evaluation number judged by.", numbers(now))
    family("evidence_next_evaluation_number", "The next one, and the status then.", numbers(later))
    family(
        "evidence_until_timestamp_seconds",
        "The end after which the verdict is another.",
        ((_named(w), w.until.timestamp()) for w in found.evidence if w.until is not None),
    )
    family(
        "collateral_end_timestamp_seconds",
        "When an endorsement ends.",
        (
            (
                {
                    "kind": str(row.item.kind),
                    "about": row.said.about if row.said else "",
                    "early": str(row.item.early).lower(),
                    "sha256": str(_plain(row, found)["sha256"])[:16],
                },
                row.ends.timestamp(),
            )
            for row in found.rows
            if row.ends is not None
        ),
    )
    family(
        "other_end_timestamp_seconds",
        "When a policy or a root ends.",
        (({"what": what}, end.timestamp()) for what, end in found.ends),
    )
    return ("\n".join(lines) + "\n").encode("utf-8")


def _piece(watched: Watched, found: Found) -> Iterator[str]:
    yield ""
    yield f"{_word(watched.now)}  {watched.name}{_detail(watched.now)}"
    yield from (f"    {code}" for code in watched.now.codes)
    if watched.next is not None and watched.next != watched.now:
        yield f"    under the next evaluation number: {_word(watched.next)}{_detail(watched.next)}"
        if watched.next.verdict is not watched.now.verdict:
            yield from (f"        {code}" for code in watched.next.codes)
    elif watched.next is not None:
        yield "    under the next evaluation number: the same"
    if watched.until is not None and watched.then is not None:
        yield (
            f"    so until {rfc3339(watched.until)}, {_collateral.left(watched.until, found.at)}; "
            f"then {_word(watched.then)}: {', '.join(watched.then.codes)}"
        )
    yield from (f"    note: {note}" for note in watched.notes)


def _word(stand: Stand) -> str:
    return " ".join(VERDICTS[stand.verdict])


def _detail(stand: Stand) -> str:
    parts = [stand.status] if stand.status else []
    parts += [f"evaluation number {stand.number}"] if stand.number is not None else []
    return f" · {' · '.join(parts)}" if parts else ""


def _counts(found: Found) -> str:
    verdicts = [watched.now.verdict for watched in found.evidence]
    return " · ".join(f"{verdicts.count(v)} {VERDICTS[v][1]}" for v in Verdict if v in verdicts)


def _stand(stand: Stand) -> dict[str, Any]:
    return {
        "verdict": str(stand.verdict),
        "codes": list(stand.codes),
        "tcb_status": stand.status,
        "evaluation_number": stand.number,
    }


def _plain(row: _collateral.Row, found: Found) -> dict[str, Any]:
    return {
        key: _utf8(value) if isinstance(value, str) else value
        for key, value in _collateral.plain(row, found.at).items()
    }


def _named(watched: Watched) -> dict[str, str]:
    return {"evidence": watched.name, "platform": watched.platform}


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    """A label's value: no line end, quote or half character of a file's name gets out of it."""
    return _utf8(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _utf8(value: str) -> str:
    """Names of files need not be text; what is none is spelled out."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
