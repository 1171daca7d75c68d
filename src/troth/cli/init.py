"""`troth init`: a new app from a template."""

from pathlib import Path
from typing import Literal


def init(name: str, *, template: Literal["hello", "shell"] = "hello") -> int:
    """Start a new app in a folder of its own.

        troth init my-app
        troth init my-app --template shell

    Args:
        name: of the app and of the folder; lower-case letters, digits and hyphens.
        template: hello is Python; shell needs none.
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
    source = files("troth.cli").joinpath("templates", template)
    try:
        (folder / "app").mkdir(parents=True)
    except FileExistsError:
        raise Misuse(f"{folder} exists", fix="choose another name") from None
    except OSError as error:
        raise Unavailable(f"cannot make {folder}: {error.strerror}") from None
    recipe = source.joinpath("troth.toml").read_text("utf-8")
    recipe = re.sub(r'^name = ".*"$', f'name = "{name}"', recipe, flags=re.MULTILINE)
    write_file(folder / "troth.toml", recipe.encode("utf-8"))
    for item in source.joinpath("app").iterdir():
        if item.is_file():
            write_file(folder / "app" / item.name, item.read_bytes())
    out(f"{folder}: next, troth lock {folder}, then troth up {folder}")
    return 0
