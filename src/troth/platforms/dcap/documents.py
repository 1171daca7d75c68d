"""Do Intel's documents speak of this platform, now, and in Intel's name? What do they say of enclave and module?"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeVar

from troth.crypto import issued, keys
from troth.crypto.beside import Asked
from troth.model.check import Check, Outcome, failed, passed, stamp, undecided
from troth.model.codes.fresh import R201, R202
from troth.model.codes.genuine import G203, G204
from troth.model.codes.tcb import T110
from troth.model.tcb import Tcb
from troth.platforms.dcap import endorsed, tcb
from troth.platforms.dcap.collateral import EnclaveIdentity, TcbInfo
from troth.platforms.dcap.endorsed import Prepared, Signed
from troth.platforms.dcap.quote import Quote
from troth.platforms.dcap.tcb import Td
from troth.platforms.dcap.who import Platform
from troth.wire import x509
from troth.wire.x509 import Certificate

_D = TypeVar("_D", TcbInfo, EnclaveIdentity)

ALGORITHMS: Final = frozenset({keys.ECDSA_SHA256})


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents to judge by."""

    info: Signed[TcbInfo]
    identity: Signed[EnclaveIdentity]


def find(
    prepared: Prepared, platform: Platform, *, td: bool, at: datetime
) -> tuple[Documents | None, Check]:
    """TCB Info for this platform and the identity of its quoting enclave, or what is missing."""
    pck = platform.pck
    infos = prepared.tcb_infos(tdx=td, fmspc=pck.fmspc, pce_id=pck.pce_id, early=False)
    info = _newest(infos, platform.root, at)
    identity = _newest(prepared.identities(tdx=td, early=False), platform.root, at)
    missing = [] if info else [f"TCB Info for FMSPC {pck.fmspc.hex()}"]
    missing += [] if identity else ["QE identity"]
    if info is None or identity is None:
        why = "; ".join((f"there is no {' and no '.join(missing)}", *prepared.troubles))
        return None, undecided(R201, "collateral", expected=" and ".join(missing), why=why)
    return Documents(info, identity), passed(R201, "collateral")


def signers(found: Documents | None) -> tuple[Certificate, ...]:
    """The certificates of whoever signed the documents, each once."""
    if found is None:
        return ()
    first, second = found.info.chain[0], found.identity.chain[0]
    return (first,) if first.der == second.der else (first, second)


def asked(found: Documents | None, root: Certificate) -> Iterator[Asked]:
    """The signatures that `signed` will ask about, and of which nothing is known yet."""
    for signer in signers(found):
        yield from issued.asked((root, signer))
    if found is not None:
        yield from found.info.asked
        yield from found.identity.asked


def _newest(candidates: list[Signed[_D]], root: Certificate, at: datetime) -> Signed[_D] | None:
    """The newest; of several, a forged one does not stand in a genuine one's way."""
    if len(candidates) > 1:
        candidates = [one for one in candidates if not _trouble(one, root)] or candidates
    return endorsed.newest(candidates, at)


def signed(found: Documents, root: Certificate) -> Check:
    """Each document under the root that the platform's chain ends at, by the signer that Intel names."""
    wrong = [
        f"{document.item.kind}: {problem}"
        for document in (found.info, found.identity)
        for problem in _trouble(document, root)
    ]
    if wrong:
        return failed(G204, "collateral", why="; ".join(wrong))
    return passed(G204, "collateral", source=endorsed.SIGNER)


def _trouble(document: Signed[TcbInfo] | Signed[EnclaveIdentity], root: Certificate) -> list[str]:
    """Why a document is not the vendor's, in words; empty where it is."""
    trouble = [*_signer(tuple(one.der for one in document.chain), root.der)]
    if document.wrong:
        trouble.append(document.wrong)
    return trouble


@lru_cache(maxsize=256)
def _signer(chain: tuple[bytes, ...], root_der: bytes) -> tuple[str, ...]:
    """What is wrong with a signer's chain; a pure function of its bytes, remembered for speed."""
    signer, *above = map(issued.read, chain)
    root = issued.read(root_der)
    trouble = issued.problems((root, signer), algorithms=ALGORITHMS)
    if x509.common_name(signer.subject) != endorsed.SIGNER:
        trouble.append(f"{issued.title(signer)} signs no collateral")
    if len(above) > 1 or (above and above[0].key != root.key):
        trouble.append("the chain sent along is not signer and root")
    return tuple(trouble)


def forget() -> None:
    """Empties what is remembered, for benchmarks that measure the first time."""
    _signer.cache_clear()


def window(found: Documents, at: datetime) -> Check:
    """Both documents are current at the instant."""
    late = []
    for document in (found.info, found.identity):
        begins, ends = document.document.issued, document.document.next_update
        if not begins <= at <= ends:
            late.append(f"{document.item.kind}: {stamp(begins)} to {stamp(ends)}")
    if late:
        return undecided(
            R202, "collateral", presented="; ".join(late), expected=f"current at {stamp(at)}"
        )
    return passed(R202, "collateral")


def enclave(quote: Quote, identity: EnclaveIdentity) -> Check:
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


def module(td: Td, info: TcbInfo) -> Check:
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


def early(
    prepared: Prepared, platform: Platform, quote: Quote, td: Td | None, now: Tcb
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
    if signed(Documents(info, identity), platform.root).outcome is not Outcome.PASSED:
        return ("the early collateral is not genuine and says nothing",)
    then = tcb.evaluate(platform.pck, quote.qe.isvsvn, td, info.document, identity.document)
    if then.status == now.status and set(then.advisories) <= set(now.advisories):
        return (f"under evaluation number {then.evaluation_number} the status stays {now.status}",)
    new = sorted(set(then.advisories) - set(now.advisories))
    added = f", with {', '.join(new)}" if new else ""
    coming = f"the status will be {then.status}, now {now.status}{added}"
    return (f"under evaluation number {then.evaluation_number} {coming}",)
