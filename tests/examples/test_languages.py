"""The examples in other languages: their own tests, and programs that are the same bytes twice."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from troth.image import elf

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN_TESTS = {
    "hello-go": ("go", "test", "./..."),
    "hello-node": ("node", "--test"),
    "hello-oci": ("perl", "hello.t"),
    "hello-rust": ("cargo", "test", "--quiet", "--locked"),
}
COMPILED = ("hello-go", "hello-rust")
# What a careless build would let in.
ELSEWHERE = {
    "TZ": "Pacific/Chatham",
    "GOFLAGS": "-ldflags=-X=main.statement=other",
    "GOAMD64": "v3",
    "CGO_ENABLED": "1",
    "GOEXPERIMENT": "none",
    "RUSTFLAGS": "-C opt-level=1",
    "CARGO_PROFILE_RELEASE_DEBUG": "true",
    "CARGO_TARGET_DIR": "elsewhere",
}


def copy(name: str, folder: Path) -> Path:
    """An example as it is in the repository, without what somebody compiled there."""
    return shutil.copytree(
        EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("bin", "image.tar", "target")
    )


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.toolchains
@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_TESTS)
def test_its_own_tests_pass(name: str, tmp_path: Path) -> None:
    done = run(copy(name, tmp_path), *OWN_TESTS[name])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.toolchains
@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_it_compiles_to_the_same_bytes_elsewhere(name: str, tmp_path: Path) -> None:
    here = copy(name, tmp_path)
    there = copy(name, tmp_path / "a folder" / "with a longer name")
    said = []
    for folder, environment in ((here, {}), (there, ELSEWHERE)):
        done = run(tmp_path, str(folder / "compile"), **environment)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0] == said[1]
    program = (here / "bin" / "hello").read_bytes()
    assert program == (there / "bin" / "hello").read_bytes()
    assert elf.machine(program) == elf.X86_64
    assert str(tmp_path).encode() not in program
    found = elf.traits(program, name=name)
    assert found.static
    assert not found.executable_stack
    assert elf.needs(program, name=name) == elf.Needs(libraries=(), search=(), interpreter="")


@pytest.mark.toolchains
@pytest.mark.slow
@pytest.mark.parametrize("target", ["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"])
def test_rust_is_static_with_either_c_library(target: str, tmp_path: Path) -> None:
    said = run(tmp_path, "rustc", "--print", "sysroot").stdout.strip()
    if not Path(said, "lib/rustlib", target).is_dir():
        pytest.skip(f"this Rust has no {target}")
    folder = copy("hello-rust", tmp_path)
    done = run(tmp_path, str(folder / "compile"), target)
    assert done.returncode == 0, done.stderr
    assert target in done.stdout
    program = (folder / "bin" / "hello").read_bytes()
    assert elf.traits(program, name=target).static
    assert elf.traits(program, name=target).pie


@pytest.mark.network
def test_a_container_image_is_made_without_docker_and_the_same_elsewhere(tmp_path: Path) -> None:
    here = copy("hello-oci", tmp_path)
    there = copy("hello-oci", tmp_path / "a folder" / "elsewhere")
    copied = copy("hello-oci", tmp_path / "untouched")
    for path in there.rglob("*"):
        os.utime(path, (1, 1))
    for folder in (here, there):
        done = run(tmp_path, str(folder / "compile"), TZ="Asia/Kathmandu", LC_ALL="C")
        assert done.returncode == 0, done.stderr
    image = (here / "image.tar").read_bytes()
    assert image == (there / "image.tar").read_bytes()
    assert {path.name for path in here.iterdir()} == {p.name for p in copied.iterdir()} | {
        "image.tar"
    }


@pytest.mark.parametrize(
    ("name", "tool"), [("hello-go", "go"), ("hello-rust", "cargo"), ("hello-oci", "apt-get")]
)
def test_without_the_toolchain_it_says_what_to_install(
    name: str, tool: str, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for needed in ("dirname", "env", "sed"):
        (programs / needed).symlink_to(shutil.which(needed) or "")
    done = run(tmp_path, "/bin/sh", str(copy(name, tmp_path) / "compile"), PATH=str(programs))
    assert done.returncode == 5
    assert f"error: the program {tool} is not here\nfix: " in done.stderr
