"""Advisories held against the parts of an image: three words, and never a fourth."""

import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version
from tests.release.supplied import Desk, desk, record
from tests.release.test_osv import advisory, put

from troth.errors import Unavailable
from troth.image import components, looking
from troth.image.components import Components, Part, Unseen
from troth.release.audit import Audit, State, affects, audit
from troth.release.osv import Advisory


@pytest.fixture
def made(tmp_path: Path) -> Desk:
    return desk(tmp_path)


def parts(made: Desk | None = None) -> Components:
    known = components.of_record(record(), sha256="0" * 64)
    return known if made is None else looking.look(known, store=made.store, image=None)


def on(ecosystem: str, name: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    return {"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges, **more}


def held(folder: Path, *affected: dict[str, Any]) -> Audit:
    records = [advisory(f"A-{i}", affected=[one]) for i, one in enumerate(affected)]
    return audit(parts(), put(folder, *records))


def state(found: Audit, title: str) -> State:
    (one,) = (finding for finding in found.findings if finding.part == title)
    return one.state


def test_debian_goes_by_source_package_and_release(tmp_path: Path) -> None:
    begin = {"introduced": "0"}
    found = held(
        tmp_path,
        on("Debian:13", "glibc", begin, {"fixed": "2.41-13"}),
        on("Debian:12", "gcc-14", begin),
        on("Debian:13", "libgcc-s1", begin),
        on("Debian", "python3.13", begin, {"fixed": "3.13.5-2~"}),
        on("Debian:13", "linux", begin),
    )
    assert state(found, "deb libc6") is State.AFFECTED
    assert state(found, "deb libgcc-s1") is State.NOT_AFFECTED
    assert state(found, "deb python3.13-minimal") is State.NOT_AFFECTED
    assert state(found, "deb linux-image-6") is State.AFFECTED  # by what it was built from
    assert state(found, "wheel crypto") is State.NOT_AUDITED
    assert not [one for one in found.findings if "gcc 14" in one.part or one.part == "deb gcc"]


def test_python_goes_by_plain_names(tmp_path: Path) -> None:
    found = held(
        tmp_path,
        on("PyPI", "Pure.Thing", {"introduced": "1.0"}, {"last_affected": "1.2.0"}),
        on("PyPI", "crypto", {"introduced": "44.0.1"}),
    )
    assert state(found, "wheel pure-thing") is State.AFFECTED
    assert state(found, "wheel crypto") is State.NOT_AFFECTED
    assert state(found, "deb libc6") is State.NOT_AUDITED


def test_the_exit_code(tmp_path: Path) -> None:
    both = (on("PyPI", "other", {"introduced": "0"}), on("Debian:13", "other", {"introduced": "0"}))
    found = held(tmp_path, *both)
    assert not found.of(State.AFFECTED)
    left = {one.part for one in found.of(State.NOT_AUDITED)}
    assert left == {"agent troth", "the app's own files"}
    assert found.exit_code() == found.exit_code(["app"]) == 4
    assert found.exit_code(["app", "troth"]) == 0
    worse = held(tmp_path, *both, on("PyPI", "crypto", {"introduced": "0"}))
    assert worse.exit_code(["app", "troth", "crypto"]) == 1
    assert Audit(database=found.database, findings=()).exit_code() == 4


def test_what_is_inside_is_not_audited(tmp_path: Path, made: Desk) -> None:
    path = put(tmp_path, advisory(affected=[on("PyPI", "x", {"introduced": "0"})]))
    found = audit(parts(made), path)
    inside = [one for one in found.of(State.NOT_AUDITED) if one.part.startswith("inside openssl")]
    assert [one.version for one in inside] == ["3.4.0", "3.4.0"]
    assert all({"openssl", "crypto/*"} == one.names for one in inside)
    # The image was not at hand, and so nobody looked into the app's own files.
    assert any("app/*" in one.names for one in found.of(State.NOT_AUDITED))


def test_what_cannot_be_told_is_not_audited(tmp_path: Path) -> None:
    for one in (
        on("PyPI", "crypto"),
        on("PyPI", "crypto", {"fixed": "1"}),
        on("PyPI", "crypto", {"introduced": "0"}, {"fixed": "no version"}),
        on("PyPI", "crypto", {"introduced": "0"}, {"fixed": "1"}, {"surprise": "2"}),
        on("PyPI", "crypto", ranges=[{"type": "SEMVER", "events": [{"introduced": "0"}]}]),
        on("PyPI", "crypto", ranges=[{"type": "GIT", "events": [{"introduced": "0"}]}]),
        # One range that is compared here says nothing of another that is not.
        on("PyPI", "crypto", ranges=[
            {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1"}]},
            {"type": "SEMVER", "events": [{"introduced": "2.0.0"}]},
        ]),
    ):  # fmt: skip
        found = held(tmp_path, one)
        assert state(found, "wheel crypto") is State.NOT_AUDITED, one
    # Where another range, or the list, says that it is, it is.
    doubtful = {"type": "ECOSYSTEM", "events": [{"introduced": "no version"}]}
    sure = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}
    for more in ({"ranges": [doubtful, sure]}, {"ranges": [doubtful], "versions": ["44.0"]}):
        assert state(held(tmp_path, on("PyPI", "crypto", **more)), "wheel crypto") is State.AFFECTED


@pytest.mark.parametrize("text", ["glibc", "glibc (= 2.41-12)", "glibc  2.41-12", ""])
def test_what_a_part_was_built_from_in_other_words_is_not_passed_over(
    text: str, tmp_path: Path
) -> None:
    part = Part(
        kind="deb", name="x", version="1", source="x", source_version="1", built_using=(text,)
    )
    path = put(tmp_path, advisory(affected=[on("Debian:13", "other", {"introduced": "0"})]))
    (one,) = audit(replace(parts(), parts=(part,)), path).findings
    assert one.state is State.NOT_AUDITED
    assert "no version of Debian's" in one.why


def test_a_version_that_is_none(tmp_path: Path) -> None:
    known = parts()
    odd = Part(kind="wheel", name="odd", version="not a version")
    strange = Components(
        **{name: getattr(known, name) for name in known.__slots__ if name not in ("parts", "unseen")},
        parts=(odd,),
        unseen=(Unseen(about="odd", what="inside", words="not at hand"),),
    )  # fmt: skip
    path = put(tmp_path, advisory(affected=[on("PyPI", "other", {"introduced": "0"})]))
    found = audit(strange, path)
    assert [one.state for one in found.findings] == [State.NOT_AUDITED] * 2
    listed = put(tmp_path, advisory(affected=[on("PyPI", "odd", versions=["not a version"])]))
    assert audit(strange, listed).findings[0].state is State.AFFECTED


def _events(*pairs: tuple[str, str]) -> Advisory:
    return Advisory(
        id="A", aliases=(), package=("PyPI", "x"), versions=(), ranges=(("ECOSYSTEM", pairs),)
    )


@pytest.mark.parametrize(
    ("version", "events", "hit"),
    [
        ("1", [("introduced", "0")], True),
        ("1", [("introduced", "1")], True),
        ("1", [("introduced", "1.1")], False),
        ("1", [("introduced", "0"), ("fixed", "1")], False),
        ("1", [("introduced", "0"), ("fixed", "1.0.1")], True),
        ("1", [("introduced", "0"), ("last_affected", "1")], True),
        ("1", [("introduced", "0"), ("last_affected", "0.9")], False),
        ("2.5", [("introduced", "0"), ("fixed", "1"), ("introduced", "2"), ("fixed", "3")], True),
        ("1.5", [("introduced", "0"), ("fixed", "1"), ("introduced", "2"), ("fixed", "3")], False),
        ("2.5", [("fixed", "3"), ("introduced", "2"), ("fixed", "1"), ("introduced", "0")], True),
        ("2", [("introduced", "1"), ("fixed", "2"), ("introduced", "2")], True),
        ("1.5", [("introduced", "1"), ("last_affected", "1")], False),
        ("5", [("introduced", "0"), ("limit", "4")], False),
        ("5", [("introduced", "0"), ("limit", "*")], True),
        ("1", [("introduced", "0"), ("fixed", "0")], False),
    ],
)
def test_ranges(version: str, events: list[tuple[str, str]], hit: bool) -> None:
    assert affects(_events(*events), version, Version) is hit


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["introduced", "fixed"]), st.integers(1, 9)), max_size=6),
    st.integers(0, 10),
)
def test_ranges_as_the_schema_evaluates_them(events: list[tuple[str, int]], mine: int) -> None:
    """Against the walk over sorted events that OSV's own text describes."""
    if len({n for _, n in events}) != len(events):
        return
    vulnerable = True  # from 0
    for what, number in sorted(events, key=lambda event: event[1]):
        if mine >= number:
            vulnerable = what == "introduced"
    texts = [("introduced", "0"), *((what, str(number)) for what, number in events)]
    for order in itertools.islice(itertools.permutations(texts), 4):
        assert affects(_events(*order), str(mine), Version) is vulnerable


