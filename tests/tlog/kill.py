"""Kills a process that appends, again and again: `python -m tests.tlog.kill 200`.

One process after another appends to one log, on the real disk, tells what was acknowledged, and is killed
(SIGKILL) at a moment that chance picks. Meanwhile a reader collects every checkpoint that it sees.
"""

import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NoReturn

from troth.crypto import merkle
from troth.tlog import checkpoint, read
from troth.tlog.log import Log
from troth.tlog.signer import SigningKey

KEY = SigningKey.generate("example.com/killed")
PATIENCE = 60.0
EARLY = 0.2  # the share of processes that are killed before they were told anything
BATCHES = (1, 1, 2, 30, 300)


def content(life: int, number: int) -> bytes:
    return b"life %d number %d" % (life, number)


def appending(folder: Path, life: int, tell: int) -> NoReturn:
    """What the process does that is killed."""
    random, number = Random(life), 0
    log = Log.open(folder, KEY)
    while True:
        many = random.choice(BATCHES)
        places = log.append([content(life, number + n) for n in range(many)])
        os.write(tell, b"%d %d %d\n" % (places[0], number, many))
        number += many


def looked(folder: Path) -> tuple[int, bytes]:
    """What a reader sees at this moment: a whole log, whatever is going on."""
    reader = read.from_folder(folder)
    seen = checkpoint.opened(reader.checkpoint(), log=KEY.verifier).checkpoint
    if seen.size:
        reader.entry(seen.size - 1, seen)
    return seen.size, seen.root


def one_life(folder: Path, life: int, random: Random, seen: dict[int, bytes]) -> list[bytes]:
    """One process from its start to its end; what it was told."""
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(told)
            appending(folder, life, tell)
        finally:
            os._exit(1)
    os.close(tell)
    begin = time.monotonic()
    early = random.random() < EARLY
    end = begin + random.uniform(0, 0.1) if early else None
    while end is None or time.monotonic() < end:
        if end is None and select.select([told], [], [], 0)[0]:
            # A busy machine is slow in all, so the first answer is the measure of what follows.
            now = time.monotonic()
            end = now + random.uniform(0, 2 * (now - begin))
        assert time.monotonic() - begin < PATIENCE, "nothing was appended"
        size, root = looked(folder)
        assert seen.setdefault(size, root) == root, "two roots were seen for one size"
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the process ended by itself"
    with os.fdopen(told, "rb") as lines:
        # Each line is written at once, and so is there whole or not at all.
        return lines.read().splitlines()


def killed(rounds: int, folder: Path, say: Callable[[str], object]) -> int:
    """So many lives; the number of entries that were acknowledged."""
    random = Random(rounds)
    Log.create(folder, KEY).close()
    seen: dict[int, bytes] = {}
    acknowledged: dict[int, bytes] = {}
    lives = 0
    for life in range(rounds):
        lines = one_life(folder, life, random, seen)
        lives += bool(lines)
        for line in lines:
            first, number, many = map(int, line.split())
            acknowledged |= {first + n: content(life, number + n) for n in range(many)}
    with Log.open(folder, KEY) as log:
        log.publish()
        entries = list(log.reader.entries(0, log.published.size, log.published))
        assert log.published.root == merkle.root(map(merkle.leaf, entries))
        for index, entry in acknowledged.items():
            assert entries[index] == entry, f"entry {index} was acknowledged and is gone"
        for size, root in seen.items():
            assert log.reader.root(size, log.published) == root, f"a fork at {size}"
        for size in read.history(folder):
            kept = checkpoint.opened(log.reader.published(size), log=KEY.verifier).checkpoint
            assert log.reader.root(size, log.published) == kept.root, f"a fork at {size}"
    say(
        f"{rounds} processes killed, {lives} of them after they had acknowledged something:"
        f" {len(acknowledged)} of {len(entries)} entries acknowledged, all there;"
        f" {len(seen)} checkpoints seen, all consistent"
    )
    return len(acknowledged)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        killed(int(sys.argv[1]), Path(folder) / "log", print)
    return 0


if __name__ == "__main__":
    sys.exit(main())
