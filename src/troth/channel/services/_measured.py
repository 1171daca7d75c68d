"""What a dstack guest measured of itself, where a service hands over its quote and event log."""

import hashlib

from troth.errors import Malformed
from troth.model.claims import Source
from troth.model.statement import Statement, Status
from troth.platforms.tdx import dstack
from troth.platforms.tdx import format as quotes


def parsed(quote: bytes) -> quotes.Document | None:
    """A TDX quote; None where it is none, and whoever judges says so."""
    try:
        found = quotes.unwrap(quote)
        return None if found is None else quotes.parse(found[0])
    except Malformed:
        return None


def identity(quote: bytes, log: bytes | None) -> dstack.Identity | None:
    """What the log says, where it replays to this quote's RTMR3; else None, and a check says why."""
    document = parsed(quote)
    if document is None or not log:
        return None
    register = document.field("rtmr3").hex()
    for version in (1, 2):
        try:
            return dstack.identity(dstack.replay(log, version=version), rtmr3=register)
        except Malformed:
            continue
    return None


def composition(measured: dstack.Identity | None, text: str) -> Statement:
    """Whether a composition that lies beside the evidence is the one that was measured.

    Raises:
        Malformed: the evidence says that it is another.
    """
    name = "composition_as_measured"
    if not text:
        return unknown(name, "the service did not show its composition")
    event = None if measured is None else measured.values.get("compose-hash")
    if event is None:
        return unknown(name, "the event log does not replay, or has no compose-hash")
    if hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() != event:
        raise Malformed("is not the composition that was measured into RTMR3", field="app_compose")
    return by_us(name, "its hash is what compose-hash in RTMR3 has")


def by_us(name: str, why: str, status: Status = Status.ASSERTED) -> Statement:
    """What was compared here; that it could not be is nobody's word."""
    source = None if status is Status.UNKNOWN else Source.VERIFIER
    return Statement(name=name, status=status, source=source, why=why)


def said(name: str, source: Source, why: str) -> Statement:
    """What somebody says, and nobody checked."""
    return Statement(name=name, status=Status.ASSERTED, source=source, why=why)


def unknown(name: str, why: str) -> Statement:
    """What nobody looked at, or could."""
    return Statement(name=name, status=Status.UNKNOWN, source=None, why=why)
