"""`troth explain`: the page for a code, offline."""

from typing import Annotated

from cyclopts import Parameter


def explain(
    code: str | None = None, *, list_all: Annotated[bool, Parameter(name="--list")] = False
) -> int:
    """The page for a code: what was looked at, why it matters, what to do.

        troth explain M201
        troth explain wrong-measurement
        troth explain --list

    Args:
        code: number or name of a finding.
        list_all: list every code.
    """
    import textwrap

    from troth.cli._console import out
    from troth.errors import Misuse
    from troth.model.codes import TABLE, find

    if list_all or code is None:
        for item in TABLE.values():
            out(f"{item.id}  {item.slug:24}  {item.title}")
        return 0
    found = find(code)
    if found is None:
        raise Misuse(f"there is no code {code[:40]!r}", fix="troth explain --list")
    out(f"{found.id} {found.slug}: {found.title}\n")
    for paragraph in found.meaning.split("\n\n"):
        out(textwrap.fill(paragraph, 78) + "\n")
    out(textwrap.fill(f"fix: {found.fix}", 78, subsequent_indent="     "))
    return 0
