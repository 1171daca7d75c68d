"""Tinfoil's attestation document, version 3: strict JSON whose two sections the CPU's report endorses.

`REPORT_DATA` = SHA-256(label ‖ nonce ‖ SHA-256(crypto_material) ‖ SHA-256(device_evidence)), then 32
zeros. Both sections are hashed as the bytes that the base64 holds, and never written anew.

Does not believe any of it: a document that agrees with itself is worth nothing before the hardware's
report has been found to hold this REPORT_DATA.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.channel import keyset
from troth.errors import Malformed
from troth.wire import json
from troth.wire.text import from_base64, from_hex

FORMAT: Final = "https://tinfoil.sh/predicate/attestation/v3"
ALGORITHM: Final = "https://tinfoil.sh/report-data/v1"
SNP_REPORT: Final = "https://tinfoil.sh/format/sev-snp-report/v1"
TDX_QUOTE: Final = "https://tinfoil.sh/format/tdx-quote/v1"
CRYPTO_MATERIAL: Final = "https://tinfoil.sh/crypto-material/v1"
DEVICE_EVIDENCE: Final = "https://tinfoil.sh/device-evidence/v1"
SPKI_SHA256: Final = "https://tinfoil.sh/key/spki-fp-sha256/v1"
SPKI: Final = "https://tinfoil.sh/key/spki/v1"
X25519_HPKE: Final = "https://tinfoil.sh/key/x25519-hpke/v1"
NONCE_SIZE: Final = 32
REPORT_DATA_SIZE: Final = 64
MAX: Final = 8 * 1024 * 1024

_FIELD: Final = "attestation document"
_HASH: Final = 32
_MAX_ITEMS: Final = 32
_ROLES: Final = ("endorsement", "reference-values")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One endorsed key: how `data` is to be understood is what `format` says."""

    format: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device's evidence.

    Attributes:
        name, kind, vendor, format: as the section has them.
        evidence: any JSON.
    """

    name: str
    kind: str
    vendor: str
    format: str
    evidence: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One piece of collateral, which nothing endorses: it counts for what its own signatures say.

    Attributes:
        name, role, format: as the document has them.
        subjects: what it is about, such as `cpu`.
        data: any JSON.
    """

    name: str
    role: str
    format: str
    subjects: tuple[str, ...]
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that agrees with itself.

    Attributes:
        nonce: what it says it was asked with.
        cpu_format: of `evidence`.
        evidence: the CPU's report or quote.
        crypto_material, device_evidence: the sections, as they were hashed.
        keys: by name, in the first.
        devices: in the second.
        collateral: what came beside.
    """

    nonce: bytes
    cpu_format: str
    evidence: bytes
    crypto_material: bytes
    device_evidence: bytes
    keys: Mapping[str, Key]
    devices: tuple[Device, ...]
    collateral: tuple[Entry, ...]


def report_data(nonce: bytes, crypto_material: bytes, device_evidence: bytes) -> bytes:
    """What the CPU's report must hold, 64 bytes, for a nonce of 32 and the sections as they travel."""
    parts = (
        ALGORITHM.encode("ascii"),
        nonce,
        hashlib.sha256(crypto_material).digest(),
        hashlib.sha256(device_evidence).digest(),
    )
    return hashlib.sha256(b"".join(parts)).digest().ljust(REPORT_DATA_SIZE, b"\0")


def read(data: bytes) -> Document:
    """A document of exactly this form.

    Raises:
        Malformed: not strict JSON; a member too many or too few; hex that is not lower-case, base64 not
            in its one form; a name twice; or hashes that are not those of the sections beside them.
    """
    members = ("format", "challenge", "cpu_evidence", "crypto_material", "device_evidence")
    value = _object(json.parse(data, field=_FIELD, limit=MAX), _FIELD, members, ("collateral",))
    _is(value["format"], FORMAT, f"{_FIELD}: format")
    challenge = _object(
        value["challenge"], "challenge", ("nonce", "report_data", "report_data_algorithm")
    )
    _is(challenge["report_data_algorithm"], ALGORITHM, "challenge.report_data_algorithm")
    cpu = _object(value["cpu_evidence"], "cpu_evidence", ("format", "report_base64", "endorsed"))
    if cpu["format"] not in (SNP_REPORT, TDX_QUOTE):
        raise Malformed(f"is {str(cpu['format'])[:80]!r}, unknown", field="cpu_evidence.format")
    endorsed = _object(
        cpu["endorsed"], "endorsed", ("crypto_material_hash", "device_evidence_hash")
    )
    nonce = _hex(challenge["nonce"], "challenge.nonce", NONCE_SIZE)
    crypto = _base64(value["crypto_material"], "crypto_material")
    device = _base64(value["device_evidence"], "device_evidence")
    for name, section in (("crypto_material", crypto), ("device_evidence", device)):
        said = _hex(endorsed[f"{name}_hash"], f"endorsed.{name}_hash", _HASH)
        if said != hashlib.sha256(section).digest():
            raise Malformed("is not the hash of the section beside it", field=f"{name}_hash")
    said = _hex(challenge["report_data"], "challenge.report_data", REPORT_DATA_SIZE)
    if said != report_data(nonce, crypto, device):
        raise Malformed("is not made of the nonce and the sections", field="challenge.report_data")
    return Document(
        nonce=nonce,
        cpu_format=cpu["format"],
        evidence=_base64(cpu["report_base64"], "report_base64"),
        crypto_material=crypto,
        device_evidence=device,
        keys=_keys(crypto),
        devices=_devices(device),
        collateral=_collateral(value.get("collateral", [])),
    )


