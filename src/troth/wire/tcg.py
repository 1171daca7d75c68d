"""What does a TCG event log say? The crypto-agile binary form, and the old one of SHA-1 alone.

Sources: TCG PC Client Platform Firmware Profile 1.05, sections 9 and 10 (log, event types). Firmware hands over the whole log *area*, so
padding follows the last event: all ones as EDK2 clears it, or all zeros. Real logs hold the first
event, which names the algorithms, under measurement index 1 where the profile says 0.

Does not verify: nothing here hashes or replays; a log is its maker's word until it is replayed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from troth.errors import Malformed
from troth.wire.reader import Reader

SHA1: Final = 0x0004
SHA256: Final = 0x000B
SHA384: Final = 0x000C
SHA512: Final = 0x000D
SM3_256: Final = 0x0012
ALGORITHMS: Final[Mapping[int, str]] = MappingProxyType(
    {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384", SHA512: "sha512", SM3_256: "sm3-256"}
)
_SIZES: Final = {SHA1: 20, SHA256: 32, SHA384: 48, SHA512: 64, SM3_256: 32}

EV_NO_ACTION: Final = 0x0000_0003
EV_SEPARATOR: Final = 0x0000_0004
EV_ACTION: Final = 0x0000_0005
EV_EVENT_TAG: Final = 0x0000_0006
EV_S_CRTM_VERSION: Final = 0x0000_0008
EV_IPL: Final = 0x0000_000D
EV_OMIT_BOOT_DEVICE_EVENTS: Final = 0x0000_0012
EV_EFI_VARIABLE_DRIVER_CONFIG: Final = 0x8000_0001
EV_EFI_VARIABLE_BOOT: Final = 0x8000_0002
EV_EFI_BOOT_SERVICES_APPLICATION: Final = 0x8000_0003
EV_EFI_BOOT_SERVICES_DRIVER: Final = 0x8000_0004
EV_EFI_RUNTIME_SERVICES_DRIVER: Final = 0x8000_0005
EV_EFI_GPT_EVENT: Final = 0x8000_0006
EV_EFI_ACTION: Final = 0x8000_0007
EV_EFI_PLATFORM_FIRMWARE_BLOB2: Final = 0x8000_000A
EV_EFI_HANDOFF_TABLES2: Final = 0x8000_000B
EV_EFI_VARIABLE_BOOT2: Final = 0x8000_000C
EV_EFI_VARIABLE_AUTHORITY: Final = 0x8000_00E0

TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x0000_0000: "EV_PREBOOT_CERT",
        0x0000_0001: "EV_POST_CODE",
        0x0000_0002: "EV_UNUSED",
        EV_NO_ACTION: "EV_NO_ACTION",
        EV_SEPARATOR: "EV_SEPARATOR",
        EV_ACTION: "EV_ACTION",
        EV_EVENT_TAG: "EV_EVENT_TAG",
        0x0000_0007: "EV_S_CRTM_CONTENTS",
        EV_S_CRTM_VERSION: "EV_S_CRTM_VERSION",
        0x0000_0009: "EV_CPU_MICROCODE",
        0x0000_000A: "EV_PLATFORM_CONFIG_FLAGS",
        0x0000_000B: "EV_TABLE_OF_DEVICES",
        0x0000_000C: "EV_COMPACT_HASH",
        EV_IPL: "EV_IPL",
        0x0000_000E: "EV_IPL_PARTITION_DATA",
        0x0000_000F: "EV_NONHOST_CODE",
        0x0000_0010: "EV_NONHOST_CONFIG",
        0x0000_0011: "EV_NONHOST_INFO",
        EV_OMIT_BOOT_DEVICE_EVENTS: "EV_OMIT_BOOT_DEVICE_EVENTS",
        0x0000_0013: "EV_POST_CODE2",
        EV_EFI_VARIABLE_DRIVER_CONFIG: "EV_EFI_VARIABLE_DRIVER_CONFIG",
        EV_EFI_VARIABLE_BOOT: "EV_EFI_VARIABLE_BOOT",
        EV_EFI_BOOT_SERVICES_APPLICATION: "EV_EFI_BOOT_SERVICES_APPLICATION",
        EV_EFI_BOOT_SERVICES_DRIVER: "EV_EFI_BOOT_SERVICES_DRIVER",
        EV_EFI_RUNTIME_SERVICES_DRIVER: "EV_EFI_RUNTIME_SERVICES_DRIVER",
        EV_EFI_GPT_EVENT: "EV_EFI_GPT_EVENT",
        EV_EFI_ACTION: "EV_EFI_ACTION",
        0x8000_0008: "EV_EFI_PLATFORM_FIRMWARE_BLOB",
        0x8000_0009: "EV_EFI_HANDOFF_TABLES",
        EV_EFI_PLATFORM_FIRMWARE_BLOB2: "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
        EV_EFI_HANDOFF_TABLES2: "EV_EFI_HANDOFF_TABLES2",
        EV_EFI_VARIABLE_BOOT2: "EV_EFI_VARIABLE_BOOT2",
        0x8000_000D: "EV_EFI_GPT_EVENT2",
        0x8000_0010: "EV_EFI_HCRTM_EVENT",
        EV_EFI_VARIABLE_AUTHORITY: "EV_EFI_VARIABLE_AUTHORITY",
        0x8000_00E1: "EV_EFI_SPDM_FIRMWARE_BLOB",
        0x8000_00E2: "EV_EFI_SPDM_FIRMWARE_CONFIG",
        0x8000_00E3: "EV_EFI_SPDM_DEVICE_POLICY",
        0x8000_00E4: "EV_EFI_SPDM_DEVICE_AUTHORITY",
    }
)

MAX_LOG: Final = 4 * 1024 * 1024
_MAX_EVENTS: Final = 16 * 1024
_MAX_EVENT: Final = 1024 * 1024
_MAX_ALGORITHMS: Final = 8
_MAX_DIGEST: Final = 64
_SIGNATURE: Final = b"Spec ID Event03\0"
_NO_REGISTER: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecId:
    """The first event: which form of the log this is, and which digests each event carries.

    Attributes:
        platform_class: 0 for a client, 1 for a server.
        version: major, minor and errata of the profile.
        algorithms: TPM algorithm number to size of its digest in bytes, in the log's order.
        vendor: up to 255 bytes of the firmware vendor's.
    """

    platform_class: int
    version: tuple[int, int, int]
    algorithms: Mapping[int, int]
    vendor: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event as it stands in the log.

    Attributes:
        index: which measurement register: a TPM's PCR; for TDX 0 = MRTD, 1 to 4 = RTMR0 to RTMR3.
        type: number of the event type, of `TYPES` or not.
        digests: algorithm number to digest, one for each of the log's algorithms.
        data: the event's payload. What of it, if anything, the digest is over depends on the type.
        offset: where the event begins in the log.
    """

    index: int
    type: int
    digests: Mapping[int, bytes]
    data: bytes
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """A log, parsed and not believed.

    Attributes:
        spec_id: the first event.
        events: all others, in the log's order.
        padding: bytes behind the last event, all ones or all zeros.
    """

    spec_id: SpecId
    events: tuple[Event, ...]
    padding: int


