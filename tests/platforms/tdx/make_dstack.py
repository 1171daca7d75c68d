"""dstack's logs made for tests, as its guest agent would write them unless told otherwise."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.platforms.tdx.make_log import sha384

from troth.platforms.tdx import dstack
from troth.platforms.tdx.eventlog import Replay

COMPOSE = b'{"manifest_version":2,"name":"troth"}'
HASH = hashlib.sha256(COMPOSE).digest()
PROVIDER = b'{"name":"kms","id":"3059"}'
Entry = dict[str, Any]


def answer_of(vectors: Path, name: str) -> dict[str, Any]:
    found = json.loads((vectors / "tdx" / "eventlog" / f"{name}.json").read_text())
    assert isinstance(found, dict)
    return found


def registers_of(quote: bytes) -> dict[str, str]:
    return {f"rtmr{i}": quote[48 + 328 + 48 * i :][:48].hex() for i in range(4)}


def runtime(name: str, payload: bytes = b"", **more: Any) -> Entry:
    entry = {"imr": 3, "event_type": dstack.RUNTIME, "digest": "", "event": name}
    return entry | {"event_payload": payload.hex()} | more


def boot(index: int = 0, kind: int = 4, payload: bytes = bytes(4), **more: Any) -> Entry:
    entry = {"imr": index, "event_type": kind, "digest": sha384(payload).hex(), "event": ""}
    return entry | {"event_payload": payload.hex()} | more


def system(*, until: str = "", **changed: bytes) -> list[Entry]:
    """What a guest measures until it is ready, or until a mark."""
    made = {
        "system-preparing": b"",
        "app-id": HASH[:20],
        "compose-hash": HASH,
        "instance-id": b"\1" * 20,
        "boot-mr-done": b"",
        "os-image-hash": b"\2" * 32,
        "key-provider": PROVIDER,
        "storage-fs": b"zfs",
        "system-ready": b"",
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    names = list(made)
    stop = names.index(until) + 1 if until else len(names)
    return [runtime(name, made[name]) for name in names[:stop]]


def replayed(*entries: Entry, version: int = 1) -> Replay:
    return dstack.replay(json.dumps(entries), version=version)


def identity(*entries: Entry, version: int = 1) -> dstack.Identity:
    log = replayed(*entries, version=version)
    return dstack.identity(log, rtmr3=log.registers["rtmr3"].hex())
