"""Endorsements as vendors serve them, and as another verifier keeps them, to items. Nothing is believed.

A bare file is told by its bytes: signed JSON by its outer member, certificates and CRLs by the common
names in them. The platforms look at all of it again, under signatures.
"""

import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from troth.errors import Malformed
from troth.model.collateral import Item, Kind
from troth.wire import x509
from troth.wire.der import INTEGER, SEQUENCE, span
from troth.wire.text import from_base64, from_hex

_PEM: Final = b"-----BEGIN "
_PEM_CRL: Final = re.compile(
    rb"-----BEGIN X509 CRL-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END X509 CRL-----\s*"
)
_HEX: Final = re.compile(rb"[0-9a-fA-F]+")
_DOCUMENTS: Final = {
    "tcbInfo": Kind.INTEL_TCB_INFO,
    "enclaveIdentity": Kind.INTEL_QE_IDENTITY,
    "tcbEvaluationDataNumbers": Kind.INTEL_EVALUATION_NUMBERS,
}
# The JSON that dcap-qvl reads: each document with its signature and chain, and the CRLs.
_PIECES: Final = {
    "tcb_info": ("tcbInfo", "tcb_info_signature", "tcb_info_issuer_chain"),
    "qe_identity": ("enclaveIdentity", "qe_identity_signature", "qe_identity_issuer_chain"),
}
_OTHERS: Final = frozenset(
    {"pck_crl", "pck_crl_issuer_chain", "root_ca_crl", "pck_certificate_chain"}
)
_KNOWN: Final = _OTHERS.union(
    *((name, signature, chain) for name, (_, signature, chain) in _PIECES.items())
)
# What NVIDIA's service answers with: a document, its name, and a digest that the document's own
# signature makes superfluous.
_RIM: Final = frozenset({"id", "rim", "sha256"})
_ENUMERATED: Final = 0x0A
_LOG: Final = b"\xa4\x65older"
_INTEL_ROOT: Final = "Intel SGX Root CA"
_TCB_SIGNER: Final = "Intel SGX TCB Signing"
_PCK: Final = "Intel SGX PCK Certificate"
_PCK_CA: Final = re.compile(r"Intel SGX PCK (?:Platform|Processor) CA")
_AMD_CA: Final = re.compile(r"(?:ARK|SEV)-(?:VLEK-)?[A-Za-z0-9]+")
# Authorities of clouds' virtual TPMs: Azure's, Google's of two generations, and a simulator's.
_TPM_CA: Final = re.compile(
    r"Global Virtual TPM CA - \d+|Azure Virtual TPM Root Certificate Authority \d+"
    r"|EK/AK CA (?:Root|Intermediate)|tpm_ek_v1_cloud_host(?:_root)?-signer-.*"
    r"|(?:azure|google) virtual TPM (?:root|CA - \d+)"
)


def item(data: bytes, *, name: str) -> Item:
    """One endorsement that is not JSON: certificates, a CRL, an OCSP answer or a RIM document.

    Certificates and CRLs come as DER, PEM, or hex of DER.

    Raises:
        Malformed: it is none that troth knows.
    """
    if data.startswith(_PEM):
        match = _PEM_CRL.fullmatch(data)
        if match is None:
            return _certificates(data, name)
        return _crl(_base64(match[1], name), name)
    if _is_rim(data):
        return Item(kind=Kind.NVIDIA_RIM, data=data, source=name)
    if data.startswith(_LOG):
        from troth.tlog import snapshot  # which nobody needs whose policy asks for no log

        snapshot.unpack(data, field=name)
        return Item(kind=Kind.RELEASE_LOG, data=data, source=name)
    if _is_ocsp(data):
        return Item(kind=Kind.NVIDIA_OCSP, data=data, source=name)
    text = data.strip()
    if _HEX.fullmatch(text):
        return _crl(from_hex(text.decode("ascii"), field=name), name)
    try:
        certificate = x509.read(data)
    except Malformed:
        return _crl(data, name)
    return _endorsement(certificate, name)


