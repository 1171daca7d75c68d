"""README's transcripts are run, word for word, against a real document and a simulated service."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.house import transcripts

from troth.model.roots import RootClass
from troth.platforms.nitro import format as nitro_format
from troth.policy import Policy

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
EVIDENCE = "veracruz-prod-2022-11-09.cbor"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with transcripts.serving("tinfoil-v3", tmp_path_factory.mktemp("service")) as written:
        yield written


@pytest.fixture
def folder(vectors: Path, service: Path, tmp_path: Path) -> Path:
    """What README speaks of: a real document, the policy that names its image, another; a service."""
    shutil.copytree(service, tmp_path / "service")
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


def test_readme_has_transcripts() -> None:
    assert len(transcripts.of(README)) >= 5


@pytest.mark.parametrize(("command", "output"), transcripts.of(README))
def test_a_transcript_prints_what_readme_shows(command: str, output: str, folder: Path) -> None:
    assert not transcripts.differs(output, transcripts.run(command, folder))


def test_a_success_and_a_failure_are_shown() -> None:
    shown = "\n".join(output for _, output in transcripts.of(README))
    assert "✓ accepted" in shown
    assert "✗ rejected" in shown
    assert "exit 4" in shown
