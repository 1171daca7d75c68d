"""The command line that repeats a judgement is one that a shell reads back."""

import shlex
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from troth.cli._again import command

AT = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)


def test_flags_come_back_as_they_were_given() -> None:
    line = command(
        Path("my evidence.bin"),
        at=AT.astimezone(timezone(timedelta(hours=2))),
        named={"policy": "it's mine.toml", "image": None},
        listed={"trust": [Path("a b.pem"), "c.pem"], "waive": ()},
    )
    assert shlex.split(line) == [
        *("troth", "verify", "my evidence.bin", "--policy", "it's mine.toml"),
        *("--trust", "a b.pem", "--trust", "c.pem", "--at", "2026-11-23T03:10:00Z"),
    ]


def test_a_file_that_brings_its_own_instant() -> None:
    assert command("b.troth", at=None, named={}, listed={}) == "troth verify b.troth"
