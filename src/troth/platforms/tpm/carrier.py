"""Where do quotes come in? Others' forms, taken apart; nothing signs what is around a quote.

A quote on its own, which `unwrap` turns into troth's form: the attestation of go-tpm-tools (protobuf),
Trustee's TPM evidence and go-attestation's parameters (JSON). Together with a hardware report, which
`azure` makes of them: Confidential Containers' `az-snp-vtpm` and `az-tdx-vtpm` (JSON, both versions).
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from troth.errors import Malformed
from troth.platforms.tpm import format  # noqa: A004
from troth.wire import json, protobuf, tpm
from troth.wire.der import SEQUENCE, element
from troth.wire.reader import Reader
from troth.wire.text import from_hex

MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_QUOTES: Final = 8
_MAX_RSA: Final = 512
# The first field of go-tpm-tools' attestation is the attestation key: a TPMT_PUBLIC named by SHA-256.
_PUBLIC_HEADS: Final = (b"\0\1\0\x0b", b"\0\x23\0\x0b")
_BEST: Final = (tpm.SHA256, tpm.SHA384, tpm.SHA512, tpm.SHA1)
_HARDWARE: Final = (8, 9)  # fields of an SNP report and of a TD's quote, each taken apart
_TRUSTEE: Final = frozenset({"ak_public", "tpm_quote"})
_GO_ATTESTATION: Final = frozenset({"AK", "Quote", "Log"})


def unwrap(data: bytes) -> tuple[bytes, str] | None:
    """A quote in troth's form and words for what was around it; None if there is no quote on its own.

    Raises:
        Malformed: it is a known form, and something in it cannot be read.
    """
    if format.looks_like(data):
        return data, ""
    if len(data) > MAX_BYTES:
        return None
    if _is_attestation(data):
        quotes = attestation(data)
        best = min(quotes, key=_BEST.index)
        words = ["attestation of go-tpm-tools"]
        if others := ", ".join(tpm.BANKS[bank] for bank in quotes if bank != best):
            words.append(f"also quoted: {others}")
        if any(number in protobuf.Message(data, name="attestation") for number in _HARDWARE):
            words.append("the hardware's report in it is not read")
        return quotes[best], "; ".join(words)
    value = parsed(data)
    if value is None:
        return None
    if value.keys() >= _TRUSTEE:
        return _trustee(value), "Trustee's TPM evidence"
    if value.keys() >= _GO_ATTESTATION:
        return _go_attestation(value), "go-attestation's parameters"
    return None


def log_in(data: bytes) -> bytes | None:
    """The event log beside a quote in others' forms, or None.

    Raises:
        Malformed: as `unwrap`.
    """
    if format.looks_like(data) or len(data) > MAX_BYTES:
        return None
    if _is_attestation(data):
        return protobuf.Message(data, name="attestation").bytes(3) or None
    value = parsed(data)
    if value is None or not value.keys() >= _GO_ATTESTATION:
        return None
    return base64_in(_object(value, "Log"), "Raw") or None


def attestation(data: bytes) -> dict[int, bytes]:
    """The quotes of go-tpm-tools' attestation, one for each bank, in troth's form.

    Fields: 1 public area, 2 quotes (1 TPMS_ATTEST, 2 TPMT_SIGNATURE, 3 registers: 1 bank, 2 map), 3 event
    log, 6 certificate of the key, 7 certificates above it. A hardware report in it (8, 9) is not read.

    Raises:
        Malformed: it is none, or quotes a bank twice.
    """
    message = protobuf.Message(data, name="attestation")
    quotes = message.every(2)
    if not 1 <= len(quotes) <= _MAX_QUOTES:
        raise Malformed(f"has {len(quotes)} quotes, should have 1 to {_MAX_QUOTES}", field="quotes")
    certificate = message.bytes(6)
    certificates = [trimmed(certificate)] if certificate else []
    certificates += [trimmed(der) for der in message.every(7)] if certificate else []
    found: dict[int, bytes] = {}
    for one in quotes:
        quote = protobuf.Message(one, name="quote")
        registers = protobuf.Message(quote.bytes(3), name="registers")
        bank = registers.number(1)
        if bank not in tpm.BANKS or bank in found:
            raise Malformed(f"names the bank {bank:#x}, or names it twice", field="registers")
        found[bank] = format.pack(
            attest=quote.bytes(1),
            signature=quote.bytes(2),
            pcrs=_entries(registers.every(2)),
            public=message.bytes(1),
            certificates=certificates,
        )
    return found


def bincode(data: bytes, *, ak: bytes) -> bytes:
    """A quote as Rust's bincode has it (az-cvm-vtpm): signature, message, SHA-256 registers.

    Args:
        data: the quote.
        ak: SubjectPublicKeyInfo of the attestation key, which the quote does not name.

    Raises:
        Malformed: it is none.
    """
    reader = Reader(data)
    signature = _vector(reader, "signature", _MAX_RSA)
    message = _vector(reader, "message", tpm.MAX_STRUCTURE)
    count = reader.uint(8, "registers", "little")
    if count != tpm.PCRS:
        raise Malformed(f"are {count}, should be {tpm.PCRS}", field="registers")
    registers = [reader.take(32, f"pcr{index}") for index in range(count)]
    reader.end("quote")
    return plain(message, signature, registers, ak=ak)


def plain(message: bytes, signature: bytes, registers: list[bytes], *, ak: bytes) -> bytes:
    """Troth's form of a quote over all registers whose signature is the bare RSASSA one with SHA-256."""
    head = tpm.RSASSA.to_bytes(2, "big") + tpm.SHA256.to_bytes(2, "big")
    return format.pack(
        attest=message,
        signature=head + len(signature).to_bytes(2, "big") + signature,
        pcrs=dict(enumerate(registers)),
        ak=ak,
    )


