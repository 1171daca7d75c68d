"""What do the bytes of a Nitro attestation document say? No crypto, no clock.

Source: AWS, «Verifying the root of trust» (the document's CDDL), and what real documents hold beyond
it: an indefinite-length payload map since 2025, and `user_data` and `nonce` of up to 1024 bytes.
"""

import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from troth.errors import Malformed
from troth.wire import cbor, cose
from troth.wire.text import from_base64

MAX_DOCUMENT: Final = 20 * 1024
_MAX_PAYLOAD: Final = 16 * 1024
_MAX_CERTIFICATE: Final = 1024
_MAX_CHAIN: Final = 16
_MAX_OPTIONAL: Final = 1024  # the text says 512 for two of them, its CDDL and real documents 1024
_PCR_SIZE: Final = 48
_MAX_TIME_MS: Final = 253_402_300_799_000  # the end of the year 9999
_KEYS: Final = frozenset(
    {
        "module_id",
        "digest",
        "timestamp",
        "pcrs",
        "certificate",
        "cabundle",
        "public_key",
        "user_data",
        "nonce",
    }
)
TPM_REGISTERS: Final = "nitrotpm_pcrs"
"""What the registers are called in the documents of a NitroTPM, whose other keys are the same."""
_TPM_KEYS: Final = _KEYS - {"pcrs"} | {TPM_REGISTERS}
# An untagged or tagged COSE_Sign1 whose protected header is {1: …} and whose payload is a map that
# begins with one of the keys: other tokens share that header. Which algorithm, and the exact form, are others' affair.
_HEAD: Final = re.compile(
    rb"\xd2?\x84[\x43\x44]\xa1\x01.{3,8}?[\xa0-\xbf](?:"
    + b"|".join(bytes([0x60 + len(key)]) + key.encode("ascii") for key in sorted(_KEYS | _TPM_KEYS))
    + rb")",
    re.DOTALL,
)
_STARTS_BASE64: Final = (b"hEOh", b"hESh", b"0oRD", b"0oRE")
_HEAD_BASE64: Final = 64  # characters, which is more than the longest head
_SCALE_HEAD: Final = b"\x00\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An attestation document, parsed and not believed.

    Attributes:
        sign1: the COSE envelope; its payload is what is signed.
        module_id: `i-<instance>-enc<id>`.
        timestamp_ms: Unix time in milliseconds.
        pcrs: index to 48 bytes, locked registers only.
        certificate: leaf, DER.
        cabundle: root first, DER each.
        public_key, user_data, nonce: what the enclave put in, None where null.
    """

    sign1: cose.Sign1
    module_id: str
    timestamp_ms: int
    pcrs: Mapping[int, bytes]
    certificate: bytes
    cabundle: tuple[bytes, ...]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None


def unwrap(data: bytes) -> tuple[bytes, str] | None:
    """Removes foreign framing: base64 text, or the SCALE framing that one carrier adds.

    The SCALE form is `00 02`, a 2-byte little-endian compact length, the document, and bytes of the
    carrier behind it. Nothing signs that framing; it is dropped whole and cannot change what is
    judged: the document in it must be complete and exact.

    Returns:
        The document's bytes and words for what was removed; None if this is not a Nitro document.

    Raises:
        Malformed: the framing contradicts itself.
    """
    if _HEAD.match(data):
        return data, ""
    if data.startswith(_SCALE_HEAD) and _HEAD.match(data, 4) and data[2] & 3 == 1:
        size = int.from_bytes(data[2:4], "little") >> 2
        if len(data) < 4 + size:
            raise Malformed(f"says {size} bytes, {len(data) - 4} follow", field="framing", offset=2)
        return data[4 : 4 + size], f"SCALE framing and {len(data) - 4 - size} bytes behind"
    if data.startswith(_STARTS_BASE64) and _HEAD.match(_first_of_base64(data)):
        return from_base64(data, field="base64 text"), "base64 text"
    return None


def _first_of_base64(text: bytes) -> bytes:
    """What a base64 text begins with, read leniently: `from_base64` says what is wrong with it."""
    first = b"".join(text[: 2 * _HEAD_BASE64].split())[:_HEAD_BASE64]
    try:
        return binascii.a2b_base64(first + b"===")
    except binascii.Error:
        return b""


def parse(data: bytes) -> Document:
    """Reads an enclave's document strictly.

    Raises:
        Malformed: any departure from the form; trailing bytes, missing, unknown or duplicate keys.
    """
    sign1, payload = _opened(data)
    _only(payload, _KEYS)
    for index in range(3):
        if isinstance(payload["pcrs"], dict) and index not in payload["pcrs"]:
            raise Malformed("is missing", field=f"pcr{index}")
    return _document(sign1, payload, payload["pcrs"])


def parse_tpm(data: bytes) -> Document:
    """Reads a NitroTPM's document strictly: as `parse`, with its registers under their own name.

    Raises:
        Malformed: as `parse`.
    """
    sign1, payload = _opened(data)
    _only(payload, _TPM_KEYS)
    return _document(sign1, payload, payload[TPM_REGISTERS])


def is_tpms(data: bytes) -> bool:
    """Whether this document has a NitroTPM's registers; False where it cannot be read that far."""
    if TPM_REGISTERS.encode("ascii") not in data:
        return False
    try:
        return TPM_REGISTERS in _opened(data)[1]
    except Malformed:
        return False


