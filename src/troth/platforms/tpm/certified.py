"""What does the certificate of an attestation key say beside the key? Azure's and Google's forms.

Sources: TCG EK Credential Profile 2.5 (purposes); Google's instance identity extension
(1.3.6.1.4.1.11129.2.1.21); Azure's policy identifiers for virtual TPMs, as real certificates have them.

Does not verify: anything; a certificate's word counts once its chain ends at a root.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.wire import x509
from troth.wire.der import INTEGER, SEQUENCE, span
from troth.wire.x509 import Certificate

EXTENDED_USAGE: Final = bytes.fromhex("551d25")
ALTERNATIVE_NAME: Final = bytes.fromhex("551d11")
POLICIES: Final = bytes.fromhex("551d20")
INSTANCE: Final = bytes.fromhex("2b06010401d679020115")
AIK_PURPOSE: Final = bytes.fromhex("06056781050803")
EK_PURPOSE: Final = bytes.fromhex("06056781050801")
_AZURE_POLICIES: Final = bytes.fromhex("060b2b060104018237" + "6c8148")  # and one byte more
_UTF8: Final = 0x0C
_BOOLEAN: Final = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Google's instance identity: which virtual machine the key belongs to.

    Attributes:
        zone, project, name: as text.
        project_number, instance_id: numbers.
        security_version: of the virtual TPM's host.
        production: whether that host is one of production.
    """

    zone: str
    project_number: int
    project: str
    instance_id: int
    name: str
    security_version: int
    production: bool


def instance(certificate: Certificate) -> Instance | None:
    """Google's instance identity, or None where the certificate has none.

    SEQUENCE {zone UTF8String, project number INTEGER, project UTF8String, instance id INTEGER, name
    UTF8String, [0] SEQUENCE {[0] security version INTEGER, [1] production BOOLEAN, …}}.

    Raises:
        Malformed: it has one that is not of this form; what follows in the inner sequence is not read.
    """
    found = certificate.extensions.get(INSTANCE)
    if found is None:
        return None
    data, field = found, "instance identity"
    at, end = span(data, 0, len(data), field, SEQUENCE)
    zone, at = _text(data, at, end, "zone")
    number, at = _number(data, at, end, "project number")
    project, at = _text(data, at, end, "project")
    id_, at = _number(data, at, end, "instance id")
    name, at = _text(data, at, end, "instance name")
    tagged, last = span(data, at, end, "security properties", 0xA0)
    inner, inner_end = span(data, tagged, last, "security properties", SEQUENCE)
    if {end, last, inner_end} != {len(data)}:
        raise Malformed("is not one sequence of six members", field=field)
    held, inner = span(data, inner, inner_end, "security version", 0xA0)
    version, _ = _number(data, held, inner, "security version")
    held, inner = span(data, inner, inner_end, "production", 0xA1)
    flag, flag_end = span(data, held, inner, "production", _BOOLEAN)
    if data[flag:flag_end] not in (b"\0", b"\xff") or flag_end != inner:
        raise Malformed("is no BOOLEAN in DER", field="production", offset=flag)
    return Instance(
        zone=zone,
        project_number=number,
        project=project,
        instance_id=id_,
        name=name,
        security_version=version,
        production=data[flag] == 0xFF,
    )


def is_azures(certificate: Certificate) -> bool:
    """Whether it has the form of Azure's: one of its policies, and the purpose of attestation keys."""
    return certifies_ak(certificate) and any(
        oid.startswith(_AZURE_POLICIES) for oid in _policies(certificate)
    )


def certifies_ak(certificate: Certificate) -> bool:
    """Whether one of its purposes is to certify an attestation key (tcg-kp-AIKCertificate)."""
    return AIK_PURPOSE in _purposes(certificate)


def other_purpose(certificate: Certificate) -> str:
    """What it is for if not for a TPM's key, in words; empty where it says nothing, or the right thing.

    Google's older certificates of attestation keys have the purpose of endorsement keys.
    """
    purposes = _purposes(certificate)
    if EXTENDED_USAGE not in certificate.extensions or {AIK_PURPOSE, EK_PURPOSE} & set(purposes):
        return ""
    return "is for another purpose than a TPM's keys"


def _purposes(certificate: Certificate) -> list[bytes]:
    """The purposes as encoded OIDs; none where they cannot be read."""
    try:
        return list(_members(_value(certificate, EXTENDED_USAGE), 0x06))
    except Malformed:
        return []


def _policies(certificate: Certificate) -> list[bytes]:
    """The policies as encoded OIDs; none where they cannot be read."""
    try:
        found = list(_members(_value(certificate, POLICIES), SEQUENCE))
        return [one[: span(one, 2, len(one), "policy", 0x06)[1]][2:] for one in found]
    except Malformed:
        return []


def _members(value: bytes, tag: int) -> Iterator[bytes]:
    at, end = span(value, 0, len(value), "sequence", SEQUENCE)
    while at < end:
        begin = at
        _, at = span(value, at, end, "member", tag)
        yield value[begin:at]


def _value(certificate: Certificate, oid: bytes) -> bytes:
    return certificate.extensions.get(oid, b"")


def _text(data: bytes, at: int, end: int, field: str) -> tuple[str, int]:
    begin, at = span(data, at, end, field, _UTF8)
    try:
        return data[begin:at].decode("utf-8"), at
    except UnicodeDecodeError:
        raise Malformed("is not UTF-8", field=field, offset=begin) from None


def _number(data: bytes, at: int, end: int, field: str) -> tuple[int, int]:
    begin, at = span(data, at, end, field, INTEGER)
    return x509.unsigned(data[begin:at], field, offset=begin), at
