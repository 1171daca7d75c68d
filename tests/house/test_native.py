"""The crates of `native/` are pinned by name, version and hash, and its versions agree."""

import re
import tomllib
from pathlib import Path

NATIVE = Path(__file__).parents[2] / "native"


def _toml(name: str) -> dict[str, dict[str, object]]:
    return tomllib.loads((NATIVE / name).read_text(encoding="utf-8"))


def test_every_crate_is_pinned_by_its_hash() -> None:
    rows = (NATIVE / "crates.txt").read_text(encoding="ascii").splitlines()
    assert rows == sorted(set(rows))
    assert all(re.fullmatch(r"[a-z0-9_-]+ \d+\.\d+\.\d+ [0-9a-f]{64}", row) for row in rows)
    assert set(_toml("Cargo.toml")["dependencies"]) <= {row.split()[0] for row in rows}


def test_it_has_one_version() -> None:
    assert (
        _toml("Cargo.toml")["package"]["version"] == _toml("pyproject.toml")["project"]["version"]
    )


def test_the_number_of_its_functions_is_the_same_in_all_three() -> None:
    from troth.crypto import beside

    library = (NATIVE / "src" / "lib.rs").read_text(encoding="utf-8")
    python = (NATIVE / "troth_native" / "__init__.py").read_text(encoding="utf-8")
    (number,) = re.findall(r"fn troth_version\(\) -> u32 \{\s*(\d+)\s*\}", library)
    assert re.findall(r"^VERSION: Final = (\d+)$", python, re.MULTILINE) == [number]
    assert int(number) == beside._VERSION
