"""Policies out of Flashbots' list of measurements: one for each entry, and none that takes anything.

The list is JSON: `{measurement_id, attestation_type, measurements}`, where `measurements` has for each
of `"0"` to `"4"` (MRTD, RTMR0 to RTMR3) the allowed values as `{"expected_any": [hex]}`. There an entry
without measurements admits every guest of its kind; here it is refused. Entries do not mix: one policy of
all would take the firmware of one beside the application of another.
"""

from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.policy.document import Policy
from troth.wire import json
from troth.wire.text import from_hex

KINDS: Final = frozenset({"dcap-tdx", "qemu-tdx", "gcp-tdx"})
_REGISTERS: Final = {"0": "mrtd", "1": "rtmr0", "2": "rtmr1", "3": "rtmr2", "4": "rtmr3"}
_ENTRY: Final = frozenset({"measurement_id", "attestation_type", "measurements"})
_MAX: Final = 1024 * 1024
_MAX_ENTRIES: Final = 1024
_FIELD: Final = "measurements"


def policies(data: bytes) -> tuple[Policy, ...]:
    """One policy for each entry, named by its `measurement_id`.

    Raises:
        Malformed: not such a list.
        Misuse: an entry expects nothing, or is of a kind that is not read here.
    """
    entries = json.parse(data, field=_FIELD, limit=_MAX)
    if not isinstance(entries, list) or not 1 <= len(entries) <= _MAX_ENTRIES:
        raise Malformed(f"is no list of 1 to {_MAX_ENTRIES} entries", field=_FIELD)
    found = tuple(map(_policy, entries))
    if len({policy.name for policy in found}) != len(found):
        raise Malformed("has a measurement_id twice", field=_FIELD)
    return found


def _policy(entry: Any) -> Policy:
    if (
        not isinstance(entry, dict)
        or not {"measurement_id", "attestation_type"} <= set(entry) <= _ENTRY
    ):
        raise Malformed("has missing or unknown keys", field="entry")
    name, kind = entry["measurement_id"], entry["attestation_type"]
    if not isinstance(name, str) or not name or not isinstance(kind, str):
        raise Malformed("has a name or a kind that is no text", field="entry")
    if kind not in KINDS:
        raise Misuse(
            f"{name[:80]!r} is of the kind {kind[:40]!r}, for which there is no policy here",
            fix=f"keep entries of {', '.join(sorted(KINDS))}",
        )
    wanted = entry.get("measurements") or {}
    if not isinstance(wanted, dict):
        raise Malformed("is no object", field=f"{name[:80]}'s measurements")
    if not wanted:
        raise Misuse(
            f"{name[:80]!r} has no measurements, and would take any guest of its kind",
            fix="give the entry the values of the image that you mean",
        )
    return Policy(
        name=name, registers={"tdx": dict(_register(name, *item) for item in wanted.items())}
    )


def _register(name: str, index: str, allowed: Any) -> tuple[str, frozenset[str]]:
    field = f"{name[:80]}'s measurement {index[:8]!r}"
    if index not in _REGISTERS:
        raise Malformed("is none of '0' to '4'", field=field)
    if not isinstance(allowed, dict) or set(allowed) != {"expected_any"}:
        raise Malformed("is not an object of 'expected_any'", field=field)
    values = allowed["expected_any"]
    if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
        raise Malformed("is no list of values in hex", field=field)
    return _REGISTERS[index], frozenset(from_hex(v, field=field).hex() for v in values)
