"""Collateral on the command line: files of it, what evidence needs, and what expires when."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from troth.cli._console import read_source
from troth.errors import Malformed, Misuse
from troth.wire.transcript import looks_like

if TYPE_CHECKING:
    from troth.model.collateral import Collateral, Item, Request
    from troth.trust.fetch import Servers
    from troth.trust.stated import Stated


def load(paths: Iterable[Path]) -> "Collateral":
    """All endorsements in these files and folders.

    Raises:
        Unavailable, Malformed: one cannot be read, or is no collateral.
    """
    from troth.model.collateral import NONE
    from troth.trust import collateral

    found = NONE
    for path in paths:
        found = found + collateral.load(path)
    return found


def needs(sources: Sequence[str], *, early: bool, product: str) -> "tuple[Request, ...]":
    """What this evidence needs; bundles are opened, and services are asked what they present.

    Raises:
        Unavailable, Malformed, Misuse: a source cannot be read, or nothing says what it needs.
    """
    from troth.trust.needs import needs as of

    read = [part for source in sources for part in _evidence(source)]
    return of(read, early=early, product=product)


def _evidence(source: str) -> Iterator[tuple[str, bytes]]:
    from troth.verifier import bundle

    if source.startswith(("https://", "http://")):
        from troth.channel import services

        composite = services.ask(source, services.SERVICES).found.composite
    else:
        data = read_source(source)
        data = bundle.unpack(data).evidence if bundle.looks_like(data) else data
        if not looks_like(data):
            yield Path(source).name, data
            return
        from troth.channel import services, transcript

        composite = services.read(transcript.unpack(data), services.SERVICES).found.composite
    for part in composite.parts:
        yield f"{source}: {part.name}", part.evidence


def servers(
    pcs: str | None,
    pccs: str | None,
    authority: Path | None,
    kds: str | None,
    *,
    rim: str | None = None,
    ocsp: str | None = None,
    tokens: str | None = None,
) -> "Servers":
    """Whom to ask, by the flags.

    Raises:
        Misuse: two are named for the same, or an address may not be asked.
    """
    from troth.trust import fetch

    if pcs is not None and pccs is not None:
        raise Misuse("--pcs and --pccs both name whom to ask for Intel's", fix="leave one away")
    return fetch.Servers(
        pcs=pcs or fetch.PCS,
        pccs=pccs or "",
        authority=authority,
        kds=kds or fetch.KDS,
        rim=rim or fetch.RIM,
        ocsp=ocsp or fetch.OCSP,
        tokens=tokens or "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One endorsement of a list: what it says, or why it cannot be read."""

    item: "Item"
    said: "Stated | None"
    trouble: str = ""

    @property
    def ends(self) -> datetime | None:
        """When the first of it ends: its own window, or a certificate of its issuer chain."""
        if self.said is None:
            return None
        return min(filter(None, (self.said.ends, self.said.chain_ends)))


def rows(collateral: "Collateral") -> list[Row]:
    """The items with what they say, the first to end first; those that cannot be read before all."""
    from troth.trust import stated

    found = []
    for item in collateral.items:
        try:
            found.append(Row(item=item, said=stated.read(item)))
        except Malformed as error:
            found.append(Row(item=item, said=None, trouble=str(error)))
    found.sort(key=lambda row: (row.ends is not None, row.ends, row.item.kind))
    return found


def plain(row: Row, at: datetime) -> dict[str, Any]:
    """A row for programs."""
    import hashlib

    from troth.render.words import rfc3339

    item, said = row.item, row.said
    return {
        "kind": str(item.kind),
        "sha256": hashlib.sha256(item.data).hexdigest(),
        "early": item.early,
        "source": item.source,
        "fetched_at": rfc3339(item.fetched_at) if item.fetched_at else None,
        "about": said.about if said else None,
        "begins": rfc3339(said.begins) if said else None,
        "ends": rfc3339(said.ends) if said else None,
        "chain_ends": rfc3339(said.chain_ends) if said and said.chain_ends else None,
        "evaluation_number": said.number if said else None,
        "revoked": said.revoked if said else None,
        "evaluation_numbers": [list(pair) for pair in said.numbers] if said else [],
        "state": state(row, at),
        "trouble": row.trouble or None,
    }


def state(row: Row, at: datetime) -> str:
    """`good`, `not yet`, `over` or `unreadable` at an instant."""
    if row.said is None:
        return "unreadable"
    if at < row.said.begins:
        return "not yet"
    return "good" if row.ends is None or at <= row.ends else "over"


def lines(row: Row, at: datetime) -> Iterator[str]:
    """A row for people."""
    item, said = row.item, row.said
    name = f"{item.kind}{' (early)' if item.early else ''}"
    if said is None:
        yield f"unreadable  {name}: {row.trouble}"
        return
    extra = [f"evaluation number {said.number}"] if said.number is not None else []
    extra += [f"{said.revoked} revoked"] if said.revoked is not None else []
    extra += [f"{number} of {day}" for number, day in said.numbers]
    yield f"{state(row, at):10}  {', '.join((f'{name}: {said.about}', *extra))}"
    yield f"{'':10}  {said.begins:%Y-%m-%d %H:%M} to {said.ends:%Y-%m-%d %H:%M}Z, {left(said.ends, at)}"
    if said.chain_ends is not None and said.chain_ends < said.ends:
        yield f"{'':10}  its issuer's chain ends {said.chain_ends:%Y-%m-%d}, {left(said.chain_ends, at)}"


def left(ends: datetime, at: datetime) -> str:
    """How long until an end, in days or hours; rounded down."""
    span = abs(ends - at)
    amount = (
        f"{span.days} days"
        if span >= timedelta(days=2)
        else f"{span.total_seconds() // 3600:.0f} hours"
    )
    return f"{amount} left" if ends >= at else f"over for {amount}"
