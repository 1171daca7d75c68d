"""The QEMU that boots an image as it is: named, on the path, or built; and why each other is refused."""

from pathlib import Path

import pytest

from troth.errors import Unavailable
from troth.runtime.qemu_nitro_found import VARIABLE, find, lacks

WITH = "microvm  microvm (i386)\nnitro-enclave  AWS Nitro Enclave\nnone  empty machine"
WITHOUT = "microvm  microvm (i386)\nx-nitro-enclave  something else\nnone  empty machine"


def put(path: Path, says: str) -> Path:
    """A program that lists machines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def places(home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Where one is on the path, and where one would have been built."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", f"{home}/bin:/usr/bin:/bin")
    name = "qemu-system-x86_64"
    return home / "bin" / name, home / ".cache" / "troth" / "qemu-nitro" / "bin" / name


def test_the_one_on_the_path_comes_first(places: tuple[Path, Path]) -> None:
    for place in places:
        put(place, WITH)
    assert find() == str(places[0])


def test_one_without_the_machine_is_passed_over(places: tuple[Path, Path]) -> None:
    put(places[0], WITHOUT)
    put(places[1], WITH)
    assert find() == str(places[1])


def test_none_has_it(places: tuple[Path, Path]) -> None:
    put(places[0], WITHOUT)
    with pytest.raises(Unavailable, match=r"bin/qemu-system-x86_64 has no machine") as caught:
        find()
    assert "scripts/build_qemu_nitro.sh" in caught.value.fix


def test_none_at_all(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(places[0].parent))
    with pytest.raises(Unavailable, match="there is no qemu-system-x86_64"):
        find()


def test_a_named_one_counts_alone(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(places[0], WITH)
    mine = put(places[0].with_name("mine"), WITH)
    monkeypatch.setenv(VARIABLE, str(mine))
    assert find() == str(mine)
    put(mine, WITHOUT)
    with pytest.raises(Unavailable, match=f"{VARIABLE} names .*mine, and it has no machine"):
        find()
    monkeypatch.setenv(VARIABLE, str(mine.with_name("absent")))
    with pytest.raises(Unavailable, match="cannot be executed: No such file"):
        find()


def test_one_that_fails(places: tuple[Path, Path]) -> None:
    assert "no machine" in lacks("/bin/false")
    places[0].parent.mkdir()
    places[0].write_text("no program")
    assert "cannot be executed" in lacks(str(places[0]))
