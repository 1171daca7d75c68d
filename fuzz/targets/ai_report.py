"""Reports of AI services, ACI's and the older: taken apart, and whatever is none refused."""

import json
from collections.abc import Iterable

from fuzz.simulated import NOW
from fuzz.target import Target, attempt
from troth.channel import kept
from troth.channel.services import _aci_sessions, aci, phala
from troth.channel.services.simulate._guest import Guest


def _aci(data: bytes) -> None:
    aci.keyset_in(data)
    aci.e2ee_versions(data)
    aci.is_direct(data)


def _run(data: bytes) -> None:
    for read in (_aci, _aci_sessions.read, kept.unpack):
        attempt(read, data)
    for machine in phala.machines_in(data):
        machine.report_data(bytes(32))


def _seeds() -> Iterable[bytes]:
    guest = Guest.create(NOW)
    quote = guest.quote(bytes(64))[:200].hex()
    keyset = {
        "subject": None,
        "not_after": 1,
        "receipt_signing_keys": [{"key_id": "r", "algo": "ed25519", "public_key": "ab" * 32}],
        "e2ee_public_keys": [],
        "tls_public_keys": [{"spki_sha256": "cd" * 32, "domain": "a.example"}],
    }
    attestation = {"tee_type": "tdx", "workload_keyset": keyset, "evidence": {"quote": quote}}
    yield json.dumps({"api_version": "aci/1", "attestation": attestation}).encode()
    entry = {
        "signing_address": "0x" + "01" * 20,
        "signing_algo": "ecdsa",
        "intel_quote": quote,
        "event_log": [],
        "nvidia_payload": "",
        "info": {"tcb_info": '{"app_compose":"{}"}'},
    }
    yield json.dumps(entry | {"all_attestations": [entry]}).encode()
    yield json.dumps({"gateway_attestation": entry, "model_attestations": [entry]}).encode()
    session = {
        "api_version": "aci/1",
        "upstream_name": "u",
        "established_at": 1,
        "expires_at": 2,
        "channel_binding": [{"type": "tls_spki_sha256", "spki_sha256": "00" * 32}],
        "claims": {"tee_attested": {"status": "asserted", "source": "hardware_proven"}},
        "evidence": {"digest": "sha256:" + "00" * 32, "data": "data:;base64,AA=="},
    }
    yield json.dumps(session).encode()
    answer = kept.KeptAnswer(
        service="aci",
        evidence=bytes(32),
        request=bytes(32),
        response=bytes(32),
        model="m",
        endpoint="/",
        at=1,
        receipt=b"{}",
    )
    yield kept.pack(answer)


TARGET = Target(
    run=_run,
    seeds=_seeds,
    words=(b"workload_keyset", b"tls_cert_fingerprint", b"signing_public_key", b"\\ud800", b"[["),
)
