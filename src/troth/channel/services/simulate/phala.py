"""A confidential-AI server of the older kind on loopback: report, signatures, encrypted fields.

Methods are cut so that a test can be one of the protocol's enemies: override the one step that lies.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import coincurve
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from troth.channel import e2ee, e2ee_older, signatures
from troth.channel.services.phala import report_data
from troth.channel.services.simulate import _model
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate._server import Question, Reply, Server
from troth.crypto import ethereum

ENDPOINTS: Final = ("/v1/chat/completions", "/v1/completions")
_SIGNATURE: Final = "/v1/signature/"


class Phala:
    """The service; its address is `url`.

    Args:
        guest: whose quotes; made if not given.
        fingerprint: `spki`, `certificate` or empty: what of TLS the identity is over.
        models: whether signed texts name the model.
    """

    def __init__(
        self, *, guest: Guest | None = None, fingerprint: str = "spki", models: bool = True
    ) -> None:
        self.guest: Final = Guest.create(datetime.now(UTC)) if guest is None else guest
        self.models: Final = models
        self.ecdsa = coincurve.PrivateKey()
        self.ed25519 = Ed25519PrivateKey.generate()
        self.texts: dict[str, str] = {}
        self.prompts: list[bytes] = []  # every body that came in, as it came
        self._server = Server(self._answer)
        self.url: Final = self._server.url
        self.spki: Final = self._server.spki
        held = {"spki": self.spki, "certificate": self._server.certificate}.get(fingerprint)
        self.fingerprint: Final = b"" if held is None else hashlib.sha256(held).digest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()

    def address(self, algorithm: str) -> bytes:
        """Of the key that signs."""
        if algorithm == signatures.ED25519:
            return self.ed25519.public_key().public_bytes_raw()
        return ethereum.address(self.ecdsa.public_key.format(compressed=False))

    def gpus(self, nonce: bytes) -> dict[str, Any] | None:  # noqa: ARG002 - for those who have some
        """The body for NRAS, or None where there are no GPUs."""
        return None

    def entry(self, nonce: bytes, algorithm: str, *, fingerprint: bool) -> dict[str, Any]:
        """One machine's attestation."""
        held = self.fingerprint if fingerprint else b""
        data = report_data(self.address(algorithm), nonce, fingerprint=held)
        payload = self.gpus(nonce)
        made: dict[str, Any] = {
            "signing_address": "0x" * (algorithm == signatures.ECDSA)
            + self.address(algorithm).hex(),
            "signing_algo": algorithm,
            "request_nonce": nonce.hex(),
            "intel_quote": self.guest.quote(data).hex(),
            "nvidia_payload": "" if payload is None else json.dumps(payload),
            "event_log": self.guest.log,
            "info": {"tcb_info": json.dumps({"app_compose": self.guest.composition})},
        }
        if algorithm == signatures.ECDSA:
            made["signing_public_key"] = self.ecdsa.public_key.format(compressed=False).hex()
        return made | ({"tls_cert_fingerprint": held.hex()} if held else {})

    def report(self, nonce: bytes, algorithm: str, *, fingerprint: bool) -> dict[str, Any]:
        """The whole report: this machine, and all that stand beside it."""
        made = self.entry(nonce, algorithm, fingerprint=fingerprint)
        return made | {"all_attestations": [made]}

    def sign(self, text: str, algorithm: str) -> bytes:
        """A signature over a text."""
        if algorithm == signatures.ED25519:
            return self.ed25519.sign(text.encode())
        digest = ethereum.personal_digest(text.encode())
        raw = self.ecdsa.sign_recoverable(digest, hasher=None)
        return raw[:64] + bytes([raw[64] + 27])

    def text(self, request: bytes, response: bytes, model: str) -> str:
        """What is signed for an answer."""
        return signatures.text(request, response, model=model if self.models else "")

    def on_the_wire(self, piece: bytes) -> bytes:
        """What leaves the machine in place of a piece of the answer."""
        return piece

    def _answer(self, question: Question) -> Reply:
        headers = {"Content-Type": "application/json"}
        path, algorithm = question.path, question.query.get("signing_algo", signatures.ECDSA)
        if question.method == "POST" and path in ENDPOINTS:
            return self._serve(question)
        if path == "/v1/attestation/report":
            fingerprint = question.query.get("include_tls_fingerprint") == "true"
            nonce = bytes.fromhex(question.query["nonce"])
            report = self.report(nonce, algorithm, fingerprint=fingerprint)
            return Reply(headers=headers, body=json.dumps(report).encode())
        held = self.texts.get(path.removeprefix(_SIGNATURE))
        if path.startswith(_SIGNATURE) and held is not None:
            return Reply(headers=headers, body=json.dumps(self._signed(held, algorithm)).encode())
        return Reply(status=404, headers=headers, body=_model.error("not found", "not_found"))

    def _signed(self, text: str, algorithm: str) -> Mapping[str, str]:
        return {
            "text": text,
            "signature": "0x" + self.sign(text, algorithm).hex(),
            "signing_address": self.address(algorithm).hex(),
            "signing_algo": algorithm,
        }

    def _serve(self, question: Question) -> Reply:
        self.prompts.append(question.body)
        body = json.loads(question.body)
        client = question.headers.get("x-client-pub-key", "")
        if client:
            self._open(question.headers, body)
        if body.get("stream"):
            pieces = self._stream(question, body, bytes.fromhex(client))
            return Reply(headers={"Content-Type": "text/event-stream"}, pieces=pieces)
        answer = _model.answer(body, endpoint=question.path)
        self._seal(answer, bytes.fromhex(client))
        data = json.dumps(answer).encode()
        self.texts[answer["id"]] = self.text(question.body, data, body["model"])
        headers = {"Content-Type": "application/json", "X-Request-Id": secrets.token_hex(4)}
        return Reply(headers=headers, body=self.on_the_wire(data))

    def _open(self, headers: Mapping[str, str], body: dict[str, Any]) -> None:
        """Decrypts a request's fields with the key that signs."""
        if headers["x-signing-algo"] == signatures.ED25519:
            key: e2ee_older.Private = self.ed25519
        else:
            scalar = int.from_bytes(self.ecdsa.secret, "big")
            key = ec.derive_private_key(scalar, ec.SECP256K1())
        e2ee_older.open_fields(e2ee.request_fields(body), key=key)

    def _seal(self, answer: dict[str, Any], client: bytes) -> None:
        if client:
            e2ee_older.seal_fields(e2ee.answer_fields(answer), to=client)

    def _stream(self, question: Question, body: dict[str, Any], client: bytes) -> Iterator[bytes]:
        sent = b""
        chat_id = ""
        for value in _model.pieces(body):
            chat_id = value["id"]
            self._seal(value, client)
            piece = _model.event(value)
            sent += piece
            yield self.on_the_wire(piece)
        end = b"data: [DONE]\n\n"
        self.texts[chat_id] = self.text(question.body, sent + end, body["model"])
        yield self.on_the_wire(end)