def document(value: Mapping[str, Any], data: bytes, *, name: str) -> Item:
    """A signed JSON document as Intel serves it, its issuer chain apart; or NVIDIA's RIM in JSON.

    Raises:
        Malformed: it is none.
    """
    if isinstance(value.get("keys"), list):
        from troth.platforms.tokens.collateral import kind as whose

        return Item(kind=whose(data), data=data, source=name)
    if value.keys() >= _RIM:
        return Item(kind=Kind.NVIDIA_RIM, data=_rim(value, name), source=name)
    outer = set(value) - {"signature"}
    kind = _DOCUMENTS.get(next(iter(outer), "")) if len(outer) == 1 else None
    if kind is None or "signature" not in value:
        raise Malformed(
            "is no collateral that troth reads",
            field=name,
            fix="give a file of `troth trust freeze`, or endorsements as their vendor serves them",
        )
    return Item(kind=kind, data=data, source=name)


def _is_rim(data: bytes) -> bool:
    if not data[:1024].lstrip().startswith(b"<"):
        return False  # most collateral is Intel's or AMD's, and needs no reader of XML
    from troth.platforms.nvidia import rim

    return rim.looks_like(data)


def _rim(value: Mapping[str, Any], name: str) -> bytes:
    text = value["rim"]
    if not isinstance(text, str) or not text.isascii():
        raise Malformed("is no text of ASCII", field=f"{name}: rim")
    data = from_base64(text.encode("ascii"), field=f"{name}: rim")
    if not _is_rim(data):
        raise Malformed("is no RIM document", field=f"{name}: rim")
    return data


def _is_ocsp(data: bytes) -> bool:
    """An OCSP answer begins with its status, an ENUMERATED, where a CRL or certificate has a SEQUENCE."""
    try:
        begin, end = span(data, 0, len(data), "OCSP answer", SEQUENCE)
    except Malformed:
        return False
    return end == len(data) and data[begin : begin + 1] == bytes((_ENUMERATED,))


def is_quote_collateral(value: Mapping[str, Any]) -> bool:
    """Whether this is the JSON that dcap-qvl reads."""
    return not _KNOWN.isdisjoint(value.keys())


def quote_collateral(value: Mapping[str, Any], *, name: str) -> tuple[Item, ...]:
    """The items in dcap-qvl's JSON, each with the body that Intel serves.

    Raises:
        Malformed: an unknown or lonely member, or one that is not text.
    """
    unknown = sorted(value.keys() - _KNOWN)
    if unknown:
        raise Malformed(f"has the unknown member {unknown[0][:40]!r}", field=name)
    for key, text in value.items():
        if not isinstance(text, str):
            raise Malformed("is not text", field=f"{name}: {key}")
    found = []
    for piece, (member, signature, chain) in _PIECES.items():
        if (piece in value) != (signature in value):
            raise Malformed("stands without its other half", field=f"{name}: {piece}")
        if piece in value:
            from_hex(value[signature], field=f"{name}: {signature}")
            body = f'{{"{member}":{value[piece]},"signature":"{value[signature]}"}}'
            found.append(
                Item(
                    kind=_DOCUMENTS[member],
                    data=_text(body, f"{name}: {piece}"),
                    chain=_chain(value, chain, name),
                    source=name,
                )
            )
    for piece, kind, chain in (
        ("root_ca_crl", Kind.INTEL_ROOT_CRL, ""),
        ("pck_crl", Kind.INTEL_PCK_CRL, "pck_crl_issuer_chain"),
    ):
        if piece in value:
            der = from_hex(value[piece], field=f"{name}: {piece}")
            crl_issuer(der, name)
            found.append(Item(kind=kind, data=der, chain=_chain(value, chain, name), source=name))
    if "pck_certificate_chain" in value:
        pem = _chain(value, "pck_certificate_chain", name)
        found.append(Item(kind=Kind.INTEL_PCK_CHAIN, data=pem, source=name))
    return tuple(found)


def issuer_chain(data: bytes) -> bytes | None:
    """The PEM, leaf first, of a file that is the chain of an issuer of Intel's and no endorsement."""
    try:
        ders = x509.read_pem(data, field="") if data.startswith(_PEM) else ()
        first = [x509.read(der) for der in ders]
    except Malformed:
        return None  # said where the file is read for what it is
    if len(first) > 1 and first[0].subject == first[0].issuer:
        first, ders = first[::-1], ders[::-1]  # Intel's samples write the root first
    leaf = x509.common_name(first[0].subject) if first else ""
    if leaf in (_INTEL_ROOT, _TCB_SIGNER) or _PCK_CA.fullmatch(leaf):
        return b"".join(to_pem(der) for der in ders)
    return None


