"""What is asked for a quote: values, at the vendor's own servers, for the platform that its certificate names."""

from urllib.parse import parse_qs, urlsplit

import pytest
from tests.platforms.dcap.made import KINDS, PKI, good

from troth.errors import Malformed, Misuse
from troth.model.collateral import Kind
from troth.platforms.dcap import fields, quote
from troth.platforms.dcap.quote import Tee
from troth.platforms.dcap.requests import evaluation_numbers, for_quote
from troth.platforms.dcap.simulate import QuoteKind

HOSTS = {"api.trustedservices.intel.com", "certificates.trustedservices.intel.com"}
NEEDED = {Kind.INTEL_TCB_INFO, Kind.INTEL_QE_IDENTITY, Kind.INTEL_PCK_CRL, Kind.INTEL_ROOT_CRL}
FMSPC = bytes.fromhex("00a06d080000")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("processor", [False, True])
def test_everything_that_a_verdict_needs(kind: QuoteKind, *, processor: bool) -> None:
    machine = PKI.new_machine(fmspc=FMSPC, processor=processor)
    found = for_quote(quote.parse(good(kind, machine=machine).data))
    assert {request.kind for request in found} == NEEDED
    assert len(found) == len(NEEDED)
    by_kind = {request.kind: urlsplit(request.url) for request in found}
    for url in by_kind.values():
        assert url.scheme == "https"
        assert url.hostname in HOSTS
    tee = "tdx" if kind.tdx else "sgx"
    info = by_kind[Kind.INTEL_TCB_INFO]
    assert info.path == f"/{tee}/certification/v4/tcb"
    assert parse_qs(info.query)["fmspc"] == [FMSPC.hex()]
    assert by_kind[Kind.INTEL_QE_IDENTITY].path == f"/{tee}/certification/v4/qe/identity"
    crl = parse_qs(by_kind[Kind.INTEL_PCK_CRL].query)
    assert crl == {"ca": ["processor" if processor else "platform"], "encoding": ["der"]}
    assert not any(request.early for request in found)


@pytest.mark.parametrize("kind", KINDS)
def test_early_documents_are_asked_for_beside_the_others(kind: QuoteKind) -> None:
    parsed = quote.parse(good(kind).data)
    found = for_quote(parsed, early=True)
    assert {r.kind for r in found if r.early} == {Kind.INTEL_TCB_INFO, Kind.INTEL_QE_IDENTITY}
    assert {r for r in found if not r.early} == set(for_quote(parsed))
    for request in found:
        assert ("update=early" in request.url) is request.early
        assert bool(request.chain_header) is (request.kind is not Kind.INTEL_ROOT_CRL)


@pytest.mark.parametrize("certification", [1, 2, 3, 7])
def test_a_quote_that_names_no_platform(certification: int) -> None:
    data = good(certification=certification).data
    with pytest.raises(Misuse, match="no PCK certificate"):
        for_quote(quote.parse(data))


def test_a_certificate_that_names_no_platform() -> None:
    data = good(chain=(PKI.root.pem, PKI.root.pem, PKI.root.pem)).data
    with pytest.raises(Malformed):
        for_quote(quote.parse(data))


def test_each_tee_has_numbers_of_its_own() -> None:
    assert "/sgx/certification/v4/tcbevaluationdatanumbers" in evaluation_numbers(Tee.SGX).url
    assert "/tdx/certification/v4/tcbevaluationdatanumbers" in evaluation_numbers(Tee.TDX).url


def test_a_platform_shows_its_instance_and_a_processor_has_none() -> None:
    """Beside the requests, what `inspect` says of the certificate that they come from."""
    platform, processor = good(), good(machine=PKI.new_machine(processor=True))
    for case, there in ((platform, True), (processor, False)):
        found = quote.parse(case.data)
        assert ("pck.platform_instance" in dict(fields.signature(found))) is there
