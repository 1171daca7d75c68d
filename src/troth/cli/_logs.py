"""Event logs for `troth inspect`: every event in words. Never a verdict."""

from collections.abc import Mapping
from typing import Any

from troth.errors import Malformed


def document(data: bytes, *, registers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What an event log, or the ACPI table of one, says.

    Args:
        data: the file.
        registers: those of the quote beside it, in hex, so that it can be told which the log gives.

    Raises:
        Malformed: it is neither.
    """
    from troth.platforms.tdx import events, log
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
    form, replay = log.read(data, rtmr3=registers.get("rtmr3", ""))
    found: dict[str, Any] = {
        "kind": "event log",
        "form": form,
        "events": {name: text for name, text in events.lines(replay) if name.startswith("event ")},
        "replayed": {
            name: value.hex() + _beside(registers.get(name), value.hex())
            for name, value in replay.registers.items()
        },
    }
    try:
        found["says"], _ = log.said(form, replay)
    except Malformed as error:
        found["trouble"] = str(error)
    return found


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
