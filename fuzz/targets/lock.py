"""Locks of images: one encoding."""

from collections.abc import Iterable
from pathlib import Path

from fuzz.target import Target, same
from fuzz.targets.tcb_info import WORDS
from troth.image import lock

_EXAMPLES = Path(__file__).parents[2] / "examples"


def _run(data: bytes) -> None:
    same(lock.parse(data).to_json(), data, "a lock written again")


def _seeds() -> Iterable[bytes]:
    yield from (path.read_bytes() for path in sorted(_EXAMPLES.glob("*/troth.lock")))


TARGET = Target(run=_run, seeds=_seeds, longest=24 * 1024, words=(*WORDS, b"../", b"/", b"\\ud800"))
