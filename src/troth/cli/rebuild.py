"""`troth rebuild`: does this source give that image, wheel or kernel? Built again, compared, and told why not."""

import contextlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from troth.cli import _rebuild_source, _rebuilt, _rebuilt_file
from troth.cli._against import NOWHERE, Against, is_of, judge
from troth.cli._progress import progress
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.image.checkout import Source
    from troth.image.stated import Stated


def rebuild(
    target: str,
    against: Against = NOWHERE,
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

    A pure-Python wheel is built again from a commit of its source, by the packages that requirements/build.txt in it
    names by hash. The hardware kernel is built again twice, which takes some minutes.

        troth rebuild app-1.0-py3-none-any.whl --source https://example.org/app.git --tag v1
        troth rebuild vmlinuz

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
        out: keep the rebuilt image there, with its measurements and its record; none of them may exist.
        json: print the result as JSON.
    """
    from troth.image import rebuild as builder
    from troth.image.apt import Mirrors
    from troth.image.files import disk

    against.check()
    if _rebuilt_file.is_file(target):
        asked = {"--against": against.against, "--image": image, "--root": root}
        where = {"--source": source, "--tag": tag, "--commit": commit, "--path": path}
        return _rebuilt_file.rebuild(
            target,
            refused=asked,
            where=where,
            python=python,
            mirror=mirror,
            out=out,
            json=json,
        )
    if out is not None:
        _rebuilt.refuse_existing(out)
    name, data, stated = _rebuilt.target(target, image)
    place = _rebuild_source.of(target, stated, source, tag=tag, commit=commit, path=path)
    if data is None and stated is None and against.against is None:
        raise Misuse(
            "there is nothing to compare the rebuild with",
            fix="name an image (--image FILE) or evidence (--against https://HOST)",
        )
    with contextlib.ExitStack() as stack:
        with disk("making a folder for the source"):
            folder = stack.enter_context(TemporaryDirectory(prefix="troth-source-"))
        tell = stack.enter_context(progress())
        app, told = _rebuild_source.fetched(place, Path(folder, "source"), tell)
        _refuse_outside(app, place, root)
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
        report = judge(against.against, against, rebuilt.nitro, name="the rebuild")
    code = 1 if comparison.differs else 0
    if report is not None:
        verdict = report.verdict.exit_code
        if verdict in (0, 6) and not is_of(report, rebuilt.nitro):
            verdict = 4
        code = code or verdict
    return _rebuilt.show(
        comparison, rebuilt, report=report, told=told, out=out, code=code, json=json
    )


def _refuse_outside(app: Path, place: "Path | Source", root: Path | None) -> None:
    """A commit's app whose root lies elsewhere: nobody can say that it is the commit's."""
    from troth.image import recipe

    brings = None if isinstance(place, Path) else recipe.load(app).brings
    if brings and root is None and not (app / brings).resolve().is_relative_to(app.resolve()):
        raise Misuse(
            f"the app's root is {brings!r}, which lies outside of its source",
            fix="name it: --root PATH",
        )


def _kernel(app: Path, stated: "Stated | None", root: Path | None) -> str:
    """The kind of kernel, at hand."""
    from troth.cli._kernel import choose

    asked: Any = None if stated is None else stated.kernel
    return choose(app, asked, make=True, root=root)
