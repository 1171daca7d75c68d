"""`troth trust`: the roots that count, and collateral: fetched, frozen, and what expires when."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from troth.cli import _collateral, _expect
from troth.cli._console import exists, out, read_source, say, write_file
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.model.collateral import Collateral
    from troth.model.roots import Root
    from troth.trust.cache import Obtained

app = App(
    name="trust",
    help="""List and show the roots that count; fetch, freeze and show collateral, and what expires when.

Vendors' roots are pinned in troth. Any other root, such as your own development root, counts only where
a command names it with --trust. Collateral counts only where a command names it with --collateral.

    troth trust list
    troth trust show 641a0321
    troth trust update --for quote.bin -o collateral.json
""",
)
_For = Annotated[Sequence[str], Parameter(name="--for", consume_multiple=True)]
_Out = Annotated[Path, Parameter(name=["--output", "-o"])]


@app.command(name="list")
def list_roots(
    *, collateral: Sequence[Path] = (), at: str | None = None, json: bool = False
) -> int:
    """The pinned vendor roots and this user's development root, and until when each is good.

        troth trust list
        troth trust list --collateral collateral.json

    Args:
        collateral: a file or folder of endorsements to list with their windows; may be repeated.
        at: the instant that they shall be good at. Default: now.
        json: print as JSON.
    """
    from troth.runtime import development
    from troth.trust import load_roots, vendor_roots
    from troth.wire import json as strict

    instant, _ = _expect.instant(at)
    found = _collateral.load(collateral)
    roots = list(vendor_roots())
    if exists(development.root_file()):
        roots += load_roots(development.root_file())
    if json:
        listed = [_plain(root) for root in roots]
        document = {"roots": listed, "collateral": _plain_rows(found, instant)}
        out(strict.canonical(document if collateral else listed).decode())
        return 0
    shown: dict[str, list[Root]] = {}
    for root in roots:
        shown.setdefault(root.sha256, []).append(root)
    for same in shown.values():
        names = ", ".join(root.platform for root in same)
        head = same[0]
        out(f"{head.root_class:11}  {names}  {head.sha256[:16]}…  {_until(head)}  {head.source}")
    _print_rows(found, instant)
    return 0


@app.command
def show(root: str, *, at: str | None = None, json: bool = False) -> int:
    """One root, or every endorsement of a file or folder: what it is about, and what expires when.

        troth trust show 641a0321
        troth trust show root.pem
        troth trust show collateral.json

    Args:
        root: the beginning of a pinned root's SHA-256, a PEM file of roots, or collateral.
        at: the instant that collateral shall be good at. Default: now.
        json: print as JSON.
    """
    from troth.trust import load_roots, vendor_roots
    from troth.wire import json as strict

    instant, _ = _expect.instant(at)
    path = Path(root)
    if exists(path) and not _is_pem(path):
        collateral = _collateral.load([path])
        if json:
            out(strict.canonical(_plain_rows(collateral, instant)).decode())
        else:
            _print_rows(collateral, instant)
            say("nothing above was verified: a verdict checks signatures, windows and revocation")
        return 0
    found = (
        load_roots(path)
        if exists(path)
        else tuple(r for r in vendor_roots() if r.sha256.startswith(root.lower()))
    )
    if not found:
        raise Misuse(f"no pinned root begins with {root[:64]!r}", fix="troth trust list")
    if json:
        out(strict.canonical([_plain(item) for item in found]).decode())
        return 0
    for item in found:
        for key, value in _plain(item).items():
            out(f"{key}: {value}")
    return 0


@app.command
def update(
    *,
    for_: _For,
    output: _Out,
    early: bool = False,
    product: str = "",
    pcs: str | None = None,
    pccs: str | None = None,
    pccs_authority: Path | None = None,
    kds: str | None = None,
    rim: str | None = None,
    ocsp: str | None = None,
    tokens: str | None = None,
    refresh: bool = False,
) -> int:
    """Fetch what evidence needs from Intel, AMD and NVIDIA, or out of the cache, into one file.

    What was fetched within a day is not asked for again. Where a server is down, what is cached serves
    until its signer's end. Collateral older than was seen before is refused with exit 5.

        troth trust update --for quote.bin -o collateral.json
        troth trust update --for fleet/*.bin --early --pccs https://pccs.example:8081 -o collateral.json

    Args:
        for_: evidence, bundles, or addresses of attested services; nothing of them is sent but names of
            platforms and versions.
        output: the file to write, as `troth verify --collateral` takes it.
        early: fetch Intel's documents of the next evaluation number, too; they decide nothing yet.
        product: Milan, Genoa or Turin, for reports of AMD's that do not say it.
        pcs: base address in place of Intel's PCS, which is asked otherwise.
        pccs: base address of a PCCS, to be asked for all that is Intel's.
        pccs_authority: PEM file of the authority that signed that PCCS's certificate.
        kds: base address in place of AMD's KDS.
        rim: base address in place of NVIDIA's service of RIM documents.
        ocsp: base address in place of NVIDIA's OCSP responder.
        tokens: base address with a folder for each service that signs tokens, by its host's name.
        refresh: ask the servers also for what is young in the cache.
    """
    servers = _collateral.servers(pcs, pccs, pccs_authority, kds, rim=rim, ocsp=ocsp, tokens=tokens)
    obtained = _obtain(for_, servers, early=early, product=product, refresh=refresh)
    _write(output, obtained.collateral)
    return 0


@app.command
def freeze(
    *sources: Path, output: _Out, for_: _For = (), early: bool = False, product: str = ""
) -> int:
    """Put collateral into one file, for verifying where there is no network. Asks no server.

        troth trust freeze --for quote.bin -o collateral.json
        troth trust freeze pck.crl tcb-info/ amd/ -o collateral.json

    Args:
        sources: files and folders of endorsements.
        output: the file to write.
        for_: evidence, bundles or services whose collateral is taken out of the cache.
        early: take what is cached of the next evaluation number, too.
        product: Milan, Genoa or Turin, for reports of AMD's that do not say it.
    """
    from troth.trust.seen import Seen

    if not sources and not for_:
        raise Misuse("there is nothing to freeze", fix="name collateral, or evidence with --for")
    found = _collateral.load(sources)
    seen = Seen()
    seen.check(found.items)
    seen.note(found.items)
    if for_:
        found = found + _obtain(for_, None, early=early, product=product, refresh=False).collateral
    _write(output, found)
    return 0


def _obtain(
    evidence: Sequence[str], servers: Any, *, early: bool, product: str, refresh: bool
) -> "Obtained":
    """Out of the cache, and from the servers where there are any."""
    from functools import partial

    from troth.trust import cache
    from troth.trust.fetch import fetch
    from troth.trust.needs import following
    from troth.trust.seen import Seen

    obtain = partial(
        cache.obtain,
        cache=cache.Cache(),
        seen=Seen(),
        now=cache.utc_now(),
        fetch=None if servers is None else partial(fetch, servers=servers),
        refresh=refresh,
    )
    requests = _collateral.needs(evidence, early=early, product=product)
    if not requests:
        say("this evidence needs no collateral")
    obtained = obtain(requests)
    if more := following(obtained.collateral.items):
        further = obtain(more)
        obtained = cache.Obtained(
            collateral=obtained.collateral + further.collateral,
            notes=(*obtained.notes, *further.notes),
        )
    for note in obtained.notes:
        say(f"note: {note}")
    return obtained


def _write(output: Path, collateral: "Collateral") -> None:
    from troth.trust import freeze as frozen

    write_file(output, frozen(collateral))
    ends = [row.ends for row in _collateral.rows(collateral) if row.ends is not None]
    first = f", the first to end {min(ends):%Y-%m-%d %H:%M}Z" if ends else ""
    say(f"wrote {output}: {len(collateral.items)} endorsements{first}")


def _is_pem(path: Path) -> bool:
    begins = (b"-----BEGIN CERTIFICATE", b"# platform:")
    return path.is_file() and read_source(str(path)).startswith(begins)


def _plain_rows(collateral: "Collateral", at: datetime) -> list[dict[str, Any]]:
    return [_collateral.plain(row, at) for row in _collateral.rows(collateral)]


def _print_rows(collateral: "Collateral", at: datetime) -> None:
    from troth.render.escape import visible

    for row in _collateral.rows(collateral):
        for line in _collateral.lines(row, at):
            out(visible(line))


def _until(root: "Root") -> str:
    if root.review_by is not None:
        return f"to review by {root.review_by:%Y-%m-%d}"
    return f"ends {root.not_after:%Y-%m-%d}" if root.not_after else "yours to review"


def _plain(root: "Root") -> dict[str, str]:
    return {
        "platform": root.platform,
        "class": str(root.root_class),
        "sha256": root.sha256,
        "key_sha256": root.key_sha256,
        "source": root.source,
        "not_after": root.not_after.isoformat() if root.not_after else "unknown",
        "review_by": root.review_by.isoformat() if root.review_by else "yours to review",
    }
