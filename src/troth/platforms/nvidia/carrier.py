"""What is around a report: the SDK's JSON, a request to NRAS, hex text; and several devices in one file.

An entry of the SDK's JSON is `arch`, `nonce`, `evidence` (base64 of the report) and `certificate`
(base64 of PEM). A request to NRAS has one `arch` and one `nonce` for its `evidence_list`. What binds
the devices of one file is that nonce, which each report carries under its own signature; for GPUs and
switches in protected PCIe mode also the lists in `topology`. Nothing signs the file, so that its word
for the nonce is no reason to take it: each report must carry the caller's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed
from troth.model.composite import Composite, Part
from troth.platforms.nvidia.device import ARCHITECTURES, architecture
from troth.platforms.nvidia.format import NONCE, PEM, START, Document, Kind, parse
from troth.wire import json
from troth.wire.text import from_base64, from_hex

SDK: Final = "NVIDIA SDK evidence"
NRAS: Final = "request to NRAS"
MAX_DEVICES: Final = 32
_MAX: Final = 4 * 1024 * 1024
_HEX: Final = START.hex().encode()
_ENTRY: Final = frozenset({"evidence", "certificate"})
_SHARED: Final = ("arch", "nonce")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The devices of one file, in its order.

    Attributes:
        title: what the file is.
        devices: each one's evidence: the report, and its certificates behind it.
        documents: the same, read.
    """

    title: str
    devices: tuple[bytes, ...]
    documents: tuple[Document, ...]


def unwrap(data: bytes) -> tuple[bytes, str] | None:
    """Removes text or JSON around one device's evidence.

    Returns:
        Report and certificates, and words for what was removed; None if this is none of NVIDIA's.

    Raises:
        Malformed: it is one, and contradicts the report in it, or holds several devices.
    """
    if data.startswith(START):
        return data, ""
    if data[: len(_HEX)].lower() == _HEX:
        return _text(data), "hexadecimal text"
    carried = open_json(data)
    if carried is None:
        return None
    if len(carried.devices) != 1:
        raise Malformed(
            f"holds {len(carried.devices)} devices, each with a report of its own",
            field=carried.title,
            fix="judge them together: `troth verify` takes the file as a whole",
        )
    return carried.devices[0], carried.title


def composite(data: bytes) -> Composite | None:
    """The devices of a file that holds several; None if this is none.

    The first leads. No part states a nonce: what the file names may be years old, and would stand in
    the place of the caller's.

    Raises:
        Malformed: as `open_json`.
    """
    carried = open_json(data)
    if carried is None or len(carried.devices) < 2:
        return None
    counts = dict.fromkeys(Kind, 0)
    parts = []
    for evidence, document in zip(carried.devices, carried.documents, strict=True):
        name = f"{document.kind.lower()}-{counts[document.kind]}"
        counts[document.kind] += 1
        parts.append(
            Part(
                name=name,
                platform="nvidia",
                evidence=evidence,
                says="its report carries the nonce of the request",
            )
        )
    return Composite(parts=tuple(parts), framing=carried.title)


def open_json(data: bytes) -> Carried | None:
    """Takes NVIDIA's JSON apart, or None if this is none.

    Raises:
        Malformed: it has evidence and certificates, and they are not in the form that NVIDIA's tools
            write, or the file names another nonce or architecture than they do.
    """
    if len(data) > _MAX or data[:64].lstrip()[:1] not in (b"[", b"{"):
        return None
    try:
        value = json.parse(data, field=SDK, limit=_MAX)
    except Malformed:
        return None  # JSON of another kind may hold fractions
    if isinstance(value, dict) and isinstance(value.get("evidence_list"), list):
        title, rows = NRAS, value["evidence_list"]
        shared = {name: value[name] for name in _SHARED if name in value}
    elif isinstance(value, list):
        title, rows, shared = SDK, value, {}
    elif isinstance(value, dict):
        title, rows, shared = SDK, [value], {}
    else:
        return None
    if not rows or not all(isinstance(row, dict) and row.keys() >= _ENTRY for row in rows):
        return None
    if len(rows) > MAX_DEVICES:
        raise Malformed(f"holds {len(rows)} devices, at most {MAX_DEVICES}", field=title)
    read = [
        _device({**shared, **row}, f"{title}: device {place}") for place, row in enumerate(rows)
    ]
    if len({document.nonce for _, document in read}) != 1:
        raise Malformed("holds reports for several nonces", field=title)
    return Carried(
        title=title,
        devices=tuple(evidence for evidence, _ in read),
        documents=tuple(document for _, document in read),
    )


def _device(row: dict[str, Any], field: str) -> tuple[bytes, Document]:
    report = from_base64(_string(row, "evidence", field), field=f"{field}: evidence")
    pem = from_base64(_string(row, "certificate", field), field=f"{field}: certificate")
    if not pem.startswith(PEM):
        raise Malformed("is no PEM", field=f"{field}: certificate")
    document = parse(report)
    if document.pem:
        raise Malformed("holds certificates beside the report", field=f"{field}: evidence")
    document = parse(report + pem)
    for problem in _contradictions(row, document, field):
        raise Malformed(problem, field=field)
    return report + pem, document


def _contradictions(row: dict[str, Any], document: Document, field: str) -> Iterator[str]:
    if "nonce" in row:
        nonce = from_hex(_string(row, "nonce", field).decode("ascii"), field=f"{field}: nonce")
        if len(nonce) != NONCE or nonce != document.nonce:
            yield f"names the nonce {nonce.hex()[:64]}, the report carries {document.nonce.hex()}"
    if "arch" in row:
        named = _string(row, "arch", field).decode("ascii").lower()
        found = architecture(document)
        if named not in ARCHITECTURES or (found and named != found):
            yield f"names the architecture {named[:20]!r}, the certificates {found!r}"


def _string(row: dict[str, Any], key: str, field: str) -> bytes:
    value = row[key]
    if not isinstance(value, str) or not value.isascii():
        raise Malformed("is no text of ASCII", field=f"{field}: {key}")
    return value.encode("ascii")


def _text(data: bytes) -> bytes:
    """Hex of a report on lines, and PEM behind it."""
    if len(data) > _MAX:
        raise Malformed(f"is larger than {_MAX} bytes", field="hexadecimal text")
    at = data.find(PEM)
    digits, pem = (data, b"") if at < 0 else (data[:at], data[at:])
    lines = digits.replace(b"\r", b"").replace(b"\n", b"")
    return from_hex(lines.decode("latin-1"), field="hexadecimal text") + pem
