"""What comes of an event log that is given beside a quote: is it to be believed, and what does it then say?

A log is believed where it replays to the quote's registers; these are checked elsewhere. What is told of
it is what PCR 7 holds: `secure_boot`, and where the whole register is variables that were hashed again,
`uefi_…` for each one (SHA-256 over vendor and value; `uefi_pk`, `uefi_kek`, `uefi_db`, `uefi_dbx`) and
`uefi_authorities` for those that vouched for what was booted. Together these may stand for PCR 7. No
events stand for any other register: what a log says of programs, kernels and their parameters is often
a label, so those are pinned by their values.

Does not verify: what the running system measured behind the log's end (PCR 10 with IMA): a register that
is set and of which the log holds nothing stays open unless the policy pins it.
"""

import hashlib
import re
from collections.abc import Collection
from typing import Final

from troth.errors import Malformed
from troth.model.check import failed
from troth.model.claims import Claims
from troth.model.codes import measurement as m
from troth.model.platform import Replayed
from troth.platforms import _tcg
from troth.platforms._tcg import Binding, Replay
from troth.platforms.tpm import eventlog
from troth.wire import efi, tcg, tpm

_SOURCE: Final = "TCG event log"
_REGISTER: Final = "pcr7"
_NAME: Final = re.compile(r"uefi_[a-z0-9_]{1,32}")


def replay(claims: Claims, data: bytes, pinned: Collection[str]) -> Replayed:
    """The checks on a log, and what it says where it is to be believed.

    Asked are the registers of which the log holds events, and those that identify code and are not
    pinned by value.

    Args:
        claims: of the quote beside the log; its numbers name the bank.
        data: the log, in either form.
        pinned: registers with an expected value.
    """
    try:
        log = eventlog.replay(tcg.read_any(data), claims.numbers["bank"])
    except Malformed as error:
        return Replayed(checks=(failed(m.M301, "event log", why=str(error)),))
    held = {e.register for e in log.events if e.binding is not Binding.NOTHING}
    asked = held | set(claims.identity).difference(pinned)
    names = [name for name in eventlog.REGISTERS if name in asked]
    checks = _tcg.checks(log, claims.registers, names=names, source=_SOURCE)
    if any(check.code is m.M302 and check.subject != "events" for check in checks):
        return Replayed(checks=checks)
    wrong = {mismatch.register for mismatch in _tcg.compare(log, claims.registers)}
    if _REGISTER in wrong:
        return Replayed(checks=checks)
    try:
        events, covers = said(log)
    except Malformed as error:
        return Replayed(checks=(*checks, failed(m.M305, "events", source=_SOURCE, why=str(error))))
    return Replayed(checks=checks, events=events, covers=covers)


def banks(data: bytes) -> dict[str, Replay]:
    """A log replayed in each bank that a TPM has, by the bank's name; for people and for tests.

    Raises:
        Malformed: it is no log.
    """
    log = tcg.read_any(data)
    return {
        tpm.BANKS[number]: eventlog.replay(log, number)
        for number in log.spec_id.algorithms
        if number in tpm.BANKS
    }


def said(log: Replay) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """What a log says, by name, and the names that may stand for PCR 7; as true as its replay to that.

    Raises:
        Malformed: a variable's payload hashes to its digest and yet is none.
    """
    on = _tcg.secure_boot(log, _REGISTER)
    if on is None:
        return {}, {}
    events = {"secure_boot": "on" if on else "off"}
    variables = _variables(log)
    if variables is None:
        return events, {}
    events |= variables
    return events, {_REGISTER: tuple(events)}


def _variables(log: Replay) -> dict[str, str] | None:
    """What PCR 7 holds beside Secure Boot; None unless it holds one separator, and variables whole.

    Firmware measures its settings before the separator, and behind it each authority that vouched for a
    program. The type of an event is in no digest, so that place tells which it is.
    """
    separator = _tcg.digest(log.algorithm, bytes(4))
    found: dict[str, str] = {}
    authorities = hashlib.sha256()
    behind = False
    for event in _tcg.extending(log, _REGISTER):
        if event.digest == separator and not behind:
            behind = True
        elif event.binding is not Binding.PAYLOAD:
            return None
        elif behind:
            authorities.update(len(event.measured).to_bytes(8, "big") + event.measured)
        else:
            variable = efi.variable(event.measured)
            name = f"uefi_{variable.name.lower()}"
            # Not every letter that is small in ASCII was one before: the Kelvin sign becomes a k.
            if name in found or not variable.name.isascii() or not _NAME.fullmatch(name):
                return None
            found[name] = hashlib.sha256(variable.vendor.bytes_le + variable.data).hexdigest()
    found.pop("uefi_secureboot", None)  # `secure_boot` says it
    return found | {"uefi_authorities": authorities.hexdigest()}
