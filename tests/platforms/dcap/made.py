"""Quotes under a development root that are right, and reports on what was made wrong of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from tests.platforms.dcap.rows import FAR, codes

import troth
from troth.model.check import Outcome
from troth.model.collateral import Collateral, Item, Kind
from troth.model.report import Report, Verdict
from troth.platforms import detect
from troth.platforms.dcap.simulate import DevelopmentPki, QuoteKind
from troth.platforms.dcap.simulate_pki import Holder
from troth.policy.requirements import Requirements

NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
NONCE = bytes(range(64))
PKI = DevelopmentPki.create(NOW)
OTHER = DevelopmentPki.create(NOW)
KINDS = tuple(QuoteKind)
# Codes that stand for a required question without being the one that is listed as required.
_OTHER_ANSWERS = {"T102", "T103", "M101", "M203"}


@dataclass(frozen=True)
class Case:
    """A quote and everything to judge it by; each part can be changed alone."""

    data: bytes
    collateral: Collateral
    pki: DevelopmentPki = PKI
    at: datetime = NOW

    def report(
        self, policy: troth.Policy | None = None, *, trust: Iterable[Any] | None = None
    ) -> Report:
        return troth.appraise(
            self.data,
            policy=pinned(self.data) if policy is None else policy,
            at=self.at,
            nonce=NONCE,
            trust=list(self.pki.roots() if trust is None else trust),
            collateral=self.collateral,
        )


def good(kind: QuoteKind = QuoteKind.TDX_4, *, pki: DevelopmentPki = PKI, **quote: Any) -> Case:
    """A quote that is accepted, with what it is accepted by."""
    fields = {"reportdata": NONCE} | dict(quote.pop("fields", {}))
    machine = quote.get("machine")
    return Case(pki.quote(kind, fields=fields, **quote), pki.collateral(machine=machine), pki)


def pinned(data: bytes, **asked: Any) -> troth.Policy:
    """The policy that names what this quote measures, and asks for this beside."""
    found = detect(data)
    if found is None:
        return troth.Policy(name="nothing")
    platform, bare, _ = found
    try:
        claims = platform.claims(platform.parse(bare))
    except troth.Malformed:
        return troth.Policy(name="nothing")
    registers = {name: frozenset({claims.registers[name]}) for name in claims.identity}
    requirements = {platform.name: Requirements(**asked)} if asked else {}
    return troth.Policy(
        name="pinned", registers={platform.name: registers}, requirements=requirements
    )


def admitting(data: bytes, *statuses: str, advisories: Iterable[str] = ()) -> troth.Policy:
    return pinned(data, tcb_status=set(statuses), advisories=dict.fromkeys(advisories, FAR))


def accepted(case: Case, policy: troth.Policy | None = None) -> Report:
    report = case.report(policy)
    assert report.verdict is Verdict.ACCEPTED, trouble(report)
    return report


def refused(
    case: Case,
    *failed: str,
    undecided: Iterable[str] = (),
    policy: troth.Policy | None = None,
    trust: Iterable[Any] | None = None,
) -> Report:
    """Asserts that exactly these questions got another answer than yes: nothing else is wrong.

    So each stands alone between this case and acceptance, and a verifier that forgot it would accept.
    """
    report = case.report(policy, trust=trust)
    assert codes(report) == set(failed), trouble(report)
    assert codes(report, Outcome.UNDECIDED) == set(undecided), trouble(report)
    assert report.verdict is (Verdict.REJECTED if failed else Verdict.UNDECIDED)
    assert {*failed, *undecided} <= {code.id for code in report.required} | _OTHER_ANSWERS
    return report


def trouble(report: Report) -> list[tuple[str, str, str]]:
    return [
        (c.code.id, str(c.outcome), c.why or c.presented)
        for c in report.checks
        if c.outcome is not Outcome.PASSED
    ]


def put(collateral: Collateral, *items: Item) -> Collateral:
    """Collateral with items in the place of those of the same kind and TEE."""
    gone = {slot(item) for item in items}
    return Collateral(items=(*(i for i in collateral.items if slot(i) not in gone), *items))


def without(collateral: Collateral, kind: Kind) -> Collateral:
    return Collateral(items=tuple(item for item in collateral.items if item.kind is not kind))


def slot(item: Item) -> tuple[Kind, bool]:
    return item.kind, b'"id":"T' in item.data.replace(b" ", b"")


def swapped(case: Case, *items: Item) -> Case:
    return replace(case, collateral=put(case.collateral, *items))


def says(value: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: item for name, item in (dict(value) | changes).items() if item is not None}


def unverifiable(like: Holder, above: Holder) -> bytes:
    """PEM of such a certificate, by the same issuer, for a key of a kind that is not used here."""
    old = like.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(ed25519.Ed25519PrivateKey.generate().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(above.key, hashes.SHA256()).public_bytes(Encoding.PEM)
