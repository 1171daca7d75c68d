"""Event logs made for tests: every length and digest as firmware would write it, unless told otherwise."""

import hashlib
import uuid

from troth.platforms.tdx import eventlog
from troth.platforms.tdx.eventlog import Replay
from troth.wire import tcg

SPEC_ID = b"Spec ID Event03\0"
GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")


def u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def sha384(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()


def header(
    algorithms: tuple[tuple[int, int], ...] = ((0x0C, 48),),
    *,
    index: int = 0,
    kind: int = 3,
    digest: bytes = bytes(20),
    signature: bytes = SPEC_ID,
    version: bytes = b"\0\2\0\2",
    vendor: bytes = b"",
    behind: bytes = b"",
) -> bytes:
    named = b"".join(u16(number) + u16(size) for number, size in algorithms)
    body = signature + u32(0) + version + u32(len(algorithms)) + named
    body += bytes([len(vendor)]) + vendor + behind
    return u32(index) + u32(kind) + digest + u32(len(body)) + body


def event(index: int, kind: int, data: bytes, digest: bytes | None = None) -> bytes:
    digest = sha384(data) if digest is None else digest
    return u32(index) + u32(kind) + u32(1) + u16(0x0C) + digest + u32(len(data)) + data


def variable(name: str, data: bytes, vendor: uuid.UUID = GLOBAL) -> bytes:
    return vendor.bytes_le + u64(len(name)) + u64(len(data)) + name.encode("utf-16-le") + data


def agent_entry(text: bytes) -> bytes:
    return b"LEAA" + u32(len(text)) + text


def replayed(*made: bytes) -> Replay:
    return eventlog.replay(tcg.read(header() + b"".join(made)))


def ccel_table(**changed: bytes) -> bytes:
    parts = {
        "signature": b"CCEL",
        "length": u32(56),
        "revision": b"\1",
        "checksum": b"\0",
        "oem": b"TROTH ",
        "ids": bytes(20),
        "cc": b"\2\0",
        "reserved": b"\0\0",
        "size": u64(65536),
        "address": u64(0x8000_0000),
    }
    parts |= changed
    if "checksum" not in changed:
        parts["checksum"] = bytes([-sum(sum(part) for part in parts.values()) % 256])
    return b"".join(parts.values())
