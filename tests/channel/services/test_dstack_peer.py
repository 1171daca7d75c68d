"""dstack's own client against our guest agent, over a unix socket and over http; theirs and ours agree.

But for one thing: its replay of a log chains the digests as they are stated, ours makes them anew.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coincurve
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.channel.services.stage import NONCE, now, pinned
from tests.conftest import peer_python

import troth
from troth.channel.services import dstack as service
from troth.channel.services.simulate import dstack as simulated
from troth.channel.services.simulate.dstack_guest import DstackGuest, public_of, sign
from troth.crypto.ethereum import keccak256
from troth.model.channel import Binding
from troth.model.report import Report, Verdict
from troth.platforms.tdx import dstack, dstack_attestation, dstack_keys
from troth.verifier import claimed
from troth.verifier.custody import Known, custody

pytestmark = pytest.mark.peers
HERE = Path(__file__).parent
DIGEST = bytes(range(32))
GUEST = DstackGuest.create(now())


def environment(guest: DstackGuest) -> dict[str, Any]:
    public, moment = bytes(range(32)), int(time.time())
    message = guest.app_id + moment.to_bytes(8, "big") + public
    return {
        "public_key": public.hex(),
        "app_id": guest.app_id.hex(),
        "timestamp": moment,
        "signature": sign(guest.root, keccak256(b"dstack-env-encrypt-pubkey:" + message)).hex(),
    }


ENVIRONMENT = environment(GUEST)


def asked(endpoint: str) -> dict[str, Any]:
    given = {
        "endpoint": endpoint,
        "report_data": NONCE.hex(),
        "digest": DIGEST.hex(),
        "composition": json.loads(GUEST.composition),
        "environment": ENVIRONMENT,
    }
    done = subprocess.run(
        [peer_python("dstack_sdk"), str(HERE / "peers" / "dstack_client.py")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout)
    assert isinstance(answers, dict)
    return answers


@pytest.fixture(scope="module", params=["unix", "http"])
def answers(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dstack.sock" if request.param == "unix" else None
        with simulated.agent(GUEST, path=path) as server:
            yield asked(str(path) if path is not None else f"http://127.0.0.1:{server.port}")


def judge(answer: dict[str, Any]) -> Report:
    return troth.appraise(
        json.dumps(answer).encode(),
        policy=pinned("tdx", GUEST.registers, channel=Binding.NONE),
        nonce=NONCE,
        at=now(),
        trust=GUEST.roots,
        collateral=GUEST.collateral,
    )


def test_it_is_answered(answers: dict[str, Any]) -> None:
    assert answers["reachable"] is True and answers["version"] == simulated.VERSION
    assert answers["info"] == {"app_id": GUEST.app_id.hex(), "compose": GUEST.composition.decode()}
    assert answers["asynchronous"] == answers["keys"]["secp256k1"]["key"]


@pytest.mark.parametrize("algorithm", ["secp256k1", "ed25519"])
def test_its_keys_lead_to_our_root(answers: dict[str, Any], algorithm: str) -> None:
    got = answers["keys"][algorithm]
    held = GUEST.key("wallet/eth", "wallet", algorithm)
    assert bytes.fromhex(got["key"]) == held.secret
    chain = tuple(bytes.fromhex(link) for link in got["signature_chain"])
    found = dstack_keys.signers(
        purpose="wallet", public_key=held.public, app_id=GUEST.app_id, signatures=chain
    )
    assert found.root == GUEST.root_public


def test_its_quote_is_accepted_and_its_key_bound(answers: dict[str, Any]) -> None:
    report = judge(answers["quote"])
    assert report.verdict is Verdict.ACCEPTED
    got = answers["keys"]["secp256k1"]
    public = public_of(bytes.fromhex(got["key"]))
    chain = claimed.read_chain(
        json.dumps(
            {
                "purpose": "wallet",
                "public_key": public.hex(),
                "signature_chain": got["signature_chain"],
            }
        )
    )
    known = Known(chain=chain, roots=[claimed.read(GUEST.root_public.hex())])
    assert custody(claimed.read(public.hex()), report, known).tag == "dstack-chain"


def test_both_replay_a_true_log_alike(answers: dict[str, Any]) -> None:
    ours = dstack.replay(answers["quote"]["event_log"]).registers
    assert answers["rtmrs"] == {str(i): ours[f"rtmr{i}"].hex() for i in range(4)}


def test_a_payload_changed_with_digests_kept(answers: dict[str, Any]) -> None:
    """Their replay chains stated digests, and so cannot see it; ours refuses the log."""
    entries = json.loads(answers["quote"]["event_log"])
    target = next(entry for entry in entries if entry["event"] == "app-id")
    target["event_payload"] = "ee" * 20
    changed = answers["quote"] | {"event_log": json.dumps(entries)}
    assert judge(changed).verdict is Verdict.REJECTED
    stated = [bytes.fromhex(entry["digest"]) for entry in entries if entry["imr"] == 3]
    assert len(stated) == len([e for e in GUEST.entries if e["imr"] == 3])
    assert answers["rtmrs"]["3"] == GUEST.registers["rtmr3"].hex()


def test_its_signatures_verify(answers: dict[str, Any]) -> None:
    signed = answers["signed"]
    plain = signed["ed25519"]
    key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(plain["public_key"]))
    key.verify(bytes.fromhex(plain["signature"]), DIGEST)
    for name, hasher in (("secp256k1", coincurve.utils.sha256), ("secp256k1_prehashed", None)):
        raw = bytes.fromhex(signed[name]["signature"])
        der = coincurve.ecdsa.cdata_to_der(coincurve.ecdsa.deserialize_compact(raw))
        point = coincurve.PublicKey(bytes.fromhex(signed[name]["public_key"]))
        assert len(raw) == 64 and point.verify(der, DIGEST, hasher=hasher)
        chain = claimed.read_chain(json.dumps(signed[name]))
        found = dstack_keys.signers(
            purpose=chain.purpose,
            public_key=chain.public_key,
            app_id=GUEST.app_id,
            signatures=chain.signatures,
        )
        assert found.root == GUEST.root_public


def test_its_attestation_and_certificate_are_read(answers: dict[str, Any]) -> None:
    attestation = dstack_attestation.read(bytes.fromhex(answers["attestation"]))
    assert attestation.report_data == NONCE.ljust(64, b"\0")
    leaf = x509.load_pem_x509_certificate(answers["tls"]["certificate_chain"][0].encode())
    found = service.in_certificate(leaf.public_bytes(Encoding.DER))
    assert found is not None
    spki = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    expected = dstack_keys.report_data(dstack_keys.CERTIFICATE, spki)
    assert expected in found.evidence


def test_both_find_the_same_signer_and_composition(answers: dict[str, Any]) -> None:
    ours = dstack_keys.environment_signer(
        public_key=bytes.fromhex(ENVIRONMENT["public_key"]),
        app_id=GUEST.app_id,
        signature=bytes.fromhex(ENVIRONMENT["signature"]),
        timestamp=ENVIRONMENT["timestamp"],
    )
    assert ours == GUEST.root_public
    assert answers["signer"] == "0x" + ours.hex()
    assert answers["composition"] == dstack.compose_hash(GUEST.composition).hex()
