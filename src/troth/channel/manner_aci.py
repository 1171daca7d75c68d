"""Talking to an accepted ACI service: fields encrypted where it takes that, receipts for every answer.

A gateway is asked to serve through verified upstreams alone, unless the request itself says otherwise;
the session that its receipt names is fetched, and must be the record of that name, and current.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

from troth.channel import e2ee, receipts
from troth.channel import keyset as keysets
from troth.channel.e2ee import Context
from troth.channel.keyset import Key, Keyset
from troth.channel.manners import (
    Came,
    Get,
    PlainSent,
    Proof,
    Request,
    Sent,
    fetched,
    json_of,
    read,
    refuse,
    refused,
)
from troth.channel.receipts import Exchange, Receipt
from troth.channel.services import _aci_sessions, aci
from troth.channel.services._service import Found
from troth.errors import Malformed, Misuse
from troth.model.answer import AnswerRefused
from troth.model.channel import Binding
from troth.model.check import failed
from troth.model.codes.answer import B412, B414, B417
from troth.model.statement import Status

# Members that say nothing of a prompt, and have the answer say nothing in the clear (as `logprobs` has);
# all others stay inside TLS to a key in the evidence.
_HARMLESS: Final = frozenset(
    {
        *("model", "messages", "prompt", "input", "stream", "stream_options", "n", "seed"),
        *("temperature", "top_p", "max_tokens", "max_completion_tokens", "frequency_penalty"),
        *("presence_penalty", "reasoning_effort", "provider", "encoding_format", "dimensions"),
        *("service_tier", "best_of"),
    }
)
_ACTS: Final = ("tool_calls", "function_call", "refusal")
_MESSAGE: Final = frozenset({"role", "content"})
_ENCRYPTED: Final = ("/chat/completions", "/completions", "/embeddings")
_ENTRY_LEFT: Final = (
    "TLS ends before the attested workload: the API key, parameters, and lengths are open there, while "
    "contents are encrypted to the workload's key"
)
_ENTRY_ASKED: Final = (
    "requests without a body, such as for the list of models, and the answers to them are that TLS's: "
    "nobody signs them"
)


@dataclass(slots=True)
class Aci:
    """The manner.

    Args:
        found: what was accepted.
        encrypt: whether fields are encrypted where the service takes that.
    """

    found: Found
    encrypt: bool
    firm: Binding = field(init=False)
    until: int | None = field(init=False)
    left_open: tuple[str, ...] = field(init=False)
    keyset: Keyset = field(init=False)
    direct: bool = field(init=False)
    sessions: dict[str, bytes] = field(init=False, default_factory=dict)
    only_encrypted: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        report = self.found.raw[aci.PATH]
        self.keyset = aci.keyset_in(report)
        self.direct = aci.is_direct(report)
        self.until = self.keyset.not_after
        able = e2ee.VERSION in aci.e2ee_versions(report) and self.keyset.e2ee_key() is not None
        self.encrypt = self.encrypt and able
        pinned = self.found.binding is Binding.KEY
        self.firm = self.found.binding
        self.left_open = ()
        if self.found.binding is Binding.ANSWER and self.encrypt:
            self.firm, self.left_open = Binding.KEY, (_ENTRY_LEFT, _ENTRY_ASKED)
        self.only_encrypted = not pinned and self.encrypt

    def replaced(self, headers: tuple[tuple[str, str], ...]) -> bool:
        """Whether the answer names another keyset: a hint, and the receipt decides."""
        return any(
            name.lower() == "x-aci-keyset-digest" and value != self.keyset.digest
            for name, value in headers
        )

    def prepare(self, request: Request) -> Sent:
        """See the module; what cannot be encrypted is refused where TLS is somebody else's."""
        if not request.body:
            return PlainSent(b"")
        body = json_of(request.body)
        wanted = self._constrained(body)
        raw = request.body if wanted is body else e2ee.compact(wanted)
        model = wanted.get("model")
        named = model if isinstance(model, str) else ""
        exchange = Exchange(
            request=keysets.sha256(raw),
            response="",
            model=named,
            endpoint=request.endpoint,
            method=request.method,
            direct=self.direct,
            verified=_wants_verified(wanted),
            # What the caller gave up by name is not asked of the receipt.
            any_upstream=not self.direct and not _wants_verified(wanted),
            sessions=frozenset(_listed(wanted)),
        )
        key = self.keyset.e2ee_key()
        if not self.encrypt or key is None or not self._fits(request, wanted):
            return AciSent(self, request, raw, exchange)
        try:
            return EncryptedSent(self, request, wanted, exchange, key)
        except UnicodeEncodeError:
            raise Misuse("the request has half a surrogate pair, which is no text") from None

    def _fits(self, request: Request, body: dict[str, Any]) -> bool:
        """Whether a request can be encrypted.

        Raises:
            Misuse: it cannot, and would be open to others.
        """
        why = ""
        if not request.endpoint.endswith(_ENCRYPTED):
            why = f"{request.endpoint} cannot be encrypted to this service"
        elif not isinstance(body.get("model"), str):
            why = "a request without a model cannot be encrypted"
        elif not any(True for _ in e2ee.request_fields(body)):
            why = "the request has no content that could be encrypted"
        elif self.only_encrypted and (odd := _open(body)):
            why = f"{odd} cannot be encrypted to this service"
        if why and self.only_encrypted:
            raise Misuse(
                f"{why}, and TLS ends before the attested workload; nothing was sent",
                fix="leave it away, or ask a service whose TLS key is in its evidence",
            )
        return not why

    def _constrained(self, body: dict[str, Any]) -> dict[str, Any]:
        """Verified serving is asked for, unless the request speaks of that itself.

        That a service has no upstream is bound by nothing but TLS to a key of its own; where it has none
        the question changes nothing.
        """
        if self.direct and self.found.binding is Binding.KEY:
            return body
        provider = body.get("provider")
        held = provider if isinstance(provider, dict) else {}
        if {"aci_verified", "aci_session_ids"} & held.keys():
            return body
        return body | {"provider": held | {"aci_verified": True}}


