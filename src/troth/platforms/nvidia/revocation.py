"""Is a certificate revoked, on hold, or good? What OCSP answers at hand say of a chain, at an instant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from troth.crypto import issued
from troth.errors import Malformed
from troth.model.check import Check, failed, passed, stamp, undecided
from troth.model.codes.fresh import R203, R204
from troth.model.collateral import Item, Kind
from troth.model.tcb import Finding
from troth.platforms.nvidia import ocsp
from troth.platforms.nvidia.collateral import Shelf
from troth.platforms.nvidia.ocsp import Answer, Status
from troth.wire.x509 import Certificate

_Held = tuple[Item, Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came of asking about a chain.

    Attributes:
        checks: not revoked, and something current says so.
        held: the certificates that are on hold.
        items: the answers that were used.
    """

    checks: tuple[Check, ...]
    held: tuple[Finding, ...] = ()
    items: tuple[Item, ...] = ()


def unknown(subject: str, why: str) -> Said:
    """Nothing can be asked, because no chain is at hand."""
    return Said(
        checks=(undecided(R203, subject, why=why), undecided(R204, subject, why=why)),
    )


def of_chain(
    chain: Sequence[Certificate], shelf: Shelf, at: datetime, *, subject: str, own_leaf: bool
) -> Said:
    """What is said of each certificate but the root.

    An answer that a certificate is revoked counts against it for ever, also outside of its window. That
    it is good, or on hold, counts only from an answer that is current; of several the newest.

    Args:
        chain: leaf first, root last.
        shelf: what is at hand.
        at: the instant of judgement.
        subject: what the checks call the chain.
        own_leaf: whether the device made the leaf itself, so that no answer about it is needed; one
            that is there counts all the same.
    """
    items: list[Item] = []
    held: list[Finding] = []
    open_: list[str] = []
    ends: list[datetime] = []
    for place, (certificate, issuer) in enumerate(pairwise(chain)):
        name = issued.title(certificate)
        good, wrong = _answers(certificate, issuer, shelf, at)
        revoked = next((pair for pair in good if pair[1].status is Status.REVOKED), None)
        if revoked is not None:
            return _revoked(name, revoked)
        current = [pair for pair in good if pair[1].current(at)]
        if not current:
            if not (own_leaf and place == 0):
                stale = [f"the answer at hand ended {stamp(a.ends)}" for _, a in good]
                open_.append(f"{name}: {'; '.join((*stale, *wrong)) or 'no answer is at hand'}")
            continue
        item, answer = max(current, key=lambda pair: pair[1].this_update)
        items.append(item)
        ends.append(answer.ends)
        if answer.status is Status.UNKNOWN:
            open_.append(f"{name}: its authority's responder does not know it")
        elif answer.status is Status.HOLD:
            held.append(Finding(part=name, status=Status.HOLD, date=answer.revoked_at))
    return Said(
        checks=tuple(_checks(subject, open_, held, ends, shelf)),
        held=tuple(held),
        items=tuple(items),
    )


def _checks(
    subject: str,
    open_: Sequence[str],
    held: Sequence[Finding],
    ends: Sequence[datetime],
    shelf: Shelf,
) -> Iterator[Check]:
    if open_:
        why = "; ".join(filter(None, (*open_, shelf.unreadable(Kind.NVIDIA_OCSP))))
        yield undecided(R203, subject, why="not all of it is answered for")
        yield undecided(R204, subject, expected="a current OCSP answer about each", why=why)
        return
    names = ", ".join(finding.part for finding in held)
    yield passed(R203, subject, why=f"on hold: {names}" if held else "")
    yield passed(R204, subject, presented=f"OCSP answers to {stamp(min(ends))}")


def _revoked(name: str, pair: _Held) -> Said:
    item, answer = pair
    since = "" if answer.revoked_at is None else f" since {stamp(answer.revoked_at)}"
    reason = f" ({answer.reason})" if answer.reason else ""
    source = f"OCSP answer of {stamp(answer.this_update)}"
    return Said(
        checks=(
            failed(R203, name, presented=f"revoked{since}{reason}", source=source),
            passed(R204, name, source=source),
        ),
        items=(item,),
    )


def _answers(
    certificate: Certificate, issuer: Certificate, shelf: Shelf, at: datetime
) -> tuple[list[_Held], list[str]]:
    """The answers about a certificate that its authority stands behind, and why others count nothing."""
    good, wrong = [], []
    for item, answer in shelf.answers.get(certificate.serial, ()):
        key = (item.data, certificate.der, issuer.der)
        trouble = shelf.remembered.get(key) if at >= answer.this_update else None
        if trouble is None:
            trouble = _trouble(item, answer, (certificate, issuer), at)
            if at >= answer.this_update:  # it is then the same at each instant
                shelf.remembered[key] = trouble
        if trouble:
            wrong.append(trouble)
        else:
            good.append((item, answer))
    return good, wrong


def _trouble(
    item: Item, answer: Answer, link: tuple[Certificate, Certificate], at: datetime
) -> str:
    """Why an answer counts nothing for a certificate; empty if it counts.

    A responder's certificate lives for weeks: it must be good when it signed.
    """
    certificate, issuer = link
    try:
        if not answer.is_about(certificate, issuer):
            return "the answer at hand is about another certificate"
        return ocsp.trouble(item.data, issuer.der, min(at, answer.this_update))
    except Malformed as error:
        return str(error)
