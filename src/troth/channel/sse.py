"""Server-sent events as they come, for answers that may be shown only piece by piece: the last is held back.

A client stops at the mark that ends a stream, or at the stream's end. So nothing from that mark on, and
never the newest event, is handed out before whoever checks the whole has said yes.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from troth.errors import Malformed

DONE: Final = b"[DONE]"
MAX_EVENT: Final = 16 * 1024 * 1024
# Two ends of lines, each of any kind: readers take them mixed, and so must whoever holds back for them.
_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LINES: Final = re.compile(rb"\r\n|\n|\r")
_LONGEST: Final = 4  # bytes of an event's end


def events(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole events, each with the empty line that ends it; what comes behind the last one as it is.

    Raises:
        Malformed: an event is longer than 16 MiB.
    """
    held, searched = bytearray(), 0
    for piece in pieces:
        held += piece
        while found := _END.search(held, searched):
            # An end that may go on with the next piece is one all the same: a line feed that comes late is
            # an empty line before the next event.
            yield bytes(held[: found.end()])
            del held[: found.end()]
            searched = 0
        searched = max(0, len(held) - _LONGEST)
        if len(held) > MAX_EVENT:
            raise Malformed(f"is longer than {MAX_EVENT} bytes", field="event")
    if held:
        yield bytes(held)


def data(event: bytes) -> bytes:
    """The data of an event, its lines joined; empty where it has none."""
    found = []
    for line in _LINES.split(event):
        name, _, value = line.partition(b":")
        if name == b"data":
            found.append(value.removeprefix(b" "))
    return b"\n".join(found)


def ends(value: bytes) -> bool:
    """Whether a client stops reading at an event with this data: what it begins with is enough for some."""
    return value.strip().startswith(DONE)


def with_data(event: bytes, value: bytes) -> bytes:
    """The same event with other data, on one line."""
    kept = [line for line in _LINES.split(event) if line and line.partition(b":")[0] != b"data"]
    return b"\n".join((*kept, b"data: " + value)) + b"\n\n"


def held_back(
    events: Iterable[bytes],
    *,
    show: Callable[[bytes], bytes],
    check: Callable[[], None],
    last: Callable[[bytes], bool] = lambda event: ends(data(event)),
) -> Iterator[bytes]:
    """Events for a caller.

    Args:
        events: as they come.
        show: an event as the caller is to see it.
        check: called when all have come and before the last is handed out; raises if they do not count.
        last: whether a client may stop reading at this event.
    """
    held: list[bytes] = []
    done = False
    size = 0
    for event in events:
        done = done or last(event)
        if not done:
            yield from held
            held, size = [], 0
        held.append(show(event))
        size += len(event)
        # Of what comes from the end mark on nothing is handed out, so it must not pile up.
        if size > 2 * MAX_EVENT:
            raise Malformed("goes on and on behind its end", field="event stream")
    check()
    yield from held
