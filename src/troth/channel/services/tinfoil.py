"""Tinfoil: an attestation document at a well-known address, in two versions.

*v3* answers a nonce; see `tinfoil_document`. *v2* is made once at start: REPORT_DATA is the SHA-256 of
the TLS key's SubjectPublicKeyInfo, then the X25519 key that bodies are encrypted to (EHBP). Its TLS
certificate repeats that key and the document's hash in its names; v3 ignores names.

A host that answers with v2 when asked for v3 loses freshness, and the verdict with it.
"""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from troth.channel import ehbp
from troth.channel.services import _leaf, tinfoil_collateral, tinfoil_document
from troth.channel.services._service import UNSIGNED, Found, Service
from troth.channel.services.tinfoil_document import SPKI, SPKI_SHA256, X25519_HPKE, Document
from troth.channel.web import Redirected, Web
from troth.errors import Malformed, Misuse
from troth.model.channel import Binding
from troth.model.claims import Source
from troth.model.composite import Composite, Part
from troth.model.statement import Statement, Status
from troth.platforms import detect
from troth.wire import json
from troth.wire.text import from_base64

PATH: Final = "/.well-known/tinfoil-attestation"
SNP_V2: Final = "https://tinfoil.sh/predicate/sev-snp-guest/v2"
TDX_V2: Final = "https://tinfoil.sh/predicate/tdx-guest/v2"
MAX_REPORT: Final = 1024 * 1024

_MARK: Final = b"https://tinfoil.sh/predicate/"
_GZIP: Final = 16 + zlib.MAX_WBITS
_HALF: Final = 32
_PLATFORMS: Final = {
    SNP_V2: "snp",
    TDX_V2: "tdx",
    tinfoil_document.SNP_REPORT: "snp",
    tinfoil_document.TDX_QUOTE: "tdx",
}
_CHUNK: Final = re.compile(r"([0-9]{2})([a-z2-7]{1,61})\.(hpke|hatt)\.[a-z0-9.-]+")

_BOTH: Final = (
    "whoever gets hold of the key can stand in from any machine; no session is named",
    UNSIGNED,
    "no event log: registers count whole, against those of a release",
)
_V2: Final = (
    "no freshness: the document is made once at start and carries no nonce",
    "no evidence of a GPU: the measured guest is all that speaks for it",
    *_BOTH,
)
_GPUS: Final = (
    "that the GPUs sit in this machine: the measured guest put their evidence beside its own"
)
_NO_TLS: Final = (
    "this TLS session: its key is not in the evidence, and only encrypted bodies are safe"
)


def ask(web: Web, nonce: bytes) -> Found | None:
    """What a host shows for this nonce; None if it has no such document."""
    if not web.secure:
        return None
    try:
        answer = web.get(PATH, query={"nonce": nonce.hex()}, limit=tinfoil_document.MAX)
    except Redirected:
        return None
    if answer.status != 200 or _MARK not in answer.body.replace(rb"\/", b"/"):
        return None
    if _format(answer.body) in (SNP_V2, TDX_V2):
        leaf = _leaf.read(web.certificate)
        names = () if leaf is None else tuple(_leaf.dns_names(leaf))
        return of_v2(answer.body, key=web.key, names=names, served=_served(web))
    return of_v3(answer.body, nonce=nonce, key=web.key)


def of_v2(
    body: bytes, *, key: bytes | None, names: Sequence[str] = (), served: bytes | None = None
) -> Found:
    """A document of version 2.

    Args:
        body: the answer.
        key: SubjectPublicKeyInfo (DER) of the TLS key that must be in it, or None where only bodies
            are to be encrypted, to the key in it.
        names: DNS names of the TLS certificate.
        served: the key that the host gives out for encrypted bodies, or None.

    Raises:
        Malformed: another form, or names and address give two keys for encrypted bodies.
    """
    value = json.parse(body, field="attestation document", limit=tinfoil_document.MAX)
    if not isinstance(value, dict) or value.keys() != {"format", "body"}:
        raise Malformed("has other members than format and body", field="attestation document")
    kind, text = value["format"], value["body"]
    if kind not in (SNP_V2, TDX_V2) or not isinstance(text, str):
        raise Malformed(f"is {str(kind)[:80]!r}, unknown", field="attestation document: format")
    evidence = unpacked(from_base64(text.encode("ascii", "replace"), field="body"))
    bound = _user_data(evidence, kind)
    named = chunks(names, "hpke")
    if named is not None and served is not None and named != served:
        raise Malformed("names another key than the host gives out", field="TLS certificate")
    hpke = served or named or bound[_HALF:]
    tls = bound[:_HALF] if key is None else hashlib.sha256(key).digest()
    part = Part(
        name="cpu",
        evidence=evidence,
        says="REPORT_DATA is the hash of the TLS key and the key of encrypted bodies",
        user_data=tls + hpke,
    )
    return Found(
        service="tinfoil-v2",
        composite=Composite(parts=(part,), framing="Tinfoil's attestation document, version 2"),
        binding=Binding.KEY,
        keys=({} if key is None else {"tls": key}) | ({"hpke": hpke} if any(hpke) else {}),
        not_bound=(*_V2, *(() if key else (_NO_TLS,))),
        statements=(_certified(names, kind + text), *_unsaid(devices=False)),
        raw={PATH: body},
    )


