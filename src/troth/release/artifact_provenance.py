"""How a wheel or the hardware kernel came to be: in-toto Statement v1, SLSA provenance v1, as for images.

The statement is a function of what the file is made from and of the builder's name. It is checked by making it again
from what is at hand, and comparing: every member counts.

Does not verify: that the file comes out of its inputs. `troth rebuild` shows that.
"""

from collections.abc import Mapping
from typing import Any, Final

from troth.errors import Misuse
from troth.release import provenance
from troth.release.artifact import Artifact, Input

_TYPES: Final = {"wheel": "urn:troth:build:wheel:1", "kernel": "urn:troth:build:kernel:1"}


def statement(made: Artifact, *, builder: str) -> dict[str, Any]:
    """The statement about a build.

    Args:
        made: the file, and what it is made from.
        builder: URI of what built it, in the words of whoever signs.

    Raises:
        Misuse: the builder is no URI.
    """
    provenance.check_builder(builder)
    git = []
    if made.source is not None:
        place, commit = made.source.git, made.source.commit
        git = [{"name": "source", "uri": f"git+{place}", "digest": {"gitCommit": commit}}]
    return {
        "_type": provenance.STATEMENT,
        "subject": [{"name": made.name, "digest": {"sha256": made.sha256}}],
        "predicateType": provenance.PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": _TYPES[made.kind],
                "externalParameters": dict(made.external),
                "internalParameters": dict(made.internal),
                "resolvedDependencies": [*git, *(_input(one) for one in made.inputs)],
            },
            "runDetails": {
                "builder": {"id": builder},
                "byproducts": [
                    {"name": name, "digest": {"sha256": sha256}}
                    for name, sha256 in made.byproducts.items()
                ],
            },
        },
    }


def source(presented: Mapping[str, Any]) -> dict[str, str]:
    """The source that a statement about a wheel names: git, commit and path; a claim. Nothing where it names none."""
    found = provenance.at(presented, "predicate", "buildDefinition", "externalParameters", "source")
    if not isinstance(found, dict) or found.keys() != {"git", "commit", "path"}:
        return {}
    return found if all(isinstance(value, str) for value in found.values()) else {}


def problems(
    presented: Mapping[str, Any],
    *,
    name: str,
    sha256: str,
    kind: str,
    made: Artifact | None,
    builder: str = "",
) -> tuple[str, ...]:
    """What speaks against a statement about this file; nothing if every member is as it must be.

    Args:
        presented: from `provenance.parse`.
        name: the file's, as statements call it.
        sha256: the file's, in hex.
        kind: `wheel` or `kernel`.
        made: what it is made from, or None where that is not at hand. Then the inputs were compared with nothing,
            and the caller says so.
        builder: who must have built it, or empty for anybody that the signers name.
    """
    found = []
    if presented["subject"] != [{"name": name, "digest": {"sha256": sha256}}]:
        found.append(f"it is not about {name} with the SHA-256 {sha256}, and about that alone")
    said = provenance.builder_of(presented)
    found += provenance.wrong_builder(said, builder)
    if provenance.at(presented, "predicate", "buildDefinition", "buildType") != _TYPES[kind]:
        found.append(f"it is of another kind of build than {_TYPES[kind]}")
    if found or made is None:
        return tuple(found)
    try:
        expected = statement(made, builder=said)
    except Misuse as error:
        return (str(error),)
    return provenance.compared(expected, presented, by="what is at hand")


def _input(one: Input) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": f"{one.role}: {one.kind} {one.name}",
        "uri": f"{provenance.URIS[one.kind]}{one.name}@{one.version}",
    }
    if len(one.sha256) == 1:
        return {**found, "digest": {"sha256": one.sha256[0]}}
    # A version has a file for each kind of machine and one of sources, and pip chose among these.
    return {**found, "annotations": {"sha256OneOf": list(one.sha256)}}
