"""What the tests of NVIDIA's evidence share: the rows of the vectors, and bytes put together by hand."""

import csv
from collections.abc import Iterator
from pathlib import Path

ALONE = {
    "gpu-gb100-575.32": "gpu-gb100-575.32",
    "gpu-h100-550.90.07": "gpu-h100-550.90.07",
    "gpu-h100-580.159.03": "gpu-h100-580.159.03",
    "gpu-h100-560.00.invalid-signature": "gpu-h100-580.159.03",
    "switch-ls10": "switch-ls10",
    "switch-ls10.invalid-signature": "switch-ls10",
}
"""Reports that stand alone as hex, with the chain that belongs to each."""


def rows(vectors: Path) -> Iterator[dict[str, str]]:
    with (vectors / "nvidia" / "MANIFEST.tsv").open(newline="") as file:
        yield from csv.DictReader(file, delimiter="\t")


def file(vectors: Path, name: str) -> bytes:
    return (vectors / "nvidia" / name).read_bytes()


def report(vectors: Path, name: str) -> bytes:
    return bytes.fromhex(file(vectors, f"{name}.report.hex").decode())


def evidence(vectors: Path, name: str) -> bytes:
    """A report with its chain."""
    return report(vectors, name) + file(vectors, f"{ALONE[name]}.chain.pem")


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
