"""Is an Intel quote genuine, and at which TCB level does its platform stand? Every step, in order.

Source: the order of Intel's quote verification library. Each step is a check; a step that cannot be taken
is undecided, and the others go on.

Does not verify: what runs (the policy's), freshness and binding (the policy's and the verifier's), and
that the hardware is intact: no signature shows a hand on the memory bus.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from troth.crypto import beside, issued, keys
from troth.crypto.signature import ecdsa_p256_raw
from troth.model.check import Check, failed, passed, stamp, undecided
from troth.model.codes.fresh import R202
from troth.model.codes.genuine import G101, G102, G103, G201, G202, G203, G204, G205, G206
from troth.model.codes.tcb import T110
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness
from troth.model.roots import Root
from troth.model.tcb import Tcb
from troth.platforms._review import review as _review
from troth.platforms._review import vouching
from troth.platforms.dcap import codes, documents, endorsed, pck, revocation, tcb, who
from troth.platforms.dcap.quote import Quote
from troth.platforms.dcap.tcb import Td
from troth.platforms.dcap.who import Platform
from troth.wire.x509 import Certificate


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
    platform, certificate = who.find(quote, collateral)  # (1)
    if platform is None:
        return _unnamed(quote, td, certificate)
    prepared = endorsed.prepare(collateral)
    # What is asked below is checked meanwhile, where something is there to do it: documents take long to read.
    beside.begin((*who.asked(quote, platform), *revocation.asked(prepared, platform)))
    found, missing = documents.find(prepared, platform, td=td is not None, at=at)
    beside.begin(documents.asked(found, platform.root))
    checks = [certificate, _attestation_key(quote, platform), _signature(quote)]  # (2) (3)
    root, vouched, path = _stands(platform, tuple(roots))
    checks += [vouched, _review(root, at), path]  # (4) (5) (6)
    checks.append(missing)  # (7)
    signer = documents.signers(found)
    checks.append(_validity((*platform.chain, *signer), at))  # (8)
    listed, lists = revocation.checks(prepared, platform, signer, at)  # (9)
    checks += listed
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
            documents.signed(found, platform.root),
            passed(G205, "FMSPC", presented=platform.pck.fmspc.hex()),
            documents.window(found, at),
            documents.enclave(quote, found.identity.document),
        ]
        checks += [documents.module(td, found.info.document)] if td else []  # (14)
        joined = tcb.evaluate(  # (15)
            platform.pck, quote.qe.isvsvn, td, found.info.document, found.identity.document
        )
        notes = documents.early(prepared, platform, quote, td, joined)
        lists = (found.info.name, found.identity.name, *lists)
    return Genuineness(
        checks=tuple(checks),
        root_class=None if root is None else root.root_class,
        tcb=joined,
        collateral=lists,
        notes=notes,
    )


def _unnamed(quote: Quote, td: Td | None, certificate: Check) -> Genuineness:
    """What can be said where no certificate names the platform."""
    checks = [certificate, _attestation_key(quote, None), _signature(quote)]
    wanted = codes.TDX if td else codes.SGX
    open_codes = [code for code in wanted if code not in (G206, G202, G201)]
    why = "no certificate names the platform"
    return Genuineness(
        checks=(*checks, *(undecided(code, why=why) for code in open_codes)), root_class=None
    )


def _attestation_key(quote: Quote, platform: Platform | None) -> Check:
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
    wrong = who.qe_signature(quote, platform.leaf)
    if wrong:
        return failed(G202, subject, why=f"QE report: {wrong}")
    return passed(G202, subject, source="QE report")


def _signature(quote: Quote) -> Check:
    wrong = ecdsa_p256_raw(keys.p256(quote.attestation_key), quote.signature, quote.signed)
    return failed(G201, "quote", why=wrong) if wrong else passed(G201, "quote")


@lru_cache(maxsize=256)
def _stands(platform: Platform, roots: tuple[Root, ...]) -> tuple[Root | None, Check, Check]:
    """The root that the chain ends at, and the two checks of it that no clock has a part in.

    A pure function of the chain and the roots, remembered for speed.
    """
    root = vouching(platform.root, roots)
    return root, _root(platform.root, root), _path(platform, root)


def _root(certificate: Certificate, root: Root | None) -> Check:
    presented = f"key sha256 {issued.key_sha256(certificate)}"
    if root is None:
        return failed(G101, "root", presented=presented, expected="a root you trust")
    return passed(G101, "root", presented=presented, source=root.source)


def _path(platform: Platform, root: Root | None) -> Check:
    found = issued.problems(platform.chain, algorithms=documents.ALGORITHMS)
    # The root is trusted for its key. Where its certificate is not the pinned one to the bit, its own
    # signature lets no bit of it be changed.
    if root is None or root.sha256 != issued.sha256(platform.root):
        der = platform.root.der
        found += [f"root: {wrong}" for wrong in issued.link(der, der)]
    if found:
        return failed(G102, "PCK chain", why="; ".join(found))
    return passed(G102, "PCK chain", presented="3 certificates")


def _validity(chain: Sequence[Certificate], at: datetime) -> Check:
    found = issued.not_valid(chain, at)
    instant = f"valid at {stamp(at)}"
    if found:
        return failed(G103, "certificates", presented="; ".join(found), expected=instant)
    return passed(G103, "certificates", expected=instant)


def forget() -> None:
    """Empties what is remembered, for benchmarks that measure the first time."""
    _stands.cache_clear()
    who.forget()
    documents.forget()
    endorsed.forget()
    pck.forget()
    tcb.evaluate.cache_clear()
