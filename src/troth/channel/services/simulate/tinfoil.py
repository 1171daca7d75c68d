"""A Tinfoil enclave in Python: both versions of its document, EHBP, and a chat that repeats you.

Does not isolate anything; what signs its evidence is handed in, and is a development root's.
"""

import base64
import gzip
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from troth.channel import ehbp
from troth.channel.services import tinfoil, tinfoil_document
from troth.channel.services.simulate import _model
from troth.channel.services.simulate._server import Cut, Question, Reply, Server
from troth.errors import Malformed
from troth.wire import json

HOST: Final = "localhost"
CHAT: Final = "/v1/chat/completions"
_REPORTS: Final = {
    "snp": (tinfoil.SNP_V2, tinfoil_document.SNP_REPORT),
    "tdx": (tinfoil.TDX_V2, tinfoil_document.TDX_QUOTE),
}
_JSON: Final = {"Content-Type": "application/json"}

Attest = Callable[[bytes], bytes]
"""64 bytes of REPORT_DATA to a report or quote."""


class Enclave:
    """One start of an enclave: its keys, its certificate, and a server on a free port.

    Args:
        attest: makes the CPU's evidence.
        platform: `snp` or `tdx`.
        version: of the document that it gives: 3 to whoever gives a nonce, or 2 to everybody.
        devices: (nonce) to the items of `device_evidence`; none, if not given.
        collateral: entries of version 3's, or None for a document without.
        present: (nonce or None, the true document) to what is sent instead, for whoever lies.
        cut: after how many pieces of a chat's answer the connection ends; None for never.

    Attributes:
        spki: SubjectPublicKeyInfo of its TLS key.
        receiver: its end of EHBP.
        certificate: its TLS certificate, DER.
        url: where it listens.
        asked: path of each request that came.
    """

    def __init__(
        self,
        attest: Attest,
        *,
        platform: str = "snp",
        version: int = 3,
        devices: Callable[[bytes], Sequence[Mapping[str, Any]]] | None = None,
        collateral: Sequence[Mapping[str, Any]] | None = None,
        present: Callable[[bytes | None, bytes], bytes] = lambda _, document: document,
        cut: int | None = None,
    ) -> None:
        self._attest = attest
        self._kinds = _REPORTS[platform]
        self._version = version
        self._devices = devices
        self._collateral = collateral
        self._present = present
        self._cut = cut
        key = ec.generate_private_key(ec.SECP256R1())
        self.spki: Final = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.receiver: Final = ehbp.Receiver(X25519PrivateKey.generate())
        self.asked: list[str] = []
        self._v2 = self._made_once()
        self._server = Server(self._answer, key=key, names=self._names())
        self.certificate: Final = self._server.certificate
        self.url: Final = self._server.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops listening, and ends what is still open."""
        self._server.close()

    def document(self, nonce: bytes | None) -> bytes:
        """What it answers to this nonce, or to none."""
        true = self._v2 if nonce is None or self._version == 2 else self._v3(nonce)
        return self._present(nonce, true)

    def _v3(self, nonce: bytes) -> bytes:
        crypto = json.canonical({"format": tinfoil_document.CRYPTO_MATERIAL, "items": self._keys()})
        devices: list[Any] = list(self._devices(nonce)) if self._devices else []
        device = json.canonical({"format": tinfoil_document.DEVICE_EVIDENCE, "items": devices})
        bound = tinfoil_document.report_data(nonce, crypto, device)
        document: dict[str, Any] = {
            "format": tinfoil_document.FORMAT,
            "challenge": {
                "nonce": nonce.hex(),
                "report_data": bound.hex(),
                "report_data_algorithm": tinfoil_document.ALGORITHM,
            },
            "cpu_evidence": {
                "format": self._kinds[1],
                "report_base64": _base64(self._attest(bound)),
                "endorsed": {
                    "crypto_material_hash": hashlib.sha256(crypto).hexdigest(),
                    "device_evidence_hash": hashlib.sha256(device).hexdigest(),
                },
            },
            "crypto_material": _base64(crypto),
            "device_evidence": _base64(device),
        }
        if self._collateral is not None:
            document["collateral"] = list(self._collateral)
        return json.canonical(document)

    def _keys(self) -> list[dict[str, str]]:
        return [
            {
                "id": "tls",
                "format": tinfoil_document.SPKI_SHA256,
                "data": hashlib.sha256(self.spki).hexdigest(),
            },
            {
                "id": "hpke",
                "format": tinfoil_document.X25519_HPKE,
                "data": self.receiver.key.hex(),
            },
        ]

    def _made_once(self) -> bytes:
        bound = hashlib.sha256(self.spki).digest() + self.receiver.key
        body = _base64(gzip.compress(self._attest(bound), mtime=0))
        return json.canonical({"format": self._kinds[0], "body": body})

    def _names(self) -> Iterator[str]:
        document = json.parse(self._v2, field="document")
        said = tinfoil.document_hash(document["format"], document["body"])
        yield from tinfoil.names_of("hpke", self.receiver.key, HOST)
        yield from tinfoil.names_of("hatt", said.encode("ascii"), HOST)

    def _answer(self, question: Question) -> Reply:
        self.asked.append(question.path)
        if question.method == "POST":
            return self._posted(question)
        if question.path == tinfoil.PATH:
            nonce = question.query.get("nonce")
            document = self.document(None if nonce is None else bytes.fromhex(nonce))
            return Reply(headers=_JSON, body=document)
        if question.path == ehbp.KEYS_PATH:
            keys = ehbp.write_keys(self.receiver.key)
            return Reply(headers={"Content-Type": ehbp.KEYS_TYPE}, body=keys)
        return Reply(status=404, body=b"not found")

    def _posted(self, question: Question) -> Reply:
        try:
            sealed = self.receiver.request(question.headers.items(), [question.body])
            body = b"".join(sealed.pieces) if sealed else question.body
        except ehbp.KeyMismatch:
            problem = {"Content-Type": ehbp.PROBLEM_TYPE}
            return Reply(status=422, headers=problem, body=ehbp.write_problem())
        except Malformed:
            return Reply(status=400, body=b"bad request")
        status, kind, pieces = _said(question.path, body)
        headers = {"Content-Type": kind} | (sealed.headers if sealed else {})
        if sealed:
            pieces = map(sealed.seal, pieces)
        return Reply(status=status, headers=headers, pieces=self._until_cut(pieces))

    def _until_cut(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for number, piece in enumerate(pieces):
            if number == self._cut:
                raise Cut
            yield piece


def _said(path: str, body: bytes) -> tuple[int, str, Iterable[bytes]]:
    """Status, type and pieces of what the model answers."""
    kind = _JSON["Content-Type"]
    if path != CHAT:
        return 404, kind, [_model.error("no such thing", "not_found")]
    try:
        asked = json.parse(body, field="request")
    except Malformed as error:
        return 400, kind, [_model.error(str(error), "invalid_request_error")]
    if asked.get("stream"):
        events = [*map(_model.event, _model.pieces(asked)), b"data: [DONE]\n\n"]
        return 200, "text/event-stream", events
    return 200, kind, [json.canonical(_model.answer(asked, endpoint=path))]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
