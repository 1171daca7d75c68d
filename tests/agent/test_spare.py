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
