"""Is a report genuine, and are its measurements NVIDIA's? The steps of its verifiers, and what they lack.

Certificates of devices end in 9999: their dates never protect, so that a current OCSP answer is asked
for each one that NVIDIA issued. Reference values are asked for, too: on Hopper nothing else in a report
tells debug firmware from other.

Does not verify: freshness (the verifier's), which versions are new enough and whether a hold counts (the
policy's), and that nobody took the key out of its device.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from troth.crypto import issued
from troth.crypto.signature import ecdsa_p384_raw
from troth.errors import Malformed
from troth.model import collateral as model
from troth.model.check import Check, failed, passed, stamp, undecided
from troth.model.codes import Code
from troth.model.codes.fresh import R103, R201, R202
from troth.model.codes.genuine import G101, G102, G103, G104, G204, G302, G303
from troth.model.codes.measurement import M401
from troth.model.collateral import Collateral, Kind
from troth.model.platform import Genuineness
from troth.model.roots import Root
from troth.model.tcb import Finding, Tcb
from troth.platforms._review import review
from troth.platforms.nvidia import device, endorsed, golden, revocation
from troth.platforms.nvidia.collateral import Shelf, gather
from troth.platforms.nvidia.device import DEPTH, LS10
from troth.platforms.nvidia.endorsed import ALGORITHMS, Reference
from troth.platforms.nvidia.format import Document, Field
from troth.platforms.nvidia.ocsp import Status
from troth.platforms.nvidia.revocation import Said
from troth.platforms.nvidia.roots import DEVICE_ROOT
from troth.wire.x509 import Certificate

_ALONE: Final = "no certificates came with the report"

# A pure function of the item, remembered for speed.
_name = lru_cache(maxsize=256)(model.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A report with what was found for it.

    Attributes:
        document: the report and its chain.
        root: the root that the chain ends at, None where it ends at none that counts.
        wrong: what is wrong with the root's certificate.
        references: the documents with reference values.
    """

    document: Document
    root: Root | None
    wrong: tuple[str, ...]
    references: tuple[Reference, ...]

    @property
    def path(self) -> tuple[Certificate, ...]:
        """Root first."""
        return self.document.chain[::-1]


