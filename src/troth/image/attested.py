"""Who must have published a wheel, and the file that shows it (PEP 740), as a lock keeps them beside its digest."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from troth.errors import Malformed
from troth.image.lock_fields import entries, exactly, file_name, ordered, sha256_of, text

ENDING: Final = ".provenance"
"""What an index adds to a wheel's name for the file."""
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_.-]{1,100}")
_WORKFLOW: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}\.ya?ml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """A workflow of a repository at GitHub.

    Attributes:
        repository: `owner/name`.
        workflow: file under `.github/workflows/`.
    """

    repository: str
    workflow: str

    def __str__(self) -> str:
        return f"{self.repository} by {self.workflow}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """What is expected of one wheel.

    Attributes:
        name: of the package, as the lock has it.
        repository: `owner/name`, at GitHub.
        workflow: file under `.github/workflows/` that published it.
        provenance: SHA-256 of the file that shows it; empty where none is kept for this version.
    """

    name: str
    repository: str
    workflow: str
    provenance: str

    @property
    def publisher(self) -> Publisher:
        """Repository and workflow."""
        return Publisher(repository=self.repository, workflow=self.workflow)


def read(value: Any, field: str) -> tuple[Attested, ...]:
    """What a lock says, sorted by name.

    Raises:
        Malformed: a member is missing, unknown, or not what it must be.
    """
    found = tuple(_one(item, f"{field}[{i}]") for i, item in enumerate(entries(value, field)))
    if not found:
        raise Malformed("is there and empty", field=field)
    ordered([one.name for one in found], field)
    return found


def kept(
    before: Iterable[Attested], old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]
) -> tuple[Attested, ...]:
    """What stays expected when a lock is made anew: the publisher of each wheel that is still in it.

    The file stays for a wheel that is the same one; for another version there is none yet.

    Args:
        before: what the old lock expects.
        old: name and digest of the old lock's wheels.
        new: of the new one's.
    """
    was, now = dict(old), dict(new)
    return tuple(
        one if was.get(one.name) == now[one.name] else replace(one, provenance="")
        for one in before
        if one.name in now
    )


def is_publisher(repository: str, workflow: str) -> bool:
    """Whether GitHub could have these names."""
    return bool(_REPOSITORY.fullmatch(repository) and _WORKFLOW.fullmatch(workflow))


def _one(value: Any, field: str) -> Attested:
    exactly(value, set(Attested.__slots__), field)
    repository = text(value["repository"], f"{field}.repository")
    workflow = text(value["workflow"], f"{field}.workflow")
    if not is_publisher(repository, workflow):
        raise Malformed(
            f"names {repository!r} and {workflow!r}, no repository with a workflow", field=field
        )
    if text(value["provenance"], f"{field}.provenance"):
        sha256_of(value["provenance"], f"{field}.provenance")
    return Attested(
        name=file_name(value["name"], f"{field}.name"),
        repository=repository,
        workflow=workflow,
        provenance=value["provenance"],
    )
