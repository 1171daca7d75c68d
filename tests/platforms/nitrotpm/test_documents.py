"""NitroTPM's documents: an enclave's form with a TPM's registers. Simulated: no real one is public."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.platforms.nitro.forge import document as enclaves
from tests.platforms.snp.made import flipped

import troth
from troth.errors import Malformed, TrothError
from troth.model.check import Outcome
from troth.model.report import Report, Verdict
from troth.model.roots import Root, RootClass
from troth.platforms import detect
from troth.platforms.nitro import PLATFORM as NITRO
from troth.platforms.nitro import format as documents
from troth.platforms.nitro.simulate_pki import DevelopmentPki
from troth.platforms.nitrotpm import PLATFORM
from troth.platforms.nitrotpm.simulate import SimulatedNitroTpm
from troth.policy import Policy
from troth.wire import cbor, cose

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NONCE = bytes(range(32))
PCRS = {0: b"\1" * 48, 4: b"\4" * 48, 7: b"\7" * 48, 12: b"\x0c" * 48}
PKI = DevelopmentPki.create(NOW)
TPM = SimulatedNitroTpm(
    pki=PKI, pcrs=PCRS, instance="i-0123456789abcdef0", clock=lambda: NOW + timedelta(seconds=5)
)
ROOT = replace(PKI.root(), platform="nitrotpm")
POLICY = Policy(
    name="image",
    registers={
        "nitrotpm": {f"pcr{index}": frozenset({value.hex()}) for index, value in PCRS.items()}
    },
    roots_allow=frozenset({RootClass.DEVELOPMENT}),
)


def judged(
    data: bytes, *, policy: Policy = POLICY, nonce: bytes = NONCE, root: Root = ROOT
) -> Report:
    at = NOW + timedelta(minutes=1)
    return troth.appraise(data, policy=policy, at=at, nonce=nonce, trust=[root])


def codes(report: Report, outcome: Outcome) -> set[str]:
    return {check.code.id for check in report.checks if check.outcome is outcome}


def test_a_document_is_accepted() -> None:
    data = TPM.attest(nonce=NONCE)
    found = detect(data)
    assert found is not None
    assert found[0] is PLATFORM
    report = judged(data)
    assert report.verdict is Verdict.ACCEPTED, report.checks
    assert report.presented is not None
    assert report.presented.identity == ("pcr0", "pcr4", "pcr7", "pcr12")
    assert dict(PLATFORM.fields(data))["pcr12"] == PCRS[12].hex()


def test_siblings_are_told_apart() -> None:
    data, _ = enclaves()
    found = detect(data)
    assert found is not None
    assert found[0] is NITRO
    # The name in a field that the enclave chose makes it no TPM's.
    data, _ = enclaves(user_data=b"nitrotpm_pcrs")
    found = detect(data)
    assert found is not None
    assert found[0] is NITRO
    with pytest.raises(Malformed):
        documents.parse(TPM.attest(nonce=NONCE))
    with pytest.raises(Malformed):
        documents.parse_tpm(data)


def test_an_enclaves_root_is_the_same_and_counts_for_each_alone() -> None:
    (own,), (sibling,) = PLATFORM.roots(), NITRO.roots()
    assert (own.platform, sibling.platform) == ("nitrotpm", "nitro")
    assert own.sha256 == sibling.sha256


def test_another_image_another_nonce_another_root() -> None:
    data = replace(TPM, pcrs=PCRS | {4: b"\5" * 48}).attest(nonce=NONCE)
    assert codes(judged(data), Outcome.FAILED) == {"M201"}
    data = TPM.attest(nonce=NONCE)
    assert codes(judged(data, nonce=bytes(32)), Outcome.FAILED) == {"B101"}
    other = replace(DevelopmentPki.create(NOW).root(), platform="nitrotpm")
    assert codes(judged(data, root=other), Outcome.FAILED) == {"G101"}


def test_a_register_that_nobody_pinned_leaves_the_answer_open() -> None:
    data = replace(TPM, pcrs=PCRS | {9: b"\x09" * 48, 16: b"\x10" * 48}).attest(nonce=NONCE)
    report = judged(data)
    assert report.verdict is Verdict.UNDECIDED
    open_ = [c.subject for c in report.checks if c.outcome is Outcome.UNDECIDED]
    assert open_ == ["pcr9"]


def test_registers_left_out_and_nothing_measured() -> None:
    for pcrs in ({4: PCRS[4]}, dict.fromkeys(range(24), bytes(48))):
        data = TPM.attest(nonce=NONCE)
        sign1 = cose.parse_sign1(data)
        payload = cbor.decode(sign1.payload, field="payload")
        payload[documents.TPM_REGISTERS] = pcrs
        parsed = documents.parse_tpm(
            cbor.encode_in_order(
                [sign1.protected, {}, cbor.encode_in_order(payload), sign1.signature]
            )
        )
        found = PLATFORM.genuine(parsed, [ROOT], troth.model.collateral.NONE, NOW)
        open_ = [c.code.id for c in found.checks if c.outcome is Outcome.UNDECIDED]
        assert open_ == ["M211"]


def accepted(data: bytes) -> bool:
    at = NOW + timedelta(minutes=1)
    try:
        troth.verify(data, policy=POLICY, at=at, nonce=NONCE, trust=[ROOT])
    except TrothError:
        return False
    return True


def test_every_truncation() -> None:
    data = TPM.attest(nonce=NONCE)
    assert accepted(data)
    for size in range(len(data)):
        with pytest.raises(Malformed):
            documents.parse_tpm(data[:size])


def test_some_bits() -> None:
    data = TPM.attest(nonce=NONCE)
    assert not any(accepted(flipped(data, bit)) for bit in range(3, 8 * len(data), 97))


@pytest.mark.slow
def test_every_single_bit_of_the_registers_and_around_the_payload() -> None:
    """What the certificates hold is flipped bit by bit in the sibling's tests."""
    data = TPM.attest(nonce=NONCE)
    payload = cose.parse_sign1(data).payload
    start = data.index(payload)
    bits = (*range(start * 8), *range((start + len(payload)) * 8, len(data) * 8))
    registers = data.index(b"nitrotpm_pcrs")
    bits += tuple(range(registers * 8, (registers + 24 * 52) * 8))
    assert not any(accepted(flipped(data, bit)) for bit in bits)
