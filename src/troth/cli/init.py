"""`troth init`: a new app from a template."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

LANGUAGES: Final = ("python", "node", "go", "rust", "oci")
"""What `hello` is there in; the others are each in one language."""
_WRITTEN_IN: Final = {"auction": "python", "shell": "busybox's shell"}
_ALSO_CALLED: Final = {
    "py": "python", "python3": "python", "javascript": "node", "js": "node", "nodejs": "node",
    "typescript": "node", "golang": "go", "rs": "rust", "cargo": "rust", "container": "oci",
    "docker": "oci", "image": "oci", "podman": "oci",
}  # fmt: skip
_COMPILE: Final = "compile"

# Not in the templates, which are the examples: those are built where nobody has waited for a kernel yet.
_KERNEL: Final = b"""\
# The kernel that is meant for Nitro hosts. `troth kernel build` makes it, once for all apps, in some minutes;
# until then `troth up` takes Debian's.
kernel = "hardware"

"""


def init(
    name: str,
    *,
    lang: str | None = None,
    template: Literal["hello", "shell", "auction"] = "hello",
) -> int:
    """Start a new app in a folder of its own.

        troth init my-app
        troth init my-app --lang go
        troth init my-app --template auction

    Args:
        name: of the app and of the folder; lower-case letters, digits and hyphens.
        lang: python, node, go or rust; oci takes a container image, of whatever language. Python by
            default.
        template: hello answers and asks the agent, in any of the languages; auction seals bids and signs
            the outcome, in Python, and has a client that `troth up` runs; shell is hello in busybox.
    """
    import re
    from importlib.resources import files

    from troth.cli._console import out, write_file
    from troth.errors import Misuse, Unavailable

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise Misuse(
            f"{name!r} is no name for an app", fix="lower-case letters, digits and hyphens"
        )
    folder = Path(name)
    source = files("troth.cli").joinpath("templates", _folder(template, lang))
    made = dict(_files(source, folder))
    try:
        folder.mkdir(parents=True)
        for place in made:
            place.parent.mkdir(exist_ok=True)
    except FileExistsError:
        raise Misuse(f"{folder} exists", fix="choose another name") from None
    except OSError as error:
        raise Unavailable(f"cannot make {folder}: {error.strerror}") from None
    recipe = folder / "troth.toml"
    named = f'name = "{name}"'.encode()
    made[recipe] = _KERNEL + re.sub(rb'^name = ".*"$', named, made[recipe], flags=re.MULTILINE)
    for place, data in made.items():
        write_file(place, data)
        if data.startswith(b"#!"):
            # Neither a wheel nor a zip archive must be relied on for this.
            place.chmod(place.stat().st_mode | (place.stat().st_mode & 0o444) >> 2)
    first = f"{folder}/{_COMPILE}, then " if folder / _COMPILE in made else ""
    out(f"{folder}: next, {first}troth lock {folder}, then troth up {folder}")
    return 0


def _folder(template: str, lang: str | None) -> str:
    """The template's folder.

    Raises:
        Misuse: there is no such language, or not for this template.
    """
    import difflib

    from troth.errors import Misuse

    if lang is not None and lang not in LANGUAGES:
        word = lang.lower()
        known = [*LANGUAGES, *_ALSO_CALLED]
        near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
        raise Misuse(
            f"there is no template in {lang!r}",
            fix=f"did you mean --lang {_ALSO_CALLED.get(near[0], near[0])}?"
            if near
            else "choose python, node, go or rust; any other language comes as a container image, "
            "with --lang oci",
        )
    if template == "hello":
        return template if lang in (None, "python") else f"hello-{lang}"
    if lang not in (None, _WRITTEN_IN[template]):
        raise Misuse(
            f"the template {template} is written in {_WRITTEN_IN[template]}, not in {lang}",
            fix=f"leave --lang away, or take hello: --lang {lang}",
        )
    return template


def _files(source: "Traversable", folder: Path) -> "Iterator[tuple[Path, bytes]]":
    """Where each file of a template goes, and what is in it."""
    for item in source.iterdir():
        if item.is_file():
            yield folder / item.name, item.read_bytes()
        elif item.name != "__pycache__":
            yield from _files(item, folder / item.name)
