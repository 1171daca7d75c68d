"""`python -m bench`: every ratio that we claim, measured in one run beside its floor."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench import (
    boot,
    build,
    container,
    image,
    log,
    nitro,
    nvidia,
    process,
    quotes,
    receipts,
    vsock,
)
from bench.timing import Line, shown

VECTORS = Path(os.environ.get("TROTH_VECTORS", Path(__file__).parents[2] / "shared" / "vectors"))

Part = Callable[[], list[Line] | str]


def _handshake() -> list[Line] | str:
    if importlib.util.find_spec("bench.handshake") is None:
        return "bench/handshake.py is absent"
    from bench import handshake

    return handshake.lines()


def _print(line: Line) -> None:
    print(f"  {line.what}")
    against = f"{line.floor} {shown(line.floor_amount, line.unit)}"
    print(
        f"    {shown(line.amount, line.unit):>9} against {against:<44} ratio {line.ratio:6.2f}",
        end="",
    )
    if line.limit is not None:
        word = "at least" if line.at_least else "at most"
        print(f"   {word} {line.limit:.2f}: {'kept' if line.kept else 'BROKEN'}", end="")
    print()


def main() -> int:
    """Print all; exit 1 if a limit of ours is broken."""
    of_vectors: dict[str, Part] = {
        "Nitro evidence": lambda: nitro.verification(VECTORS),
        "beside a peer": lambda: nitro.peer(VECTORS),
        "Intel quotes": lambda: quotes.intel(VECTORS),
        "AMD reports": lambda: quotes.amd(VECTORS),
        "NVIDIA reports": nvidia.gpus,
        "batches": lambda: quotes.many(VECTORS),
        "starting": lambda: process.starting(VECTORS),
    }
    alone: dict[str, Part] = {
        "an image": image.writing,
        "a build": build.building,
        "a container": container.becoming,
        "a log": log.keeping,
        "a handshake": _handshake,
        "vsock": vsock.streams,
        "a boot, Debian's kernel": lambda: boot.booting("debian"),
        "a boot, the hardware kernel": lambda: boot.booting("hardware"),
        "receipts of AI services": receipts.checking,
        "the package openai": receipts.requests,
    }
    broken = 0
    for title, part in (of_vectors | alone).items():
        if title in of_vectors and not (VECTORS / "nitro").is_dir():
            result: list[Line] | str = f"no vectors at {VECTORS}; name them with TROTH_VECTORS"
        else:
            result = part()
        print(title)
        if isinstance(result, str):
            print(f"  left out: {result}")
            continue
        for line in result:
            _print(line)
            broken += not line.kept
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
