"""Boot logs beside quotes: replayed from data in every bank, and each way of lying in one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.tpm import made
from tests.platforms.tpm.made import NONCE, appraised, failing, still_open

import troth
from troth.errors import Malformed
from troth.model.check import Outcome
from troth.model.report import Verdict
from troth.platforms.tpm import PLATFORM, eventlog, log
from troth.platforms.tpm.simulate import SimulatedTpm, variable
from troth.policy.requirements import Requirements
from troth.wire import tcg, tpm


def evidence(machine: SimulatedTpm, bank: int = tpm.SHA256) -> bytes:
    return machine.evidence(NONCE, bank=bank, certificates=[made.certificate()])


def replayed(machine: SimulatedTpm, data: bytes, *pinned: str, bank: int = tpm.SHA256):
    claims = PLATFORM.claims(PLATFORM.parse(evidence(machine, bank)))
    assert PLATFORM.replay is not None
    return PLATFORM.replay(claims, data, pinned)


def outcomes(found, outcome: Outcome) -> set[tuple[str, str]]:
    return {(check.code.id, check.subject) for check in found.checks if check.outcome is outcome}


@pytest.mark.parametrize("bank", [tpm.SHA1, tpm.SHA256, tpm.SHA384])
@pytest.mark.parametrize("secure", [True, False])
def test_a_log_replays_in_every_bank(bank: int, secure: bool) -> None:
    machine = made.booted(secure=secure)
    found = replayed(machine, machine.log(), bank=bank)
    assert {check.outcome for check in found.checks} == {Outcome.PASSED}
    assert found.events["secure_boot"] == ("on" if secure else "off")
    for name, replay in log.banks(machine.log()).items():
        number = next(n for n, known in tpm.BANKS.items() if known == name)
        assert list(replay.registers.values()) == machine.registers[number]


def test_a_policy_that_asks_the_log() -> None:
    machine = made.booted()
    data = evidence(machine)
    wanted = Requirements(events={"secure_boot": frozenset({"on"})})
    policy = made.policy(data, requirements={"tpm": wanted})
    assert appraised(data, pinned=policy, event_log=machine.log()).verdict is Verdict.ACCEPTED
    assert still_open(appraised(data, pinned=policy)) == {"M303"}
    insecure = made.booted(secure=False)
    policy = made.policy(evidence(insecure), requirements={"tpm": wanted})
    report = appraised(evidence(insecure), pinned=policy, event_log=insecure.log())
    assert failing(report) == {"M304"}


def test_the_startup_locality_is_where_pcr0_starts() -> None:
    for locality in (3, 4):
        machine = made.booted()
        machine.start()
        machine.registers = {
            bank: [locality.to_bytes(len(values[0]), "big"), *values[1:]]
            for bank, values in machine.registers.items()
        }
        machine.measure(0, tcg.EV_NO_ACTION, b"StartupLocality\0" + bytes([locality]))
        machine.boot()
        found = replayed(machine, machine.log())
        assert {check.outcome for check in found.checks} == {Outcome.PASSED}


@pytest.mark.parametrize(
    "said", [b"StartupLocality\0", b"StartupLocality\0\1", b"StartupLocality\0\3\0"]
)
def test_a_locality_that_is_none(said: bytes) -> None:
    machine = made.booted()
    machine.start()
    machine.measure(0, tcg.EV_NO_ACTION, said)
    with pytest.raises(Malformed):
        log.banks(machine.log())


def test_a_locality_twice_or_too_late() -> None:
    locality = b"StartupLocality\0\3"
    for before, after in ((2, 0), (1, 1), (0, 1)):
        machine = made.booted()
        machine.start()
        for _ in range(before):
            machine.measure(0, tcg.EV_NO_ACTION, locality)
        machine.boot()
        for _ in range(after):
            machine.measure(0, tcg.EV_NO_ACTION, locality)
        with pytest.raises(Malformed):
            log.banks(machine.log())


def test_a_locality_behind_events_of_other_registers() -> None:
    for index, sound in ((7, True), (0, False)):
        machine = made.booted()
        machine.start()
        machine.measure(index, tcg.EV_SEPARATOR, bytes(4))
        machine.measure(0, tcg.EV_NO_ACTION, b"StartupLocality\0\3")
        if sound:
            assert log.banks(machine.log())["sha256"].registers["pcr0"] == bytes(31) + b"\3"
        else:
            with pytest.raises(Malformed, match="locality"):
                log.banks(machine.log())


def test_registers_that_start_at_ones() -> None:
    machine = made.booted()
    machine.measure(17, tcg.EV_ACTION, b"a late launch")
    found = replayed(machine, machine.log())
    assert ("M301", "pcr17") in outcomes(found, Outcome.PASSED)
    assert "pcr17" in PLATFORM.claims(PLATFORM.parse(evidence(machine))).identity


def test_a_payload_changed_with_its_digest_kept() -> None:
    machine = made.booted()
    good = machine.log()
    for old, new in (
        (b"quiet", b"debug"),
        (variable("SecureBoot", b"\1"), variable("SecureBoot", b"\0")),
        ("simulated".encode("utf-16-le"), "simulatex".encode("utf-16-le")),
    ):
        assert old in good
        found = replayed(machine, good.replace(old, new))
        assert any(check.code.id == "M302" for check in found.checks if check.outcome == "failed")
        assert found.events == {}


def test_a_label_changed_is_only_a_label() -> None:
    """What names a file is in no digest: the log says so, and nothing is told of it."""
    machine = made.booted()
    found = replayed(machine, machine.log().replace(b"/boot/vmlinuz", b"/boot/another"))
    assert {check.outcome for check in found.checks} == {Outcome.PASSED}
    assert found.events["secure_boot"] == "on"


def test_an_event_left_out_added_or_moved() -> None:
    machine = made.booted()
    records = machine.events
    for changed in (records[:-1], [*records, records[0]], [records[1], records[0], *records[2:]]):
        machine.events = list(changed)
        found = replayed(machine, machine.log())
        # The only event of a register left out says nothing of it; all else contradicts.
        assert outcomes(found, Outcome.FAILED) | outcomes(found, Outcome.UNDECIDED)
    machine.events = records


def test_a_register_that_the_system_extended_behind_the_log() -> None:
    machine = made.booted()
    machine.extend(10, b"IMA")
    found = replayed(machine, machine.log())
    assert outcomes(found, Outcome.UNDECIDED) == {("M301", "pcr10")}
    assert outcomes(replayed(machine, machine.log(), "pcr10"), Outcome.UNDECIDED) == set()
    machine.extend(9, b"something that nobody logged")
    assert ("M301", "pcr9") in outcomes(replayed(machine, machine.log(), "pcr9"), Outcome.FAILED)


def test_secure_boot_said_twice_or_behind_the_separator_is_not_said() -> None:
    for early in (True, False):
        machine = made.booted()
        machine.start()
        if early:
            machine.measure(7, tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, variable("SecureBoot", b"\1"))
            machine.measure(7, tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, variable("SecureBoot", b"\1"))
        machine.measure(7, tcg.EV_SEPARATOR, bytes(4))
        machine.measure(7, tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, variable("SecureBoot", b"\1"))
        found = replayed(machine, machine.log())
        assert (found.events, found.covers) == ({}, {})


def test_a_variable_that_is_none() -> None:
    machine = made.booted()
    machine.start()
    machine.measure(7, tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, b"no variable")
    machine.measure(7, tcg.EV_SEPARATOR, bytes(4))
    found = replayed(machine, machine.log())
    assert outcomes(found, Outcome.FAILED) == {("M305", "events")}
    assert ("M301", "pcr7") in outcomes(found, Outcome.PASSED)


def test_what_is_no_log_of_this_bank() -> None:
    machine = made.booted()
    old = b"".join(
        index.to_bytes(4, "little") + kind.to_bytes(4, "little") + bytes(20) + bytes(4)
        for index, kind in ((0, 8), (7, 4))
    )
    assert set(log.banks(old)) == {"sha1"}
    for data in (b"", b"no log", old, machine.log()[:-1]):
        found = replayed(machine, data)
        assert outcomes(found, Outcome.FAILED) == {("M301", "event log")}
    with pytest.raises(Malformed, match="sha256"):
        eventlog.replay(tcg.read_any(old), tpm.SHA256)


def test_a_register_that_no_tpm_has() -> None:
    machine = made.booted()
    body = machine.log()
    body += machine.events[-1].replace((9).to_bytes(4, "little"), (24).to_bytes(4, "little"), 1)
    with pytest.raises(Malformed, match="measurement index"):
        log.banks(body)


def test_what_older_firmware_hashes_behind_a_variable() -> None:
    machine = made.booted()
    whole = variable("db", b"a certificate", vendor=bytes(16))
    for payload, over, sound in (
        (whole, whole, True),
        (whole + bytes(5) + b"\xaf", whole + bytes(5), True),
        (whole + bytes(5) + b"\xaf", whole, False),
        (whole + b"\1" + bytes(4) + b"\xaf", whole + b"\1" + bytes(4), False),
        (whole + bytes(6), whole + bytes(4), False),
        (b"short", b"shor", False),
    ):
        machine.start()
        machine.measure(7, tcg.EV_EFI_VARIABLE_AUTHORITY, payload, over=over)
        found = replayed(machine, machine.log())
        assert (outcomes(found, Outcome.FAILED) == set()) is sound, payload


@given(data=st.binary(max_size=300))
def test_any_bytes_are_no_believed_log(data: bytes) -> None:
    machine = made.booted()
    found = replayed(machine, data)
    assert outcomes(found, Outcome.FAILED) | outcomes(found, Outcome.UNDECIDED)


def firmware(machine: SimulatedTpm, *, dbx: bytes, authorities: tuple[bytes, ...] = ()) -> None:
    """PCR 7 as firmware with Secure Boot leaves it."""
    machine.start()
    machine.boot()
    values = machine.registers
    machine.registers = {
        bank: [*one[:7], bytes(len(one[7])), *one[8:]] for bank, one in values.items()
    }
    machine.events = [event for event in machine.events if event[0] != 7]
    kind = tcg.EV_EFI_VARIABLE_DRIVER_CONFIG
    for name, data in (("SecureBoot", b"\1"), ("PK", b"pk"), ("db", b"db"), ("dbx", dbx)):
        machine.measure(7, kind, variable(name, data))
    machine.measure(7, tcg.EV_SEPARATOR, bytes(4))
    for data in authorities:
        machine.measure(7, tcg.EV_EFI_VARIABLE_AUTHORITY, variable("db", data))


NAMES = ("secure_boot", "uefi_pk", "uefi_db", "uefi_dbx", "uefi_authorities")


def test_pinned_variables_stand_for_pcr7() -> None:
    machine = made.booted()
    wanted: dict[str, frozenset[str]] = {}
    for dbx in (b"old", b"new"):
        firmware(machine, dbx=dbx, authorities=(b"a certificate",))
        found = replayed(machine, machine.log())
        assert set(found.covers["pcr7"]) == set(NAMES)
        for name, value in found.events.items():
            wanted[name] = wanted.get(name, frozenset()) | {value}
    assert {name: len(values) for name, values in wanted.items()} == {
        **dict.fromkeys(NAMES, 1),
        "uefi_dbx": 2,
    }
    data = evidence(machine)
    whole = made.policy(data)
    left = {name: v for name, v in whole.registers["tpm"].items() if name != "pcr7"}

    def asked(events: dict[str, frozenset[str]]) -> troth.Policy:
        return replace(
            whole, registers={"tpm": left}, requirements={"tpm": Requirements(events=events)}
        )

    good = appraised(data, pinned=asked(wanted), event_log=machine.log())
    assert good.verdict is Verdict.ACCEPTED, failing(good) | still_open(good)
    for name in NAMES:
        fewer = {key: value for key, value in wanted.items() if key != name}
        report = appraised(data, pinned=asked(fewer), event_log=machine.log())
        assert still_open(report) == {"M203"}, name
    for dbx, authorities in ((b"another", (b"a certificate",)), (b"new", ()), (b"new", (b"b",))):
        firmware(machine, dbx=dbx, authorities=authorities)
        report = appraised(evidence(machine), pinned=asked(wanted), event_log=machine.log())
        assert failing(report) == {"M304"}


def test_what_keeps_variables_from_standing_for_pcr7() -> None:
    machine = made.booted()
    kind = tcg.EV_EFI_VARIABLE_DRIVER_CONFIG

    def label() -> None:
        machine.measure(7, 0x8000_0008, b"a label", over=b"something")

    def twice() -> None:
        machine.measure(7, kind, variable("PK", b"again"))

    def unnamed() -> None:
        machine.measure(7, kind, variable("Pl\u00e4tz", b"no name of an event"))

    for wrong in (label, twice, unnamed):
        machine.start()
        machine.measure(7, kind, variable("SecureBoot", b"\1"))
        machine.measure(7, kind, variable("PK", b"pk"))
        wrong()
        machine.measure(7, tcg.EV_SEPARATOR, bytes(4))
        found = replayed(machine, machine.log())
        assert (dict(found.events), found.covers) == ({"secure_boot": "on"}, {}), wrong
    machine.start()
    machine.measure(7, kind, variable("SecureBoot", b"\1"))
    machine.measure(7, tcg.EV_SEPARATOR, bytes(4))
    label()
    assert replayed(machine, machine.log()).covers == {}
