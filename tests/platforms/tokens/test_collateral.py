"""What must be fetched for a token: its issuer's key set, unless it brings its certificates."""

import json

import pytest
from tests.platforms.tokens.made import KINDS, evidence

from troth.errors import Malformed
from troth.platforms import detect
from troth.platforms.tokens import collateral, inner, issuers
from troth.platforms.tokens.format import Document, parse
from troth.platforms.tokens.simulate import Service
from troth.wire.jose import to_url


@pytest.mark.parametrize("name", KINDS)
def test_key_sets_are_asked_for_once_and_where_they_lie(
    name: str, services: dict[str, Service]
) -> None:
    kind = KINDS[name]
    found = detect(evidence(kind, services[kind.service]))
    assert found is not None
    document = found[0].parse(found[1])
    assert isinstance(document, Document)
    asked = collateral.requests(document)
    assert len(asked) == (0 if kind.certified else 1)
    assert all(collateral.is_address(request.url) for request in asked)


def test_a_key_set_whose_keys_are_all_of_no_use() -> None:
    key = {"kty": "RSA", "kid": "1", "alg": "RS256", "e": "AQAB", "n": to_url(b"\xff" * 256)}
    assert collateral.usable(json.dumps({"keys": [key]}).encode())
    with pytest.raises(Malformed, match="has no key that could be used"):
        collateral.usable(json.dumps({"keys": [key | {"use": "enc"}]}).encode())


def test_a_bundle_is_nvidias_and_in_one_form(services: dict[str, Service]) -> None:
    found = detect(evidence(KINDS["nras"], services["nras"]))
    assert found is not None
    data = found[1]
    assert len(parse(issuers.NRAS, data).tokens) == 3
    with pytest.raises(Malformed, match="is no token"):
        parse(issuers.GCS, data)
    with pytest.raises(Malformed, match="is not in its shortest form"):
        parse(issuers.NRAS, data.replace(b",", b", ", 1))


@pytest.mark.parametrize(("version", "kind"), [(0, 2), (2, 2), (1, 1), (1, 3)])
def test_a_quote_in_a_certificate_has_open_enclaves_header(version: int, kind: int) -> None:
    def framed(version: int, kind: int) -> bytes:
        head = version.to_bytes(4, "little") + kind.to_bytes(4, "little")
        return head + (5).to_bytes(8, "little") + b"quote"

    assert inner._quote(framed(1, 2), "1") == b"quote"
    with pytest.raises(Malformed, match=f"header of version {version} and kind {kind}"):
        inner._quote(framed(version, kind), "1")


EUROPE = "https://portal.eu.trustauthority.intel.com"
TENANT = "https://tenant.weu.attest.azure.net"


@pytest.mark.parametrize(
    ("issuer", "iss", "wanted"),
    [
        (issuers.MAA, TENANT, f"{TENANT}/certs"),
        (issuers.ITA, EUROPE, f"{EUROPE}/certs"),
        (issuers.ITA, "Intel Trust Authority", issuers.ITA.key_set),
        (issuers.NRAS, EUROPE, issuers.NRAS.key_set),
        (issuers.GCS, "https://confidentialcomputing.googleapis.com", issuers.GCS.key_set),
    ],
)
def test_where_key_sets_lie(issuer: issuers.Issuer, iss: str, wanted: str) -> None:
    assert collateral.address(issuer, iss) == wanted
    assert collateral.is_address(wanted)
    for wrong in (f"{wanted}/", wanted[:-1], f"{wanted}?x", wanted.replace("https", "http"), iss):
        assert not collateral.is_address(wrong)


@pytest.mark.parametrize("url", ["", "/certs", "https://host/certs", issuers.MAA.key_set])
def test_elsewhere_lie_none(url: str) -> None:
    assert not collateral.is_address(url)
