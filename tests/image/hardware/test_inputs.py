"""The lock that ships with troth: what it says, and what is not taken for one."""

import json
import re
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.image.hardware import inputs, options, plan

DATA = files("troth.image.hardware").joinpath(inputs.FILE).read_bytes()


def test_the_lock_that_ships_fits_the_options_that_ship() -> None:
    found = inputs.inputs()
    assert found.kernel.made_from == found.made_from()
    assert found.to_json() == DATA
    assert re.fullmatch(r"6\.12\.\d+-troth", found.kernel.version)
    assert found.source.name == "linux-source-6.12"
    assert 1 << 20 < found.kernel.size <= 3 << 20
    assert {"gcc", "make", "libelf-dev"} <= {deb.name for deb in found.toolchain}
    assert not plan.UNUSED & {deb.name for deb in found.toolchain}


def test_it_names_no_host() -> None:
    assert b"://" not in DATA
    assert all(deb.path.startswith("pool/") for deb in inputs.inputs().packages)


def test_all_that_decides_the_bytes_is_in_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    found = inputs.inputs()
    source = replace(found, source=replace(found.source, sha256="0" * 64))
    tool = replace(found.toolchain[0], sha256="0" * 64)
    tools = replace(found, toolchain=(tool, *found.toolchain[1:]))
    digests = {found.made_from(), source.made_from(), tools.made_from()}
    monkeypatch.setattr(plan, "VERSION", plan.VERSION + 1)
    digests.add(found.made_from())
    monkeypatch.undo()
    parts = options.table()[1:]
    monkeypatch.setattr(options, "table", lambda: parts)
    digests.add(found.made_from())
    assert len(digests) == 5


def test_a_kernel_of_other_options_is_not_the_pinned_one(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs.inputs.cache_clear()
    monkeypatch.setattr(plan, "VERSION", plan.VERSION + 1)
    with pytest.raises(Malformed, match="made from something else"):
        inputs.inputs()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(schema="troth/hardware-lock/2"), "schema"),
        (lambda v: v.update(more=1), "must be an object"),
        (lambda v: v.pop("source"), "must be an object"),
        (lambda v: v["source"].update(path="http://x/y.deb"), "source.path"),
        (lambda v: v["source"].update(path="pool/../../y.deb"), "source.path"),
        (lambda v: v["source"].update(sha256="00"), "source.sha256"),
        (lambda v: v["source"].update(size=0), "source.size"),
        (lambda v: v["source"].update(archive="elsewhere"), "archive"),
        (lambda v: v["toolchain"].reverse(), "out of order"),
        (lambda v: v["toolchain"].append(v["toolchain"][-1]), "twice or out of order"),
        (lambda v: v.update(toolchain={}), "not a list"),
        (lambda v: v.update(keys=v["keys"][1:]), "other archive keys"),
        (lambda v: v["kernel"].pop("made_from"), "must be an object"),
        (lambda v: v["kernel"].update(sha256="A" * 64), "kernel.sha256"),
        (lambda v: v["kernel"].update(size="1"), "kernel.size"),
        (lambda v: v["kernel"].update(version="6\n"), "kernel.version"),
    ],
)
def test_locks_that_are_none(change: object, message: str) -> None:
    value = json.loads(DATA)
    assert callable(change)
    change(value)
    with pytest.raises(Malformed, match=message):
        inputs.parse(json.dumps(value).encode())


def test_another_form_of_the_same_lock_is_refused() -> None:
    for other in (DATA + b"\n", DATA[:-1], json.dumps(json.loads(DATA)).encode(), DATA[:500], b""):
        with pytest.raises(Malformed):
            inputs.parse(other)


@given(st.integers(0, len(DATA) * 8 - 1))
@example(DATA.index(b'"trixie"') * 8 + 8)  # the name of a suite that nobody has keys for
def test_a_bit_that_is_not_as_it_was(bit: int) -> None:
    """It is refused, or it says something else: two files never say the same."""
    data = bytearray(DATA)
    data[bit // 8] ^= 1 << bit % 8
    try:
        assert inputs.parse(bytes(data)) != inputs.parse(DATA)
    except Malformed:
        pass
