"""An app out of nothing but a container image or a folder: the recipe that a command line stands for."""

import json
import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from troth.cli._console import say
from troth.cli._progress import progress
from troth.errors import Misuse, Unavailable
from troth.render.escape import visible

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Bring:
    """What is said on the command line of an app whose root is brought."""

    from_oci: Path | None = None
    "Container image as it was saved: a file of docker save, or an OCI layout as a folder or tar."
    from_rootfs: Path | None = None
    "Folder that is to be the app's root."
    name: str | None = None
    "Name of the app, and of the folder for its recipe; by default that of what is brought."
    listen: Annotated[list[int], Parameter(negative=())] = field(default_factory=list)
    "Port on which the app listens inside, and to which the attested channel leads."
    entry: str | None = None
    "Command in the place of the image's, in the words of a shell."
    directory: str | None = None
    "Folder in which the app starts, in the place of the image's."
    memory: int | None = None
    "MiB of memory; by default four times what the root holds, and at least 512."

    @property
    def source(self) -> Path | None:
        """What is brought.

        Raises:
            Misuse: both an image and a folder.
        """
        if self.from_oci and self.from_rootfs:
            raise Misuse("--from-oci and --from-rootfs are both given, and an app has one root")
        return self.from_oci or self.from_rootfs


def app_of(app: Path | None, bring: Bring, *, kernel: str | None) -> tuple[Path, Path | None]:
    """The app's folder, made where there is none yet, and where its root is instead of where it says.

    Args:
        app: the folder that was named, or None.
        bring: the flags.
        kernel: the one asked for.

    Raises:
        Misuse: neither an app nor something to bring; flags that a recipe has to say; a folder that
            says something else already.
        Malformed, Unavailable, Gone: as `locking.make`.
    """
    from troth.image.recipe import load

    source = bring.source
    if app is None:
        if source is None:
            raise Misuse(
                "there is nothing to build",
                fix="name the folder of an app, or what to bring: --from-oci FILE, --from-rootfs DIR",
            )
        return _made(source, bring, kernel), None
    told = (bring.name, bring.entry, bring.directory, bring.memory, *bring.listen)
    if any(flag is not None for flag in told):
        raise Misuse(
            f"{app} has a recipe, which says its name, ports, command, folder and memory",
            fix="write them into its troth.toml",
        )
    if source is not None and not load(app).brings:
        raise Misuse(
            f"{app} brings no root, and is made of its own files and packages",
            fix="leave out --from-oci and --from-rootfs, or name no app",
        )
    return app, source


def _made(source: Path, bring: Bring, kernel: str | None) -> Path:
    """The folder of the app, with recipe and lock; one that says the same is used again."""
    from troth.image import lock as locks
    from troth.image import locking, recipe
    from troth.image.store import Store

    folder = Path(bring.name or _name(source))
    if folder.resolve() == source.resolve():
        raise Misuse(f"{folder} is what is brought", fix="give the app another name: --name NAME")
    text = _recipe(source, bring, folder, kernel)
    try:
        recipe.parse(tomllib.loads(text), folder=folder)
    except tomllib.TOMLDecodeError as error:
        raise Misuse(f"a flag holds what no recipe can: {error}") from None
    file = folder / recipe.FILE
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        raise Misuse(
            f"{file} is there, and says something else",
            fix=f"build that one: troth build {folder}; or give another name: --name NAME",
        )
    try:
        folder.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unavailable(f"{file} can't be written: {why}") from None
    if not (folder / locks.FILE).is_file():
        with progress() as tell:
            locking.make(folder, store=Store.of_user(), say=tell)
        say(f"wrote {file} and its lock; build it again with: troth build {folder}")
    return folder


def _name(source: Path) -> str:
    name = source.resolve().name.lower().removesuffix(".tar").removesuffix(".oci")
    if not _NAME.fullmatch(name):
        raise Misuse(f"{name!r} is no name for an app", fix="give it one: --name NAME")
    return name


def _recipe(source: Path, bring: Bring, folder: Path, kernel: str | None) -> str:
    """A recipe in TOML."""
    if not source.exists():
        raise Misuse(
            f"there is no {source}",
            fix="name what `docker save` wrote, an OCI layout, or a folder",
        )
    path = os.path.relpath(source.resolve(), folder.resolve())
    key = "from_oci" if bring.from_oci else "from_rootfs"
    try:
        entry = shlex.split(bring.entry or "")
    except ValueError as error:
        raise Misuse(f"--entry is no command: {error}") from None
    app = {"name": folder.name, key: path, "entry": entry, "directory": bring.directory}
    lines = [f"{k} = {_text(v)}" for k, v in (("kernel", kernel), ("memory", bring.memory)) if v]
    lines += ["", "[app]"] if lines else ["[app]"]
    lines += [f"{k} = {_text(v)}" for k, v in app.items() if v]
    for port in bring.listen:
        lines += ["", "[[listen]]", f"port = {port}"]
    return "".join(f"{line}\n" for line in lines)


def notes(record: Mapping[str, Any], *, listens: bool) -> None:
    """Says what of a root was left out, and which ports it hints at where none is published.

    Args:
        record: the build record.
        listens: whether the app publishes a port.
    """
    root = record.get("root", {})
    for line in root.get("left_out", ()):
        say(f"note: {visible(line)}")
    if root.get("exposed") and not listens:
        ports = ", ".join(str(port) for port in root["exposed"])
        say(f"note: nothing leads to the app; it says that it listens on {ports}: --listen PORT")


def _text(value: object) -> str:
    """JSON's texts, numbers and lists of them are TOML's as well."""
    return json.dumps(value, ensure_ascii=False)
