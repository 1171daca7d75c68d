"""Are there advisories about the parts of an image? Only in the database at hand, and never more than that.

Each part is affected, or not affected by what the database holds, or not audited. There is no fourth word: no
database knows everything, so nothing here is ever found to be without fault.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from troth.errors import Malformed, Unavailable
from troth.image.components import Components, Part
from troth.image.keys import SUITES
from troth.release import osv
from troth.release.debian_version import DebianVersion
from troth.release.osv import Advisory, Database, Package

_PYPI: Final = "PyPI"
_DEBIAN: Final = "Debian"
_MOST: Final = 1000
"""Characters of a version."""
_Read = Callable[[str], Any]


class State(Enum):
    """What is known of a part."""

    AFFECTED = "affected"
    NOT_AFFECTED = "not affected by what this file holds"
    NOT_AUDITED = "not audited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is known of one part.

    Attributes:
        part: kind and name.
        names: by which `--allow-unaudited` may name it.
        version: of the part.
        state: which of the three.
        advisories: id and aliases of those that affect it.
        why: why it was not audited, in words.
    """

    part: str
    names: frozenset[str]
    version: str
    state: State
    advisories: tuple[tuple[str, tuple[str, ...]], ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The whole answer.

    Attributes:
        database: which, by digest and age.
        findings: one for each part of the image, and for what could not be looked into.
    """

    database: Database
    findings: tuple[Finding, ...]

    def of(self, state: State) -> tuple[Finding, ...]:
        """The parts of one state."""
        return tuple(finding for finding in self.findings if finding.state is state)

    def exit_code(self, allowed: Iterable[str] = ()) -> int:
        """1 with an advisory; 4 where a part was not audited and not named; else 0."""
        names = frozenset(allowed)
        if self.of(State.AFFECTED):
            return 1
        left = [one for one in self.of(State.NOT_AUDITED) if not names & one.names]
        return 4 if left or not self.findings else 0


def audit(parts: Components, path: Path) -> Audit:
    """Holds the parts of an image against a database. Parts that only built it are left out.

    Args:
        parts: looked into, for what is inside other parts counts as they do.
        path: the database; see `osv.read`.

    Raises:
        Unavailable: it cannot be read, or the package `packaging` is absent (extra `sbom`).
        Malformed, Misuse: as `osv.read`.
    """
    mine = [part for part in parts.parts if part.role != "builder"]
    asked = {part: tuple(_questions(part, parts.suite)) for part in mine}
    wanted = frozenset(package for each in asked.values() for package, _ in each)
    database = osv.read(path, wanted=wanted)
    readers: dict[str, _Read] = {_PYPI: _pypi(), _DEBIAN: DebianVersion}
    findings = [
        _judge(part, asked[part], database, readers) for part in mine if part.kind != "file"
    ]
    if any(part.kind == "file" for part in mine):
        findings.append(
            _not("the app's own files", {"app"}, "", "nobody publishes advisories on them")
        )
    findings += [
        _not(f"inside {one.about}", {f"{one.about}/*"}, "", one.words)
        for one in parts.unseen
        if one.what == "inside"
    ]
    return Audit(database=database, findings=tuple(findings))


def _questions(part: Part, suite: str) -> Iterator[tuple[Package, str]]:
    """Packages and versions to ask for: Debian's advisories are on source packages."""
    if part.kind in ("deb", "kernel") and part.source:
        release = SUITES[suite].title.rpartition(" ")[2] if suite in SUITES else suite
        pairs = [(part.source, part.source_version)]
        for text in part.built_using:
            name, _, rest = text.partition(" ")
            pairs.append((name, rest.partition(" ")[0]))  # without a version it cannot be told
        for name, version in pairs:
            yield (f"{_DEBIAN}:{release}", name), version
            yield (_DEBIAN, name), version
    elif part.kind == "wheel" or part.purl == "pypi":
        package = (_PYPI, osv.plain(_PYPI, part.name))
        yield package, part.version
        # A local version, such as 2.0+cpu, is a build of the public one, which advisories name.
        public, plus, _ = part.version.partition("+")
        if plus:
            yield package, public


def _judge(
    part: Part,
    asked: tuple[tuple[Package, str], ...],
    database: Database,
    readers: dict[str, _Read],
) -> Finding:
    names = {part.name}
    if part.within:
        names |= {f"{part.within.partition(' ')[2] or part.within}/*"}
        if part.within.startswith("file "):
            names |= {"app/*"}
    if not asked:
        kind = part.purl if part.within else part.kind
        return _not(part.title, names, part.version, f"versions of {kind} are not compared here")
    held = [package[0] for package, _ in asked if database.ecosystems.get(package[0])]
    hits, doubts = _held_against(asked, database, readers)
    if hits:
        return Finding(
            part=part.title,
            names=frozenset(names),
            version=part.version,
            state=State.AFFECTED,
            advisories=tuple(sorted(hits)),
        )
    if doubts:
        return _not(part.title, names, part.version, doubts[0])
    if not held:
        places = " or ".join(sorted({package[0] for package, _ in asked}))
        return _not(part.title, names, part.version, f"the file holds nothing on {places}")
    return Finding(
        part=part.title, names=frozenset(names), version=part.version, state=State.NOT_AFFECTED
    )


def _held_against(
    asked: tuple[tuple[Package, str], ...], database: Database, readers: dict[str, _Read]
) -> tuple[set[tuple[str, tuple[str, ...]]], list[str]]:
    """Advisories on these packages that are about these versions, and why it cannot be told of others."""
    hits: set[tuple[str, tuple[str, ...]]] = set()
    doubts: list[str] = []
    for package, version in asked:
        read = readers[package[0].partition(":")[0]]
        for advisory in database.advisories.get(package, ()):
            try:
                if affects(advisory, version, read):
                    hits.add((advisory.id, advisory.aliases))
            except Malformed as error:
                doubts.append(f"{advisory.id}: {error}")
        try:
            read(version)
        except Malformed as error:
            doubts.append(str(error))
    return hits, doubts


def _not(title: str, names: set[str], version: str, why: str) -> Finding:
    return Finding(
        part=title, names=frozenset(names), version=version, state=State.NOT_AUDITED, why=why
    )


def affects(advisory: Advisory, version: str, read: _Read) -> bool:
    """Whether an advisory is about this version (OSV schema, «Evaluation»).

    Args:
        advisory: on the package.
        version: of the part.
        read: makes versions that compare.

    Raises:
        Malformed: it cannot be told: a version is none, or the advisory has no range that is read here.
    """
    if version in advisory.versions:
        return True
    mine = read(version)
    usable = [events for kind, events in advisory.ranges if kind == "ECOSYSTEM"]
    doubt: Malformed | None = None
    for events in usable:
        try:
            if _within(events, mine, read):
                return True
        except Malformed as error:  # another range may still say that it is
            doubt = error
    if any(_same(one, mine, read) for one in advisory.versions):
        return True
    if doubt is not None:
        raise doubt
    if not usable and not advisory.versions:
        raise Malformed("says nothing that can be compared", field="affected")
    if any(kind not in ("ECOSYSTEM", "GIT") for kind, _ in advisory.ranges):
        raise Malformed("has ranges of a kind that is not compared here", field="ranges")
    return False


def _same(text: str, mine: Any, read: _Read) -> bool:
    """Whether a listed version is this one, spelled otherwise; what cannot be read is no version of ours."""
    try:
        return bool(read(text) == mine)
    except Malformed:
        return False


def _within(events: tuple[tuple[str, str], ...], mine: Any, read: _Read) -> bool:
    starts: list[Any] = []
    ends: list[tuple[Any, bool]] = []
    limits: list[Any] = []
    always = False
    for what, version in events:
        if what == "introduced" and version == "0":
            always = True
        elif what == "introduced":
            starts.append(read(version))
        elif what in ("fixed", "last_affected"):
            ends.append((read(version), what == "fixed"))
        elif what == "limit":
            limits += [] if version == "*" else [read(version)]
        else:
            raise Malformed(f"has an event {what[:30]!r}", field="events")
    if not always and not starts:
        raise Malformed("does not say where it begins", field="events")
    if limits and not any(mine < limit for limit in limits):
        return False
    begun = [start for start in starts if start <= mine]
    if not begun and not always:
        return False
    # Of what lies before this version the last counts; where it ends and begins at once, it begins.
    last = max(begun) if begun else None
    return not any(
        (end <= mine and (last is None or end > last))
        if fixed
        else (end < mine and (last is None or end >= last))
        for end, fixed in ends
    )


def _pypi() -> _Read:
    try:
        from packaging.version import InvalidVersion, Version
    except ImportError:
        raise Unavailable(
            "versions of Python packages are compared by the package packaging",
            fix="install troth with its extra: pip install 'troth[sbom]'",
        ) from None

    def read(text: str) -> Version:
        try:
            if len(text) <= _MOST:
                return Version(text)
            raise InvalidVersion(text)
        except ValueError:  # which an invalid version is, and so is a number of too many digits
            raise Malformed(f"{text[:60]!r} is no version of Python's", field="version") from None

    return read
