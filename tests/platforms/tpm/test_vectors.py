"""Real quotes, boot logs and certificates: every row of the TPM manifest gets its verdict."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from tests.platforms.tpm.made import failing, still_open
from tests.platforms.tpm.rows import (
    AT,
    OPEN,
    SOUND,
    authorities_at_hand,
    ders,
    judged,
    manifest,
    outcomes,
)

import troth
from troth.errors import Malformed
from troth.model.check import Outcome
from troth.model.collateral import Collateral
from troth.model.report import Report, Verdict
from troth.model.roots import RootClass
from troth.platforms import detect
from troth.platforms.tpm import PLATFORM, authorities, carrier, certified, log
from troth.policy import Policy
from troth.wire import tcg, tpm, x509

TPM_ROWS, LOGS = 33, 11


def test_the_manifest_has_the_rows_that_are_looked_at(vectors: Path) -> None:
    assert len(manifest(vectors, "tpm")) == TPM_ROWS


def test_every_log_replays_in_every_bank(vectors: Path) -> None:
    folder = vectors / "tpm" / "eventlog"
    expected = json.loads((folder / "expected-pcrs.json").read_bytes())
    assert len(expected) == LOGS
    for name, banks in expected.items():
        replayed = log.banks((folder / name).read_bytes())
        for bank, registers in banks.items():
            for index, value in registers.items():
                assert replayed[bank].registers[f"pcr{index}"].hex() == value, (name, bank, index)
    rows = [row for row in manifest(vectors, "tpm") if row.startswith("eventlog/")]
    logs = [row for row in rows if not row.endswith(".json")]
    assert len(logs) == 17
    for row in logs:
        for replay in log.banks((vectors / "tpm" / row).read_bytes()).values():
            # None of the real logs contradicts itself.
            assert not [e for e in replay.events if e.binding == "mismatch"], row


@pytest.mark.parametrize(
    ("name", "secure"),
    [
        ("cos-101-amd-sev.bin", True),
        ("rhel8-uefi.bin", True),
        ("debian-10.bin", True),
        ("ubuntu-2104-no-secure-boot.bin", False),
        ("glinux-alex.bin", False),
    ],
)
def test_what_logs_say_of_secure_boot(vectors: Path, name: str, secure: bool) -> None:
    data = (vectors / "tpm" / "eventlog" / name).read_bytes()
    for replay in log.banks(data).values():
        events, covers = log.said(replay)
        assert events["secure_boot"] == ("on" if secure else "off")
        # Real firmware's register is variables through and through.
        assert set(covers["pcr7"]) == set(events)
        assert {"uefi_pk", "uefi_kek", "uefi_db", "uefi_authorities"} <= set(events)


def test_edges_of_real_logs(vectors: Path) -> None:
    folder = vectors / "tpm" / "eventlog" / "go-attestation"
    short = tcg.read_any((folder / "short_no_action_eventlog").read_bytes())
    assert [(e.type, e.index) for e in short.events] == [(tcg.EV_NO_ACTION, 0)]
    (replayed,) = log.banks((folder / "short_no_action_eventlog").read_bytes()).values()
    assert replayed.registers["pcr0"] == bytes(19) + b"\3"  # the locality alone
    windows = tcg.read_any((folder / "option_rom_eventlog").read_bytes())
    assert (windows.events[-1].index, windows.padding) == (0xFFFFFFFF, 0)


def test_google_machine_of_2021(vectors: Path) -> None:
    folder = vectors / "tpm" / "gce-cos-85"
    data = (folder / "attestation.pb").read_bytes()
    found = detect(data)
    assert found is not None
    platform, bare, framing = found
    assert platform is PLATFORM
    assert framing == "attestation of go-tpm-tools; also quoted: sha1, sha384"
    held = authorities_at_hand(vectors)
    genuine, document = judged(bare, held)
    assert outcomes(genuine, Outcome.PASSED) == {code.id for code in PLATFORM.required}
    assert genuine.root_class is RootClass.VENDOR
    assert genuine.tcb is not None
    assert genuine.tcb.findings[0].part == "google"
    claims = PLATFORM.claims(document, genuine.tcb)
    assert (claims.nonce, claims.debug) == (None, False)
    assert claims.identity == tuple(f"pcr{index}" for index in range(11))
    event_log = PLATFORM.log_in(data)
    assert event_log == (folder / "eventlog.bin").read_bytes()
    assert PLATFORM.replay is not None
    replayed = PLATFORM.replay(claims, event_log, {"pcr10"})
    assert {check.outcome for check in replayed.checks} == {Outcome.PASSED}
    assert replayed.events["secure_boot"] == "on"
    assert set(replayed.covers["pcr7"]) == set(replayed.events)
    # IMA's register is in no boot log.
    replayed = PLATFORM.replay(claims, event_log, ())
    opened = [c.subject for c in replayed.checks if c.outcome is Outcome.UNDECIDED]
    assert opened == ["pcr10"]


def test_all_three_quotes_of_that_machine(vectors: Path) -> None:
    folder = vectors / "tpm" / "gce-cos-85"
    held = authorities_at_hand(vectors)
    three = carrier.attestation((folder / "attestation.pb").read_bytes())
    rows = {row["bank"]: row for row in json.loads((folder / "quotes.json").read_bytes())}
    assert {tpm.BANKS[bank] for bank in three} == rows.keys()
    for bank, data in three.items():
        genuine, document = judged(data, held)
        assert outcomes(genuine, Outcome.FAILED) == outcomes(genuine, Outcome.UNDECIDED) == set()
        row = rows[tpm.BANKS[bank]]
        assert document.attest.data.hex() == row["attest"]
        assert {str(i): v.hex() for i, v in document.pcrs.items()} == row["pcrs"]
        claims = PLATFORM.claims(document)
        assert PLATFORM.replay is not None
        replayed = PLATFORM.replay(claims, (folder / "eventlog.bin").read_bytes(), {"pcr10"})
        assert {check.outcome for check in replayed.checks} == {Outcome.PASSED}
    public = tpm.public((folder / "ak.tpmt_public").read_bytes())
    certificate = x509.read((folder / "ak_cert.der").read_bytes())
    assert tpm.spki(public) == certificate.key


def accepting(data: bytes, **more: object) -> Policy:
    claims = PLATFORM.claims(PLATFORM.parse(data))
    pinned = {name: frozenset({claims.registers[name]}) for name in claims.identity}
    return Policy(name="pinned", registers={"tpm": pinned}, **more)  # type: ignore[arg-type]


def appraised(data: bytes, held: Collateral, policy: Policy, **more: object) -> Report:
    return troth.appraise(data, policy=policy, at=AT, collateral=held, **more)  # type: ignore[arg-type]


def test_the_whole_verdict_on_that_machine(vectors: Path) -> None:
    data = (vectors / "tpm" / "gce-cos-85" / "attestation.pb").read_bytes()
    found = PLATFORM.unwrap(data)
    assert found is not None
    report = appraised(data, authorities_at_hand(vectors), accepting(found[0]))
    assert failing(report) == set()
    assert still_open(report) == {"R101"}  # nobody drew a nonce
    assert report.verdict is Verdict.UNDECIDED
    report = appraised(data, Collateral(), accepting(found[0]))
    assert {"G101", "G102", "G103", "R201"} <= still_open(report)


def test_trustees_quote_whose_key_nobody_vouches_for(vectors: Path) -> None:
    data = (vectors / "tpm" / "trustee-tpm_evidence.json").read_bytes()
    found = detect(data)
    assert found is not None
    assert found[0] is PLATFORM
    genuine, document = judged(found[1], authorities_at_hand(vectors))
    assert outcomes(genuine, Outcome.PASSED) == SOUND
    # Nothing was measured into this TPM.
    assert outcomes(genuine, Outcome.UNDECIDED) == OPEN | {"M211"}
    claims = PLATFORM.claims(document)
    assert (claims.identity, len(claims.nonce or b"")) == ((), 64)


def test_windows_quote_of_the_sha1_bank_is_refused(vectors: Path) -> None:
    name = "eventlog/go-attestation/windows_gcp_shielded_vm.json"
    data = (vectors / "tpm" / name).read_bytes()
    found = detect(data)
    assert found is not None
    genuine, document = judged(found[1], authorities_at_hand(vectors))
    assert outcomes(genuine, Outcome.FAILED) == {"G105", "G201"}  # signed over SHA-1
    event_log = PLATFORM.log_in(data)
    assert event_log is not None
    assert PLATFORM.replay is not None
    replayed = PLATFORM.replay(PLATFORM.claims(document), event_log, ())
    assert {check.outcome for check in replayed.checks} == {Outcome.PASSED}
    assert replayed.events["secure_boot"] == "on"


def test_titans_forms_are_not_read(vectors: Path) -> None:
    for file in ("titan_quote_prod.pb", "titan_dice_cert_chain_dev.bin"):
        data = (vectors / "tpm" / "titan" / file).read_bytes()
        report = troth.appraise(data, policy=Policy(name="none"), at=AT)
        assert report.verdict is Verdict.MALFORMED


def chain_of(
    leaf: bytes, held: Collateral, at: datetime = AT
) -> tuple[authorities.Path, list[str]]:
    """The path above a real certificate, for which there is no quote."""

    class Shown:
        certificates = (x509.read(leaf),)

    path = authorities.path_of(Shown(), held, PLATFORM.roots())  # type: ignore[arg-type]
    assert path is not None
    assert all(c.not_before <= at <= c.not_after for c in path.certificates)
    return path, authorities.problems(path)


def test_certificates_of_attestation_keys(vectors: Path) -> None:
    held = authorities_at_hand(vectors)
    google = ders((vectors / "tpm" / "gce-ak-certs.txt").read_bytes())[0]
    path, wrong = chain_of(google, held)
    assert (wrong, len(path.certificates)) == ([], 3)
    instance = certified.instance(path.certificates[0])
    assert instance is not None
    assert (instance.zone, instance.production) == ("us-west1-b", True)
    padded = ders((vectors / "azure" / "ak-certs.txt").read_bytes())
    assert [len(der) for der in padded] == [1009, 4096]
    with pytest.raises(Malformed):
        x509.read(padded[1])
    for der in padded:
        path, wrong = chain_of(carrier.trimmed(der), held)
        assert (wrong, path.root is not None) == ([], True)
        assert certified.is_azures(path.certificates[0])
        assert not certified.is_azures(x509.read(google))


def test_every_authority_is_of_a_pinned_root(vectors: Path) -> None:
    pinned = {root.key_sha256 for root in PLATFORM.roots()}
    found = set()
    for item in authorities_at_hand(vectors).items:
        certificate = x509.read(ders(item.data)[0])
        if certificate.issuer == certificate.subject:
            found.add(authorities.issued.key_sha256(certificate))
    assert found == pinned
