"""ACI's receipts: no other bytes than those that were signed are accepted, and none breaks the reader."""

import json
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fuzz.target import Target, must
from troth.channel import keyset, receipts
from troth.channel.keyset import Key, Keyset
from troth.channel.receipts import Exchange
from troth.model.report import Verdict, decide
from troth.wire import json as strict

SIGNER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
KEYS = Keyset(
    subject=None,
    not_after=0,
    receipts=(
        Key(
            key_id="r",
            algo="ed25519",
            public_key=SIGNER.public_key().public_bytes_raw().hex(),
        ),
    ),
    e2ee=(),
    tls=(),
    digest="sha256:" + "0" * 64,
)
EXCHANGE = Exchange(
    request=keyset.sha256(b"request"),
    response=keyset.sha256(b"response"),
    model="m",
    endpoint="/v1/chat/completions",
    direct=False,
    verified=True,
)
VALUE = {
    "api_version": "aci/1",
    "receipt_id": "rcpt-1",
    "chat_id": None,
    "model": "m",
    "workload_keyset_digest": KEYS.digest,
    "endpoint": EXCHANGE.endpoint,
    "method": "POST",
    "served_at": 1_750_000_000,
    "event_log": [
        {"type": "request.received", "body_hash": EXCHANGE.request},
        {"type": "request.forwarded", "body_hash": EXCHANGE.request},
        {
            "type": "upstream.verified",
            "result": "verified",
            "required": True,
            "session_id": "0" * 64,
        },
        {"type": "response.returned", "body_hash": EXCHANGE.response},
    ],
    "key_id": "r",
}
SIGNED = strict.canonical(VALUE)


def _run(data: bytes) -> None:
    receipt = receipts.read(data)
    found = receipts.checks(receipt, KEYS, EXCHANGE)
    if decide(found, receipts.REQUIRED) is Verdict.ACCEPTED:
        must(receipt.signed == SIGNED, "what was accepted is not what was signed")


def _seeds() -> Iterable[bytes]:
    signature = SIGNER.sign(SIGNED).hex()
    yield json.dumps(VALUE | {"signature": signature}).encode()
    yield json.dumps(VALUE | {"signature": signature}, indent=2).encode()
    yield json.dumps(VALUE | {"signature": "00" * 64, "event_log": [{"type": "x"}]}).encode()


TARGET = Target(
    run=_run,
    seeds=_seeds,
    words=(b"upstream.verified", b"response.returned", b"\\ud800", b"null", b'"signature"'),
)
