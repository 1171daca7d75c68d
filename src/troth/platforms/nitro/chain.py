"""Is a Nitro document genuine? AWS's steps, and what its text leaves out, in order.

Does not verify: what runs (see the policy), freshness (the verifier's), revocation (AWS says not to
check CRLs for attestation; the platform lists it as something it has not).
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from troth.crypto import beside, issued, keys
from troth.crypto.beside import Asked
from troth.crypto.signature import ecdsa_p384_raw
from troth.errors import Malformed
from troth.model.check import Check, failed, passed, stamp, undecided
from troth.model.codes.genuine import G101, G102, G103, G104, G105, G106
from troth.model.codes.measurement import M211
from troth.model.platform import Genuineness
from troth.model.roots import Root
from troth.platforms._review import review as _review
from troth.platforms.nitro.format import Document
from troth.wire.cose import ES384
from troth.wire.x509 import Certificate

ALGORITHMS: Final = frozenset({keys.ECDSA_SHA384})
_BOOTED: Final = range(16)


def genuine(
    document: Document, roots: Sequence[Root], at: datetime, *, enclave: bool = True
) -> Genuineness:
    """Takes every step, and goes on after a failure wherever going on has meaning.

    Args:
        document: parsed, not believed.
        roots: the roots that count, by digest; the first that matches gives its class.
        at: the instant of judgement, aware.
        enclave: whether it is an enclave's, whose PCR4 names its parent; else a NitroTPM's.
    """
    presented = hashlib.sha256(document.cabundle[0]).hexdigest()
    root = next((r for r in roots if r.sha256 == presented), None)
    chain, trouble = _read_chain(document)
    if chain:  # its own signature is checked while the chain is looked at
        sign1, key = document.sign1, chain[-1].key
        beside.begin((Asked(key, keys.P384_RAW, sign1.signature, sign1.to_be_signed()),))
    return Genuineness(
        checks=(
            _algorithm(document),  # (1)
            _root(presented, root),  # (2)
            _review(root, at),  # (3)
            _path(chain, trouble),  # (4)
            _validity(chain, at),  # (5)
            _signature(document, chain),  # (6)
            _instance(document) if enclave else _left_out(document),  # (7)
        ),
        root_class=None if root is None else root.root_class,
    )


def _read_chain(document: Document) -> tuple[tuple[Certificate, ...], str]:
    """Root first, leaf last; empty with the trouble in words where one cannot be read."""
    try:
        return tuple(issued.read(der) for der in (*document.cabundle, document.certificate)), ""
    except Malformed as error:
        return (), str(error)


def _algorithm(document: Document) -> Check:
    presented = f"COSE algorithm {document.sign1.alg}"
    expected = f"COSE algorithm {ES384} (ES384)"
    make = passed if document.sign1.alg == ES384 else failed
    return make(G105, "COSE protected header", presented=presented, expected=expected)


def _root(sha256: str, root: Root | None) -> Check:
    presented = f"sha256 {sha256}"
    if root is None:
        return failed(G101, "cabundle[0]", presented=presented, expected="a root you trust")
    return passed(G101, "cabundle[0]", presented=presented, source=root.source)


def _path(chain: Sequence[Certificate], trouble: str) -> Check:
    found = [trouble] if trouble else issued.problems(chain, algorithms=ALGORITHMS)
    if found:
        return failed(G102, "certificate chain", why="; ".join(found))
    return passed(G102, "certificate chain", presented=f"{len(chain)} certificates")


def _validity(chain: Sequence[Certificate], at: datetime) -> Check:
    if not chain:
        return undecided(G103, "certificate chain", why="the chain could not be read")
    found = issued.not_valid(chain, at)
    instant = f"valid at {stamp(at)}"
    if found:
        return failed(G103, "certificate chain", presented="; ".join(found), expected=instant)
    return passed(G103, "certificate chain", expected=instant)


def _signature(document: Document, chain: Sequence[Certificate]) -> Check:
    if not chain:
        return undecided(G104, "signature", why="the leaf certificate gives no key on a curve")
    sign1 = document.sign1
    wrong = ecdsa_p384_raw(chain[-1].key, sign1.signature, sign1.to_be_signed())
    return failed(G104, "signature", why=wrong) if wrong else passed(G104, "signature")


def _left_out(document: Document) -> Check:
    """Registers that take up what was booted must be there, and something must be in one of them."""
    absent = [f"pcr{index}" for index in _BOOTED if index not in document.pcrs]
    if absent:
        return undecided(
            M211, "registers", presented=f"without {', '.join(absent)}", expected="pcr0 to pcr15"
        )
    if not any(any(document.pcrs[index]) for index in _BOOTED):
        return undecided(M211, "registers", why="nothing was measured into pcr0 to pcr15")
    return passed(M211, "registers", presented=str(len(document.pcrs)))


def _instance(document: Document) -> Check:
    """PCR4 = SHA-384(48 zero bytes ‖ instance id as ASCII), the id being module_id's first part."""
    instance = document.module_id.rpartition("-enc")[0]
    expected = hashlib.sha384(bytes(48) + instance.encode("ascii")).hexdigest()
    presented = document.pcrs.get(4, b"").hex()
    make = passed if instance.startswith("i-") and presented == expected else failed
    return make(
        G106, "pcr4", presented=presented, expected=expected, source=f"module_id {instance}"
    )
