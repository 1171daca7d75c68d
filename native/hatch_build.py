"""Compiles the library into the wheel, from crates whose names, versions and hashes are in crates.txt.

`python native/hatch_build.py` writes crates.txt anew, after Cargo.toml was changed.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

HERE = Path(__file__).parent
MADE = {"darwin": "libtroth_native.dylib", "win32": "troth_native.dll"}
LIBRARY = "libtroth_native.so"  # how it is packed, wherever: what loads it names the file
OURS = "troth-native"


class CargoHook(BuildHookInterface[Any]):
    """`cargo build`, and the wheel's tag: of this machine, and of any Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """What hatchling calls before it packs.

        Raises:
            SystemExit: there is no cargo, it fails, or crates are not those of crates.txt.
        """
        del version
        if shutil.which("cargo") is None:
            raise SystemExit("error: cargo is missing; troth works without this library, slower")
        fix_versions(crates())
        target = HERE / os.environ.get("CARGO_TARGET_DIR", "target")
        made = target / "release" / MADE.get(sys.platform, LIBRARY)
        # Where cargo is told to build elsewhere, an older one must not be packed.
        made.unlink(missing_ok=True)
        cargo("build", "--release", "--locked", "--target-dir", str(target))
        if not made.is_file():
            raise SystemExit(f"error: cargo made no {made}; is CARGO_BUILD_TARGET set?")
        build_data["force_include"][str(made)] = f"troth_native/{LIBRARY}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{next(platform_tags())}"


def cargo(*words: str) -> None:
    """One command in this folder."""
    done = subprocess.run(["cargo", *words], cwd=HERE, check=False)
    if done.returncode:
        raise SystemExit(f"error: cargo {words[0]} ended with {done.returncode}")


def crates() -> set[tuple[str, str, str]]:
    """Name, version and SHA-256 of each crate, as this folder pins them."""
    rows = (HERE / "crates.txt").read_text(encoding="ascii").splitlines()
    return {(name, version, digest) for name, version, digest in map(str.split, rows)}


def locked() -> set[tuple[str, str, str]]:
    """The same, as Cargo.lock has them; that file holds addresses, and is made anew by each clone.

    A crate out of a folder or a repository has no hash there, and so is none of those that are pinned.
    """
    packages = tomllib.loads((HERE / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    return {
        (p["name"], p["version"], p.get("checksum", "without a hash"))
        for p in packages
        if p["name"] != OURS or "source" in p
    }


def fix_versions(wanted: set[tuple[str, str, str]]) -> None:
    """A Cargo.lock of these crates and no others.

    Raises:
        SystemExit: there is none.
    """
    if not (HERE / "Cargo.lock").is_file():
        cargo("generate-lockfile")
    pinned = {name: version for name, version, _ in wanted}
    for _ in wanted:  # each may change others, so that the file is read anew
        others = [(n, v) for n, v, _ in sorted(locked()) if pinned.get(n, v) != v]
        if not others:
            break
        name, version = others[0]
        cargo("update", "--package", f"{name}@{version}", "--precise", pinned[name])
    if strange := sorted(locked() ^ wanted):
        raise SystemExit(
            f"error: crates.txt and Cargo.lock differ in {strange[0][0]}; remove Cargo.lock to have it made anew"
        )


if __name__ == "__main__":
    if not (HERE / "Cargo.lock").is_file():
        cargo("generate-lockfile")
    text = "".join(f"{' '.join(row)}\n" for row in sorted(locked()))
    (HERE / "crates.txt").write_text(text, encoding="ascii")
    sys.stdout.write(text)