def of_v3(body: bytes, *, nonce: bytes, key: bytes | None) -> Found:
    """A document of version 3.

    Args:
        body: the answer.
        nonce: what was asked, 32 bytes: the document's own word for it counts for nothing.
        key: as for `of_v2`.

    Raises:
        Malformed: another form, or one that contradicts itself.
        Misuse: the nonce is not 32 bytes.
    """
    if len(nonce) != tinfoil_document.NONCE_SIZE:
        raise Misuse("a nonce for Tinfoil is 32 bytes")
    document = tinfoil_document.read(body)
    _user_data(document.evidence, document.cpu_format)
    section, says = (
        document.crypto_material,
        "REPORT_DATA is a hash over the nonce, keys and devices",
    )
    digest = _tls(document)
    wanted = None if key is None else hashlib.sha256(key).digest()
    if digest is not None and wanted is not None and digest != wanted:
        section = tinfoil_document.naming(document, wanted)
        says = "the keys that REPORT_DATA endorses hold another TLS key than this session's"
    cpu = Part(
        name="cpu",
        evidence=document.evidence,
        says=says,
        user_data=tinfoil_document.report_data(nonce, section, document.device_evidence),
        over_nonce=True,
    )
    keys = {"tls": key} if key is not None and digest is not None else {}
    hpke = document.keys.get("hpke")
    if hpke is not None and hpke.format == X25519_HPKE:
        keys["hpke"] = hpke.data
    found = tinfoil_collateral.references(document.collateral)
    return Found(
        service="tinfoil-v3",
        composite=Composite(
            parts=(cpu, *_devices(document, nonce)),
            framing="Tinfoil's attestation document, version 3",
        ),
        binding=Binding.KEY if keys else Binding.NONE,
        keys=keys,
        nonce=nonce,
        not_bound=(
            *((_GPUS,) if document.devices else ()),
            *_BOTH,
            *(() if "tls" in keys else (_NO_TLS,)),
        ),
        statements=_unsaid(devices=bool(document.devices)),
        collateral=tinfoil_collateral.endorsements(document.collateral),
        raw={PATH: body} | {f"{r.format} {at}": r.bundle for at, r in enumerate(found)},
    )


def unpacked(data: bytes) -> bytes:
    """A report out of its gzip member.

    Raises:
        Malformed: it is no gzip, or not one member alone, or too long.
    """
    reader = zlib.decompressobj(_GZIP)
    try:
        report = reader.decompress(data, MAX_REPORT + 1)
    except zlib.error:
        raise Malformed("is not gzip", field="body") from None
    if len(report) > MAX_REPORT:
        raise Malformed(f"is longer than {MAX_REPORT} bytes unpacked", field="body")
    if not reader.eof or reader.unused_data:
        raise Malformed("ends early, or goes on behind its end", field="body")
    return report


def chunks(names: Iterable[str], kind: str) -> bytes | None:
    """What a certificate's names encode: `NN` and base32, then `.hpke.` or `.hatt.` and a domain.

    Returns:
        The bytes, or None where no name is of this kind.

    Raises:
        Malformed: a number is missing or there twice, or it is not base32.
    """
    found = [m for m in map(_CHUNK.fullmatch, map(str.lower, names)) if m and m[3] == kind]
    if not found:
        return None
    field = f"certificate's names: {kind}"
    ordered = sorted(found, key=lambda match: match[1])
    if [int(match[1]) for match in ordered] != list(range(len(ordered))):
        raise Malformed("are not numbered from 00 without a gap", field=field)
    text = "".join(match[2] for match in ordered).upper()
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise Malformed("are not base32", field=field) from None


