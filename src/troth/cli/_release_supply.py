"""`troth release sbom`, `licences` and `audit`: what an image is made of, and what is known of that."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from troth.cli import _release_artifact
from troth.cli._console import out, refuse_existing, say, write_file
from troth.cli._progress import progress
from troth.cli._release_artifact import NOWHERE, Origin
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.image.components import Part
    from troth.release.audit import Audit

_Out = Annotated[Path | None, Parameter(name=["--output", "-o"])]
_Names = Annotated[tuple[str, ...], Parameter(name="--allow-unaudited")]


def sbom(
    image: Path,
    origin: Origin = NOWHERE,
    *,
    output: _Out = None,
    record: Path | None = None,
    packages: Path | None = None,
) -> int:
    r"""Write the bill of materials of an image: CycloneDX 1.6, the same bytes each time.

    Debian packages, wheels, kernel, interpreter, the app's own files, troth's agent, and the libraries that
    were found inside of these. What is not at hand is named in it, and on stderr.

        troth release sbom app.eif -o app.cdx.json
        troth release sbom app.build.json --packages packages
        troth release sbom app-1.0-py3-none-any.whl --source https://example.org/app.git \
            --source-commit 0123456789… -o app.cdx.json

    Args:
        image: an EIF with its build record beside it, or the *.build.json alone; a pure-Python wheel, or the
            hardware kernel.
        origin: of a wheel.
        output: file to write; it must not exist. stdout by default.
        record: the build record, where it is not beside the image.
        packages: folder with the packages, looked at before the user's store.
    """
    from troth.cli._release_image import at_hand, parts_of
    from troth.release import artifact_sbom
    from troth.release import sbom as bill

    refuse_existing(output)
    file = _release_artifact.of(image, record)
    if file is not None:
        if packages is not None:
            raise Misuse("packages are looked into for an image", fix="leave --packages away")
        with file.made(origin) as artifact:
            return _written(output, artifact_sbom.write(artifact), f"{len(artifact.inputs)} inputs")
    origin.refuse()
    with progress() as tell:
        found = at_hand(image, record)
        parts = parts_of(found, packages, tell)
        made = bill.write(parts, name=found.name)
    inside = sum(bool(part.within) for part in parts.parts)
    words = f"{len(parts.parts) - inside} parts, and {inside} found inside of them"
    return _written(output, made, words)


def licences(
    image: Path, *, record: Path | None = None, packages: Path | None = None, json: bool = False
) -> int:
    """List the licences of what an image holds, as each part states them; never a guess.

    Parts under a licence that asks for the source to be offered name their source package; so do parts of
    Debian's that state nothing that a program can read.

        troth release licences app.eif
        troth release licences app.build.json --json

    Args:
        image: an EIF with its build record beside it, or the *.build.json alone.
        record: the build record, where it is not beside the image.
        packages: folder with the packages, looked at before the user's store.
        json: print as JSON.
    """
    from troth.cli._release_image import at_hand, parts_of
    from troth.image.licences import copyleft
    from troth.render.escape import visible
    from troth.wire import json as strict

    with progress() as tell:
        parts = parts_of(at_hand(image, record), packages, tell)
    rows: list[dict[str, Any]] = []
    for part in parts.parts:
        if part.kind == "file" or part.role == "builder":
            continue
        stated = part.licences
        asks = stated is not None and any(copyleft(one) for one in stated)
        rows.append(
            {
                "part": part.title,
                "version": part.version,
                "licences": list(stated or ()),
                "known": "stated" if stated else "not at hand" if stated is None else "not stated",
                "copyleft": asks,
                "source": _source(part, asks=asks),
                "built_using": list(part.built_using) if asks or not stated else [],
            }
        )
    if json:
        out(strict.canonical({"licences": rows}).decode())
        return 0
    for row in rows:
        words = "; ".join(row["licences"]) or row["known"]
        title = f"{row['part']} {row['version']}".rstrip()
        out(visible(f"{title}: {words}"))
        if row["source"]:
            out(visible(f"    source: {'; '.join((row['source'], *row['built_using']))}"))
    return 0


def audit(
    image: Path,
    *,
    osv: Path,
    allow_unaudited: _Names = (),
    record: Path | None = None,
    packages: Path | None = None,
    json: bool = False,
) -> int:
    """Hold the parts of an image against a database of advisories that you have as files; no network.

    Each part is affected, or not affected by what the file holds, or not audited: the file has nothing on its
    kind, its version cannot be read, or it was not at hand. Exits 1 where a part is affected, 4 where one was
    not audited and is not named with --allow-unaudited, else 0.

        troth release audit app.eif --osv advisories.zip
        troth release audit app.eif --osv advisories --allow-unaudited app --allow-unaudited 'cryptography/*'

    Args:
        image: an EIF with its build record beside it, or the *.build.json alone.
        osv: records of OSV in JSON: one, a list, a folder of them, or a zip.
        allow_unaudited: name of a part that need not be audited; `NAME/*` is what is inside of it, and `app`
            the app's own files. May be given again.
        record: the build record, where it is not beside the image.
        packages: folder with the packages, looked at before the user's store.
        json: print as JSON.
    """
    from troth.cli._release_image import at_hand, parts_of
    from troth.release import audit as auditing

    with progress() as tell:
        parts = parts_of(at_hand(image, record), packages, tell)
        tell("reading advisories")
        found = auditing.audit(parts, osv)
    code = found.exit_code(allow_unaudited)
    _show(found, frozenset(allow_unaudited), code, json=json)
    return code


def _written(output: Path | None, made: bytes, words: str) -> int:
    if output is None:
        out(made.decode("utf-8").rstrip("\n"))
    else:
        write_file(output, made, replace=False)
        say(f"wrote {output}: {words}")
    return 0


COMMANDS: Final = (sbom, licences, audit)


def _source(part: "Part", *, asks: bool) -> str:
    """Where the source of a part is, for those whose licence asks that it be offered, or may ask it."""
    if not asks and (part.licences or part.kind != "deb"):
        return ""
    return f"{part.source} {part.source_version}".strip() or "not named in the build record"


def _show(found: "Audit", allowed: frozenset[str], code: int, *, json: bool) -> None:
    from troth.release.audit import State
    from troth.render.escape import visible
    from troth.wire import json as strict

    base = found.database
    counts = {state: len(found.of(state)) for state in State}
    left = sum(not allowed & one.names for one in found.of(State.NOT_AUDITED))
    if json:
        rows = [
            {
                "part": one.part,
                "version": one.version,
                "state": one.state.value,
                "advisories": [{"id": i, "aliases": list(a)} for i, a in one.advisories],
                "why": one.why,
                "allowed": bool(allowed & one.names),
            }
            for one in found.findings
        ]
        database = {
            "sha256": base.sha256,
            "modified": base.modified,
            "records": base.records,
            "ecosystems": base.ecosystems,
        }
        out(strict.canonical({"database": database, "parts": rows, "exit": code}).decode())
        return
    out(f"advisories: {base.records} records, the newest of {base.modified}, sha256 {base.sha256}")
    for one in found.of(State.AFFECTED):
        ids = ", ".join(f"{i} ({', '.join(a)})" if a else i for i, a in one.advisories)
        out(visible(f"affected     {one.part} {one.version}: {ids}"))
    for one in found.of(State.NOT_AUDITED):
        mark = " (allowed)" if allowed & one.names else ""
        title = f"{one.part} {one.version}".rstrip()
        out(visible(f"not audited  {title}: {one.why}{mark}"))
    out(
        f"{counts[State.AFFECTED]} affected, {counts[State.NOT_AFFECTED]} "
        f"{State.NOT_AFFECTED.value}, {counts[State.NOT_AUDITED]} not audited"
        + (f" of which {counts[State.NOT_AUDITED] - left} are allowed" if allowed else "")
    )
