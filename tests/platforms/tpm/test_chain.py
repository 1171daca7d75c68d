"""Is a quote genuine? What is accepted, and each step that must not be left out."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.platforms.tpm import made
from tests.platforms.tpm.made import AT, NONCE, appraised, failing, still_open

from troth.errors import Malformed
from troth.model.collateral import Collateral, Item, Kind
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms.tpm import PLATFORM, format  # noqa: A004
from troth.platforms.tpm.simulate_pki import EK_PURPOSE, DevelopmentPki
from troth.wire import tpm

SCHEMES = (tpm.RSASSA, tpm.RSAPSS, tpm.ECDSA)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("cloud", ["azure", "google"])
def test_a_certified_key_is_accepted(cloud: str, scheme: int) -> None:
    data = made.booted(scheme).evidence(NONCE, certificates=[made.certificate(cloud, scheme)])
    report = appraised(data, cloud=cloud)
    assert report.verdict is Verdict.ACCEPTED, report.checks
    assert report.root_class is RootClass.DEVELOPMENT
    assert report.collateral
    genuine = PLATFORM.genuine(
        PLATFORM.parse(data), [made.pki(cloud).trusted()], made.pki(cloud).collateral(), AT
    )
    assert genuine.tcb is not None
    assert [finding.part for finding in genuine.tcb.findings] == [cloud]


def test_authorities_may_lie_in_the_evidence_in_any_order() -> None:
    middle, root = made.pki().chain
    for above in ((middle, root), (root, middle)):
        data = made.booted().evidence(NONCE, certificates=[made.certificate(), *above])
        assert appraised(data, collateral=Collateral()).verdict is Verdict.ACCEPTED


def test_a_key_that_somebody_trusted_names_needs_no_certificate() -> None:
    machine = made.booted()
    data = machine.evidence(NONCE, public=False)
    report = appraised(data, cloud=None, trust=(made.trusted_ak(machine),))
    assert report.verdict is Verdict.ACCEPTED, report.checks


def test_a_key_that_nothing_vouches_for_leaves_the_answer_open() -> None:
    for public in (True, False):
        report = appraised(made.booted().evidence(NONCE, public=public))
        assert report.verdict is Verdict.UNDECIDED
        assert failing(report) == set()
        assert {"G101", "G102", "G103", "R103", "R201"} <= still_open(report)
        words = {check.why for check in report.checks if check.code.id == "G102"}
        assert words == {"no certificate of the attestation key is at hand"}


def test_another_machines_named_key_does_not_help() -> None:
    other = made.booted(number=1)
    report = appraised(made.booted().evidence(NONCE), cloud=None, trust=(made.trusted_ak(other),))
    assert report.verdict is Verdict.UNDECIDED


def test_a_missing_authority_leaves_the_answer_open() -> None:
    data = made.booted().evidence(NONCE, certificates=[made.certificate()])
    middle, _ = made.pki().chain
    without_root = made.booted().evidence(NONCE, certificates=[made.certificate(), middle])
    for one, above in ((data, "the key"), (without_root, "azure virtual TPM CA - 01")):
        report = appraised(one, collateral=Collateral())
        assert report.verdict is Verdict.UNDECIDED
        assert failing(report) == set()
        (missing,) = (check for check in report.checks if check.code.id == "R201")
        assert missing.expected == f"the certificates above {above}"
        words = {check.why for check in report.checks if check.code.id == "G102"}
        assert words == {"no whole chain of the attestation key is at hand"}
    bad = Collateral(items=(Item(kind=Kind.TPM_CHAIN, data=b"no PEM"),))
    report = appraised(data, collateral=bad)
    assert report.verdict is Verdict.UNDECIDED
    assert any("PEM" in check.why for check in report.checks)


def test_authorities_of_another_root_are_refused() -> None:
    other = DevelopmentPki.create("azure", at=AT)
    certificate = other.certify(made.key().ak, at=AT)
    data = made.booted().evidence(NONCE, certificates=[certificate, *other.chain])
    report = appraised(data)
    assert failing(report) == {"G101"}
    # The same names, and not the same keys: a chain of the trusted authority's that signed nothing.
    data = made.booted().evidence(NONCE, certificates=[certificate])
    report = appraised(data)
    assert failing(report) == {"G102"}


def test_times_of_certificates() -> None:
    data = made.booted().evidence(NONCE, certificates=[made.certificate()])
    for at in (AT - timedelta(days=2), AT + timedelta(days=366)):
        assert failing(appraised(data, at=at)) == {"G103"}


def test_another_machines_certificate_with_this_quote() -> None:
    data = made.booted().evidence(NONCE, certificates=[made.certificate(number=1)])
    assert "G603" in failing(appraised(data))


def test_another_machines_public_area_with_this_quote() -> None:
    machine = made.booted()
    message = machine.attest(NONCE)
    data = format.pack(
        attest=message,
        signature=machine.sign(message),
        pcrs=dict(enumerate(machine.registers[tpm.SHA256])),
        ak=machine.ak,
        public=made.booted(number=1).public,
        certificates=[made.certificate()],
    )
    assert "G603" in failing(appraised(data))


@pytest.mark.parametrize(
    "missing", [tpm.FIXED_TPM, tpm.FIXED_PARENT, tpm.RESTRICTED, tpm.SIGN, -tpm.DECRYPT]
)
def test_a_key_that_signs_what_it_is_given(missing: int) -> None:
    machine = made.booted()
    machine.attributes = (
        machine.attributes & ~missing if missing > 0 else machine.attributes | -missing
    )
    data = machine.evidence(NONCE, certificates=[made.certificate()])
    assert failing(appraised(data)) == {"G602"}
    assert failing(appraised(data, cloud=None, trust=(made.trusted_ak(made.booted()),))) == {"G602"}


def test_a_public_area_that_the_quote_does_not_name_shows_nothing() -> None:
    machine = made.booted()
    machine.parent = 0x81000001  # a key below a storage key: its qualified name cannot be made here
    pki = made.pki()
    report = appraised(machine.evidence(NONCE, certificates=[made.certificate()]))
    assert (report.verdict, still_open(report)) == (Verdict.UNDECIDED, {"G602"})
    for purpose in (None, EK_PURPOSE):
        certificate = pki.certify(machine.ak, at=AT, purpose=purpose)
        report = appraised(machine.evidence(NONCE, public=False, certificates=[certificate]))
        assert (report.verdict, still_open(report)) == (Verdict.UNDECIDED, {"G602"})
    certified = machine.evidence(NONCE, public=False, certificates=[made.certificate()])
    assert appraised(certified).verdict is Verdict.ACCEPTED
    for hierarchy in (0x40000001, 0x4000000C, 0x40000007):
        machine.parent = hierarchy
        certificate = pki.certify(machine.ak, at=AT, purpose=None)
        report = appraised(machine.evidence(NONCE, certificates=[certificate]))
        assert report.verdict is Verdict.ACCEPTED


def test_an_endorsement_keys_certificate_is_none_of_an_attestation_key() -> None:
    for cloud in ("azure", "google"):
        certificate = made.pki(cloud).certify(made.key().ak, at=AT, signs=False)
        data = made.booted().evidence(NONCE, certificates=[certificate])
        assert failing(appraised(data, cloud=cloud)) == {"G102"}


def test_a_vendors_root_vouches_for_its_own_form_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from troth.platforms.tpm import roots

    data = made.booted().evidence(NONCE, certificates=[made.certificate("azure")])
    policy = made.policy(data)
    for said, wanted in (("google", {"G102"}), ("azure", set())):
        monkeypatch.setattr(roots, "issuer", lambda _, said=said: said)
        assert failing(appraised(data, pinned=policy)) == wanted


def test_a_host_that_is_none_of_production_counts_as_debug() -> None:
    certificate = made.pki("google").certify(made.key().ak, at=AT, production=False)
    report = appraised(made.booted().evidence(NONCE, certificates=[certificate]), cloud="google")
    assert failing(report) == {"P101"}


def test_a_made_up_value_beside_a_true_quote() -> None:
    machine = made.booted()
    message = machine.attest(NONCE)
    values = dict(enumerate(machine.registers[tpm.SHA256]))
    values[4] = bytes(31) + b"\1"
    data = format.pack(
        attest=message,
        signature=machine.sign(message),
        pcrs=values,
        public=machine.public,
        certificates=[made.certificate()],
    )
    assert "G601" in failing(appraised(data))


def test_a_signature_with_sha1() -> None:
    machine = made.booted()
    machine.hash = tpm.SHA1
    data = machine.evidence(NONCE, certificates=[made.certificate()])
    assert {"G105", "G201"} <= failing(appraised(data))


def test_a_scheme_other_than_the_keys_own() -> None:
    machine = made.booted(tpm.RSAPSS)
    message = machine.attest(NONCE)
    fixed = replace(machine, scheme=tpm.RSASSA)
    data = format.pack(
        attest=fixed.attest(NONCE),
        signature=machine.sign(fixed.attest(NONCE)),
        pcrs=dict(enumerate(machine.registers[tpm.SHA256])),
        public=fixed.public,
        certificates=[made.certificate(scheme=tpm.RSAPSS)],
    )
    assert message != fixed.attest(NONCE)
    assert failing(appraised(data)) == {"G105"}


@pytest.mark.parametrize(("magic", "kind"), [(0xFF544300, tpm.QUOTE), (tpm.GENERATED, 0x8014)])
def test_what_the_key_signed_and_no_tpm_made(magic: int, kind: int) -> None:
    machine = made.booted()
    message = machine.attest(NONCE, magic=magic, kind=kind)
    data = format.pack(
        attest=message,
        signature=machine.sign(message),
        pcrs=dict(enumerate(machine.registers[tpm.SHA256])),
        public=machine.public,
    )
    with pytest.raises(Malformed):
        PLATFORM.parse(data)


def test_registers_left_out_leave_the_answer_open() -> None:
    for left in (0, 9, 15):
        chosen = [index for index in range(24) if index != left]
        data = made.booted().evidence(NONCE, indices=chosen, certificates=[made.certificate()])
        report = appraised(data)
        assert still_open(report) == {"M211"}
        assert report.verdict is Verdict.UNDECIDED


def test_a_tpm_into_which_nothing_was_measured() -> None:
    machine = made.booted()
    machine.start()
    machine.extend(16, b"anything, by anybody")
    data = machine.evidence(NONCE, certificates=[made.certificate()])
    pinned = made.policy(made.booted().evidence(NONCE))
    assert "M211" in still_open(appraised(data, pinned=pinned))


def test_an_unsafe_clock_is_said() -> None:
    machine = made.booted()
    machine.safe = False
    data = machine.evidence(NONCE, certificates=[made.certificate()])
    report = appraised(data)
    assert any("not safe" in note for note in report.notes)
