"""What does a quote of an SGX enclave say? No crypto, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass

from troth.platforms.dcap import fields as words
from troth.platforms.dcap import quote, report
from troth.platforms.dcap.quote import Quote, Tee
from troth.platforms.dcap.report import EnclaveReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A quote of an SGX enclave, parsed and not believed."""

    quote: Quote
    report: EnclaveReport


def unwrap(data: bytes) -> tuple[bytes, str] | None:
    """The bare quote, or None if this is none of an SGX enclave."""
    return quote.unwrap(data, Tee.SGX)


def parse(data: bytes) -> Document:
    """Reads a quote of version 3, or of version 4 or 5 with an SGX body.

    Raises:
        Malformed: see `dcap.quote.parse`; or it is a TD's.
    """
    found = quote.parse(data)
    if found.tee is not Tee.SGX:
        raise quote.wrong_tee(found)
    return Document(quote=found, report=report.read(found.body))


def fields(data: bytes) -> Iterable[tuple[str, str]]:
    """Every field with its value and meaning, for people."""
    document = parse(data)
    yield from words.header(document.quote)
    yield from words.enclave(document.report, "report")
    yield from words.signature(document.quote)
