"""`troth release attestations`: who published the wheels of an app, as far as its lock keeps the proof."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from troth.cli._console import out, read_source, say
from troth.errors import Malformed, Misuse

if TYPE_CHECKING:
    from troth.image.attested import Attested
    from troth.image.lock import Lock, Wheel
    from troth.image.store import Store

_Names = Annotated[tuple[str, ...], Parameter(name="--allow-unaudited")]
_MAX_ROOT: Final = 1024 * 1024


def attestations(
    app: Path,
    *,
    add: Path | None = None,
    trusted_root: Path | None = None,
    allow_unaudited: _Names = (),
    json: bool = False,
) -> int:
    """Check who published the wheels of an app (PEP 740); no network, and nothing is signed.

    A lock keeps, for a wheel, its publisher and the provenance file that an index has beside it. Each wheel is
    verified, or refused, or not audited where the lock keeps nothing. Exits 1 where one is refused, 4 where one
    was not audited and is not named with --allow-unaudited, else 0.

        troth release attestations examples/hello
        troth release attestations examples/hello --add provenance-files

    Args:
        app: folder with a troth.lock.
        add: folder with files NAME.whl.provenance, to be kept from now on. The first one of a wheel says who its
            publisher is, and is taken at its word; one of another publisher is refused from then on.
        trusted_root: Sigstore's roots, JSON; those that come with the package sigstore by default.
        allow_unaudited: name of a wheel that need not be audited; may be given again.
        json: print as JSON.
    """
    from troth.image import lock as locks
    from troth.image import locking
    from troth.render.escape import visible
    from troth.wire import json as strict

    lock = locks.load(app)
    store = locking.store_of(app, lock)
    root = None
    if trusted_root is not None:
        root = read_source(str(trusted_root), limit=_MAX_ROOT)
    if add is not None:
        lock = _add(app, lock, store, add, root)
    rows = list(_rows(lock, store, root))
    refused = any(row["state"] == "refused" for row in rows)
    left = [row for row in rows if row["state"] == "not audited"]
    open_ = any(row["wheel"] not in allow_unaudited for row in left)
    code = 1 if refused else 4 if open_ or not rows else 0
    if json:
        out(strict.canonical({"wheels": rows, "exit": code}).decode())
        return code
    for row in rows:
        words = row["publisher"] if row["state"] == "verified" else row["why"]
        out(visible(f"{row['state']:<12} {row['wheel']} {row['version']}: {words}"))
    return code


COMMANDS: Final = (attestations,)


def _rows(lock: "Lock", store: "Store", root: bytes | None) -> Iterator[dict[str, Any]]:
    expected = {one.name: one for one in lock.attested}
    for wheel in lock.all_wheels:
        state, why = _state(wheel, expected.get(wheel.name), store, root)
        yield {
            "wheel": wheel.name,
            "version": wheel.version,
            "state": state,
            "publisher": str(expected[wheel.name].publisher) if wheel.name in expected else "",
            "why": why,
        }


def _state(
    wheel: "Wheel", one: "Attested | None", store: "Store", root: bytes | None
) -> tuple[str, str]:
    from troth.image.attested import ENDING
    from troth.release import attestations as checking

    if one is None:
        return "not audited", "the lock keeps no attestation"
    name = f"{wheel.file}{ENDING}"
    if not one.provenance:
        return "not audited", f"should be of {one.publisher}, and no attestation of it is kept"
    if not store.has(sha256=one.provenance, name=name):
        return "not audited", f"{name} is not at hand"
    try:
        checking.verify(
            store.get(sha256=one.provenance, name=name),
            file=wheel.file,
            sha256=wheel.sha256,
            publisher=one.publisher,
            trusted_root=root,
        )
    except Malformed as error:
        if error.field == "trusted root":
            raise
        return "refused", str(error)
    return "verified", ""


def _add(app: Path, lock: "Lock", store: "Store", folder: Path, root: bytes | None) -> "Lock":
    """The lock with what is in a folder; nothing is kept unless all of it verifies."""
    from troth.image import lock as locks
    from troth.image.attested import ENDING, Attested
    from troth.image.files import write_together
    from troth.image.store import digest
    from troth.release import attestations as checking

    if not folder.is_dir():
        raise Misuse(
            f"{folder} is no folder", fix="name the one that has the files NAME.whl.provenance"
        )
    expected = {one.name: one for one in lock.attested}
    found: dict[str, bytes] = {}
    for wheel in lock.all_wheels:
        place = folder / f"{wheel.file}{ENDING}"
        if not place.is_file():
            continue
        data = read_source(str(place), limit=checking.MAX_FILE)
        before = expected.get(wheel.name)
        who = checking.claimed(data) if before is None else before.publisher
        checking.verify(
            data, file=wheel.file, sha256=wheel.sha256, publisher=who, trusted_root=root
        )
        if before is None:
            say(f"{wheel.name} is published by {who}, as the first file says: is that right?")
        found[place.name] = data
        expected[wheel.name] = Attested(
            name=wheel.name,
            repository=who.repository,
            workflow=who.workflow,
            provenance=digest(data),
        )
    for name, data in found.items():
        store.put(data, sha256=digest(data), name=name)
        if lock.vendor:
            write_together(app / lock.vendor, {name: [data]})
    say(f"kept {len(found)} of {len(lock.all_wheels)} wheels' attestations")
    changed = replace(lock, attested=tuple(one for _, one in sorted(expected.items())))
    if changed != lock:
        locks.save(app, changed)
    return changed
