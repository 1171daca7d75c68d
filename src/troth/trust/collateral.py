"""Collateral in files: troth's own one, the JSON of another verifier, and bare files as served.

What is read is not believed: the platforms check signatures, windows and names.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from troth.errors import Malformed, Misuse, Unavailable
from troth.model.collateral import Collateral, Item, Kind
from troth.trust import served
from troth.wire import json as strict

SCHEMA: Final = "troth/collateral/1"
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_ITEMS: Final = 4096
_MAX_FILES: Final = 1024
_KEYS: Final = frozenset({"kind", "data", "chain", "early", "source", "fetched_at"})
# What is served as text is kept as text; DER as base64.
TEXT: Final = frozenset(
    {
        Kind.INTEL_TCB_INFO,
        Kind.INTEL_QE_IDENTITY,
        Kind.INTEL_EVALUATION_NUMBERS,
        Kind.INTEL_PCK_CHAIN,
        Kind.AMD_CHAIN,
        Kind.NVIDIA_RIM,
        Kind.TPM_CHAIN,
        *(Kind.MAA_KEYS, Kind.GCS_KEYS, Kind.ITA_KEYS, Kind.NRAS_KEYS),
    }
)


def load(source: Path | bytes, *, name: str = "collateral") -> Collateral:
    """Collateral out of a file, a folder of files, or the bytes of one.

    A file is troth's own (`troth trust freeze`), the JSON with `tcb_info` and `pck_crl` that dcap-qvl
    reads, or one endorsement as its vendor serves it: signed JSON, a CRL, certificates. A folder is
    every file in it whose name does not begin with a dot.

    Args:
        source: where it is, or what it is.
        name: what errors call it, where it is bytes.

    Raises:
        Unavailable: it cannot be read.
        Malformed: a file is none of these, or all together are too large.
    """
    if isinstance(source, bytes):
        return Collateral(items=_parse(source, name))
    if not source.is_dir():
        return Collateral(items=_parse(_read(source, MAX_BYTES), str(source)))
    found: list[Item] = []
    loose: list[bytes] = []
    left = MAX_BYTES
    for path in _files(source):
        data = _read(path, left)
        left -= len(data)
        chain = served.issuer_chain(data)
        if chain is None:
            found += _parse(data, str(path))
        else:
            loose.append(chain)
    if not found:
        raise Malformed("holds no collateral", field=str(source))
    return Collateral(items=tuple(served.with_chain(item, loose) for item in found))


def freeze(collateral: Collateral) -> bytes:
    """One file with everything: the same bytes for the same items, in whatever order they came.

    Raises:
        Misuse: an item has bytes that its kind cannot have, such as text that is not UTF-8.
    """
    rows = {
        (i.kind, i.early, i.data, i.chain): _plain(i) for i in sorted(collateral.items, key=_key)
    }
    return strict.canonical({"schema": SCHEMA, "items": list(rows.values())}) + b"\n"


def _key(item: Item) -> tuple[Any, ...]:
    # The youngest copy of the same bytes comes last, and is the one that stays.
    at = item.fetched_at or datetime.min.replace(tzinfo=UTC)
    return (item.kind, item.early, item.data, item.chain, at, item.source)


def _plain(item: Item) -> dict[str, Any]:
    try:
        if item.kind in TEXT:
            data = item.data.decode("utf-8")
        else:
            data = base64.b64encode(item.data).decode("ascii")
        chain = item.chain.decode("ascii")
    except UnicodeDecodeError:
        raise Misuse(f"{item.kind} from {item.source or 'nowhere'} is not text") from None
    at = item.fetched_at
    return {
        "kind": str(item.kind),
        "data": data,
        "chain": chain,
        "early": item.early,
        "source": item.source,
        "fetched_at": None if at is None else instant(at),
    }


def instant(at: datetime) -> str:
    """An instant as troth's files write it: to the second, in Z."""
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _parse(data: bytes, name: str) -> tuple[Item, ...]:
    if len(data) > MAX_BYTES:
        raise Malformed(f"is larger than {MAX_BYTES} bytes", field=name)
    if not data.lstrip().startswith(b"{"):
        return (served.item(data, name=name),)
    value = strict.parse(data, field=name, limit=MAX_BYTES)
    if not isinstance(value, dict):
        raise Malformed("is not a JSON object", field=name)
    if "schema" in value:
        return _own(value, data, name)
    if served.is_quote_collateral(value):
        return served.quote_collateral(value, name=name)
    return (served.document(value, data, name=name),)


def _own(value: Mapping[str, Any], data: bytes, name: str) -> tuple[Item, ...]:
    if set(value) != {"schema", "items"} or value["schema"] != SCHEMA:
        raise Malformed(f"is not collateral of schema {SCHEMA}", field=name)
    rows = value["items"]
    if not isinstance(rows, list) or len(rows) > MAX_ITEMS:
        raise Malformed(f"items should be a list of at most {MAX_ITEMS}", field=name)
    items = tuple(_item(row, f"{name}: items[{place}]") for place, row in enumerate(rows))
    if freeze(Collateral(items=items)) != data:
        raise Malformed(
            "is not in its one form",
            field=name,
            fix="let `troth trust freeze` write it, and do not edit it",
        )
    return items


def _item(row: Any, field: str) -> Item:
    if not isinstance(row, dict) or set(row) != _KEYS:
        raise Malformed("has missing or unknown keys", field=field)
    for key in ("kind", "data", "chain", "source"):
        if not isinstance(row[key], str):
            raise Malformed(f"{key} is not text", field=field)
    if not isinstance(row["early"], bool):
        raise Malformed("early is neither true nor false", field=field)
    try:
        kind = Kind(row["kind"])
    except ValueError:
        raise Malformed(f"has the unknown kind {row['kind'][:40]!r}", field=field) from None
    try:
        body = row["data"].encode("utf-8" if kind in TEXT else "ascii")
        chain = row["chain"].encode("ascii")
        row["source"].encode("utf-8")
        data = body if kind in TEXT else base64.b64decode(body, validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise Malformed("data or chain is not what its kind is written in", field=field) from None
    return Item(
        kind=kind,
        data=data,
        chain=chain,
        early=row["early"],
        source=row["source"],
        fetched_at=_instant(row["fetched_at"], field),
    )


def _instant(text: Any, field: str) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None and instant(at) == text:
            return at
    except (ValueError, TypeError, OverflowError):
        pass
    raise Malformed("fetched_at is no instant to the second in Z", field=field)


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unavailable(
            f"cannot read collateral from {path}: {reason}",
            fix="`troth trust update --for EVIDENCE -o FILE` fetches some",
        ) from None
    if len(data) > limit:
        raise Malformed(f"is larger than {limit} bytes", field=str(path))
    return data


def _files(folder: Path) -> Iterable[Path]:
    try:
        found = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file())
    except OSError as error:
        raise Unavailable(f"cannot read {folder}: {error.strerror}") from None
    if len(found) > _MAX_FILES:
        raise Malformed(f"holds {len(found)} files, at most {_MAX_FILES} may be", field=str(folder))
    return found
