"""A quote's fields for people: name, value, meaning, in the order of the bytes."""

from collections.abc import Iterable, Iterator

from troth.platforms.dcap.quote import Quote
from troth.platforms.dcap.report import EnclaveReport

_TYPES = {
    1: "the platform's id in clear; the PCK chain must be supplied",
    2: "the platform's id, encrypted with RSA-2048; the PCK chain must be supplied",
    3: "the platform's id, encrypted with RSA-3072; the PCK chain must be supplied",
    4: "the PCK certificate alone",
    5: "PCK certificate, its authority and the root",
    7: "a platform manifest; the PCK chain must be supplied",
}


def header(quote: Quote) -> Iterable[tuple[str, str]]:
    """Header and body's kind."""
    signed = quote.signed
    yield "version", f"{quote.version}"
    yield "attestation_key_type", "2  ECDSA on P-256"
    yield "tee_type", f"{quote.tee:#x}  {quote.tee.name}"
    yield "qe_svn", f"{int.from_bytes(signed[8:10], 'little')}  version 3 only; informational"
    yield "pce_svn", f"{int.from_bytes(signed[10:12], 'little')}  version 3 only; informational"
    yield "qe_vendor_id", f"{signed[12:28].hex()}  Intel"
    yield "user_data", f"{quote.user_data.hex()}  the first 16 bytes name the quoting enclave"
    yield "body_type", f"{quote.kind:d}  {quote.kind.name}, {len(quote.body)} bytes"


def enclave(report: EnclaveReport, prefix: str) -> Iterable[tuple[str, str]]:
    """An SGX report body."""
    yield f"{prefix}.cpusvn", f"{report.cpu_svn.hex()}  security version of the processor"
    yield f"{prefix}.miscselect", f"{report.miscselect.hex()}  extended state that may be saved"
    yield f"{prefix}.isvextprodid", f"{report.isvextprodid.hex()}  extended product id (KSS)"
    yield f"{prefix}.attributes", f"{report.attributes.hex()}  {', '.join(_flags(report.flags))}"
    yield f"{prefix}.mrenclave", f"{report.mrenclave.hex()}  measurement of the enclave"
    yield f"{prefix}.mrsigner", f"{report.mrsigner.hex()}  who signed the enclave"
    yield f"{prefix}.configid", f"{report.configid.hex()}  configuration (KSS)"
    yield f"{prefix}.isvprodid", f"{report.isvprodid}  product, by its signer"
    yield f"{prefix}.isvsvn", f"{report.isvsvn}  security version, by its signer"
    yield f"{prefix}.configsvn", f"{report.configsvn}  version of the configuration (KSS)"
    yield f"{prefix}.isvfamilyid", f"{report.isvfamilyid.hex()}  product family (KSS)"
    yield f"{prefix}.reportdata", f"{report.reportdata.hex()}  64 bytes that the enclave chose"


def signature(quote: Quote) -> Iterable[tuple[str, str]]:
    """What stands behind the body."""
    yield "signature", f"{quote.signature.hex()}  r and s over header and body"
    yield "attestation_key", f"{quote.attestation_key.hex()}  x and y"
    yield from enclave(quote.qe, "qe_report")
    yield "qe_signature", f"{quote.qe_signature.hex()}  r and s over the QE report, by the PCK key"
    yield "qe_auth", f"{quote.qe_auth.hex()}  bound together with the attestation key"
    kind = quote.certification
    yield "certification_type", f"{kind}  {_TYPES[kind]}"
    if quote.numbers is not None:
        yield "certification.ppid", quote.numbers.ppid.hex()
        yield "certification.cpusvn", quote.numbers.cpu_svn.hex()
        yield "certification.pcesvn", str(quote.numbers.pce_svn)
        yield "certification.pceid", quote.numbers.pce_id.hex()
    for index, der in enumerate(quote.pck_chain):
        yield f"certificate[{index}]", der.hex()
    yield from _named(quote)


def _named(quote: Quote) -> Iterable[tuple[str, str]]:
    """The SGX extension of the quote's own PCK certificate."""
    from troth.crypto import issued
    from troth.errors import Malformed
    from troth.platforms.dcap import pck

    if not quote.pck_chain:
        return
    try:
        found = pck.read(issued.read(quote.pck_chain[0]))
    except Malformed as error:
        yield "pck", f"cannot be read: {error}"
        return
    yield "pck.ppid", f"{found.ppid.hex()}  names the platform"
    yield "pck.fmspc", f"{found.fmspc.hex()}  family, model, stepping, platform type"
    yield "pck.pceid", found.pce_id.hex()
    yield "pck.components", f"{', '.join(map(str, found.components))}  security versions 1 to 16"
    yield "pck.pcesvn", str(found.pce_svn)
    yield "pck.sgx_type", f"{found.sgx_type}  {_SGX_TYPES[found.sgx_type]}"
    if found.platform_instance is not None:
        yield "pck.platform_instance", found.platform_instance.hex()
        yield "pck.dynamic_platform", f"{found.dynamic_platform}  packages may be added later"
        yield "pck.cached_keys", f"{found.cached_keys}  Intel keeps the platform's root keys"
        yield "pck.smt", f"{found.smt}  hyperthreading is on"


_SGX_TYPES = ("standard", "scalable", "scalable with integrity")
_FLAGS = {
    0x01: "INIT",
    0x02: "DEBUG",
    0x04: "MODE64BIT",
    0x10: "PROVISIONKEY",
    0x20: "EINITTOKENKEY",
    0x40: "CET",
    0x80: "KSS",
    0x400: "AEXNOTIFY",
}


def _flags(value: int) -> Iterator[str]:
    for bit, name in _FLAGS.items():
        if value & bit:
            yield name
