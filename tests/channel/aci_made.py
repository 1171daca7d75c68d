"""ACI's published deterministic inputs (`aci/1`, Apache-2.0), built here from their seeds."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from troth.channel import keyset
from troth.wire import json as strict

SIGNER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
SERVICE = X25519PrivateKey.from_private_bytes(b"\x03" * 32)
NONCE = bytes(range(32))
REQUEST = b'{"messages":[{"content":"hi","role":"user"}],"model":"demo-model"}'
RESPONSE = b'{"choices":[],"id":"chatcmpl-123"}'
SESSION_ID = "95ad1cb4dd25445808c2e9d116caf420b05703730b506395e8fc1ca6faeae28f"


def keyset_value() -> dict[str, Any]:
    return {
        "subject": "dstack-app://example-app",
        "not_after": 1800000000,
        "receipt_signing_keys": [
            {
                "key_id": "receipt-1",
                "algo": "ed25519",
                "public_key": SIGNER.public_key().public_bytes_raw().hex(),
            }
        ],
        "e2ee_public_keys": [
            {
                "key_id": "e2ee-1",
                "algo": keyset.X25519,
                "public_key": SERVICE.public_key().public_bytes_raw().hex(),
            }
        ],
        "tls_public_keys": [{"spki_sha256": "c0" * 32, "domain": "api.example.com"}],
    }


def session_value() -> dict[str, Any]:
    unknown = {"status": "unknown"}
    return {
        "api_version": "aci/1",
        "upstream_name": "demo-upstream",
        "endpoint": "https://upstream.example.com",
        "verifier_id": "example/1",
        "established_at": 1750000000,
        "expires_at": 1750003600,
        "channel_binding": [
            {
                "type": "tls_spki_sha256",
                "origin": "https://upstream.example.com",
                "spki_sha256": "d1" * 32,
            }
        ],
        "claims": {
            "tee_attested": {
                "status": "asserted",
                "source": "hardware_proven",
                "reason": "example quote verified",
            },
            "gpu_attested": unknown,
            "tcb_up_to_date": unknown,
            "os_known_good": unknown,
            "serving_software_known_good": unknown,
            "model_weights_provenance": unknown,
            "extra": {"gpu_arch": "HOPPER", "tcb_status": "UpToDate"},
        },
        "evidence": {
            "digest": keyset.sha256(b"example-evidence"),
            "data": "data:text/plain;base64,ZXhhbXBsZS1ldmlkZW5jZQ==",
        },
    }


def receipt_value(**changes: Any) -> dict[str, Any]:
    """The published receipt with changes, signed."""
    value: dict[str, Any] = {
        "api_version": "aci/1",
        "receipt_id": "rcpt-0001",
        "chat_id": "chatcmpl-123",
        "model": "demo-model",
        "workload_keyset_digest": keyset.read(keyset_value()).digest,
        "endpoint": "/v1/chat/completions",
        "method": "POST",
        "served_at": 1750000000,
        "event_log": [
            {"type": "request.received", "body_hash": keyset.sha256(REQUEST)},
            {"type": "request.forwarded", "body_hash": keyset.sha256(REQUEST)},
            {
                "type": "upstream.verified",
                "result": "verified",
                "required": True,
                "model_id": "demo-model",
                "session_id": SESSION_ID,
            },
            {"type": "response.returned", "body_hash": keyset.sha256(RESPONSE)},
        ],
        "key_id": "receipt-1",
    } | changes
    value.pop("signature", None)
    return value | {"signature": SIGNER.sign(strict.canonical(value)).hex()}


def receipt(**changes: Any) -> bytes:
    return json.dumps(receipt_value(**changes), indent=1).encode()
