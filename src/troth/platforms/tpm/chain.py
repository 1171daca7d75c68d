"""Is a quote genuine? The TPM's signature, the registers under it, and whose key it was, in order.

An attestation key counts in one of two ways. A certificate of it leads up to a root that counts: then
the cloud says that this is a key of one of its virtual TPMs. Or a root is the key itself, pinned by
SHA-256 of its SubjectPublicKeyInfo: a verified hardware report names it, or the caller does. A quote for whose key neither holds is
left open, whatever it says.

Does not verify: what was booted (the policy's), freshness (the verifier's), revocation of such keys,
and that a virtual TPM is kept from its own cloud: a certificate says who runs it, and only a hardware
report that names its key says that it runs inside of a guest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final

from troth.crypto import issued, quoted
from troth.errors import Malformed
from troth.model import collateral as model
from troth.model.check import Check, failed, passed, stamp, undecided
from troth.model.codes import Code
from troth.model.codes.fresh import R201
from troth.model.codes.genuine import G101, G102, G103, G105, G201, G601, G602, G603
from troth.model.codes.measurement import M211
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness
from troth.model.roots import Root
from troth.model.tcb import Finding, Tcb
from troth.platforms._review import review
from troth.platforms.tpm import authorities, certified, roots
from troth.platforms.tpm.authorities import Path
from troth.platforms.tpm.claims import is_empty
from troth.platforms.tpm.format import Document, attributes
from troth.wire import tpm
from troth.wire.x509 import Certificate

_MUST: Final = tpm.FIXED_TPM | tpm.FIXED_PARENT | tpm.RESTRICTED | tpm.SIGN
_MUST_NOT: Final = tpm.DECRYPT
# Handles of the hierarchies: endorsement, owner, platform, null. The parent's name of a primary key.
_HIERARCHIES: Final = (0x4000000B, 0x40000001, 0x4000000C, 0x40000007)
_CODE: Final = range(16)

# A pure function of the item, remembered for speed.
_name = lru_cache(maxsize=256)(model.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A quote with what was found for it.

    Attributes:
        document: the quote.
        bound: the root that its key is itself, or None.
        path: from its certificate upwards, or None where there is none.
    """

    document: Document
    bound: Root | None
    path: Path | None

    @property
    def root(self) -> Root | None:
        if self.bound is not None:
            return self.bound
        return None if self.path is None else self.path.root