_OLD: Final = SpecId(
    platform_class=0, version=(1, 2, 0), algorithms=MappingProxyType({SHA1: 20}), vendor=b""
)


def type_name(number: int) -> str:
    """The profile's name for an event type, or its number in hex."""
    return TYPES.get(number, f"0x{number:08x}")


def read(data: bytes) -> EventLog:
    """Reads a crypto-agile log strictly: nothing but padding may follow the last event.

    A log cut off exactly between two events is well formed; only its replay shows that it is short.

    Raises:
        Malformed: too large, another form, a digest too many or too few, a short or huge event, bytes
            behind the end.
    """
    if len(data) > MAX_LOG:
        raise Malformed(f"is larger than {MAX_LOG} bytes", field="event log", offset=0)
    reader = Reader(data)
    spec_id = _spec_id(reader)
    events = _all(data, reader, lambda: _event(reader, spec_id.algorithms))
    return EventLog(spec_id=spec_id, events=events, padding=reader.remaining)


def read_any(data: bytes) -> EventLog:
    """Reads a log in its crypto-agile form, or in the old one that knows SHA-1 alone.

    Raises:
        Malformed: as `read` and `read_old`.
    """
    begin = 4 + 4 + 20 + 4
    return read(data) if data[begin : begin + 16] == _SIGNATURE else read_old(data)


def read_old(data: bytes) -> EventLog:
    """Reads a log of the form before crypto agility: one SHA-1 digest for each event, and no head.

    Raises:
        Malformed: too large, a short or huge event, bytes behind the end.
    """
    if len(data) > MAX_LOG:
        raise Malformed(f"is larger than {MAX_LOG} bytes", field="event log", offset=0)
    reader = Reader(data)
    events = _all(data, reader, lambda: _old_event(reader))
    if not events:
        raise Malformed("has no event", field="event log", offset=0)
    return EventLog(spec_id=_OLD, events=events, padding=reader.remaining)


