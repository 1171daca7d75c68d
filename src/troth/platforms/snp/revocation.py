"""Is an authority of the chain revoked? AMD's roots list that; keys of chips carry no serial number."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from troth.crypto import issued, signature
from troth.errors import Malformed
from troth.model.check import Check, failed, passed, stamp, undecided
from troth.model.codes.fresh import R203, R204
from troth.model.collateral import Item, Kind
from troth.platforms.snp.authorities import Path
from troth.platforms.snp.collateral import Shelf
from troth.wire import crl
from troth.wire.crl import RevocationList


def checks(
    path: Path | None, shelves: Sequence[Shelf], at: datetime
) -> tuple[tuple[Check, Check], tuple[Item, ...]]:
    """(not revoked, something current says so), and the list that was used.

    A list that names a certificate counts against it for ever, also outside of its own window; that
    none names it counts only where a list is current.
    """
    if path is None:
        why = "no chain is at hand"
        return (undecided(R203, "chain", why=why), undecided(R204, "chain", why=why)), ()
    subject = issued.title(path.ask)
    good, wrong = [], [shelf.unreadable(Kind.AMD_CRL) for shelf in shelves]
    for item, held in (pair for shelf in shelves for pair in shelf.crls):
        try:
            listed = [c for c in (path.ask, path.ark) if held.revokes(c.serial)]
            trouble = _trouble(item.data, path.ark.subject, path.ark.key)
        except Malformed as error:
            listed, trouble = [], str(error)
        if trouble:
            wrong.append(trouble)
        elif listed:
            certificate = listed[0]
            check = failed(
                R203,
                issued.title(certificate),
                presented=f"serial number {certificate.serial:#x} is listed",
                source=f"CRL of {stamp(held.this_update)}",
            )
            return (check, _known(held, at)), (item,)
        else:
            good.append((item, held))
    current = [(item, held) for item, held in good if held.this_update <= at <= held.next_update]
    if current:
        item, held = max(current, key=lambda pair: pair[1].this_update)
        source = f"CRL of {stamp(held.this_update)}"
        return (passed(R203, subject, source=source), _known(held, at)), (item,)
    if good:
        item, held = max(good, key=lambda pair: pair[1].this_update)
        return (undecided(R203, subject, why="no list is current"), _known(held, at)), ()
    expected = f"a current CRL of {issued.title(path.ark)}"
    why = "; ".join(dict.fromkeys(filter(None, wrong)))
    return (
        undecided(R203, subject, why="no list is at hand"),
        undecided(R204, subject, expected=expected, why=why),
    ), ()


def _known(held: RevocationList, at: datetime) -> Check:
    make = passed if held.this_update <= at <= held.next_update else undecided
    return make(
        R204,
        "CRL",
        presented=f"from {stamp(held.this_update)} to {stamp(held.next_update)}",
        expected=f"current at {stamp(at)}",
    )


@lru_cache(maxsize=64)
def _trouble(der: bytes, issuer: bytes, key: bytes) -> str:
    """What forbids to take this list as this issuer's; empty if nothing. Remembered for speed."""
    found = crl.read(der)
    if found.issuer != issuer:
        return "a list of another issuer"
    return signature.verify(key, found.algorithm, found.signature, found.signed)