class AciSent(PlainSent):
    """A request whose answer must have a receipt."""

    def __init__(self, manner: Aci, request: Request, body: bytes, exchange: Exchange) -> None:
        super().__init__(body, signed=True)
        self._manner = manner
        self._exchange = exchange
        self._request = request

    def check(self, came: Came, get: Get) -> Proof:
        """The receipt for this answer, under the keyset that the evidence binds."""
        name = came.headers.get("x-receipt-id") or came.answer_id
        if not name:
            refuse(receipts.absent("answer", "the answer names no receipt"), *receipts.REQUIRED)
        data = fetched(get, f"/v1/aci/receipts/{quote(name, safe='')}")
        receipt: Receipt = read(receipts.read, data)
        exchange = replace(self._exchange, response=f"sha256:{came.sha256}")
        found = receipts.checks(receipt, self._manner.keyset, exchange)
        # A receipt for an earlier twin of this request would fit as well.
        if name not in (receipt.receipt_id, receipt.chat_id):
            found = (*found, failed(B412, "receipt", why="it has another name than was asked for"))
        looked = any(check.code is B417 for check in found)
        asked = not (exchange.direct or exchange.any_upstream)
        refuse(found, *receipts.REQUIRED, *((B417,) if asked else ()), receipt=data)
        if looked:
            self._session(receipt, get, data)
        return Proof(
            name=receipt.receipt_id,
            receipt=data,
            checks=found,
            request=exchange.request.removeprefix("sha256:"),
            model=exchange.model,
        )

    def _session(self, receipt: Receipt, get: Get, data: bytes) -> None:
        """The session that the receipt cites: the record of that name, current, and of a TEE.

        Raises:
            AnswerRefused: it is not.
        """
        event = [e for e in receipt.events if e.kind == receipts.VERIFIED][-1]
        name = str(event.says["session_id"])
        held = self._manner.sessions
        if name not in held:
            held[name] = fetched(get, f"{_aci_sessions.PATH}/{name}")
        try:
            session = _aci_sessions.read(held[name])
        except Malformed as error:
            raise AnswerRefused([failed(B417, "session", why=str(error))], receipt=data) from error
        wrong = ""
        if session.session_id != name:
            wrong = "the record is of another session"
        elif not session.established_at <= receipt.served_at < session.expires_at:
            wrong = "the session was not current when the answer was given"
        elif not any(
            s.name == "tee_attested" and s.status is Status.ASSERTED for s in session.statements
        ):
            wrong = "the gateway does not say that a TEE is behind it"
        if wrong:
            del held[name]
            raise AnswerRefused([failed(B417, f"session {name}", why=wrong)], receipt=data)


