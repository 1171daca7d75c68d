"""Named, dated profiles. A profile never changes once published; a better one gets a new date."""

from datetime import timedelta
from typing import Final

from troth.errors import Misuse
from troth.model.roots import RootClass
from troth.policy.document import Policy

PROFILES: Final[dict[str, Policy]] = {
    "production-2026-11": Policy(
        name="production-2026-11",
        roots_allow=frozenset({RootClass.VENDOR}),
        max_age=timedelta(minutes=5),
    ),
    "development-2026-11": Policy(
        name="development-2026-11",
        roots_allow=frozenset(RootClass),
        max_age=timedelta(minutes=5),
    ),
}


def profile(name: str) -> Policy:
    """The profile of this name; it expects no image yet, so it accepts nothing by itself.

    Raises:
        Misuse: there is none.
    """
    if name not in PROFILES:
        raise Misuse(f"no profile is called {name!r}", fix=f"known are {', '.join(PROFILES)}")
    return PROFILES[name]
