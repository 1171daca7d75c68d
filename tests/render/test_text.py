"""Reports as they print, line by line."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from troth.model.check import Check, failed, passed, undecided, waived
from troth.model.codes import TABLE
from troth.model.report import Report
from troth.model.roots import RootClass
from troth.render.escape import shorten, shorten_pair
from troth.render.paint import Paint, for_encoding
from troth.render.text import report_text
from troth.render.words import span

PCR = ("1c" * 48, "2d" * 48)


def report(*checks: Check, required: tuple[str, ...] = ("G104",), **more: object) -> Report:
    made = Report(
        subject="evidence.bin",
        subject_sha256="ab" * 32,
        platform="nitro",
        platform_title="AWS Nitro",
        policy="app.policy.toml",
        policy_sha256="cd" * 32,
        at=datetime(2026, 11, 23, 3, 10, 5, tzinfo=UTC),
        as_of=False,
        root_class=RootClass.VENDOR,
        roots=("64" * 32,),
        collateral=(),
        checks=(passed(TABLE["G104"], "signature"), *checks),
        required=tuple(TABLE[code] for code in required),
        presented=None,
        notes=("AWS Nitro has no revocation",),
    )
    return replace(made, **more)


def test_acceptance_says_what_it_rests_on_and_how_far_it_goes() -> None:
    checks = [
        *(
            passed(TABLE["M201"], f"pcr{i}", presented=v, expected=v, source="app.eif")
            for i, v in enumerate(PCR)
        ),
        passed(TABLE["B101"], "nonce"),
        passed(TABLE["B201"], "public_key"),
    ]
    assert report_text(report(*checks)) == (
        "✓ accepted   AWS Nitro · policy app.policy.toml · at 2026-11-23 03:10Z\n"
        "  pcr0, pcr1 match app.eif · your nonce · your key\n"
        "  This says what runs, not that it is free of bugs.\n"
        "\n"
        "   = note: AWS Nitro has no revocation\n"
        "\n"
        "5 passed · 0 failed · 0 undecided                                         exit 0"
    )


def test_a_failure_reads_like_a_good_compilers() -> None:
    checks = [
        failed(TABLE["M201"], f"pcr{i}", presented=value, expected="9b" * 48, source="app.eif")
        for i, value in enumerate(PCR)
    ]
    assert report_text(report(*checks, root_class=RootClass.DEVELOPMENT, notes=())) == (
        "✗ rejected   development · AWS Nitro · policy app.policy.toml · at 2026-11-23 03:10Z\n"
        "\n"
        "error[M201]: this is not the image you expected\n"
        "   ╭─ pcr0\n"
        "   │  presented  1c1c1c1c…1c1c1c1c\n"
        "   │  expected   9b9b9b9b…9b9b9b9b   from app.eif\n"
        "   ╭─ pcr1\n"
        "   │  presented  2d2d2d2d…2d2d2d2d\n"
        "   │  expected   9b9b9b9b…9b9b9b9b   from app.eif\n"
        "   = fix:  `troth rebuild` makes the image again from its source, and shows the first file that\n"
        "           differs; `troth inspect --diff` does so for two images. If the new image is meant, review\n"
        "           it and update the policy.\n"
        "   = more: troth explain M201\n"
        "\n"
        "1 passed · 2 failed · 0 undecided                                         exit 1"
    )


def test_what_is_open_is_said_to_be_open() -> None:
    text = report_text(report(undecided(TABLE["R103"], "root", why="it is aged"), as_of=True))
    assert text.startswith("? undecided   AWS Nitro · policy app.policy.toml · as of 2026-11-23")
    assert "undecided[R103]: " in text
    assert "   = why:  it is aged\n" in text
    assert text.endswith("exit 4")


def test_a_waiver_has_its_own_word() -> None:
    lines = report_text(report(waived(TABLE["M201"], "measurements"))).splitlines()
    assert lines[0].startswith("! acceptable with waivers   ")
    assert "waived[M201]: not asked whether the register holds an expected value" in lines
    assert lines[-1].startswith("1 passed · 0 failed · 0 undecided · 1 waived")
    assert lines[-1].endswith("exit 6")


def test_a_question_that_nobody_answered_is_shown() -> None:
    text = report_text(report(required=("G104", "P101")))
    assert text.startswith("? undecided")
    assert "undecided[P101]: this question was not answered" in text
    assert "1 not answered" in text


def test_the_worst_comes_first_whatever_the_order_of_the_steps() -> None:
    text = report_text(
        report(undecided(TABLE["R103"]), waived(TABLE["B201"]), failed(TABLE["P101"]))
    )
    assert text.index("error[P101]") < text.index("undecided[R103]") < text.index("waived[B201]")


def test_verbose_lists_what_passed_and_quiet_words_stay() -> None:
    checks = (passed(TABLE["P101"], "mode", presented="production"),)
    plain, verbose = (report_text(report(*checks), verbose=v) for v in (False, True))
    assert "P101" not in plain
    assert "  ✓ P101  debug mode is off · mode · production" in verbose
    assert set(plain.splitlines()) <= set(verbose.splitlines())


def test_colour_changes_no_word() -> None:
    import re

    made = report(failed(TABLE["P101"], "mode"), undecided(TABLE["R103"]))
    painted = report_text(made, verbose=True, colour=True)
    assert "\x1b[" in painted
    assert re.sub("\x1b\\[[0-9;]*m", "", painted) == report_text(made, verbose=True)


def test_a_difference_is_never_shortened_away() -> None:
    one, two = "a" * 40 + "b" + "a" * 40, "a" * 81
    assert shorten(one) == shorten(two) == "aaaaaaaa…aaaaaaaa"
    assert shorten_pair(one, two) == (one, two)
    assert shorten_pair(one, one) == (shorten(one), shorten(one))
    assert shorten("pcr0 1234") == "pcr0 1234"


def test_signs_have_plain_forms() -> None:
    assert for_encoding("✓ · a…b", "utf-8") == "✓ · a…b"
    assert for_encoding("✓ · a…b │", "ascii") == "+ - a..b |"
    assert for_encoding("\u2603", "ascii") == "\\u2603"
    assert for_encoding("✓", "no-such-encoding") == "+"
    assert Paint()("good", "x") == "x"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (10803, "3 h 3 s"), (86400, "1 d"), (31_557_700, "1 y 1 min")],
)
def test_spans(seconds: int, words: str) -> None:
    from datetime import timedelta

    assert span(timedelta(seconds=seconds)) == words
