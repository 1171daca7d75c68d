"""Who must have published a wheel, as a lock keeps it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from troth.errors import Malformed, Misuse
from troth.image import attested, locking
from troth.image import lock as locks
from troth.image.attested import Attested
from troth.image.store import Store, digest

SAMPLE = Path(__file__).parents[1] / "data" / "app"
LOCK = locks.load(SAMPLE)
ONE = Attested(name="cbor2", repository="owner/cbor2", workflow="publish.yml", provenance="a" * 64)
TWO = Attested(name="cryptography", repository="owner/c", workflow="w.yaml", provenance="")


def parsed(*items: Any) -> locks.Lock:
    value = json.loads(LOCK.to_json()) | {"attested": list(items)}
    return locks.parse(locks.pretty(value))


def test_what_is_written_is_read() -> None:
    lock = replace(LOCK, attested=(ONE, TWO))
    assert locks.parse(lock.to_json()) == lock
    assert b"attested" not in LOCK.to_json()
    assert str(ONE.publisher) == "owner/cbor2 by publish.yml"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../x"},
        {"repository": "owner"},
        {"repository": "../x"},
        {"repository": "a/b/c"},
        {"workflow": "x.sh"},
        {"workflow": "a/x.yml"},
        {"provenance": "x"},
        {"provenance": None},
        {"more": ""},
    ],
)
def test_what_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parsed(locks.fields(ONE) | change)


def test_each_once_in_order_and_never_none() -> None:
    one, two = locks.fields(ONE), locks.fields(TWO)
    assert parsed(one, two).attested == (ONE, TWO)
    for items in ((two, one), (one, one), ()):
        with pytest.raises(Malformed):
            parsed(*items)


def test_an_update_keeps_the_publisher_and_not_another_versions_file() -> None:
    old = [("cbor2", "1"), ("cryptography", "2")]
    assert attested.kept((ONE, TWO), old, old) == (ONE, TWO)
    assert attested.kept((ONE, TWO), old, [("cbor2", "9")]) == (replace(ONE, provenance=""),)
    assert attested.kept((ONE,), old, []) == ()


def test_a_new_lock_keeps_what_the_old_one_expects(tmp_path: Path) -> None:
    assert locking._attested(tmp_path, LOCK) == ()
    locks.save(tmp_path, replace(LOCK, attested=(ONE,)))
    assert locking._attested(tmp_path, LOCK) == (ONE,)
    (tmp_path / locks.FILE).write_bytes(b"{}")
    assert locking._attested(tmp_path, LOCK) == ()


def test_the_files_travel_with_the_packages(tmp_path: Path) -> None:
    store = Store(folder=tmp_path / "store")
    for item in (*LOCK.all_debs, *LOCK.all_wheels):
        (store.folder).mkdir(exist_ok=True)
        (store.folder / item.sha256).write_bytes(b"")
    proof = b"proof"
    store.put(proof, sha256=digest(proof), name="x")
    (wheel,) = (w for w in LOCK.all_wheels if w.name == "cbor2")
    lock = replace(
        LOCK,
        debs=(),
        kernel=replace(LOCK.kernel, sha256=digest(proof)),
        wheels=(replace(wheel, sha256=digest(proof)),),
        agent_wheels=(),
        attested=(replace(ONE, provenance=digest(proof)), TWO),
    )
    locking.keep(lock, tmp_path / "app", "packages", store=store)
    names = {path.name for path in (tmp_path / "app" / "packages").iterdir()}
    assert names == {LOCK.kernel.file, wheel.file, f"{wheel.file}.provenance"}
    with pytest.raises(Misuse):
        locks.load(tmp_path / "none")
