"""Reads an image for running: its files, what it declares, and what it measures to."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from stat import S_IFREG
from typing import Any, Final

from troth.errors import Malformed, Misuse, Unavailable
from troth.platforms.nitro.measure import measure, signature
from troth.wire import cpio, eif, json, ramdisk, text

CONFIG: Final = "etc/troth/app.json"
MODULES: Final = "usr/lib/modules/load"
"""Lists what a kernel must load that has not all of it built in; see `troth.agent.machine`."""
_DEVICES: Final = frozenset({"dev/console", "dev/null"})
_MOST_MEMORY: Final = 1024 * 1024
_MOST_CPUS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An image that can be started.

    Attributes:
        image: the whole of it, as sections.
        entries: its files, all archives laid over each other.
        name: the app's name.
        ports: the ports on which it listens.
        free: names of the data that the host may hand over.
        memory: MiB that its recipe asks for.
        cpus: as many as its recipe asks for.
        raw_nsm: whether its app has the security module itself, and there is no attested channel.
        pcrs: registers 0, 1 and 2, computed from the image's bytes.
        pcr8: register 8 of a signed image, else None.
    """

    image: eif.Eif
    entries: tuple[cpio.Entry, ...]
    name: str
    ports: tuple[int, ...]
    free: frozenset[str]
    memory: int
    cpus: int
    raw_nsm: bool
    pcrs: tuple[bytes, ...]
    pcr8: bytes | None = None

    @property
    def registers(self) -> dict[int, bytes]:
        """Those that the image alone decides, by their numbers."""
        return dict(enumerate(self.pcrs)) | ({} if self.pcr8 is None else {8: self.pcr8})

    @property
    def self_contained(self) -> bool:
        """Whether its kernel has all that it needs built in, as troth's own has, and no ACPI."""
        listed = next((entry for entry in self.entries if entry.path == MODULES), None)
        return listed is None or not bytes(listed.data).strip()


def load(image: Path) -> Loaded:
    """Reads an image.

    Raises:
        Unavailable: the file can't be read.
        Malformed: it is no enclave image, or its archives are damaged.
        Misuse: it is for another kind of machine, or not an image of troth's; it is signed, and no host
            would start it today.
    """
    try:
        data = image.read_bytes()
    except OSError as error:
        raise Unavailable(
            f"{image} cannot be read: {error.strerror}", fix="name an image that troth build made"
        ) from None
    parsed = eif.read(data)
    if platform.machine() != parsed.architecture:
        raise Misuse(
            f"{image} is for {parsed.architecture}, this machine is {platform.machine()}",
            fix=f"run it on a host for {parsed.architecture}; measure, sign and inspect it anywhere",
        )
    disks = ((disk.data, disk.offset) for disk in parsed.ramdisks)
    entries = cpio.overlay(tuple(ramdisk.read_all(disks, devices=_DEVICES)))
    registers = measure(parsed)
    _check_signature(parsed, registers.pcr0, image)
    declared = _declared(entries, image)
    return Loaded(
        image=parsed,
        entries=entries,
        pcrs=(registers.pcr0, registers.pcr1, registers.pcr2),
        pcr8=registers.pcr8,
        **declared,
    )


def _check_signature(parsed: eif.Eif, pcr0: bytes, image: Path) -> None:
    """Refuses what a Nitro host refuses, and says why, which that host does not."""
    signed = signature(parsed)
    if signed is None:
        return
    # Checking takes a library, which images without a signature do not need.
    from troth.platforms.nitro.signature import problems

    found = problems(signed, pcr0=pcr0, at=datetime.now(UTC))
    if found:
        words = "; ".join(problem.words for problem in found)
        raise Misuse(
            f"{image} is signed, and no host starts it (nitro-cli would say E36): {words}",
            fix=found[0].fix,
        )


def _declared(entries: tuple[cpio.Entry, ...], image: Path) -> dict[str, Any]:
    """What the host needs from the measured configuration; the agent inside reads all of it, strictly."""
    config = next((e for e in entries if e.path == CONFIG and e.kind == S_IFREG), None)
    if config is None:
        raise Misuse(
            f"{image} has no /{CONFIG}, so troth did not build it",
            fix="build the image with troth build",
        )
    raw = json.parse(bytes(config.data), field=CONFIG)
    match raw:
        case {
            "name": str(name),
            "listen": list(listen),
            "free": list(free),
            "memory": int(memory),
            "cpus": int(cpus),
            "raw_nsm": bool(raw_nsm),
        } if (
            text.NAME.fullmatch(name)
            and all(isinstance(item, dict) and _is_port(item.get("port")) for item in listen)
            and all(isinstance(item, str) and text.NAME.fullmatch(item) for item in free)
            and 0 < memory <= _MOST_MEMORY
            and 0 < cpus <= _MOST_CPUS
        ):
            return {
                "name": name,
                "ports": tuple(item["port"] for item in listen),
                "free": frozenset(free),
                "memory": memory,
                "cpus": cpus,
                "raw_nsm": raw_nsm,
            }
        case _:
            raise Malformed(
                "has no name, listen, free, memory, cpus and raw_nsm as it should", field=CONFIG
            )


def _is_port(value: object) -> bool:
    return type(value) is int and 1 <= value <= 65535
