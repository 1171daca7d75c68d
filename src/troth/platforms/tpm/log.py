"""What comes of an event log that is given beside a quote: is it to be believed, and what does it then say?

A log is believed where it replays to the quote's registers; these are checked elsewhere. What is told of
it: `secure_boot`, out of PCR 7. No events stand for a register: what the log says of programs, kernels
and their parameters is true only as far as `_tcg` says, and much of it is a label, so registers are
pinned by their values.

Does not verify: what the running system measured behind the log's end (PCR 10 with IMA): a register that
is set and of which the log holds nothing stays open unless the policy pins it.
"""

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
from troth.wire import tcg, tpm

_SOURCE: Final = "TCG event log"


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
    try:
        events = {} if "pcr7" in wrong else said(log)
    except Malformed as error:
        return Replayed(checks=(*checks, failed(m.M305, "events", source=_SOURCE, why=str(error))))
    return Replayed(checks=checks, events=events)


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


def said(log: Replay) -> dict[str, str]:
    """What a log says, by name; as true as its replay to PCR 7.

    Raises:
        Malformed: a variable's payload hashes to its digest and yet is none.
    """
    on = _tcg.secure_boot(log, "pcr7")
    return {} if on is None else {"secure_boot": "on" if on else "off"}
