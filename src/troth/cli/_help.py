"""How help is printed: prose is filled to the terminal, examples stay as they are, in plain text.

It is what cyclopts calls a help formatter. The list of commands takes its lines from a table, so that
no command is imported for it; the help of a command is its docstring.
"""

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from troth.render.paint import for_encoding

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

_MOST_COLUMNS: Final = 96
_EXAMPLE: Final = "troth "
_INDENT: Final = " " * 4
"""Examples are indented so in docstrings; the parser takes it from the first one of a text."""
_NOTHING: Final = (None, "()", "False")
"""Defaults that say no more than leaving the option away does."""


class PlainHelp:
    """Plain text for every panel of help.

    Attributes:
        summaries: line of help by command, for commands that are not imported.
    """

    def __init__(self, summaries: Mapping[str, str]) -> None:
        self.summaries = summaries

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """Prints commands as a table, and parameters with what they mean."""
        del options
        if not panel.entries:
            return
        columns = min(console.width, _MOST_COLUMNS)
        rows = self._commands if panel.format == "command" else _parameters
        _print(console, f"{panel.title}:")
        for line in rows(panel.entries, columns):
            _print(console, line)
        _print(console, "")

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: object) -> None:
        """Prints the line of usage."""
        del options
        if usage:
            _print(console, f"Usage: {str(usage).strip().removeprefix('Usage: ')}\n")

    def render_description(
        self, console: "Console", options: "ConsoleOptions", description: object
    ) -> None:
        """Prints what a command does, with its examples."""
        del options
        for block in _plain(description).split("\n\n"):
            if block.strip():
                _print(console, _block(block, min(console.width, _MOST_COLUMNS)) + "\n")

    def _commands(self, entries: "list[HelpEntry]", columns: int) -> Iterator[str]:
        labels = [", ".join(entry.all_options) for entry in entries]
        margin = max(map(len, labels)) + 2
        for label, entry in zip(labels, entries, strict=True):
            summary = _plain(entry.description) or self.summaries.get(label, "")
            yield textwrap.fill(
                f"{label:<{margin}}{summary}",
                columns,
                initial_indent="  ",
                subsequent_indent=" " * (margin + 2),
                break_on_hyphens=False,
            )


def _parameters(entries: "list[HelpEntry]", columns: int) -> Iterator[str]:
    for entry in entries:
        words = [_plain(entry.description)]
        words += [f"[choices: {', '.join(entry.choices)}]"] if entry.choices else []
        words += [] if entry.default in _NOTHING else [f"[default: {entry.default}]"]
        words += ["[required]"] if entry.required else []
        yield textwrap.fill(
            f"{', '.join(entry.display_labels_with_metavar)}: {' '.join(filter(None, words))}",
            columns,
            initial_indent="  ",
            subsequent_indent=" " * 6,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _block(block: str, columns: int) -> str:
    """One paragraph: examples and tables as they stand, prose filled."""
    lines = block.splitlines()
    if lines[0].startswith((_EXAMPLE, _INDENT + _EXAMPLE)):
        return "\n".join(f"  {line.removeprefix(_INDENT)}" for line in lines)
    if any(line.startswith(" ") for line in lines):
        return block
    return textwrap.fill(" ".join(lines), columns, break_long_words=False, break_on_hyphens=False)


def _plain(description: object) -> str:
    """The words out of the library's wrapping, line ends and all."""
    return str(getattr(description, "primary_renderable", description) or "").strip("\n")


def _print(console: "Console", text: str) -> None:
    words = for_encoding(text, console.encoding)
    console.print(words, highlight=False, markup=False, soft_wrap=True)
