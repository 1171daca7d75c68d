"""What a build record says to whoever builds the image again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.image import checkout
from troth.image import recipe as recipes
from troth.image.checkout import Source
from troth.image.lock_fields import sha256_of
from troth.image.store import digest
from troth.wire import json

SCHEMA: Final = "troth/build/1"
MOST: Final = 8 << 20
"""Bytes of a record; those of large apps have some hundred thousand."""

_LACKING: Final = ("recipe", "lock")
_REGISTER: Final = re.compile(r"[0-9a-f]{96}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A build record, as far as a rebuild needs it.

    Attributes:
        document: all of it.
        recipe, lock: the files, in text.
        app: path in the image to SHA-256, of the app's own files.
        kernel: the kind that the image has.
        source: where the source is, or None where the builder did not say.
        sha256: of the image.
        nitro: its registers.
        agent_sha256: of the troth that built it, what it puts into images.
    """

    document: Mapping[str, Any]
    recipe: str
    lock: str
    app: Mapping[str, str]
    kernel: str
    source: Source | None
    sha256: str
    nitro: Mapping[str, str]
    agent_sha256: str


def read(data: bytes, *, field: str) -> Stated:
    """The record that these bytes are.

    Args:
        data: a file that `troth build` wrote.
        field: its name, for errors.

    Raises:
        Malformed: it is none, or contradicts itself.
        Misuse: it is of a troth that did not write down what a rebuild needs.

    Does not verify: that any of it is true. A rebuild does.
    """
    document = json.parse(data, field=field, limit=MOST)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise Malformed(
            f"is not a build record ({SCHEMA})",
            field=field,
            fix="`troth build` writes one beside each image, as NAME.build.json",
        )
    try:
        json.canonical(document)
    except Misuse as error:  # what could be built, and then be told to nobody
        raise Malformed(f"cannot be written again: {error}", field=field) from None
    lacks = [name for name in _LACKING if name not in document]
    if lacks:
        raise Misuse(
            f"{field} lacks the text of {' and '.join(lacks)}: a troth older than `troth rebuild` made it",
            fix="name the app's folder and what to compare with: troth rebuild APP --image IMAGE",
        )
    texts = {}
    for name in _LACKING:
        texts[name] = _text(document, name, field)
        stated = sha256_of(document.get(f"{name}_sha256"), f"{field}: {name}_sha256")
        if digest(texts[name].encode("utf-8")) != stated:
            raise Malformed(f"has another {name} than its {name}_sha256 says", field=field)
    kernel = _text(_object(document, "kernel", field), "kind", f"{field}: kernel")
    recipes.check_kernel(kernel, f"{field}: kernel.kind")
    return Stated(
        document=document,
        recipe=texts["recipe"],
        lock=texts["lock"],
        app=_app(document.get("app"), f"{field}: app"),
        kernel=kernel,
        source=_source(document["source"], f"{field}: source") if "source" in document else None,
        sha256=sha256_of(_object(document, "image", field).get("sha256"), f"{field}: image.sha256"),
        nitro=_nitro(_object(document, "nitro", field), f"{field}: nitro"),
        agent_sha256=sha256_of(
            _object(document, "tool", field).get("agent_sha256"), f"{field}: tool.agent_sha256"
        ),
    )


def _object(document: Mapping[str, Any], name: str, field: str) -> Mapping[str, Any]:
    value = document.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"has no object {name!r}", field=field)
    return value


def _text(document: Mapping[str, Any], name: str, field: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise Malformed(f"has no text {name!r}", field=field)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed(f"has half a surrogate pair in {name!r}", field=field) from None
    return value


def _app(value: Any, field: str) -> dict[str, str]:
    if not isinstance(value, list):
        raise Malformed("is no list of files", field=field)
    found: dict[str, str] = {}
    for number, item in enumerate(value):
        where = f"{field}[{number}]"
        if not isinstance(item, dict):
            raise Malformed("is no object", field=where)
        path = _text(item, "path", where)
        if path in found:
            raise Malformed(f"names {path} twice", field=where)
        found[path] = sha256_of(item.get("sha256"), f"{where}.sha256")
    return found


def _source(value: Any, field: str) -> Source:
    known = {"git", "commit", "tag", "path", "made"}
    if not isinstance(value, dict) or not set(value) <= known:
        raise Malformed(f"must be an object with {', '.join(sorted(known))}", field=field)
    made = value.get("made", [])
    if not isinstance(made, list) or not all(isinstance(name, str) for name in made):
        raise Malformed("has no list of names", field=f"{field}.made")
    source = Source(
        git=_text(value, "git", field),
        commit=_text(value, "commit", field),
        tag=_text(value, "tag", field) if "tag" in value else "",
        path=_text(value, "path", field),
        made=tuple(made),
    )
    try:
        return checkout.check(source)
    except Misuse as error:
        raise Malformed(str(error), field=field) from None


def _nitro(value: Mapping[str, Any], field: str) -> dict[str, str]:
    for name, register in value.items():
        if not isinstance(register, str) or not _REGISTER.fullmatch(register):
            raise Malformed("is no register in hex", field=f"{field}.{name}")
    return dict(value)
