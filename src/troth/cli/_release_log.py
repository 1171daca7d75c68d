"""The log of releases that a policy asks for, by what the user wrote: a file, a folder, or an address."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from troth.cli import _log_source
from troth.cli._console import read_source
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.model.collateral import Collateral
    from troth.policy import Policy
    from troth.tlog.note import VerifierKey

ENDING: Final = ".troth-log"
_WEB: Final = ("https://", "http://")


def load(source: str | None, policy: "Policy", *, offline: bool) -> "Collateral":
    """The log as collateral; nothing of it is believed yet.

    Args:
        source: a file that `troth tlog prove --whole` wrote, its address, or folder or address of the log.
        policy: which names the log.
        offline: whether the network may not be used.

    Raises:
        Misuse: the policy asks for no log, or an address is given and the network may not be used.
        Malformed: what is there is no log, or the log did not sign it.
        Unavailable: it cannot be read.
    """
    from troth.model.collateral import NONE, Collateral, Item, Kind

    if source is None:
        return NONE
    terms = policy.release
    if terms is None:
        raise Misuse(
            f"{policy.name} asks for no release in a log",
            fix="leave --log away, or add [release] to the policy: `troth policy releases`",
        )
    web = source.startswith(_WEB)
    if web and offline:
        raise Misuse("a log at an address needs the network", fix="name a file, or its folder")
    fetched_at = datetime.now(UTC).replace(microsecond=0) if web else None
    data = _data(source, web=web, log=terms.log)
    item = Item(kind=Kind.RELEASE_LOG, data=data, source=source, fetched_at=fetched_at)
    return Collateral(items=(item,))


def _data(source: str, *, web: bool, log: "VerifierKey") -> bytes:
    from troth.tlog import snapshot

    if web and source.endswith(ENDING):
        from troth.trust.site import Site

        base, _, name = source.rpartition("/")
        data = Site(base).get(name, limit=snapshot.MOST_BYTES)
    elif web or Path(source).is_dir():
        reader, note, newest = _log_source.newest(source, log)
        older = _log_source.history(source, newest.size)
        return snapshot.whole(note, older, reader.entries(0, newest.size, newest))
    else:
        data = read_source(source, limit=snapshot.MOST_BYTES)
    snapshot.unpack(data, field=source)
    return data
