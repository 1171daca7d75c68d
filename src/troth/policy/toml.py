"""Policy documents: TOML to a policy's fields and back. Unknown words are refused, not ignored."""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

from troth.errors import Misuse
from troth.model.channel import Binding
from troth.model.roots import RootClass
from troth.policy import sections
from troth.policy.names import REGISTERS
from troth.policy.requirements import KEYS, Requirements
from troth.policy.toml_values import array as _array
from troth.policy.toml_values import only as _only
from troth.policy.toml_values import quoted as _quoted
from troth.policy.toml_values import span as _span
from troth.policy.toml_values import strings as _strings
from troth.wire import toml

if TYPE_CHECKING:
    from troth.tlog.terms import Terms

_TOP: Final = frozenset(
    {"schema", "name", "expires", "unreviewed", "roots", "freshness", "binding", "parts", "release"}
)
_MAX_TEXT: Final = 16 * 1024 * 1024
_MAX_PARTS: Final = 64
_LONG_KEY: Final = re.compile(
    r"""(?<![A-Za-z0-9_\\-])(?:(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*\.[ \t]*)"""
    f"{{{_MAX_PARTS}}}"
)


class Fields(TypedDict):
    """What a document says: the fields of `Policy`, by their names and with their meaning there."""

    name: str
    expires: datetime | None
    unreviewed: bool
    roots_allow: frozenset[RootClass]
    development_roots: frozenset[str]
    max_age: timedelta | None
    require_key: bool
    channel: Binding
    parts: Mapping[str, int]
    release: "Terms | None"
    registers: Mapping[str, Mapping[str, frozenset[str]]]
    requirements: Mapping[str, Requirements]


def read(text: str, *, source: str) -> Fields:
    """The fields of a policy out of its document.

    Args:
        text: TOML.
        source: file name, for errors.

    Raises:
        Misuse: not TOML, another schema, an unknown key, or a value of the wrong kind.
    """
    if len(text) > _MAX_TEXT:
        raise Misuse(f"{source}: is larger than {_MAX_TEXT} characters")
    # The library takes the square of a key's parts, and a bundle's policy is a stranger's.
    if _LONG_KEY.search(text):
        raise Misuse(f"{source}: has a key of more than {_MAX_PARTS} parts")
    try:
        document = toml.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misuse(f"{source}: is not TOML: {error}") from None
    except (RecursionError, ValueError):  # the library's own limits, which it does not name
        raise Misuse(f"{source}: is nested too deep or holds too long a number") from None
    if document.get("schema") != "troth/policy/1":
        raise Misuse(
            f"{source}: is not a policy of schema 'troth/policy/1'",
            fix="start one with `troth policy new`",
        )
    _only(document, _TOP | set(REGISTERS), source)
    roots = _table(document, "roots", {"allow", "development"}, source)
    freshness = _table(document, "freshness", {"max_age"}, source)
    binding = _table(document, "binding", {"key", "channel"}, source)
    return {
        "name": _typed(document, "name", str, source, "policy"),
        "expires": _instant(document, source),
        "unreviewed": _typed(document, "unreviewed", bool, source, False),
        "roots_allow": _classes(roots, source),
        "development_roots": frozenset(_digests(roots.get("development", []), source)),
        "max_age": _age(freshness, source),
        "require_key": _key(binding, source),
        "channel": _channel(binding, source),
        "parts": _table(document, "parts", set(REGISTERS), source),
        "release": _release(document, source),
        "registers": {
            platform: registers
            for platform in REGISTERS
            if platform in document and (registers := _registers(document, platform, source))
        },
        "requirements": sections.read(document, source),
    }