def _opened(data: bytes) -> tuple[cose.Sign1, dict[Any, Any]]:
    """The envelope and the map in it, of whatever keys."""
    if len(data) > MAX_DOCUMENT:
        raise Malformed(f"is larger than {MAX_DOCUMENT} bytes", field="document", offset=0)
    sign1 = cose.parse_sign1(data)
    if not 1 <= len(sign1.payload) <= _MAX_PAYLOAD:
        raise Malformed(f"is {len(sign1.payload)} bytes", field="payload", offset=0)
    payload = cbor.decode(
        sign1.payload, field="payload", base=sign1.payload_offset, allow_indefinite_map=True
    )
    if not isinstance(payload, dict):
        raise Malformed("is not a map", field="payload", offset=sign1.payload_offset)
    return sign1, payload


def _only(payload: dict[Any, Any], keys: frozenset[str]) -> None:
    if set(payload) != keys:
        # `repr`, and not all of it: hostile keys may be long, and hold terminal sequences.
        wrong = ", ".join(sorted(map(repr, set(payload) ^ keys)))
        raise Malformed(f"has missing or unknown keys: {wrong:.200}", field="payload")


def _document(sign1: cose.Sign1, payload: dict[Any, Any], pcrs: Any) -> Document:
    if payload["digest"] != "SHA384":
        raise Malformed(f"is {payload['digest']!r:.60}, should be 'SHA384'", field="digest")
    return Document(
        sign1=sign1,
        module_id=_module_id(payload["module_id"]),
        timestamp_ms=_timestamp(payload["timestamp"]),
        pcrs=_pcrs(pcrs),
        certificate=_bytes(payload["certificate"], "certificate", 1, _MAX_CERTIFICATE),
        cabundle=_cabundle(payload["cabundle"]),
        public_key=_optional(payload["public_key"], "public_key", 1),
        user_data=_optional(payload["user_data"], "user_data", 0),
        nonce=_optional(payload["nonce"], "nonce", 0),
    )


def fields(data: bytes) -> Iterable[tuple[str, str]]:
    """Every field with its value as text, for `inspect`; never a verdict.

    Raises:
        Malformed: as `parse`.
    """
    document = parse_tpm(data) if is_tpms(data) else parse(data)
    yield "module_id", document.module_id
    yield "timestamp", f"{document.timestamp_ms} ms"
    for index, value in sorted(document.pcrs.items()):
        yield f"pcr{index}", value.hex()
    for name in ("public_key", "user_data", "nonce"):
        value = getattr(document, name)
        yield name, "absent" if value is None else value.hex()
    for index, certificate in enumerate(document.cabundle):
        yield f"cabundle[{index}]", certificate.hex()
    yield "certificate", document.certificate.hex()
    yield "signature", document.sign1.signature.hex()


def _bytes(value: Any, field: str, low: int, high: int) -> bytes:
    if not isinstance(value, bytes):
        raise Malformed("is not a byte string", field=field)
    if not low <= len(value) <= high:
        raise Malformed(f"is {len(value)} bytes, should be {low} to {high}", field=field)
    return value


def _optional(value: Any, field: str, low: int) -> bytes | None:
    return None if value is None else _bytes(value, field, low, _MAX_OPTIONAL)


def _module_id(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
        raise Malformed("is not printable ASCII text", field="module_id")
    return value


def _timestamp(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MAX_TIME_MS:
        raise Malformed("is not a time in milliseconds", field="timestamp")
    return value


def _pcrs(value: Any) -> Mapping[int, bytes]:
    if not isinstance(value, dict) or not 1 <= len(value) <= 32:
        raise Malformed("is not a map of 1 to 32 registers", field="pcrs")
    for index, register in value.items():
        if not isinstance(index, int) or not 0 <= index <= 31:
            raise Malformed(f"has the index {index!r:.60}, should be 0 to 31", field="pcrs")
        if not isinstance(register, bytes) or len(register) != _PCR_SIZE:
            raise Malformed(f"is not {_PCR_SIZE} bytes", field=f"pcr{index}")
    return MappingProxyType(value)


def _cabundle(value: Any) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_CHAIN:
        raise Malformed(f"is not a list of 1 to {_MAX_CHAIN} certificates", field="cabundle")
    return tuple(
        _bytes(item, f"cabundle[{i}]", 1, _MAX_CERTIFICATE) for i, item in enumerate(value)
    )
