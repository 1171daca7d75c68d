"""Whose key is it, and who else could hold it? Statements on a wallet's address or key that an agent claims.

Evidence ties keys to what runs by several *tags*, and each says another thing:

- `dstack-chain`: signatures from the key service's root to the key, for an application's id that the
  guest measured. The root is what the caller says it is; nothing in a quote names it.
- `dstack-signing-key`: REPORTDATA names the key with which the guest agent signs (DIP-1).
- `signing-address`: REPORTDATA begins with an address or an Ed25519 key, a nonce behind it (services of
  Phala, NEAR and redpill).
- `document-key`: the document's own field for a key (Oyster's port 1301, and others).
- `troth-identity`: the agent's key under troth's tag for identities, made in this start.
- `service-…`: a key in the role that a service's protocol gives it, bound by the composite.

All of this holds of evidence that was *accepted*, or where the caller gave up nothing but freshness. A
tag in REPORTDATA is no boundary by itself: what runs could have any 64 bytes quoted, so it is the image
in the policy that makes it say the truth.

Does not verify: that a key, once handed to what runs, stays there; and what a contract on a chain permits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from troth.errors import Malformed
from troth.model.check import Outcome, failed, passed, undecided
from troth.model.claims import Claims, Source
from troth.model.codes.binding import B201, B202
from troth.model.report import Report, Verdict
from troth.model.roots import RootClass
from troth.model.statement import Statement, Status
from troth.platforms.tdx import dstack_keys
from troth.verifier.binding import Tag, bind
from troth.verifier.claimed import Chain, Claimed, among

BOUND: Final = "key_bound"
INSIDE: Final = "key_made_inside"
SERVICE: Final = "key_service_could_hold"
OWNER: Final = "owner_could_hold"
OPERATOR: Final = "operator_could_hold"
NAMES: Final = (BOUND, INSIDE, SERVICE, OWNER, OPERATOR)
_FRESHNESS: Final = "R101"
_DERIVED: Final = frozenset({"dstack-chain", "dstack-signing-key"})
_FIELD: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What lies beside the evidence that may bind a key.

    Attributes:
        chain: of a dstack key service, or None.
        roots: root keys or addresses of key services that the caller trusts.
        keys: role to the key that a service's evidence binds if it is accepted (`Found.keys`).
        nonce: what the evidence was asked with, or None.
    """

    chain: Chain | None = None
    roots: Sequence[Claimed] = ()
    keys: Mapping[str, bytes] | None = None
    nonce: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """The answer.

    Attributes:
        key: that was asked about.
        tag: by which the evidence binds it; empty where it does by none.
        statements: of `NAMES`, in that order.
    """

    key: Claimed
    tag: str
    statements: tuple[Statement, ...]

    @property
    def bound(self) -> Status:
        """Whether the evidence binds the key: the first statement's status."""
        return self.statements[0].status


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tie:
    """What one tag has to say."""

    tag: str
    status: Status
    source: Source
    why: str


def custody(key: Claimed, report: Report, known: Known) -> Custody:
    """Whether the evidence binds a key, by which tag, and who else could hold it.

    The first tag that names the key counts. Where none does and one names another key, that is refuted;
    where no tag says anything of keys, it stays unknown.

    Args:
        key: that is claimed.
        report: on the evidence, all parts of it; the leading one binds keys.
        known: what lies beside it.

    Raises:
        Unavailable: the extra `services` is needed and not there.
    """
    claims = report.presented
    ties = [] if claims is None else _ties(key, claims, known)
    order = (Status.ASSERTED, Status.UNKNOWN, Status.REFUTED)
    ties.sort(key=lambda tie: order.index(tie.status))
    asserted = ties[0] if ties and ties[0].status is Status.ASSERTED else None
    refuted = ties[-1] if ties and ties[-1].status is Status.REFUTED else None
    doubt = _doubt(_without_key(report))
    if asserted is not None and doubt:
        bound = _unknown(BOUND, f"{asserted.why}; but {doubt}")
    elif asserted is not None:
        bound = Statement(
            name=BOUND, status=Status.ASSERTED, source=asserted.source, why=asserted.why
        )
    elif ties and ties[0].status is Status.UNKNOWN:
        bound = _unknown(BOUND, ties[0].why)
    elif refuted is not None:
        bound = Statement(name=BOUND, status=Status.REFUTED, source=refuted.source, why=refuted.why)
    else:
        others = "the service's keys are others; whether it has this one besides, nothing says"
        none = "nothing in this evidence, or beside it, names a key"
        bound = _unknown(BOUND, others if known.keys else none)
    certain = bound.status is Status.ASSERTED
    tag = asserted.tag if asserted is not None and certain else ""
    return Custody(key=key, tag=tag, statements=(bound, *_holders(tag, report)))