def genuine(
    document: Document, trusted: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    """Takes every step, and goes on after a failure wherever going on has meaning.

    Args:
        document: parsed, not believed.
        trusted: the roots that count; one may be the attestation key itself.
        collateral: certificates of authorities among it.
        at: the instant of judgement, aware.
    """
    judged = _Judged(
        document=document,
        bound=_bound(document, trusted),
        path=authorities.path_of(document, collateral, trusted),
    )
    root, path = judged.root, judged.path
    return Genuineness(
        checks=(
            _algorithm(document),  # (1)
            _one_key(document),  # (2)
            _signature(document),  # (3)
            _registers(document),  # (4)
            _left_out(document),  # (5)
            _at_hand(judged),  # (6)
            _root(judged),  # (7)
            review(root, at),  # (8)
            _path(judged),  # (9)
            _validity(judged, at),  # (10)
            _attestation_key(judged),  # (11)
        ),
        root_class=None if root is None else root.root_class,
        tcb=_tcb(judged),
        collateral=() if path is None else tuple(map(_name, path.items)),
        notes=_notes(document),
    )


def _bound(document: Document, trusted: Sequence[Root]) -> Root | None:
    key = sha256(document.ak).hexdigest()
    return next((root for root in trusted if root.key_sha256 == key), None)


def _algorithm(document: Document) -> Check:
    """The scheme is the key's, where its public area fixes one; a hash that collides signs nothing."""
    signature, public = document.signature, document.public
    presented = _scheme(signature.scheme, signature.hash)
    if signature.hash == tpm.SHA1:
        return failed(G105, "signature", presented=presented, expected="SHA-256 or longer")
    if public is not None and public.scheme != tpm.NULL:
        expected = _scheme(public.scheme, public.scheme_hash)
        make = passed if presented == expected else failed
        return make(G105, "signature", presented=presented, expected=expected, source="the key")
    return passed(G105, "signature", presented=presented)


def _scheme(scheme: int, algorithm: int) -> str:
    names = {tpm.RSASSA: "RSASSA", tpm.RSAPSS: "RSAPSS", tpm.ECDSA: "ECDSA"}
    name = names.get(scheme, f"scheme {scheme:#06x}")
    return f"{name} with {tpm.BANKS.get(algorithm, f'hash {algorithm:#06x}')}"


def _one_key(document: Document) -> Check:
    digests = {name: sha256(key).hexdigest() for name, key in document.keys.items()}
    presented = ", ".join(f"{name} sha256 {digest}" for name, digest in digests.items())
    make = passed if len(set(digests.values())) == 1 else failed
    return make(G603, "attestation key", presented=presented)


def _signature(document: Document) -> Check:
    wrong = quoted.unsigned(document.ak, document.signature, document.attest.data)
    return failed(G201, "quote", why=wrong) if wrong else passed(G201, "quote")


def _registers(document: Document) -> Check:
    values = b"".join(document.pcrs.values())
    expected = quoted.digest(document.signature.hash, values).hex()
    presented = document.attest.pcr_digest.hex()
    make = passed if presented == expected else failed
    return make(G601, "PCR digest", presented=presented, expected=expected)


def _left_out(document: Document) -> Check:
    absent = [f"pcr{index}" for index in _CODE if index not in document.pcrs]
    if absent:
        return undecided(
            M211, "registers", presented=f"without {', '.join(absent)}", expected="pcr0 to pcr15"
        )
    if all(is_empty(document.pcrs[index]) for index in _CODE):
        return undecided(M211, "registers", why="nothing was measured into pcr0 to pcr15")
    return passed(M211, "registers", presented=f"{len(document.pcrs)} of {tpm.PCRS}")


def _at_hand(judged: _Judged) -> Check:
    path = judged.path
    if judged.bound is not None:
        return passed(R201, "chain", why="the key itself is trusted", source=judged.bound.source)
    if path is None:
        return undecided(R201, "chain", expected="a certificate of the attestation key")
    if not path.is_whole:
        above = issued.title(path.certificates[-1])
        expected = f"the certificates above {above if len(path.certificates) > 1 else 'the key'}"
        return undecided(R201, "chain", expected=expected, why=path.unreadable)
    return passed(R201, "chain", presented=f"{len(path.certificates)} certificates")


def _root(judged: _Judged) -> Check:
    if judged.bound is not None:
        presented = f"attestation key sha256 {judged.bound.key_sha256}"
        return passed(G101, "root", presented=presented, source=judged.bound.source)
    path = judged.path
    if path is None or not path.is_whole:
        return _open(G101, "root", judged)
    top = path.certificates[-1]
    presented = f"{issued.title(top)}, key sha256 {issued.key_sha256(top)}"
    if path.root is None:
        return failed(G101, "root", presented=presented, expected="a root you trust")
    return passed(G101, "root", presented=presented, source=path.root.source)


def _path(judged: _Judged) -> Check:
    """Asked of what is there also where the key itself is trusted: a bad chain is a bad sign."""
    path = judged.path
    if path is None:
        if judged.bound is not None:
            return passed(G102, "chain", why="the key itself is trusted")
        return _open(G102, "chain", judged)
    wrong = authorities.problems(path)
    if path.root is not None and (form := _form(path)):
        wrong.append(form)
    if wrong:
        return failed(G102, "chain", why="; ".join(wrong))
    if judged.bound is None and not path.is_whole:
        return _open(G102, "chain", judged)
    return passed(G102, "chain", presented=" ← ".join(map(issued.title, path.certificates)))


def _form(path: Path) -> str:
    """A cloud's root vouches for its attestation keys in their own form, and for other keys as well."""
    assert path.root is not None  # noqa: S101 - the caller asked
    expected, leaf = roots.issuer(path.root), path.certificates[0]
    if expected and _issuer_by_form(leaf) != expected:
        return f"the attestation key's certificate is not of the form of {expected}'s"
    return ""


def _validity(judged: _Judged, at: datetime) -> Check:
    path = judged.path
    if path is None:
        if judged.bound is not None:
            return passed(G103, "chain", why="the key itself is trusted")
        return _open(G103, "chain", judged)
    instant = f"valid at {stamp(at)}"
    found = issued.not_valid(path.certificates, at)
    if found:
        return failed(G103, "chain", presented="; ".join(found), expected=instant)
    if judged.bound is None and not path.is_whole:
        return _open(G103, "chain", judged)
    return passed(G103, "chain", expected=instant)


def _attestation_key(judged: _Judged) -> Check:
    """Whether the key signs nothing but what its TPM made, and who says so."""
    document, expected = judged.document, "fixedTPM, fixedParent, restricted, sign; not decrypt"
    public = document.public
    if public is not None:
        held = public.attributes
        if held & _MUST != _MUST or held & _MUST_NOT:
            return failed(G602, "attributes", presented=attributes(public), expected=expected)
        if _is_named(document.attest.qualified_signer, public):
            return passed(
                G602, "attributes", presented=attributes(public), why="the quote names this key"
            )
        why = "the quote does not name this public area as that of a primary key; send the quote without"
        return undecided(G602, "attributes", presented=attributes(public), why=why)
    if judged.bound is not None:
        return passed(G602, "attributes", why="whoever vouches for the key vouches for its kind")
    path = judged.path
    if path is not None and path.root is not None:
        leaf = path.certificates[0]
        if certified.certifies_ak(leaf) or certified.INSTANCE in leaf.extensions:
            return passed(G602, "attributes", why="its certificate is of an attestation key")
    return undecided(
        G602, "attributes", expected=expected, why="nothing bound to the quote says so"
    )


def _is_named(name: bytes, public: tpm.Public) -> bool:
    """Whether the quote's qualified signer is this key as a primary key of one of the hierarchies.

    Part 1, section 16: Name = algorithm ‖ H(public area); qualified name = algorithm ‖ H(parent's ‖ Name),
    and the parent's name of a primary key is its hierarchy's handle.
    """
    algorithm = public.name_algorithm.to_bytes(2, "big")
    own = algorithm + quoted.digest(public.name_algorithm, public.data)
    return any(
        name == algorithm + quoted.digest(public.name_algorithm, handle.to_bytes(4, "big") + own)
        for handle in _HIERARCHIES
    )


def _tcb(judged: _Judged) -> Tcb | None:
    """No cloud publishes levels: what is known is who vouches for the key, of which a policy may ask."""
    if judged.bound is not None:
        issuer = roots.BOUND
    elif judged.path is not None and judged.path.root is not None:
        root, leaf = judged.path.root, judged.path.certificates[0]
        issuer = roots.issuer(root) or _issuer_by_form(leaf) or "another authority"
    else:
        return None
    return Tcb(
        status="",
        date=None,
        advisories=(),
        evaluation_number=None,
        findings=(Finding(part=issuer, status="", date=None),),
    )


def _issuer_by_form(leaf: Certificate) -> str:
    try:
        if certified.instance(leaf) is not None:
            return roots.GOOGLE
    except Malformed:
        return ""
    return roots.AZURE if certified.is_azures(leaf) else ""


def _notes(document: Document) -> tuple[str, ...]:
    return ("its clock may have been set back (not safe)",) if not document.attest.safe else ()


def _open(code: Code, subject: str, judged: _Judged) -> Check:
    what = "certificate" if judged.path is None else "whole chain"
    return undecided(code, subject, why=f"no {what} of the attestation key is at hand")
