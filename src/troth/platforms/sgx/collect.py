"""Asks for a quote of this enclave, where the Gramine library OS gives it pseudo-files for that.

Source: Gramine, «Attestation and Secret Provisioning», `/dev/attestation`.

Does not verify what comes: that is for whoever asked.
"""

import threading
from typing import Final

from troth.errors import Malformed, Unavailable
from troth.platforms import _guest
from troth.platforms.dcap.quote import MAX_QUOTE
from troth.platforms.sgx import format  # noqa: A004

FOLDER: Final = "/dev/attestation"
_MAX_TEXT: Final = 64
# What is written for one quote must not be there when another is read.
_ONE_AT_A_TIME: Final = threading.Lock()


def collect(report_data: bytes, *, folder: str = FOLDER) -> bytes:
    """A quote over 64 bytes.

    Args:
        report_data: the 64 bytes.
        folder: where Gramine's pseudo-files are.

    Raises:
        Misuse: not 64 bytes.
        Unavailable: this is no enclave under Gramine, or it was not built to be attested.
        Malformed: what came is no quote of an enclave, or is over other data.
    """
    data = _guest.chosen(report_data)
    try:
        with _ONE_AT_A_TIME:
            given = _asked(folder, data)
    except OSError as error:
        raise Unavailable(
            f"{folder} gave no quote: {error.strerror}",
            fix="run this inside an enclave under Gramine, with its quoting service (AESM) at hand",
        ) from error
    bare = format.unwrap(given)
    if bare is None:
        raise Malformed("is none of an enclave", field="quote", offset=0)
    if format.parse(bare[0]).report.reportdata != data:
        raise Malformed("is not what was asked for", field="reportdata")
    return bare[0]


def _asked(folder: str, data: bytes) -> bytes:
    kind = _guest.read(f"{folder}/attestation_type", _MAX_TEXT).decode("ascii", "replace").strip()
    if kind != "dcap":
        raise Unavailable(
            f"this enclave is built with attestation of type {kind!r}, should be 'dcap'",
            fix='put sgx.remote_attestation = "dcap" into its manifest and sign it again',
        )
    _guest.write(f"{folder}/user_report_data", data)
    return _guest.read(f"{folder}/quote", MAX_QUOTE)
