"""`troth trust`: the roots that count."""

from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from troth.cli._console import exists, out
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.model.roots import Root

app = App(
    name="trust",
    help="""List and show the roots that count.

Vendors' roots are pinned in troth. Any other root, such as your own development root, counts only where
a command names it with --trust.

    troth trust list
    troth trust show 641a0321
""",
)


@app.command(name="list")
def list_roots(*, json: bool = False) -> int:
    """The pinned vendor roots, and where this user's development root is.

        troth trust list

    Args:
        json: print as JSON.
    """
    from troth.runtime import development
    from troth.trust import load_roots, vendor_roots
    from troth.wire import json as strict

    roots = list(vendor_roots())
    if development.root_file().exists():
        roots += load_roots(development.root_file())
    if json:
        out(strict.canonical([_plain(root) for root in roots]).decode())
        return 0
    for root in roots:
        out(f"{root.root_class:11}  {root.platform}  {root.sha256[:16]}…  {root.source}")
    return 0


@app.command
def show(root: str, *, json: bool = False) -> int:
    """One root: digest, source, end of validity, and until when troth vouches for it.

        troth trust show 641a0321
        troth trust show root.pem

    Args:
        root: the beginning of a pinned root's SHA-256, or a PEM file.
        json: print as JSON.
    """
    from troth.trust import load_roots, vendor_roots
    from troth.wire import json as strict

    if exists(Path(root)) and Path(root).is_file():
        found = load_roots(Path(root))
    else:
        found = tuple(r for r in vendor_roots() if r.sha256.startswith(root.lower()))
    if not found:
        raise Misuse(f"no pinned root begins with {root[:64]!r}", fix="troth trust list")
    if json:
        out(strict.canonical([_plain(item) for item in found]).decode())
        return 0
    for item in found:
        for key, value in _plain(item).items():
            out(f"{key}: {value}")
    return 0


def _plain(root: "Root") -> dict[str, str]:
    return {
        "platform": root.platform,
        "class": str(root.root_class),
        "sha256": root.sha256,
        "source": root.source,
        "not_after": root.not_after.isoformat() if root.not_after else "unknown",
        "review_by": root.review_by.isoformat() if root.review_by else "yours to review",
    }
