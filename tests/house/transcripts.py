"""What pages show of a terminal, and how it is run again. A line of `…` alone stands for any lines."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import troth

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MIRRORS = re.compile(r"PIP_.*|.*_proxy|.*_PROXY|SSL_CERT_FILE")  # how this machine gets packages
_LATER = (  # what is another each time
    (re.compile(r"\b\d+(\.\d+)? (s|ms)\b"), "N s"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\s+\d\d:\d\d:\d\dZ"), "THEN"),
    (re.compile(r"\bat \d{4}-\d\d-\d\d \d\d:\d\dZ"), "at THEN"),
    (re.compile(r"\b(UpToDate of) \d{4}-\d\d-\d\d"), r"\1 THEN"),
    (re.compile(r"\b0x[0-9a-f]{40}\b"), "0xADDRESS"),
    (re.compile(r"\bsession [0-9a-f]{16}….*|\bsession …$"), "session …"),
    (re.compile(r'"agent":"[0-9.]+"'), '"agent":"N"'),
    (re.compile(r"https://(127\.0\.0\.1|localhost):\d+"), "https://HOST"),
)


def of(page: Path) -> list[tuple[str, str]]:
    """Each command of a page and what stands below it."""
    found = []
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for part in block.split("$ ")[1:]:
            command, output = _split(part)
            found.append((command, output.strip("\n")))
    return found


def _split(part: str) -> tuple[str, str]:
    """Command and output; a command goes on behind a backslash at a line's end."""
    lines = part.split("\n")
    size = 1
    while lines[size - 1].endswith("\\"):
        size += 1
    return "\n".join(lines[:size]), "\n".join(lines[size:])


def run(command: str, folder: Path) -> str:
    """What a shell shows, in a terminal of no colour."""
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout.strip("\n")


def environment(folder: Path) -> dict[str, str]:
    """A shell's, with this Python's programs first, and the package that is tested."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    package = str(Path(troth.__file__).parents[1])
    kept = {name: value for name, value in os.environ.items() if _MIRRORS.fullmatch(name)}
    ours = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONPATH": package}
    return kept | ours


def differs(shown: str, printed: str) -> str:
    """The first line that a page shows and that was not printed there, or empty."""
    want, got = _lines(shown), _lines(printed)
    at, skipping = 0, False
    for line in want:
        if line == "…":
            skipping = True
        elif skipping and line in got[at:]:
            at, skipping = got.index(line, at) + 1, False
        elif not skipping and at < len(got) and got[at] == line:
            at += 1
        else:
            return f"shown: {line!r}; printed: {got[at] if at < len(got) else 'nothing'!r}"
    return "" if skipping or at == len(got) else f"not shown: {got[at]!r}"


def _lines(text: str) -> list[str]:
    for pattern, word in _LATER:
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.splitlines()]


@contextmanager
def serving(service: str, folder: Path) -> Iterator[Path]:
    """A simulated service, started as a reader starts it; gives the folder that it writes."""
    program = [sys.executable, "-m", "troth.channel.services.simulate", service, "service"]
    with subprocess.Popen(
        program, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True
    ) as started:
        try:
            assert started.stdout is not None
            assert "listens on" in started.stdout.readline()
            started.stdout.readline()
            yield folder / "service"
        finally:
            started.terminate()
        assert started.wait(20) == 0