@pytest.mark.parametrize(
    "said",
    [
        {"versions": ["2.0.0"]},
        {"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "2.0"}]}]},
        {"versions": ["2.0.0+cpu"]},
    ],
)  # fmt: skip
def test_a_local_version_is_a_build_of_the_public_one(said: dict[str, Any], tmp_path: Path) -> None:
    part = Part(kind="wheel", name="odd", version="2.0.0+cpu")
    path = put(tmp_path, advisory(affected=[on("PyPI", "odd", **said)]))
    assert audit(replace(parts(), parts=(part,)), path).findings[0].state is State.AFFECTED


@pytest.mark.parametrize("name", ["pypi", "PYPI", "PyPI ", "PyPI:", "PyPI:https://example.org"])
def test_however_the_ecosystem_is_spelled(name: str, tmp_path: Path) -> None:
    begin = {"introduced": "0"}
    others = (on("PyPI", "other", begin), on("Debian:13", "other", begin))
    found = held(tmp_path, *others, on(name, "crypto", begin), on("debian:13", "glibc", begin))
    assert state(found, "wheel crypto") is State.AFFECTED
    assert state(found, "deb libc6") is State.AFFECTED


def test_there_is_no_word_for_without_fault() -> None:
    assert {one.value for one in State} == {
        "affected",
        "not affected by what this file holds",
        "not audited",
    }


def test_without_the_package_that_compares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "packaging.version", None)
    with pytest.raises(Unavailable, match="packaging"):
        held(tmp_path, on("PyPI", "x", {"introduced": "0"}))
