"""Asking pip which wheels an image needs, and fetching them by digest.

pip decides and downloads, as the machine has it configured; nothing is built and nothing is run.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from troth.errors import Malformed, Misuse, Unavailable
from troth.image.architecture import AMD64, Architecture
from troth.image.fetched import Fetched, Trouble, Why
from troth.image.files import disk
from troth.image.lock import Wheel
from troth.image.pins import Pin, canonical
from troth.image.store import DIGEST, digest
from troth.wire import json

AGENT: Final = ("cbor2", "cryptography", "pyopenssl")
"""What troth's own part of every image imports."""
_TIMEOUT: Final = 600
_NO_ANSWER: Final = ("connection broken by", "Could not fetch URL", "Max retries exceeded")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\.whl")
# glibc of Debian 13 is 2.41; a wheel for any older one runs there.
PLATFORMS: Final = (*(f"manylinux_2_{minor}" for minor in range(41, 16, -1)), "manylinux2014")
"""What wheels call the systems that an image is like, best first; a machine's name follows."""


def resolve(
    packages: Sequence[str], *, python: str, machine: Architecture = AMD64
) -> tuple[Wheel, ...]:
    """The wheels for these packages and all that they need, sorted by name; sizes are 0.

    Args:
        packages: names, with versions where they matter.
        python: such as `3.13`.
        machine: that they are for.

    Raises:
        Misuse: one does not exist, or has no wheel.
        Unavailable: pip is not there, or reaches no index.
    """
    if not packages:
        return ()
    what = f"{', '.join(packages)} as wheels"
    fix = "correct python.packages in troth.toml; each must have a wheel for this Python on "
    with disk("asking pip"), TemporaryDirectory(prefix="troth-pip-") as folder:
        words = (*_target(python, machine), "--", *packages)
        return _report(Path(folder), words, what=what, fix=fix + machine.machine)


def resolve_pinned(
    pins: Sequence[Pin], *, python: str, machine: Architecture = AMD64
) -> tuple[Wheel, ...]:
    """The wheel of each package that somebody pinned: nothing more, and nothing else.

    Args:
        pins: from `pins.read`.
        python: such as `3.13`.
        machine: that they are for.

    Raises:
        Misuse: one has no wheel among the files that are allowed.
        Unavailable: pip is not there, or reaches no index.
        Malformed: pip names another file than one that is allowed.
    """
    if not pins:
        return ()
    fix = "nothing is built from source here: pin versions that have a wheel for this Python on "
    with disk("asking pip"), TemporaryDirectory(prefix="troth-pip-") as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text("".join(_line(p.name, p.version, p.sha256) for p in pins))
        words = ("--no-deps", "--require-hashes", *_target(python, machine))
        found = _report(
            Path(folder),
            (*words, "--requirement", str(wanted)),
            what="a wheel for each package that is pinned by hash",
            fix=fix + machine.machine,
        )
    allowed = {pin.name: pin.sha256 for pin in pins}
    for wheel in found:
        if wheel.sha256 not in allowed.pop(wheel.name, ()):
            raise Malformed(f"has {wheel.file}, which is not pinned", field="pip's report")
    if allowed:
        raise Malformed(f"lacks {', '.join(sorted(allowed))}", field="pip's report")
    return found


def install(pins: Sequence[Pin], environment: Path) -> None:
    """Installs packages that somebody pinned by hash, and nothing else, into a virtual environment.

    Args:
        pins: from `pins.read`.
        environment: its folder.

    Raises:
        Misuse: one has no wheel among the files that are allowed.
        Malformed: a file has another digest.
        Unavailable: pip is not there, or reaches no index.
    """
    with disk("asking pip"), TemporaryDirectory(prefix="troth-pip-") as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text("".join(_line(p.name, p.version, p.sha256) for p in pins))
        done = _pip(
            *("--python", str(environment / "bin" / "python"), "install", "--quiet", "--no-deps"),
            *("--require-hashes", "--only-binary", ":all:", "--requirement", str(wanted)),
        )
    if not done.returncode:
        return
    if _unreached(done.stderr):
        raise Unavailable(
            "pip reaches no index of packages", fix="check the network and pip's configuration"
        )
    said = _last_error(done.stderr)
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise Malformed(f"a package has another digest: {said}"[:300], field="pip")
    raise Misuse(
        f"pip can't install what is pinned: {said}"[:300],
        fix="pin versions that have a wheel for this Python",
    )


def _line(name: str, version: str, sha256: Sequence[str]) -> str:
    return f"{name}=={version}{''.join(f' --hash=sha256:{value}' for value in sha256)}\n"


