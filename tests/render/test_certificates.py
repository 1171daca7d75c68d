"""A certificate of somebody's evidence is shown or refused; no DER of his ends the command."""

from datetime import UTC, datetime

import pytest
from tests.platforms.nitro.forge import Spec, chain

from troth.errors import Malformed
from troth.render.certificates import describe

LATE = datetime(2060, 1, 2, 3, 4, 5, tzinfo=UTC)  # written with four digits of the year (RFC 5280)


def _certificate() -> bytes:
    made, _ = chain([Spec("root", end=LATE)])
    return made[0]


def test_what_it_says() -> None:
    row = describe(_certificate())
    assert (row.subject, row.issuer, row.key) == ("CN=root", "CN=root", "EC secp384r1")
    assert row.not_after == LATE


def test_a_year_that_no_calendar_has() -> None:
    changed = _certificate().replace(b"20600102030405Z", b"00000102030405Z")
    assert changed != _certificate()
    with pytest.raises(Malformed, match="certificate"):
        describe(changed)
