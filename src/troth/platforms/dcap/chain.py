"""Is an Intel quote genuine, and at which TCB level does its platform stand? Every step, in order.

Source: the order of Intel's quote verification library. Each step is a check; a step that cannot be taken
is undecided, and the others go on.

Does not verify: what runs (the policy's), freshness and binding (the policy's and the verifier's), and
that the hardware is intact: no signature shows a hand on the memory bus.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from troth.crypto import issued, keys
from troth.errors import Malformed
from troth.model.check import Check, failed, passed, undecided
from troth.model.codes.fresh import R103, R201, R202, R203, R204
from troth.model.codes.genuine import G101, G102, G103, G201, G202, G203, G204, G205, G206
from troth.model.codes.tcb import T110
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness
from troth.model.roots import Root
from troth.model.tcb import Tcb
from troth.platforms.dcap import codes, endorsed, pck, tcb
from troth.platforms.dcap.collateral import EnclaveIdentity, TcbInfo
from troth.platforms.dcap.endorsed import Prepared, Signed
from troth.platforms.dcap.pck import Pck
from troth.platforms.dcap.quote import Quote
from troth.platforms.dcap.tcb import Td
from troth.wire import x509
from troth.wire.x509 import Certificate

_ALGORITHMS: Final = frozenset({keys.ECDSA_SHA256})
_LEAF: Final = "Intel SGX PCK Certificate"
_AUTHORITIES: Final = {"Intel SGX PCK Processor CA": False, "Intel SGX PCK Platform CA": True}


@dataclass(frozen=True, slots=True)
class _Platform:
    """Who the platform is: its chain, root first, and what its certificate says."""

    chain: tuple[Certificate, Certificate, Certificate]
    pck: Pck

    @property
    def root(self) -> Certificate:
        return self.chain[0]

    @property
    def authority(self) -> Certificate:
        return self.chain[1]

    @property
    def leaf(self) -> Certificate:
        return self.chain[2]


@dataclass(frozen=True, slots=True)
class _Endorsements:
    """The documents to judge by."""

    info: Signed[TcbInfo]
    identity: Signed[EnclaveIdentity]


def genuine(
    quote: Quote, td: Td | None, roots: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    """Takes every step, and goes on after a failure wherever going on has meaning.

    Args:
        quote: parsed, not believed.
        td: what of the TD report the levels look at, or None for SGX.
        roots: the roots that count, pinned by key; the first that matches gives its class.
        collateral: TCB Info, QE identity and CRLs, and the PCK chain where the quote brings none.
        at: the instant of judgement, aware.
    """
    prepared = endorsed.prepare(collateral)
    platform, certificate = _platform(quote, prepared)  # (1)
    checks = [certificate, _attestation_key(quote, platform), _signature(quote)]  # (2) (3)
    if platform is None:
        why = "no certificate names the platform"
        wanted = codes.TDX if td else codes.SGX
        open_codes = [code for code in wanted if code not in (G206, G202, G201)]
        return Genuineness(
            checks=(*checks, *(undecided(code, why=why) for code in open_codes)), root_class=None
        )
    root = _vouching(platform.root, roots)
    checks += [_root(platform.root, root), _review(root, at), _path(platform)]  # (4) (5) (6)
    found, missing = _endorsements(prepared, platform, td=td is not None, at=at)
    checks.append(missing)  # (7)
    signer = _signers(found)
    checks.append(_validity((*platform.chain, *signer), at))  # (8)
    revocation, lists = _revocation(prepared, platform, signer, at)  # (9)
    checks += revocation
    joined: Tcb | None = None
    notes: tuple[str, ...] = ()
    if found is None:
        others = ", ".join(prepared.others(tdx=td is not None))
        fmspc = platform.pck.fmspc.hex()
        checks += [
            undecided(G204, "collateral", why="there is none to check"),
            undecided(G205, "FMSPC", presented=fmspc, expected=others, why="none is for this one"),
            undecided(R202, "collateral", why="there is none to check"),
            undecided(G203, "quoting enclave", why="there is no QE identity"),
        ]
        checks += [undecided(T110, "TDX module", why="there is no TCB Info")] if td else []
    else:
        checks += [  # (10) to (13)
            _signed(found, platform.root),
            passed(G205, "FMSPC", presented=platform.pck.fmspc.hex()),
            _window(found, at),
            _enclave(quote, found.identity.document),
        ]
        checks += [_module(td, found.info.document)] if td else []  # (14)
        joined = tcb.evaluate(  # (15)
            platform.pck, quote.qe.isvsvn, td, found.info.document, found.identity.document
        )
        notes = _early(prepared, platform, quote, td, joined)
        lists = (found.info.name, found.identity.name, *lists)
    return Genuineness(
        checks=tuple(checks),
        root_class=None if root is None else root.root_class,
        tcb=joined,
        collateral=lists,
        notes=notes,
    )


def _platform(quote: Quote, prepared: Prepared) -> tuple[_Platform | None, Check]:
    """The PCK chain out of the quote, or out of the collateral where the quote only asks for one."""
    subject = f"certification data (type {quote.certification})"
    ders = tuple(reversed(quote.pck_chain))
    try:
        chain = tuple(issued.read(der) for der in ders)
        if len(chain) != 3:
            chain = _supplied(quote, prepared)
        if not chain:
            return None, undecided(
                G206, subject, why="the quote carries no PCK chain, and none was supplied"
            )
        root, authority, leaf = chain
        names = (x509.common_name(leaf.subject), x509.common_name(authority.subject))
        if names[0] != _LEAF or names[1] not in _AUTHORITIES:
            return None, failed(
                G206,
                subject,
                presented=" below ".join(names),
                expected=f"{_LEAF} below {' or '.join(_AUTHORITIES)}",
            )
        named = pck.read(leaf)
        if (named.platform_instance is not None) is not _AUTHORITIES[names[1]]:
            return None, failed(G206, subject, why=f"{names[1]} issues no such extension")
    except Malformed as error:
        return None, failed(G206, subject, why=str(error))
    presented = f"PPID {named.ppid.hex()}, FMSPC {named.fmspc.hex()}"
    return _Platform((root, authority, leaf), named), passed(G206, subject, presented=presented)


def _supplied(quote: Quote, prepared: Prepared) -> tuple[Certificate, ...]:
    """A supplied chain, root first, whose leaf signed the quoting enclave's report."""
    for chain in prepared.pck_chains:
        if len(chain) != 3 or (quote.pck_chain and quote.pck_chain[0] != chain[0].der):
            continue
        if not _qe_signature(quote, chain[0]):
            return tuple(reversed(chain))
    return ()


