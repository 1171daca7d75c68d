"""What do the bytes of an Intel quote say, version 3, 4 or 5? No crypto, no clock.

Strict: lengths are consumed exactly, and nothing follows. Zero padding, which guest drivers leave
behind a quote, is removed by `unwrap` and said in the report.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from troth.errors import Malformed
from troth.platforms.dcap import report
from troth.platforms.dcap.report import EnclaveReport
from troth.wire import x509
from troth.wire.reader import Reader
from troth.wire.text import from_base64, from_hex

MAX_QUOTE: Final = 64 * 1024
HEADER: Final = 48
# r ‖ s, x ‖ y, (from version 4 on: outer type and size), QE report, its r ‖ s, length of what follows.
_SIGNATURE_3: Final = struct.Struct(f"<64s64s{report.SIZE}s64sH")
_SIGNATURE_4: Final = struct.Struct(f"<64s64sHI{report.SIZE}s64sH")
# Version, key type, TEE type, (versions of QE and PCE), vendor, user data.
_HEADER: Final = struct.Struct("<HHI4x16s20s")
INTEL: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_ECDSA_P256: Final = 2
_QE_REPORT_DATA: Final = 6
_PADDED: Final = 16 * 1024
# Version 3, 4 or 5 and key type 2, as text: in hex, and in base64.
_TEXTS: Final = (b"03000200", b"04000200", b"05000200", b"0x0", b"AwAC", b"BAAC", b"BQAC")


class Tee(IntEnum):
    """Kind of TEE, as the header has it."""

    SGX = 0
    TDX = 0x81


_TEES: Final = {int(tee): tee for tee in Tee}


class Body(IntEnum):
    """Kind of body: written in quotes of version 5, given by the TEE in older ones."""

    SGX = 1
    TD10 = 2
    TD15 = 3
    TD15EX = 4


SIZES: Final = {Body.SGX: 384, Body.TD10: 584, Body.TD15: 648, Body.TD15EX: 885}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformNumbers:
    """Certification data of types 1 to 3: which PCK certificate to ask for. Nothing signs these.

    Attributes:
        ppid: the platform's id in clear (type 1), or encrypted to Intel (types 2 and 3).
        cpu_svn: 16 bytes.
        pce_svn: a number.
        pce_id: 2 bytes.
    """

    ppid: bytes
    cpu_svn: bytes
    pce_svn: int
    pce_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A quote, parsed and not believed.

    Attributes:
        version: 3, 4 or 5.
        tee: SGX or TDX.
        kind: which body.
        user_data: 20 bytes; the first 16 name the quoting enclave.
        body: the report of what is attested, as it stands.
        signed: header and body: what the attestation key signs.
        signature: r ‖ s, 32 bytes each, big-endian.
        attestation_key: x ‖ y, 32 bytes each, big-endian.
        qe: the quoting enclave's report.
        qe_body: its 384 bytes, signed by the PCK key.
        qe_signature: r ‖ s.
        qe_auth: what the attestation key is bound together with.
        certification: type of the certification data, 1 to 5 or 7.
        pck_chain: DER of leaf, authority and root (type 5), of the leaf (type 4), else empty.
        numbers: types 1 to 3, else None.
    """

    version: int
    tee: Tee
    kind: Body
    user_data: bytes
    body: bytes
    signed: bytes
    signature: bytes
    attestation_key: bytes
    qe: EnclaveReport
    qe_body: bytes
    qe_signature: bytes
    qe_auth: bytes
    certification: int
    pck_chain: tuple[bytes, ...]
    numbers: PlatformNumbers | None


def parse(data: bytes) -> Quote:
    """Reads a quote.

    Raises:
        Malformed: unknown version, key type, TEE, vendor or body; a length that does not fit; or
            bytes that follow.
    """
    if len(data) > MAX_QUOTE:
        raise Malformed(f"is larger than {MAX_QUOTE} bytes", field="quote", offset=0)
    if len(data) < HEADER:
        raise Malformed(f"needs {HEADER} bytes, {len(data)} are left", field="header", offset=0)
    version, key_type, tee_type, vendor, user_data = _HEADER.unpack_from(data)
    if version not in (3, 4, 5):
        raise Malformed(f"is {version}, should be 3, 4 or 5", field="version", offset=0)
    if key_type != _ECDSA_P256:
        raise Malformed(
            f"is {key_type}, should be 2 (ECDSA P-256)", field="attestation key type", offset=2
        )
    tee = _tee(tee_type, version)
    if vendor != INTEL:
        raise Malformed("is not Intel's", field="QE vendor id", offset=12)
    reader = Reader(data, at=HEADER)
    kind = _kind(reader, version, tee)
    body = reader.take(SIZES[kind], "body")
    signed = data[: reader.offset]
    size = reader.uint(4, "signature data length", "little")
    if size != reader.remaining:
        raise Malformed(
            f"is {size}, {reader.remaining} bytes are left",
            field="signature data length",
            offset=reader.offset - 4,
        )
    if version == 3:
        parts = _SIGNATURE_3.unpack(reader.take(_SIGNATURE_3.size, "signature data"))
        signature, attestation_key, qe_body, qe_signature, size = parts
    else:
        parts = _SIGNATURE_4.unpack(reader.take(_SIGNATURE_4.size, "signature data"))
        signature, attestation_key, outer, inside, qe_body, qe_signature, size = parts
        _outer(outer, inside, reader)
    qe_auth = reader.take(size, "QE authentication data")
    certification = reader.uint(2, "certification data type", "little")
    size = reader.uint(4, "certification data size", "little")
    if size != reader.remaining:
        raise Malformed(
            f"is {size}, {reader.remaining} bytes are left",
            field="certification data size",
            offset=reader.offset - 4,
        )
    base = reader.offset
    chain, numbers = _certification(certification, reader.take(size, "certification data"), base)
    return Quote(
        version=version,
        tee=tee,
        kind=kind,
        user_data=user_data,
        body=body,
        signed=signed,
        signature=signature,
        attestation_key=attestation_key,
        qe=report.read(qe_body),
        qe_body=qe_body,
        qe_signature=qe_signature,
        qe_auth=qe_auth,
        certification=certification,
        pck_chain=chain,
        numbers=numbers,
    )


