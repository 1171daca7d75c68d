"""Envelopes with signatures: one encoding, and none but the signed bytes ever verifies."""

import functools
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from fuzz.target import Broken, Target, same
from troth.crypto import public
from troth.release import dsse
from troth.release.keys import FileKey

_PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


@functools.cache
def _made() -> tuple[tuple[public.PublicKey, ...], tuple[dsse.Envelope, ...]]:
    keys = (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1()))
    pairs = [(public.of(key.public_key()), FileKey(private=key)) for key in keys]
    kind = dsse.IN_TOTO
    every = tuple(
        dsse.sign(_PAYLOAD, payload_type=kind, keys=some) for some in (pairs[:1], pairs[1:], pairs)
    )
    return tuple(key for key, _ in pairs), every


def _run(data: bytes) -> None:
    envelope = dsse.read(data)
    same(envelope.to_json(), data, "an envelope written again")
    keys, _ = _made()
    for some in (keys[:1], keys[1:], keys):
        if not dsse.problems(envelope, some) and envelope.payload != _PAYLOAD:
            raise Broken("a payload that nobody signed verifies")


def _seeds() -> Iterable[bytes]:
    yield from (envelope.to_json() for envelope in _made()[1])


TARGET = Target(run=_run, seeds=_seeds, longest=2048, words=(b'"sig":', b'"keyid":', b"=="))
