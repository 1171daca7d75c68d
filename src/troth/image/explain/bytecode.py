"""Two files of Python bytecode: their headers, and the first thing in their code that differs."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from troth.errors import Malformed
from troth.image.explain import marshalled
from troth.image.explain.causes import BYTECODE, PATH, PYTHON, REFERENCES, SEED, Cause
from troth.image.explain.marshalled import Code, Group, Plain
from troth.image.explain.told import Told, short

HEADER: Final = 16
_LEAST_MAGIC: Final = 3495  # of Python 3.11, whose code objects are as those of 3.14
_MOST_MAGIC: Final = 3700
_MOST_STEPS: Final = 400_000
_STEP: Final = 4096  # bytes that are compared in the time of a step
_DEEPEST: Final = 200
_SHOWN: Final = 200
_WAYS: Final = {
    0: "its source's time",
    1: "its source's hash, unchecked",
    3: "its source's hash, checked",
}

Found = tuple[str, Any, Any]


def explain(a: bytes, b: bytes, _: int) -> Told | None:
    """What differs, first in the headers and then in the code."""
    if min(len(a), len(b)) < HEADER or a[2:4] != b"\r\n" or b[2:4] != b"\r\n":
        return None
    magics = [int.from_bytes(x[:2], "little") for x in (a, b)]
    if magics[0] != magics[1]:
        words = f"bytecode of another Python: magic {magics[0]} and {magics[1]}"
        return Told(kind="Python bytecode", told=(words,), cause=PYTHON)
    told: list[str] = []
    cause = _header(a, b, told)
    if a[HEADER:] != b[HEADER:] and _LEAST_MAGIC <= magics[0] <= _MOST_MAGIC:
        words, why = _code(a[HEADER:], b[HEADER:])
        told.append(words)
        cause = cause or why
    return Told(kind="Python bytecode", told=tuple(told), cause=cause)


def _header(a: bytes, b: bytes, told: list[str]) -> Cause | None:
    flags = [int.from_bytes(x[4:8], "little") for x in (a, b)]
    ways = [_WAYS.get(flag, f"flags {flag}") for flag in flags]
    if flags[0] != flags[1]:
        told.append(f"the header goes by {ways[0]}, and by {ways[1]}")
        return BYTECODE
    if a[8:HEADER] == b[8:HEADER]:
        return None
    if flags[0]:
        told.append(f"its source is another one: its hash is {a[8:16].hex()} and {b[8:16].hex()}")
        return None
    times = [datetime.fromtimestamp(int.from_bytes(x[8:12], "little"), UTC) for x in (a, b)]
    if times[0] != times[1]:
        told.append(
            f"its source's time is {times[0]:%Y-%m-%d %H:%M:%S}Z and {times[1]:%Y-%m-%d %H:%M:%S}Z"
        )
    sizes = [int.from_bytes(x[12:16], "little") for x in (a, b)]
    if sizes[0] != sizes[1]:
        told.append(f"its source's size is {sizes[0]} and {sizes[1]} bytes")
    return BYTECODE


def _code(a: bytes, b: bytes) -> tuple[str, Cause | None]:
    try:
        mine, theirs = marshalled.read(a), marshalled.read(b)
        found = next(_walk(mine, theirs, "", _Budget()), None)
    except Malformed as error:
        return f"the code can't be read: {error}", None
    if found is None:
        return "the code has the same values, with other references among them", REFERENCES
    where, one, other = found
    cause = None
    if where.endswith("the order of a set"):
        return f"{where}: the same items in another order", SEED
    if where.endswith("file name"):
        cause = PATH
    return f"{where}: {_shown(one)} and {_shown(other)}", cause


class _Budget:
    """A value may stand at many places and in itself, so steps and depth are bounded."""

    def __init__(self) -> None:
        self.left = _MOST_STEPS

    def spend(self, steps: int, depth: int) -> None:
        self.left -= steps
        if self.left < 0 or depth > _DEEPEST:
            raise Malformed("has too many values, or nests too deep", field="bytecode")


def _walk(a: Any, b: Any, where: str, budget: _Budget, depth: int = 0) -> Iterator[Found]:
    """The differences, outer code before what is in it."""
    budget.spend(1 + (len(a.items) if isinstance(a, Group) else _steps(a)), depth)
    if isinstance(a, Code) and isinstance(b, Code):
        name = f"{short(a.name)} (line {a.fields['first line']})"
        for field, value in a.fields.items():
            yield from _walk(value, b.fields[field], f"code of {name}: {field}", budget, depth + 1)
    elif isinstance(a, Group) and isinstance(b, Group) and a.kind == b.kind:
        if a.kind in ("set", "frozenset") and _same_items(a, b):
            budget.spend(sum(map(_steps, a.items)), depth)
            if a.items != b.items:
                yield f"{where}: the order of a set", a, b
            return
        for number, (one, other) in enumerate(zip(a.items, b.items, strict=False)):
            yield from _walk(one, other, f"{where}[{number}]", budget, depth + 1)
        if len(a.items) != len(b.items):
            yield where, a, b
    elif type(a) is not type(b) or isinstance(a, Group) or a != b:
        yield where, a, b


def _steps(value: Any) -> int:
    """What it costs beyond one to compare a value itself: a large one may stand at many places."""
    inner = value.value if isinstance(value, Plain) else None
    if isinstance(inner, tuple):  # a large number's sign and digits
        inner = inner[1]
    return len(inner) // _STEP if isinstance(inner, (bytes, str)) else 0


def _same_items(a: Group, b: Group) -> bool:
    if len(a.items) != len(
        b.items
    ):  # the second's many would cost, and only the first's are paid for
        return False
    if not all(isinstance(item, Plain) for item in (*a.items, *b.items)):
        return False
    return Counter(a.items) == Counter(b.items)


def _shown(value: Any) -> str:
    """A value in words, never all of what it holds."""
    match value:
        case Code():
            return f"the code of {short(value.name)}"
        case Group(kind=kind, items=items):
            return f"a {kind} of {len(items)}"
        case Plain(kind="bytes", value=data):
            return f"{len(data)} bytes"
        case Plain(kind="str", value=str() as text):
            return short(ascii(text[:_SHOWN]))
        case Plain(kind="int", value=int() as number):
            return str(number)
        case Plain(kind=kind, value=None):
            return str(kind)
        case Plain(kind=kind):
            return f"another {kind}"
    return short(value)
