"""What is put off while the agent's modules are loaded, in an interpreter that has loaded nothing yet."""

import subprocess
import sys

BEGIN = f"""
import sys
sys.path[:0] = {sys.path!r}
from troth.agent import spare
"""


def run(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", BEGIN + script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split()


def test_the_agent_starts_without_what_nobody_calls() -> None:
    found = run("""
with spare.loading():
    import troth.agent.init
more = ("inspect", "ast") if sys.version_info >= (3, 13) else ()  # a library asks it for more before
print(*(name for name in (*spare.LATER, *more, "http.server") if name in sys.modules))
print(spare.re.compile("a").fullmatch("a") is not None, type(spare.re.compile("a")).__name__)
""")
    assert found == ["True", "Pattern"]


def test_what_was_put_off_is_there_when_it_is_called() -> None:
    found = run("""
with spare.loading():
    from calendar import timegm
    from random import randint
    import dataclasses, inspect, re
    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Point:
        x: int
        y: int = 2
    PATTERN = re.compile("a(b)", re.IGNORECASE)
print(timegm((1970, 1, 2, 0, 0, 0)), randint(5, 5), Point(x=1).y)
print(PATTERN.fullmatch("AB")[1], PATTERN.pattern, inspect.cleandoc(" a"))
import calendar, inspect as true
print(calendar.timegm is not timegm, true is not inspect, true.__file__ is not None)
""")
    assert found == ["86400", "5", "2", "B", "a(b)", "a", "True", "True", "True"]


def test_what_is_loaded_already_stays() -> None:
    found = run("""
import calendar, inspect
with spare.loading():
    import calendar as again, inspect as too
print(calendar is again, inspect is too, sys.modules["calendar"] is calendar)
""")
    assert found == ["True", "True", "True"]


def test_nothing_stays_put_off_where_loading_fails() -> None:
    found = run("""
compile_now = spare.re.compile
try:
    with spare.loading():
        import random, inspect
        raise ImportError
except ImportError:
    pass
print(spare.re.compile is compile_now, "random" in sys.modules, "inspect" in sys.modules)
import random
print(isinstance(random.Random(1), random.Random))
""")
    assert found == ["True", "False", "False", "True"]


def test_every_pattern_that_was_put_off_is_one() -> None:
    """Whoever first uses one would find that it is wrong; here each is compiled."""
    found = run("""
with spare.loading():
    import troth.agent.init
lazy = {
    id(value): value
    for module in list(sys.modules.values())
    for holder in (module, *(v for v in vars(module).values() if isinstance(v, type)))
    for value in list(vars(holder).values())
    if isinstance(value, spare._Pattern)
}
print(len(lazy) > 10, all(isinstance(one.pattern, (str, bytes)) for one in lazy.values()))
print(id(sys.modules["troth.agent.serve"]._NAME) in lazy)
""")
    assert found == ["True", "True", "True"]


def test_no_function_of_re_is_given_one() -> None:
    """It would refuse it. Looked for in the text of all that the agent loads, and of a line that does it."""
    found = run("""
with spare.loading():
    import troth.agent.init
import ast, pathlib

def given(text, lazy):
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return [
        ast.unparse(call)
        for call in calls
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in ("re", "_re")
        if any(isinstance(a, ast.Name) and a.id in lazy for a in call.args)
    ]

read, wrong = 0, []
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None) or ""
    if file.endswith(".py"):
        lazy = {name for name, v in vars(module).items() if isinstance(v, spare._Pattern)}
        read += bool(lazy)
        wrong += given(pathlib.Path(file).read_bytes(), lazy)
print(read > 5, len(wrong), len(given("re.sub(X, '', y)", {"X"})))
""")
    assert found == ["True", "0", "1"]
