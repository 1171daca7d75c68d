"""What the tests of real evidence share: the manifests' rows, certificates at hand, and outcomes."""

import base64
import csv
import re
from datetime import UTC, datetime
from pathlib import Path

from troth.model.check import Outcome
from troth.model.collateral import Collateral, Item, Kind
from troth.model.platform import Genuineness
from troth.model.roots import Root
from troth.platforms.tpm import PLATFORM
from troth.platforms.tpm import format as quotes

AT = datetime(2026, 1, 1, tzinfo=UTC)
# The signature, the registers, one key; what is open is who vouches for it.
SOUND = {"G105", "G201", "G601", "G603"}
OPEN = {"G101", "G102", "G103", "G602", "R103", "R201"}


def manifest(vectors: Path, folder: str) -> dict[str, dict[str, str]]:
    with (vectors / folder / "MANIFEST.tsv").open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file, delimiter="\t")}


def ders(text: bytes) -> list[bytes]:
    """Certificates out of PEM with anything around it, as the NV memory had them."""
    found = re.findall(
        rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", text, re.DOTALL
    )
    return [base64.b64decode(body) for body in found]


def pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def authorities_at_hand(vectors: Path) -> Collateral:
    files = sorted((vectors / "tpm" / "ca").iterdir())
    files += sorted((vectors / "azure").glob("tpm-*.pem"))
    found = []
    for file in files:
        data = file.read_bytes()
        found += ders(data) or [data]
    found.append(ders((vectors / "tpm" / "gce-ak-certs.txt").read_bytes())[1])
    items = (Item(kind=Kind.TPM_CHAIN, data=pem(der), source="a row") for der in found)
    return Collateral(items=tuple(items))


def judged(
    data: bytes, held: Collateral, *roots: Root, at: datetime = AT
) -> tuple[Genuineness, quotes.Document]:
    document = PLATFORM.parse(data)
    return PLATFORM.genuine(document, (*PLATFORM.roots(), *roots), held, at), document


def outcomes(genuine: Genuineness, outcome: Outcome) -> set[str]:
    return {check.code.id for check in genuine.checks if check.outcome is outcome}
