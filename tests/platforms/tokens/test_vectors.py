"""Real tokens: every row of the manifest, and NVIDIA's rows about its service, gets its verdict."""

import base64
import csv
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.platforms.tokens.made import checks, failing, still_open

import troth
from troth.crypto import issued
from troth.model.collateral import Collateral
from troth.model.report import Report, Verdict
from troth.model.roots import RootClass
from troth.platforms import detect, sgx, tokens
from troth.platforms.tokens import anchor, azure, jwks
from troth.platforms.tokens.claims import tdx
from troth.platforms.tokens.inner import composite, inner
from troth.platforms.tokens.issuers import ITA, MAA
from troth.policy.appraise import Expectation
from troth.policy.requirements import Requirements
from troth.trust import load, load_roots, vendor_roots
from troth.verifier.composite import together
from troth.wire import x509

SEEN = {
    "azure-cvm-sample-token.decoded.json",
    "ita-sgx-ps384.jwks.json",
    "ita-sgx-ps384.jwt",
    "maa-oe-algnone-NEG.jwks.json",
    "maa-oe-algnone-NEG.jwt",
    "maa-oe-algnone-NEG.request.json",
    "maa-sgx-sharedwus-a.jwks.json",
    "maa-sgx-sharedwus-a.jwt",
    "maa-sgx-sharedwus-a.request.json",
    "maa-sgx-sharedwus-b.jwt",
    "maa-sgx-sharedwus-b.request.json",
}
TENANT = "https://sharedwus.wus.attest.azure.net"
WAIVED = frozenset({troth.Waiver.FRESHNESS})
# Microsoft's, of the enclave that signs tokens; the facts name it.
MRSIGNER = "5e5410aaf99a32e32df2a97d579e65f8310f274816ec4f34cedeeb1be410a526"
# «Nobody vouches for the key» is all that is open of Azure's real tokens, but for expectations.
OPEN = {"G101", "G102", "G103", "R103", "P102"}


def rows(vectors: Path, folder: str = "tokens") -> dict[str, dict[str, str]]:
    with (vectors / folder / "MANIFEST.tsv").open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file, delimiter="\t")}


def judged(
    vectors: Path, name: str, *, keys: str = "", named: bool = False, policy: troth.Policy | None
) -> Report:
    folder = vectors / "tokens"
    at = datetime.fromtimestamp(int(rows(vectors)[name]["verify_at"]) + 1, UTC)
    return troth.appraise(
        (folder / name).read_bytes(),
        policy=policy or troth.Policy(name="nothing"),
        at=at,
        trust=load_roots(folder / keys) if named else (),
        collateral=load(folder / keys) if keys else Collateral(),
        waive=WAIVED,
        as_of=True,
    )


def azure_policy(data: bytes) -> troth.Policy:
    """What this token says, as if somebody had expected it."""
    found = detect(data)
    assert found is not None
    claims = found[0].claims(found[0].parse(found[1]), None)
    pinned = {name: frozenset({claims.registers[name]}) for name in claims.identity}
    says = {"issuer": frozenset({TENANT})}
    return troth.Policy(
        name="azure", registers={"maa": pinned}, requirements={"maa": Requirements(says=says)}
    )


def test_every_row_is_looked_at(vectors: Path) -> None:
    found = rows(vectors)
    assert set(found) == SEEN
    for name, row in found.items():
        data = (vectors / "tokens" / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]


@pytest.mark.parametrize("name", ["maa-sgx-sharedwus-a.jwt", "maa-sgx-sharedwus-b.jwt"])
def test_azures_signatures_hold_and_nobody_vouches_for_the_key(vectors: Path, name: str) -> None:
    policy = azure_policy((vectors / "tokens" / name).read_bytes())
    keys = "maa-sgx-sharedwus-a.jwks.json"
    report = judged(vectors, name, keys=keys, policy=policy)
    assert report.verdict is Verdict.UNDECIDED
    assert not failing(report)
    assert still_open(report) == OPEN
    assert [c.outcome for c in checks(report, "G104")] == ["passed"]
    # Whoever names the key set takes it on himself, and reports say so.
    report = judged(vectors, name, keys=keys, named=True, policy=policy)
    assert report.verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
    assert report.root_class is RootClass.ADDED
    # The other recording's set holds another certificate of the same key.
    other = judged(vectors, name, keys="maa-oe-algnone-NEG.jwks.json", policy=policy)
    assert [c.outcome for c in checks(other, "G104")] == ["passed"]
    # Its tenant is one that the policy must name.
    nameless = troth.Policy(name="azure", registers=policy.registers)
    report = judged(vectors, name, keys=keys, named=True, policy=nameless)
    assert still_open(report) == {"P207"}


def test_azures_token_without_an_algorithm(vectors: Path) -> None:
    name, keys = "maa-oe-algnone-NEG.jwt", "maa-oe-algnone-NEG.jwks.json"
    policy = azure_policy((vectors / "tokens" / name).read_bytes())
    for named in (False, True):
        report = judged(vectors, name, keys=keys, named=named, policy=policy)
        assert report.verdict is Verdict.REJECTED
        assert failing(report) == {"G104", "G105"}
        (check,) = checks(report, "G105")
        assert (check.presented, check.expected) == ("none", "RS256")