class EncryptedSent(AciSent):
    """A request whose fields are encrypted, and whose answer's must be."""

    def __init__(
        self,
        manner: Aci,
        request: Request,
        body: dict[str, Any],
        exchange: Exchange,
        key: Key,
    ) -> None:
        self._context = Context(
            algo=key.algo,
            model=exchange.model,
            nonce=secrets.token_bytes(e2ee.NONCE),
            ts=int(time.time()),
        )
        self._mine = e2ee.new_key(key.algo)
        to = e2ee.read_public(key.public_key, key.algo)
        sealed, restored = e2ee.seal_request(body, to=to, context=self._context)
        super().__init__(
            manner,
            request,
            e2ee.compact(sealed),
            replace(exchange, request=keysets.sha256(restored)),
        )
        self.headers: Mapping[str, str] = {
            "X-E2EE-Version": e2ee.VERSION,
            "X-Client-Pub-Key": e2ee.public(self._mine).hex(),
            "X-Model-Pub-Key": key.public_key,
            "X-E2EE-Nonce": self._context.nonce.hex(),
            "X-E2EE-Timestamp": str(self._context.ts),
        }
        self.shows = True

    def show(self, value: dict[str, Any]) -> None:
        """Decrypts in place.

        Raises:
            AnswerRefused: content is in the clear, or of another request.
        """
        if self._manner.only_encrypted and (odd := _in_the_clear(value)):
            why = f"{odd} came in the clear, past somebody else's TLS"
            raise AnswerRefused([failed(B414, "answer", why=why)])
        try:
            e2ee.open_answer(value, key=self._mine, context=self._context)
        except Malformed as error:
            raise refused(error) from error


def _wants_verified(body: dict[str, Any]) -> bool:
    provider = body.get("provider")
    held = provider if isinstance(provider, dict) else {}
    return bool(held.get("aci_verified") is True or held.get("aci_session_ids"))


def _listed(body: dict[str, Any]) -> list[str]:
    provider = body.get("provider")
    ids = provider.get("aci_session_ids") if isinstance(provider, dict) else None
    return [one for one in ids if keysets.is_id(one)] if isinstance(ids, list) else []


def _in_the_clear(answer: dict[str, Any]) -> str:
    """What an answer holds that could act and was not encrypted; empty if there is nothing."""
    choices = answer.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        held = choice if isinstance(choice, dict) else {}
        for kind in ("message", "delta"):
            said = held.get(kind)
            found = [n for n in _ACTS if said.get(n)] if isinstance(said, dict) else []
            if found:
                return f"{kind}.{found[0]}"
    return ""


def _open(body: dict[str, Any]) -> str:
    """The first member that would be read on the way and may hold content; empty if there is none."""
    odd = sorted(body.keys() - _HARMLESS)
    if odd:
        return odd[0]
    messages = body.get("messages") or []
    if not isinstance(messages, list):
        return "messages"
    for place, message in enumerate(messages):
        odd = sorted(message.keys() - _MESSAGE) if isinstance(message, dict) else ["a message"]
        if odd:
            return f"messages.{place}.{odd[0]}"
    for name in ("prompt", "input"):
        value = body.get(name)
        items = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(item, str) for item in items):
            return name
    return ""
