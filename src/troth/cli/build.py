"""`troth build`: an image, and proof that it builds to the same bytes."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from troth.cli._bring import Bring, app_of, notes
from troth.cli._console import exists
from troth.cli._console import out as data_out
from troth.cli._kernel import Name, choose
from troth.cli._progress import progress
from troth.errors import Misuse

_NOTHING: Final = Bring()


def build(
    app: Path | None = None,
    bring: Bring = _NOTHING,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    kernel: Name | None = None,
    check: bool = False,
    fresh: bool = False,
    budget: str | None = None,
    source_git: str | None = None,
    source_tag: str | None = None,
    nix_out: Path | None = None,
    json: bool = False,
) -> int:
    """Build an app's image from its recipe and lock, without root, Docker or Nix.

    A container image as `docker save` writes it, or a folder, becomes an app as it is: a folder NAME
    with recipe and lock is made first. Beside the image stand its measurements (`.measurements.json`) and its build record
    (`.build.json`): every input with its digest.

        troth build examples/hello
        troth build examples/hello --check
        troth build examples/hello -o hello.eif --json
        troth build examples/hello --budget files=1500,megabytes=80,shells=0,setuid=0
        troth build examples/hello --budget hello.build.json
        troth build examples/hello --kernel hardware
        troth build app --source-git https://example.org/app.git --source-tag v1
        troth build examples/hello --nix-out hello-nix
        troth build --from-oci app.tar --name app --listen 8080
        troth build --from-rootfs rootfs --name app --entry "/bin/app --verbose"

    Args:
        app: folder with a troth.toml and a troth.lock; not needed where a root is brought.
        bring: a root that is brought.
        out: path of the image; NAME.eif in this folder by default.
        kernel: in the place of the recipe's, which changes what the image measures to; the hardware
            kernel is built first where there is none yet.
        check: build twice, in two different environments, and compare; exit 1 if they differ.
        fresh: do every step, also those whose results are remembered from earlier builds of the same inputs;
            --check and --source-git do so, too.
        budget: the most that the image's attack surface may have, in the place of `[budget]` in the
            recipe: numbers, or the build record of an earlier build, of which none may grow. Exit 1 and
            nothing written if one is over.
        source_git: address of the repository that the app's folder is a checkout of, for the build record;
            refused where the folder is not what its commit holds.
        source_tag: that commit's tag there.
        nix_out: a folder that is not there yet, for a Nix flake of the same root file system: every file
            with its digest, and the package that it is in.
        json: print the result as JSON.
    """
    from troth.cli._surface import budget_of
    from troth.image import build as builder
    from troth.image import companions, nix
    from troth.image.memo import Memo
    from troth.image.recipe import load
    from troth.wire import json as strict

    memo = None if fresh or check or source_git else Memo.of_user()
    app, root = app_of(app, bring, kernel=kernel)
    recipe = load(app)
    limits = budget_of(budget)
    place = out or Path(f"{recipe.name}.eif")
    source = _source(app, source_git, source_tag)
    used = choose(app, kernel, make=True, root=root)
    differences: tuple[str, ...] = ()
    flake = None if nix_out is None else _flake(app, nix_out, used)
    if check:
        from troth.image.check import build_twice

        with progress() as tell:
            result = build_twice(
                app, place, kernel=used, root=root, budget=limits, source=source, say=tell
            )
        measurements, sha256, differences = result.measurements, result.sha256, result.differences
    else:
        with progress() as tell:
            built = builder.build(app, kernel=used, root=root, budget=limits, memo=memo, say=tell)
            builder.write(replace(built, record={**built.record, **source}), place)
        measurements, sha256 = built.measurements, built.sha256
    if nix_out is not None and flake is not None:
        nix.write(flake, nix_out)
    beside = companions.of(place, companions.RECORD)
    record = strict.parse(beside.read_bytes(), field=beside.name)
    notes(record, listens=bool(recipe.listen))
    summary = {
        "image": str(place),
        "sha256": sha256,
        "kernel": used,
        "checked": check,
        "differences": list(differences),
        "measurements": {platform: dict(values) for platform, values in measurements.items()},
    }
    if json:
        data_out(strict.canonical(summary).decode())
        return 1 if differences else 0
    for line in differences:
        data_out(f"differs: {line}")
    if differences:
        return 1
    data_out(f"{place}  sha256 {sha256}")
    for register, value in measurements["nitro"].items():
        data_out(f"  {register}  {value}")
    if check:
        data_out("built twice in different environments, and equal")
    return 0


def _source(app: Path, url: str | None, tag: str | None) -> dict[str, Any]:
    """What the build record says of where the source is; nothing where nobody asks."""
    if url is None:
        if tag is not None:
            raise Misuse("--source-tag names a tag of no repository", fix="add --source-git URL")
        return {}
    from troth.image.committed import source_of

    return {"source": source_of(app, url, tag=tag or "").stated()}


def _flake(app: Path, target: Path, kernel: str) -> dict[str, bytes]:
    """What is written out for Nix; what would be refused is refused before an image is built."""
    from troth.image import nix

    if exists(target):
        raise Misuse(f"{target} exists", fix="name a folder that is not there yet")
    return nix.make(app, kernel=kernel)
