"""From QEMU's start to the first verified answer, phase by phase, with each kernel; one that is not at hand is said.

The image is the hello example's. Nothing else should run meanwhile: both are limits for an idle machine.
"""

import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.timing import Line

import troth
from troth.channel import client, http
from troth.errors import Unavailable
from troth.image import build as builder
from troth.image.hardware import kept
from troth.image.store import Store
from troth.platforms.nitro.simulate import DevelopmentPki
from troth.runtime import qemu, state
from troth.runtime.console import Console
from troth.runtime.grounds import Job
from troth.runtime.load import load
from troth.runtime.microvm import Microvm

HELLO = Path(__file__).parents[1] / "examples" / "hello"
LIMITS = {"debian": 8.0, "hardware": 4.0}
ROUNDS = 3
MOST_BYTES = 35e6
UP = re.compile(rb"troth-local: up after ([0-9.]+) s")


@dataclass(frozen=True)
class Phases:
    """Seconds, one after the other."""

    qemu: float
    kernel: float
    init: float
    agent: float
    answer: float

    @property
    def whole(self) -> float:
        return self.qemu + self.kernel + self.init + self.agent + self.answer


def _until(condition: Callable[[], object]) -> float:
    end = time.perf_counter() + 120
    while not condition():
        assert time.perf_counter() < end, "it did not happen within 120 s"
        time.sleep(0.002)
    return time.perf_counter()


@contextmanager
def _inside(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def boot(image: Path) -> Phases:
    """One boot, in a folder of its own."""
    loaded = load(image)
    pki = DevelopmentPki.create(datetime.now(UTC))
    registers = {f"pcr{index}": value.hex() for index, value in enumerate(loaded.pcrs)}
    policy = troth.Policy.for_image({"nitro": registers})
    with tempfile.TemporaryDirectory() as folder, _inside(folder):
        console = Console()
        ground = Microvm(console)
        console.start(Path(state.CONSOLE))
        job = Job(
            image=image,
            loaded=loaded,
            folder=Path(folder),
            free={},
            pki=pki.to_pem_bundle(),
            debug=False,
            unless_stopped=lambda: None,
        )
        begin = time.perf_counter()
        ground.launch(job)
        try:
            up = _until(lambda: UP.search(Path(state.CONSOLE).read_bytes()))
            found = UP.search(Path(state.CONSOLE).read_bytes())
            met = _until(lambda: ground.met)
            ready = _until(ground.ready)
            _ask(lambda: ground.connect(loaded.ports[0]), policy, pki)
            answered = time.perf_counter()
        finally:
            ground.kill()
            ground.wait()
            ground.close()
            console.finish(1)
    assert found is not None
    kernel = float(found[1])
    return Phases(
        qemu=up - begin - kernel,
        kernel=kernel,
        init=met - up,
        agent=ready - met,
        answer=answered - ready,
    )


def _ask(dial: Callable[[], socket.socket], policy: troth.Policy, pki: DevelopmentPki) -> None:
    with client.connect(dial, policy=policy, trust=(pki.root(),), name="hello") as stream:
        answer = http.Connection(stream, "hello").request("GET", "/")
        assert answer.status == 200


def booting(kernel: str) -> list[Line] | str:
    """The best of three boots, phase by phase, and the whole against its limit."""
    try:
        qemu.find()
    except Unavailable as absent:
        return str(absent)
    if kernel == "hardware" and kept.find(Store.of_user()) is None:
        return str(kept.Missing())
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, f"{kernel}.eif")
        builder.write(builder.build(HELLO, kernel=kernel), image)
        best = min((boot(image) for _ in range(ROUNDS)), key=lambda phases: phases.whole)
        size = image.stat().st_size
    limit = f"{LIMITS[kernel]:g} s"
    what = f"boot to first verified answer, {kernel} kernel"
    lines = [Line(what, best.whole, limit, LIMITS[kernel], 1.0)]
    for name, title in (
        ("qemu", "QEMU until the kernel runs"),
        ("kernel", "the kernel until the first program"),
        ("init", "that until the agent speaks"),
        ("agent", "the agent until the app is ready"),
        ("answer", "then to the first verified answer"),
    ):
        lines.append(Line(f"  {title}", getattr(best, name), "the whole", best.whole))
    if kernel == "hardware":
        lines.append(Line("hello's image", size, "35 MB", MOST_BYTES, 1.0, unit="bytes"))
    return lines


if __name__ == "__main__":
    for each in LIMITS:
        found = booting(each)
        if isinstance(found, str):
            print(f"left out, {each} kernel: {found}")
            continue
        for line in found:
            print(f"{line.what}: {line.amount:.2f} against {line.floor}, ratio {line.ratio:.2f}")
