"""JSON: what is read and written in its one form reads the same."""

from collections.abc import Iterable

from fuzz.target import Target, same
from fuzz.targets.tcb_info import WORDS
from troth.errors import Malformed, Misuse
from troth.wire import json


def _run(data: bytes) -> None:
    value = json.parse(data, field="text")
    written = json.canonical(value)
    same(json.parse(written, field="text"), value, "a value written and read again")
    same(json.canonical(json.parse(written, field="text")), written, "the one form of a value")


def _seeds() -> Iterable[bytes]:
    yield b'{"a":[1,-2,true,false,null,"\\u00e9\\ud83d\\ude00"],"b":{"c":{}},"":9007199254740992}'
    yield '["é", "\U0001f600", "\\n\\t\\"", 0, -0]'.encode()
    yield b"[" * 60 + b"]" * 60
    yield b"[" * 900 + b"]" * 900
    yield b' { "a" : [ ] } '


TARGET = Target(
    run=_run,
    seeds=_seeds,
    refuses=(Malformed, Misuse),
    longest=4096,
    words=(*WORDS, b"\\ud800", b"1E400"),
)
