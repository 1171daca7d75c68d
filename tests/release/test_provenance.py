"""Statements: what they say, and every way in which one may be about something else."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sigstore import dsse as sigstore_dsse
from sigstore.hashes import Hashed
from sigstore_models.common.v1 import HashAlgorithm
from tests.platforms.nitro.signer import identity, signature, with_section
from tests.release.supplied import image, record, sha

from troth.errors import Malformed, Misuse
from troth.platforms.nitro.measure import measure
from troth.release import provenance
from troth.release.provenance import Subject
from troth.wire import eif, json

BUILDER = "https://example.com/ci"
RECORD = record()
DIGEST = sha(json.canonical(RECORD))
MADE = provenance.statement(RECORD, record_sha256=DIGEST, name="app.eif", builder=BUILDER)


def subject(of: Any = None) -> Subject:
    made = image() if of is None else of
    return provenance.subject(made, dict(measure(made).hex()), sha256=sha(eif.pack(made)))


def problems(statement: Any = MADE, **more: Any) -> tuple[str, ...]:
    given = {"image": subject(), "record": RECORD, "record_sha256": DIGEST} | more
    return provenance.problems(statement, given.pop("image"), **given)


def test_it_says_what_went_in() -> None:
    assert MADE["_type"] == "https://in-toto.io/Statement/v1"
    assert MADE["predicateType"] == "https://slsa.dev/provenance/v1"
    first, second = MADE["subject"]
    assert first == {"name": "app.eif", "digest": {"sha256": subject().sha256}}
    assert second["digest"] == {"sha384": measure(image()).hex()["pcr0"]}
    build = MADE["predicate"]["buildDefinition"]
    names = [one["name"] for one in build["resolvedDependencies"]]
    assert names == [
        "image: deb libc6",
        "image: deb libgcc-s1",
        "interpreter: deb python3.13-minimal",
        "image: wheel crypto",
        "image: wheel pure-thing",
        "kernel: deb linux-image-6",
        "builder: deb gcc",
        "image: agent troth",
        "image: file /app/program",
    ]
    assert all("sha256" in one["digest"] for one in build["resolvedDependencies"])
    assert MADE["predicate"]["runDetails"]["builder"]["id"] == BUILDER
    assert provenance.parse(json.canonical(MADE)) == MADE
    assert problems() == problems(builder=BUILDER) == ()


def test_the_source_is_a_dependency_where_the_record_names_it() -> None:
    source = {"git": "https://example.com/app.git", "commit": "a" * 40, "path": "."}
    made = provenance.statement(
        RECORD | {"source": source}, record_sha256=DIGEST, name="app.eif", builder=BUILDER
    )
    build = made["predicate"]["buildDefinition"]
    assert build["externalParameters"]["source"] == source
    assert build["resolvedDependencies"][0] == {
        "name": "source",
        "uri": "git+https://example.com/app.git",
        "digest": {"gitCommit": "a" * 40},
    }
    assert problems(made)  # and this record names none
    assert problems(made, record=RECORD | {"source": source}) == ()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


FREE = {("subject", 0, "name"), ("predicate", "runDetails", "builder", "id")}
"""What the signer may choose: what the image is called, and what the builder is."""


@pytest.mark.parametrize("how", ["other", "missing", "more"])
def test_no_member_may_say_anything_else(how: str) -> None:
    count = 0
    for path in places(MADE):
        if path in (("_type",), ("predicateType",)) or (how == "other" and path in FREE):
            continue
        bad = copy.deepcopy(MADE)
        holder: Any = bad
        for key in path[:-1]:
            holder = holder[key]
        if how == "other":
            holder[path[-1]] = "something else"
        elif how == "missing":
            del holder[path[-1]]
        elif isinstance(holder[path[-1]], dict):
            holder[path[-1]]["unknown"] = 1
        elif isinstance(holder[path[-1]], list):
            holder[path[-1]].append({})
        else:
            continue
        count += 1
        try:
            assert problems(provenance.parse(json.canonical(bad))), path
        except Malformed:
            pass
    assert count > 20


def test_it_is_of_another_image() -> None:
    other = image()
    other = replace(other, default_cpus=7)
    assert "it is about" in problems(image=subject(other))[0]
    # The record of the image at hand beside a statement about another.
    theirs = record(other)
    made = provenance.statement(theirs, record_sha256=DIGEST, name="app.eif", builder=BUILDER)
    assert "it is about" in problems(made)[0]
    assert "record is of another image" in problems(record=theirs)[0]
    # The subjects swapped, or one of them alone.
    for subjects in (MADE["subject"][::-1], MADE["subject"][:1], [], {}, MADE["subject"] * 2):
        assert problems({**MADE, "subject": subjects})


def test_other_measurements() -> None:
    for register, value in (("pcr0", "0" * 96), ("pcr1", "0" * 96)):
        lying = {**RECORD, "nitro": {**RECORD["nitro"], register: value}}
        made = provenance.statement(lying, record_sha256=DIGEST, name="app.eif", builder=BUILDER)
        assert "other measurements" in problems(made, record=lying)[0]


def test_without_the_record_the_subject_and_builder_are_compared() -> None:
    assert problems(record=None, record_sha256="") == ()
    assert problems(record=None, record_sha256="", builder="https://example.com/other")
    assert problems(record=None, image=subject(replace(image(), default_cpus=7)))


def test_another_builder_or_none() -> None:
    assert "should be" in problems(builder="https://example.com/other")[0]
    for builder in ("", "here", "a b:c", "ä:b", "a:\n"):
        with pytest.raises(Misuse, match="no URI"):
            provenance.statement(RECORD, record_sha256=DIGEST, name="x", builder=builder)
    bad = copy.deepcopy(MADE)
    for value in (None, "", 7, "no uri"):
        bad["predicate"]["runDetails"]["builder"]["id"] = value
        assert problems(bad)


def test_true_is_not_one() -> None:
    lying = copy.deepcopy(RECORD)
    lying["kernel"]["flag"] = True
    made = provenance.statement(lying, record_sha256=DIGEST, name="app.eif", builder=BUILDER)
    made["predicate"]["buildDefinition"]["internalParameters"]["kernel"]["flag"] = 1
    assert problems(made, record=lying)


def test_a_signature_for_pcr8_is_no_part_of_the_build() -> None:
    by = identity()
    signed = with_section(image(), signature(image(), by))
    found = subject(signed)
    assert found.signed
    assert problems(image=found) == ()
    # Only where the file is what the image is written as.
    odd = provenance.subject(signed, dict(measure(signed).hex()), sha256="0" * 64)
    assert problems(image=odd)


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": "https://slsa.dev/provenance/v0.2"},
        {"predicateType": "https://slsa.dev/verification_summary/v1"},
        {"more": 1},
    ],
)
def test_what_is_no_such_statement(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        provenance.parse(json.canonical(MADE | change))


def test_one_encoding() -> None:
    data = json.canonical(MADE)
    for bad in (data + b"\n", data.replace(b'":', b'": ', 1), b"", b"[]", data[:-1]):
        with pytest.raises(Malformed):
            provenance.parse(bad)
    half = data.replace(BUILDER.encode(), b"\\ud800", 1)
    assert half != data
    with pytest.raises(Malformed, match="not in the form"):
        provenance.parse(half)
    twice = data.replace(b'"_type"', b'"_type":"x","_type"', 1)
    with pytest.raises(Malformed, match="twice"):
        provenance.parse(twice)


def test_another_project_reads_it_as_a_statement() -> None:
    assert sigstore_dsse.Statement(json.canonical(MADE))._matches_digest(
        Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(subject().sha256))
    )
