"""Two wheels side by side: which member, and whether it is its content, mode or time, or how all is packed."""

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from troth.image import compare, unpack_wheel
from troth.image.compare import Difference
from troth.image.explain import causes, contents
from troth.image.explain.causes import Cause
from troth.image.explain.told import Told

SECTION: Final = "wheel"
_LIST: Final = ".dist-info/RECORD"
# Of a member, what else its archive says of it.
_FIELDS: Final[Mapping[str, tuple[Callable[[zipfile.ZipInfo], str], Cause]]] = {
    "mode": (lambda one: f"{one.external_attr >> 16:06o}", causes.MODE),
    "time": (lambda one: "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*one.date_time), causes.TIME),
    "layout": (
        lambda one: (
            f"made on system {one.create_system}, method {one.compress_type}, flags {one.flag_bits}, "
            f"{len(one.extra)} bytes of extra fields, {len(one.comment)} of comment"
        ),
        causes.COMPRESSOR,
    ),
}


def differences(first: bytes, second: bytes) -> Iterator[tuple[Difference, Told]]:
    """What is not the same, member by member, the list of members last; nothing only for the same bytes.

    Args:
        first: a wheel that `wheel_again.check_wheel` let pass.
        second: another one.

    Raises:
        Malformed: one is no wheel.
    """
    if first == second:
        return
    (a, mine), (b, theirs) = _opened(first), _opened(second)
    names = sorted({*mine, *theirs}, key=lambda name: (name.endswith(_LIST), name))
    found = False
    for name in names:
        one, other = mine.get(name), theirs.get(name)
        for difference in _member(name, a, one, b, other):
            found = True
            yield difference
    if [*mine] != [*theirs] and set(mine) == set(theirs):
        found = True
        yield _plain("", "order", ("its own", "another"), causes.ORDER)
    if not found:
        at = compare.first_difference(first, second)
        words = [f"{len(data)} bytes, another one from byte {at} on" for data in (first, second)]
        yield _plain("", "layout", words, causes.COMPRESSOR)


def _opened(data: bytes) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    archive, listed = unpack_wheel.opened(data, SECTION)
    return archive, {item.filename: item for item in listed}


def _member(
    name: str,
    a: zipfile.ZipFile,
    one: zipfile.ZipInfo | None,
    b: zipfile.ZipFile,
    other: zipfile.ZipInfo | None,
) -> Iterator[tuple[Difference, Told]]:
    if one is None or other is None:
        sizes = [None if item is None else f"{item.file_size} bytes" for item in (one, other)]
        yield _plain(name, "only", sizes, causes.FILES)
        return
    data = [unpack_wheel.read(a, one, SECTION), unpack_wheel.read(b, other, SECTION)]
    content = compare.content(SECTION, name, data[0], data[1])
    if content is not None:
        told = contents(name, data[0], data[1])
        if told.cause is None:
            told = Told(kind=told.kind, told=told.told, cause=causes.SOURCE)
        yield content, told
    elif one.compress_size != other.compress_size:
        sizes = [f"packed to {item.compress_size} bytes" for item in (one, other)]
        yield _plain(name, "layout", sizes, causes.COMPRESSOR)
    for what, (says, cause) in _FIELDS.items():
        if says(one) != says(other):
            yield _plain(name, what, (says(one), says(other)), cause)


def _plain(
    path: str, what: str, both: Sequence[str | None], cause: Cause
) -> tuple[Difference, Told]:
    first, second = both
    made = Difference(section=SECTION, path=path, what=what, first=first, second=second)
    return made, Told(cause=cause)
