"""What an SGX quote says in the common words: every field in its place, and what makes an identity."""

from tests.platforms.dcap.made import NONCE, PKI, accepted, good, pinned, refused

from troth.platforms.dcap.simulate import QuoteKind
from troth.platforms.sgx import PLATFORM

FIELDS = {
    "mrenclave": b"\1" * 32,
    "mrsigner": b"\2" * 32,
    "isvprodid": b"\3\4",
    "isvsvn": b"\5\6",
    "configsvn": b"\7\x08",
    "miscselect": b"\x09\0\0\0",
    "attributes": (0x400000005).to_bytes(8, "little") + (0xE7).to_bytes(8, "little"),
}
CONFIGID = bytes(range(64))


def test_every_field_is_in_its_place() -> None:
    data = good(QuoteKind.SGX_3, fields=FIELDS | {"configid": CONFIGID}).data
    claims = PLATFORM.claims(PLATFORM.parse(data))
    assert claims.registers == {
        "mrenclave": "01" * 32,
        "mrsigner": "02" * 32,
        "configid": CONFIGID.hex(),
        "isvextprodid": "00" * 16,
        "isvfamilyid": "00" * 16,
    }
    numbers = dict(claims.numbers)
    assert (
        numbers
        | {
            "isvprodid": 0x0403,
            "isvsvn": 0x0605,
            "configsvn": 0x0807,
            "miscselect": 9,
            "attributes": 0x400000005,
            "xfrm": 0xE7,
            "sgx_type": 1,
        }
        == numbers
    )
    assert claims.user_data == NONCE
    assert claims.instance == PKI.machine.ppid.hex()
    assert not claims.debug
    assert claims.timestamp is None
    assert claims.nonce is None


def test_a_configuration_belongs_to_the_identity() -> None:
    """An enclave with KSS loads what CONFIGID names, so a policy that leaves it open is undecided."""
    plain, configured = good(QuoteKind.SGX_3), good(QuoteKind.SGX_3, fields={"configid": CONFIGID})
    claims = [PLATFORM.claims(PLATFORM.parse(case.data)) for case in (plain, configured)]
    assert [c.identity for c in claims] == [("mrenclave",), ("mrenclave", "configid")]
    assert [c.alternative for c in claims] == [("mrsigner",), ("mrsigner", "configid")]
    refused(configured, undecided={"M203"}, policy=pinned(plain.data))
    accepted(configured)


def test_a_quote_without_a_certificate_names_no_machine() -> None:
    for certification in (1, 2, 3, 7):
        data = good(QuoteKind.SGX_3, certification=certification).data
        claims = PLATFORM.claims(PLATFORM.parse(data))
        assert claims.instance == ""
        assert "sgx_type" not in claims.numbers
