"""Flashbots' messages and lists of measurements, Oyster's init params."""

import base64
import json
from collections.abc import Iterable

from fuzz.target import Target, attempt, must, same
from troth.channel.services import flashbots, oyster
from troth.errors import Malformed, Misuse
from troth.policy import flashbots as measurements
from troth.wire.reader import Reader


def _run(data: bytes) -> None:
    try:
        for policy in measurements.policies(data):
            must(bool(policy.registers), "a policy that takes anything")
    except (Malformed, Misuse):
        pass
    attempt(oyster.init_params, data)
    reader = Reader(data)
    kind, attestation = flashbots.read(lambda size: reader.take(size, "message"))
    left = reader.take(reader.remaining, "rest")
    same(flashbots.encode(kind, attestation) + left, data, "written again")


def _seeds() -> Iterable[bytes]:
    yield flashbots.encode("none", b"")
    yield flashbots.encode("dcap-tdx", bytes(100))
    yield flashbots.encode("azure-tdx", bytes(20_000)) + b"more"
    item = {"path": "docker-compose.yml", "contents": base64.b64encode(b"services").decode()}
    digest = base64.b64encode(bytes(32)).decode()
    sealed = item | {"path": "sealed", "should_decrypt": True}
    yield json.dumps({"digest": digest, "params": [item, sealed]}).encode()
    register = {"expected_any": ["aa" * 48]}
    entry = {"measurement_id": "a", "attestation_type": "dcap-tdx", "measurements": {"0": register}}
    yield json.dumps([entry]).encode()


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=32 * 1024,
    words=(b"dcap-tdx", b'"expected_any":[', b'"should_attest":', b"\0\0\0\x06", b"\xfd\xff"),
)
