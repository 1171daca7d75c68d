"""Do GPUs and switches in protected PCIe mode name each other? NVLink between them is in the clear.

A GPU's report lists the switches at its links, a switch's report names itself and lists the GPUs at its
ports: eight bytes each (PDI), in a GPU's report in the other order of bytes than in a switch's. Slots
that are not used are zero.

A GPU's report does not carry its own PDI. The serial number of a switch's device certificate ends with
its PDI; a GPU's looks the same, but no published evidence shows a GPU beside its switches. So switches
are asked for the same GPUs and for as many as there are; whether they list these very ones is told as
`same_gpus`, and is no problem by itself.

Does not verify: the reports.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from troth.model.check import Check, failed, passed, undecided
from troth.model.codes.binding import B503
from troth.platforms.nvidia.format import Document, Field, Kind

PDI: Final = 8
_MAX_WHY: Final = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What came of asking all devices of a machine.

    Attributes:
        problems: where they do not agree, in words; empty if they do.
        switches: PDIs of the switches, in hex as a switch writes its own.
        gpus: how many GPUs there are.
        same_gpus: whether the switches list these very GPUs, by their certificates' serial numbers.
    """

    problems: tuple[str, ...]
    switches: tuple[str, ...]
    gpus: int
    same_gpus: bool


def check(devices: Mapping[str, Document]) -> Topology:
    """Whether these devices are one machine's, all of it, as far as their reports tell.

    Args:
        devices: name for words to the parsed report of each.
    """
    gpus = {n: d for n, d in devices.items() if d.kind is Kind.GPU}
    switches = {n: d for n, d in devices.items() if d.kind is Kind.SWITCH}
    own = {name: document.opaque.get(Field.PDI, b"") for name, document in switches.items()}
    problems = [
        *_gpus(gpus, frozenset(own.values())),
        *_switches(switches, own, len(gpus)),
        *_twice(devices),
    ]
    return Topology(
        problems=tuple(problems),
        switches=tuple(sorted(pdi.hex() for pdi in own.values())),
        gpus=len(gpus),
        same_gpus=_same(gpus, switches),
    )


def checks(devices: Mapping[str, Document]) -> tuple[Check, ...]:
    """The one check on all devices; none where no GPU speaks over links between them, and of one switch.

    A GPU in protected PCIe mode without a switch beside it leaves it open: the rest of the machine was not
    presented. So do several switches without a GPU, which would else be counted as if they were some.
    """
    kinds = {document.kind for document in devices.values()}
    linked = Kind.SWITCH in kinds or any(d.mode == "ppcie" for d in devices.values())
    if not linked or (Kind.GPU not in kinds and len(devices) == 1):
        return ()
    presented = ", ".join(sorted(devices))
    if Kind.GPU not in kinds:
        why = "the GPUs at these switches were not presented"
        return (undecided(B503, "fabric", presented=presented, why=why),)
    if Kind.SWITCH not in kinds:
        why = "the switches at the other end of its links were not presented"
        return (undecided(B503, "fabric", presented=presented, why=why),)
    found = check(devices)
    if found.problems:
        why = "; ".join(found.problems)[:_MAX_WHY]
        return (failed(B503, "fabric", presented=presented, why=why),)
    return (passed(B503, "fabric", presented=presented),)


def _gpus(gpus: Mapping[str, Document], switches: frozenset[bytes]) -> Iterator[str]:
    if not gpus:
        yield "there is no GPU"
    for name, document in gpus.items():
        if document.mode != "ppcie":
            yield f"{name} is not in protected PCIe mode"
        raw = document.opaque.get(Field.PDI, b"")
        listed = {pdi[::-1] for pdi in _slots(raw)}
        if not listed or len(raw) % PDI:
            yield f"{name} lists no switches"
        for pdi in sorted(listed - switches):
            yield f"{name} is linked to the switch {pdi.hex()}, which is not here"
        for pdi in sorted(switches - listed):
            yield f"{name} is not linked to the switch {pdi.hex()}"


def _switches(
    switches: Mapping[str, Document], own: Mapping[str, bytes], gpus: int
) -> Iterator[str]:
    if not switches:
        yield "there is no switch"
    if len(set(own.values())) != len(own):
        yield "two switches have one name"
    listed = {
        name: frozenset(_slots(document.opaque.get(Field.SWITCH_GPU_PDIS, b"")))
        for name, document in switches.items()
    }
    for name, document in switches.items():
        raw = document.opaque.get(Field.SWITCH_GPU_PDIS, b"")
        if len(own[name]) != PDI or own[name] != _certified(document):
            yield f"{name} does not name itself as its certificate does"
        if len(raw) % PDI or len(listed[name]) != gpus:
            yield f"{name} lists {len(listed[name])} GPUs, {gpus} are here"
    if len(set(listed.values())) > 1:
        yield "the switches list different GPUs"


def _same(gpus: Mapping[str, Document], switches: Mapping[str, Document]) -> bool:
    """Whether each switch lists the PDIs of all GPUs, in either order of bytes."""
    here = {_certified(document) for document in gpus.values()}
    listed = [set(_slots(d.opaque.get(Field.SWITCH_GPU_PDIS, b""))) for d in switches.values()]
    turned = {pdi[::-1] for pdi in here}
    return bool(here) and bool(listed) and all(found in (here, turned) for found in listed)


def _certified(document: Document) -> bytes:
    """The PDI in the serial number of the device's certificate; empty where there is none."""
    if len(document.chain) < 2:
        return b""
    return (document.chain[1].serial & ((1 << 8 * PDI) - 1)).to_bytes(PDI, "big")


def _twice(devices: Mapping[str, Document]) -> Iterator[str]:
    """One device cannot stand for two: not the same leaf, and not the same device under two leaves."""
    seen: dict[bytes, str] = {}
    for name, document in devices.items():
        for certificate in document.chain[:2]:
            if certificate.key in seen:
                yield f"{seen[certificate.key]} and {name} are one device"
            seen[certificate.key] = name


def _slots(raw: bytes) -> Sequence[bytes]:
    whole = len(raw) - len(raw) % PDI
    return [slot for at in range(0, whole, PDI) if any(slot := raw[at : at + PDI])]
