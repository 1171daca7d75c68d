"""Write what the code knows better than prose: the help of every command, and what troth speaks.

Makes docs/reference/cli.md, the table in README.md, in docs/reference/services.md the matrix of attacks
that the tests are held to, in docs/reference/hardware-kernel.md the options and what is pinned, and in
docs/reference/surface.md the numbers. With `--check` it writes nothing and exits 1 if something would change.
"""

import io
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from cyclopts import App
from rich.console import Console

from troth.channel.services import SERVICES
from troth.cli.main import COMMANDS, make_app
from troth.image.hardware import options
from troth.image.hardware.inputs import inputs
from troth.image.surface_words import KINDS, NUMBERS
from troth.platforms import PLATFORMS

REPOSITORY: Final = Path(__file__).parents[1]
README: Final = REPOSITORY / "README.md"
CLI: Final = REPOSITORY / "docs" / "reference" / "cli.md"
BEGIN: Final = "<!-- what it speaks: made by `make docs` -->"
END: Final = "<!-- end -->"
SERVICES_PAGE: Final = REPOSITORY / "docs" / "reference" / "services.md"
CELLS: Final = REPOSITORY / "tests" / "channel" / "services" / "cells.toml"
MATRIX_BEGIN: Final = (
    "<!-- the matrix: made by `make docs` from the table that tests are held to -->"
)
KERNEL_PAGE: Final = REPOSITORY / "docs" / "reference" / "hardware-kernel.md"
OPTIONS_BEGIN: Final = (
    "<!-- the options: made by `make docs` from the table that the kernel is built from -->"
)
PINNED_BEGIN: Final = "<!-- what is pinned: made by `make docs` from the lock -->"
SURFACE_PAGE: Final = REPOSITORY / "docs" / "reference" / "surface.md"
NUMBERS_BEGIN: Final = "<!-- the numbers: made by `make docs` -->"
KINDS_BEGIN: Final = "<!-- the kinds: made by `make docs` -->"
# Not codes: the answer is no evidence at all, or the connection is lost.
ERRORS: Final = frozenset({"malformed", "unavailable"})
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
    """One row for each platform and each service of the registries."""
    rows = ["| speaks | verify | collect in the guest | measure an image | simulate |"]
    rows.append("| --- | --- | --- | --- | --- |")
    for platform in PLATFORMS:
        folders = (FOLDERS.get(platform.name, platform.name), *SHARED.get(platform.name, ()))
        has = [
            "yes" if any(find_spec(f"troth.platforms.{f}.{part}") for f in folders) else "–"
            for part in PARTS
        ]
        rows.append(f"| {platform.title} | yes | {' | '.join(has)} |")
    for service in SERVICES:
        made = find_spec(f"troth.channel.services.simulate.{service.name}")
        rows.append(f"| {service.title} | live | – | – | {'yes' if made else '–'} |")
    return "\n".join(rows)


def matrix() -> str:
    """Attacks in rows, services in columns; under it the sentences, and the codes."""
    cells = tomllib.loads(CELLS.read_text("utf-8"))
    attacks = cells.pop("attacks")
    cells.pop("tests_of")
    noted: list[str] = []
    named: set[str] = set()
    rows = [["attack", *(f"`{service.replace('_', '-')}`" for service in cells)]]
    rows.append(["---"] * len(rows[0]))
    for attack in attacks:
        said = [_cell(row[attack], noted, named) for row in cells.values()]
        rows.append([_words(attack), *said])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    notes = "\n".join(f"{number}. {text}" for number, text in enumerate(noted, 1))
    links = ", ".join(f"[{code}](codes/{code}.md)" for code in sorted(named))
    return f"{table}\n\nOpen, in the words of the report:\n\n{notes}\n\nThe codes: {links}."


def _words(attack: str) -> str:
    words = attack.replace("_", " ").replace("anothers", "another's").replace("gpu", "GPU")
    return words.replace("event log", "event-log")


def _cell(cell: dict[str, Any], noted: list[str], named: set[str]) -> str:
    refused = cell.get("refused", [])
    codes = [one for one in refused if one not in ERRORS]
    named.update(codes)
    words = codes + ["error"] * (len(codes) < len(refused))
    sentence = cell.get("not_bound", "")
    if sentence:
        if sentence not in noted:
            noted.append(sentence)
        words.append(f"open ({noted.index(sentence) + 1})")
    return ", ".join(words)


def kernel_options() -> str:
    """The table of options, part by part."""
    parts = []
    for part in options.table():
        rows = [
            f"### {part.title}",
            "",
            part.about,
            "",
            "| option | set to | why |",
            "| --- | --- | --- |",
        ]
        rows += [
            f"| `{option.name}` | {'off' if option.value == 'n' else option.value} | {option.why} |"
            for option in part.options
        ]
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def kernel_pinned() -> str:
    """What the kernel is made from, and what comes out."""
    lock = inputs()
    named = {deb.name: deb.version for deb in lock.toolchain}
    rows = {
        "version": lock.kernel.version,
        "bzImage": f"{lock.kernel.size:,} bytes, SHA-256 `{lock.kernel.sha256}`",
        "configuration": f"SHA-256 `{lock.kernel.config_sha256}`, sorted and without comments",
        "source": f"`{lock.source.name}` {lock.source.version}, SHA-256 `{lock.source.sha256}`",
        "tools": f"{len(named)} packages of Debian's {lock.suite}, digest `{lock.toolchain_sha256}`",
        "among them": f"gcc {named['gcc-14']}, binutils {named['binutils']}, make {named['make']}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"| | |\n| --- | --- |\n{table}"


def words(table: dict[str, str], heading: str) -> str:
    """A table of words with what each means."""
    rows = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in table.items())
    return f"| {heading} | |\n| --- | --- |\n{rows}"


def within(page: Path | str, opening: str, made: str) -> str:
    """The page, or its text, with what stands between its marks made again."""
    text = page if isinstance(page, str) else page.read_text("utf-8")
    head, begin, rest = text.partition(opening)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"error: a page lacks {opening} or {END}")
    return f"{head}{opening}\n{made}\n{END}{tail}"


def main() -> int:
    """Write, or only compare."""
    made = {
        CLI: cli_page(),
        README: within(README, BEGIN, speaks()),
        SERVICES_PAGE: within(SERVICES_PAGE, MATRIX_BEGIN, matrix()),
        KERNEL_PAGE: within(
            within(KERNEL_PAGE, OPTIONS_BEGIN, kernel_options()), PINNED_BEGIN, kernel_pinned()
        ),
        SURFACE_PAGE: within(
            within(SURFACE_PAGE, NUMBERS_BEGIN, words(NUMBERS, "number")),
            KINDS_BEGIN,
            words(KINDS, "kind"),
        ),
    }
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
