"""Real reports, certificates and RIM documents: every row of the manifest gets its verdict.

Rows of NVIDIA's remote service (NRAS: tokens and their certificates) belong to its own tests. No row has
OCSP answers, so that revocation stays open in every verdict here.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.platforms.nvidia.made import (
    ALONE,
    AT,
    codes,
    evidence,
    failing,
    file,
    genuine,
    of,
    rim_item,
    rows,
    still_open,
)

import troth
from troth.crypto import issued
from troth.model.check import Outcome
from troth.model.collateral import NONE, Collateral
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms import detect
from troth.platforms.nvidia import PLATFORM, carrier, rim
from troth.platforms.nvidia.format import parse
from troth.platforms.nvidia.roots import DEVICE_ROOT, RIM_ROOT
from troth.policy.requirements import Requirements
from troth.trust.collateral import load
from troth.wire import x509

pytestmark = pytest.mark.usefixtures("xml")

GOOD = {
    "rim-driver-gh100-550.144.03.xml": ("GH100", "GPU", "550.144.03", 21),
    "rim-switch-5612-0002-890-9610550001.xml": ("LS10", "SWITCH", "96.10.55.00.01", 31),
    "rim-vbios-1010-0200-882-96005E0001.swidtag": ("GH100", "GPU", "96.00.5E.00.01", 12),
    "rim-vbios-g520-0200-885-9600740001.swidtag": ("GH100", "GPU", "96.00.74.00.01", 12),
}
BAD = {
    "rim-driver-535.86.09-measurement-mismatch.xml": "digest is not the document's",
    "rim-driver-incorrect-signature.xml": "signature does not verify",
}
BAD_CHAIN = "rim-driver-incorrect-chain.xml"
JSON = {
    "evidence-4xh100.json": 4,
    "evidence-h100-570.86.10.cert-hold.json": 1,
    "evidence-h100-590.12.json": 1,
    "evidence-switch-ls10.json": 1,
}
OPEN = {"R201", "R202", "R203", "R204", "G204", "M401"}
ELSEWHERE = ("eat-", "nras")  # tests of NVIDIA's tokens


def test_no_row_is_forgotten(vectors: Path) -> None:
    here = {*GOOD, *BAD, BAD_CHAIN, *JSON, "device-root.pem", "rim-root.pem"}
    here |= {f"{name}.report.hex" for name in ALONE}
    here |= {f"{chain}.chain.pem" for chain in ALONE.values()}
    here |= {"parsed-h100.oracle.json", "parsed-h100.report.hex"}  # test_format
    named = {row["file"] for row in rows(vectors)}
    assert {name for name in named if not name.startswith(ELSEWHERE)} == here
    for row in rows(vectors):
        assert hashlib.sha256(file(vectors, row["file"])).hexdigest().startswith(row["sha256"][:16])


def test_the_roots_are_the_published_ones(vectors: Path) -> None:
    for root, name, title in zip(
        PLATFORM.roots(), ("device-root.pem", "rim-root.pem"), (DEVICE_ROOT, RIM_ROOT), strict=True
    ):
        (der,) = x509.read_pem(file(vectors, name), field=name)
        certificate = issued.read(der)
        assert issued.title(certificate) == title
        assert root.sha256 == hashlib.sha256(der).hexdigest()
        assert root.key_sha256 == issued.key_sha256(certificate)
        assert root.not_after == certificate.not_after
        assert root.root_class is RootClass.VENDOR
        assert issued.link(der, der) == ()


@pytest.mark.parametrize("name", ALONE)
def test_reports_with_their_chains(vectors: Path, name: str) -> None:
    checks = genuine(evidence(vectors, name), NONE)
    passed = {c.code.id for c in checks if c.outcome is Outcome.PASSED}
    failed = {c.code.id for c in checks if c.outcome is Outcome.FAILED}
    chain = {"G101", "G102", "G103", "G302", "R103"}
    if "invalid-signature" in name:
        # The GPU's is of another device than the chain, so that its firmware is another, too.
        assert failed == ({"G104"} if name.startswith("switch") else {"G104", "G303"})
        assert passed >= chain
        return
    assert failed == set()
    assert passed >= chain | {"G104"}
    # Its driver is older than the field that names the firmware.
    old = name == "gpu-h100-580.159.03"
    (fwid,) = of(checks, "G303")
    assert fwid.outcome is (Outcome.UNDECIDED if old else Outcome.PASSED)
    assert {c.code.id for c in checks if c.outcome is Outcome.UNDECIDED} - {"G303"} == OPEN


@pytest.mark.parametrize(("name", "count"), JSON.items())
def test_evidence_of_the_sdk(vectors: Path, name: str, count: int) -> None:
    carried = carrier.open_json(file(vectors, name))
    assert carried is not None
    assert len(carried.devices) == count
    for data in carried.devices:
        nonce = parse(data).nonce
        report = troth.appraise(data, policy=troth.Policy(name="none"), at=AT, nonce=nonce)
        assert failing(report) == set()
        assert report.presented is not None
        # One GPU without the switches that it speaks through tells nothing of them.
        linked = {"B503"} if report.presented.texts.get("mode") == ("ppcie",) else set()
        assert still_open(report) == OPEN | {"R205", "M101"} | linked
        assert report.verdict is Verdict.UNDECIDED
        assert report.root_class is RootClass.VENDOR
        assert {"G101", "G102", "G103", "G104", "G302", "G303", "B101"} <= codes(
            report, Outcome.PASSED
        )
        assert report.presented is not None
        texts = report.presented.texts
        assert (texts.get("mode") == ("ppcie",)) is (texts.get("driver_version") == ("590.12",))


@pytest.mark.parametrize(("name", "said"), GOOD.items())
def test_good_documents(vectors: Path, name: str, said: tuple[str, str, str, int]) -> None:
    found = rim.read(file(vectors, name))
    assert (found.product, found.edition, found.version, len(found.golden)) == said
    assert found.trouble == ""
    assert len(found.signers) == 4


@pytest.mark.parametrize(("name", "words"), BAD.items())
def test_bad_documents(vectors: Path, name: str, words: str) -> None:
    assert words in rim.read(file(vectors, name)).trouble


def test_a_document_of_another_chain(vectors: Path) -> None:
    """Its signature is good, and its two certificates do not link nor end at NVIDIA's root."""
    found = rim.read(file(vectors, BAD_CHAIN))
    assert found.trouble == ""
    key = issued.key_sha256(found.signers[-1])
    assert not any(root.key_sha256 == key for root in PLATFORM.roots())
    assert issued.problems(found.signers[::-1], algorithms=frozenset())


