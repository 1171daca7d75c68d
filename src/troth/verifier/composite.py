"""Evidence in several parts: each is judged by itself, then that they belong together. One verdict.

A part is bound to the others by a field that must be a hash over what lies beside it, by the caller's
nonce, or by the key that signed it, which another part names. Nothing is accepted unless every part is,
and the policy counts them: what was left away cannot be seen otherwise.

Does not verify: that parts which only carry one nonce sit in one machine. `Part.says` tells what binds
each, and reports print it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import reduce
from typing import Any, Final

from troth.errors import Malformed
from troth.model.channel import Binding
from troth.model.check import Check, Waiver, failed, passed, undecided
from troth.model.codes import Code
from troth.model.codes.binding import B101, B302, B502
from troth.model.codes.policy import P107
from troth.model.collateral import Collateral
from troth.model.composite import Composite, Part
from troth.model.evidence import Evidence
from troth.model.report import Joined, Report
from troth.model.roots import Root, RootClass
from troth.platforms import detect
from troth.policy import Policy
from troth.policy.appraise import Expectation, covered
from troth.verifier.judge import counted, judged
from troth.verifier.receipt import Receipt

_OF_ALL: Final = frozenset({Waiver.MEASUREMENT, Waiver.FRESHNESS})
_NOBODY: Final = "0" * 64


def together(
    composite: Composite,
    *,
    policy: Policy,
    at: datetime,
    expectation: Expectation,
    trust: Sequence[Root],
    collateral: Collateral,
    receipts: Sequence[Receipt],
    as_of: bool,
    event_log: bytes | None = None,
    extra: Sequence[Check] = (),
    channel: Binding | None = None,
) -> tuple[Report, Malformed | None]:
    """The report on all parts, and the error of the first that could not be read.

    Args:
        composite: the parts and what must be so of each.
        policy: one for all parts.
        at: the instant of judgement.
        expectation: the caller's. Its nonce must be carried by each part that neither states another
            nor has its freshness from elsewhere; key, binding and receipts concern the leading part.
        trust: roots added by name.
        collateral: for all parts.
        receipts: what must have been signed by the key in the leading part.
        as_of: whether the instant is a claim about the past.
        event_log: of the part that the composite says, where it brings none.
        extra: findings of the caller's; those that passed are dropped.
        channel: how firmly the way to the service is tied to the evidence, where there is one now; of
            this and what the composite says the weaker counts.
    """
    own = composite.nonce in (None, expectation.nonce or b"")
    if not own or (expectation.nonce is None and channel is None):
        composite = of_others(composite)
    reports: dict[str, Report] = {}
    errors: list[Malformed] = []
    for part in _vouchers_first(composite):
        lead = part is composite.lead
        report, error = judged(
            Evidence(data=part.evidence, name=part.name),
            policy=policy,
            at=at,
            expectation=_asked(part, expectation, lead=lead),
            trust=trust,
            collateral=collateral,
            receipts=receipts if lead else (),
            as_of=as_of,
            event_log=part.event_log
            or (event_log if part.name == (composite.logged or composite.lead.name) else None),
            extra=extra if lead else (),
            part=True,
            keyed=_keyed(part, reports),
        )
        reports[part.name] = report
        if error is not None:
            errors.append(error)
    order = [part.name for part in composite.parts]
    found = logged([reports[name] for name in order], policy=policy, collateral=collateral)
    reports = dict(zip(order, found, strict=True))
    known = [one for one in (channel, composite.channel) if one is not None]
    tied = reduce(Binding.weaker, known) if known else None
    joined = _joined(composite, reports, policy=policy, channel=tied)
    if expectation.nonce is not None and not (own and _answers(composite)):
        carried = (composite.nonce or b"").hex() or "none"
        unasked = failed(B101, "nonce", presented=carried, expected=expectation.nonce.hex())
        joined = replace(joined, checks=(*joined.checks, unasked))
    return joined, next(iter(errors), None)


def logged(
    reports: Sequence[Report], *, policy: Policy, collateral: Collateral
) -> Sequence[Report]:
    """The reports, the leading one first, with what a log of releases says where the policy asks one."""
    if policy.release is None:
        return reports
    from troth.verifier import released  # readers of logs, which other policies do not need

    return released.settled(reports, policy=policy, collateral=collateral, at=reports[0].at)


def _vouchers_first(composite: Composite) -> Iterator[Part]:
    """Each part after the one that vouches for its key; `Composite` has made sure that none is left."""
    named = {part.name: part for part in composite.parts}
    done: set[str] = set()

    def walk(part: Part) -> Iterator[Part]:
        if part.name in done:
            return
        done.add(part.name)
        if part.key_in:
            yield from walk(named[part.key_in])
        yield part

    for part in composite.parts:
        yield from walk(part)


def of_others(composite: Composite) -> Composite:
    """The same to a caller who drew no nonce, and has no session: nothing of it is fresh to him."""
    parts = tuple(replace(part, nonce=None, over_nonce=False) for part in composite.parts)
    return replace(composite, parts=parts)


def _answers(composite: Composite) -> bool:
    """Whether the caller's nonce is asked of any part: in a field, or under a hash in one."""
    return any(
        part.over_nonce or part.nonce is not None or not _elsewhere(part)
        for part in composite.parts
    )


def _elsewhere(part: Part) -> bool:
    """Whether a part has its freshness from another, or holds something else where a nonce might be."""
    return bool(part.fresh_by) or part.user_data is not None