def names_of(kind: str, data: bytes, domain: str) -> Iterator[str]:
    """The names that encode `data`, as `chunks` reads them."""
    text = base64.b32encode(data).decode("ascii").rstrip("=").lower()
    size = 61  # with its number, what a DNS label takes
    for number, at in enumerate(range(0, len(text), size)):
        yield f"{number:02d}{text[at : at + size]}.{kind}.{domain}"


def document_hash(kind: str, body: str) -> str:
    """What a v2 certificate's names say of the document: SHA-256 of both members, hex."""
    return hashlib.sha256((kind + body).encode("utf-8")).hexdigest()


def _format(body: bytes) -> Any:
    value = json.parse(body, field="attestation document", limit=tinfoil_document.MAX)
    return value.get("format") if isinstance(value, dict) else None


def _served(web: Web) -> bytes | None:
    """The key that the host gives out for encrypted bodies, which proves nothing by itself."""
    try:
        answer = web.get(ehbp.KEYS_PATH, limit=64 * 1024)
    except Redirected:
        return None
    kind = next((v for n, v in answer.headers if n.lower() == "content-type"), "")
    if answer.status != 200 or kind.partition(";")[0].strip().lower() != ehbp.KEYS_TYPE:
        return None
    return ehbp.read_keys(answer.body)


def _user_data(evidence: bytes, kind: str) -> bytes:
    """REPORT_DATA of a report that is of the kind it was said to be."""
    found = detect(evidence)
    if found is None or found[0].name != _PLATFORMS[kind]:
        raise Malformed(f"is not what {kind} says", field="CPU evidence")
    platform, bare, _ = found
    data = platform.claims(platform.parse(bare), None).user_data
    if data is None or len(data) != 2 * _HALF:
        raise Malformed("has no REPORT_DATA of 64 bytes", field="CPU evidence")
    return data


def _tls(document: Document) -> bytes | None:
    """SHA-256 of the TLS key that the section of keys names, or None."""
    key = document.keys.get("tls")
    if key is None or key.format not in (SPKI, SPKI_SHA256):
        return None
    return key.data if key.format == SPKI_SHA256 else hashlib.sha256(key.data).digest()


def _devices(document: Document, nonce: bytes) -> Iterator[Part]:
    """All of them: what troth cannot read is not accepted, and none is left away."""
    seen: dict[str, int] = {}
    for device in document.devices:
        stem = "gpu" if device.kind == "gpu" else "device"
        number = seen[stem] = seen.get(stem, -1) + 1
        yield Part(
            name=f"{stem}-{number}",
            evidence=json.canonical(device.evidence),
            says="REPORT_DATA endorses its bytes by their hash, and its own nonce is yours",
            nonce=nonce,
        )


def _certified(names: Sequence[str], document: str) -> Statement:
    """Whether the certificate was issued for this document, as its issuer's log shows."""
    name, wanted = "certificate_names", hashlib.sha256(document.encode("utf-8")).hexdigest()
    said = chunks(names, "hatt")
    if said is None:
        why = "the certificate names no attestation document"
        return Statement(name=name, status=Status.UNKNOWN, source=None, why=why)
    status = Status.ASSERTED if said == wanted.encode("ascii") else Status.REFUTED
    word = "this" if status is Status.ASSERTED else "another"
    why = f"the certificate was issued for {word} attestation document"
    return Statement(name=name, status=status, source=Source.VERIFIER, why=why)


def _unsaid(*, devices: bool) -> tuple[Statement, ...]:
    """What no member of the document speaks of."""
    said = {
        "serving_software_known_good": "the release that its measurements belong to was not given",
        "model_weights_provenance": "no member of the document speaks of weights",
    }
    if not devices:
        said["gpu_attested"] = "the document holds no evidence of a GPU"
    return tuple(
        Statement(name=name, status=Status.UNKNOWN, source=None, why=why)
        for name, why in said.items()
    )


SERVICE: Final = Service(
    name="tinfoil",
    title="Tinfoil",
    ask=ask,
    not_bound=(*_V2[:2], _GPUS, *_BOTH),
)
