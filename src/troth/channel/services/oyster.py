"""Oyster (Marlin): a Nitro document over plain http, for whoever asks; no nonce, no session.

Port 1300 embeds an X25519 key of 32 bytes, by which Scallop channels authenticate; port 1301 a secp256k1
key of 64 bytes, which signs. `GET /attestation/raw` gives the document's bytes, `/attestation/hex` the
same as text.

An *image id* names what runs: SHA-256 over a bitmask and PCR0, PCR1, PCR2 and PCR16, where PCR16 holds
the *init params*, files with which the operator launched the image. Checked against the project's
published values.
"""

import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.channel.http import Response
from troth.channel.services._service import Found, Service
from troth.channel.web import Redirected, Web
from troth.errors import Malformed
from troth.model.channel import Binding
from troth.model.claims import Source
from troth.model.composite import Composite, Part
from troth.model.statement import Statement, Status
from troth.platforms.nitro import format as documents
from troth.wire import json
from troth.wire.text import from_base64

NAME: Final = "oyster"
RAW: Final = "/attestation/raw"
HEX: Final = "/attestation/hex"
ZERO: Final = "00" * 48
_MASK: Final = 0x0001_0007  # bits 0, 1, 2 and 16
_REGISTERS: Final = ("pcr0", "pcr1", "pcr2", "pcr16")
_MAX_PARAMS: Final = 16 * 1024 * 1024
_ITEM: Final = frozenset({"path", "contents", "should_attest", "should_decrypt"})
_FOLDER: Final = "/init-params/"
_ROLES: Final = {32: "x25519", 64: "address"}
_NOT_BOUND: Final = (
    "no nonce: the document's age is all that says when it was made, and it may be another enclave's",
    "nothing ties the way to this host to the document, which travels over plain http",
    "only the key in it counts: for a Scallop channel (port 1300), or for signatures (port 1301)",
    "the operator chooses the init params; unless PCR16 is pinned they may be any",
)