def naming(document: Document, digest: bytes) -> bytes:
    """The section of keys as it would read if its key `tls` had this SHA-256, for what is not so."""
    section = json.parse(document.crypto_material, field="crypto_material")
    for item in section["items"]:
        if item["id"] == "tls":
            item |= {"format": SPKI_SHA256, "data": digest.hex()}
    return json.canonical(section)


def _keys(section: bytes) -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for item in _items(section, CRYPTO_MATERIAL, "crypto_material", ("id", "format", "data")):
        field = f"crypto_material: {item['id'][:40]}"
        size = _HASH if item["format"] in (SPKI_SHA256, X25519_HPKE) else None
        keys[item["id"]] = Key(format=item["format"], data=_hex(item["data"], field, size))
    return keys


def _devices(section: bytes) -> tuple[Device, ...]:
    members = ("id", "kind", "vendor", "format", "evidence")
    return tuple(
        Device(
            name=item["id"],
            kind=_text(item["kind"], "device_evidence: kind"),
            vendor=_text(item["vendor"], "device_evidence: vendor"),
            format=item["format"],
            evidence=item["evidence"],
        )
        for item in _items(section, DEVICE_EVIDENCE, "device_evidence", members)
    )


def _items(
    section: bytes, wanted: str, field: str, members: tuple[str, ...]
) -> list[dict[str, Any]]:
    value = _object(json.parse(section, field=field, limit=MAX), field, ("format", "items"))
    keyset.canonical(value, field)  # what is taken out of it is written anew, each device alone
    _is(value["format"], wanted, f"{field}: format")
    return _listed(value["items"], field, members)


def _collateral(value: Any) -> tuple[Entry, ...]:
    field = "collateral"
    rows = _listed(value, field, ("id", "role", "format", "data"), ("subjects",))
    for row in rows:
        if row["role"] not in _ROLES:
            raise Malformed(f"is {str(row['role'])[:40]!r}, unknown", field=f"{field}: role")
        subjects = row.get("subjects", [])
        if not isinstance(subjects, list) or not all(isinstance(name, str) for name in subjects):
            raise Malformed("is no list of names", field=f"{field}: subjects")
    return tuple(
        Entry(
            name=row["id"],
            role=row["role"],
            format=row["format"],
            subjects=tuple(row.get("subjects", [])),
            data=row["data"],
        )
        for row in rows
    )


def _listed(
    value: Any, field: str, members: tuple[str, ...], optional: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > _MAX_ITEMS:
        raise Malformed(f"is no list of at most {_MAX_ITEMS} items", field=field)
    rows = [_object(row, f"{field} item", members, optional) for row in value]
    names = [_text(row["id"], f"{field}: id") for row in rows]
    for row in rows:
        _text(row["format"], f"{field}: format")
    if len(set(names)) != len(names):
        raise Malformed("has one id twice", field=field)
    return rows


def _object(
    value: Any, field: str, members: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("is no JSON object", field=field)
    if missing := sorted(set(members) - value.keys()):
        raise Malformed(f"lacks {missing[0]}", field=field)
    if unknown := sorted(value.keys() - {*members, *optional}):
        raise Malformed(f"has the unknown member {unknown[0][:40]!r}", field=field)
    return value


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise Malformed("is no text", field=field)
    return value


def _is(value: Any, wanted: str, field: str) -> None:
    if value != wanted:
        raise Malformed(f"is {str(value)[:80]!r}, should be {wanted}", field=field)


def _hex(value: Any, field: str, size: int | None) -> bytes:
    text = _text(value, field)
    data = from_hex(text, field=field)
    if text != data.hex():
        raise Malformed("is not lower-case hex", field=field)
    if size is not None and len(data) != size:
        raise Malformed(f"is {len(data)} bytes, should be {size}", field=field)
    return data


def _base64(value: Any, field: str) -> bytes:
    text = _text(value, field)
    if not text.isascii() or "\n" in text or "\r" in text:
        raise Malformed("is not base64 in its one form", field=field)
    return from_base64(text.encode("ascii"), field=field)
