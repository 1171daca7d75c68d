"""What is fuzzed: a reader, the errors that it may raise, and bytes to begin with."""

import hashlib
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from troth.errors import Malformed, TrothError

LONGEST = 16 * 1024


class Broken(Exception):  # noqa: N818 - what a property is, once bytes are found for which it fails
    """A property that should hold for all bytes does not hold for these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One reader with what must hold whatever it reads.

    Attributes:
        run: reads the bytes; raises one of `refuses`, or `Broken`; anything else is a bug.
        seeds: bytes to begin with: the simulators', and real ones where this machine has them.
        refuses: the errors that its documentation names.
        longest: of mutants, in bytes; seeds may be longer, up to this as well.
        words: byte strings that the format knows, for the mutator.
    """

    run: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    refuses: tuple[type[TrothError], ...] = (Malformed,)
    longest: int = LONGEST
    words: tuple[bytes, ...] = ()

    def begin(self) -> list[bytes]:
        """The seeds that are short enough, each once, in their order."""
        return [seed for seed in dict.fromkeys(self.seeds()) if len(seed) <= self.longest]


def must(holds: bool, what: str) -> None:
    """States a property.

    Raises:
        Broken: it does not hold.
    """
    if not holds:
        raise Broken(what)


def attempt(read: Callable[[bytes], object], data: bytes) -> None:
    """Reads, where being refused is as good an answer as any and others are asked for as well."""
    try:
        read(data)
    except Malformed:
        return


def outcome(target: Target, data: bytes) -> tuple[object, ...]:
    """How this input left the target: accepted, or the lines of code by which it was refused.

    Raises:
        Exception: whatever is no refusal of the target's; that is a finding.
    """
    try:
        target.run(data)
    except target.refuses as error:
        steps = traceback.walk_tb(error.__traceback__)
        return tuple((frame.f_code.co_name, line) for frame, line in steps)
    return ()


def name_of(data: bytes) -> str:
    """What a file with this input is called."""
    return hashlib.sha256(data).hexdigest()[:24]


def same(first: object, second: object, what: str) -> None:
    """States that two things are equal, and shows a little of both where they are not."""
    must(first == second, f"{what}: {first!r:.200} is not {second!r:.200}")
