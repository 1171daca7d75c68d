"""What comes of an event log that is given beside a quote: is it to be believed, and what does it then say?

A log is believed where it replays to the quote's registers; these are checked elsewhere. What it says is
told by name: `secure_boot`, and of a dstack guest each event that the system measured before it was ready.

Does not verify: a boot loader's command line. Which of its commands that is stands in no digest; pin RTMR2.
"""

import re
from collections.abc import Collection, Iterator
from typing import Final

from troth.errors import Malformed
from troth.model.check import failed
from troth.model.claims import Claims
from troth.model.codes import measurement as m
from troth.model.platform import Replayed
from troth.platforms.tdx import carrier, dstack, eventlog
from troth.platforms.tdx.eventlog import Replay
from troth.platforms.tdx.events import secure_boot
from troth.wire import tcg

CCEL: Final = "CCEL"
DSTACK: Final = "dstack"
_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_TEXTS: Final = frozenset({"storage-fs"})
_INSTANCE: Final = "instance-id"  # names one machine's disk, so no two guests share it


def looks_like(data: bytes) -> bool:
    """Whether these bytes begin as an event log does, or as the table that says where one is."""
    head = data[:16].lstrip()
    return head.startswith((b"[", b"CCEL")) or data[32:48] == b"Spec ID Event03\0"


def of_tpm(data: bytes) -> bool:
    """Whether this log is a TPM's: it has SHA-256 or SHA-1 digests, which TDX's has not."""
    if data[32:48] != b"Spec ID Event03\0":
        return False
    algorithms = tcg.read(data).spec_id.algorithms
    return tcg.SHA1 in algorithms or tcg.SHA256 in algorithms


def read(data: bytes, *, rtmr3: str = "") -> tuple[str, Replay]:
    """Reads a log in whichever form it has, and replays it.

    Args:
        data: a CCEL log area, a dstack log, or a dstack guest agent's answer with one.
        rtmr3: the register in the evidence, hex: it tells the version of events that do not.

    Returns:
        `CCEL` or `dstack`, and the replay.

    Raises:
        Malformed: it is none of these.
    """
    if data.startswith(b"CCEL"):
        raise Malformed(
            "is the ACPI table that says where the log is",
            field="event log",
            offset=0,
            fix="pass the log's data, which Linux has in /sys/firmware/acpi/tables/data/CCEL",
        )
    if not data[:16].lstrip().startswith((b"[", b"{")):
        return CCEL, eventlog.replay(tcg.read(data))
    found = carrier.open_answer(data)
    if found is not None:
        data = found.log or b""
    return DSTACK, _dstack(data, rtmr3)


def replay(claims: Claims, data: bytes, pinned: Collection[str]) -> Replayed:
    """The checks on a log, and what it says where it is to be believed.

    A register that the policy pins by value needs no events; where the log has some, they must fit.

    Args:
        claims: of the quote beside the log.
        data: the log.
        pinned: registers with an expected value.
    """
    try:
        form, log = read(data, rtmr3=claims.registers["rtmr3"])
    except Malformed as error:
        return Replayed(checks=(failed(m.M301, "event log", why=str(error)),))
    held = {e.register for e in log.events if e.binding is not eventlog.Binding.NOTHING}
    names = [name for name in eventlog.REGISTERS if name in held or name not in pinned]
    source = f"{form} event log"
    checks = eventlog.checks(log, claims.registers, names=names, source=source)
    wrong = {mismatch.register for mismatch in eventlog.compare(log, claims.registers)}
    if any(check.code is m.M302 and check.subject != "events" for check in checks):
        return Replayed(checks=checks)
    try:
        events, covers = said(form, log, [n for n in eventlog.REGISTERS if n not in wrong])
    except Malformed as error:
        return Replayed(checks=(*checks, failed(m.M305, "events", source=source, why=str(error))))
    return Replayed(checks=checks, events=events, covers=covers)


def said(
    form: str, log: Replay, registers: Collection[str] = eventlog.REGISTERS
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """What a log says, by name, and the names that may stand for a register.

    Args:
        form: as `read` gives it.
        log: the same.
        registers: those that are as the log has them; it is believed about no others.

    Raises:
        Malformed: it says something twice, or where it cannot be said.
    """
    words = dict(_firmware(log)) if "rtmr0" in registers else {}
    if form != DSTACK or "rtmr3" not in registers:
        return words, {}
    found = dstack.identity(log, rtmr3=log.registers["rtmr3"].hex())
    return _joined(words, found), _covers(found)


def _dstack(data: bytes, rtmr3: str) -> Replay:
    """Where events do not tell their version, it is the one that gives the register."""
    first: Replay | None = None
    try:
        first = dstack.replay(data)
        if first.registers["rtmr3"].hex() == rtmr3:
            return first
        second = dstack.replay(data, version=2)
    except Malformed:
        return first or dstack.replay(data, version=2)
    return second if second.registers["rtmr3"].hex() == rtmr3 else first


def _firmware(log: Replay) -> Iterator[tuple[str, str]]:
    on = secure_boot(log)
    if on is not None:
        yield "secure_boot", "on" if on else "off"


def _joined(words: dict[str, str], found: dstack.Identity) -> dict[str, str]:
    for name, value in found.values.items():
        for key, text in _named(name, value, found):
            if key in words:
                raise Malformed(f"says {key} in two ways", field="event log")
            words[key] = text
    return words


def _named(name: str, value: bytes, found: dstack.Identity) -> Iterator[tuple[str, str]]:
    """A system's event under the name by which policies pin it; none where it has no such name."""
    if name == "key-provider" and found.key_provider is not None:
        yield "key_provider", found.key_provider.name
        yield "key_provider_id", found.key_provider.id
    elif name in _TEXTS:
        if value.isascii() and value.decode("ascii").isprintable():
            yield name.replace("-", "_"), value.decode("ascii")
    elif _NAME.fullmatch(name):
        yield name.replace("-", "_"), value.hex()


def _covers(found: dstack.Identity) -> dict[str, tuple[str, ...]]:
    """RTMR3 is as good as pinned where all that the system measured is, but for the machine's own id.

    What comes behind `system-ready` is of the application, which `compose_hash` pins; a log that does
    not reach that mark, or says something that no policy can pin, stands for nothing.
    """
    if not found.ready or "compose-hash" not in found.values:
        return {}
    names: list[str] = []
    for name, value in found.values.items():
        keys = [key for key, _ in _named(name, value, found)]
        if not keys:
            return {}
        if name != _INSTANCE and not (name == "app-id" and found.app_id_is_derived):
            names += keys
    return {"rtmr3": tuple(names)}