def joined(report: Report, answer: Custody) -> Report:
    """The report with the answer in it: its statements, and a check that decides with the others.

    Evidence that is accepted and does not bind the key is then rejected, or stays undecided where
    nothing tells.
    """
    bound = answer.statements[0]
    make = {Status.ASSERTED: passed, Status.REFUTED: failed, Status.UNKNOWN: undecided}
    check = make[bound.status](
        B201, "key", presented=answer.tag or "no tag", expected=answer.key.text, why=bound.why
    )
    report = _without_key(report)
    return replace(
        report,
        checks=(*report.checks, check),
        required=(*report.required, B201),
        statements=(*report.statements, *answer.statements),
    )


def _without_key(report: Report) -> Report:
    """The report without the question for a key in a field of its own: here it is asked by its tag."""
    checks = tuple(check for check in report.checks if check.code is not B202)
    required = tuple(code for code in report.required if code is not B201)
    return replace(report, checks=checks, required=required)


def _ties(key: Claimed, claims: Claims, known: Known) -> list[_Tie]:
    found = [
        _chain(key, claims, known),
        _identity(key, claims, known.nonce),
        _signing_key(key, claims),
        _signing_address(key, claims, known.nonce),
        _document_key(key, claims),
        *(_role(key, role, value) for role, value in (known.keys or {}).items()),
    ]
    return [tie for tie in found if tie is not None]


def _chain(key: Claimed, claims: Claims, known: Known) -> _Tie | None:
    """Root → application's key → key; the application's id is the one that was measured."""
    chain, tag = known.chain, "dstack-chain"
    if chain is None:
        return None

    def tie(status: Status, why: str) -> _Tie:
        return _Tie(tag=tag, status=status, source=Source.VERIFIER, why=why)

    if not key.is_key(chain.public_key):
        return tie(Status.REFUTED, "the chain of signatures is over another key")
    measured = claims.events.get("app_id")
    if measured is None:
        return tie(Status.UNKNOWN, "the evidence's event log names no application for the chain")
    if not known.roots:
        why = "no root of a key service was given, and nothing in the evidence names one"
        return tie(Status.UNKNOWN, why)
    try:
        signers = dstack_keys.signers(
            purpose=chain.purpose,
            public_key=chain.public_key,
            app_id=bytes.fromhex(measured),
            signatures=chain.signatures,
        )
    except Malformed as error:
        return tie(Status.REFUTED, str(error))
    if signers.root is None or not among(known.roots, signers.root):
        why = f"no root that you gave signed it for the application {measured} that was measured"
        return tie(Status.REFUTED, why)
    why = f"your root vouches for the key of application {measured}, that key for this one"
    return tie(Status.ASSERTED, f"{why} (purpose {chain.purpose[:40]!r})")