def write(policy: Fields) -> str:
    """The document of these fields; `read` gives the same fields back."""
    lines = ['schema = "troth/policy/1"', "name = " + _quoted(policy["name"])]
    if policy["expires"] is not None:
        lines.append("expires = " + policy["expires"].isoformat())
    if policy["unreviewed"]:
        lines.append("# written from what was running; compare, then delete this line")
        lines.append("unreviewed = true")
    lines += ["", "[roots]", "allow = " + _array(sorted(policy["roots_allow"]))]
    if policy["development_roots"]:
        lines.append("development = " + _array(sorted(policy["development_roots"])))
    if policy["max_age"] is not None:
        seconds = int(policy["max_age"].total_seconds())
        lines += ["", "[freshness]", f'max_age = "{seconds}s"']
    key = "required" if policy["require_key"] else "optional"
    lines += ["", "[binding]", f'key = "{key}"']
    if policy["channel"] is not Binding.SESSION:
        lines.append(f'channel = "{policy["channel"]}"')
    if policy["parts"]:
        lines += ["", "[parts]", *(f"{name} = {count}" for name, count in policy["parts"].items())]
    if policy["release"] is not None:
        from troth.policy import release_toml

        lines += ["", *release_toml.write(policy["release"])]
    for platform in dict.fromkeys((*policy["registers"], *policy["requirements"])):
        lines += ["", f"[{platform}]"]
        registers = policy["registers"].get(platform, {})
        lines += [f"{name} = {_array(sorted(values))}" for name, values in registers.items()]
        if platform in policy["requirements"]:
            lines += sections.write(policy["requirements"][platform])
    return "\n".join(lines) + "\n"


def _release(document: dict[str, Any], source: str) -> "Terms | None":
    if "release" not in document:
        return None
    from troth.policy import release_toml  # signatures, which other policies do not need

    return release_toml.read(document["release"], source)


def _table(document: dict[str, Any], name: str, known: set[str], source: str) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise Misuse(f"{source}: {name} should be a table")
    _only(table, known, f"{source}: [{name}]")
    return table


def _typed(table: dict[str, Any], key: str, kind: type, source: str, default: Any) -> Any:
    value = table.get(key, default)
    if not isinstance(value, kind):
        raise Misuse(f"{source}: {key} should be {kind.__name__}, is {value!r}")
    return value


def _instant(document: dict[str, Any], source: str) -> datetime | None:
    value = document.get("expires")
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Misuse(f"{source}: expires should be an instant with its zone, is {value!r}")
    return value


def _classes(roots: dict[str, Any], source: str) -> frozenset[RootClass]:
    if "allow" not in roots:
        return frozenset(RootClass)
    where = f"{source}: roots.allow"
    names = _strings(roots["allow"], where)
    try:
        classes = frozenset(RootClass(name) for name in names)
    except ValueError:
        known = ", ".join(RootClass)
        raise Misuse(f"{where} has an unknown class; known are {known}") from None
    if not classes:
        raise Misuse(f"{where} is empty, so that nothing could be accepted")
    return classes


def _digests(value: Any, source: str) -> list[str]:
    digests = [item.lower() for item in _strings(value, f"{source}: roots.development")]
    for digest in digests:
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise Misuse(f"{source}: roots.development has {digest!r}, which is no SHA-256 in hex")
    return digests


def _age(freshness: dict[str, Any], source: str) -> timedelta | None:
    if "max_age" not in freshness:
        return None
    return _span(freshness["max_age"], f"{source}: freshness.max_age")


def _key(binding: dict[str, Any], source: str) -> bool:
    value = binding.get("key", "optional")
    if value not in ("required", "optional"):
        raise Misuse(f"{source}: binding.key should be 'required' or 'optional', is {value!r}")
    return bool(value == "required")


def _channel(binding: dict[str, Any], source: str) -> Binding:
    value = binding.get("channel", Binding.SESSION)
    try:
        return Binding(value)
    except ValueError:
        known = ", ".join(Binding)
        raise Misuse(f"{source}: binding.channel is {value!r}; known are {known}") from None


def _registers(document: dict[str, Any], platform: str, source: str) -> dict[str, frozenset[str]]:
    table = document[platform]
    if not isinstance(table, dict) or not table:
        raise Misuse(f"{source}: [{platform}] should be a table with registers")
    asked = KEYS.get(platform, ())
    _only(table, {*REGISTERS[platform], *asked}, f"{source}: [{platform}]")
    return {
        name: frozenset(
            item.lower()
            for item in _strings(
                [value] if isinstance(value, str) else value, f"{source}: {platform}.{name}"
            )
        )
        for name, value in table.items()
        if name not in asked
    }
