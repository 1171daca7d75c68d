"""Collateral on disk, so that an outage or a rate limit is not a failure of the fleet.

An endorsement is good until the end that its signer gave it, and no longer. Within a day of its coming
it is not asked for again; past that its server is asked, and where that is down the cached one serves
until its own end. Nothing that decides may import this module.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from troth.errors import Malformed, Unavailable
from troth.model.check import stamp
from troth.model.collateral import Collateral, Item, Kind, Request
from troth.trust import places, stated
from troth.trust.collateral import MAX_BYTES, freeze, instant, load
from troth.trust.fetch import NotServed
from troth.trust.seen import Seen
from troth.wire import json as strict

ASK_AGAIN: Final = timedelta(days=1)
# Services that sign tokens take a new key every hour or so.
ASK_FOR_KEYS_AGAIN: Final = timedelta(minutes=5)
_KEY_SETS: Final = frozenset({Kind.MAA_KEYS, Kind.GCS_KEYS, Kind.ITA_KEYS, Kind.NRAS_KEYS})
_DENIED: Final = "troth/denied/1"
_MAX_DENIED: Final = 64 * 1024
# What its address names does not change until it ends.
_SETTLED: Final = frozenset({Kind.AMD_ENDORSEMENT, Kind.AMD_CHAIN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Obtained:
    """What came of a set of requests.

    Attributes:
        collateral: one item for each request, but for early ones that could not be had.
        notes: what a person should know: what came out of the cache because of an outage, and why.
    """

    collateral: Collateral
    notes: tuple[str, ...]


class Cache:
    """Items by the request that they answer.

    Args:
        folder: where they are; None is the user's own.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or places.cache()

    def get(self, request: Request) -> Item | None:
        """The item that answers this, whatever its age; None where there is none that can be read.

        Raises:
            Unavailable: the folder cannot be read.
        """
        data = places.read(self._path(request, ".json"), MAX_BYTES)
        try:
            items = load(data).items if data is not None else ()
            # A cache that somebody wrote into is no better than a server: look at what it holds.
            if len(items) == 1 and not stated.fits(items[0], request):
                return replace(items[0], early=request.early)
        except Malformed:
            pass  # it can be had again
        return None

    def put(self, request: Request, item: Item) -> None:
        """Keeps an item.

        Raises:
            Unavailable: the disk refuses.
        """
        places.write(self._path(request, ".json"), freeze(Collateral(items=(item,))))
        self._path(request, ".denied").unlink(missing_ok=True)

    def denied(self, request: Request, at: datetime) -> str:
        """Why this is not worth asking for now, in words; empty if it is."""
        data = places.read(self._path(request, ".denied"), _MAX_DENIED)
        try:
            value = strict.parse(data, field="denied") if data is not None else None
            if isinstance(value, dict) and value.get("schema") == _DENIED:
                until, since = (datetime.fromisoformat(value[key]) for key in ("until", "since"))
                if since <= at < until and isinstance(value["why"], str):
                    return f"{value['why']}; it is asked again after {value['until']}"
        except (Malformed, KeyError, TypeError, ValueError):
            pass
        return ""

    def deny(self, request: Request, error: NotServed, at: datetime) -> None:
        """Remembers that a server has nothing for this now.

        Raises:
            Unavailable: the disk refuses.
        """
        value = {
            "schema": _DENIED,
            "since": instant(at),
            "until": instant(at + error.again),
            "why": str(error),
        }
        places.write(self._path(request, ".denied"), strict.canonical(value))

    def _path(self, request: Request, suffix: str) -> Path:
        name = hashlib.sha256(request.url.encode("utf-8")).hexdigest()
        return self.folder / f"{request.kind}-{name[:32]}{suffix}"


def obtain(
    requests: Iterable[Request],
    *,
    cache: Cache,
    seen: Seen,
    now: datetime,
    fetch: Callable[[Request], Item] | None,
    refresh: bool = False,
) -> Obtained:
    """An item for each request, out of the cache or from its server.

    Every request is tried, so that what can be had is cached, before a failure is told. Early items
    decide nothing: one that cannot be had is a note.

    Args:
        requests: what is needed; the same one twice is asked once.
        cache: where items are kept.
        seen: refuses older evaluation numbers than were seen, and remembers these.
        now: the instant for which items must be good.
        fetch: asks a server; None asks none.
        refresh: ask also for what is young in the cache.

    Raises:
        Unavailable: some could not be had, or are older than what was seen before.
    """
    items: list[Item] = []
    notes: list[str] = []
    failures: list[Unavailable] = []
    for request in dict.fromkeys(requests):
        try:
            item, note = _one(
                request, cache=cache, seen=seen, now=now, fetch=fetch, refresh=refresh
            )
        except Unavailable as error:
            if request.early:
                notes.append(f"nothing is known of the next evaluation number: {error}")
            else:
                failures.append(error)
            continue
        items.append(item)
        notes += [note] if note else []
    if failures:
        raise Unavailable(
            "; ".join(dict.fromkeys(str(error) for error in failures)), fix=failures[0].fix
        )
    seen.note(items)
    return Obtained(collateral=Collateral(items=tuple(items)), notes=tuple(dict.fromkeys(notes)))


def _one(
    request: Request,
    *,
    cache: Cache,
    seen: Seen,
    now: datetime,
    fetch: Callable[[Request], Item] | None,
    refresh: bool,
) -> tuple[Item, str]:
    kept = cache.get(request)
    if kept is not None and not _current(kept, now):
        kept = None
    if kept is not None and (fetch is None or (not refresh and _young(kept, now))):
        seen.check([kept])
        return kept, ""
    if fetch is None:
        raise Unavailable(
            f"the cache holds no {request.kind} for {request.url} that is good now",
            fix="run `troth trust update --for EVIDENCE` where there is a network",
        )
    trouble = "" if refresh else cache.denied(request, now)
    fix = "wait, or ask at once with --refresh"
    if not trouble:
        try:
            item = fetch(request)
            ends = stated.read(item).ends
            if _current(item, now):
                seen.check([item])
                cache.put(request, item)
                return item, ""
            trouble = (
                f"{item.source} serves a {item.kind} whose window is not now (to {stamp(ends)})"
            )
            fix = "check this machine's clock, and whether that server is kept up to date"
        except NotServed as error:
            cache.deny(request, error, now)
            trouble, fix = str(error), error.fix
        except Unavailable as error:
            if kept is None:
                raise
            trouble, fix = str(error), error.fix
    if kept is None:
        raise Unavailable(trouble, fix=fix)
    seen.check([kept])
    ends = stated.read(kept).ends
    return kept, f"{trouble}; the cached {request.kind} serves until {stamp(ends)}"


def _current(item: Item, now: datetime) -> bool:
    said = stated.read(item)
    return said.begins <= now <= said.ends


def _young(item: Item, now: datetime) -> bool:
    """Whether its server need not be asked. An item from the future means that a clock was wrong."""
    if item.fetched_at is None:
        return False
    again = ASK_FOR_KEYS_AGAIN if item.kind in _KEY_SETS else ASK_AGAIN
    return item.kind in _SETTLED or timedelta() <= now - item.fetched_at < again


def utc_now() -> datetime:
    """This machine's clock, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