def _qe_signature(quote: Quote, leaf: Certificate) -> str:
    key = keys.load(leaf.key)
    if not isinstance(key, keys.EllipticCurveKey):
        return "the PCK certificate has no P-256 key"
    return keys.ecdsa_p256_raw(key, quote.qe_signature, quote.qe_body)


def _attestation_key(quote: Quote, platform: _Platform | None) -> Check:
    """REPORTDATA of the quoting enclave = SHA-256(attestation key ‖ authentication data) ‖ 32 zeros."""
    subject = "attestation key"
    bound = hashlib.sha256(quote.attestation_key + quote.qe_auth).digest() + bytes(32)
    if quote.qe.reportdata != bound:
        return failed(
            G202,
            subject,
            presented=quote.qe.reportdata.hex(),
            expected=bound.hex(),
            source="QE report",
        )
    if platform is None:
        return undecided(G202, subject, why="no certificate names the platform")
    wrong = _qe_signature(quote, platform.leaf)
    if wrong:
        return failed(G202, subject, why=f"QE report: {wrong}")
    return passed(G202, subject, source="QE report")


def _signature(quote: Quote) -> Check:
    wrong = keys.ecdsa_p256_raw(
        keys.p256_point(quote.attestation_key), quote.signature, quote.signed
    )
    return failed(G201, "quote", why=wrong) if wrong else passed(G201, "quote")


def _vouching(certificate: Certificate, roots: Sequence[Root]) -> Root | None:
    digest = hashlib.sha256(certificate.der).hexdigest()
    key = issued.key_sha256(certificate)
    return next((r for r in roots if r.vouches_for(certificate=digest, key=key)), None)


def _root(certificate: Certificate, root: Root | None) -> Check:
    presented = f"key sha256 {issued.key_sha256(certificate)}"
    if root is None:
        return failed(G101, "root", presented=presented, expected="a root you trust")
    return passed(G101, "root", presented=presented, source=root.source)


