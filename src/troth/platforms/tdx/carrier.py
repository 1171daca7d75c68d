"""What lies in the answer of a dstack guest agent? The quote and its event log; nothing signs the envelope."""

import json as library
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed
from troth.wire import json
from troth.wire.text import from_hex

TITLE: Final = "dstack answer"
_MAX: Final = 4 * 1024 * 1024
_NEEDED: Final = frozenset({"quote", "event_log"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What an answer carries, neither read nor believed.

    Attributes:
        quote: the quote's bytes, with the padding that the guest's driver left behind them.
        log: the event log as JSON, or None where the answer leaves it empty.
    """

    quote: bytes
    log: bytes | None


def open_answer(data: bytes) -> Carried | None:
    """Takes an answer apart, or None if this is none.

    Raises:
        Malformed: it has a quote and an event log, and the quote is not hexadecimal text.
    """
    if len(data) > _MAX or not data[:16].lstrip().startswith(b"{"):
        return None
    try:
        answer = json.parse(data, field=TITLE)
    except Malformed:
        return None
    if not isinstance(answer, dict) or not answer.keys() >= _NEEDED:
        return None
    if not isinstance(answer["quote"], str):
        raise Malformed("is not text", field=f"{TITLE}'s quote")
    return Carried(
        quote=from_hex(answer["quote"], field=f"{TITLE}'s quote"), log=_log(answer["event_log"])
    )


def log_in(data: bytes) -> bytes | None:
    """The event log in an answer; None if this is no answer, or one without.

    Raises:
        Malformed: as `open_answer`.
    """
    found = open_answer(data)
    return None if found is None else found.log


def _log(value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass") or None
    return library.dumps(value).encode("ascii")
