"""Tinfoil's package against our simulator on TDX, and ours against the same: registers and hardware lists."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.channel.services import tinfoil_peers as peers

import troth
from troth.channel.services import tinfoil
from troth.channel.services import tinfoil_release as releases
from troth.channel.services.simulate.sigstore import Sigstore, statement
from troth.channel.services.simulate.tinfoil import HOST, Enclave
from troth.channel.web import Web
from troth.errors import TrothError
from troth.model.channel import Binding
from troth.model.check import Waiver
from troth.model.collateral import Item, Kind
from troth.platforms.dcap.simulate import DevelopmentPki, QuoteKind
from troth.platforms.snp.simulate_pki import to_pem
from troth.policy import Policy

pytestmark = pytest.mark.peers

NOW = datetime.now(UTC)
DIGEST = "ab" * 32
WHO = releases.Identity(repository="owner/model", tag="v1.2.3", workflow="build.yml")
LIST = releases.Identity(repository=releases.HARDWARE_REPOSITORY, tag="v7", workflow="build.yml")
MODULE = """fca4ff221293807e3d247416299ca39a236872df4eb414567ca96072d3fde7de
    ad740f807eefe2f7d938499c03cc8aba"""  # one of the modules that their client takes: 1.5.25
RUNS = {
    "mrtd": b"\x41" * 48,
    "rtmr0": b"\x42" * 48,
    "rtmr1": b"\x43" * 48,
    "rtmr2": b"\x44" * 48,
    "rtmr3": bytes(48),
    "xfam": bytes.fromhex("e702060000000000"),
    "mrseam": bytes.fromhex(MODULE),
}
SHAPES = {
    "this": {"mrtd": "41" * 48, "rtmr0": "42" * 48},
    "other": {"mrtd": "51" * 48, "rtmr0": "52" * 48},
}


@dataclasses.dataclass
class Case:
    """As in the other file; `shapes` is the list of hardware that is signed."""

    why: tuple[str, str] | None
    enclave: Enclave
    release: bytes
    hardware: bytes


@pytest.fixture(scope="module")
def pki() -> DevelopmentPki:
    return with_intel_s_extensions(DevelopmentPki.create(NOW))


def with_intel_s_extensions(pki: DevelopmentPki) -> DevelopmentPki:
    """Their client counts the extensions of a PCK certificate: Intel's have six."""
    leaf, above = pki.machine.leaf, pki.machine.authority
    old = leaf.certificate
    builder = x509.CertificateBuilder(
        issuer_name=old.issuer,
        subject_name=old.subject,
        public_key=leaf.key.public_key(),
        serial_number=old.serial_number,
        not_valid_before=old.not_valid_before_utc,
        not_valid_after=old.not_valid_after_utc,
    )
    place = x509.UniformResourceIdentifier("https://api.trustedservices.intel.com/x")
    points = x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key())
    for one in old.extensions:
        builder = builder.add_extension(one.value, critical=one.critical)
    for more in (identifier, points):
        builder = builder.add_extension(more, critical=False)
    holder = dataclasses.replace(leaf, certificate=builder.sign(above.key, hashes.SHA256()))
    return dataclasses.replace(pki, machine=dataclasses.replace(pki.machine, leaf=holder))


@pytest.fixture(scope="module")
def instance() -> Sigstore:
    return Sigstore.create(NOW)


@pytest.fixture(scope="module")
def cases(pki: DevelopmentPki, instance: Sigstore) -> Iterator[dict[str, Case]]:
    def made(signs: DevelopmentPki = pki, **fields: bytes) -> Enclave:
        def attest(data: bytes) -> bytes:
            return signs.quote(QuoteKind.TDX_4, fields=RUNS | fields | {"reportdata": data})

        return Enclave(attest, platform="tdx", version=2)

    def flipped(data: bytes) -> bytes:
        whole = bytearray(pki.quote(QuoteKind.TDX_4, fields=RUNS | {"reportdata": data}))
        whole[48 + 584 + 4] ^= 1  # in the quote's signature
        return bytes(whole)

    def release(rtmr2: str = "44" * 48) -> bytes:
        measured = {"rtmr1": "43" * 48, "rtmr2": rtmr2}
        said = {"snp_measurement": "11" * 48, "tdx_measurement": measured}
        return instance.sign(statement(releases.RELEASE, said, digest=DIGEST), WHO, at=NOW)

    def hardware(shapes: dict[str, Any], who: releases.Identity = LIST) -> bytes:
        return instance.sign(statement(releases.HARDWARE, shapes, digest=DIGEST), who, at=NOW)

    good, listed = made(), hardware(SHAPES)
    mixed = {
        "this": {"mrtd": "41" * 48, "rtmr0": "52" * 48},
        "other": {"mrtd": "51" * 48, "rtmr0": "42" * 48},
    }
    forger = dataclasses.replace(LIST, repository="owner/hardware")
    both = {
        "good": Case(None, good, release(), listed),
        "another image": Case(("Mismatch", "M201"), good, release("99" * 48), listed),
        "a pair that nobody signed": Case(("ardware", "M201"), good, release(), hardware(mixed)),
        "hardware of another's list": Case(
            ("WorkflowRepository", "SourceRepositoryURI"), good, release(), hardware(SHAPES, forger)
        ),
        "hardware that is not listed": Case(
            ("ardware", "M201"), made(mrtd=b"\x61" * 48), release(), listed
        ),
        "RTMR3 extended": Case(("RTMR3", "M201"), made(rtmr3=b"\x01" * 48), release(), listed),
        "debug": Case(
            ("DEBUG", "P101"), made(td_attributes=b"\x01\0\0\x10" + bytes(4)), release(), listed
        ),
        "signature changed": Case(
            ("erification failed", "G201"),
            Enclave(flipped, platform="tdx", version=2),
            release(),
            listed,
        ),
        "another root's": Case(
            ("oot", "G101"), made(DevelopmentPki.create(NOW)), release(), listed
        ),
    }
    yield both
    for enclave in {id(case.enclave): case.enclave for case in both.values()}.values():
        enclave.close()


