"""`troth kernel`: the hardware kernel, built here from locked sources."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

app = App(
    name="kernel",
    help="""The hardware kernel: small, without modules, and the same bytes wherever it is built.

    troth kernel build
    troth kernel build --check
""",
)


@app.command
def build(
    *,
    check: bool = False,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    mirror: str | None = None,
    json: bool = False,
) -> int:
    """Build the hardware kernel from Debian's source, with Debian's compiler, both by SHA-256.

    It is compiled inside a file system of locked packages, without root and without network. Its digest
    is pinned in troth: what comes out otherwise is refused. Kept in the store, for every image whose
    recipe says `kernel = "hardware"`; where the store has it, nothing is built.

        troth kernel build
        troth kernel build --check
        troth kernel build -o vmlinuz

    Args:
        check: build twice, in two different environments, and compare; also where the store has it;
            exit 1 if they differ.
        out: write the kernel to this file, and its configuration beside it as FILE.config.
        mirror: address of a Debian archive; the machine's own apt decides by default.
        json: print the result as JSON.
    """
    from troth.cli._console import out as data_out
    from troth.cli._kernel import ensure
    from troth.image.apt import Mirrors
    from troth.image.hardware import kept
    from troth.image.hardware.build import Differs
    from troth.image.hardware.inputs import inputs
    from troth.image.store import Store
    from troth.wire import json as strict

    store, lock = Store.of_user(), inputs()
    try:
        seconds = ensure(store, check=check, mirrors=Mirrors.beside(mirror) if mirror else None)
    except Differs as error:
        return _differs(error.differences, json=json)
    kernel = kept.find(store)
    if kernel is None:
        raise kept.Missing
    if out is not None:
        from troth.image.files import write_together

        write_together(
            out.parent, {f"{out.name}.config": [kept.config(store)], out.name: [kernel.image]}
        )
    pinned = lock.kernel
    summary: dict[str, Any] = {
        "kernel": {"version": pinned.version, "sha256": pinned.sha256, "size": pinned.size},
        "config_sha256": pinned.config_sha256,
        "source": {
            "package": lock.source.name,
            "version": lock.source.version,
            "sha256": lock.source.sha256,
        },
        "toolchain": {"packages": len(lock.toolchain), "sha256": lock.toolchain_sha256},
        "built": bool(seconds),
        "checked": check,
        "differences": [],
        "milliseconds": {name: round(value * 1000) for name, value in seconds.items()},
        "file": str(out) if out else str(store.folder / pinned.sha256),
    }
    if json:
        data_out(strict.canonical(summary).decode())
        return 0
    data_out(f"{pinned.version}  {pinned.size} bytes  sha256 {pinned.sha256}")
    data_out(
        f"  from {lock.source.name} {lock.source.version}, {len(lock.toolchain)} packages of tools"
    )
    for name, value in seconds.items():
        data_out(f"  {name:<28} {value:7.1f} s")
    data_out(
        "built twice in different environments, and equal"
        if check
        else ("built, and the bytes that troth pins" if seconds else "in the store already")
    )
    return 0


def _differs(differences: tuple[str, ...], *, json: bool) -> int:
    """Says in what two builds differ; the answer to `--check`, and no trouble of the machine's."""
    from troth.cli._console import out as data_out
    from troth.wire import json as strict

    if json:
        data_out(strict.canonical({"checked": True, "differences": list(differences)}).decode())
    else:
        for line in differences:
            data_out(f"differs: {line}")
    return 1
