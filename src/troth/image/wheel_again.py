"""A pure-Python wheel, built again from its source: by the very packages that the source names by hash.

The source's own build backend is a program, and it runs here: with this user's rights, in folders that are removed
afterwards, and without the network where the machine can see to that.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from troth.errors import Malformed, Misuse, Unavailable
from troth.image import check, pins, unpack_wheel, wheels
from troth.image.architecture import AMD64, ARCHITECTURES, Architecture
from troth.image.files import disk
from troth.image.pins import Pin
from troth.image.rebuild import apart
from troth.image.store import digest
from troth.wire import toml

REQUIREMENTS: Final = "requirements/build.txt"
PROJECT: Final = "pyproject.toml"
ENDING: Final = ".whl"
MOST: Final = 256 << 20  # bytes of a wheel
_MOST_PROJECT: Final = 4 << 20
_NAME: Final = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9_.]*)-([A-Za-z0-9_.!+]+)-(py[0-9][a-z0-9_.]*)-none-any\.whl"
)
_BACKEND: Final = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?", re.ASCII)
_MACHINES: Final = {one.machine: one for one in ARCHITECTURES.values()}
_SECONDS: Final = 900
_LAST: Final = 2000
# Left behind by working in a folder, and in no wheel.
_UNREAD: Final = (
    *(".git", ".venv", "__pycache__", "*.pyc", ".hypothesis", ".import_linter_cache"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache"),
)
_ANEW: Final = (
    f"write its build backend with all that it needs, by name, version and hash, into {REQUIREMENTS}: "
    "pip-compile --generate-hashes, or uv pip compile --generate-hashes"
)
# A backend is called as PEP 517 says, and asked for nothing but the wheel.
_WORKER: Final = """
import importlib, sys
name, _, inner = sys.argv[1].partition(":")
backend = importlib.import_module(name)
for part in inner.split(".") if inner else ():
    backend = getattr(backend, part)
backend.build_wheel(sys.argv[2], {}, None)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a source says that its wheel is built.

    Attributes:
        backend: of PEP 517, such as `hatchling.build`.
        pins: the backend's package and all that it needs.
        project_sha256, requirements_sha256: of the two files that say so.
    """

    backend: str
    pins: tuple[Pin, ...]
    project_sha256: str
    requirements_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What came out.

    Attributes:
        name: the wheel's, as the backend calls it.
        data: its bytes.
        plan: how it was built.
        apart: whether the backend was kept from the network.
    """

    name: str
    data: bytes
    plan: Plan
    apart: bool


def named(file: str) -> tuple[str, str]:
    """Distribution and version of a pure-Python wheel, out of its file's name.

    Raises:
        Misuse: it is no such name.
    """
    found = _NAME.fullmatch(file)
    if found is None:
        raise Misuse(
            f"{file[:120]} is not called as a wheel for every machine is: NAME-VERSION-py3-none-any.whl",
            fix="a wheel with compiled parts is built again by the tools that compiled it",
        )
    return found[1], found[2]


def check_wheel(data: bytes, *, name: str) -> None:
    """That these bytes are a wheel whose RECORD is true.

    Raises:
        Malformed: they are not.
    """
    if len(data) > MOST:
        raise Malformed(f"is larger than {MOST >> 20} MiB", field=name)
    for _ in unpack_wheel.files(data, name=name):
        pass


def plan(source: Path, *, python: str, machine: Architecture = AMD64) -> Plan:
    """What a source says of how its wheel is built.

    Args:
        source: its folder.
        python: version of the Python that its requirements are read for, in full.
        machine: that they are read for.

    Raises:
        Misuse: it does not say so, or not by hash.
        Malformed: what it says is not read.
        Unavailable: the disk refuses, or the package `packaging` is not installed (extra `locks`).
    """
    project = _file(source, PROJECT, "name the folder of the project with --path")
    requirements = _file(source, REQUIREMENTS, _ANEW)
    try:
        document = toml.loads(project.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"is not TOML: {error}"[:300], field=PROJECT) from None
    system = document.get("build-system")
    backend = system.get("build-backend") if isinstance(system, dict) else None
    if not isinstance(system, dict) or not isinstance(backend, str):
        raise Misuse(f"{PROJECT} names no build backend", fix="add [build-system] (PEP 517)")
    if not _BACKEND.fullmatch(backend):
        raise Malformed(f"{backend[:80]!r} is no build backend", field=PROJECT)
    if "backend-path" in system:
        raise Misuse(
            f"{PROJECT} takes its build backend out of the source itself, which no hash pins"
        )
    found = pins.read(requirements, name=REQUIREMENTS, python=python, machine=machine)
    _check_pinned(system.get("requires"), found, pins.environment(python, machine))
    return Plan(
        backend=backend,
        pins=found,
        project_sha256=digest(project),
        requirements_sha256=digest(requirements),
    )


