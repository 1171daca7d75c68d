"""Azure's signing key vouched for by its own enclave: the token counts by hardware and by no file."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.platforms.dcap.made import NOW, OTHER, PKI
from tests.platforms.tokens.made import KINDS, NONCE, codes, failing, still_open

import troth
from troth.model.check import Outcome
from troth.model.collateral import Collateral, Item
from troth.model.composite import Composite
from troth.model.report import Report, Verdict
from troth.model.roots import RootClass
from troth.platforms.dcap.simulate import DevelopmentPki, QuoteKind
from troth.platforms.tokens.inner import composite, inner
from troth.platforms.tokens.simulate import Service
from troth.policy.appraise import Expectation
from troth.verifier.composite import together

KIND = KINDS["maa-snp"]
MADE = NOW - timedelta(minutes=1)
ENCLAVE = b"\x35" * 32


def service(*, pki: DevelopmentPki = PKI, **fields: object) -> Service:
    def quote(report_data: bytes) -> bytes:
        said = {"mrenclave": ENCLAVE, "reportdata": report_data} | fields
        return pki.quote(QuoteKind.SGX_3, fields=said)

    return Service.create("maa", NOW - timedelta(days=1), quote=quote)


POLICY = replace(
    KIND.policy,
    registers={
        **KIND.policy.registers,
        "sgx": {"mrenclave": frozenset({ENCLAVE.hex()})},
    },
    parts={"sgx": 1},
)


def judged(parts: Composite, held: Collateral, *, policy: troth.Policy = POLICY) -> Report:
    report, error = together(
        parts,
        policy=policy,
        at=NOW,
        expectation=Expectation(nonce=NONCE),
        trust=PKI.roots(),
        collateral=held + PKI.collateral(),
        receipts=(),
        as_of=False,
    )
    assert error is None
    return report


def presented(signer: Service, *, keys: bytes = b"") -> tuple[Composite, Collateral]:
    data = keys or signer.key_set()
    held = Collateral(items=(Item(kind=signer.issuer.keys, data=data, source="a test"),))
    found = composite(signer.token(KIND.claims(NONCE), MADE), held)
    assert found is not None
    return found, held


@pytest.fixture(scope="module")
def good() -> Service:
    return service()


def test_the_enclave_vouches_for_the_key(good: Service) -> None:
    report = judged(*presented(good))
    assert report.verdict is Verdict.ACCEPTED, (failing(report), still_open(report))
    assert report.root_class is RootClass.DEVELOPMENT
    (part,) = report.parts
    assert part.report.platform == "sgx"


def test_without_the_enclave_nobody_does(good: Service) -> None:
    found, held = presented(good)
    report = troth.appraise(
        found.lead.evidence, policy=KIND.policy, at=NOW, nonce=NONCE, collateral=held
    )
    assert "G101" in still_open(report)


def test_a_policy_that_counts_the_enclave_is_enough(good: Service) -> None:
    """The bare token and its key set: whoever asks need not take them apart."""
    found, held = presented(good)
    accepted = troth.verify(
        found.lead.evidence,
        policy=POLICY,
        at=NOW,
        nonce=NONCE,
        trust=PKI.roots(),
        collateral=held + PKI.collateral(),
    )
    assert accepted.claims.platform == "maa"
    # Named by a file, the key counts as added, and the count of parts still asks for the enclave.
    bare = Service.create("maa", NOW - timedelta(days=1))
    report = troth.appraise(
        bare.token(KIND.claims(NONCE), MADE),
        policy=POLICY,
        at=NOW,
        nonce=NONCE,
        trust=bare.roots(),
        collateral=Collateral(items=(bare.collateral(),)),
    )
    assert report.verdict is not Verdict.ACCEPTED


def test_another_enclave(good: Service) -> None:
    """Anybody can have an enclave of his own put its key into a certificate."""
    other = service(mrenclave=b"\x66" * 32)
    report = judged(*presented(other))
    assert report.verdict is Verdict.REJECTED
    assert "M201" in failing(report.parts[0].report)
    nameless = replace(POLICY, registers=KIND.policy.registers)
    report = judged(*presented(good), policy=nameless)
    assert report.verdict is not Verdict.ACCEPTED


def test_an_enclave_that_speaks_of_another_key(good: Service) -> None:
    mine = Service.create("maa", NOW - timedelta(days=1))
    (theirs,) = inner(good.key_set())
    forged = Service.create("maa", NOW - timedelta(days=1), quote=lambda _: theirs.quote)
    report = judged(*presented(forged))
    assert report.verdict is Verdict.REJECTED
    assert "B501" in failing(report.parts[0].report)
    assert composite(mine.token(KIND.claims(NONCE), MADE), Collateral()) is None


def test_an_enclave_under_a_strangers_root() -> None:
    report = judged(*presented(service(pki=OTHER)))
    assert report.verdict is not Verdict.ACCEPTED
    assert "G101" in failing(report.parts[0].report) | failing(report)


def test_a_token_of_another_key_under_the_enclaves_name(good: Service) -> None:
    forged = replace(Service.create("maa", NOW - timedelta(days=1)), kid=good.kid)
    report = judged(*presented(forged, keys=good.key_set()))
    assert report.verdict is Verdict.REJECTED
    assert "G104" in failing(report)
    # And with his own certificate beside it, under the same name.
    both = json.dumps({"keys": [forged.jwk(), good.jwk()]}).encode()
    report = judged(*presented(forged, keys=both))
    assert report.verdict is not Verdict.ACCEPTED


def test_the_enclave_in_debug_mode() -> None:
    report = judged(
        *presented(service(attributes=(7).to_bytes(8, "little") + (3).to_bytes(8, "little")))
    )
    assert report.verdict is Verdict.REJECTED
    assert "P101" in codes(report.parts[0].report, Outcome.FAILED)
