"""The lock file: one form only, and every lie in it is refused by name."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse
from troth.image import lock as locks
from troth.image.recipe import load

SAMPLE = Path(__file__).parents[1] / "data" / "app"
DATA = (SAMPLE / locks.FILE).read_bytes()
VALUE = json.loads(DATA)
IMAGE = f"sha256:{'a1' * 32}"


def changed(*path: str | int, to: Any) -> bytes:
    """The sample's lock with one value replaced, in the form that troth writes."""
    value = copy.deepcopy(VALUE)
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return locks.pretty(value)


def test_what_is_written_is_read() -> None:
    lock = locks.parse(DATA)
    assert lock.to_json() == DATA
    assert lock.kernel.name.startswith("linux-image-6")
    assert {wheel.name for wheel in lock.agent_wheels} >= {"cbor2", "cryptography", "pyopenssl"}
    assert b"://" not in DATA


def test_the_sample_lock_fits_its_recipe() -> None:
    lock, recipe = locks.load(SAMPLE), load(SAMPLE)
    lock.check(recipe)
    assert lock.fits(recipe)


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("schema",), "troth/lock/2"),
        (("suite",), 13),
        (("suite",), "trixie\ud800"),
        (("keys",), "all"),
        (("recipe",), "A" * 64),
        (("debs",), {}),
        (("debs", 0, "sha256"), "0" * 63),
        (("debs", 0, "sha256"), ["0" * 64]),
        (("debs", 0, "size"), 0),
        (("debs", 0, "size"), -1),
        (("debs", 0, "size"), True),
        (("debs", 0, "size"), 2**70),
        (("debs", 0, "size"), 1.0),
        (("debs", 0, "base"), 1),
        (("debs", 0, "archive"), "elsewhere"),
        (("debs", 0, "archive"), ["debian"]),
        (("debs", 0, "path"), "../../etc/passwd"),
        (("debs", 0, "path"), "/pool/x_1_all.deb"),
        (("debs", 0, "path"), "pool//x_1_all.deb"),
        (("debs", 0, "path"), ""),
        (("debs", 0, "path"), "pool/x'_1_all.deb"),
        (("debs", 0, "version"), "1\n2"),
        (("debs", 0), []),
        (("kernel",), None),
        (("wheels",), None),
        (("agent_wheels", 0, "file"), "../x.whl"),
        (("agent_wheels", 0, "file"), ".x.whl"),
        (("agent_wheels", 0, "name"), 1),
        (("vendor",), "/etc"),
        (("vendor",), "a/../b"),
        (("vendor",), "a\0b"),
        (("vendor",), "."),
        (("more",), 1),
        (("oci",), None),
        (("oci",), {}),
        (("oci",), {"config": IMAGE, "manifest": IMAGE, "more": ""}),
        (("oci",), {"config": "", "manifest": IMAGE}),
        (("oci",), {"config": IMAGE[7:], "manifest": ""}),
        (("oci",), {"config": IMAGE.upper(), "manifest": ""}),
        (("oci",), {"config": f"sha512:{IMAGE[7:]}", "manifest": ""}),
        (("oci",), {"config": IMAGE, "manifest": "sha256:1"}),
        (("oci",), {"config": IMAGE, "manifest": None}),
    ],
)
def test_a_value_that_cannot_be_is_refused(path: tuple[str | int, ...], to: Any) -> None:
    try:
        data = changed(*path, to=to)
    except (UnicodeEncodeError, Misuse):
        data = json.dumps(VALUE | {path[0]: to} if len(path) == 1 else VALUE).encode()
    with pytest.raises(Malformed):
        locks.parse(data)


def test_order_and_repetition() -> None:
    debs = VALUE["debs"]
    for wrong in (debs[::-1], [debs[0], *debs]):
        with pytest.raises(Malformed, match="twice or out of order"):
            locks.parse(changed("debs", to=wrong))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 100_000,
        DATA[:-1],
        DATA + b" ",
        DATA + b"\n",
        DATA.replace(b'"suite":', b'"suite": '),
        DATA.replace(b'"suite":', b'"suite":"trixie","suite":'),
        json.dumps(VALUE).encode(),
        b"<<<<<<< ours\n" + DATA,
    ],
)
def test_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        locks.parse(data)


@given(at=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_another_lock(at: int, bit: int) -> None:
    data = bytearray(DATA)
    data[at] ^= 1 << bit
    try:
        lock = locks.parse(bytes(data))
    except Malformed:
        return
    assert lock.to_json() == bytes(data) != DATA


@given(st.integers(0, len(DATA) - 1))
def test_a_part_is_refused(size: int) -> None:
    with pytest.raises(Malformed):
        locks.parse(DATA[:size])


def test_a_lock_for_something_else_does_not_fit() -> None:
    lock, recipe = locks.load(SAMPLE), load(SAMPLE)
    with pytest.raises(Misuse, match="does not fit the recipe") as caught:
        lock.check(replace(recipe, debian_packages=("socat",)))
    assert "troth lock" in caught.value.fix
    with pytest.raises(Misuse, match="other archive keys"):
        replace(lock, keys=("0" * 40,)).check(recipe)
    with pytest.raises(Misuse, match="suite"):
        replace(lock, suite="sid").check(recipe)
    assert not replace(lock, keys=()).fits(recipe)


@pytest.mark.parametrize("manifest", ["", IMAGE])
def test_a_lock_that_names_a_container_image(manifest: str) -> None:
    plain = locks.parse(DATA)
    lock = replace(plain, oci=locks.Pin(config=IMAGE, manifest=manifest))
    assert locks.parse(lock.to_json()) == lock
    recipe = load(SAMPLE)
    brings = replace(recipe, from_oci="a.tar")
    lock.check(brings)
    assert lock.fits(brings) and not lock.fits(recipe) and not plain.fits(brings)
    with pytest.raises(Misuse, match="names a container image, and the recipe says otherwise"):
        lock.check(recipe)
    with pytest.raises(Misuse, match="names no container image, and the recipe says") as caught:
        plain.check(brings)
    assert "troth lock" in caught.value.fix


def test_no_lock_is_said_with_its_fix(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"has no troth\.lock") as caught:
        locks.load(tmp_path)
    assert "troth lock" in caught.value.fix


def test_save_and_load(tmp_path: Path) -> None:
    lock = replace(locks.parse(DATA), vendor="packages")
    locks.save(tmp_path, lock)
    locks.save(tmp_path, lock)
    assert locks.load(tmp_path) == lock
    assert [path.name for path in tmp_path.iterdir()] == [locks.FILE]
