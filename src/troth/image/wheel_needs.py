"""Whether packages that were pinned one by one are all that is needed: what each wheel says that it needs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.image import pins, unpack_wheel
from troth.image.lock import Wheel
from troth.image.pins import Pin

_MOST_ROUNDS: Final = 100


def check(
    wheels: Sequence[Wheel],
    files: Sequence[bytes],
    pinned: Sequence[Pin],
    rules: Mapping[str, str],
    *,
    source: str,
) -> None:
    """Hold what wheels need against what there is.

    Args:
        wheels: what there is.
        files: the bytes of each.
        pinned: with the extras that were asked for.
        rules: what markers ask about; see `pins.environment`.
        source: the file that pins them, for errors.

    Raises:
        Misuse: one needs another that is absent, or another version of it.
        Malformed: one does not say what it needs in a form that is read, or extras lead on without end.
    """
    there = {wheel.name: wheel for wheel in wheels}
    needs = {w.name: needed(data, name=w.file) for w, data in zip(wheels, files, strict=True)}
    extras = {pin.name: set(pin.extras) for pin in pinned}
    for _ in range(_MOST_ROUNDS):  # an extra of one may ask for extras of others
        grew = False
        for name, requirements in needs.items():
            for said in requirements:
                if not _applies(said, rules, extras.get(name, set())):
                    continue
                wanted = pins.canonical(said.name)
                _hold(there[name], said, there.get(wanted), source)
                if not set(said.extras) <= extras.setdefault(wanted, set()):
                    extras[wanted] |= set(said.extras)
                    grew = True
        if not grew:
            return
    raise Malformed(f"extras ask for extras over {_MOST_ROUNDS} times", field=source)


def needed(wheel: bytes, *, name: str) -> tuple[Any, ...]:
    """What a wheel says that it needs, as `packaging` reads it.

    Raises:
        Malformed: it says nothing, or what is no requirement.
    """
    requirements = pins.packaging("requirements")
    lines = unpack_wheel.metadata(wheel, name=name).get_all("Requires-Dist", [])
    try:
        return tuple(requirements.Requirement(str(line)) for line in lines)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"needs what is no requirement: {error}"[:300], field=name) from None


def _applies(said: Any, rules: Mapping[str, str], extras: set[str]) -> bool:
    if said.marker is None:
        return True
    try:
        return any(
            said.marker.evaluate({**rules, "extra": extra}) for extra in ("", *sorted(extras))
        )
    except (ValueError, RecursionError, KeyError) as error:
        raise Malformed(
            f"has a marker that can't be judged: {error}"[:300], field=str(said)
        ) from None


def _hold(wheel: Wheel, said: Any, other: Wheel | None, source: str) -> None:
    if other is None:
        raise Misuse(
            f"{wheel.name} {wheel.version} needs {said.name}, which {source} does not pin",
            fix="make the file again with all that is needed, for this Python and for Linux",
        )
    if not said.specifier.contains(other.version, prereleases=True):
        raise Misuse(
            f"{wheel.name} {wheel.version} needs {said.name}{said.specifier}, and {source} pins "
            f"{other.version}",
            fix="make the file again, with versions that fit each other",
        )
