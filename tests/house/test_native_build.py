"""Only crates that crates.txt pins by their hashes are built into the library, and only what was built now."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("hatchling")

NATIVE = Path(__file__).parents[2] / "native"
ADDRESS = 'source = "registry+https://crates.example/index"\n'


@pytest.fixture
def build(tmp_path: Path) -> ModuleType:
    """The hook, in a folder of its own whose Cargo.lock is that of crates.txt."""
    for name in ("hatch_build.py", "crates.txt"):
        shutil.copy(NATIVE / name, tmp_path)
    spec = importlib.util.spec_from_file_location("hook", tmp_path / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    rows = [crate(*row) for row in sorted(hook.crates())]
    (tmp_path / "Cargo.lock").write_text("".join((package("troth-native", "1.0.0"), *rows)))
    return hook


def package(name: str, version: str, *more: str) -> str:
    return "".join(("[[package]]\n", f'name = "{name}"\nversion = "{version}"\n', *more))


def crate(name: str, version: str, digest: str) -> str:
    return package(name, version, ADDRESS, f'checksum = "{digest}"\n')


def test_those_that_are_pinned(build: ModuleType) -> None:
    build.fix_versions(build.crates())
    assert all(len(digest) == 64 for _, _, digest in build.crates())


@pytest.mark.parametrize(
    "more",
    [
        crate("another", "1.0.0", "0" * 64),
        package("another", "1.0.0"),
        package("another", "1.0.0", 'source = "git+https://code.example/another"\n'),
        package("troth-native", "2.0.0", 'source = "git+https://code.example/another"\n'),
    ],
    ids=["registry", "folder", "repository", "of our name"],
)
def test_one_more(build: ModuleType, more: str) -> None:
    lock = build.HERE / "Cargo.lock"
    lock.write_text(lock.read_text() + more)
    with pytest.raises(SystemExit, match=r"crates.txt and Cargo.lock differ in"):
        build.fix_versions(build.crates())


def test_one_of_another_hash_or_none_or_missing(build: ModuleType) -> None:
    lock = build.HERE / "Cargo.lock"
    text = lock.read_text()
    _, version, digest = next(row for row in build.crates() if row[0] == "dunce")
    for other in (
        text.replace(digest, "0" * 64),
        text.replace(f'checksum = "{digest}"\n', ""),
        text.replace(crate("dunce", version, digest), ""),
        text.replace(crate("dunce", version, digest), package("dunce", version)),
    ):
        assert other != text
        lock.write_text(other)
        with pytest.raises(SystemExit, match="differ in dunce"):
            build.fix_versions(build.crates())


def test_an_older_library_is_not_packed(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cargo writes for another machine, it writes into another folder."""
    old = build.HERE / "target" / "release" / build.LIBRARY
    old.parent.mkdir(parents=True)
    old.write_bytes(b"of last year")
    monkeypatch.setattr(build.shutil, "which", lambda _: "cargo")
    monkeypatch.setattr(build, "cargo", lambda *_words: None)  # as where it built elsewhere
    monkeypatch.delenv("CARGO_TARGET_DIR", raising=False)
    hook = object.__new__(build.CargoHook)
    with pytest.raises(SystemExit, match="is CARGO_BUILD_TARGET set"):
        hook.initialize("standard", {"force_include": {}})
    assert not old.exists()
