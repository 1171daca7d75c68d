"""Nitro verification against the signature checks that nobody can leave out, and against a peer.

The peer knows no instant but the clock, so it runs under libfaketime at a document's own time; ours
runs beside it in the same process.
"""

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from bench.timing import Line, best
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

import troth
from troth.crypto import issued
from troth.platforms import detect
from troth.platforms.nitro import format as nitro_format
from troth.policy import Policy

ECDSA = ec.ECDSA(hashes.SHA384())
PLAIN = "veracruz-prod-2022-11-09.cbor"
PLAIN_AT = datetime(2022, 11, 9, 22, 52, tzinfo=UTC)
# The peer wants a certificate whose key is in user_data; this document has such a key.
WITH_KEY = "evervault-debug-nonce256-2023-09-18.b64"
WITH_KEY_AT = datetime(2023, 9, 18, 15, 3, 30, tzinfo=UTC)
PEER = "evervault_attestation_bindings"


def _verify(evidence: bytes, at: datetime, *, cold: bool) -> Callable[[], object]:
    found = detect(evidence)
    assert found is not None
    document = nitro_format.parse(found[1])
    registers = {f"pcr{i}": value.hex() for i, value in document.pcrs.items() if any(value)}
    policy = Policy.for_image({"nitro": registers or {"pcr3": document.pcrs[3].hex()}})

    def run() -> object:
        if cold:
            issued.forget()
        return troth.appraise(evidence, policy=policy, at=at, nonce=document.nonce)

    return run


def _bare(evidence: bytes) -> tuple[Callable[[], object], Callable[[], object]]:
    """All signature checks of a document with keys already read; and only the document's own."""
    found = detect(evidence)
    assert found is not None
    document = nitro_format.parse(found[1])
    chain = [x509.load_der_x509_certificate(c) for c in (*document.cabundle, document.certificate)]
    jobs = []
    for issuer, child in pairwise(chain):
        key = issuer.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        jobs.append((key, child.signature, child.tbs_certificate_bytes))
    key = chain[-1].public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    raw = document.sign1.signature
    r, s = (int.from_bytes(half, "big") for half in (raw[:48], raw[48:]))
    own = (key, utils.encode_dss_signature(r, s), document.sign1.to_be_signed())

    def all_of_them() -> None:
        for public, signature, signed in (*jobs, own):
            public.verify(signature, signed, ECDSA)

    def only_its_own() -> None:
        own[0].verify(own[1], own[2], ECDSA)

    return all_of_them, only_its_own


def verification(vectors: Path) -> list[Line]:
    """Cold, and with the chain known."""
    evidence = (vectors / "nitro" / PLAIN).read_bytes()
    bare, own = _bare(evidence)
    cold = _verify(evidence, PLAIN_AT, cold=True)
    report = cold()
    assert isinstance(report, troth.Report)
    assert report.verdict is troth.Verdict.ACCEPTED, report.checks
    warm = _verify(evidence, PLAIN_AT, cold=False)
    took = best({"cold": cold, "bare": bare, "warm": warm, "own": own})
    return [
        Line("verify, nothing known", took["cold"], "its bare signature checks", took["bare"], 1.4),
        Line("verify, chain known", took["warm"], "one P-384 check", took["own"], 1.6),
    ]


def peer(vectors: Path) -> list[Line] | str:
    """Beside the peer; or why not."""
    if importlib.util.find_spec(PEER) is None:
        return f"{PEER} is not installed (requirements/bench.txt)"
    if shutil.which("faketime") is None:
        return "faketime is absent (scripts/install_optional.sh)"
    done = subprocess.run(
        [
            "faketime",
            "-f",
            f"@{WITH_KEY_AT:%Y-%m-%d %H:%M:%S}",
            sys.executable,
            "-m",
            "bench.nitro",
        ],
        env=os.environ | {"TZ": "UTC", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "BENCH": str(vectors)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    took = json.loads(done.stdout)
    return [Line("verify, nothing known", took["troth"], PEER.replace("_", "-"), took["peer"])]


def _beside(vectors: Path) -> dict[str, float]:
    import evervault_attestation_bindings as bindings

    raw = base64.b64decode((vectors / "nitro" / WITH_KEY).read_bytes())
    document = nitro_format.parse(raw)
    certificate = _certificate(document.user_data or b"")

    def theirs() -> None:
        assert bindings.attest_enclave(certificate, [], raw) is True

    ours = _verify(raw, WITH_KEY_AT, cold=True)
    return best({"troth": ours, "peer": theirs})


def _certificate(spki: bytes) -> bytes:
    """A certificate that holds this key, as an enclave would show it in TLS; nobody checks who signed it."""
    key = serialization.load_der_public_key(spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    builder = x509.CertificateBuilder(name, name, key, 1, WITH_KEY_AT, WITH_KEY_AT + timedelta(1))
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


if __name__ == "__main__":
    print(json.dumps(_beside(Path(os.environ["BENCH"]))))
