"""`python -m fuzz.vsock`: so many hostile messages for the vsock device in one go, and what came of it.

A message is one of vhost-user's, a chain of descriptors or a jump on a ring, or a packet. Every hundredth
script is followed by a guest that keeps the rules and must be served. Exits with 1 at a finding, which memory
that grows after the first tenth is too.
"""

import argparse
import random
import resource
import sys
import time
from collections import Counter

from fuzz.hostile import Rig
from fuzz.hostile_steps import play, script
from fuzz.target import Broken

_EVERY = 100
_GROWTH = 16 << 10  # KiB beyond what there was after a tenth; it has been none


def main(arguments: list[str] | None = None) -> int:
    """Plays scripts until there were enough messages; what to exit with."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.vsock", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="how many; a million")
    parser.add_argument("--seed", type=int, default=1, help="where chance comes from")
    asked = parser.parse_args(arguments)
    draw, rig = random.Random(asked.seed), Rig()
    ends: Counter[str] = Counter()
    begin = time.monotonic()
    early = 0
    while rig.messages < asked.messages:
        data = script(draw)
        try:
            play(rig, data)
            if rig.scripts % _EVERY == 0:
                rig.serves()
        except Exception as error:
            error.add_note(f"script {rig.scripts}: {data.hex()}")
            if not isinstance(error, Broken):
                raise
            print(f"FOUND: {error}", *error.__notes__, file=sys.stderr, sep="\n")
            return 1
        ends.update(note.partition(":")[0] for note in rig.backend.notes)
        rig.backend.notes.clear()
        if not early and rig.messages >= asked.messages // 10:
            early = _memory()
    took = time.monotonic() - begin
    print(f"{rig.messages:,} hostile messages in {rig.scripts:,} scripts and {rig.visits:,} visits")
    print(f"{took:,.0f} s, {rig.messages / took:,.0f} a second, seed {asked.seed}")
    print(f"{rig.carried:,} bytes of the guest's reached the host; none of what is not its own")
    late = _memory()
    print(f"most memory: {early >> 10} MiB after a tenth, {late >> 10} MiB in the end")
    print("visits ended by:", ", ".join(f"{word} {count:,}" for word, count in ends.most_common(9)))
    if late - early > _GROWTH:
        print("FOUND: memory grows", file=sys.stderr)
        return 1
    return 0


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