def _file(source: Path, name: str, fix: str) -> bytes:
    place = source / name
    with disk(f"reading {name}"):
        if not place.is_file() or not place.resolve().is_relative_to(source.resolve()):
            raise Misuse(f"the source has no {name}", fix=fix)
        if place.stat().st_size > _MOST_PROJECT:
            raise Malformed(f"is larger than {_MOST_PROJECT >> 20} MiB", field=name)
        return place.read_bytes()


def _check_pinned(requires: Any, found: tuple[Pin, ...], rules: Mapping[str, str]) -> None:
    """That all which the project asks for at its build is there, in a version that it takes."""
    if not isinstance(requires, list) or not all(isinstance(one, str) for one in requires):
        raise Misuse(
            f"{PROJECT} does not say what its build requires", fix="add requires (PEP 518)"
        )
    requirements = pins.packaging("requirements")
    versions = {pin.name: pin.version for pin in found}
    for text in requires:
        try:
            said = requirements.Requirement(text)
            asked = said.marker is None or said.marker.evaluate(dict(rules))
            version = versions.get(pins.canonical(said.name))
            good = version is not None and said.specifier.contains(version, prereleases=True)
        # Also markers and versions that cannot be compared.
        except (ValueError, KeyError, RecursionError):
            raise Malformed(f"{text[:80]!r} is no requirement", field=PROJECT) from None
        if asked and not good:
            has = f"has {said.name} {version}" if version else f"lacks {said.name}"
            raise Misuse(f"{PROJECT} asks for {text[:80]}, and {REQUIREMENTS} {has}", fix=_ANEW)


def build(
    source: Path,
    *,
    python: str = sys.executable,
    say: Callable[[str], object] = lambda _: None,
) -> Built:
    """Builds the wheel of a source, in an environment as unlike the usual one as this machine allows.

    `SOURCE_DATE_EPOCH` is not set: what a backend writes without it is what most builders write.

    Args:
        source: its folder; nothing in it is changed.
        python: the interpreter that the backend runs under.
        say: told each step.

    Raises:
        Misuse, Malformed: as `plan`.
        Unavailable: as `plan`; no network for the backend's packages; the backend fails.
    """
    # A machine of a third kind is read for as the commonest; most backends are for every one.
    machine = _MACHINES.get(platform.machine(), AMD64)
    how = plan(source, python=_version(python), machine=machine)
    with disk("building the wheel"), TemporaryDirectory(prefix="troth-wheel-") as name:
        folder = Path(name)
        environment = folder / "environment"
        say("fetching the build backend")
        _run(python, "-m", "venv", "--without-pip", str(environment))
        wheels.install(how.pins, environment)
        copy = folder / "a-much-longer-name-of-a-folder" / "source"
        shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns(*_UNREAD))
        out = folder / "out"
        out.mkdir()
        (folder / "temporary").mkdir()
        say(f"building by {how.backend}")
        walls = apart()
        _call(how.backend, copy, out, environment, walls)
        made = sorted(out.iterdir())
        if len(made) != 1 or made[0].suffix != ENDING or made[0].is_symlink():
            raise Unavailable(f"{how.backend} made {len(made)} files and should make one wheel")
        if made[0].stat().st_size > MOST:
            raise Unavailable(f"{how.backend} made a wheel of more than {MOST >> 20} MiB")
        return Built(name=made[0].name, data=made[0].read_bytes(), plan=how, apart=bool(walls))


def _version(python: str) -> str:
    return _run(python, "-c", "import platform; print(platform.python_version())").strip()


def _run(python: str, *words: str) -> str:
    try:
        done = subprocess.run(
            [python, "-P", *words],
            env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, ValueError) as error:
        raise Unavailable(f"{python} cannot be started: {error}"[:300]) from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise Unavailable(f"{python} makes no environment to build in: {said[-1][:300]}")
    return done.stdout


def _call(backend: str, source: Path, out: Path, environment: Path, walls: tuple[str, ...]) -> None:
    strange = check.strange()
    variables = {k: v for k, v in strange.variables.items() if k != "SOURCE_DATE_EPOCH"}
    said = out.parent / "said"
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [
                *(*walls, *strange.prefix),
                *(str(environment / "bin" / "python"), "-P", "-s", "-c", _WORKER),
                *(backend, str(out)),
            ],
            env={
                **variables,
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TMPDIR": str(out.parent / "temporary"),
            },
            cwd=source,
            umask=strange.umask,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            process.wait(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{backend} took longer than {_SECONDS} s") from None
        finally:
            check.end(process)
    if process.returncode:
        with said.open("rb") as file:
            file.seek(max(0, said.stat().st_size - _LAST))
            last = file.read().decode("utf-8", "replace").strip().splitlines()
        raise Unavailable(
            f"{backend} failed: {last[-1][:300] if last else f'it ended with {process.returncode}'}",
            fix="look whether this source builds at all: python -m build --wheel",
        )
