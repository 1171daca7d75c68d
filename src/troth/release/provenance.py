"""How an image came to be, as a statement that can be signed: in-toto Statement v1, SLSA provenance v1.

The statement is a function of the build record, the builder's name and the image's. So it is checked by making
it again from the record at hand, and comparing: every member counts, and none is passed over.

Does not verify: that the record is true. The signature says whose word it is; a rebuild shows that it is so.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.image.components import Components, Part, of_record
from troth.wire import json
from troth.wire.eif import Eif, Kind, pieces

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:troth:build:1"
URIS: Final = {"deb": "pkg:deb/debian/", "wheel": "pkg:pypi/", "agent": "pkg:pypi/"}
"""What package URLs of a kind begin with."""
MAX_STATEMENT: Final = 32 * 1024 * 1024
_FIELD: Final = "statement"
_MOST_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an image is, whoever asks.

    Attributes:
        sha256: of its file, without a signature section, in hex.
        registers: what it measures to on Nitro, without PCR8, which is the signer's and no part of a build.
        signed: whether it has a signature section.
    """

    sha256: str
    registers: Mapping[str, str]
    signed: bool


def subject(image: Eif, registers: Mapping[str, str], *, sha256: str) -> Subject:
    """An image as statements name it.

    Args:
        image: the image, signed for PCR8 or not.
        registers: what it measures to, in hex.
        sha256: of its file, in hex. A signed one is only seen through where its file is the one way to
            write it: else bytes that nobody measures could be others.
    """
    kept = tuple(part for part in image.sections if part.kind is not Kind.SIGNATURE)
    signed = len(kept) != len(image.sections)
    if signed and _sha256(image) == sha256:
        sha256 = _sha256(replace(image, sections=kept))
    return Subject(
        sha256=sha256,
        registers={name: value for name, value in registers.items() if name != "pcr8"},
        signed=signed,
    )


def _sha256(image: Eif) -> str:
    running = hashlib.sha256()
    for piece in pieces(image):
        running.update(piece)
    return running.hexdigest()


def statement(
    record: Mapping[str, Any], *, record_sha256: str, name: str, builder: str
) -> dict[str, Any]:
    """The statement about a build.

    Args:
        record: from `components.read_record`.
        record_sha256: of its bytes.
        name: of the image.
        builder: URI of what built it, in the words of whoever signs.

    Raises:
        Misuse: the builder is no URI.
        Malformed: the record is none.
    """
    check_builder(builder)
    parts = of_record(record, sha256=record_sha256)
    registers = record["nitro"]
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": name, "digest": {"sha256": parts.image}},
            # PCR0 alone says which image it is; the others may be other images', too.
            {
                "name": f"PCR0 of {name} on AWS Nitro Enclaves",
                "digest": {"sha384": registers["pcr0"]},
                "annotations": {n: v for n, v in registers.items() if n not in ("pcr0", "pcr8")},
            },
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "recipe": {"digest": {"sha256": record["recipe_sha256"]}},
                    "lock": {"digest": {"sha256": record["lock_sha256"]}},
                    "kernel": record["kernel"].get("asked", ""),
                    **({"source": record["source"]} if "source" in record else {}),
                },
                "internalParameters": {
                    "suite": record["suite"],
                    "architecture": record["architecture"],
                    "archiveKeys": record["archive_keys"],
                    "kernel": {
                        name: value for name, value in record["kernel"].items() if name != "asked"
                    },
                },
                "resolvedDependencies": [*_git(record), *(_input(p) for p in _inputs(parts))],
            },
            "runDetails": {
                "builder": {"id": builder, "version": {"troth": parts.tool}},
                "byproducts": [{"name": "build record", "digest": {"sha256": record_sha256}}],
            },
        },
    }


def check_builder(builder: str) -> None:
    """That a builder is named as SLSA names them.

    Raises:
        Misuse: by no URI.
    """
    if ":" not in builder or not builder.isascii() or not builder.isprintable() or " " in builder:
        raise Misuse(
            f"the builder {builder[:60]!r} is no URI",
            fix="give one of yours, such as https://example.com/builders/release",
        )


def parse(payload: bytes) -> dict[str, Any]:
    """A statement of provenance, in the one encoding that is signed here.

    Raises:
        Malformed: it is no statement, of another type, or encoded otherwise.
    """
    value = json.parse(payload, field=_FIELD, limit=MAX_STATEMENT)
    names = {"_type", "subject", "predicateType", "predicate"}
    if not isinstance(value, dict) or value.keys() != names:
        raise Malformed(f"has other members than {', '.join(sorted(names))}", field=_FIELD)
    for key, wanted in (("_type", STATEMENT), ("predicateType", PREDICATE)):
        if value[key] != wanted:
            raise Malformed(f"is {str(value[key])[:80]!r}, should be {wanted}", field=key)
    try:
        plain = json.canonical(value) == payload
    except Misuse:  # half a surrogate pair
        plain = False
    if not plain:
        raise Malformed("is not in the form that troth writes", field=_FIELD)
    return value