def _review(root: Root | None, at: datetime) -> Check:
    if root is None:
        return undecided(R103, "root", why="the chain ends at no root you trust")
    if root.review_by is None:
        return passed(R103, "root", source=root.source, why="you passed this root yourself")
    if at > root.review_by:
        day = f"reviewed after {root.review_by:%F}"
        return undecided(R103, "root", expected=day, source=root.source)
    return passed(R103, "root", source=root.source)


def _path(platform: _Platform) -> Check:
    found = issued.problems(platform.chain, algorithms=_ALGORITHMS)
    # The root is trusted for its key. Its own signature lets no bit of its certificate be changed.
    found += [f"root: {wrong}" for wrong in issued.link(platform.root.der, platform.root.der)]
    if found:
        return failed(G102, "PCK chain", why="; ".join(found))
    return passed(G102, "PCK chain", presented="3 certificates")


def _endorsements(
    prepared: Prepared, platform: _Platform, *, td: bool, at: datetime
) -> tuple[_Endorsements | None, Check]:
    info = endorsed.newest(
        prepared.tcb_infos(
            tdx=td, fmspc=platform.pck.fmspc, pce_id=platform.pck.pce_id, early=False
        ),
        at,
    )
    identity = endorsed.newest(prepared.identities(tdx=td, early=False), at)
    missing = [] if info else [f"TCB Info for FMSPC {platform.pck.fmspc.hex()}"]
    missing += [] if identity else ["QE identity"]
    if info is None or identity is None:
        why = "; ".join((f"there is no {' and no '.join(missing)}", *prepared.troubles))
        return None, undecided(R201, "collateral", expected=" and ".join(missing), why=why)
    return _Endorsements(info, identity), passed(R201, "collateral")


def _signers(found: _Endorsements | None) -> tuple[Certificate, ...]:
    if found is None:
        return ()
    first, second = found.info.chain[0], found.identity.chain[0]
    return (first,) if first.der == second.der else (first, second)


def _validity(chain: Sequence[Certificate], at: datetime) -> Check:
    found = issued.not_valid(chain, at)
    instant = f"valid at {at:%F %T}Z"
    if found:
        return failed(G103, "certificates", presented="; ".join(found), expected=instant)
    return passed(G103, "certificates", expected=instant)


def _revocation(
    prepared: Prepared, platform: _Platform, signers: Sequence[Certificate], at: datetime
) -> tuple[list[Check], tuple[str, ...]]:
    """Each certificate below the root against the lists of whoever issued it.

    A list that names a certificate counts against it for ever; that none names it counts only while a
    list is current.
    """
    parts = (
        (prepared.root_lists, platform.root, (platform.authority, *signers)),
        (prepared.pck_lists, platform.authority, (platform.leaf,)),
    )
    revoked, open_questions, used = [], [], []
    for lists, issuer, below in parts:
        good, none = endorsed.of_authority(lists, issuer)
        newest, late = endorsed.current(good, issuer, at)
        for certificate in below:
            try:
                naming = [one for one in good if endorsed.revokes(one.content, certificate.serial)]
            except Malformed as error:
                open_questions.append(str(error))
                continue
            revoked += [f"{issued.title(certificate)} {certificate.serial:x}"] if naming else []
            used += naming
        open_questions += [text for text in (none, late) if text]
        used += [newest] if newest is not None else []
    names = tuple(dict.fromkeys(one.name for one in used))
    if revoked:
        first = failed(R203, "revocation", presented=", ".join(revoked))
    elif open_questions:
        first = undecided(R203, "revocation", why="not every list is at hand")
    else:
        first = passed(R203, "revocation")
    if open_questions:
        return [first, undecided(R204, "revocation lists", why="; ".join(open_questions))], names
    return [first, passed(R204, "revocation lists")], names


def _signed(found: _Endorsements, root: Certificate) -> Check:
    """Each document under the root that the platform's chain ends at, by the signer that Intel names."""
    wrong = []
    for document in (found.info, found.identity):
        signer, *above = document.chain
        trouble = issued.problems((root, signer), algorithms=_ALGORITHMS)
        if x509.common_name(signer.subject) != endorsed.SIGNER:
            trouble.append(f"{issued.title(signer)} signs no collateral")
        if len(above) > 1 or (above and above[0].key != root.key):
            trouble.append("the chain sent along is not signer and root")
        if document.wrong:
            trouble.append(document.wrong)
        wrong += [f"{document.item.kind}: {problem}" for problem in trouble]
    if wrong:
        return failed(G204, "collateral", why="; ".join(wrong))
    return passed(G204, "collateral", source=endorsed.SIGNER)


