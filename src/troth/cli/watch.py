"""`troth watch`: is it still good, what expires next, and what will Intel's next recovery change?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from troth.cli import _expect
from troth.cli._console import out, write_file
from troth.errors import Misuse, TrothError, Unavailable
from troth.model.check import Waiver

if TYPE_CHECKING:
    from troth.cli._watched import Folder
    from troth.model.collateral import Collateral, Request
    from troth.trust.fetch import Servers


def watch(
    folder: Path,
    *,
    once: bool = False,
    fetch: bool = False,
    pcs: str | None = None,
    pccs: str | None = None,
    pccs_authority: Path | None = None,
    kds: str | None = None,
    waive: Sequence[Waiver] = (),
    at: str | None = None,
    json: bool = False,
    prometheus: Path | None = None,
) -> int:
    r"""Judge stored evidence again: how it stands, what ends when, what the next recovery changes.

    For cron. FOLDER holds `policy.toml`, `evidence/` (each may have a policy NAME.toml, a nonce
    NAME.nonce and an event log NAME.log of its own), and if needed `collateral.json` or
    `collateral/`, and `roots.pem`. Exit 1 if something is rejected now, 3 if something is malformed,
    5 if something could not be fetched or is older than seen before, 4 if something is undecided, 6
    if good with waivers, 0 if all is good.

        troth watch --once fleet/
        troth watch --once fleet/ --fetch --prometheus /var/lib/node_exporter/troth.prom

    Args:
        folder: evidence, policies and collateral.
        once: look once, which is the only way in this version.
        fetch: fetch what the evidence needs, also of the next evaluation number; else nothing is asked.
        pcs: base address in place of Intel's PCS.
        pccs: base address of a PCCS, to be asked for all that is Intel's.
        pccs_authority: PEM file of the authority that signed that PCCS's certificate.
        kds: base address in place of AMD's KDS.
        waive: give up an expectation by name; nothing is then better than exit 6.
        at: the instant of judgement; a claim of yours. Default: now.
        json: print as JSON.
        prometheus: write metrics there, for a textfile collector.
    """
    from troth.cli import _collateral, _watch_words, _watched

    if not once:
        raise Misuse("troth watch does not stay", fix="add --once, and let cron call it")
    instant, as_of = _expect.instant(at)
    if fetch and as_of:
        raise Misuse("what is fetched is of now", fix="leave --at or --fetch away")
    servers = _collateral.servers(pcs, pccs, pccs_authority, kds)
    found = _watched.read(folder)
    notes: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    if fetch:
        found, notes, troubles = _fetch(found, servers)
    found, older = _not_older(found)
    troubles += older
    evidence = _watched.look(found, at=instant, as_of=as_of, waive=frozenset(waive))
    result = _watched.Found(
        at=instant,
        evidence=evidence,
        rows=tuple(_collateral.rows(found.collateral)),
        ends=_watched.ends(found, {watched.platform for watched in evidence}),
        troubles=troubles,
        notes=notes,
    )
    if prometheus is not None:
        write_file(prometheus, _watch_words.prometheus(result))
    out(_watch_words.json(result) if json else _watch_words.text(result))
    return result.exit_code


def _not_older(folder: "Folder") -> "tuple[Folder, tuple[str, ...]]":
    """The folder without collateral that is older than was seen before; and what was left out."""
    from dataclasses import replace

    from troth.model.collateral import Collateral
    from troth.trust.seen import Seen

    seen, kept, troubles = Seen(), [], []
    for item in folder.collateral.items:
        try:
            seen.check([item])
            kept.append(item)
        except TrothError as error:  # older, or not legible
            troubles.append(str(error))
    seen.note(kept)
    return replace(folder, collateral=Collateral(items=tuple(kept))), tuple(troubles)


def _fetch(
    folder: "Folder", servers: "Servers"
) -> "tuple[Folder, tuple[str, ...], tuple[str, ...]]":
    """The folder with what servers or the cache have for its evidence; notes; and troubles."""
    from dataclasses import replace
    from functools import partial

    from troth.model.collateral import NONE
    from troth.trust import cache
    from troth.trust.fetch import fetch
    from troth.trust.needs import needs
    from troth.trust.seen import Seen
    from troth.verifier import bundle

    requests: dict[Request, None] = {}
    troubles: list[str] = []
    for stored in folder.stored:
        if stored.trouble:
            continue
        data = stored.data
        try:
            data = bundle.unpack(data).evidence if bundle.looks_like(data) else data
            requests |= dict.fromkeys(needs([(stored.name, data)], early=True))
        except TrothError as error:
            troubles.append(f"{stored.name}: what it needs is not known: {error}")
    notes: list[str] = []
    more: Collateral = NONE
    # Each by itself: what one server has not must not keep the rest from being judged.
    for request in requests:
        try:
            obtained = cache.obtain(
                [request],
                cache=cache.Cache(),
                seen=Seen(),
                now=cache.utc_now(),
                fetch=partial(fetch, servers=servers),
            )
        except Unavailable as error:
            troubles.append(str(error))
        else:
            more = more + obtained.collateral
            notes += obtained.notes
    return (
        replace(folder, collateral=folder.collateral + more),
        tuple(dict.fromkeys(notes)),
        tuple(dict.fromkeys(troubles)),
    )
