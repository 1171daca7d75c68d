"""Write what the code knows better than prose: the help of every command, and what troth speaks.

Makes docs/reference/cli.md and the table in README.md. With `--check` it writes nothing and exits 1 if
something would change.
"""

import io
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cyclopts import App
from rich.console import Console

from troth.cli.main import COMMANDS, make_app
from troth.platforms import PLATFORMS

REPOSITORY: Final = Path(__file__).parents[1]
README: Final = REPOSITORY / "README.md"
CLI: Final = REPOSITORY / "docs" / "reference" / "cli.md"
BEGIN: Final = "<!-- what it speaks: made by `make docs` -->"
END: Final = "<!-- end -->"
# What Intel's two platforms share stands in one folder.
# Several platforms in one folder.
FOLDERS: Final = dict.fromkeys(("maa", "gcs", "ita", "nras"), "tokens")
SHARED: Final = {"sgx": ("dcap",), "tdx": ("dcap",)}
PARTS: Final = ("collect", "measure", "simulate")
WIDTH: Final = 96


def help_of(app: App, *words: str) -> str:
    """The help text of one command, as a terminal without colour shows it."""
    text = io.StringIO()
    console = Console(file=text, width=WIDTH, color_system=None, force_terminal=False)
    app.help_print(list(words), console=console)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip()


def cli_page() -> str:
    """Every command's help, those below a noun included."""
    app = make_app()
    parts = ["# The command line\n\nMade by `make docs` from the program itself.\n"]
    parts.append(f"\n```text\n{help_of(app)}\n```\n")
    for name, _, _ in COMMANDS:
        parts.append(f"\n## troth {name}\n\n```text\n{help_of(app, name)}\n```\n")
        below = [word for word in app[name] if not word.startswith("-")]
        for word in below:
            text = help_of(app, name, word)
            parts.append(f"\n### troth {name} {word}\n\n```text\n{text}\n```\n")
    return "".join(parts)


def speaks() -> str:
    """One row for each platform of the registry."""
    rows = ["| speaks | verify | collect in the guest | measure an image | simulate |"]
    rows.append("| --- | --- | --- | --- | --- |")
    for platform in PLATFORMS:
        folders = (FOLDERS.get(platform.name, platform.name), *SHARED.get(platform.name, ()))
        has = [
            "yes" if any(find_spec(f"troth.platforms.{f}.{part}") for f in folders) else "–"
            for part in PARTS
        ]
        rows.append(f"| {platform.title} | yes | {' | '.join(has)} |")
    return "\n".join(rows)


def readme() -> str:
    """The README with its table made again."""
    text = README.read_text("utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"error: README.md lacks {BEGIN} or {END}")
    return f"{head}{BEGIN}\n{speaks()}\n{END}{tail}"


def main() -> int:
    """Write, or only compare."""
    made = {CLI: cli_page(), README: readme()}
    if "--check" in sys.argv[1:]:
        late = [p for p, text in made.items() if not p.exists() or p.read_text("utf-8") != text]
        for path in late:
            print(f"not up to date: {path.name}", file=sys.stderr)
        return 1 if late else 0
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
