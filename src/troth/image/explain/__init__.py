"""A difference as a person needs it: whose file it is, what in it differs, and what usually makes that."""

from typing import Final

from troth.image.compare import Difference, first_difference
from troth.image.explain import archives, bytecode, causes, elf, texts
from troth.image.explain.causes import Cause
from troth.image.explain.told import Told, short
from troth.image.hardware import again

_DEEPEST: Final = 3
_HEADS: Final = (
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
)
_TAR: Final = slice(257, 262)
_VALUES: Final = {
    "BuildTime": causes.TIME,
    "BuildToolVersion": causes.TROTH,
    "KernelVersion": causes.PACKAGE,
}
_SIMPLE: Final = {
    "mode": causes.MODE,
    "target": causes.LINK,
    "only": causes.FILES,
    "layout": causes.PACKING,
    "compression": causes.COMPRESSOR,
    "owner": causes.OWNER,
    "time": causes.TIME,
}


def explain(difference: Difference, *, owner: str = "") -> Told:
    """What is known of a difference beyond the bytes.

    Args:
        difference: of `compare`.
        owner: who brought the file, as `owners` says; decides where nothing else is known.
    """
    told = _of(difference)
    if told.cause is None and difference.path:
        told = Told(kind=told.kind, told=told.told, cause=_by_owner(owner))
    return told


def sentence(difference: Difference) -> str:
    """A difference in one line, with the first that is known of it and its cause."""
    told = explain(difference)
    parts = [difference.words(), *told.told[:1]]
    if told.cause is not None:
        parts.append(f"{told.cause.words} ({told.cause.more})")
    return "; ".join(parts)


def contents(path: str, a: bytes, b: bytes, depth: int = 0) -> Told:
    """What two contents of one file say of why they differ.

    Args:
        path: of the file, for what its name says.
        a: the one.
        b: the other.
        depth: how many archives it is in.
    """
    at = first_difference(a, b)
    if at is None or depth > _DEEPEST or max(len(a), len(b)) > archives.MOST:
        return Told()
    found = _by_form(path, a, b, at, depth) or Told()
    if found.cause is None:
        seen = texts.explain(a, b, at)
        if seen is not None:
            found = Told(kind=found.kind, told=(*found.told, *seen.told), cause=seen.cause)
    named = texts.named(path)
    return Told(kind=found.kind, told=found.told, cause=named) if named else found


def _by_form(path: str, a: bytes, b: bytes, at: int, depth: int) -> Told | None:
    def inner(name: str, one: bytes, other: bytes) -> Told:
        return contents(name, one, other, depth + 1)

    if a.startswith(elf.MAGIC) and b.startswith(elf.MAGIC):
        return elf.explain(a, b, at)
    if path.endswith(".pyc"):
        return bytecode.explain(a, b, at)
    for head, kind in _HEADS:
        if a.startswith(head) and b.startswith(head):
            if kind == "zip":
                return archives.zips(a, b, inner)
            return archives.compressed(kind, a, b, inner)
    if a[_TAR] == b[_TAR] == b"ustar":
        return archives.tars(a, b, inner)
    return None


def _of(difference: Difference) -> Told:
    if difference.section == "command_line" and difference.first is not None:
        return _words(difference.first, difference.second or "")
    if difference.data is not None and difference.what == "content":
        a, b = (bytes(piece) for piece in difference.data)
        if difference.section == "kernel":
            return _kernel(a, b)
        return contents(difference.path, a, b)
    if difference.what == "only" and not difference.path:  # a section, and no file
        signed = difference.section == "signature"
        told = ("one of the two is signed, which changes PCR8 and nothing that was built",)
        return Told(told=told if signed else ())
    cause = _SIMPLE.get(difference.what)
    if difference.section == "metadata":
        cause = _VALUES.get(difference.path.rpartition(".")[2], cause)
    return Told(cause=cause)


def _words(first: str, second: str) -> Told:
    """A command line, word by word."""
    mine, theirs = first.split(), second.split()
    here, there = dict.fromkeys(mine), dict.fromkeys(theirs)
    told = []
    names = {word.partition("=")[0]: word for word in theirs}
    for word in here:
        other = names.get(word.partition("=")[0])
        if word in there:
            continue
        if other is not None and other not in here:
            told.append(f"the word {short(word)} is {short(other)} in the second")
        else:
            told.append(f"the word {short(word)} is only in the first")
    paired = {word.partition("=")[0] for word in mine if word not in there}
    told += [
        f"the word {short(word)} is only in the second"
        for word in there
        if word not in here and word.partition("=")[0] not in paired
    ]
    if not told:
        same = sorted(mine) == sorted(theirs)
        told = ["the same words in another order" if same and mine != theirs else "other spaces"]
    return Told(kind="kernel command line", told=tuple(told[:20]), cause=causes.COMMAND_LINE)


def _kernel(a: bytes, b: bytes) -> Told:
    versions = [again.named(data) for data in (a, b)]
    if versions[0] != versions[1]:
        words = f"Linux {versions[0] or 'of no version'} and {versions[1] or 'of no version'}"
        return Told(kind="kernel", told=(short(words, 300),), cause=causes.PACKAGE)
    return Told(kind="kernel", told=(), cause=causes.PACKAGE)


def _by_owner(owner: str) -> Cause | None:
    if owner.startswith("troth"):
        return causes.TROTH
    if owner.startswith("the app"):
        return causes.SOURCE
    return causes.PACKAGE if owner else None
