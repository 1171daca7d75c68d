"""Starting, asking and watching images that boot in QEMU."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from stat import S_IFREG

import troth
from troth.image import build as builder
from troth.model.report import Verdict
from troth.platforms.nitro.measure import measure
from troth.runtime import development, qemu, runs, state
from troth.runtime.booted import Booted
from troth.runtime.console import Console
from troth.runtime.grounds import Job
from troth.runtime.load import load
from troth.runtime.microvm import Microvm
from troth.wire import cpio, eif, ramdisk


def built(app: Path, path: Path) -> Path:
    builder.write(builder.build(app), path)
    return path


def machines(folder: Path) -> list[str]:
    """Processes of QEMU that run in a folder below this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                command = (process / "cmdline").read_bytes()
                found += [process.name] if qemu.PROGRAM.encode() in command else []
    return found


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def start(image: Path, **more) -> runs.Run:
    return runs.start(image, pki=development.nitro(), on="microvm", **more)


def policy(image: Path) -> troth.Policy:
    return troth.Policy.for_image({"nitro": measure(eif.read(image.read_bytes())).hex()})


def ask(run: runs.Run, image: Path, path: str = "/", **more) -> bytes:
    """One answer over the attested channel, which is judged first."""
    trust = (development.nitro().root(),)
    url = f"https://{run.published[0].address}/"
    with troth.connect(url, policy=policy(image), trust=trust) as connection:
        assert connection.verified.report.verdict is Verdict.ACCEPTED
        return connection.request("GET", path, **more).body


def rewritten(image: Path, path: Path, change: Callable[[cpio.Entry], cpio.Entry]) -> Path:
    """The same image with other files in its first ramdisk."""
    whole = eif.read(image.read_bytes())
    first = whole.ramdisks[0]
    entries = [change(entry) for entry in ramdisk.read(first.data)]
    changed = eif.Section(kind=eif.Kind.RAMDISK, pieces=cpio.pack(entries))
    sections = [changed if section is first else section for section in whole.sections]
    path.write_bytes(eif.pack(eif.Eif(sections=tuple(sections))))
    return path


def with_init(image: Path, path: Path, script: bytes) -> Path:
    def change(entry: cpio.Entry) -> cpio.Entry:
        if entry.path != "init":
            return entry
        return cpio.Entry(path="init", mode=S_IFREG | 0o755, data=script)

    return rewritten(image, path, change)


def job(image: Path, folder: Path, *, memory: int | None = None) -> Job:
    """What a ground is asked to run; `memory` in place of what the recipe gives."""
    loaded = load(image)
    return Job(
        image=image,
        loaded=loaded if memory is None else replace(loaded, memory=memory),
        folder=folder,
        free={},
        pki=development.nitro().to_pem_bundle(),
        debug=False,
        unless_stopped=lambda: None,
    )


@contextlib.contextmanager
def ground(
    image: Path, folder: Path, *, kind: type[Booted] = Microvm, memory: int | None = None
) -> Iterator[tuple[Booted, Console]]:
    """The ground alone, launched, without the process that otherwise owns it."""
    folder.mkdir()
    os.chdir(folder)
    words = Console()
    made = kind(words)
    words.start(folder / state.CONSOLE)
    try:
        made.launch(job(image, folder, memory=memory))
        yield made, words
    finally:
        made.kill()
        made.wait()
        made.close()
        words.finish(5)