def with_chain(item: Item, chains: Sequence[bytes]) -> Item:
    """The item with the one chain, of those that lie beside it, whose leaf can have issued it."""
    if item.chain:
        return item
    if item.kind in _DOCUMENTS.values():
        wanted = _TCB_SIGNER
    elif item.kind in (Kind.INTEL_PCK_CRL, Kind.INTEL_ROOT_CRL):
        wanted = crl_issuer(item.data, item.source)
    else:
        return item
    fitting = [chain for chain in dict.fromkeys(chains) if _leaf(chain) == wanted]
    return replace(item, chain=fitting[0]) if len(fitting) == 1 else item


def crl_issuer(der: bytes, name: str) -> str:
    """The common name of a CRL's issuer (RFC 5280, 5.1).

    Raises:
        Malformed: it is no CRL.
    """
    field = f"{name}: CRL"
    start, end = span(der, 0, len(der), field, SEQUENCE)
    if end != len(der):
        raise Malformed(f"{len(der) - end} bytes follow", field=field, offset=end)
    at, end = span(der, start, end, field, SEQUENCE)
    if der[at : at + 1] == bytes((INTEGER,)):
        _, at = span(der, at, end, field)
    _, at = span(der, at, end, field, SEQUENCE)
    _, last = span(der, at, end, field, SEQUENCE)
    return x509.common_name(der[at:last])


def to_pem(der: bytes) -> bytes:
    """One certificate as PEM, in lines of 64 characters (RFC 7468)."""
    text = binascii.b2a_base64(der, newline=False)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    return b"\n".join((begin, *lines, end, b""))


def _leaf(chain: bytes) -> str:
    return x509.common_name(x509.read(x509.read_pem(chain, field="chain")[0]).subject)


def _certificates(data: bytes, name: str) -> Item:
    found = [x509.read(der) for der in x509.read_pem(data, field=name)]
    leaf = x509.common_name(found[0].subject)
    if leaf == _PCK:
        return Item(kind=Kind.INTEL_PCK_CHAIN, data=data, source=name)
    if _AMD_CA.fullmatch(leaf) and leaf not in ("SEV-VCEK", "SEV-VLEK"):
        return Item(kind=Kind.AMD_CHAIN, data=data, source=name)
    if all(_TPM_CA.fullmatch(x509.common_name(one.subject)) for one in found):
        return Item(kind=Kind.TPM_CHAIN, data=data, source=name)
    if len(found) == 1:
        return _endorsement(found[0], name)
    raise Malformed(f"is a chain of {leaf[:64]!r}, which troth does not know", field=name)


def _endorsement(certificate: x509.Certificate, name: str) -> Item:
    if _TPM_CA.fullmatch(x509.common_name(certificate.subject)):
        return Item(kind=Kind.TPM_CHAIN, data=to_pem(certificate.der), source=name)
    if not _AMD_CA.fullmatch(x509.common_name(certificate.issuer)):
        subject = x509.common_name(certificate.subject)
        raise Malformed(f"is a certificate of {subject[:64]!r}, no endorsement", field=name)
    return Item(kind=Kind.AMD_ENDORSEMENT, data=certificate.der, source=name)


def _crl(der: bytes, name: str) -> Item:
    issuer = crl_issuer(der, name)
    if issuer == _INTEL_ROOT:
        kind = Kind.INTEL_ROOT_CRL
    elif _PCK_CA.fullmatch(issuer):
        kind = Kind.INTEL_PCK_CRL
    elif _AMD_CA.fullmatch(issuer):
        kind = Kind.AMD_CRL
    else:
        raise Malformed(f"is a CRL of {issuer[:64]!r}, which troth does not know", field=name)
    return Item(kind=kind, data=der, source=name)


def _base64(text: bytes, name: str) -> bytes:
    try:
        return binascii.a2b_base64(re.sub(rb"\s", b"", text), strict_mode=True)
    except binascii.Error:
        raise Malformed("is not base64", field=name) from None


def _chain(value: Mapping[str, Any], key: str, name: str) -> bytes:
    text = _text(value.get(key, ""), f"{name}: {key}")
    if text:
        x509.read_pem(text, field=f"{name}: {key}")
    return text


def _text(text: str, field: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("holds half a surrogate pair", field=field) from None
