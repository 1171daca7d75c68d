"""README's transcripts are run, word for word, against a real document."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from troth.model.roots import RootClass
from troth.platforms.nitro import format as nitro_format
from troth.policy import Policy

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EVIDENCE = "veracruz-prod-2022-11-09.cbor"
SECONDS = re.compile(r"\b\d+(\.\d+)? (s|ms)\b")


@pytest.fixture
def folder(vectors: Path, tmp_path: Path) -> Path:
    """The files that README speaks of: a real document, the policy that names its image, another."""
    data = (vectors / "nitro" / EVIDENCE).read_bytes()
    (tmp_path / "evidence.bin").write_bytes(data)
    document = nitro_format.parse(data)
    registers = {f"pcr{i}": document.pcrs[i].hex() for i in range(3)}
    for name, changed in (("app", {}), ("other", {"pcr0": "9b02" * 24})):
        policy = Policy.for_image({"nitro": registers | changed}, name=name)
        text = policy.to_toml().replace('"added", "development", "vendor"', '"vendor"')
        assert Policy.from_toml(text, source=name).roots_allow == {RootClass.VENDOR}
        (tmp_path / f"{name}.policy.toml").write_text(text, encoding="utf-8")
    return tmp_path


def transcripts() -> list[tuple[str, str]]:
    """Each command of README and what stands below it."""
    found = []
    for block in BLOCK.findall(README.read_text(encoding="utf-8")):
        for part in block.split("$ ")[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output.strip("\n")))
    return found


def run(command: str, folder: Path) -> str:
    """What a shell shows, in a terminal of no colour."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout.strip("\n")


def test_readme_has_transcripts() -> None:
    assert len(transcripts()) >= 2


@pytest.mark.parametrize(("command", "output"), transcripts())
def test_a_transcript_prints_what_readme_shows(command: str, output: str, folder: Path) -> None:
    def without_times(text: str) -> list[str]:
        return [SECONDS.sub("N s", line).rstrip() for line in text.splitlines()]

    assert without_times(run(command, folder)) == without_times(output)


def test_a_success_and_a_failure_are_shown() -> None:
    shown = "\n".join(output for _, output in transcripts())
    assert "✓ accepted" in shown
    assert "✗ rejected" in shown
    assert "exit 4" in shown
