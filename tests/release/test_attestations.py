"""Who published a wheel: real provenance of a real package, and a publisher of our own with all the ways to lie."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.release import simulated
from tests.release.simulated import attestation, bundle, instance, provenance, published

from troth.errors import Malformed, Unavailable
from troth.image.attested import Publisher
from troth.release import attestations

# As the public index had it beside pypi_attestations 0.0.19, whose project has it among its tests.
REAL = Path(__file__).parents[1] / "data" / "pep740" / "pypi_attestations-0.0.19.tar.gz.provenance"
REAL_FILE = "pypi_attestations-0.0.19.tar.gz"
REAL_SHA256 = "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3"
REAL_PUBLISHER = Publisher(repository="trailofbits/pypi-attestations", workflow="release.yml")
FILE, SHA256 = "crypto-44.0.0-py3-none-any.whl", "c" * 64
US = Publisher(repository=simulated.OWNER, workflow=simulated.WORKFLOW)
SIGSTORE = instance()
ROOT = SIGSTORE.trusted_root()


def real(data: bytes, **more: Any) -> int:
    given = {"file": REAL_FILE, "sha256": REAL_SHA256, "publisher": REAL_PUBLISHER} | more
    return attestations.verify(data, **given)


def made(statement: dict[str, Any] | None = None, **more: Any) -> bytes:
    said = published(FILE, SHA256) if statement is None else statement
    return provenance(attestation(bundle(SIGSTORE, said, **more)))


def ours(data: bytes, **more: Any) -> int:
    given = {"file": FILE, "sha256": SHA256, "publisher": US, "trusted_root": ROOT} | more
    return attestations.verify(data, **given)


def test_a_real_package_was_published_by_its_project() -> None:
    data = REAL.read_bytes()
    assert attestations.claimed(data) == REAL_PUBLISHER
    assert real(data) == 1


def test_a_real_package_was_not_published_by_somebody_else() -> None:
    data = REAL.read_bytes()
    other = Publisher(repository="somebody/else", workflow="release.yml")
    with pytest.raises(
        Malformed, match=r"trailofbits/pypi-attestations .*should be of somebody/else"
    ):
        real(data, publisher=other)
    # Nor where the file says so itself.
    for name, lie in (("repository", "somebody/else"), ("workflow", "other.yml")):
        value = json.loads(data)
        value["attestation_bundles"][0]["publisher"][name] = lie
        bad = json.dumps(value).encode()
        with pytest.raises(Malformed, match=r"somebody/else|other\.yml"):
            real(bad, publisher=attestations.claimed(bad))
    for change in ({"sha256": "0" * 64}, {"file": "other-0.0.19.tar.gz"}):
        with pytest.raises(Malformed, match="about"):
            real(data, **change)
    with pytest.raises(Malformed, match="does not verify"):
        real(data, trusted_root=ROOT)


def test_one_of_ours() -> None:
    data = made()
    assert attestations.claimed(data) == US
    assert ours(data) == 1
    slsa = attestation(
        bundle(SIGSTORE, published(FILE, SHA256, kind="https://slsa.dev/provenance/v1"))
    )
    publish = attestation(bundle(SIGSTORE, published(FILE, SHA256)))
    assert ours(provenance(publish, slsa)) == 2
    with pytest.raises(Malformed, match="no attestation of publishing"):
        ours(provenance(slsa))
    with pytest.raises(Malformed, match="does not verify"):
        ours(data, trusted_root=None)  # the public instance knows nothing of it


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"repository": "somebody/else"}, "does not verify as one of owner/crypto"),
        ({"workflow": "other.yml"}, "was signed by"),
        ({"says": {8: "https://issuer.example"}}, "does not verify"),
        ({"says": {18: "https://github.com/owner/crypto/.github/workflows/x.yml@v"}}, "signed by"),
        ({"payload_type": "text/plain"}, "does not verify"),
    ],
)
def test_signed_by_somebody_else(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        ours(made(**more))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject": []}, "SHA-256 is another"),
        ({"subject": [{"name": FILE, "digest": {"sha256": SHA256}}] * 2}, "SHA-256 is another"),
        ({"subject": [{"name": FILE, "digest": {"sha512": SHA256}}]}, "SHA-256 is another"),
        ({"subject": [{"name": FILE}]}, "SHA-256 is another"),
        ({"subject": [{"name": "x", "digest": {"sha256": SHA256}}]}, "is about 'x'"),
        ({"predicateType": "https://example.com/x"}, "attestation of"),
        ({"_type": "https://example.com/x"}, "no in-toto statement"),
    ],
)
def test_statements_about_something_else(change: dict[str, Any], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        ours(made(published(FILE, SHA256) | change))


def test_a_good_attestation_does_not_carry_a_bad_one() -> None:
    good = attestation(bundle(SIGSTORE, published(FILE, SHA256)))
    bad = attestation(bundle(instance(), published(FILE, SHA256)))
    for each in ((good, bad), (bad, good)):
        with pytest.raises(Malformed, match="does not verify"):
            ours(provenance(*each))
    two = json.loads(provenance(good))
    other = json.loads(provenance(good, repository="somebody/else"))
    two["attestation_bundles"] += other["attestation_bundles"]
    with pytest.raises(Malformed, match="is of somebody/else"):
        ours(json.dumps(two).encode())
    with pytest.raises(Malformed, match="names 2 publishers"):
        attestations.claimed(json.dumps(two).encode())


def test_what_is_no_provenance() -> None:
    value = json.loads(made())
    empty = copy.deepcopy(value)
    empty["attestation_bundles"] = []
    for bad in (b"", b"{}", b"[]", b'{"version":2}', json.dumps(empty).encode(), made()[:-1]):
        with pytest.raises(Malformed):
            ours(bad)
        with pytest.raises(Malformed):
            attestations.claimed(bad)
    with pytest.raises(Malformed, match="GitLab"):
        attestations.claimed(provenance(kind="GitLab"))
    for repository in ("no-owner", "a/b/c", "../x", ""):
        with pytest.raises(Malformed, match="could not have"):
            attestations.claimed(provenance(repository=repository))


def test_no_byte_of_what_is_signed_can_be_another() -> None:
    value = json.loads(REAL.read_bytes())
    one = value["attestation_bundles"][0]["attestations"][0]
    for name in ("statement", "signature"):
        good = one["envelope"][name]
        for place in range(0, len(good), max(1, len(good) // 12)):
            letter = "A" if good[place] != "A" else "B"
            one["envelope"][name] = good[:place] + letter + good[place + 1 :]
            with pytest.raises(Malformed):
                real(json.dumps(value).encode())
        one["envelope"][name] = good


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pypi_attestations", "sigstore.verify"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(Unavailable, match="absent"):
                real(REAL.read_bytes())