def _asked(part: Part, caller: Expectation, *, lead: bool) -> Expectation:
    """What is expected of this part: the caller's question, as far as it is this part's to answer."""
    return Expectation(
        nonce=part.nonce or (None if _elsewhere(part) else caller.nonce),
        key=caller.key if lead else None,
        binding=caller.binding if lead else None,
        waive=caller.waive if lead else caller.waive & _OF_ALL,
        user_data=part.user_data,
        over_nonce=part.over_nonce,
        fresh_by=part.fresh_by,
    )


def _keyed(part: Part, reports: Mapping[str, Report]) -> Root | None:
    """The only key that may have signed a part, with the class of whoever vouches for it.

    Where the voucher's own chain ends nowhere, a root that no key meets: the part stays undecided.
    """
    if not part.key:
        return None
    voucher = reports[part.key_in]
    source = f"named by {part.key_in}"
    if voucher.root_class is None:
        return Root(
            platform="",
            sha256=_NOBODY,
            key_sha256=_NOBODY,
            root_class=RootClass.ADDED,
            source=source,
        )
    return Root(
        platform="",
        sha256=part.key,
        key_sha256=part.key,
        root_class=voucher.root_class,
        source=source,
    )


def _joined(
    composite: Composite,
    reports: Mapping[str, Report],
    *,
    policy: Policy,
    channel: Binding | None,
) -> Report:
    """The leading part's report with the others under it, and the checks on all of them together."""
    lead, *others = composite.parts
    own = reports[lead.name]
    required: list[Code] = [P107, B502]
    checks = [*_counted(policy, [reports[part.name] for part in others])]
    checks += _leads(policy, lead.name, own)
    checks += _in_place(composite, reports)
    checks.append(_once(composite, reports))
    checks += _among(composite)
    if channel is not None:
        required.append(B302)
        checks.append(_firm_enough(policy, channel))
    return replace(
        own,
        checks=(*own.checks, *checks),
        required=(*own.required, *required),
        notes=(*own.notes, *((composite.framing,) if composite.framing else ())),
        lead=lead.name,
        says=lead.says,
        parts=tuple(
            Joined(name=part.name, says=part.says, report=reports[part.name]) for part in others
        ),
    )


def _counted(policy: Policy, others: Sequence[Report]) -> Iterator[Check]:
    """Whether there are as many parts of each platform as the policy says, and none that it does not."""
    found = Counter(report.platform or "unknown" for report in others)
    if found == policy.parts:
        yield passed(P107, "parts", presented=counted(found), source=policy.name)
        return
    for platform in sorted({*found, *policy.parts}):
        wanted = policy.parts.get(platform)
        presented = f"{found[platform]} × {platform}"
        if wanted is None:
            why = f"the policy does not say how many parts of {platform} there are"
            yield undecided(P107, "parts", presented=presented, source=policy.name, why=why)
        elif wanted != found[platform]:
            expected = f"{wanted} × {platform}"
            yield failed(P107, "parts", presented=presented, expected=expected, source=policy.name)


def _leads(policy: Policy, name: str, own: Report) -> Iterator[Check]:
    """Whether what leads is what the policy has parts counted beside.

    Else a GPU in the place of the machine would be asked for a GPU's versions, and nothing for the machine's.
    """
    machines = [platform for platform in covered(policy) if platform not in policy.parts]
    if machines and own.platform and own.platform not in machines:
        expected = f"{' or '.join(sorted(machines))}, the others beside it"
        yield failed(P107, name, presented=own.platform, expected=expected, source=policy.name)


def _in_place(composite: Composite, reports: Mapping[str, Report]) -> Iterator[Check]:
    """Whether each part is of the platform for which its place in the container is."""
    for part in composite.parts:
        presented = reports[part.name].platform
        if part.platform and presented not in ("", part.platform):
            yield failed(P107, part.name, presented=presented, expected=part.platform)


def _once(composite: Composite, reports: Mapping[str, Report]) -> Check:
    """No two parts are of one device; two parts of one platform that name none cannot be told apart."""
    seen: dict[tuple[str, str], str] = {}
    for part in composite.parts:
        report = reports[part.name]
        if report.presented is None:
            continue
        device = (report.platform, report.presented.instance)
        if device in seen:
            return failed(
                B502,
                part.name,
                presented=device[1] or "no id",
                expected=f"another device than {seen[device]}",
            )
        seen[device] = part.name
    return passed(B502, "parts", presented=", ".join(part.name for part in composite.parts))


def _among(composite: Composite) -> Iterator[Check]:
    """What the parts of one platform say of each other, where it has them say anything."""
    documents: dict[str, dict[str, Any]] = {}
    asked: dict[str, Callable[[Mapping[str, Any]], tuple[Check, ...]]] = {}
    for part in composite.parts:
        try:
            found = detect(part.evidence)
            if found is None or found[0].among is None:
                continue
            asked[found[0].name] = found[0].among
            documents.setdefault(found[0].name, {})[part.name] = found[0].parse(found[1])
        except Malformed:
            continue  # its own report says so
    for name, among in asked.items():
        yield from among(documents.get(name, {}))


def _firm_enough(policy: Policy, channel: Binding) -> Check:
    make = passed if channel.at_least(policy.channel) else failed
    return make(
        B302,
        "channel",
        presented=channel,
        expected=f"{policy.channel} or firmer",
        source=f"{policy.name}: binding.channel",
    )
