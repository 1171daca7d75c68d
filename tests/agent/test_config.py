"""The measured configuration is read in one form only."""

import json as loose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.agent import config
from troth.errors import Malformed
from troth.wire import json

GOOD = {
    "cpus": 2,
    "directory": "/",
    "entry": ["/usr/bin/python3.13", "/app/main.py"],
    "environment": {"GREETING": "hello"},
    "free": ["hint"],
    "listen": [{"port": 8080}],
    "measured": {"colour": "blue"},
    "memory": 256,
    "name": "app",
    "raw_nsm": False,
    "root": "/",
    "scratch": ["/var/lib/app"],
    "sealed": [],
    "stop_signal": 15,
}


def test_the_good_one() -> None:
    read = config.read(json.canonical(GOOD))
    assert read.entry == ("/usr/bin/python3.13", "/app/main.py")
    assert read.listen == (8080,)
    assert (read.scratch, read.memory) == (("/var/lib/app",), 256)
    assert read.free == {"hint"}
    assert dict(read.environment) == {"GREETING": "hello"}
    assert (read.root, read.directory, read.stop_signal) == ("/", "/", 15)
    assert config.read(json.canonical(GOOD | {"root": "/rootfs"})).root == "/rootfs"


@pytest.mark.parametrize(
    "change",
    [
        {"raw_nsm": "yes"},
        {"raw_nsm": 0},
        {"scratch": "/data"},
        {"scratch": [1]},
        {"scratch": ["/usr/lib/x"]},
        {"scratch": ["/a", "/a"]},
        {"memory": "256"},
        {"memory": 0},
        {"root": "/usr"},
        {"root": ""},
        {"root": ["/"]},
        {"directory": "app"},
        {"directory": "/a\0"},
        {"directory": 1},
        {"stop_signal": 0},
        {"stop_signal": 65},
        {"stop_signal": True},
        {"name": "../up"},
        {"name": ""},
        {"entry": []},
        {"entry": ["python3"]},
        {"entry": ["/bin/a\0b"]},
        {"entry": "/bin/true"},
        {"environment": {"": "x"}},
        {"environment": {"A=B": "x"}},
        {"environment": {"A": 1}},
        {"environment": []},
        {"listen": [8080]},
        {"listen": [{"port": 0}]},
        {"listen": [{"port": 65536}]},
        {"listen": [{"port": True}]},
        {"listen": [{"port": 1}, {"port": 1}]},
        {"listen": [{"port": 1, "more": 1}]},
        {"free": ["a/b"]},
        {"free": [1]},
        {"sealed": "x"},
        {"measured": []},
        {"more": 1},
    ],
)
def test_another_form(change) -> None:
    with pytest.raises(Malformed):
        config.read(json.canonical(GOOD | change))


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_key(name) -> None:
    with pytest.raises(Malformed):
        config.read(json.canonical({k: v for k, v in GOOD.items() if k != name}))


def test_the_same_in_another_writing() -> None:
    for text in (
        loose.dumps(GOOD).encode(),
        json.canonical(GOOD) + b"\n",
        json.canonical(GOOD).replace(b'"cpus":2,', b'"cpus":2,"cpus":2,'),
        json.canonical(GOOD).replace(b'"blue"', b'"\\ud800"'),
        json.canonical(GOOD).replace(b'"blue"', b"[" * 900 + b"]" * 900),
    ):
        with pytest.raises(Malformed):
            config.read(text)


@given(st.data())
def test_cut_or_changed_bytes(data) -> None:
    text = bytearray(json.canonical(GOOD))
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text) - 1))]
    else:
        text[data.draw(st.integers(0, len(text) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        config.read(bytes(text))
    except Malformed:
        return
    assert json.canonical(json.parse(bytes(text), field="app.json")) == bytes(text)
