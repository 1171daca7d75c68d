"""A live service to a report: asked, taken apart, judged part by part; and the same from what was kept."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from troth.cli import _custody
from troth.model.check import Waiver
from troth.wire.transcript import looks_like

if TYPE_CHECKING:
    from troth.channel.services import Asked
    from troth.cli._custody import Claim
    from troth.model.collateral import Collateral
    from troth.model.composite import Composite
    from troth.model.report import Report
    from troth.model.roots import Root
    from troth.policy import Policy
    from troth.verifier.bundle import Bundle


def speaks_troth(source: str) -> bool:
    """Whether the host offers an attested channel of ours; asked once, by ALPN.

    Raises:
        Unavailable: nobody there, or no TLS 1.3.
    """
    from troth.channel import dial
    from troth.channel.session import ALPN
    from troth.channel.web import open_tls

    if source.startswith("http://"):
        return False
    target = dial.parse(source)
    with open_tls(target.dialler(), name=target.authority, alpn=(ALPN, b"http/1.1")) as session:
        return session.protocol == ALPN


def live(
    source: str,
    *,
    only: str,
    policy: "Policy",
    waive: frozenset[Waiver],
    trust: "Sequence[Root]",
    pem: bytes,
    collateral: "Collateral",
    claim: "Claim | None",
) -> "tuple[Report, bytes, Bundle]":
    """Asks a host by the protocols of others, with a nonce of our own.

    Args:
        source: https://HOST:PORT, or http:// for protocols whose evidence travels in the clear.
        only: name of the protocol, or empty to try each.
        policy: what is required.
        waive: expectations given up by name.
        trust: roots added by name.
        pem: the same as they were given, for a bundle.
        collateral: endorsements, beside what the service brings.
        claim: a key that the service is said to hold.
    """
    from troth.channel import services, transcript
    from troth.channel.client import now
    from troth.verifier import bundle as bundles
    from troth.verifier.bundle import Bundle, Maker

    asked = services.ask(source, services.SERVICES, only=only)
    at = now()
    every = _with(collateral, asked)
    report = _report(
        asked,
        asked.found.composite,
        policy=policy,
        at=at,
        nonce=asked.found.nonce,
        waive=waive,
        trust=trust,
        collateral=every,
        as_of=False,
        live=True,
        claim=claim,
    )
    kept = transcript.pack(asked.transcript)
    maker = Maker(
        policy=policy.to_toml(),
        roots=pem,
        at=at,
        nonce=asked.found.nonce,
        key=None,
        binding=None,
        report=b"",
    )
    made = Bundle(evidence=kept, maker=maker, collateral=bundles.used(every, report))
    return replace(report, subject=source), kept, made


def stored(
    data: bytes,
    *,
    name: str,
    policy: "Policy",
    at: tuple[datetime, bool],
    nonce: bytes | None,
    waive: frozenset[Waiver],
    trust: "Sequence[Root]",
    collateral: "Collateral",
    claim: "Claim | None" = None,
) -> "Report":
    """The report on answers that were kept. Only the caller's own nonce makes them fresh.

    Raises:
        Malformed: they are no transcript, or of no protocol that is known.
    """
    from troth.channel import services, transcript

    asked = services.read(transcript.unpack(data), services.SERVICES)
    report = _report(
        asked,
        asked.found.composite,
        policy=policy,
        at=at[0],
        nonce=nonce,
        waive=waive,
        trust=trust,
        collateral=_with(collateral, asked),
        as_of=at[1],
        live=False,
        claim=claim,
    )
    return replace(report, subject=name, subject_sha256=hashlib.sha256(data).hexdigest())


def kept(data: bytes) -> bool:
    """Whether this is what a service answered, and not evidence itself."""
    return looks_like(data)


def composite_of(data: bytes) -> "Composite | None":
    """The parts of kept answers as whoever kept them saw them, for a replay; None for other bytes."""
    from troth.channel import services, transcript

    if not kept(data):
        return None
    return services.read(transcript.unpack(data), services.SERVICES).found.composite


def _with(collateral: "Collateral", asked: "Asked") -> "Collateral":
    return collateral + asked.found.collateral if asked.found.collateral.items else collateral


def _report(
    asked: "Asked",
    composite: "Composite",
    *,
    policy: "Policy",
    at: datetime,
    nonce: bytes | None,
    waive: frozenset[Waiver],
    trust: "Sequence[Root]",
    collateral: "Collateral",
    as_of: bool,
    live: bool,
    claim: "Claim | None",
) -> "Report":
    from troth.verifier import appraise, statements

    found = asked.found
    report = appraise(
        composite,
        policy=policy,
        at=at,
        nonce=nonce,
        waive=waive,
        trust=trust,
        collateral=collateral,
        as_of=as_of,
        channel=found.binding if live else None,
    )
    spoken = f"spoke {asked.service.title} ({asked.service.name})"
    open_ends = (f"{asked.service.title}: {sentence}" for sentence in found.not_bound)
    report = replace(
        report,
        notes=(spoken, *report.notes, *open_ends),
        statements=statements.beside(
            statements.derive(report), statements.held(report, found.statements)
        ),
    )
    return _custody.told(report, claim, keys=found.keys, nonce=nonce)
