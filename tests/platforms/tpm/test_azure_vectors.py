"""Azure's confidential machines, real: every row of the manifest gets its verdict."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.platforms.tpm.made import codes, failing, still_open
from tests.platforms.tpm.rows import OPEN, SOUND, ders, judged, manifest, outcomes, pem

import troth
from troth.errors import Malformed
from troth.model.check import Outcome
from troth.model.collateral import Collateral, Item, Kind
from troth.model.roots import Root, RootClass
from troth.platforms import detect
from troth.platforms.tpm import PLATFORM, azure, carrier, hcl
from troth.platforms.tpm.simulate import hcl_report
from troth.policy import Policy
from troth.policy.requirements import Requirements

AZURE_ROWS = 14
EVIDENCE = {
    "snp-vtpm-evidence-genoa.json": ("az-snp-vtpm, version 0", 48),
    "snp-vtpm-evidence-v1.json": ("az-snp-vtpm, version 1", 9),
    "tdx-vtpm-evidence-v0.json": ("az-tdx-vtpm, version 0", 9),
    "tdx-vtpm-evidence-v1.json": ("az-tdx-vtpm, version 1", 9),
}


def test_the_manifest_has_the_rows_that_are_looked_at(vectors: Path) -> None:
    assert len(manifest(vectors, "azure")) == AZURE_ROWS


@pytest.mark.parametrize("name", EVIDENCE)
def test_confidential_machines_of_azure(vectors: Path, name: str) -> None:
    data = (vectors / "azure" / name).read_bytes()
    found = azure.read(data)
    assert found is not None
    form, nonce_size = EVIDENCE[name]
    assert found.form == form
    assert found.hcl.presented == found.hcl.report_data  # the hardware's word for the claims
    vouched = Root(
        platform="tpm",
        sha256=found.ak_sha256,
        key_sha256=found.ak_sha256,
        root_class=RootClass.VENDOR,
        source="the claims",
    )
    genuine, document = judged(found.quote, Collateral(), vouched)
    assert outcomes(genuine, Outcome.PASSED) == {code.id for code in PLATFORM.required}
    assert len(document.attest.extra_data) == nonce_size
    # Without the hardware's word the same quote is open.
    genuine, _ = judged(found.quote, Collateral())
    assert outcomes(genuine, Outcome.PASSED) == SOUND | {"M211"}
    assert outcomes(genuine, Outcome.UNDECIDED) == OPEN
    together = found.composite()
    lead, part = together.parts
    assert (lead.user_data, lead.fresh_by) == (found.hcl.report_data, "vtpm")
    assert (part.key, part.key_in) == (found.ak_sha256, "cpu")
    platform, hardware = detect(lead.evidence)[:2]  # type: ignore[index]
    assert platform.name == form[3:6]
    assert platform.claims(platform.parse(hardware), None).user_data == found.hcl.report_data


def test_both_versions_of_one_evidence_are_the_same(vectors: Path) -> None:
    old, new = (
        azure.read((vectors / "azure" / f"tdx-vtpm-evidence-{v}.json").read_bytes())
        for v in ("v0", "v1")
    )
    assert old is not None
    assert new is not None
    assert (old.hcl, old.hardware, old.quote) == (new.hcl, new.hardware, new.quote)


@pytest.mark.parametrize(
    ("name", "version", "kind"),
    [("hcl-snp-2023.bin", 1, hcl.Kind.SNP), ("hcl-tdx.bin", 2, hcl.Kind.TDX)],
)
def test_reports_of_the_paravisor(vectors: Path, name: str, version: int, kind: hcl.Kind) -> None:
    found = hcl.read((vectors / "azure" / name).read_bytes())
    assert (found.version, found.kind) == (version, kind)
    assert found.presented == found.report_data
    assert found.report_data[32:] == bytes(32)


def test_runtime_claims_alone(vectors: Path) -> None:
    text = (vectors / "azure" / "var-data.json").read_bytes()
    made = hcl.read(hcl_report(bytes(1184), text, hcl.Kind.SNP))
    assert (made.runtime, made.user_data) == (text, bytes(64))
    assert made.configuration["secure-boot"] is True


def test_the_quote_as_rust_writes_it(vectors: Path) -> None:
    data = (vectors / "azure" / "quote.bincode").read_bytes()
    text = (vectors / "azure" / "akpub.pem").read_text()
    key = base64.b64decode("".join(text.split("-----")[2].split()))
    genuine, _ = judged(carrier.bincode(data, ak=key), Collateral())
    assert outcomes(genuine, Outcome.PASSED) == SOUND | {"M211"}
    for size in range(0, len(data), 7):
        with pytest.raises(Malformed):
            carrier.bincode(data[:size], ak=key)


def test_the_certificates_beside_the_old_report_are_of_another_chip(vectors: Path) -> None:
    report = hcl.read((vectors / "azure" / "hcl-snp-2023.bin").read_bytes())
    vcek = ders((vectors / "azure" / "certs-milan.pem").read_bytes())
    with_key = azure.extended(report.hardware, vcek[0])
    chain = b"".join(pem(der) for der in vcek[1:])
    appraised = troth.appraise(
        with_key,
        policy=Policy(name="none"),
        at=datetime(2024, 1, 1, tzinfo=UTC),
        collateral=Collateral(items=(Item(kind=Kind.AMD_CHAIN, data=chain),)),
    )
    assert {"G101", "G102", "G206"} <= codes(appraised, Outcome.PASSED)
    # The chain is whole and AMD's, and of another chip: what the manifest says of both is not so.
    assert {"G104", "G301"} <= failing(appraised)


@pytest.mark.parametrize(
    ("name", "product", "nonce"),
    [
        ("snp-vtpm-evidence-genoa.json", "genoa", None),
        ("snp-vtpm-evidence-v1.json", "milan", b"challenge"),
    ],
)
def test_the_whole_verdict_on_confidential_machines(
    vectors: Path, name: str, product: str, nonce: bytes | None
) -> None:
    """Hardware, claims and quote together; what is open is AMD's revocation list, and a nonce."""
    data = (vectors / "azure" / name).read_bytes()
    found = azure.read(data)
    assert found is not None
    certs = vectors / "snp" / "certs"
    chain = b"".join((certs / f"{part}-{product}.pem").read_bytes() for part in ("sev", "ark"))
    lead = detect(found.hardware)
    assert lead is not None
    hardware = lead[0].claims(lead[0].parse(lead[1]), None)
    quote = PLATFORM.claims(PLATFORM.parse(found.quote))
    policy = Policy(
        name="machine",
        registers={
            said.platform: {name: frozenset({said.registers[name]}) for name in said.identity}
            for said in (hardware, quote)
        },
        requirements={
            "snp": Requirements(minimum={"snp": 1}),
            "tpm": Requirements(ak=frozenset({"bound"}), exact={"safe": 1}),
        },
        parts={"tpm": 1},
    )
    report = troth.appraise(
        found.composite(),
        policy=policy,
        at=datetime(2025, 6, 1, tzinfo=UTC),
        nonce=nonce or quote.nonce,
        collateral=Collateral(items=(Item(kind=Kind.AMD_CHAIN, data=chain),)),
    )
    part = report.parts[0].report
    assert (failing(report), failing(part)) == (set(), set())
    assert (still_open(report), still_open(part)) == ({"R203", "R204"}, set())
    assert part.root_class is RootClass.VENDOR
