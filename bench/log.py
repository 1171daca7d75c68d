"""A log of a million entries: appending beside hashing and one sync, proofs beside their limit, memory that stays."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from bench.timing import Line, best, peak

from troth.crypto import merkle
from troth.tlog import checkpoint, read
from troth.tlog.log import Log
from troth.tlog.signer import SigningKey

ENTRIES = 1_000_000
EARLY = 100_000
PER_SECOND = 5_000
BATCHES = (256, 5_000)
ROUNDS = 40
BYTES = 200
PROOF = 5e-3


def keeping() -> list[Line] | str:
    """In a fresh process, so that the most memory ever held is this log's."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.log"], stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(done.stdout)
    lines = []
    for batch in BATCHES:
        took, floor, limit = found[f"append {batch}"], found[f"floor {batch}"], batch / PER_SECOND
        lines += [
            Line(f"append {batch} entries", took, f"1/{PER_SECOND:,} s for each", limit, 1.0),
            Line("the same", took, "hash them, write them, sync once", floor),
        ]
    return [
        *lines,
        Line(
            f"append the {found['rest']:,} up to {ENTRIES:,} by {BATCHES[-1]:,}",
            found["all"],
            f"1/{PER_SECOND:,} s for each",
            found["rest"] / PER_SECOND,
            1.0,
        ),
        Line(
            "memory after all of them",
            found["memory"],
            f"after {EARLY:,}",
            found["early"],
            1.1,
            unit="bytes",
        ),
        *(
            Line(f"{what}, read out of files", found[what], "5 ms", PROOF, 1.0)
            for what in ("a proof of inclusion", "a proof of growth")
        ),
        Line(
            "a proof of inclusion, read out of files",
            found["a proof of inclusion"],
            "check it",
            found["check"],
        ),
    ]


def _entries(start: int, many: int) -> list[bytes]:
    return [b"%d " % index + bytes(BYTES) for index in range(start, start + many)]


def _floor(folder: Path, entries: list[bytes]) -> None:
    """A leaf and a node for each entry, and all their bytes on the disk."""
    digests = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    for digest in digests:
        hashlib.sha256(b"\x01" + digest + digest).digest()
    with (folder / "floor").open("wb") as out:
        out.writelines(entries)
        out.flush()
        os.fsync(out.fileno())


def _in_turn(log: Log, folder: Path, batch: int) -> tuple[float, float]:
    """Means of appending and of the floor, one after the other: a disk has good moments and bad ones."""
    took = floor = 0.0
    for _ in range(ROUNDS * BATCHES[0] // batch + 5):
        entries = _entries(log.pending.size, batch)
        begin = time.perf_counter()
        log.append(entries)
        middle = time.perf_counter()
        _floor(folder, entries)
        took, floor = took + middle - begin, floor + time.perf_counter() - middle
    rounds = ROUNDS * BATCHES[0] // batch + 5
    return took / rounds, floor / rounds


def _measured(folder: Path) -> dict[str, float]:
    key = SigningKey.generate("example.com/log")
    found: dict[str, float] = {}
    with Log.create(folder / "log", key) as log:
        for batch in BATCHES:
            found[f"append {batch}"], found[f"floor {batch}"] = _in_turn(log, folder, batch)
        first, spent, early = log.pending.size, 0.0, 0
        while (size := log.pending.size) < ENTRIES:
            entries = _entries(size, min(BATCHES[-1], ENTRIES - size))
            begin = time.perf_counter()
            log.append(entries)
            spent += time.perf_counter() - begin
            if not early and log.pending.size >= EARLY:
                early = peak()
        found["all"], found["rest"] = spent, ENTRIES - first
        found["memory"], found["early"] = peak(), early
        state = log.published
    return found | _proofs(folder / "log", state)


def _proofs(folder: Path, state: checkpoint.Checkpoint) -> dict[str, float]:
    """Each by a reader that knows nothing yet; of the last check, that it is right."""
    random = Random(1)  # noqa: S311 - which entries are asked for

    def inclusion() -> tuple[int, tuple[bytes, ...]]:
        index = random.randrange(state.size)
        return index, read.from_folder(folder).inclusion(index, state)

    def growth() -> object:
        return read.from_folder(folder).consistency(random.randrange(state.size), state)

    index, proof = inclusion()
    digest = merkle.leaf(_entries(index, 1)[0])

    def check() -> None:
        if merkle.included(digest, index, state.size, proof, state.root):
            raise SystemExit("error: the proof is wrong")

    steps: dict[str, Callable[[], object]] = {
        "a proof of inclusion": inclusion,
        "a proof of growth": growth,
        "check": check,
    }
    return best(steps, rounds=20)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        json.dump(_measured(Path(place)), sys.stdout)