def problems(
    presented: Mapping[str, Any],
    image: Subject,
    *,
    record: Mapping[str, Any] | None,
    record_sha256: str,
    builder: str = "",
) -> tuple[str, ...]:
    """What speaks against a statement about this image; nothing if every member is as it must be.

    Args:
        presented: from `parse`.
        image: from `subject`, of the image at hand.
        record: the image's build record, or None where it is not at hand. Then the inputs were compared with nothing,
            and the caller says so.
        record_sha256: of the record's bytes, or empty.
        builder: who must have built it, or empty for anybody that the signers name.
    """
    said = builder_of(presented)
    found = (*_about(presented, image), *wrong_builder(said, builder))
    if found or record is None:
        return found
    if record["image"]["sha256"] != image.sha256:
        return (f"the build record is of another image, {record['image']['sha256'][:16]}…",)
    try:
        expected = statement(
            record, record_sha256=record_sha256, name=_name(presented), builder=said
        )
    except Misuse as error:
        return (str(error),)
    return compared(expected, presented, by="the build record")


def builder_of(presented: Mapping[str, Any]) -> str:
    """Who built it, as the signers say; empty where they do not."""
    said = at(presented, "predicate", "runDetails", "builder", "id")
    return said if isinstance(said, str) else ""


def wrong_builder(said: str, builder: str) -> tuple[str, ...]:
    """What speaks against a builder, who must be the one that is asked for, or anybody where none is."""
    if not said:
        return ("it names no builder",)
    if builder and said != builder:
        return (f"it was built by {said!r}, should be {builder!r}",)
    return ()


def _about(presented: Mapping[str, Any], image: Subject) -> Iterator[str]:
    """Whether it is about this image: by its file, and by what it measures to."""
    subjects = presented["subject"]
    if not isinstance(subjects, list) or len(subjects) != 2:
        yield "it has other subjects than an image and what that measures to"
        return
    for one in subjects:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            yield "it has a subject without a name"
            return
    about = subjects[0].get("digest")
    if about != {"sha256": image.sha256}:
        yield f"it is about {_hex(about)}, and this image is {image.sha256}"
    measured = {"pcr0": at(subjects[1], "digest", "sha384")}
    others = subjects[1].get("annotations")
    measured |= others if isinstance(others, dict) else {}
    if measured != dict(image.registers) or subjects[1].get("digest") != {
        "sha384": image.registers["pcr0"]
    }:
        yield "it gives other measurements than this image's"


def compared(
    expected: Mapping[str, Any], presented: Mapping[str, Any], *, by: str
) -> tuple[str, ...]:
    """Where a statement says something else than is made from what is at hand; nothing if nowhere.

    Args:
        expected: what is made.
        presented: what was presented.
        by: what it is made from, for words.
    """
    shown = list(_differences(expected, presented, "statement", by))
    more = [f"and {len(shown) - _MOST_SHOWN} more"] if len(shown) > _MOST_SHOWN else []
    return (*shown[:_MOST_SHOWN], *more)


def _differences(want: Any, got: Any, path: str, by: str) -> Iterator[str]:
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(want.keys() | got.keys()):
            if key not in got:
                yield f"{path}.{key} is missing"
            elif key not in want:
                yield f"{path}.{key} is not known"
            else:
                yield from _differences(want[key], got[key], f"{path}.{key}", by)
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for number, (one, other) in enumerate(zip(want, got, strict=True)):
            yield from _differences(one, other, f"{path}[{number}]", by)
    elif isinstance(want, list) and isinstance(got, list):
        yield f"{path} has {len(got)} items, and {by} gives {len(want)}"
    # 1 is True to Python, and not to anybody else.
    elif want != got or type(want) is not type(got):
        yield f"{path} is {got!r:.90}, and {by} gives {want!r:.90}"


def _inputs(parts: Components) -> Iterator[Part]:
    return (part for part in parts.parts if not part.within)


def _input(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {"name": f"{part.role}: {part.kind} {part.name}"}
    if part.kind in URIS:
        found["uri"] = f"{URIS[part.kind]}{part.name}@{part.version}"
    if part.sha256:
        found["digest"] = {"sha256": part.sha256}
    about = {
        "source": f"{part.source} {part.source_version}".strip(),
        "builtUsing": list(part.built_using),
    }
    kept = {name: value for name, value in about.items() if value}
    return {**found, **({"annotations": kept} if kept else {})}


def _git(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The source that the app was built from, where the record names a commit of it."""
    source = record.get("source")
    if not isinstance(source, dict):
        return
    place, commit = source.get("git"), source.get("commit")
    if isinstance(commit, str) and commit:
        uri = {"uri": f"git+{place}"} if isinstance(place, str) and place else {}
        yield {"name": "source", **uri, "digest": {"gitCommit": commit}}


def _name(presented: Mapping[str, Any]) -> str:
    return str(presented["subject"][0]["name"])


def at(value: Any, *path: str) -> Any:
    """What stands at a place of a statement, or None."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _hex(digest: Any) -> str:
    found = digest.get("sha256") if isinstance(digest, dict) and len(digest) == 1 else None
    return found[:64] if isinstance(found, str) else "something without one SHA-256"
