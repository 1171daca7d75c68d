"""Which of Intel's documents does a quote need, and at which addresses are they? Values; nothing is sent.

Source: Intel, «API Portal for SGX and TDX Services», Provisioning Certification Service, version 4.
"""

from typing import Final

from troth.crypto import issued
from troth.errors import Misuse
from troth.model.collateral import Kind, Request
from troth.platforms.dcap import pck
from troth.platforms.dcap.quote import Quote, Tee
from troth.wire import x509

PCS: Final = "https://api.trustedservices.intel.com"
ROOT_CRL: Final = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
_PROCESSOR: Final = "Intel SGX PCK Processor CA"


def for_quote(quote: Quote, *, early: bool = False) -> tuple[Request, ...]:
    """Everything that the verdict on a quote needs and the quote does not bring.

    Args:
        quote: parsed; its certificate says which platform it is of, and is not believed.
        early: ask for TCB Info and QE identity of the next evaluation number as well.

    Raises:
        Misuse: the quote carries no PCK certificate, so nothing says which platform it is of.
        Malformed: it carries one that cannot be read.
    """
    if not quote.pck_chain:
        raise Misuse(
            "the quote carries no PCK certificate, so nothing says which platform it is of",
            fix="get the platform's PCK chain from its operator, and pass it with --collateral",
        )
    leaf = issued.read(quote.pck_chain[0])
    fmspc = pck.read(leaf).fmspc.hex()
    authority = "processor" if x509.common_name(leaf.issuer) == _PROCESSOR else "platform"
    tee = "sgx" if quote.tee is Tee.SGX else "tdx"
    documents = [_documents(tee, fmspc, early=False)]
    if early:
        documents.append(_documents(tee, fmspc, early=True))
    return (
        *(request for pair in documents for request in pair),
        Request(
            url=f"{PCS}/sgx/certification/v4/pckcrl?ca={authority}&encoding=der",
            kind=Kind.INTEL_PCK_CRL,
            chain_header="SGX-PCK-CRL-Issuer-Chain",
            accept="application/pkix-crl",
        ),
        Request(url=ROOT_CRL, kind=Kind.INTEL_ROOT_CRL, accept="application/pkix-crl"),
    )


def _documents(tee: str, fmspc: str, *, early: bool) -> tuple[Request, Request]:
    update = "update=early" if early else "update=standard"
    base = f"{PCS}/{tee}/certification/v4"
    return (
        Request(
            url=f"{base}/tcb?fmspc={fmspc}&{update}",
            kind=Kind.INTEL_TCB_INFO,
            chain_header="TCB-Info-Issuer-Chain",
            early=early,
            accept="application/json",
        ),
        Request(
            url=f"{base}/qe/identity?{update}",
            kind=Kind.INTEL_QE_IDENTITY,
            chain_header="SGX-Enclave-Identity-Issuer-Chain",
            early=early,
            accept="application/json",
        ),
    )


def evaluation_numbers(tee: Tee) -> Request:
    """The document that lists the evaluation numbers Intel serves, with their days."""
    name = "sgx" if tee is Tee.SGX else "tdx"
    return Request(
        url=f"{PCS}/{name}/certification/v4/tcbevaluationdatanumbers",
        kind=Kind.INTEL_EVALUATION_NUMBERS,
        chain_header="TCB-Evaluation-Data-Numbers-Issuer-Chain",
        accept="application/json",
    )
