"""Build records as strangers get them: whole, or refused with what is wrong or missing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse
from troth.image import stated
from troth.image.checkout import Source
from troth.image.store import digest
from troth.wire.json import MAX_BYTES

RECIPE, LOCK = "[app]\nname = 'grüße'\n", "{}\n"
SHA = "0" * 64
RECORD: dict[str, Any] = {
    "schema": "troth/build/1",
    "tool": {"name": "troth", "version": "1", "agent_sha256": SHA},
    "recipe": RECIPE,
    "recipe_sha256": digest(RECIPE.encode()),
    "lock": LOCK,
    "lock_sha256": digest(LOCK.encode()),
    "kernel": {"kind": "debian"},
    "app": [{"path": "/app/a", "sha256": SHA}],
    "image": {"sha256": SHA, "size": 1, "sections": []},
    "nitro": {"pcr0": "1" * 96},
}
SOURCE = {"git": "https://example.org/x", "commit": "1" * 40, "path": "app"}


def read(**changes: Any) -> stated.Stated:
    document = {k: v for k, v in {**RECORD, **changes}.items() if v is not ...}
    return stated.read(json.dumps(document).encode(), field="x.build.json")


def test_a_record() -> None:
    found = read()
    assert (found.recipe, found.lock, found.kernel) == (RECIPE, LOCK, "debian")
    assert found.app == {"/app/a": SHA}
    assert found.source is None
    assert read(source=SOURCE).source == Source(git=SOURCE["git"], commit="1" * 40, path="app")
    assert read(surface={"anything": 1}).sha256 == SHA


@pytest.mark.parametrize(
    ("absent", "words"),
    [
        (("recipe", "lock"), "lacks the text of recipe and lock"),
        (("lock",), "lacks the text of lock"),
    ],
)
def test_a_record_of_an_older_troth(absent: tuple[str, ...], words: str) -> None:
    with pytest.raises(Misuse, match=words) as caught:
        read(**dict.fromkeys(absent, ...))
    assert "troth rebuild APP --image IMAGE" in caught.value.fix


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "troth/measurements/1"}, "is not a build record"),
        ({"\ud800": 1}, "cannot be written again"),
        ({"more": ["\udfff"]}, "cannot be written again"),
        ({"recipe": RECIPE + " "}, "has another recipe than its recipe_sha256"),
        ({"lock": "{} \n"}, "has another lock than its lock_sha256"),
        ({"recipe": 1}, "has no text 'recipe'"),
        ({"lock_sha256": "x"}, "no SHA-256"),
        ({"kernel": []}, "has no object 'kernel'"),
        ({"app": {}}, "no list"),
        ({"app": [1]}, "no object"),
        ({"app": [{"path": "/a", "sha256": SHA}] * 2}, "names /a twice"),
        ({"app": [{"path": "/a", "sha256": "x"}]}, "no SHA-256"),
        ({"image": {}}, "sha256"),
        ({"nitro": {"pcr0": "zz"}}, "no register"),
        ({"tool": ...}, "has no object 'tool'"),
        ({"source": []}, "must be an object"),
        ({"source": {**SOURCE, "run": "x"}}, "must be an object"),
        ({"source": {**SOURCE, "git": "ext::sh"}}, "no address"),
        ({"source": {**SOURCE, "commit": "HEAD"}}, "no whole object name"),
        ({"source": {**SOURCE, "path": "../x"}}, "no folder"),
        ({"source": {**SOURCE, "made": [1]}}, "no list of names"),
        ({"source": {**SOURCE, "tag": "--upload-pack=x"}}, "no tag"),
    ],
)
def test_what_is_no_record(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read(**changes)


def test_a_kernel_that_there_is_not() -> None:
    with pytest.raises(Misuse, match="'plan9'"):
        read(kernel={"kind": "plan9"})


@pytest.mark.parametrize(
    "data",
    [
        b"", b"junk", b"[]", b"[" * 100_000, b'{"schema":"troth/build/1","schema":"troth/build/1"}',
        b"\xff", json.dumps(RECORD).encode() + b"x", b" " * (stated.MOST + 1),
        json.dumps({**RECORD, "recipe": "\ud800"}).encode(), json.dumps({**RECORD, "x": 1.5}).encode(),
    ],
)  # fmt: skip
def test_junk(data: bytes) -> None:
    with pytest.raises(Malformed):
        stated.read(data, field="x")
    assert stated.MOST <= MAX_BYTES


@given(
    key=st.sampled_from(sorted(RECORD)),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
)
def test_any_value_in_the_place_of_another(key: str, value: Any) -> None:
    try:
        read(**{key: value})
    except (Malformed, Misuse):
        pass
