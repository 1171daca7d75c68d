"""Signed lists of machines that somebody has seen in a guarded place («proof of cloud»).

JSON lines: a head, one line for each machine, and a line for each signature over all bytes before the
first of these. Names of machines are those of the Proof of Cloud charter (draft 0.1, section 5).

Does not verify: that the signer looked.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from types import MappingProxyType
from typing import Any, Final

from troth.crypto.signature import ed25519_raw
from troth.errors import Malformed, Misuse
from troth.policy.document import Policy
from troth.policy.names import MACHINE_BYTES
from troth.wire import json

SCHEMA: Final = "troth/machines/1"
_MAX_BYTES: Final = 16 * 1024 * 1024
_PREFIXES: Final = {
    "intel:sgx:ppid:": "sgx",
    "intel:tdx:ppid:": "tdx",
    "amd:snp:chipid:": "snp",
}
_LEVELS: Final = range(1, 4)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineList:
    """Machines that the holders of the asked keys have all signed for.

    Attributes:
        name: of the list, for reports.
        expires: the last day (UTC) on which it counts.
        machines: platform to ids in lower-case hex.
    """

    name: str
    expires: date
    machines: Mapping[str, frozenset[str]]


def read(
    data: bytes, *, keys: Collection[bytes], level: int = 1, field: str = "list of machines"
) -> MachineList:
    """Reads a list and checks that each of these keys has signed it.

    Args:
        data: the file.
        keys: Ed25519 public keys of 32 bytes, at least one; all of them must have signed.
        level: the lowest level of the charter's three at which a machine counts.
        field: the file's name, for errors.

    Raises:
        Misuse: no key, one that is none, or no such level.
        Malformed: it is no such list, or one of the keys has not signed it.
    """
    if not keys or level not in _LEVELS:
        raise Misuse("a list of machines counts by a key, and at a level from 1 to 3")
    if len(data) > _MAX_BYTES or not data.endswith(b"\n"):
        raise Malformed(f"is larger than {_MAX_BYTES} bytes, or ends amid a line", field=field)
    head, *rest = _lines(data, field)
    entries = [item for _, item in rest if "signature" not in item]
    signatures = rest[len(entries) :]
    if not signatures or any("signature" not in item for _, item in signatures):
        raise Malformed("should end with its signatures, and have at least one", field=field)
    _signed(data[: signatures[0][0]], [item for _, item in signatures], keys, field)
    _only(head[1], {"schema", "name", "expires"}, field)
    name, expires = head[1]["name"], head[1]["expires"]
    if head[1]["schema"] != SCHEMA or not isinstance(name, str):
        raise Malformed(f"is no list of schema {SCHEMA!r} with a name", field=field)
    return MachineList(
        name=name, expires=_day(expires, field), machines=_machines(entries, level, field)
    )


def onto(policy: Policy, listed: MachineList) -> Policy:
    """The policy, for these machines alone and those that it names itself, and no longer than the list.

    Raises:
        Misuse: the policy expects images of a platform of which no machine is known.
    """
    requirements = dict(policy.requirements)
    for platform in MACHINE_BYTES:
        asked = policy.asks(platform)
        ids = listed.machines.get(platform, frozenset()) | (asked.machines or frozenset())
        if ids:
            requirements[platform] = replace(asked, machines=ids)
        elif platform in policy.registers:
            raise Misuse(
                f"{policy.name} expects an image on {platform}, and {listed.name} has no machine of it",
                fix="use a list that has some, or a policy for the platforms that it has",
            )
    end = datetime.combine(listed.expires, time(23, 59, 59), UTC)
    return replace(
        policy,
        name=f"{policy.name} + {listed.name}",
        requirements=requirements,
        expires=end if policy.expires is None else min(policy.expires, end),
    )


def _lines(data: bytes, field: str) -> list[tuple[int, dict[str, Any]]]:
    """Each line's offset and object."""
    found, at = [], 0
    for line in data.splitlines(keepends=True):
        item = json.parse(line, field=field)
        if not isinstance(item, dict):
            raise Malformed("has a line that is no object", field=field, offset=at)
        found.append((at, item))
        at += len(line)
    return found


def _signed(
    signed: bytes, signatures: list[dict[str, Any]], keys: Collection[bytes], field: str
) -> None:
    by_key: dict[bytes, bytes] = {}
    for item in signatures:
        _only(item, {"key", "signature"}, field)
        key, signature = (_hex(item[name], name, field) for name in ("key", "signature"))
        if key in by_key:
            raise Malformed("has two signatures of one key", field=field)
        by_key[key] = signature
    for key in keys:
        problem = (
            ed25519_raw(key, by_key[key], signed) if key in by_key else "there is no signature"
        )
        if problem:
            raise Malformed(f"is not signed by {key.hex()[:16]}…: {problem}", field=field)


def _machines(
    entries: list[dict[str, Any]], level: int, field: str
) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    seen: set[str] = set()
    for item in entries:
        _only(item, {"id", "level", "method"}, field)
        name, has = item["id"], item["level"]
        if not isinstance(name, str) or not isinstance(item["method"], str):
            raise Malformed("has a machine without id and method in words", field=field)
        if type(has) is not int or has not in _LEVELS:
            raise Malformed(f"has a machine of level {has!r}, should be 1 to 3", field=field)
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            raise Malformed(f"{name[:40]!r} is no name of a machine", field=field)
        platform, machine = _PREFIXES[prefix], name.removeprefix(prefix)
        if len(_hex(machine, "id", field)) != MACHINE_BYTES[platform] or not machine.strip("0"):
            raise Malformed(f"{name[:40]!r}… is not {MACHINE_BYTES[platform]} bytes", field=field)
        if name in seen:
            raise Malformed(f"{name[:40]!r}… is there twice", field=field)
        seen.add(name)
        if has >= level:
            found.setdefault(platform, set()).add(machine)
    return MappingProxyType({platform: frozenset(ids) for platform, ids in found.items()})


def _only(item: dict[str, Any], known: set[str], field: str) -> None:
    if set(item) != known:
        raise Malformed(f"has a line with other keys than {', '.join(sorted(known))}", field=field)


def _day(text: Any, field: str) -> date:
    try:
        if isinstance(text, str) and _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # no such day
    raise Malformed("should say when it expires, as a day like 2027-01-01", field=field)


def _hex(text: Any, name: str, field: str) -> bytes:
    """Lower-case hex and nothing else, so that a machine has one name."""
    if not isinstance(text, str) or len(text) % 2 or text.strip("0123456789abcdef"):
        raise Malformed(f"{name} should be lower-case hex", field=field)
    return bytes.fromhex(text)
