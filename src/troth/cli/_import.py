"""Other projects' documents of what their images measure to, as policies of ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from troth.cli._console import read_source
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.policy import Policy

Kind = Literal["flashbots", "tinfoil"]
_MAX: Final = 4 << 20


def flashbots(source: str, *, entry: str) -> "Policy":
    """One entry of a list of Flashbots' (`measurement_id`); the only one, where there is one.

    Raises:
        Malformed, Unavailable: it is no such list, or cannot be read.
        Misuse: an entry takes anything, or there are several and none is named.
    """
    from troth.policy import flashbots as lists

    found = {policy.name: policy for policy in lists.policies(read_source(source, limit=_MAX))}
    if entry in found:
        return found[entry]
    if not entry and len(found) == 1:
        return next(iter(found.values()))
    named = f"there is no entry {entry!r}" if entry else "there are several entries"
    raise Misuse(named, fix=f"name one with --entry: {', '.join(sorted(found))}")


def tinfoil(
    source: str,
    *,
    hardware: Path | None,
    hardware_tag: str,
    sigstore_root: Path | None,
    repository: str,
    tag: str,
    workflow: str,
    mrtd: str,
) -> "Policy":
    """A release of Tinfoil's, whose Sigstore bundles are checked offline.

    Raises:
        Malformed, Unavailable: a bundle does not verify, or cannot be read.
        Misuse: nobody said who must have signed, or under which root.
    """
    from troth.channel.services import tinfoil_release as releases

    if sigstore_root is None or not repository or not tag:
        raise Misuse(
            "nobody said who must have signed this release",
            fix="give --repository OWNER/NAME, --tag and --sigstore-root (Sigstore's trusted_root.json)",
        )
    root = read_source(str(sigstore_root), limit=_MAX)
    who = releases.Identity(repository=repository, tag=tag, workflow=workflow)
    made = releases.release(read_source(source, limit=_MAX), identity=who, trusted_root=root)
    shapes: Sequence[releases.Hardware] = ()
    if hardware is not None:
        if not hardware_tag:
            raise Misuse("the list of hardware has a tag of its own", fix="give --hardware-tag")
        lists = releases.Identity(repository=releases.HARDWARE_REPOSITORY, tag=hardware_tag)
        shapes = releases.hardware(
            read_source(str(hardware), limit=_MAX), identity=lists, trusted_root=root
        )
    return releases.policy(made, shapes, mrtd=mrtd)
