"""What must be fetched for a token: its issuer's key set, unless it brings its certificates."""

import pytest
from tests.platforms.tokens.made import KINDS, evidence

from troth.platforms import detect
from troth.platforms.tokens import collateral
from troth.platforms.tokens.format import Document
from troth.platforms.tokens.simulate import Service


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
