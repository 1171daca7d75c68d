"""Do the measurements have the values that NVIDIA publishes? Every active index, alternatives are «or»."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from troth.platforms.nvidia.format import OFF, ON, Document, Field, Kind

# The measurement of NVDEC0's firmware says nothing where that engine is switched off.
NVDEC0: Final = 35
Golden = Mapping[int, frozenset[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came of a comparison.

    Attributes:
        matched: indices with one of their good values.
        wrong: what is not as published, in words; empty if all is.
        skipped: indices that were left out, because the engine that they measure is off.
    """

    matched: tuple[int, ...]
    wrong: tuple[str, ...]
    skipped: tuple[int, ...]


def compare(document: Document, references: Sequence[tuple[str, Golden]]) -> Compared:
    """A report with the documents about its driver and its VBIOS.

    Args:
        document: a parsed report.
        references: each document's name and its active indices with their good values.
    """
    wrong = [*_conflicts(references), *_status(document)]
    wrong += [f"the {name} names no measurement" for name, golden in references if not golden]
    matched, skipped = [], []
    for name, golden in references:
        for index, values in sorted(golden.items()):
            if index == NVDEC0 and document.opaque.get(Field.NVDEC0_STATUS) == OFF:
                skipped.append(index)
            elif index >= len(document.measurements):
                wrong.append(f"index {index} of the {name} is not in the report")
            elif document.measurements[index] in values:
                matched.append(index)
            else:
                found = document.measurements[index].hex()
                wrong.append(f"index {index} is {found[:16]}…, none of the {name}'s")
    return Compared(matched=tuple(sorted(matched)), wrong=tuple(wrong), skipped=tuple(skipped))


def _conflicts(references: Sequence[tuple[str, Golden]]) -> Iterator[str]:
    seen: dict[int, str] = {}
    for name, golden in references:
        for index in golden:
            if index in seen:
                yield f"index {index} is active in {seen[index]} and {name}"
            seen[index] = name


def _status(document: Document) -> Iterator[str]:
    status = document.opaque.get(Field.NVDEC0_STATUS)
    if document.kind is Kind.GPU and status not in (ON, OFF):
        shown = "absent" if status is None else status.hex()
        yield f"the status of NVDEC0 is {shown}, neither on nor off"
