"""docs/reference/surface.md says of each example what its build record says."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).parents[2]


def _script() -> ModuleType:
    place = REPOSITORY / "scripts" / "render_surface.py"
    spec = importlib.util.spec_from_file_location("render_surface", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(name: str, record: Path, compiled: str = "") -> None:
    """Hold the page against a record; `compiled` is what the example's `compile` said.

    Of a program that another compiler made, the page tells something else.
    """
    script = _script()
    page = script.shown(script.PAGE.read_text("utf-8"), name)
    by = script.compiler(compiled)
    if by and f"Compiled by {by}." not in page:
        return
    surface = json.loads(record.read_bytes())["surface"]
    assert page == script.section(surface, by), f"run: scripts/render_surface.py {name}"
