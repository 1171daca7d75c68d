"""The transcripts of guides are run in order, in one folder, as a reader would."""

from pathlib import Path

import pytest
from tests.house import transcripts

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
SERVED = {"is-this-endpoint-genuine.md": "phala"}


@pytest.mark.parametrize("page", SERVED)
def test_a_guide_prints_what_it_shows(page: str, tmp_path: Path) -> None:
    shown = transcripts.of(GUIDES / page)
    assert len(shown) > 5
    assert f"simulate {SERVED[page]} service" in (GUIDES / page).read_text(encoding="utf-8")
    with transcripts.serving(SERVED[page], tmp_path):
        for command, output in shown:
            wrong = transcripts.differs(output, transcripts.run(command, tmp_path))
            assert not wrong, f"{command}\n{wrong}"


def test_no_guide_shows_a_transcript_that_is_not_run() -> None:
    shown = {page.name for page in GUIDES.glob("*.md") if transcripts.of(page)}
    assert shown == SERVED.keys()


def test_what_differs_is_found() -> None:
    assert not transcripts.differs("a\n…\nc", "a\nb\nb\nc")
    assert not transcripts.differs("a\n…", "a\nb")
    assert not transcripts.differs("at 2026-01-02 03:04Z", "at 2027-01-02 03:04Z")
    for shown, printed in (
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("a\n…\nc", "a\nb"),
        ("b", "a"),
        ("", "a"),
    ):
        assert transcripts.differs(shown, printed)