def _spec_id(reader: Reader) -> SpecId:
    """The first event has the old form: index, type, a SHA-1 digest of zeros, size, payload."""
    index = reader.uint(4, "first event's index", "little")
    kind = reader.uint(4, "first event's type", "little")
    digest = reader.take(20, "first event's digest")
    if kind != EV_NO_ACTION or index > 1 or any(digest):
        raise Malformed("is not that of a specification id", field="first event", offset=0)
    size = reader.uint(4, "first event's size", "little")
    start = reader.offset
    body = Reader(reader.take(size, "first event"), base=start)
    if body.take(16, "specification id") != _SIGNATURE:
        raise Malformed("is not 'Spec ID Event03'", field="specification id", offset=start)
    platform_class = body.uint(4, "platform class", "little")
    minor, major, errata, uintn = body.take(4, "specification version")
    if major != 2 or minor != 0 or uintn not in (1, 2):
        raise Malformed(
            f"is {major}.{minor} with integers of size {uintn}, should be 2.0 with 1 or 2",
            field="specification version",
            offset=start + 20,
        )
    algorithms = _algorithms(body)
    vendor = body.take(body.uint(1, "vendor's size"), "vendor's bytes")
    body.end("first event")
    return SpecId(
        platform_class=platform_class,
        version=(major, minor, errata),
        algorithms=MappingProxyType(algorithms),
        vendor=vendor,
    )


def _algorithms(body: Reader) -> dict[int, int]:
    where = body.offset
    count = body.uint(4, "algorithms", "little")
    if not 1 <= count <= _MAX_ALGORITHMS:
        raise Malformed(
            f"are {count}, should be 1 to {_MAX_ALGORITHMS}", field="algorithms", offset=where
        )
    result: dict[int, int] = {}
    for _ in range(count):
        where = body.offset
        number = body.uint(2, "algorithm", "little")
        size = body.uint(2, "digest size", "little")
        if number in result:
            raise Malformed(f"0x{number:04x} is named twice", field="algorithm", offset=where)
        if not 1 <= size <= _MAX_DIGEST or size != _SIZES.get(number, size):
            raise Malformed(
                f"of algorithm 0x{number:04x} is {size}", field="digest size", offset=where + 2
            )
        result[number] = size
    return result


def _event(reader: Reader, algorithms: Mapping[int, int]) -> Event:
    start = reader.offset
    index, kind = _which(reader)
    where = reader.offset
    count = reader.uint(4, "digest count", "little")
    if count != len(algorithms):
        raise Malformed(
            f"is {count}, the log names {len(algorithms)}", field="digest count", offset=where
        )
    digests: dict[int, bytes] = {}
    for _ in range(count):
        where = reader.offset
        number = reader.uint(2, "digest's algorithm", "little")
        if number not in algorithms or number in digests:
            raise Malformed(
                f"0x{number:04x} is not one the log names, or comes twice",
                field="digest's algorithm",
                offset=where,
            )
        digests[number] = reader.take(algorithms[number], "digest")
    return Event(
        index=index,
        type=kind,
        digests=MappingProxyType(digests),
        data=_data(reader),
        offset=start,
    )


def _all(data: bytes, reader: Reader, take: Callable[[], Event]) -> tuple[Event, ...]:
    """Every event up to the padding."""
    events: list[Event] = []
    while not _ended(data, reader.offset):
        if len(events) == _MAX_EVENTS:
            raise Malformed(
                f"has more than {_MAX_EVENTS} events", field="event log", offset=reader.offset
            )
        events.append(take())
    return tuple(events)


def _which(reader: Reader) -> tuple[int, int]:
    """Index and type; an event that extends something names a register."""
    where = reader.offset
    index = reader.uint(4, "measurement index", "little")
    kind = reader.uint(4, "event type", "little")
    if index == _NO_REGISTER and kind != EV_NO_ACTION:
        raise Malformed("is no register's", field="measurement index", offset=where)
    return index, kind


def _old_event(reader: Reader) -> Event:
    start = reader.offset
    index, kind = _which(reader)
    digest = reader.take(_SIZES[SHA1], "digest")
    return Event(
        index=index,
        type=kind,
        digests=MappingProxyType({SHA1: digest}),
        data=_data(reader),
        offset=start,
    )


def _data(reader: Reader) -> bytes:
    where = reader.offset
    size = reader.uint(4, "event size", "little")
    if size > _MAX_EVENT:
        raise Malformed(f"is {size}, at most {_MAX_EVENT}", field="event size", offset=where)
    return reader.take(size, "event")


def _ended(data: bytes, offset: int) -> bool:
    """Whether only padding is left; what looks like its beginning must be all of it.

    It begins with an index and a type that are all ones, or all zeros; no event of a log has such a
    pair. The index 0xFFFFFFFF alone is of events that extend nothing, such as Windows'.
    """
    head = data[offset : offset + 8]
    for byte in (b"\xff", b"\0"):
        if head == byte * len(head):
            rest = len(data) - offset
            if data.count(byte, offset) != rest:
                raise Malformed(
                    "is not followed by padding alone", field="end of the log", offset=offset
                )
            return True
    return False