def image_id(registers: Mapping[str, str]) -> bytes:
    """SHA-256 of the bitmask (u32, big-endian) and PCR0, PCR1, PCR2, PCR16; an absent PCR16 is zero.

    Args:
        registers: as in `Claims.registers`.
    """
    values = (bytes.fromhex(registers.get(name, ZERO)) for name in _REGISTERS)
    return hashlib.sha256(_MASK.to_bytes(4, "big") + b"".join(values)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class InitParams:
    """Files with which an image is launched.

    Attributes:
        digest: over those that are attested, in their order, from their contents.
        sealed: paths of those whose contents are encrypted, so that their part could not be computed.
    """

    digest: bytes
    sealed: tuple[str, ...]

    @property
    def pcr16(self) -> str:
        """What PCR16 then holds, hex: extended once with the digest."""
        return hashlib.sha384(bytes(48) + self.digest).hexdigest()


def item_digest(path: str, plain: bytes) -> bytes:
    """One file's hash: lengths (u64, little-endian) before path and contents; path below the folder."""
    name = (_FOLDER + path).encode("utf-8")
    return hashlib.sha256(_sized(name) + _sized(plain)).digest()


def init_params(data: bytes) -> InitParams:
    """Reads the JSON that the operator passes at launch, and computes its digest again.

    Raises:
        Malformed: another form, a path that leaves the folder or comes twice, or a stated digest that
            is not that of the contents, where these are all readable.
    """
    value = json.parse(data, field="init params", limit=_MAX_PARAMS)
    if not isinstance(value, dict) or set(value) != {"digest", "params"}:
        raise Malformed("is not an object of 'digest' and 'params'", field="init params")
    stated = _decoded(value["digest"], "init params' digest")
    if not isinstance(value["params"], list) or len(stated) != 32:
        raise Malformed("has no list of params, or no digest of 32 bytes", field="init params")
    hashes, sealed, paths = [], [], set()
    for path, plain, attested, encrypted in map(_item, value["params"]):
        if path in paths:
            raise Malformed(f"has {path!r:.80} twice", field="init params")
        paths.add(path)
        if attested and encrypted:
            sealed.append(path)
        elif attested:
            hashes.append(item_digest(path, plain))
    digest = hashlib.sha256(b"".join(hashes)).digest()
    if not sealed and digest != stated:
        raise Malformed("is not that of the contents", field="init params' digest")
    return InitParams(digest=stated, sealed=tuple(sealed))


def ask(web: Web, nonce: bytes) -> Found | None:  # noqa: ARG001 - the protocol takes none
    """See the module. The host's other port, if any, is another question."""
    found = _document(web)
    if found is None:
        return None
    path, answer, document = found
    try:
        parsed = documents.parse(document)
    except Malformed:
        parsed = None  # whoever judges says so
    key = parsed.public_key if parsed is not None else None
    role = _ROLES.get(len(key or b""))
    part = Part(
        name="enclave",
        evidence=document,
        says=f"the document holds a key ({role})" if role else "the document holds no key we know",
    )
    return Found(
        service=NAME,
        composite=Composite(parts=(part,), framing="an Oyster attestation server's answer"),
        binding=Binding.NONE,
        keys={role: key} if role and key else {},
        not_bound=_NOT_BOUND,
        statements=tuple(_said(parsed)),
        raw={path: answer},
    )


def _document(web: Web) -> tuple[str, bytes, bytes] | None:
    raw = _get(web, RAW)
    if raw is not None and documents.unwrap(raw.body) is not None:
        return RAW, raw.body, raw.body
    text = _get(web, HEX)
    if text is None or not text.body or text.body.strip(b"0123456789abcdef"):
        return None
    try:
        document = binascii.unhexlify(text.body)
    except binascii.Error:
        raise Malformed("has half a byte", field=HEX) from None
    return None if documents.unwrap(document) is None else (HEX, text.body, document)


def _get(web: Web, path: str) -> Response | None:
    try:
        answer = web.get(path, limit=2 * documents.MAX_DOCUMENT)
    except Redirected:
        return None
    return answer if answer.status == 200 else None


def _said(document: documents.Document | None) -> Iterator[Statement]:
    if document is None:
        return
    name = image_id({f"pcr{i}": value.hex() for i, value in document.pcrs.items()})
    yield Statement(
        name="image_id",
        status=Status.ASSERTED,
        source=Source.VERIFIER,
        why=f"PCR0, PCR1, PCR2 and PCR16 make the image id {name.hex()}",
    )
    if document.pcrs.get(16, bytes(48)) == bytes(48):
        why = "PCR16 is zero or absent: there are no init params, or the image does not know them"
        yield Statement(name="init_params", status=Status.UNKNOWN, source=None, why=why)


def _item(value: Any) -> tuple[str, bytes, bool, bool]:
    if not isinstance(value, dict) or not {"path", "contents"} <= set(value) <= _ITEM:
        raise Malformed("has missing or unknown keys", field="init param")
    path = value["path"]
    attested, encrypted = value.get("should_attest", True), value.get("should_decrypt", False)
    if not isinstance(attested, bool) or not isinstance(encrypted, bool):
        raise Malformed("has a flag that is neither true nor false", field="init param")
    if not isinstance(path, str) or not path or ".." in path or path.startswith("/"):
        raise Malformed(f"has the path {path!r:.80}", field="init param")
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("has half a surrogate pair in its path", field="init param") from None
    return path, _decoded(value["contents"], "init param's contents"), attested, encrypted


def _decoded(value: Any, field: str) -> bytes:
    if not isinstance(value, str) or not value.isascii():
        raise Malformed("is not base64 text", field=field)
    return from_base64(value.encode("ascii"), field=field)


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data


SERVICE: Final = Service(name=NAME, title="Oyster (Marlin)", ask=ask, not_bound=_NOT_BOUND)