def intel(pki: DevelopmentPki) -> Callable[[str], peers.Answer]:
    """Intel's service for this machine, by path."""
    held = pki.collateral()
    (crl,) = held.of(Kind.INTEL_PCK_CRL)
    pem = _pem(crl.data)
    tdx = {item.kind: item for item in held.items if b'"TDX"' in item.data or b"TD_QE" in item.data}

    def chained(item: Item, header: str, body: bytes | None = None) -> peers.Answer:
        return item.data if body is None else body, {header: quote(item.chain.decode())}

    answers = {
        "/tdx/certification/v4/tcb": chained(tdx[Kind.INTEL_TCB_INFO], "TCB-Info-Issuer-Chain"),
        "/tdx/certification/v4/qe/identity": chained(
            tdx[Kind.INTEL_QE_IDENTITY], "SGX-Enclave-Identity-Issuer-Chain"
        ),
        "/sgx/certification/v4/pckcrl": chained(crl, "SGX-PCK-CRL-Issuer-Chain", pem),
        "/IntelSGXRootCA.der": (held.of(Kind.INTEL_ROOT_CRL)[0].data, {}),
    }
    return answers.get


def _pem(der: bytes) -> bytes:
    return to_pem(der).replace(b"CERTIFICATE", b"X509 CRL")


@pytest.fixture(scope="module")
def theirs(
    cases: dict[str, Case],
    pki: DevelopmentPki,
    instance: Sigstore,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("home")
    root = folder / "trusted_root.txt"
    root.write_bytes(instance.trusted_root())
    served = intel(pki)

    def fetched(path: str, case: str) -> peers.Answer:
        return (
            served(path)
            or peers.github(path, WHO, DIGEST, cases[case].release)
            or peers.github(path, LIST, DIGEST, cases[case].hardware)
        )

    services = peers.Fetched(fetched)
    given = {
        "intel": pki.roots_pem().decode(),
        "services": services.url,
        "trusted_root": str(root),
        "cases": {
            name: {
                "enclave": case.enclave.url.replace("https://127.0.0.1", HOST),
                "repository": WHO.repository,
                "do": "verify",
            }
            for name, case in cases.items()
        },
    }
    try:
        return peers.driven(given, to_pem(*{c.enclave.certificate for c in cases.values()}), folder)
    finally:
        services.close()


def ours(case: Case, pki: DevelopmentPki, instance: Sigstore) -> dict[str, Any]:
    trusted = instance.trusted_root()
    try:
        of = releases.release(case.release, identity=WHO, trusted_root=trusted, digest=DIGEST)
        shapes = releases.hardware(case.hardware, identity=LIST, trusted_root=trusted)
        with Web(case.enclave.url, seconds=10) as web:
            found = tinfoil.ask(web, bytes(32))
        assert found is not None
        platform, bare, _ = troth.platforms.detect(found.composite.lead.evidence)
        mrtd = platform.claims(platform.parse(bare), None).registers["mrtd"]
        expected = releases.measurements(of, shapes, mrtd=mrtd)
        report = troth.appraise(
            found.composite,
            policy=Policy(name="caller", channel=Binding.KEY).expecting(expected, name="release"),
            at=datetime.now(UTC),
            trust=pki.roots(),
            collateral=pki.collateral(),
            waive=frozenset({Waiver.FRESHNESS}),
            channel=found.binding,
        )
    except TrothError as error:
        return {"refused": str(error)}
    wrong = [c for c in report.checks if c.outcome in ("failed", "undecided")]
    if wrong:
        return {"refused": [f"{c.code.id} {c.why or c.presented}" for c in wrong]}
    return {role: key.hex() for role, key in found.keys.items()}


@pytest.mark.parametrize(
    "name",
    [
        *("good", "another image", "a pair that nobody signed", "hardware of another's list"),
        *("hardware that is not listed", "RTMR3 extended", "debug", "signature changed"),
        "another root's",
    ],
)
def test_their_client_and_ours_say_the_same(
    name: str,
    cases: dict[str, Case],
    theirs: dict[str, Any],
    pki: DevelopmentPki,
    instance: Sigstore,
) -> None:
    case, they, we = cases[name], theirs[name], ours(cases[name], pki, instance)
    for said, words in zip((they, we), case.why or ("", ""), strict=True):
        assert ("refused" in said) == bool(words), said
        assert words in str(said.get("refused", "")), said
    if case.why is None:
        assert they["hpke"] == we["hpke"] == case.enclave.receiver.key.hex()