def _window(found: _Endorsements, at: datetime) -> Check:
    late = []
    for document in (found.info, found.identity):
        begins, ends = document.document.issued, document.document.next_update
        if not begins <= at <= ends:
            late.append(f"{document.item.kind}: {begins:%F %T}Z to {ends:%F %T}Z")
    if late:
        return undecided(
            R202, "collateral", presented="; ".join(late), expected=f"current at {at:%F %T}Z"
        )
    return passed(R202, "collateral")


def _enclave(quote: Quote, identity: EnclaveIdentity) -> Check:
    """Masked fields must equal the identity's, which Intel writes masked; signer and product as they are."""
    qe = quote.qe
    pairs = (
        ("MISCSELECT", _masked(qe.miscselect, identity.miscselect_mask), identity.miscselect),
        ("ATTRIBUTES", _masked(qe.attributes, identity.attributes_mask), identity.attributes),
        ("MRSIGNER", qe.mrsigner, identity.mrsigner),
        ("ISVPRODID", qe.isvprodid.to_bytes(2, "big"), identity.isvprodid.to_bytes(4, "big")[2:]),
    )
    wrong = [(n, has, needs) for n, has, needs in pairs if has != needs]
    if identity.isvprodid > 0xFFFF or wrong:
        return failed(
            G203,
            "quoting enclave",
            presented=", ".join(f"{n} {has.hex()}" for n, has, _ in wrong),
            expected=", ".join(f"{n} {needs.hex()}" for n, _, needs in wrong),
            source="QE identity",
        )
    return passed(G203, "quoting enclave", source="QE identity")


def _module(td: Td, info: TcbInfo) -> Check:
    """MRSIGNERSEAM and SEAMATTRIBUTES are those of the module that the TD's versions name."""
    versions = [td.tcb_svn, *([td.current_tcb_svn] if td.current_tcb_svn is not None else [])]
    wrong = []
    for svn in versions:
        module = tcb.module(svn, info)
        if module is None:
            wrong.append(f"TDX_{svn[1]:02X} is not listed")
            continue
        if td.mrsignerseam != module.mrsigner:
            wrong.append(f"MRSIGNERSEAM {td.mrsignerseam.hex()} is not that of the listed module")
        if _masked(td.seam_attributes, module.mask) != module.attributes or any(td.seam_attributes):
            wrong.append(f"SEAMATTRIBUTES {td.seam_attributes.hex()}")
    presented = ", ".join(f"version {svn[1]}.{svn[0]}" for svn in versions)
    if wrong:
        return failed(T110, "TDX module", presented=presented, why="; ".join(dict.fromkeys(wrong)))
    return passed(T110, "TDX module", presented=presented, source="TCB Info")


def _masked(value: bytes, mask: bytes) -> bytes:
    number = int.from_bytes(value, "big") & int.from_bytes(mask, "big")
    return number.to_bytes(len(value), "big")


def _early(
    prepared: Prepared, platform: _Platform, quote: Quote, td: Td | None, now: Tcb
) -> tuple[str, ...]:
    """What the next evaluation number will say, where its documents are at hand and genuine."""
    infos = prepared.tcb_infos(
        tdx=td is not None, fmspc=platform.pck.fmspc, pce_id=platform.pck.pce_id, early=True
    )
    identities = prepared.identities(tdx=td is not None, early=True)
    if not infos or not identities:
        return ()
    info = max(infos, key=lambda one: one.document.evaluation_number)
    identity = max(identities, key=lambda one: one.document.evaluation_number)
    if _signed(_Endorsements(info, identity), platform.root).outcome is not passed(G204).outcome:
        return ("the early collateral is not genuine and says nothing",)
    then = tcb.evaluate(platform.pck, quote.qe.isvsvn, td, info.document, identity.document)
    if then.status == now.status and set(then.advisories) <= set(now.advisories):
        return (f"under evaluation number {then.evaluation_number} the status stays {now.status}",)
    new = sorted(set(then.advisories) - set(now.advisories))
    added = f", with {', '.join(new)}" if new else ""
    coming = f"the status will be {then.status}, now {now.status}{added}"
    return (f"under evaluation number {then.evaluation_number} {coming}",)
