"""From SOURCE and the flags to a report: a running enclave, a service, a bundle, or a file."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from troth.cli import _again, _custody, _service
from troth.cli._console import read_source
from troth.errors import Malformed, Misuse
from troth.model.check import Waiver

if TYPE_CHECKING:
    from troth.cli._custody import Claim
    from troth.model.collateral import Collateral
    from troth.model.report import Report
    from troth.model.roots import Root
    from troth.policy import Policy
    from troth.verifier.bundle import Bundle

    Judged = tuple[Report, bytes, Bundle]

TROTH: Final = "troth"
_WEB: Final = ("https://", "http://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the caller asks and expects.

    Attributes:
        policy: what is required.
        trust, pem: roots added by name, and the same as they were given.
        collateral: endorsements.
        event_log: what the guest logged, or None.
        service: the protocol of a live service, or empty to find it out.
        nonce, key, waive: expectations.
        claim: the key once more, as somebody's claim; None where it is of no kind that is known.
        at: the instant, and whether it is the caller's claim.
        offline: whether the network may not be used.
        replay: whether a bundle is judged with its maker's means.
    """

    policy: "Policy"
    trust: "tuple[Root, ...]"
    pem: bytes
    collateral: "Collateral"
    event_log: bytes | None
    service: str
    nonce: bytes | None
    key: bytes | None
    claim: "Claim | None"
    waive: frozenset[Waiver]
    at: tuple[datetime, bool]
    offline: bool
    replay: bool


def is_live(source: str) -> bool:
    """Whether SOURCE is an address and no file."""
    return source.startswith(_WEB)


def judge(source: str, flags: Flags) -> "Judged":
    """The report, the evidence, and what a bundle of this judgement would hold."""
    from troth.verifier import bundle as bundles
    from troth.verifier.bundle import Bundle

    if is_live(source):
        return _live(source, flags)
    if flags.service:
        raise Misuse("only a live source speaks a protocol", fix="leave --service away")
    data = read_source(source)
    name = "stdin" if source == "-" else Path(source).name
    if not bundles.looks_like(data):
        if flags.replay:
            raise Misuse("only a bundle can be replayed", fix="leave --replay away")
        return _judged(Bundle(evidence=data, event_log=flags.event_log), name, flags)
    packed = bundles.unpack(data)
    if flags.replay:
        parts = _service.composite_of(packed.evidence)
        return bundles.replay(packed, name=name, parts=parts), packed.evidence, packed
    packed = replace(packed, event_log=flags.event_log or packed.event_log)
    nothing_asked = flags.nonce is None and flags.key is None and not flags.waive
    if flags.at[1] or not nothing_asked or _service.kept(packed.evidence):
        return _judged(packed, name, flags)
    report = bundles.appraise_stored(
        packed,
        name=name,
        policy=flags.policy,
        now=flags.at[0],
        trust=flags.trust,
        collateral=flags.collateral,
    )
    return report, packed.evidence, packed


def _live(source: str, flags: Flags) -> "Judged":
    """A running enclave of troth's own, or somebody else's service.

    Raises:
        Misuse: what was asked for has no meaning for a live source.
    """
    if flags.offline:
        raise Misuse("a live source needs the network", fix="leave --offline away")
    if flags.replay or flags.nonce is not None or flags.at[1]:
        raise Misuse(
            "a live source is judged now, with a nonce of this program's own",
            fix="leave --nonce, --at and --replay away",
        )
    if flags.event_log is not None:
        raise Misuse("a live source brings its own event log", fix="leave --event-log away")
    _of_a_kind(flags)
    if flags.service == TROTH or (not flags.service and _service.speaks_troth(source)):
        return _channel(source, flags)
    return _service.live(
        source,
        only=flags.service,
        policy=flags.policy,
        waive=flags.waive,
        trust=flags.trust,
        pem=flags.pem,
        collateral=flags.collateral,
        claim=flags.claim,
    )


def _of_a_kind(flags: Flags) -> None:
    """Services bind keys by their roles, not in a field: a key that cannot be looked for is not passed over.

    Raises:
        Misuse: it is of no kind that is known.
    """
    if flags.key is not None and flags.claim is None:
        raise Misuse(
            "no service holds a key of this kind",
            fix="give an address, or a public key on secp256k1, of Ed25519 or X25519, or in PEM",
        )


def _channel(source: str, flags: Flags) -> "Judged":
    """Opens an attested channel, and closes it again."""
    from troth.channel import client, dial
    from troth.model.report import Rejected, Undecided
    from troth.verifier.bundle import Bundle

    if flags.key is not None:
        raise Misuse(
            "a live channel binds its own certificate's key",
            fix="leave --key away; verify evidence of an identity by file",
        )
    if flags.waive:
        raise Misuse("an attested channel takes no waiver", fix="leave --waive away")
    target = dial.parse(source)
    try:
        with client.connect(
            target.dialler(),
            policy=flags.policy,
            trust=flags.trust,
            collateral=flags.collateral,
            name=target.authority,
        ) as stream:
            made = _again.bundle_of(
                stream, policy=flags.policy, pem=flags.pem, collateral=flags.collateral
            )
            return stream.verified.report, made.evidence, made
    except (Rejected, Undecided) as judged:
        return judged.report, b"", Bundle(evidence=b"")


def _judged(packed: "Bundle", name: str, flags: Flags) -> "Judged":
    """Evidence, or a service's answers that were kept, at the instant that the flags say."""
    from troth.model.evidence import Evidence
    from troth.verifier import appraise
    from troth.verifier import bundle as bundles
    from troth.verifier.bundle import Maker

    collateral = packed.beside(flags.collateral)
    if _service.kept(packed.evidence):
        if packed.event_log is not None:
            raise Misuse(
                "a service's answers bring their own event log", fix="leave --event-log away"
            )
        if packed.receipts:
            raise Malformed("stand beside a service's answers, which sign none", field="receipts")
        _of_a_kind(flags)
        report = _service.stored(
            packed.evidence,
            name=name,
            policy=flags.policy,
            at=flags.at,
            nonce=flags.nonce,
            waive=flags.waive,
            trust=flags.trust,
            collateral=collateral,
            claim=flags.claim,
        )
    else:
        by_tag = flags.claim is not None and flags.claim.only_here
        report = appraise(
            Evidence(data=packed.evidence, name=name),
            policy=flags.policy,
            at=flags.at[0],
            nonce=flags.nonce,
            key=None if by_tag else flags.key,
            trust=flags.trust,
            collateral=collateral,
            event_log=packed.event_log,
            receipts=packed.receipts,
            waive=flags.waive,
            as_of=flags.at[1],
        )
        if by_tag:
            report = _custody.told(report, flags.claim, nonce=flags.nonce)
    maker = Maker(
        policy=flags.policy.to_toml(),
        roots=flags.pem,
        at=flags.at[0],
        nonce=flags.nonce,
        key=flags.key,
        binding=None,
        report=b"",
    )
    made = replace(packed, maker=maker, collateral=bundles.used(collateral, report))
    return report, packed.evidence, made
