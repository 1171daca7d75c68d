"""The sections of a policy document that say what is asked of a platform: TOML to requirements and back."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from troth.errors import Misuse
from troth.policy import vtpm
from troth.policy.device import WORDS
from troth.policy.events import SIZES
from troth.policy.requirements import KEYS, Bits, Requirements
from troth.policy.toml_values import array, only, quoted, strings

_BITS: Final = re.compile(r"0x[0-9a-fA-F]{1,16}")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_TABLES: Final = frozenset({"advisories", "bits", "minimum", "exact", "events", "says"})


def read(document: dict[str, Any], source: str) -> dict[str, Requirements]:
    """Platform to what its section asks, where it asks something.

    Args:
        document: the whole document; its registers are left to others.
        source: file name, for errors.

    Raises:
        Misuse: a value of the wrong kind, or one that means nothing.
    """
    found = {}
    for platform, keys in KEYS.items():
        section = document.get(platform, {})
        stated = {key: section[key] for key in keys if key in section}
        if stated:
            where = f"{source}: {platform}"
            values = {key: _value(key, value, f"{where}.{key}") for key, value in stated.items()}
            try:
                found[platform] = Requirements(**values)
            except Misuse as misuse:
                raise Misuse(f"{where}: {misuse}", fix=misuse.fix) from None
    return found


def write(wanted: Requirements) -> list[str]:
    """The lines of a section; `read` gives the same requirements back."""
    plain = (k for k in wanted.stated() if k not in ("events", "says"))
    lines = [f"{k} = {_written(getattr(wanted, k))}" for k in plain]
    for table in ("events", "says"):
        said = getattr(wanted, table).items()
        lines += [f"{table}.{name} = {array(sorted(values))}" for name, values in said]
    return lines


def _value(key: str, value: Any, where: str) -> Any:
    """What the field holds; its own rules are `Requirements`'."""
    if key in _TABLES:
        if not isinstance(value, dict):
            raise Misuse(f"{where} should be a table")
        if key == "events":
            return {n: _event(n, v, f"{where}.{n}") for n, v in value.items()}
        if key == "says":
            return {n: _words(v, f"{where}.{n}") for n, v in value.items()}
        return {n: _bits(v, f"{where}.{n}") for n, v in value.items()} if key == "bits" else value
    if key == "tcb_status":
        return strings(value, where)
    if key in (
        *WORDS,
        *vtpm.WORDS,
    ):  # one value may stand without its brackets, and hex in either case
        found = strings([value] if isinstance(value, str) else value, where)
        return [item.upper() if key == "vbios_version" else item.lower() for item in found]
    if key == "machines":
        return [item.lower() for item in strings(value, where)]
    if key == "vmpl" and not (isinstance(value, list) and all(type(item) is int for item in value)):
        raise Misuse(f"{where} should be a list of whole numbers")
    return value


def _event(name: str, value: Any, where: str) -> list[str]:
    """One value may stand without its brackets, and hex in either case, as with registers."""
    found = strings([value] if isinstance(value, str) else value, where)
    return [item.lower() for item in found] if name in SIZES else found


def _words(value: Any, where: str) -> list[str]:
    return strings([value] if isinstance(value, str) else value, where)


def _bits(value: Any, where: str) -> Bits:
    if not isinstance(value, dict):
        raise Misuse(f"{where} should be a table of mask and value")
    only(value, {"mask", "value"}, where)
    found = {}
    for name in ("mask", "value"):
        text = value.get(name)
        if not isinstance(text, str) or not _BITS.fullmatch(text):
            raise Misuse(f"{where}.{name} should be text like '0x10', at most 64 bits in hex")
        found[name] = int(text, 16)
    try:
        return Bits(**found)
    except Misuse as misuse:
        raise Misuse(f"{where}: {misuse}", fix=misuse.fix) from None


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else quoted(name)


def _written(value: Any) -> str:
    match value:
        case Bits():
            return f'{{ mask = "{value.mask:#x}", value = "{value.value:#x}" }}'
        case frozenset():
            items = sorted(value)
            return array(items) if isinstance(items[0], str) else repr(items)
        case Mapping():
            inner = ", ".join(f"{_key(name)} = {_written(item)}" for name, item in value.items())
            return f"{{ {inner} }}"
        case date():
            return value.isoformat()
        case str():
            return quoted(value)
    return str(value)
