"""A wheel built again: by what its source names by hash and nothing else, in an environment that shows carelessness."""

import platform
import shutil
from pathlib import Path

import pytest
from tests.image import backend
from tests.image.backend import WHEEL

from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.image import wheel_again
from troth.image.architecture import ARM64
from troth.image.rebuild import apart

PYTHON = platform.python_version()


@pytest.fixture
def sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "packages").mkdir()
    return backend.offered(tmp_path / "packages", monkeypatch)


@pytest.fixture
def source(tmp_path: Path, sha256: str) -> Path:
    return backend.source(tmp_path / "source", sha256)


def with_extra(tmp_path: Path, sha256: str, code: str) -> Path:
    return backend.source(tmp_path / "careless", sha256, extra=code)


def test_the_same_source_gives_the_same_wheel(source: Path, tmp_path: Path) -> None:
    before = sorted(path.relative_to(source) for path in source.rglob("*"))
    first = wheel_again.build(source)
    second = wheel_again.build(Path(shutil.copytree(source, tmp_path / "elsewhere")))
    assert first.name == second.name == WHEEL
    assert first.data == second.data
    assert [(pin.name, pin.version) for pin in first.plan.pins] == [("tiny-backend", "1.0")]
    assert sorted(path.relative_to(source) for path in source.rglob("*")) == before
    wheel_again.check_wheel(first.data, name=WHEEL)


@pytest.mark.namespaces
def test_the_backend_has_no_network_and_nothing_of_the_caller_s(
    tmp_path: Path, sha256: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert apart()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    code = """
        import os, socket
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=2)
        except OSError as error:
            files["said.txt"] = os.strerror(error.errno).encode()
        files["names.txt"] = "\\n".join(sorted(os.environ)).encode()
    """
    built = wheel_again.build(with_extra(tmp_path, sha256, code))
    assert built.apart
    assert b"Network is unreachable" in built.data
    assert b"SECRET_OF_THE_CALLER" not in built.data
    assert b"SOURCE_DATE_EPOCH" not in built.data


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("raise ValueError('no such thing')", "failed: ValueError: no such thing"),
        ("import sys; sys.exit(3)", "failed: it ended with 3"),
        ("open(out + '/second.whl', 'w').close()", "made 2 files"),
    ],
)
def test_a_backend_that_does_not_do_its_work(
    tmp_path: Path, sha256: str, code: str, what: str
) -> None:
    with pytest.raises(Unavailable, match=what):
        wheel_again.build(with_extra(tmp_path, sha256, code))


def test_a_package_with_another_digest_is_not_installed(tmp_path: Path, sha256: str) -> None:
    assert sha256 != "0" * 64
    with pytest.raises((Malformed, Misuse), match=r"digest|pinned"):
        wheel_again.build(backend.source(tmp_path / "source", "0" * 64))


def test_a_python_that_is_none(source: Path) -> None:
    for python in ("/nonexistent/python", "/bin/false", "a\0b"):
        with pytest.raises(Unavailable):
            wheel_again.build(source, python=python)


GOOD = "tiny-backend==1.0 --hash=sha256:" + "0" * 64 + "\n"


@pytest.mark.parametrize(
    ("file", "text", "kind", "what"),
    [
        ("requirements/build.txt", None, Misuse, "the source has no requirements/build.txt"),
        ("pyproject.toml", None, Misuse, "the source has no pyproject.toml"),
        ("pyproject.toml", "[", Malformed, "is not TOML"),
        ("pyproject.toml", "", Misuse, "names no build backend"),
        ("pyproject.toml", "build-system = 1", Misuse, "names no build backend"),
        ("pyproject.toml", "[build-system]\nbuild-backend = 1", Misuse, "names no build backend"),
        ("pyproject.toml", "[build-system]\nbuild-backend = 'a b'", Malformed, "no build backend"),
        ("pyproject.toml", "[build-system]\nbuild-backend = 'a'", Misuse, "what its build requires"),
        ("pyproject.toml", "[build-system]\nbuild-backend = 'a'\nbackend-path = ['.']", Misuse, "out of the source"),
        ("pyproject.toml", "[build-system]\nbuild-backend = 'a'\nrequires = ['b']", Misuse, "lacks b"),
        ("pyproject.toml", "[build-system]\nbuild-backend = 'a'\nrequires = ['!']", Malformed, "no requirement"),
        ("pyproject.toml", "[build-system]\nbuild-backend = 'a'\nrequires = ['tiny_backend>2']", Misuse, "has tiny_backend 1.0"),
        ("pyproject.toml", "[build-system]\nbuild-backend = 'a'\nrequires = [\"b; os_name ~= 'x'\"]", Malformed, "no requirement"),
        ("pyproject.toml", "[build-system]\nbuild-backend = 'a'\nrequires = [1]", Misuse, "what its build requires"),
        ("requirements/build.txt", "tiny-backend===one --hash=sha256:" + "0" * 64, Misuse, "has tiny-backend one"),
        ("requirements/build.txt", "tiny-backend==1.0\n", Malformed, "no line has a hash"),
        ("requirements/build.txt", "tiny-backend>=1.0 --hash=sha256:" + "0" * 64, Misuse, "not pinned"),
        ("requirements/build.txt", "--index-url x\n" + GOOD, Misuse, "--index-url"),
        ("requirements/build.txt", "-r other.txt\n" + GOOD, Misuse, "another file"),
        ("requirements/build.txt", "", Misuse, "lacks tiny-backend"),
        ("requirements/build.txt", "#" * (5 << 20), Malformed, "is larger"),
    ],
)  # fmt: skip
def test_sources_that_do_not_say_how(
    source: Path, file: str, text: str | None, kind: type[TrothError], what: str
) -> None:
    (source / file).unlink()
    if text is not None:
        (source / file).write_text(text)
    with pytest.raises(kind, match=what):
        wheel_again.plan(source, python=PYTHON)


def test_what_another_machine_asks_for(source: Path) -> None:
    (source / "pyproject.toml").write_text(
        "[build-system]\nbuild-backend = 'a'\nrequires = [\"b; platform_machine == 'aarch64'\"]"
    )
    assert wheel_again.plan(source, python=PYTHON).backend == "a"
    with pytest.raises(Misuse, match="lacks b"):
        wheel_again.plan(source, python=PYTHON, machine=ARM64)


def test_what_leads_out_of_the_source_is_not_read(source: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text(GOOD)
    (source / "requirements" / "build.txt").unlink()
    (source / "requirements" / "build.txt").symlink_to(outside)
    with pytest.raises(Misuse, match=r"has no requirements/build\.txt"):
        wheel_again.plan(source, python=PYTHON)


@pytest.mark.parametrize(
    "name",
    [
        "x.whl",
        "thing-1.0-cp313-cp313-manylinux_2_28_x86_64.whl",
        "thing-1.0-py3-none-manylinux1_x86_64.whl",
        "thing-1.0-py3-abi3-any.whl",
        "-thing-1.0-py3-none-any.whl",
        "thing-1.0-py3-none-any.whl\n",
        "../thing-1.0-py3-none-any.whl",
    ],
)
def test_names_of_other_wheels(name: str) -> None:
    with pytest.raises(Misuse):
        wheel_again.named(name)


def test_names_of_wheels() -> None:
    assert wheel_again.named("troth-0.1.0-py3-none-any.whl") == ("troth", "0.1.0")
    assert wheel_again.named("six-1.17.0-py2.py3-none-any.whl") == ("six", "1.17.0")
