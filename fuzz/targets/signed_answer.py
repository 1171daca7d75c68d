"""The older signatures over answers: no other text than the one that was signed is accepted."""

import json
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fuzz.target import Target, must
from troth.channel import signatures
from troth.model.report import Verdict, decide

SIGNER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
TEXT = f"m:{'ab' * 32}:{'cd' * 32}"


def _run(data: bytes) -> None:
    signed = signatures.read(data)
    found = signatures.checks(
        signed,
        address=SIGNER.public_key().public_bytes_raw(),
        request="ab" * 32,
        response="cd" * 32,
        model="m",
    )
    if decide(found, signatures.REQUIRED) is Verdict.ACCEPTED:
        must(signed.text == TEXT, "what was accepted is not what was signed")


def _seeds() -> Iterable[bytes]:
    value = {
        "text": TEXT,
        "signature": SIGNER.sign(TEXT.encode()).hex(),
        "signing_address": SIGNER.public_key().public_bytes_raw().hex(),
        "signing_algo": "ed25519",
    }
    yield json.dumps(value).encode()
    yield json.dumps(value | {"text": TEXT.removeprefix("m:")}).encode()
    older = {"signature": "0x" + "11" * 64 + "1b", "signing_address": "0x" + "22" * 20}
    yield json.dumps(value | older | {"signing_algo": "ecdsa"}).encode()


TARGET = Target(run=_run, seeds=_seeds, words=(b"ecdsa", b"ed25519", b"0x", b":", b"\\u00e9"))