def _identity(key: Claimed, claims: Claims, nonce: bytes | None) -> _Tie | None:
    """The key of troth's agent, under the tag for identities."""
    named = claims.public_key
    carried = claims.nonce if claims.nonce is not None else nonce
    if named is None or carried is None:
        return None
    if claims.user_data != bind(Tag.IDENTITY, named, carried):
        return None
    right = key.is_key(named)
    return _Tie(
        tag="troth-identity",
        status=Status.ASSERTED if right else Status.REFUTED,
        source=Source.HARDWARE,
        why=f"troth's agent bound {'this' if right else 'another'} key under the tag for identities",
    )


def _signing_key(key: Claimed, claims: Claims) -> _Tie | None:
    named = dstack_keys.signing_key_in(claims.user_data or b"")
    if named is None:
        return None
    right = key.is_key(named[1])
    return _Tie(
        tag="dstack-signing-key",
        status=Status.ASSERTED if right else Status.REFUTED,
        source=Source.HARDWARE,
        why=f"REPORTDATA names {'this' if right else 'another'} key to sign with (DIP-1)",
    )


def _signing_address(key: Claimed, claims: Claims, nonce: bytes | None) -> _Tie | None:
    """An address or Ed25519 key, filled up to 32 bytes, and a nonce of 32 behind it."""
    data = claims.user_data or b""
    if not claims.nonce_in_user_data or len(data) != _FIELD or not any(data[:32]):
        return None
    head, said = data[:32], data[32:]
    right = bool(key.address) and head == key.address.ljust(32, b"\0")
    right |= bool(key.raw) and head == key.raw
    # Twelve zeros behind twenty bytes are an address; other heads may be a hash of anything.
    if not right and (any(head[20:]) or dstack_keys.signing_key_in(data) is not None):
        return None
    answers = nonce is not None and said == nonce.ljust(32, b"\0")[:32]
    behind = "your nonce" if answers else "a nonce that is not yours"
    return _Tie(
        tag="signing-address",
        status=Status.ASSERTED if right else Status.REFUTED,
        source=Source.HARDWARE,
        why=f"REPORTDATA begins with {'this' if right else 'another'} address; {behind} follows",
    )


def _document_key(key: Claimed, claims: Claims) -> _Tie | None:
    named = claims.public_key
    if named is None:
        return None
    right = key.is_key(named)
    return _Tie(
        tag="document-key",
        status=Status.ASSERTED if right else Status.REFUTED,
        source=Source.HARDWARE,
        why=f"the document's field for a key holds {'this one' if right else 'another'}",
    )


def _role(key: Claimed, role: str, named: bytes) -> _Tie | None:
    """A key that the service's protocol binds; another one in that role refutes nothing."""
    if not key.is_key(named):
        return None
    return _Tie(
        tag=f"service-{role}",
        status=Status.ASSERTED,
        source=Source.VERIFIER,
        why=f"the service's protocol binds it as its key for {role}",
    )


def _doubt(report: Report) -> str:
    """Why nothing may be taken from this evidence; empty where it may. Freshness may be given up."""
    if report.verdict is Verdict.ACCEPTED:
        return ""
    if report.verdict is Verdict.ACCEPTABLE_WITH_WAIVERS:
        reports = (report, *(part.report for part in report.parts))
        waived = {
            check.code.id
            for one in reports
            for check in one.checks
            if check.outcome is Outcome.WAIVED
        }
        if waived == {_FRESHNESS}:
            return ""
        return "more than its freshness was waived"
    return f"the evidence is {report.verdict}"


def _holders(tag: str, report: Report) -> tuple[Statement, ...]:
    """Who else could hold a key that is bound by this tag; all unknown where it is bound by none."""
    claims = report.presented
    if not tag or claims is None:
        why = "that the evidence binds the key is not known"
        return tuple(_unknown(name, why) for name in NAMES[1:])
    found = (
        _inside(tag, claims),
        _key_service(tag, claims),
        _owner(tag, claims),
        _operator(tag, claims),
    )
    if report.root_class is RootClass.VENDOR:
        return found
    # That nobody else holds it rests on hardware; that somebody could does not.
    kind = report.root_class or "no"
    why = f"its evidence ends at {kind} root, which is no vendor's"
    return tuple(_unknown(one.name, why) if _reassures(one) else one for one in found)


