"""The measured configuration of an app, as the agent reads it inside."""

from collections.abc import Iterable

from fuzz.target import Target, same
from fuzz.targets.tcb_info import WORDS
from troth.agent import config
from troth.wire import json


def _run(data: bytes) -> None:
    config.read(data)
    same(json.canonical(json.parse(data, field="text")), data, "a configuration written again")


def _seeds() -> Iterable[bytes]:
    value = {
        "name": "a",
        "entry": ["/usr/bin/python3.13", "/app/main.py"],
        "environment": {"NAME": "value"},
        "listen": [{"port": 8080}],
        "memory": 256,
        "cpus": 1,
        "measured": {"a": 1, "deep": [[["b"]]]},
        "free": ["x"],
        "sealed": [],
        "raw_nsm": False,
        "root": "/",
        "directory": "/",
        "stop_signal": 15,
    }
    yield json.canonical(value)
    yield json.canonical(value | {"measured": {}}).replace(b"{}", b'{"a":"\\ud800"}')
    yield json.canonical(value | {"measured": {}}).replace(
        b"{}", b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"
    )


TARGET = Target(run=_run, seeds=_seeds, longest=4096, words=(*WORDS, b"\\u0000"))
