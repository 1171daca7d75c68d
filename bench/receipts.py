"""Receipts of AI services against the signature check that nobody can leave out; and `openai` beside ours.

Reading, the canonical form and every question are in the time of a receipt. The services are simulated,
in this process and on loopback, and both clients talk to the same one.
"""

import hashlib
import importlib.util
import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bench.timing import Line, best
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import troth
from troth.channel import keyset, receipts, signatures
from troth.channel.keyset import Key, Keyset
from troth.channel.receipts import Exchange
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate.aci import Aci
from troth.crypto import ethereum
from troth.model.channel import Binding
from troth.model.report import Verdict, decide
from troth.wire import json as strict

PER_SECOND = 2000
REQUEST = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
RESPONSE = secrets.token_hex(2000).encode()


def checking() -> list[Line] | str:
    """Both kinds of receipts, one at a time on one core."""
    if importlib.util.find_spec("coincurve") is None:
        return "coincurve is not installed (the extra services)"
    took = best({"aci": _aci(), "ed25519": _bare(), "older": _older(), "recover": _recover()})
    second = 1 / PER_SECOND
    return [
        Line("check a receipt of ACI", took["aci"], "1/2,000 s", second, 1.0),
        Line("the same", took["aci"], "one Ed25519 check", took["ed25519"]),
        Line("check a signature of the older form", took["older"], "1/2,000 s", second, 1.0),
        Line("the same", took["older"], "one recovery of its key", took["recover"]),
    ]


def requests() -> list[Line] | str:
    """`openai` with a transport of ours beside the same package without."""
    if importlib.util.find_spec("openai") is None:
        return "openai is not installed (the extra openai)"
    guest = Guest.create(datetime.now(UTC))
    with Aci(guest=guest) as service:
        plain = _plain(service)
        policy = replace(
            troth.Policy.for_image({"tdx": dict(guest.registers)}), channel=Binding.KEY
        )
        collateral = guest.collateral

        def make(*, encrypt: bool = True) -> Any:
            return troth.openai(
                service.url,
                policy=policy,
                trust=guest.roots,
                collateral=collateral,
                api_key="bench",
                encrypt=encrypt,
            )

        sealed, checked = make(), make(encrypt=False)
        steps: dict[str, Callable[[], object]] = {
            "first": lambda: _ask(make()),
            "plain first": lambda: _ask(_plain(service)),
            "sealed": lambda: _ask(sealed),
            "checked": lambda: _ask(checked),
            "plain": lambda: _ask(plain),
        }
        took = best(steps, rounds=5)
    return [
        Line("first request, verified", took["first"], "a new plain client's", took["plain first"]),
        Line("each later one, encrypted and checked", took["sealed"], "plain", took["plain"]),
        Line("each later one, checked alone", took["checked"], "plain", took["plain"]),
    ]


def _ask(client: Any) -> object:
    said = [{"role": "user", "content": "hello"}]
    return client.chat.completions.create(model="echo", messages=said)


def _plain(service: Aci) -> Any:
    import openai
    from openai import DefaultHttpxClient

    # What anybody would do with a certificate that no authority has made; nothing is verified here.
    return openai.OpenAI(
        base_url=f"{service.url}/v1",
        api_key="bench",
        http_client=DefaultHttpxClient(verify=False),
    )


def _aci() -> Callable[[], object]:
    signer = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
    public = signer.public_key().public_bytes_raw().hex()
    keys = Keyset(
        subject=None,
        not_after=2**40,
        receipts=(Key(key_id="receipt-1", algo="ed25519", public_key=public),),
        e2ee=(),
        tls=(),
        digest="sha256:" + "0" * 64,
    )
    value = {
        "api_version": "aci/1",
        "receipt_id": "rcpt-0001",
        "chat_id": "chatcmpl-123",
        "model": "m",
        "workload_keyset_digest": keys.digest,
        "endpoint": "/v1/chat/completions",
        "method": "POST",
        "served_at": 1_800_000_000,
        "event_log": [
            {"type": "request.received", "body_hash": keyset.sha256(REQUEST)},
            {"type": "request.forwarded", "body_hash": keyset.sha256(REQUEST)},
            {
                "type": "upstream.verified",
                "result": "verified",
                "required": True,
                "model_id": "m",
                "session_id": "0" * 64,
            },
            {"type": "response.returned", "body_hash": keyset.sha256(RESPONSE)},
        ],
        "key_id": "receipt-1",
    }
    signature = signer.sign(strict.canonical(value)).hex()
    data = json.dumps(value | {"signature": signature}).encode()

    def run() -> None:
        exchange = Exchange(
            request=keyset.sha256(REQUEST),
            response=keyset.sha256(RESPONSE),
            model="m",
            endpoint="/v1/chat/completions",
            direct=False,
            verified=True,
        )
        found = receipts.checks(receipts.read(data), keys, exchange)
        assert decide(found, receipts.REQUIRED) is Verdict.ACCEPTED

    return run


def _bare() -> Callable[[], object]:
    signer = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
    public = signer.public_key().public_bytes_raw()
    data = b"x" * 900
    signature = signer.sign(data)
    return lambda: Ed25519PublicKey.from_public_bytes(public).verify(signature, data)


def _signed() -> tuple[bytes, bytes, bytes]:
    """The signed answer, its address, and the bare signature."""
    import coincurve

    key = coincurve.PrivateKey(b"\x07" * 32)
    address = ethereum.address(key.public_key.format(compressed=False))
    text = signatures.text(REQUEST, RESPONSE, model="m")
    digest = ethereum.personal_digest(text.encode())
    signature = key.sign_recoverable(digest, hasher=None)
    value = {
        "text": text,
        "signature": signature.hex(),
        "signing_address": address.hex(),
        "signing_algo": "ecdsa",
    }
    return json.dumps(value).encode(), address, signature


def _older() -> Callable[[], object]:
    data, address, _ = _signed()

    def run() -> None:
        found = signatures.checks(
            signatures.read(data),
            address=address,
            request=hashlib.sha256(REQUEST).hexdigest(),
            response=hashlib.sha256(RESPONSE).hexdigest(),
            model="m",
        )
        assert decide(found, signatures.REQUIRED) is Verdict.ACCEPTED

    return run


def _recover() -> Callable[[], object]:
    import coincurve

    signature = _signed()[2]
    text = signatures.text(REQUEST, RESPONSE, model="m").encode()
    digest = ethereum.personal_digest(text)
    recover = coincurve.PublicKey.from_signature_and_message
    return lambda: recover(signature, digest, hasher=None)
