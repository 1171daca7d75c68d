"""The transcripts of guides are run in order, in one folder, as a reader would."""

import re
import resource
import shutil
from pathlib import Path

import pytest
from tests.cli.released import app, evidence
from tests.house import transcripts
from tests.platforms.nitro.signer import image
from tests.release.supplied import ADVISORIES, desk
from tests.release.test_osv import put

from troth.image.files import cache_folder
from troth.wire import eif

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
SERVED = {"is-this-endpoint-genuine.md": "phala"}
BOOTED = "boot-it-on-your-laptop.md"
BUILT = "any-language.md"
BROUGHT = "bring-a-container.md"
SIGNED = "sign-an-image.md"
RELEASED = "releases-in-a-log.md"
LOGGED = "keep-a-log.md"
CHECKED = "cross-check-with-qemu.md"
SUPPLIED = "supply-chain.md"
REBUILT = "rebuild.md"
_FIVE_MINUTES = 300


@pytest.mark.parametrize("page", SERVED)
def test_a_guide_prints_what_it_shows(page: str, tmp_path: Path) -> None:
    shown = transcripts.of(GUIDES / page)
    assert len(shown) > 5
    assert f"simulate {SERVED[page]} service" in (GUIDES / page).read_text(encoding="utf-8")
    with transcripts.serving(SERVED[page], tmp_path):
        for command, output in shown:
            wrong = transcripts.differs(output, transcripts.run(command, tmp_path))
            assert not wrong, f"{command}\n{wrong}"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is absent")
def test_an_image_is_signed_as_the_guide_says(tmp_path: Path) -> None:
    """The image is a small one, made on the spot; the reader's own is made by `troth build`."""
    (tmp_path / "app.eif").write_bytes(eif.pack(image()))
    shown = transcripts.of(GUIDES / SIGNED)
    assert len(shown) > 5
    for command, output in shown:
        wrong = transcripts.differs(output, transcripts.run(command, tmp_path))
        assert not wrong, f"{command}\n{wrong}"


def test_releases_are_logged_as_the_guide_says(tmp_path: Path) -> None:
    """Image and evidence are small ones, made on the spot; the reader's own are of `troth build` and a run."""
    app(tmp_path)
    evidence(tmp_path)
    shown = transcripts.of(GUIDES / RELEASED)
    assert len(shown) > 20
    for command, output in shown:
        printed = transcripts.run(command, tmp_path)
        wrong = transcripts.differs(output, printed)
        assert not wrong, f"{command}\n{wrong}\n{printed}"


def test_a_log_is_kept_as_the_guide_says(tmp_path: Path) -> None:
    shown = transcripts.of(GUIDES / LOGGED)
    assert len(shown) > 15
    for command, output in shown:
        wrong = transcripts.differs(output, transcripts.run(command, tmp_path))
        assert not wrong, f"{command}\n{wrong}"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is absent")
def test_what_is_in_an_image_is_shown_as_the_guide_says(tmp_path: Path) -> None:
    """The image and its packages are small ones, made on the spot, in the reader's own store."""
    desk(tmp_path)
    store = tmp_path / ".cache" / "troth" / "store"
    store.mkdir(parents=True)
    (tmp_path / "store").rename(store / "sha256")
    put(tmp_path, *ADVISORIES, name="advisories.json")
    shown = transcripts.of(GUIDES / SUPPLIED)
    assert len(shown) > 9
    for command, output in shown:
        printed = transcripts.run(command, tmp_path)
        wrong = transcripts.differs(output, re.sub(r"sha256 [0-9a-f]{64}", "sha256 SHA", printed))
        assert not wrong, f"{command}\n{wrong}\n{printed}"


@pytest.mark.namespaces
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.toolchains
def test_a_strangers_first_app_is_verified_within_five_minutes(tmp_path: Path) -> None:
    """In a home with no package, no compiled library, and no root yet.

    By the processors' time, which tells the same beside other tests; on an idle machine the clock's is less.
    """
    shown = transcripts.of(GUIDES / BUILT)
    took: list[float] = []
    for command, output in shown:
        began = _processors()
        printed = transcripts.run(command, tmp_path)
        took.append(_processors() - began)
        wrong = transcripts.differs(output, printed)
        assert not wrong, f"{command}\n{wrong}\n{printed}"
    first = 1 + [command for command, _ in shown].index("troth up greeter")
    assert first == len(("init", "compile", "lock", "up"))
    assert sum(took[:first]) < _FIVE_MINUTES, took


@pytest.mark.namespaces
@pytest.mark.network
@pytest.mark.slow
def test_a_container_is_brought_as_the_guide_says(tmp_path: Path) -> None:
    shown = transcripts.of(GUIDES / BROUGHT)
    assert len(shown) > 5
    for command, output in shown:
        printed = transcripts.run(command, tmp_path)
        wrong = transcripts.differs(output, printed)
        assert not wrong, f"{command}\n{wrong}\n{printed}"


@pytest.mark.microvm
@pytest.mark.namespaces
@pytest.mark.network
@pytest.mark.slow
def test_an_image_boots_on_a_laptop_as_the_guide_says(tmp_path: Path) -> None:
    shown = transcripts.of(GUIDES / BOOTED)
    assert len(shown) > 5
    try:
        for command, output in shown:
            printed = transcripts.run(command, tmp_path)
            wrong = transcripts.differs(output, printed)
            assert not wrong, f"{command}\n{wrong}\n{printed}"
    finally:
        transcripts.run("troth stop --all", tmp_path)


@pytest.mark.qemu_nitro
@pytest.mark.hardware_kernel
@pytest.mark.network
@pytest.mark.slow
def test_an_image_is_cross_checked_as_the_guide_says(tmp_path: Path) -> None:
    """With the packages, kernel and QEMU that this user has; the values are of another version of troth."""
    (tmp_path / ".cache").symlink_to(cache_folder().parent)
    shown = transcripts.of(GUIDES / CHECKED)
    assert len(shown) > 3
    for command, output in shown:
        printed = transcripts.run(command, tmp_path)
        words = (re.sub(r"\b[0-9a-f]{96}\b", "REGISTER", text) for text in (output, printed))
        wrong = transcripts.differs(*words)
        assert not wrong, f"{command}\n{wrong}\n{printed}"


@pytest.mark.skipif(shutil.which("git") is None, reason="the program git is absent")
@pytest.mark.namespaces
@pytest.mark.network
@pytest.mark.slow
def test_an_image_is_rebuilt_as_the_guide_says(tmp_path: Path) -> None:
    """With the packages that this user has."""
    (tmp_path / ".cache").symlink_to(cache_folder().parent)
    shown = transcripts.of(GUIDES / REBUILT)
    assert len(shown) > 8
    try:
        for command, output in shown:
            printed = transcripts.run(command, tmp_path)
            wrong = transcripts.differs(output, printed)
            assert not wrong, f"{command}\n{wrong}\n{printed}"
    finally:
        transcripts.run("troth stop --all", tmp_path)


def _processors() -> float:
    """Seconds that programs which this process started have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_no_guide_shows_a_transcript_that_is_not_run() -> None:
    shown = {page.name for page in GUIDES.glob("*.md") if transcripts.of(page)}
    logged = {RELEASED, LOGGED, SUPPLIED, REBUILT}
    assert shown == {*SERVED, *logged, BOOTED, BUILT, BROUGHT, SIGNED, CHECKED}


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
