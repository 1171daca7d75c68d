"""Event logs for `troth inspect`: every event in words. Never a verdict."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from troth.errors import Malformed

if TYPE_CHECKING:
    from troth.platforms._tcg import Replay


def document(data: bytes, *, registers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What an event log, or the ACPI table of one, says.

    Args:
        data: the file.
        registers: those of the quote beside it, in hex, so that it can be told which the log gives.

    Raises:
        Malformed: it is neither.
    """
    from troth.platforms.tdx import log
    from troth.wire import ccel

    if data.startswith(b"CCEL"):
        table = ccel.read(data)
        return {
            "kind": "ACPI table of an event log",
            "type": {1: "SEV", 2: "TDX"}.get(table.cc_type, str(table.cc_type)),
            "subtype": table.cc_subtype,
            "log_area_address": hex(table.log_area_address),
            "log_area_size": table.log_area_size,
            "oem": table.oem,
        }
    registers = registers or {}
    if "pcr0" in registers or log.of_tpm(data):
        return _of_tpm(data, registers)
    form, replay = log.read(data, rtmr3=registers.get("rtmr3", ""))
    found = _shown(form, replay, registers)
    try:
        found["says"], _ = log.said(form, replay)
    except Malformed as error:
        found["trouble"] = str(error)
    return found


def _of_tpm(data: bytes, registers: Mapping[str, str]) -> dict[str, Any]:
    """A log of a TPM's, in the bank of the quote beside it, or the best that it has."""
    from troth.platforms.tpm import log

    banks = log.banks(data)
    sizes = {2 * len(replay.registers["pcr0"]): name for name, replay in banks.items()}
    beside = sizes.get(len(registers.get("pcr0", "")))
    bank = beside or next(name for name in ("sha256", "sha384", "sha512", "sha1") if name in banks)
    found = _shown(f"TCG, bank {bank} of {', '.join(banks)}", banks[bank], registers)
    try:
        found["says"], _ = log.said(banks[bank])
    except Malformed as error:
        found["trouble"] = str(error)
    return found


def _shown(form: str, replay: "Replay", registers: Mapping[str, str]) -> dict[str, Any]:
    from troth.platforms.tdx import events

    return {
        "kind": "event log",
        "form": form,
        "events": {name: text for name, text in events.lines(replay) if name.startswith("event ")},
        "replayed": {
            name: value.hex() + _beside(registers.get(name), value.hex())
            for name, value in replay.registers.items()
        },
    }


def beside(data: bytes, *, registers: Mapping[str, str]) -> dict[str, Any]:
    """The log beside a quote; one that cannot be read does not hide the quote."""
    try:
        return document(data, registers=registers)
    except Malformed as error:
        return {"kind": "event log", "trouble": str(error)}


def _beside(presented: str | None, replayed: str) -> str:
    if presented is None:
        return ""
    return "  as in the quote" if presented == replayed else f"  NOT as in the quote: {presented}"
