"""What did the host start this guest of dstack with? MRCONFIGID, in the three forms that it has.

The host chooses the register when it starts the guest, and the guest refuses to go on where it is not
what it reads in its own configuration. So it binds the application before anything in the guest runs:

- form 1: 0x01 ‖ compose-hash.
- form 2: 0x02 ‖ Keccak-256(compose-hash ‖ app-id ‖ kind of key provider ‖ its id).
- form 3: 0x03 ‖ SHA-256("dstack-mr-config-v3:" ‖ 0x00 ‖ a JSON document, byte for byte). SNP guests carry
  those 32 bytes as HOST_DATA.

Zeros fill up 48 bytes. Form 1 was checked on a real quote; the others are as the project's source has
them, no public quote with one was at hand.
"""

import hashlib
from typing import Any, Final

from troth.crypto import ethereum
from troth.errors import Malformed
from troth.model.statement import Status
from troth.platforms.tdx.dstack import Identity, KeyProvider
from troth.wire import json
from troth.wire.text import from_hex

SIZE: Final = 48
_DOMAIN: Final = b"dstack-mr-config-v3:\0"
_KINDS: Final = {"none": 0, "local-sgx": 1, "kms": 2, "tpm": 3}
_DOCUMENT_KINDS: Final = {"none": "none", "local": "local-sgx", "kms": "kms", "tpm": "tpm"}
_DOCUMENT: Final = frozenset({"version", "app_id", "compose_hash", "key_provider"})
_MAX_DOCUMENT: Final = 64 * 1024


def form_2(composition: bytes, app_id: bytes, provider: KeyProvider) -> bytes:
    """MRCONFIGID of form 2.

    Raises:
        Malformed: a part of another size, or a key provider of no known kind or with an id not in hex.
    """
    kind = _KINDS.get(provider.name)
    if kind is None or len(composition) != 32 or len(app_id) != 20:
        raise Malformed(f"has {provider.name[:40]!r}, or a part of another size", field="config")
    key = from_hex(provider.id, field="key provider's id")
    digest = ethereum.keccak256(composition + app_id + bytes([kind]) + key)
    return (b"\2" + digest).ljust(SIZE, b"\0")


def form_3(document: bytes) -> bytes:
    """MRCONFIGID of form 3, of the document's very bytes."""
    return (b"\3" + host_data(document)).ljust(SIZE, b"\0")


def host_data(document: bytes) -> bytes:
    """HOST_DATA of an SNP guest started with this document."""
    return hashlib.sha256(_DOMAIN + document).digest()


def compare(
    config_id: bytes, measured: Identity, *, document: bytes | None = None
) -> tuple[Status, str]:
    """Whether the host started the guest with the application that the guest then measured.

    Args:
        config_id: MRCONFIGID, 48 bytes.
        measured: what the guest measured into RTMR3.
        document: of form 3, where it was handed over.

    Returns:
        Asserted or refuted, or unknown where it does not say; and one clause.

    Raises:
        Malformed: the document is none, although the register is over its bytes.
    """
    composition = measured.values.get("compose-hash", b"")
    app_id, provider = measured.values.get("app-id", b""), measured.key_provider
    match config_id[0]:
        case 1:
            return _same(config_id, (b"\1" + composition).ljust(SIZE, b"\0"), "compose-hash")
        case 2 if provider is not None:
            wanted = form_2(composition, app_id, provider)
            return _same(config_id, wanted, "compose-hash, app-id and key provider")
        case 3 if document is not None:
            if form_3(document) != config_id:
                return Status.REFUTED, "MRCONFIGID is not over the document handed over"
            wrong = _differing(document, measured)
            if wrong:
                return Status.REFUTED, f"MRCONFIGID's document has another {wrong} than RTMR3"
            return Status.ASSERTED, "MRCONFIGID's document names what RTMR3 has"
        case 2 | 3:
            return Status.UNKNOWN, "MRCONFIGID is over what was not handed over"
        case _:
            return Status.UNKNOWN, "MRCONFIGID is in no form of dstack's"


def application(document: bytes) -> tuple[bytes, bytes]:
    """The app-id and the compose-hash that a document of form 3 names.

    Raises:
        Malformed: it is none.
    """
    value = _document(document)
    app_id, composition = value["app_id"], value["compose_hash"]
    if not isinstance(app_id, str) or not isinstance(composition, str):
        raise Malformed("has an id or a hash that is no text", field="config document")
    return from_hex(app_id, field="app_id"), from_hex(composition, field="compose_hash")


def _document(document: bytes) -> dict[str, Any]:
    value = json.parse(document, field="config document", limit=_MAX_DOCUMENT)
    if not isinstance(value, dict) or not value.keys() >= _DOCUMENT or value["version"] != 3:
        raise Malformed("is not one of version 3", field="config document")
    return value


def _same(found: bytes, wanted: bytes, words: str) -> tuple[Status, str]:
    if found == wanted:
        return Status.ASSERTED, f"MRCONFIGID names the {words} that RTMR3 has"
    return Status.REFUTED, f"MRCONFIGID names another {words} than RTMR3"


def _differing(document: bytes, measured: Identity) -> str:
    """The first thing in which a document of form 3 and RTMR3 differ; empty if none."""
    value = _document(document)
    names = {"app_id": "app-id", "compose_hash": "compose-hash", "instance_id": "instance-id"}
    for name, event in names.items():
        said = value.get(name, "")
        if not isinstance(said, str):
            raise Malformed("is not text", field=f"config document's {name}")
        there = measured.values.get(event, b"")
        # Where the host names no instance the guest makes one of its own.
        if from_hex(said, field=name) != there and (said or name != "instance_id"):
            return event
    provider = measured.key_provider
    kind = value["key_provider"]
    said = value.get("key_provider_id", "")
    if provider is None or not isinstance(kind, str) or _DOCUMENT_KINDS.get(kind) != provider.name:
        return "kind of key provider"
    return "" if said in ("", provider.id) else "id of the key provider"