def test_the_weak_key_of_azures_set_is_refused_and_the_others_are_not(vectors: Path) -> None:
    for name in ("maa-sgx-sharedwus-a.jwks.json", "maa-oe-algnone-NEG.jwks.json"):
        found = jwks.of_set(MAA, (vectors / "tokens" / name).read_bytes())
        assert [bool(why) for _, why in found] == [False] * 5 + [True]
        assert "1024 bits" in found[5][1]


def test_azures_other_keys_chain_to_the_pinned_authority(vectors: Path) -> None:
    data = (vectors / "tokens" / "maa-sgx-sharedwus-a.jwks.json").read_bytes()
    for key, _ in jwks.of_set(MAA, data)[1:5]:
        candidate = jwks.Candidate(spki=key.spki, x5c=key.x5c, source="", refused="")
        found = anchor.anchor(candidate, tokens.MAA.roots())
        assert found.root_class is RootClass.VENDOR
        assert anchor.problems(found) == []
        assert len(found.path) == 2


@pytest.mark.parametrize("name", ["maa-sgx-sharedwus-a", "maa-oe-algnone-NEG"])
def test_both_embedded_quotes_are_found_and_bound(vectors: Path, name: str) -> None:
    found = inner((vectors / "tokens" / f"{name}.jwks.json").read_bytes())
    assert len(found) == 2
    for one in found:
        assert one.named
        quote = sgx.PLATFORM.parse(one.quote)
        claims = sgx.PLATFORM.claims(quote, None)
        assert claims.user_data == one.report_data
        assert claims.registers["mrsigner"] == MRSIGNER
        # In these recordings of 2021 Microsoft's own enclave runs in debug mode (attributes 0x7): bound
        # as it is, it keeps no secret, and the SGX platform refuses it.
        assert claims.debug


def test_an_enclave_in_debug_mode_vouches_for_nothing(vectors: Path) -> None:
    folder = vectors / "tokens"
    data = (folder / "maa-sgx-sharedwus-a.jwt").read_bytes()
    policy = azure_policy(data)
    policy = replace(
        policy,
        registers={**policy.registers, "sgx": {"mrsigner": frozenset({MRSIGNER})}},
        parts={"sgx": 1},
    )
    held = load(folder / "maa-sgx-sharedwus-a.jwks.json")
    found = composite(data, held)
    assert found is not None
    report, error = together(
        found,
        policy=policy,
        at=datetime.fromtimestamp(1625170397, UTC),
        expectation=Expectation(waive=WAIVED),
        trust=vendor_roots(),
        collateral=held,
        receipts=(),
        as_of=True,
    )
    assert error is None
    (service,) = report.parts
    assert "P101" in failing(service.report)
    assert report.verdict is Verdict.REJECTED


def test_a_token_and_its_enclave_come_up_as_parts(vectors: Path) -> None:
    folder = vectors / "tokens"
    held = load(folder / "maa-sgx-sharedwus-a.jwks.json")
    for name in ("maa-sgx-sharedwus-a.jwt", "maa-sgx-sharedwus-b.jwt"):
        found = composite((folder / name).read_bytes(), held)
        assert found is not None
        token, service = found.parts
        assert (token.key_in, service.fresh_by) == ("service", "token")
        assert token.key == inner(held.items[0].data)[0].key_sha256
        detected = detect(service.evidence)
        assert detected is not None and detected[0].name == "sgx"
    assert composite((folder / "maa-sgx-sharedwus-a.jwt").read_bytes(), Collateral()) is None
    assert composite((folder / "ita-sgx-ps384.jwt").read_bytes(), held) is None


@pytest.mark.parametrize("name", ["maa-sgx-sharedwus-a", "maa-sgx-sharedwus-b"])
def test_what_azure_was_asked_is_what_it_says(vectors: Path, name: str) -> None:
    """The request holds the enclave's quote: the token's claims are out of it."""
    asked = json.loads((vectors / "tokens" / f"{name}.request.json").read_bytes())
    text = asked.get("quote") or asked["report"]
    quote = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    document = sgx.PLATFORM.parse(quote)
    of_quote = sgx.PLATFORM.claims(document, None)
    found = detect((vectors / "tokens" / f"{name}.jwt").read_bytes())
    assert found is not None
    of_token = tokens.MAA.claims(found[0].parse(found[1]), None)
    assert of_token.registers["x_ms_sgx_mrenclave"] == of_quote.registers["mrenclave"]
    assert of_token.registers["x_ms_sgx_mrsigner"] == of_quote.registers["mrsigner"]
    assert of_token.user_data == of_quote.user_data
    assert of_token.numbers["isvsvn"] == of_quote.numbers["isvsvn"]