def unwrap(data: bytes, tee: Tee) -> tuple[bytes, str] | None:
    """The bare quote and words for what was around it, or None if this is no quote of this TEE.

    Text in base64 or hex is decoded. Zeros behind the quote, as guest drivers return them, are removed;
    anything else behind it stays, and is refused by `parse`.
    """
    words = []
    if data[:16].lstrip().startswith(_TEXTS):
        text = data.strip()
        if text.startswith(b"0"):
            data = from_hex(text.decode("ascii", "replace"), field="quote")
            words.append("hex")
        else:
            data = from_base64(text, field="quote")
            words.append("base64")
    if len(data) < HEADER or data[12:28] != INTEL:
        return None
    version, _, tee_type, _, _ = _HEADER.unpack_from(data)
    if version <= 3 and tee is Tee.TDX:
        return None
    try:
        if _tee(tee_type, version) is not tee:
            return None
    except Malformed:
        if tee is Tee.TDX:  # said once, by the one that is asked first
            return None
    end = _end(data)
    if end is not None and end < len(data) <= _PADDED and not data[end:].strip(b"\0"):
        words.append(f"{len(data) - end} zero bytes behind the quote")
        data = data[:end]
    return data, ", ".join(words)


def _end(data: bytes) -> int | None:
    """Where the quote ends by its own lengths, or None where they cannot be read."""
    version = int.from_bytes(data[0:2], "little")
    if version == 5:
        start = HEADER + 6 + int.from_bytes(data[50:54], "little")
    else:
        start = HEADER + (SIZES[Body.TD10] if data[4] else SIZES[Body.SGX])
    if len(data) < start + 4:
        return None
    return start + 4 + int.from_bytes(data[start : start + 4], "little")


def _tee(value: int, version: int) -> Tee:
    found = _TEES.get(value)
    if found is None or (version == 3 and found is not Tee.SGX):
        raise Malformed(f"is {value:#x} in version {version}", field="TEE type", offset=4)
    return found


def _kind(reader: Reader, version: int, tee: Tee) -> Body:
    if version < 5:
        return Body.SGX if tee is Tee.SGX else Body.TD10
    at = reader.offset
    value = reader.uint(2, "body type", "little")
    size = reader.uint(4, "body size", "little")
    if value not in SIZES:
        raise Malformed(f"is {value}, should be 1 to 4", field="body type", offset=at)
    kind = Body(value)
    if (kind is Body.SGX) != (tee is Tee.SGX):
        raise Malformed(
            f"is {value}, which TEE type {tee:#x} has not", field="body type", offset=at
        )
    if size != SIZES[kind]:
        raise Malformed(f"is {size}, should be {SIZES[kind]}", field="body size", offset=at + 2)
    return kind


def _outer(kind: int, size: int, reader: Reader) -> None:
    """Version 4 and 5 put QE report and certification data into one element of type 6.

    Args:
        kind: type of the element.
        size: bytes in it, as it says.
        reader: stands behind the QE report, its signature and the length of the authentication data.
    """
    begin = reader.offset - (report.SIZE + 64 + 2)
    if kind != _QE_REPORT_DATA:
        raise Malformed(
            f"is {kind}, should be 6", field="certification data type", offset=begin - 6
        )
    if size != reader.remaining + reader.offset - begin:
        raise Malformed(
            f"is {size}, {reader.remaining + reader.offset - begin} bytes are left",
            field="certification data size",
            offset=begin - 4,
        )


_ENCRYPTED: Final = {1: 16, 2: 256, 3: 384}


def _certification(
    kind: int, data: bytes, base: int
) -> tuple[tuple[bytes, ...], PlatformNumbers | None]:
    field = f"certification data (type {kind})"
    if kind in _ENCRYPTED:
        reader = Reader(data, base=base)
        numbers = PlatformNumbers(
            ppid=reader.take(_ENCRYPTED[kind], field),
            cpu_svn=reader.take(16, field),
            pce_svn=reader.uint(2, field, "little"),
            pce_id=reader.take(2, field),
        )
        reader.end(field)
        return (), numbers
    if kind in (4, 5):
        chain = x509.read_pem(data, field)
        wanted = 1 if kind == 4 else 3
        if len(chain) != wanted:
            raise Malformed(f"holds {len(chain)} certificates, should be {wanted}", field=field)
        return chain, None
    if (
        kind == 7
    ):  # a platform manifest: for registration with Intel, it certifies nothing by itself
        return (), None
    raise Malformed("is no type that carries a certificate or names one", field=field, offset=base)


def wrong_tee(quote: Quote) -> Malformed:
    """The error for a quote of the other TEE."""
    return Malformed(f"is {quote.tee.name}'s", field="TEE type", offset=4)
