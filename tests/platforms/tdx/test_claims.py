"""What a TDX quote says in the common words: every field in its place, and what makes an identity."""

import pytest
from tests.platforms.dcap.made import NONCE, accepted, good, pinned, refused

from troth.platforms.dcap.simulate import QuoteKind
from troth.platforms.tdx import PLATFORM

KINDS = pytest.mark.parametrize("kind", [kind for kind in QuoteKind if kind.tdx])
REGISTERS = (
    *("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"),
    *("mrconfigid", "mrowner", "mrownerconfig", "mrseam"),
)
ALWAYS = ("mrtd", "rtmr0", "rtmr1", "rtmr2")


@KINDS
def test_every_field_is_in_its_place(kind: QuoteKind) -> None:
    values = {name: bytes((index + 1,)) * 48 for index, name in enumerate(REGISTERS)}
    late = kind in (QuoteKind.TDX_5_15, QuoteKind.TDX_5_15EX)
    if late:
        values["mrservicetd"] = b"\x77" * 48
    flags = (1 << 63 | 1 << 28).to_bytes(8, "little")
    fields = values | {"td_attributes": flags, "xfam": (0x6DBE7).to_bytes(8, "little")}
    data = good(kind, fields=fields).data
    claims = PLATFORM.claims(PLATFORM.parse(data))
    for name, value in values.items():
        assert claims.registers[name] == value.hex(), name
    assert claims.registers["mrsignerseam"] == "00" * 48
    assert ("mrservicetd" in claims.registers) is late
    assert claims.numbers["td_attributes"] == 1 << 63 | 1 << 28
    assert claims.numbers["xfam"] == 0x6DBE7
    assert claims.numbers["seam_attributes"] == 0
    assert claims.user_data == NONCE
    assert not claims.debug
    assert set(claims.identity) == values.keys() - {"mrseam"}


@KINDS
@pytest.mark.parametrize("name", ["rtmr3", "mrconfigid", "mrowner", "mrownerconfig"])
def test_what_is_set_belongs_to_the_identity(kind: QuoteKind, name: str) -> None:
    """A register that is zero says nothing; one that is set must be named, or the answer is open."""
    plain, more = good(kind), good(kind, fields={name: b"\7" * 48})
    claims = [PLATFORM.claims(PLATFORM.parse(case.data)) for case in (plain, more)]
    assert claims[0].identity == ALWAYS
    assert claims[1].identity == (*ALWAYS, name)
    refused(more, undecided={"M203"}, policy=pinned(plain.data))
    accepted(more)
    refused(plain, "M201", policy=pinned(more.data))


@KINDS
@pytest.mark.parametrize("name", ALWAYS)
def test_what_runs_is_compared(kind: QuoteKind, name: str) -> None:
    refused(good(kind, fields={name: b"\7" * 48}), "M201", policy=pinned(good(kind).data))


@KINDS
def test_xfam_and_versions_of_the_module_can_be_asked_for(kind: QuoteKind) -> None:
    case = good(kind)
    accepted(case, pinned(case.data, exact={"module_major": 1}, minimum={"module_minor": 5}))
    refused(case, "P202", policy=pinned(case.data, minimum={"module_minor": 6}))
