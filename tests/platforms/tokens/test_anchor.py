"""Why a key counts: each rule of a path broken alone, and of two ways the shorter one."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.crypto.test_issued import Made, issue

from troth.model.roots import Root, RootClass
from troth.platforms.tokens.anchor import Anchor, anchor, problems
from troth.platforms.tokens.jwks import Candidate
from troth.platforms.tokens.roots import DEVELOPMENT_KEYS, maa, none, nras, of_a_test_service

CURVE = ec.SECP384R1()
ROOT = issue("root", curve=CURVE, digest=hashes.SHA384())
MIDDLE = issue("middle", ROOT, curve=CURVE, digest=hashes.SHA384())


def leaf(above: Made = MIDDLE, **changes: Any) -> Made:
    said = {
        "ca": False,
        "signs_certificates": False,
        "signs_data": True,
        "curve": CURVE,
        "digest": hashes.SHA384(),
    }
    return issue("leaf", above, **(said | changes))


def candidate(*path: Made) -> Candidate:
    ders = tuple(one.read.der for one in path)
    return Candidate(spki=path[0].read.key, x5c=ders, source="a test", refused="")


def root_of(made: Made, root_class: RootClass = RootClass.ADDED, platform: str = "ita") -> Root:
    return Root(
        platform=platform,
        sha256=hashlib.sha256(made.read.der).hexdigest(),
        key_sha256=hashlib.sha256(made.read.key).hexdigest(),
        root_class=root_class,
        source="a test",
    )


def path(*made: Made) -> Anchor:
    """Certificates below the first, which is the root."""
    root = root_of(made[0]) if made else None
    return Anchor(root=root, path=tuple(one.read for one in made))


def test_a_path_that_is_right() -> None:
    assert problems(path(ROOT, MIDDLE, leaf())) == []
    assert problems(path(MIDDLE, leaf())) == []
    assert problems(path(leaf())) == problems(path()) == []
    # NVIDIA's leaves carry no basic constraints, and some carry no key usage.
    assert problems(path(ROOT, MIDDLE, leaf(ca=None))) == []
    assert problems(path(ROOT, MIDDLE, leaf(signs_certificates=None))) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ca": True}, "that it is no authority"),
        ({"signs_data": False}, "may not sign data"),
        ({"unknown": True}, "unknown critical extension"),
        ({"issuer": "another"}, "issuer's name"),
        ({"signer": ec.generate_private_key(CURVE)}, "does not verify"),
        ({"digest": hashes.SHA512()}, "another algorithm"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_each_rule_of_the_leaf(change: dict[str, Any], why: str) -> None:
    found = problems(path(ROOT, MIDDLE, leaf(**change)))
    assert any(why in problem for problem in found), found


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ca": False}, "is not a certificate authority"),
        ({"ca": None}, "is not a certificate authority"),
        ({"signs_certificates": False, "signs_data": True}, "may not sign certificates"),
        ({"unknown": True}, "unknown critical extension"),
    ],
    ids=str,
)
def test_each_rule_of_an_authority(change: dict[str, Any], why: str) -> None:
    middle = issue("middle", ROOT, curve=CURVE, digest=hashes.SHA384(), **change)
    found = problems(path(ROOT, middle, leaf(middle)))
    assert any(why in problem for problem in found), found


def test_a_path_length() -> None:
    short = issue("root", curve=CURVE, digest=hashes.SHA384(), path_length=0)
    middle = issue("middle", short, curve=CURVE, digest=hashes.SHA384())
    assert any("authorities follow" in p for p in problems(path(short, middle, leaf(middle))))
    assert problems(path(short, leaf(short))) == []


def test_an_unknown_extension_that_is_not_critical() -> None:
    assert problems(path(ROOT, MIDDLE, leaf(unknown=False))) == []


def test_a_key_that_is_named_needs_no_certificate() -> None:
    made = leaf()
    for one in (candidate(made), candidate(made, MIDDLE, ROOT), replace(candidate(made), x5c=())):
        found = anchor(one, [root_of(made), root_of(ROOT)])
        assert (found.named, found.path) == (True, ())
        assert found.root == root_of(made)


def test_the_nearest_certificate_that_a_root_names() -> None:
    made = leaf()
    whole = candidate(made, MIDDLE, ROOT)
    for roots, length in (
        ([root_of(ROOT)], 3),
        ([root_of(MIDDLE)], 2),
        ([root_of(ROOT), root_of(MIDDLE)], 2),
    ):
        found = anchor(whole, roots)
        assert len(found.path) == length
        assert found.path[-1] == made.read
        assert not found.named
        assert found.top == hashlib.sha256(found.path[0].key).hexdigest()


def test_nobody() -> None:
    made = leaf()
    found = anchor(candidate(made, MIDDLE, ROOT), [])
    assert (found.root, found.root_class) == (None, None)
    assert found.top == root_of(ROOT).key_sha256
    assert not found.alone
    # One certificate that signed itself says nothing, as does none.
    assert anchor(candidate(ROOT), []).alone
    assert anchor(replace(candidate(made), x5c=()), []).alone
    assert not anchor(candidate(made), []).alone
    assert anchor(replace(candidate(made), x5c=(b"\x30\0",)), [root_of(made)]).root is None
    assert anchor(replace(candidate(made), x5c=(b"\x30\0",)), []).trouble
    other = replace(candidate(made, MIDDLE, ROOT), spki=MIDDLE.read.key)
    assert "another key" in anchor(other, [root_of(ROOT)]).trouble
    assert anchor(replace(candidate(made, MIDDLE, ROOT), spki=b""), [root_of(ROOT)]).root is None


def test_a_test_services_key_is_development_however_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = leaf()
    whole = candidate(made, MIDDLE, ROOT)
    assert not of_a_test_service(whole.x5c)
    monkeypatch.setattr(
        "troth.platforms.tokens.roots.DEVELOPMENT_KEYS", frozenset({root_of(ROOT).key_sha256})
    )
    assert of_a_test_service(whole.x5c)
    for root in (root_of(made), root_of(MIDDLE), root_of(ROOT, RootClass.VENDOR)):
        assert anchor(whole, [root]).root_class is RootClass.DEVELOPMENT


def test_what_is_pinned() -> None:
    pinned = (*maa(), *nras())
    assert none() == ()
    assert [root.platform for root in pinned] == ["maa", "nras", "nras"]
    for root in pinned:
        assert root.root_class is RootClass.VENDOR
        assert root.key_sha256 not in DEVELOPMENT_KEYS
        assert root.review_by == datetime(2028, 1, 1, tzinfo=UTC)
