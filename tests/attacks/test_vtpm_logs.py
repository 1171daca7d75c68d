"""A boot log whose variables only look like those that a policy names."""

import pytest
from tests.platforms.tpm import made

from troth.platforms.tpm import eventlog, log
from troth.platforms.tpm.simulate import variable
from troth.wire import tcg, tpm


@pytest.mark.parametrize(("name", "stands"), [("KEK", True), ("\u212aEK", False)])
def test_a_variable_whose_name_turns_into_anothers(name: str, *, stands: bool) -> None:
    """The Kelvin sign's small letter is k; what a policy pins as the KEK would be another variable."""
    machine = made.booted()
    machine.start()
    kind = tcg.EV_EFI_VARIABLE_DRIVER_CONFIG
    for one, data in (("SecureBoot", b"\1"), (name, b"a key")):
        machine.measure(7, kind, variable(one, data))
    machine.measure(7, tcg.EV_SEPARATOR, bytes(4))
    events, covers = log.said(eventlog.replay(tcg.read_any(machine.log()), tpm.SHA256))
    assert events["secure_boot"] == "on"
    assert ("uefi_kek" in events) is stands
    assert bool(covers) is stands
