"""Bundles of Sigstore: verified for one identity and issuer, and for nobody else."""

import json
import sys

import pytest
from tests.release.simulated import OWNER, TAG, WORKFLOW, bundle, instance, payload, published

from troth.errors import Malformed, Misuse, Unavailable
from troth.release import sigstore

SIGSTORE = instance()
ROOT = SIGSTORE.trusted_root()
WHO = f"https://github.com/{OWNER}/.github/workflows/{WORKFLOW}@refs/tags/{TAG}"
ISSUER = "https://token.actions.githubusercontent.com"
MADE = bundle(SIGSTORE, published("x", "a" * 64))


def verified(data: bytes = MADE, *, identity: str = WHO, issuer: str = ISSUER) -> tuple[str, bytes]:
    return sigstore.verified(data, identity=identity, issuer=issuer, trusted_root=ROOT)


def test_the_good_one() -> None:
    assert verified() == ("application/vnd.in-toto+json", payload(MADE))


def test_somebody_else() -> None:
    for identity in (WHO + "0", WHO[:-1], "somebody@example.com", WHO.upper()):
        with pytest.raises(Malformed, match="does not verify"):
            verified(identity=identity)
    with pytest.raises(Malformed, match="does not verify"):
        verified(issuer="https://issuer.example")
    for who in ({"identity": ""}, {"issuer": ""}):
        with pytest.raises(Misuse, match="identity and its issuer"):
            verified(**who)


def test_another_instance() -> None:
    for root in (instance().trusted_root(), None):
        with pytest.raises(Malformed, match="does not verify"):
            sigstore.verified(MADE, identity=WHO, issuer=ISSUER, trusted_root=root)
    for root in (b"", b"{}", b"[]", ROOT[:-1]):
        with pytest.raises(Malformed, match="trusted root"):
            sigstore.verified(MADE, identity=WHO, issuer=ISSUER, trusted_root=root)


def test_what_is_no_bundle() -> None:
    value = json.loads(MADE)
    signed = value.pop("dsseEnvelope")
    bare = {**value, "messageSignature": {"signature": signed["signatures"][0]["sig"]}}
    older = json.loads(MADE) | {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2"}
    unsigned = json.loads(MADE)
    unsigned["dsseEnvelope"]["signatures"] = []
    twice = json.loads(MADE)
    twice["dsseEnvelope"]["signatures"] *= 2
    unlogged = json.loads(MADE)
    unlogged["verificationMaterial"]["tlogEntries"] = []
    for bad in (value, bare, older, unsigned, twice, unlogged, {}, []):
        with pytest.raises(Malformed):
            verified(json.dumps(bad).encode())
    for data in (b"", MADE[:-1], MADE + b"x"):
        with pytest.raises(Malformed):
            verified(data)


def test_a_turned_bit_never_gives_another_statement() -> None:
    for place in range(0, len(MADE), 29):
        bad = bytearray(MADE)
        bad[place] ^= 1
        try:
            assert verified(bytes(bad))[1] == payload(MADE), place
        except Malformed:
            continue


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sigstore.verify", None)
    with pytest.raises(Unavailable, match="absent"):
        verified()
