"""`troth rebuild`: does this source give that image? Built again, compared, and where it differs told why."""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from troth.cli import _rebuilt
from troth.cli._against import Against, is_of, judge
from troth.cli._progress import progress
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.image.checkout import Source
    from troth.image.stated import Stated

_NOTHING: Final = Against()
_MOST_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the source is: a folder, or a repository."""

    folder: Path | None = None
    source: "Source | None" = None


def rebuild(
    target: str,
    against: Against = _NOTHING,
    *,
    image: Path | None = None,
    source: str | None = None,
    tag: str | None = None,
    commit: str | None = None,
    path: str | None = None,
    root: Path | None = None,
    python: Path | None = None,
    mirror: str | None = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    json: bool = False,
) -> int:
    """Build an image again from its source and lock, compare, and show the first difference.

    TARGET is an image with its build record beside it, a build record alone, the address of a repository
    (`https://…` with --tag or --commit), or an app's folder. The rebuild is compared with the image, with
    what the record says, and with evidence of what runs. Exit 0 only if all that there is to compare is equal.

        troth rebuild app.eif
        troth rebuild app.build.json --against https://127.0.0.1:8443
        troth rebuild https://example.org/app.git --tag v1 --path app --image app.eif
        troth rebuild examples/hello --image hello.eif -o again.eif

    Args:
        target: what is built again.
        against: evidence.
        image: EIF to compare with; of an image as the target that one.
        source: folder or address in the place of where the record says that the source is.
        tag: of the repository.
        commit: of the repository, its whole object name.
        path: of the app's folder in the repository, or in the folder that is named.
        root: the container image or folder that the app's root is taken from.
        python: another Python that builds; it needs no packages.
        mirror: address of a Debian archive, such as a snapshot of the day that has what a lock names; the
            machine's own apt decides by default.
        out: keep the rebuilt image there, with its measurements and its record.
        json: print the result as JSON.
    """
    from troth.image import rebuild as builder
    from troth.image.apt import Mirrors
    from troth.image.files import disk

    against.check()
    name, data, stated = _rebuilt.target(target, image)
    place = _place(target, stated, source, tag=tag, commit=commit, path=path)
    if data is None and stated is None and against.against is None:
        raise Misuse(
            "there is nothing to compare the rebuild with",
            fix="name an image (--image FILE) or evidence (--against https://HOST)",
        )
    with contextlib.ExitStack() as stack:
        with disk("making a folder for the source"):
            folder = stack.enter_context(TemporaryDirectory(prefix="troth-source-"))
        tell = stack.enter_context(progress())
        app, told = _fetched(place, Path(folder, "source"), root, tell)
        found = list(builder.of_source(app, stated)) if stated else []
        rebuilt = builder.build(
            app,
            kernel=_kernel(app, stated, root),
            root=root,
            python=(sys.executable if python is None else str(python),),
            mirrors=Mirrors.beside(mirror) if mirror else None,
            say=tell,
        )
    if out is not None:
        rebuilt.keep(out)
    comparison = _rebuilt.compared(name, data, stated, rebuilt, of_source=found)
    report = None
    if against.against is not None:
        _rebuilt.refuse_raw(rebuilt)
        report = judge(against, rebuilt.nitro, name="the rebuild")
    code = 1 if comparison.differs else 0
    if report is not None:
        verdict = report.verdict.exit_code
        if verdict in (0, 6) and not is_of(report, rebuilt.nitro):
            verdict = 4
        code = code or verdict
    return _rebuilt.show(
        comparison, rebuilt, report=report, told=told, out=out, code=code, json=json
    )


def _place(
    target: str,
    stated: "Stated | None",
    named: str | None,
    *,
    tag: str | None,
    commit: str | None,
    path: str | None,
) -> Place:
    """Where the source is taken from.

    Raises:
        Misuse: nobody says.
    """
    from dataclasses import replace

    from troth.image import checkout
    from troth.image.checkout import Source

    said = None if stated is None else stated.source
    itself = _rebuilt.is_place(target)
    where = target if itself else named
    if itself and named is not None:
        raise Misuse("the target is a source already", fix="leave --source away")
    if where is None:
        if said is None:
            raise Misuse(
                "the build record does not say where the source is",
                fix="name its folder or address: --source PLACE",
            )
        where = said.git
    local = Path(where)
    asked = tag is not None or commit is not None
    if "://" not in where and "::" not in where:
        if not local.is_dir():
            raise Misuse(
                f"{where[:_MOST_NAME]} is no folder and no address",
                fix=f"addresses begin with {', '.join(f'{p}://' for p in checkout.PROTOCOLS)}",
            )
        if not asked:
            return Place(folder=local / path if path else local)
        where = local.resolve().as_uri()
    inside = path or (said.path if said else ".")
    found = Source(git=where, tag=tag or "", commit=commit or "", path=inside)
    if said is not None and not asked:
        found = replace(said, git=where, path=inside)
    return Place(source=checkout.check(found))


def _fetched(
    place: Place, into: Path, root: Path | None, tell: Any
) -> tuple[Path, dict[str, object]]:
    """The folder with the source, and what is said of it."""
    from troth.image import checkout, recipe
    from troth.image.rootfs import COMPILE

    if place.folder is not None:
        return place.folder, {"folder": _rebuilt.shown(place.folder)}
    assert place.source is not None  # noqa: S101 - one of both
    if place.source.made:
        raise Misuse(
            f"{', '.join(place.source.made)[:_MOST_NAME]} is made from the source, and nothing of a source is run",
            fix=f"clone {place.source.git}, make it there (./{COMPILE}), and name that folder as the target, "
            "with --image",
        )
    tell(f"fetching {place.source.git}")
    source = checkout.take(place.source, into)
    brings = recipe.load(into).brings
    if brings and root is None and not (into / brings).resolve().is_relative_to(into.resolve()):
        raise Misuse(
            f"the app's root is {brings!r}, which lies outside of its source",
            fix="name it: --root PATH",
        )
    return into, source.stated()


def _kernel(app: Path, stated: "Stated | None", root: Path | None) -> str:
    """The kind of kernel, at hand."""
    from troth.cli._kernel import choose

    asked: Any = None if stated is None else stated.kernel
    return choose(app, asked, make=True, root=root)
