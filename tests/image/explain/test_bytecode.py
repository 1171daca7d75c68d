"""Bytecode: the header's way, and the first constant, name or line that is another one."""

import importlib.util
import marshal
import sys
from types import CodeType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.image.build import Built
from troth.image.explain import bytecode, causes, contents, marshalled
from troth.wire import cpio, ramdisk

HASHED, TIMED = 1, 0


def pyc(
    source: str, *, flags: int = HASHED, field: bytes = bytes(8), name: str = "/app/x.py"
) -> bytes:
    head = importlib.util.MAGIC_NUMBER + flags.to_bytes(4, "little") + field
    return head + marshal.dumps(compile(source, name, "exec", dont_inherit=True))


def told(one: bytes, other: bytes) -> tuple[tuple[str, ...], object]:
    found = contents("/app/__pycache__/x.cpython-311.pyc", one, other)
    assert found.kind == "Python bytecode"
    return found.told, found.cause


def test_a_time_in_the_place_of_a_hash() -> None:
    words, cause = told(pyc("x = 1"), pyc("x = 1", flags=TIMED))
    assert words == ("the header goes by its source's hash, unchecked, and by its source's time",)
    assert cause is causes.BYTECODE


def test_another_time_of_the_source() -> None:
    times = [(1700000000 + n).to_bytes(4, "little") + bytes(4) for n in (0, 1)]
    words, cause = told(*(pyc("x = 1", flags=TIMED, field=field) for field in times))
    assert words == ("its source's time is 2023-11-14 22:13:20Z and 2023-11-14 22:13:21Z",)
    assert cause is causes.BYTECODE


def test_a_constant_in_a_function() -> None:
    source = "def outer():\n    def inner():\n        return {!r}\n"
    words, _ = told(pyc(source.format("one")), pyc(source.format("two")))
    assert words == ("code of outer.<locals>.inner (line 2): constants[1]: 'one' and 'two'",)


def test_the_folder_it_was_compiled_in() -> None:
    words, cause = told(pyc("x = 1"), pyc("x = 1", name="/tmp/build/x.py"))
    assert words == ("code of <module> (line 1): file name: '/app/x.py' and '/tmp/build/x.py'",)
    assert cause is causes.PATH


def test_a_set_in_another_order() -> None:
    code = compile("x in {'a', 'b'}", "x", "eval")
    dumped = marshal.dumps(code)
    a, b = (dumped.index(bytes([kind]) + b"\x01" + letter) for kind, letter in _letters(dumped))
    swapped = bytearray(dumped)
    swapped[a + 2], swapped[b + 2] = swapped[b + 2], swapped[a + 2]
    head = importlib.util.MAGIC_NUMBER + HASHED.to_bytes(4, "little") + bytes(8)
    words, cause = told(head + dumped, head + bytes(swapped))
    assert "the order of a set" in words[0]
    assert cause is causes.SEED


def _letters(dumped: bytes) -> list[tuple[int, bytes]]:
    """The kind that each of the two letters is written with."""
    found = []
    for letter in (b"a", b"b"):
        found += [(k, letter) for k in (0x5A, 0xDA, 0x7A, 0xFA) if bytes([k, 1]) + letter in dumped]
    return found


def test_the_same_values_with_other_references() -> None:
    """The flag that says `this may be used again` hangs on what else was alive."""
    one = pyc("x = 'abc'")
    at = one.index(b"abc") - 2
    other = bytearray(one)
    other[at] ^= 0x80
    words, cause = told(one, bytes(other))
    if "can't be read" not in words[0]:
        assert cause is causes.REFERENCES


def test_another_version_of_python() -> None:
    one = pyc("x = 1")
    words, cause = told(one, (3571).to_bytes(2, "little") + one[2:])
    assert "bytecode of another Python" in words[0]
    assert cause is causes.PYTHON


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older code objects are not read")
def test_the_standard_librarys_own_modules_are_read() -> None:
    """Against the library's reader: names and lines of every code object."""
    for name in (
        "argparse",
        "typing",
        "dataclasses",
        "enum",
        "json.decoder",
        "asyncio.base_events",
    ):
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        code = spec.loader.get_code(name)  # type: ignore[attr-defined]
        assert _outline(marshalled.read(marshal.dumps(code))) == _true_outline(code)