def _report(folder: Path, words: Sequence[str], *, what: str, fix: str) -> tuple[Wheel, ...]:
    """What pip would install into a folder."""
    report = folder / "report.json"
    how = ("install", "--dry-run", "--ignore-installed", "--quiet", "--report", str(report))
    done = _pip(*how, "--target", str(folder), *words)
    if done.returncode:
        if _unreached(done.stderr):
            raise Unavailable(
                "pip reaches no index of packages",
                fix="check the network and pip's configuration",
            )
        raise Misuse(f"pip can't give {what}: {_last_error(done.stderr)}", fix=fix)
    return parse_report(report.read_bytes())


def parse_report(data: bytes) -> tuple[Wheel, ...]:
    """The wheels that an installation report of pip names.

    Raises:
        Malformed: something is no wheel, or comes without a SHA-256.
    """
    report = json.parse(data, field="pip's report")
    items = report.get("install") if isinstance(report, dict) else None
    if not isinstance(items, list):
        raise Malformed("lists nothing to install", field="pip's report")
    return tuple(sorted((_wheel(item) for item in items), key=lambda wheel: wheel.name))


def _wheel(item: Any) -> Wheel:
    try:
        source, metadata = item["download_info"], item["metadata"]
        address, sha256 = source["url"], source["archive_info"]["hashes"]["sha256"]
        name, version = canonical(str(metadata["name"])), str(metadata["version"])
        file = unquote(urlsplit(str(address)).path).rpartition("/")[2]
    except (KeyError, TypeError, ValueError):
        raise Malformed(
            "has an item without name, address or SHA-256", field="pip's report"
        ) from None
    if not _FILE.fullmatch(file) or not DIGEST.fullmatch(str(sha256)):
        raise Malformed(f"has {file!r}, which is no wheel with a SHA-256", field="pip's report")
    return Wheel(name=name, version=version, file=file, size=0, sha256=str(sha256))


def download(
    wheels: Sequence[Wheel], into: Path, *, python: str, machine: Architecture = AMD64
) -> Fetched:
    """Fetches wheels by name, version and digest."""
    target = _target(python, machine)
    files, trouble = _download(wheels, into, target)
    troubles: dict[str, Trouble] = {}
    for wheel in wheels:
        if wheel.sha256 in files:
            continue
        # pip keeps nothing of a set of which one is missing: each is asked for by itself, to name it.
        if trouble is not None and trouble.why is not Why.UNREACHABLE:
            more, trouble = _download([wheel], into, target)
            files |= more
        if wheel.sha256 not in files:
            troubles[wheel.sha256] = trouble or Trouble(why=Why.ALTERED, said="another file came")
    return Fetched(files=files, troubles=troubles)


def _download(
    wheels: Sequence[Wheel], into: Path, target: tuple[str, ...]
) -> tuple[dict[str, Path], Trouble | None]:
    if not wheels:
        return {}, None
    wanted = into / "requirements.txt"
    wanted.write_text("".join(_line(w.name, w.version, [w.sha256]) for w in wheels))
    words = ("download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(into))
    done = _pip(*words, *target, "--requirement", str(wanted))
    by_digest = {digest(path.read_bytes()): path for path in into.glob("*.whl")}
    came = {w.sha256: by_digest[w.sha256] for w in wheels if w.sha256 in by_digest}
    if done.returncode == 0:
        return came, None
    return came, parse_trouble(done.stderr, files=[w.file for w in wheels])


def parse_trouble(text: str, *, files: Sequence[str]) -> Trouble:
    """What pip's complaint says of why something did not come.

    Args:
        text: its stderr.
        files: names of the wheels asked for. Where a version's locked wheel is no longer there, pip
            takes another of that version and complains of its digest; only a file of the very name
            with another digest was altered.
    """
    why = Why.UNREACHABLE
    if _unreached(text):
        pass
    elif "DO NOT MATCH THE HASHES" in text:
        why = Why.ALTERED if any(f"/{name}" in unquote(text) for name in files) else Why.GONE
    elif "No matching distribution" in text or "HTTP error 404" in text:
        why = Why.GONE
    return Trouble(why=why, said=_last_error(text))


def _unreached(text: str) -> bool:
    return any(sign in text for sign in _NO_ANSWER)


def _target(python: str, machine: Architecture) -> tuple[str, ...]:
    tag = "cp" + python.replace(".", "")
    words = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python]
    for abi in (tag, "abi3", "none"):
        words += ("--abi", abi)
    for glibc in PLATFORMS:
        words += ("--platform", f"{glibc}_{machine.machine}")
    return tuple(words)


def _pip(*words: str) -> subprocess.CompletedProcess[str]:
    # -P: a pip.py in the folder we were started in is not pip.
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        *words,
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"pip did not end within {_TIMEOUT} seconds", fix="check the network"
        ) from None
    if "No module named pip" in done.stderr:
        raise Unavailable("this Python has no pip", fix="python3 -m ensurepip")
    return done


def _last_error(text: str) -> str:
    errors = [line[7:].strip() for line in text.splitlines() if line.startswith("ERROR: ")]
    return errors[-1] if errors else "it said nothing"
