"""Is the platform up to date enough for this policy? What a vendor's levels say, against what was asked."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Final

from troth.model.check import Check, failed, passed, undecided
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.codes.tcb import T101, T102, T103, T104, T105, T106, T107, T108
from troth.model.tcb import Finding, Tcb
from troth.policy.names import PARTS
from troth.policy.requirements import Requirements

_INTEL: Final = frozenset({"sgx", "tdx"})
# Firmware that can be rolled back is only as good as what it can be rolled back to.
_KINDS: Final = ("reported", "committed")


def required(asked: Requirements, platform: str) -> tuple[Code, ...]:
    """The questions about its TCB that must be answered for a platform.

    `T102` and `T103` are other answers to `T101`, and `T108` is one to `T107`.
    """
    if platform == "snp":
        return (T107,)
    if platform not in _INTEL:
        return ()
    codes = [T101, T104]
    if asked.min_evaluation_number is not None:
        codes.append(T105)
    if asked.min_tcb_date is not None:
        codes.append(T106)
    return tuple(codes)


def checks(asked: Requirements, claims: Claims, *, source: str, at: datetime) -> Iterator[Check]:
    """Every check of a platform's TCB; none for a platform whose vendor publishes nothing of it."""
    if claims.platform == "snp":
        yield from _minimum(asked, claims, source, at)
    elif claims.platform in _INTEL:
        if claims.tcb is None:
            for code in required(asked, claims.platform):
                yield undecided(code, "TCB", source=source, why="nobody looked the platform up")
            return
        yield _status(asked, claims.tcb, source)
        yield _advisories(asked, claims.tcb, source, at)
        if asked.min_evaluation_number is not None:
            yield _evaluation(asked.min_evaluation_number, claims.tcb, source)
        if asked.min_tcb_date is not None:
            yield _dated(asked.min_tcb_date, claims.tcb, source)


def _status(asked: Requirements, tcb: Tcb, source: str) -> Check:
    expected = " or ".join(sorted(asked.tcb_status))
    why = "; ".join(_reason(part) for part in tcb.findings if part.status not in asked.tcb_status)
    if tcb.status == "Revoked":
        code, make = T103, failed
    elif tcb.status == "TcbNotSupported":
        code, make = T102, failed
    else:
        code, make = T101, passed if tcb.status in asked.tcb_status else failed
    return make(code, "TCB status", presented=tcb.status, expected=expected, source=source, why=why)


def _reason(part: Finding) -> str:
    short = ", ".join(map(str, part.short))
    return f"{part.part} is {part.status}" + (f" ({short})" if short else "")


def _advisories(asked: Requirements, tcb: Tcb, source: str, at: datetime) -> Check:
    """All that are open, in one check: a platform can have dozens."""
    today = at.astimezone(UTC).date()
    if not tcb.advisories:
        return passed(T104, "advisories", presented="none is open", source=source)
    wrong = []
    for name in tcb.advisories:
        day = asked.advisories.get(name)
        if day is None:
            wrong.append(name)
        elif today > day:
            wrong.append(f"{name} (accepted up to {day})")
    presented = f"open: {', '.join(tcb.advisories)}"
    if wrong:
        return failed(
            T104,
            "advisories",
            presented=presented,
            expected="each closed, or accepted by name",
            source=source,
            why=f"not accepted: {', '.join(wrong)}",
        )
    return passed(T104, "advisories", presented=presented, source=source)


def _evaluation(lowest: int, tcb: Tcb, source: str) -> Check:
    number = tcb.evaluation_number
    make = passed if number is not None and number >= lowest else failed
    return make(
        T105,
        "TCB evaluation data number",
        presented="none" if number is None else str(number),
        expected=f"at least {lowest}",
        source=source,
    )


def _dated(oldest: date, tcb: Tcb, source: str) -> Check:
    """A platform with a part that no level fits has no date, and none is not good enough."""
    day = None if tcb.date is None else tcb.date.astimezone(UTC).date()
    make = passed if day is not None and day >= oldest else failed
    presented, expected = "none" if day is None else f"{day}", f"{oldest} or later"
    return make(T106, "TCB date", presented=presented, expected=expected, source=source)


def _minimum(asked: Requirements, claims: Claims, source: str, at: datetime) -> Iterator[Check]:
    floor: Mapping[str, int] = {
        part: asked.minimum[part] for part in PARTS if part in asked.minimum
    }
    if not floor:
        from troth.platforms.snp.tcb import minimum_for

        product = claims.tcb.findings[0].part if claims.tcb and claims.tcb.findings else ""
        row = minimum_for(product, at)
        if row is None or not row.minimum:
            yield undecided(T108, "TCB", presented=product or "product not known", source=source)
            return
        floor, source = row.minimum, row.bulletin
    for part, lowest in floor.items():
        numbers = {kind: claims.numbers.get(f"{kind}_{part}") for kind in _KINDS}
        make = passed if all(n is not None and n >= lowest for n in numbers.values()) else failed
        yield make(
            T107,
            part,
            presented=", ".join(f"{k} {'none' if n is None else n}" for k, n in numbers.items()),
            expected=f"at least {lowest}",
            source=source,
        )