def _outline(code: marshalled.Code) -> list[object]:
    inner = [c for c in code.fields["constants"].items if isinstance(c, marshalled.Code)]
    names = [item.value for item in code.fields["names"].items]
    own = (code.name, code.fields["first line"], code.fields["bytecode"].value, names)
    return [own, *(_outline(c) for c in inner)]


def _true_outline(code: CodeType) -> list[object]:
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    own = (code.co_qualname, code.co_firstlineno, _bare(code), list(code.co_names))
    return [own, *(_true_outline(c) for c in inner)]


def _bare(code: CodeType) -> bytes:
    """What is marshalled: without what the interpreter has put into its caches."""
    return code.co_code


@pytest.mark.network
def test_an_images_bytecode_is_read_whole(built: Built) -> None:
    """That of the image's Python, which is another one than reads it here."""
    count = 0
    for entry in cpio.overlay([ramdisk.read(d.data) for d in built.image.ramdisks]):
        if entry.path.endswith(".pyc") and count < 80:
            code = marshalled.read(bytes(entry.data)[bytecode.HEADER :])
            assert isinstance(code, marshalled.Code)
            count += 1
    assert count > 50


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"r\0\0\0\0",
        b"(\xff\xff\xff\x7fN",
        b"s\xff\xff\xff\xff",
        b"?",
        b"(\1\0\0\0" * 5000,
        b"NN",
        b"{N",
    ],
)
def test_what_is_no_marshalled_value(data: bytes) -> None:
    with pytest.raises(Malformed):
        marshalled.read(data)


def test_references_that_would_be_walked_without_end() -> None:
    """Each tuple holds the one before it twice: 2^60 leaves in a few hundred bytes."""
    data = b"\xa9\x01N"
    for n in range(60):
        data = b"\xa9\x02" + data + b"r" + (60 - n).to_bytes(4, "little")
    head = importlib.util.MAGIC_NUMBER + HASHED.to_bytes(4, "little") + bytes(8)
    other = data[:-4] + (data[-4] - 1).to_bytes(1, "little") + data[-3:]
    found = contents("x.pyc", head + data, head + other)
    assert found.kind == "Python bytecode"


def test_values_that_nest_by_reference() -> None:
    """Each tuple of a flat list holds the one before it: no deep text, and a deep value."""
    items = b"\xa9\x01N" + b"".join(b"\xa9\x01r" + n.to_bytes(4, "little") for n in range(5000))
    head = importlib.util.MAGIC_NUMBER + HASHED.to_bytes(4, "little") + bytes(8)
    one, other = (
        head + b"[" + (5002).to_bytes(4, "little") + items + last for last in (b"N", b"T")
    )
    found = contents("x.pyc", one, other)
    assert "nests too deep" in found.told[0]


@pytest.mark.parametrize("kind", [b"<", b"("], ids=["set", "tuple"])
def test_a_large_value_at_many_places(kind: bytes) -> None:
    """Some MiB that stand there a hundred thousand times: not shown each time, nor compared."""
    many = 100_000
    items = b"\xf3" + (1 << 22).to_bytes(4, "little") + bytes(1 << 22) + b"r\0\0\0\0" * many
    head = importlib.util.MAGIC_NUMBER + HASHED.to_bytes(4, "little") + bytes(8)
    one, other = (
        head + kind + (many + 2).to_bytes(4, "little") + items + last for last in (b"N", b"T")
    )
    words, cause = told(one, other)
    assert "too many values" in words[0]
    assert cause is None


@given(data=st.data())
def test_damaged_bytecode_never_raises_anything_else(data: st.DataObject) -> None:
    one = pyc(
        "def f(a, b=(1, 2.5, 'x', b'y')):\n    return {a: b, **{}} if a in {1, 2} else None\n"
    )
    out = bytearray(one)
    for _ in range(data.draw(st.integers(1, 4))):
        out[data.draw(st.integers(16, len(out) - 1))] = data.draw(st.integers(0, 255))
    contents("x.pyc", one, bytes(out[: data.draw(st.integers(0, len(out)))]))