def test_the_sample_of_a_machine_of_azures(vectors: Path) -> None:
    said = json.loads((vectors / "tokens" / "azure-cvm-sample-token.decoded.json").read_bytes())
    claims = azure.claims(said, None, tdx)
    tee = said["x-ms-isolation-tee"]
    assert (
        claims.registers["x_ms_sevsnpvm_launchmeasurement"]
        == (tee["x-ms-sevsnpvm-launchmeasurement"])
    )
    assert claims.user_data == bytes.fromhex(tee["x-ms-sevsnpvm-reportdata"])
    assert claims.instance == said["x-ms-azurevm-vmid"]
    assert claims.texts["attestation_type"] == ("azurevm", "sevsnpvm")
    assert claims.texts["compliance_status"] == ("azure-compliant-cvm",)
    assert claims.numbers == {"guest_svn": 1}
    assert (claims.texts["vmpl"], claims.texts["migration_allowed"]) == (("0",), ("false",))
    assert not claims.debug
    assert claims.public_key is not None
    # Which guest runs above the paravisor is not in it, and no policy can say otherwise.
    assert "pcrs_not_in_token" in claims.identity


def test_intels_sample_ends_at_a_development_root(vectors: Path) -> None:
    name, keys = "ita-sgx-ps384.jwt", "ita-sgx-ps384.jwks.json"
    report = judged(vectors, name, keys=keys, policy=None)
    assert report.verdict is Verdict.REJECTED
    assert failing(report) >= {"G101"}
    (check,) = checks(report, "G101")
    assert check.presented.endswith(
        "2bba737e5ba2195e8660462817a87d288af1e539e6a3a7a6b93fedbb8e77039c"
    )
    assert [c.outcome for c in checks(report, "G104")] == ["passed"]
    # Whoever names its keys, or its root, has a development root and not one of Intel's.
    report = judged(vectors, name, keys=keys, named=True, policy=None)
    assert report.root_class is RootClass.DEVELOPMENT
    # What it says is not good enough either: an old TCB, and advisories that nobody accepted.
    wrong = {c.subject: c.outcome for c in checks(report, "P207")}
    assert wrong == {"attester_tcb_status": "failed", "advisories": "undecided"}


def test_intels_key_is_named_twice_for_two_algorithms(vectors: Path) -> None:
    data = (vectors / "tokens" / "ita-sgx-ps384.jwks.json").read_bytes()
    found = jwks.of_set(ITA, data)
    assert [key.alg for key, _ in found] == ["PS384", "RS256"]
    assert len({key.kid for key, _ in found}) == 1


def test_nvidias_bundle(vectors: Path) -> None:
    """No key set was published with it: everything holds but what needs the key."""
    data = (vectors / "nvidia" / "eat-h100-v3.bundle.json").read_bytes()
    row = rows(vectors, "nvidia")["eat-h100-v3.bundle.json"]
    nonce = bytes.fromhex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb")
    report = troth.appraise(
        data,
        policy=troth.Policy(
            name="nvidia",
            requirements={
                "nras": Requirements(
                    says={
                        "driver_version": frozenset({"550.90.07"}),
                        "vbios_version": frozenset({"96.00.9F.00.01"}),
                        "hwmodel": frozenset({"GH100 A01 GSP BROM"}),
                    },
                    exact={"gpus": 1},
                )
            },
        ),
        at=datetime.fromtimestamp(int(row["verify_at"]), UTC),
        nonce=nonce,
        as_of=True,
    )
    assert report.verdict is Verdict.UNDECIDED
    assert not failing(report)
    assert still_open(report) == {*OPEN, "R201", "G104"}
    for code in ("G703", "G704", "B101", "B502", "P207", "M201"):
        assert all(check.outcome == "passed" for check in checks(report, code)), code


def test_nvidias_claims_are_those_of_the_oracle(vectors: Path) -> None:
    data = (vectors / "nvidia" / "eat-h100-v3.bundle.json").read_bytes()
    oracle = json.loads((vectors / "nvidia" / "eat-h100-v3.decoded.json").read_bytes())
    found = detect(data)
    assert found is not None
    document = found[0].parse(found[1])
    assert {name: dict(one.claims) for name, one in document.devices.items()} == oracle


def test_nvidias_signing_key_chains_to_the_pinned_intermediate(vectors: Path) -> None:
    text = (vectors / "nvidia" / "nras-signing-cert-20251210.txt").read_bytes()
    leaf = x509.read_pem(text[text.index(b"-----BEGIN") :].rstrip() + b"\n", field="leaf")[0]
    above = x509.read_pem((vectors / "nvidia" / "nras-intermediates.pem").read_bytes(), "above")
    by_key = {issued.key_sha256(issued.read(der)): der for der in above}
    pinned = {root.key_sha256: root for root in tokens.NRAS.roots()}
    assert set(by_key) == set(pinned)
    for key, der in by_key.items():
        root = pinned[key]
        assert root.sha256 == hashlib.sha256(der).hexdigest()
        assert root.not_after == issued.read(der).not_after
        candidate = jwks.Candidate(
            spki=issued.read(leaf).key, x5c=(leaf, der), source="", refused=""
        )
        found = anchor.anchor(candidate, tokens.NRAS.roots())
        assert found.root == root
        assert (anchor.problems(found) == []) is ("003" in root.source)
