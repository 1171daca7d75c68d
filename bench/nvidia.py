"""Reports of NVIDIA GPUs, against the bare signature checks that nobody can leave out.

No published evidence comes with OCSP answers, so that none can be accepted; a simulated device has the
same shape, to the byte. «Not seen before» empties what troth remembers of certificates before each call,
while reference values and OCSP answers are at hand and were verified once: eight checks on P-384 remain,
four of the device's chain, three of the chain that signed the reference values, and the report's own.
«Seen before» is the last of these alone.
"""

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from bench.timing import Line, best
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

import troth
from troth.crypto import issued, keys
from troth.platforms.nvidia.device import HOPPER
from troth.platforms.nvidia.format import parse
from troth.platforms.nvidia.simulate import DRIVER_VERSION, VBIOS_VERSION, Device, collateral
from troth.platforms.nvidia.simulate_pki import DevelopmentPki
from troth.policy import Policy
from troth.policy.requirements import Requirements

START = datetime(2026, 1, 1, tzinfo=UTC)
AT = datetime(2026, 11, 1, tzinfo=UTC)
ANSWERED = AT - timedelta(hours=3)
NONCE = bytes(range(32))
POLICY = Policy(
    name="bench",
    requirements={
        "nvidia": Requirements(
            driver_version=frozenset({DRIVER_VERSION}),
            vbios_version=frozenset({VBIOS_VERSION}),
        )
    },
)


def _bare(device: Device, evidence: bytes) -> tuple[Callable[[], object], Callable[[], object]]:
    """The eight checks with keys already read; and the report's own."""
    document = parse(evidence)
    above = (*device.pki.rim_signers["GH100"], device.pki.rim_root)
    signers = [issued.read(member.der) for member in above]
    jobs = [
        (keys.load(issuer.key), child.signature, child.signed)
        for child, issuer in (*pairwise(document.chain), *pairwise(signers))
    ]
    assert all(child.algorithm == keys.ECDSA_SHA384 for child in (*document.chain, *signers))
    leaf = keys.load(document.chain[0].key)
    assert isinstance(leaf, keys.EllipticCurveKey)
    r, s = (int.from_bytes(document.signature[at : at + 48], "big") for at in (0, 48))
    made, algorithm = utils.encode_dss_signature(r, s), ec.ECDSA(hashes.SHA384())

    def own() -> None:
        leaf.verify(made, document.signed, algorithm)

    def all_of_them() -> None:
        for key, signature, signed in jobs:
            assert isinstance(key, keys.EllipticCurveKey)
            key.verify(signature, signed, algorithm)
        own()

    return all_of_them, own


def gpus() -> list[Line] | str:
    """A device not seen before, and one that was; or why not."""
    for name in ("lxml", "signxml"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed (requirements/dev.txt)"
    device = Device.create(DevelopmentPki.create(START), HOPPER, START)
    evidence, known = device.evidence(NONCE), collateral([device], ANSWERED)
    roots = device.pki.roots()

    def seen() -> troth.Report:
        return troth.appraise(
            evidence, policy=POLICY, at=AT, nonce=NONCE, trust=roots, collateral=known
        )

    def new() -> troth.Report:
        issued.forget()
        return seen()

    report = new()
    assert report.verdict is troth.Verdict.ACCEPTED, report.checks
    bare, own = _bare(device, evidence)
    took = best({"new": new, "bare": bare, "seen": seen, "own": own})
    return [
        Line("GPU, not seen before", took["new"], "its 8 bare checks", took["bare"], 1.5),
        Line("GPU, seen before", took["seen"], "one P-384 check", took["own"]),
    ]