def test_one_whole_comparison(vectors: Path) -> None:
    """A switch with its document: 31 of 31 values; only OCSP answers are missing."""
    data = file(vectors, "evidence-switch-ls10.json")
    name = "rim-switch-5612-0002-890-9610550001.xml"
    held = load(vectors / "nvidia" / name)
    assert held.items[0].data == file(vectors, name)
    policy = troth.Policy(
        name="switch",
        requirements={"nvidia": Requirements(vbios_version=frozenset({"96.10.55.00.01"}))},
    )
    found = detect(data)
    assert found is not None
    nonce = parse(found[1]).nonce
    report = troth.appraise(data, policy=policy, at=AT, nonce=nonce, collateral=held)
    assert failing(report) == set()
    assert still_open(report) == {"R203", "R204", "R205"}
    (compared,) = of(report.checks, "M401")
    assert compared.presented == "31 of 31 match"
    assert report.collateral == (
        f"nvidia-rim sha256 {hashlib.sha256(held.items[0].data).hexdigest()}",
    )


def test_a_signer_is_judged_at_the_stated_instant(vectors: Path) -> None:
    name = "rim-switch-5612-0002-890-9610550001.xml"
    held = Collateral(items=(rim_item(file(vectors, name)),))
    data = evidence(vectors, "switch-ls10")
    for at, outcome in (
        (datetime(2026, 5, 20, 22, 2, 50, tzinfo=UTC), Outcome.FAILED),
        (datetime(2026, 5, 20, 22, 2, 51, tzinfo=UTC), Outcome.PASSED),
        (datetime(2027, 11, 2, 23, 59, 59, tzinfo=UTC), Outcome.PASSED),
        (datetime(2027, 11, 3, tzinfo=UTC), Outcome.FAILED),
    ):
        (window,) = of(genuine(data, held, at), "R202")
        assert window.outcome is outcome, at


def test_half_of_a_comparison_is_no_comparison(vectors: Path) -> None:
    """The VBIOS is as published, and nobody gave the driver's document."""
    held = Collateral(
        items=(rim_item(file(vectors, "rim-vbios-1010-0200-882-96005E0001.swidtag")),)
    )
    checks = genuine(evidence(vectors, "gpu-h100-580.159.03"), held)
    (compared,) = of(checks, "M401")
    assert (compared.outcome, compared.presented) == (Outcome.UNDECIDED, "12 match")
    assert [c.outcome for c in of(checks, "R201")] == [Outcome.UNDECIDED, Outcome.PASSED]


def test_a_document_whose_digest_is_wrong_is_refused(vectors: Path) -> None:
    held = Collateral(items=(rim_item(file(vectors, next(iter(BAD)))),))
    checks = genuine(evidence(vectors, "gpu-h100-580.159.03"), held)
    driver, _ = of(checks, "G204")
    assert driver.outcome is Outcome.FAILED
    assert "digest" in driver.why
    (compared,) = of(checks, "M401")
    assert compared.outcome is Outcome.UNDECIDED  # its values are not even looked at
