"""Recipes, as files in an app's folder."""

import atexit
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fuzz.target import Target
from fuzz.targets.policy import WORDS
from troth.errors import Malformed, Misuse, Unavailable
from troth.image import recipe

_EXAMPLES = Path(__file__).parents[2] / "examples"


@cache
def _folder() -> Path:
    """A folder for this process, with what the examples' recipes name in it."""
    folder = Path(tempfile.mkdtemp(prefix="troth-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for example in sorted(_EXAMPLES.iterdir()):
        if (example / "app").is_dir():  # of compiled languages it is made first
            shutil.copytree(example / "app", folder / "app", dirs_exist_ok=True)
    return folder


def _run(data: bytes) -> None:
    (_folder() / recipe.FILE).write_bytes(data)
    recipe.load(_folder())


def _seeds() -> Iterable[bytes]:
    yield from (path.read_bytes() for path in sorted(_EXAMPLES.glob("*/troth.toml")))
    yield b"memory = " + b"9" * 5000
    yield b'kernel = "debian"\n[app]\nname = "a"\nentry = ["a"]\n[debian]\narchitecture = "arm64"\n'
    page = Path(__file__).parents[2] / "docs" / "reference" / "troth-toml.md"
    for part in page.read_text(encoding="utf-8").split("```toml\n")[1:]:
        yield part.split("```")[0].encode()


TARGET = Target(
    run=_run,
    seeds=_seeds,
    refuses=(Malformed, Misuse, Unavailable),
    longest=8192,
    words=(*WORDS, b"[[files]]\n", b"[config]\n", b"../", b"/", b"\\u0000", b"9" * 5000),
)