def trimmed(der: bytes) -> bytes:
    """A certificate without the zeros that a TPM's NV memory has behind it.

    Raises:
        Malformed: what follows it is not zeros.
    """
    _, end = element(der, 0, "certificate", tag=SEQUENCE)
    if any(der[end:]):
        raise Malformed("is followed by more than zeros", field="certificate", offset=end)
    return der[:end]


def parsed(data: bytes) -> Mapping[str, Any] | None:
    """The JSON object that this is, or None if it is none that can be read."""
    if len(data) > MAX_BYTES or not data[:16].lstrip().startswith(b"{"):
        return None
    try:
        value = json.parse(data, field="evidence")
    except Malformed:
        return None
    return value if isinstance(value, dict) else None


def base64_in(value: Mapping[str, Any], name: str) -> bytes:
    """Bytes of a member that is standard base64 with its padding.

    Raises:
        Malformed: it is not there, or none.
    """
    text = value.get(name)
    if not isinstance(text, str):
        raise Malformed("is no text", field=name)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("is not base64", field=name) from None
    if base64.b64encode(data) != text.encode("ascii", "replace"):
        raise Malformed("is not canonical base64", field=name)
    return data


def _is_attestation(data: bytes) -> bool:
    return data[:1] == b"\x0a" and data[3:7] in _PUBLIC_HEADS


def _trustee(value: Mapping[str, Any]) -> bytes:
    quote = _object(value, "tpm_quote")
    registers = quote.get("pcrs")
    if not isinstance(registers, list) or len(registers) != tpm.PCRS:
        raise Malformed(f"is no list of {tpm.PCRS}", field="pcrs")
    return format.pack(
        attest=base64_in(quote, "message"),
        signature=base64_in(quote, "signature"),
        pcrs={index: hex_register(text, index) for index, text in enumerate(registers)},
        ak=base64_in(value, "ak_public"),
    )


def hex_register(text: Any, index: int) -> bytes:
    """A register's value in hex.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(text, str):
        raise Malformed("is no text", field=f"pcr{index}")
    return from_hex(text, field=f"pcr{index}")


def _go_attestation(value: Mapping[str, Any]) -> bytes:
    quote, registers = _object(value, "Quote"), _object(value, "Log").get("PCRs")
    if not isinstance(registers, list) or len(registers) > tpm.PCRS:
        raise Malformed(f"is no list of at most {tpm.PCRS}", field="PCRs")
    found: dict[int, bytes] = {}
    for one in registers:
        index = one.get("Index") if isinstance(one, dict) else None
        if type(index) is not int or index in found:
            raise Malformed("has a register without an index of its own", field="PCRs")
        found[index] = base64_in(one, "Digest")
    return format.pack(
        attest=base64_in(quote, "Quote"),
        signature=base64_in(quote, "Signature"),
        pcrs=found,
        public=base64_in(_object(value, "AK"), "Public"),
    )


def _entries(entries: tuple[bytes, ...]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for entry in entries:
        message = protobuf.Message(entry, name="register")
        index = message.number(1)
        if index >= tpm.PCRS or index in found:
            raise Malformed(f"has the index {index}, or has it twice", field="register")
        found[index] = message.bytes(2)
    return found


def _vector(reader: Reader, field: str, limit: int) -> bytes:
    where = reader.offset
    size = reader.uint(8, f"{field}'s size", "little")
    if size > limit:
        raise Malformed(f"is {size}, at most {limit}", field=f"{field}'s size", offset=where)
    return reader.take(size, field)


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    if not isinstance(found, dict):
        raise Malformed("is no object", field=name)
    return found
