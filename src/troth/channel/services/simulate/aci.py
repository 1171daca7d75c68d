"""An ACI service on loopback: report, keyset, receipts, sessions, encrypted fields, over simulated quotes.

Methods are cut so that a test can be one of the protocol's enemies: override the one step that lies.
"""

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from troth.channel import e2ee, keyset
from troth.channel.e2ee import Context
from troth.channel.services.simulate import _model
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate._server import Question, Reply, Server
from troth.errors import TrothError
from troth.wire import json as strict

ENDPOINTS: Final = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
_HOUR: Final = 3600
_E2EE: Final = (
    "x-e2ee-version",
    "x-client-pub-key",
    "x-model-pub-key",
    "x-e2ee-nonce",
    "x-e2ee-timestamp",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What an encrypted request asked for: whom the answer is for, and what it is bound to."""

    client: bytes
    context: Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for an answer.

    Attributes:
        question: as it came.
        body: the request, decrypted.
        received: the bytes that a receipt is over.
        sealed: where fields were encrypted.
    """

    question: Question
    body: dict[str, Any]
    received: bytes
    sealed: Sealed | None


class Refused(Exception):  # noqa: N818 - a reply, not a fault
    """An error in OpenAI's form."""

    def __init__(self, status: int, kind: str) -> None:
        super().__init__(kind)
        self.reply = Reply(status=status, body=_model.error(kind, kind))


class Aci:
    """The service; its address is `url`.

    Args:
        guest: whose quotes; made if not given.
        direct: whether it runs its model itself, or is a gateway with one verified upstream.
        tls: whether the TLS key is in the keyset.
        suite: of encryption, or None for none.
        life: seconds for which the keyset is good.
    """

    def __init__(
        self,
        *,
        guest: Guest | None = None,
        direct: bool = True,
        tls: bool = True,
        suite: str | None = keyset.X25519,
        life: int = _HOUR,
    ) -> None:
        self.guest: Final = Guest.create(datetime.now(UTC)) if guest is None else guest
        self.direct: Final = direct
        self.signer = Ed25519PrivateKey.generate()
        self.suite: Final = suite
        self.service_key = None if suite is None else e2ee.new_key(suite)
        self.receipts: dict[str, tuple[str, bytes]] = {}
        self.prompts: list[bytes] = []  # every body that came in, as it came
        self._seen: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._server = Server(self._answer)
        self.url: Final = self._server.url
        self.spki: Final = self._server.spki
        listed = [{"spki_sha256": hashlib.sha256(self.spki).hexdigest()}] if tls else []
        self.keyset: Final = self.make_keyset(listed, int(time.time()) + life)
        self.session: Final = self.make_session()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()

    @property
    def digest(self) -> str:
        """Of the keyset."""
        return keyset.sha256(strict.canonical(self.keyset))

    @property
    def session_id(self) -> str:
        """Of the one session."""
        return hashlib.sha256(strict.canonical(self.session)).hexdigest()

    def make_keyset(self, tls: list[dict[str, str]], not_after: int) -> dict[str, Any]:
        """The keyset as a value."""
        receipt = self.signer.public_key().public_bytes_raw().hex()
        encryption = []
        if self.suite is not None and self.service_key is not None:
            held = e2ee.public(self.service_key).hex()
            encryption = [{"key_id": "e2ee-1", "algo": self.suite, "public_key": held}]
        return {
            "subject": None,
            "not_after": not_after,
            "receipt_signing_keys": [
                {"key_id": "receipt-1", "algo": "ed25519", "public_key": receipt}
            ],
            "e2ee_public_keys": encryption,
            "tls_public_keys": tls,
        }

    def make_session(self) -> dict[str, Any]:
        """What the gateway says of its upstream."""
        now, evidence = int(time.time()), b"what the gateway judged"
        proven = {"status": "asserted", "source": "hardware_proven", "reason": "quote verified"}
        claims: dict[str, Any] = {
            "tee_attested": proven,
            "gpu_attested": {"status": "unknown"},
            "tcb_up_to_date": proven | {"status": "refuted", "source": "verifier_derived"},
        }
        return {
            "api_version": keyset.API,
            "upstream_name": "development upstream",
            "endpoint": "https://upstream.example.com",
            "verifier_id": "development/1",
            "established_at": now,
            "expires_at": now + _HOUR,
            "channel_binding": [
                {
                    "type": "tls_spki_sha256",
                    "origin": "https://upstream.example.com",
                    "spki_sha256": "d1" * 32,
                }
            ],
            "claims": claims,
            "evidence": {
                "digest": keyset.sha256(evidence),
                "data": "data:text/plain;base64,d2hhdCB0aGUgZ2F0ZXdheSBqdWRnZWQ=",
            },
        }

    def report(self, nonce: bytes | None) -> dict[str, Any]:
        """The attestation report."""
        data = keyset.report_data(self.digest, nonce)
        return {
            "api_version": keyset.API,
            "workload_keyset_digest": self.digest,
            "attestation": {
                "tee_type": "tdx",
                "workload_keyset": self.keyset,
                "report_data": data[:32].hex(),
                "source_provenance": {
                    "repo_url": "https://github.com/example/app",
                    "repo_commit": "0" * 40,
                    "image_digest": None,
                    "image_provenance": None,
                },
                "evidence": {
                    "quote": self.guest.quote(data).hex(),
                    "quote_report_data": data.hex(),
                    "event_log": self.guest.log,
                    "vm_config": "{}",
                    "app_compose": self.guest.composition,
                },
            },
            "service_capabilities": {
                "supported_e2ee_versions": ["2"] if self.suite else [],
                "serving": "direct" if self.direct else "aggregator",
            },
        }

    def events(self, asked: Asked, forwarded: bytes, response: str) -> list[dict[str, Any]]:
        """A receipt's events; `response` is the digest of what was returned."""
        upstream = {
            "type": "upstream.verified",
            "result": "verified",
            "required": True,
            "model_id": asked.body.get("model"),
            "session_id": self.session_id,
        }
        return [
            {"type": "request.received", "body_hash": keyset.sha256(asked.received)},
            {"type": "request.forwarded", "body_hash": keyset.sha256(forwarded)},
            *([] if self.direct else [upstream]),
            {"type": "response.returned", "body_hash": response},
        ]

    def sign(self, receipt: dict[str, Any]) -> bytes:
        """A receipt's document."""
        signature = self.signer.sign(strict.canonical(receipt)).hex()
        return json.dumps(receipt | {"signature": signature}).encode()

    def receipt(self, asked: Asked, receipt_id: str, chat_id: str | None, response: str) -> bytes:
        """The receipt for an answer."""
        return self.sign(
            {
                "api_version": keyset.API,
                "receipt_id": receipt_id,
                "chat_id": chat_id,
                "model": asked.body.get("model"),
                "workload_keyset_digest": self.digest,
                "endpoint": asked.question.path,
                "method": asked.question.method,
                "served_at": int(time.time()),
                "event_log": self.events(asked, self.forwarded(asked), response),
                "key_id": "receipt-1",
            }
        )

    def forwarded(self, asked: Asked) -> bytes:
        """What the model was asked: the gateway's own members are taken out."""
        provider = asked.body.get("provider")
        if not isinstance(provider, dict):
            return asked.received
        kept = {k: v for k, v in provider.items() if not k.startswith("aci_")}
        return e2ee.compact(asked.body | {"provider": kept})

    def on_the_wire(self, piece: bytes) -> bytes:
        """What leaves the machine in place of a piece of the answer."""
        return piece

    def _answer(self, question: Question) -> Reply:
        try:
            reply = self._route(question)
        except Refused as refused:
            reply = refused.reply
        headers = {"X-ACI-Version": keyset.API, "X-ACI-Keyset-Digest": self.digest}
        return Reply(
            status=reply.status,
            headers={"Content-Type": "application/json", **headers, **reply.headers},
            body=reply.body,
            pieces=reply.pieces,
        )

    def _route(self, question: Question) -> Reply:
        if question.method == "POST" and question.path in ENDPOINTS:
            return self._serve(self._read(question))
        path = question.path
        if path == "/v1/aci/attestation":
            nonce = question.query.get("nonce")
            if nonce is not None and not keyset.is_id(nonce):
                raise Refused(400, "invalid_request_error")
            report = self.report(None if nonce is None else bytes.fromhex(nonce))
            return Reply(body=json.dumps(report, indent=1).encode())
        if path.startswith("/v1/aci/receipts/"):
            return self._look_up(path.rpartition("/")[2], question.headers)
        if path == "/v1/aci/sessions" and not self.direct:
            entry = {"session_id": self.session_id}
            return Reply(body=json.dumps({"api_version": keyset.API, "sessions": [entry]}).encode())
        if path == f"/v1/aci/sessions/{self.session_id}" and not self.direct:
            return Reply(body=json.dumps(self.session).encode())
        if path == "/v1/models":
            held = {"object": "list", "data": [{"id": _model.MODEL, "object": "model"}]}
            return Reply(body=json.dumps(held).encode())
        raise Refused(404, "not_found")

    def _look_up(self, name: str, headers: Mapping[str, str]) -> Reply:
        held = self.receipts.get(name)
        if held is None or held[0] != headers.get("authorization", ""):
            raise Refused(404, "not_found")
        return Reply(body=held[1])

    def _read(self, question: Question) -> Asked:
        self.prompts.append(question.body)
        body = json.loads(question.body)
        sealed = None
        received = question.body
        named = [name for name in _E2EE if name in question.headers]
        if named:
            if len(named) < len(_E2EE):
                raise Refused(400, "e2ee_header_missing")
            sealed = self._open(question.headers, body)
            received = e2ee.compact(body)
        provider = body.get("provider")
        for name, value in (provider if isinstance(provider, dict) else {}).items():
            if name == "aci_session_ids" and self.session_id not in value:
                raise Refused(412, "session_not_accepted")
            if name.startswith("aci_") and name not in ("aci_session_ids", "aci_verified"):
                raise Refused(400, "invalid_request_error")
        return Asked(question=question, body=body, received=received, sealed=sealed)

    def _open(self, headers: Mapping[str, str], body: dict[str, Any]) -> Sealed:
        version, client, service, nonce, stamp = (headers[name] for name in _E2EE)
        if version != e2ee.VERSION or self.suite is None or self.service_key is None:
            raise Refused(400, "e2ee_invalid_version")
        if service.removeprefix("0x") != e2ee.public(self.service_key).hex():
            raise Refused(400, "e2ee_model_key_mismatch")
        if not keyset.is_id(nonce.lower()):
            raise Refused(400, "e2ee_invalid_nonce")
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > e2ee.WINDOW:
            raise Refused(400, "e2ee_invalid_timestamp")
        with self._lock:
            if (client, nonce.lower()) in self._seen:
                raise Refused(400, "e2ee_replay_detected")
            self._seen.add((client, nonce.lower()))
        model = body.get("model")
        if not isinstance(model, str):
            raise Refused(400, "e2ee_invalid_payload_model")
        context = Context(algo=self.suite, model=model, nonce=bytes.fromhex(nonce), ts=int(stamp))
        try:
            key = e2ee.read_public(client, self.suite)
            e2ee.open_request(body, key=self.service_key, context=context)
        except TrothError:
            raise Refused(400, "e2ee_decryption_failed") from None
        return Sealed(client=key, context=context)

    def _serve(self, asked: Asked) -> Reply:
        receipt_id = f"rcpt-{secrets.token_hex(8)}"
        headers = {"X-Receipt-Id": receipt_id}
        if asked.sealed is not None:
            headers |= {"X-E2EE-Applied": "true", "X-E2EE-Version": e2ee.VERSION}
        if asked.body.get("stream"):
            return Reply(
                headers=headers | {"Content-Type": "text/event-stream"},
                pieces=self._stream(asked, receipt_id),
            )
        answer = _model.answer(asked.body, endpoint=asked.question.path)
        self._seal(asked, answer)
        body = json.dumps(answer).encode()
        self._keep(asked, receipt_id, answer.get("id"), keyset.sha256(body))
        return Reply(headers=headers, body=self.on_the_wire(body))

    def _stream(self, asked: Asked, receipt_id: str) -> Iterator[bytes]:
        hashed, chat_id = hashlib.sha256(), None
        for value in _model.pieces(asked.body):
            chat_id = value["id"]
            self._seal(asked, value)
            piece = _model.event(value)
            hashed.update(piece)
            yield self.on_the_wire(piece)
        end = b"data: [DONE]\n\n"
        hashed.update(end)
        # The receipt is there before the stream's end is.
        self._keep(asked, receipt_id, chat_id, f"sha256:{hashed.hexdigest()}")
        yield self.on_the_wire(end)

    def _seal(self, asked: Asked, answer: dict[str, Any]) -> None:
        if asked.sealed is not None:
            e2ee.seal_answer(answer, to=asked.sealed.client, context=asked.sealed.context)

    def _keep(self, asked: Asked, receipt_id: str, chat_id: str | None, response: str) -> None:
        bearer = asked.question.headers.get("authorization", "")
        self.receipts[receipt_id] = (bearer, self.receipt(asked, receipt_id, chat_id, response))