def genuine(
    document: Document, roots: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    """Takes every step, and goes on after a failure wherever going on has meaning.

    Args:
        document: parsed, not believed.
        roots: the roots that count; the first that vouches gives its class.
        collateral: RIM documents and OCSP answers for any number of devices.
        at: the instant of judgement, aware.
    """
    shelf = gather(collateral)
    judged = _judge(document, roots, shelf)
    said = _revocation(judged, shelf, at)
    held = tuple(finding for one in said for finding in one.held)
    used = [item for one in said for item in one.items]
    used += [r.item for r in judged.references if r.item is not None]
    root = judged.root
    return Genuineness(
        checks=(
            _root(judged),  # (1)
            *_reviews(judged, at),  # (2)
            _chain(judged),  # (3)
            _validity(judged, at),  # (4)
            _architecture(judged),  # (5)
            *(check for one in said for check in one.checks),  # (6)
            _fwid(judged),  # (7)
            _signature(judged),  # (8)
            *_references(judged, shelf, at),  # (9)
            _measurements(judged),  # (10)
        ),
        root_class=None if root is None else root.root_class,
        tcb=_tcb(said, held),
        collateral=tuple(dict.fromkeys(map(_name, used))),
        notes=_notes(judged),
    )


def _judge(document: Document, roots: Sequence[Root], shelf: Shelf) -> _Judged:
    root: Root | None = None
    wrong: list[str] = []
    if document.chain:
        root, wrong = endorsed.vouching(document.chain[-1], roots, DEVICE_ROOT)
    # Reference values count only where they are of the same standing as the device.
    same = () if root is None else tuple(r for r in roots if r.root_class is root.root_class)
    return _Judged(
        document=document,
        root=root,
        wrong=tuple(wrong),
        references=endorsed.references(document, device.chip(document), shelf, same),
    )


def _root(judged: _Judged) -> Check:
    if not judged.path:
        return _open(G101, "root")
    root = judged.path[0]
    presented = f"{issued.title(root)}, key sha256 {issued.key_sha256(root)}"
    if judged.root is None:
        return failed(G101, "root", presented=presented, expected="a root you trust")
    return passed(G101, "root", presented=presented, source=judged.root.source)


def _reviews(judged: _Judged, at: datetime) -> Iterator[Check]:
    if not judged.path:
        yield _open(R103, "root")
        return
    yield review(judged.root, at)
    for root in dict.fromkeys(r.root for r in judged.references if r.root is not None):
        if root != judged.root:
            yield review(root, at)


def _chain(judged: _Judged) -> Check:
    if not judged.path:
        return _open(G102, "chain")
    wrong = list(judged.wrong)
    if len(judged.path) != DEPTH:
        wrong.append(f"{len(judged.path)} certificates, should be {DEPTH}")
    wrong += issued.problems(judged.path, algorithms=ALGORITHMS, leaf=issued.Leaf.USAGE)
    if wrong:
        return failed(G102, "chain", why="; ".join(wrong))
    return passed(G102, "chain", presented=" → ".join(map(issued.title, judged.path)))


def _validity(judged: _Judged, at: datetime) -> Check:
    if not judged.path:
        return _open(G103, "chain")
    instant = f"valid at {stamp(at)}"
    found = issued.not_valid(judged.path, at)
    if found:
        return failed(G103, "chain", presented="; ".join(found), expected=instant)
    return passed(G103, "chain", expected=instant)


def _architecture(judged: _Judged) -> Check:
    if not judged.path:
        return _open(G302, "architecture")
    if wrong := device.misfits(judged.document):
        return failed(G302, "architecture", why="; ".join(wrong))
    found = device.architecture(judged.document)
    return passed(G302, "architecture", presented=f"{found}, {judged.document.kind}")


def _revocation(judged: _Judged, shelf: Shelf, at: datetime) -> tuple[Said, ...]:
    if not judged.path:
        return (revocation.unknown("chain", _ALONE),)
    chain = judged.document.chain
    # Both documents are mostly of one signer, who is asked about once.
    groups: dict[tuple[bytes, ...], list[Reference]] = {}
    for reference in judged.references:
        if reference.rim is not None:
            groups.setdefault(tuple(c.der for c in reference.path), []).append(reference)
    said = [revocation.of_chain(chain, shelf, at, subject="chain", own_leaf=True)]
    for group in groups.values():
        subject = f"signers of {' and '.join(reference.role for reference in group)}"
        signers = group[0].path[::-1]
        said.append(revocation.of_chain(signers, shelf, at, subject=subject, own_leaf=False))
    return tuple(said)


def _fwid(judged: _Judged) -> Check:
    if not judged.path:
        return _open(G303, "FWID")
    reported = judged.document.opaque.get(Field.FWID)
    try:
        named = device.fwid(judged.document.chain[0])
    except Malformed as error:
        return failed(G303, "FWID", why=str(error))
    presented = "none" if reported is None else reported.hex()
    if named is None:
        return failed(G303, "FWID", presented=presented, why="the leaf names no firmware")
    if reported == named:
        return passed(G303, "FWID", presented=presented)
    if reported is not None:
        return failed(G303, "FWID", presented=presented, expected=named.hex())
    if device.architecture(judged.document) == LS10:
        why = "the switch LS10 has no such field"
        return passed(G303, "FWID", presented=presented, expected=named.hex(), why=why)
    why = "the driver is older than the field"
    return undecided(G303, "FWID", presented=presented, expected=named.hex(), why=why)


def _signature(judged: _Judged) -> Check:
    if not judged.path:
        return _open(G104, "signature")
    document = judged.document
    wrong = ecdsa_p384_raw(document.chain[0].key, document.signature, document.signed)
    return failed(G104, "signature", why=wrong) if wrong else passed(G104, "signature")


def _references(judged: _Judged, shelf: Shelf, at: datetime) -> Iterator[Check]:
    """For each role: is the document here, is it NVIDIA's, and were its signers' certificates valid?"""
    for reference in judged.references:
        role, version = reference.role, reference.version
        if reference.rim is None or reference.item is None:
            why = shelf.missing or shelf.unreadable(Kind.NVIDIA_RIM)
            yield undecided(R201, role, expected=f"the document about {version}", why=why)
            yield undecided(G204, role, why="none is at hand")
            yield undecided(R202, role, why="none is at hand")
            continue
        yield passed(R201, role, presented=version, source=reference.item.source)
        if reference.trouble:
            yield failed(G204, role, presented=version, why=reference.trouble)
        else:
            names = " → ".join(map(issued.title, reference.path))
            yield passed(G204, role, presented=f"signed by {names}")
        found = issued.not_valid(reference.path, at)
        make = failed if found else passed
        yield make(
            R202,
            f"{role}'s signers",
            presented="; ".join(found),
            expected=f"valid at {stamp(at)}",
        )


def _measurements(judged: _Judged) -> Check:
    documents = [
        (r.role, r.rim.golden) for r in judged.references if r.rim is not None and not r.trouble
    ]
    if not documents:
        return undecided(M401, "measurements", why="no reference values are at hand")
    found = golden.compare(judged.document, documents)
    count = len(found.matched)
    if found.wrong:
        return failed(M401, "measurements", presented=f"{count} match", why="; ".join(found.wrong))
    if len(documents) != len(judged.references):
        return undecided(
            M401,
            "measurements",
            presented=f"{count} match",
            why="a document with reference values is missing",
        )
    left = f", {', '.join(map(str, found.skipped))} skipped" if found.skipped else ""
    return passed(
        M401,
        "measurements",
        presented=f"{count} of {count} match{left}",
        source=" and ".join(f"{r.role} {r.version}" for r in judged.references),
    )


def _tcb(said: Sequence[Said], held: tuple[Finding, ...]) -> Tcb | None:
    """NVIDIA publishes no levels: what is known is whether a certificate is on hold."""
    if not held and not all(one.items for one in said):
        return None
    return Tcb(
        status=Status.HOLD if held else Status.GOOD,
        date=None,
        advisories=(),
        evaluation_number=None,
        findings=held,
    )


def _notes(judged: _Judged) -> tuple[str, ...]:
    document = judged.document
    if device.architecture(document) == device.HOPPER and document.mode == "ppcie":
        return (
            "in protected PCIe mode data crosses NVLink in the clear: the switches belong to it",
        )
    return ()


def _open(code: Code, subject: str) -> Check:
    return undecided(code, subject, why=_ALONE)