def _reassures(one: Statement) -> bool:
    return one.status is (Status.ASSERTED if one.name == INSIDE else Status.REFUTED)


def _inside(tag: str, claims: Claims) -> Statement:
    if tag == "troth-identity":
        why = "troth's agent draws it at each start, and never hands it out"
        return _said(INSIDE, Status.ASSERTED, Source.VERIFIER, why)
    if tag in _DERIVED and claims.events.get("key_provider") == "none":
        why = "the guest measured that it has no key provider, so that it draws its keys itself"
        return _said(INSIDE, Status.ASSERTED, Source.HARDWARE, why)
    if tag in _DERIVED:
        why = "it is derived by the key provider, and the same in each guest of that id"
        return _said(INSIDE, Status.REFUTED, Source.VERIFIER, why)
    return _unknown(INSIDE, "the evidence binds it, and does not say where it was made")


def _key_service(tag: str, claims: Claims) -> Statement:
    if tag == "troth-identity":
        return _said(SERVICE, Status.REFUTED, Source.VERIFIER, "no key service takes part")
    provider = claims.events.get("key_provider")
    if provider is None:
        return _unknown(SERVICE, "the evidence names no key provider")
    who = claims.events.get("key_provider_id", "")
    named = f"{provider} {who[:16]}…" if len(who) > 16 else f"{provider} {who}".rstrip()
    if tag in _DERIVED and provider != "none":
        why = f"whoever holds the root of {named} can derive it"
        return _said(SERVICE, Status.ASSERTED, Source.HARDWARE, why)
    if provider == "none":
        why = "the guest measured that it has no key provider"
        return _said(SERVICE, Status.REFUTED, Source.HARDWARE, why)
    why = f"the guest has keys from {named}; whether this one is, its software alone knows"
    return _unknown(SERVICE, why)


def _owner(tag: str, claims: Claims) -> Statement:
    """Whoever may put other software under the same id gets the same keys."""
    if tag == "troth-identity":
        why = "another image has another identity key; an upgrade keeps none"
        return _said(OWNER, Status.REFUTED, Source.VERIFIER, why)
    app_id, composition = claims.events.get("app_id"), claims.events.get("compose_hash")
    if tag not in _DERIVED or app_id is None or composition is None:
        return _unknown(OWNER, "the evidence does not say who may replace the software")
    if not composition.startswith(app_id):
        why = (
            f"the id {app_id} is a contract's and not this composition's: its owner may admit others, "
            "which get the same key"
        )
        return _said(OWNER, Status.ASSERTED, Source.HARDWARE, why)
    why = "the id is of this composition; whether others may run under it, the key service's rules say"
    return _unknown(OWNER, why)


def _operator(tag: str, claims: Claims) -> Statement:
    """Whoever runs the machine: kept out by its hardware, unless keys are made on another of his."""
    provider = claims.events.get("key_provider", "")
    if provider == "local-sgx" and tag in _DERIVED:
        why = (
            "keys come from an enclave on the operator's machine, which this evidence does not show"
        )
        return _unknown(OPERATOR, why)
    if provider == "tpm" and tag in _DERIVED:
        return _unknown(OPERATOR, "keys come from a TPM, which this evidence does not show")
    if provider == "kms" and tag in _DERIVED:
        why = "kept out of this machine; who operates the key service, this evidence does not show"
        return _unknown(OPERATOR, why)
    why = "the machine's hardware keeps its operator out; what the software gives away, it does not"
    return _said(OPERATOR, Status.REFUTED, Source.HARDWARE, why)


def _said(name: str, status: Status, source: Source, why: str) -> Statement:
    return Statement(name=name, status=status, source=source, why=why)


def _unknown(name: str, why: str) -> Statement:
    return Statement(name=name, status=Status.UNKNOWN, source=None, why=why)
