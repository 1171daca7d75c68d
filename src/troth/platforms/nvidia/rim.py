"""What does a RIM document say, and is it signed? TCG's SWID tag in XML, with an enveloped XMLDSig.

Source: TCG Reference Integrity Manifest Information Model 1.01; W3C XML Signature 1.1. Signatures are
checked by the library signxml (on lxml), which come with `pip install troth[gpu]` and are imported when
a document is read. Before it sees one, everything is refused that NVIDIA's documents do not have: a
DTD, entities, comments, a second signature, references to other places, algorithms of another name.

Does not verify: the certificates in it. `signers` says whose they are.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from troth.errors import Malformed, Unavailable
from troth.platforms.nvidia.format import DIGEST
from troth.wire import x509
from troth.wire.text import from_hex
from troth.wire.x509 import Certificate

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

FIELD: Final = "RIM document"
MAX_BYTES: Final = 1024 * 1024
MAX_INDEX: Final = 255
# Alternatives and what stands beside them. To sort an element's attributes takes the square of their number.
_MAX_ATTRIBUTES: Final = MAX_INDEX + 45
GPU: Final = "GPU"
SWITCH: Final = "SWITCH"

_SWID: Final = "{http://standards.iso.org/iso/19770/-2/2015/schema.xsd}"
_HASH: Final = "{http://www.w3.org/2001/04/xmlenc#sha384}Hash"
_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_C14N: Final = "http://www.w3.org/2006/12/xml-c14n11"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more"
# Every element of the signature with its attributes, in the order of the document.
_SHAPE: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("Signature", {}),
    ("SignedInfo", {}),
    ("CanonicalizationMethod", {"Algorithm": _C14N}),
    ("SignatureMethod", {"Algorithm": f"{_MORE}#ecdsa-sha384"}),
    ("Reference", {"URI": ""}),
    ("Transforms", {}),
    ("Transform", {"Algorithm": "http://www.w3.org/2000/09/xmldsig#enveloped-signature"}),
    ("Transform", {"Algorithm": _C14N}),
    ("DigestMethod", {"Algorithm": f"{_MORE}#sha384"}),
    ("DigestValue", {}),
    ("SignatureValue", {}),
    ("KeyInfo", {}),
    ("X509Data", {}),
)
_DECLARATION: Final = re.compile(rb"<\?xml [^?<>]*\?>")
_CERTIFICATE: Final[tuple[str, dict[str, str]]] = ("X509Certificate", {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rim:
    """A RIM document, parsed; believed only where `trouble` is empty and its signers are trusted.

    Attributes:
        product: the chip, such as `GH100` or `LS10`.
        edition: `GPU` or `SWITCH`.
        version: of the driver or VBIOS that it is about, as reports write it.
        golden: index to the values that are good there, for the indices that are active.
        signers: certificates, leaf first.
        trouble: what is wrong with the signature over the document, in words; empty if nothing is.
    """

    product: str
    edition: str
    version: str
    golden: Mapping[int, frozenset[bytes]]
    signers: tuple[Certificate, ...]
    trouble: str


def looks_like(data: bytes) -> bool:
    """Whether this is a RIM document, good or bad; by its first bytes."""
    head = data[:1024].lstrip()
    return head.startswith(b"<") and b"SoftwareIdentity" in head


@lru_cache(maxsize=64)
def read(data: bytes) -> Rim:
    """Reads a document and checks the signature over it; a pure function, remembered for speed.

    Raises:
        Malformed: it is not in the form of NVIDIA's documents.
        Unavailable: the libraries that read XML are not installed.
    """
    root = _tree(data)
    parts = [child.tag for child in root]
    if root.tag != f"{_SWID}SoftwareIdentity" or parts != [
        f"{_SWID}Entity",
        f"{_SWID}Meta",
        f"{_SWID}Payload",
        f"{_DS}Signature",
    ]:
        raise Malformed("is no tag of one entity, meta, payload and signature", field=FIELD)
    signers = _signers(root)
    product, edition, version = _meta(root)
    golden = _golden(root)
    trouble, signed = _signature(data, signers[0])
    said = (product, edition, version, golden)
    if not trouble and (signed is None or (*_meta(signed), _golden(signed)) != said):
        trouble = "the signature is not over what the document says"
    return Rim(
        product=product,
        edition=edition,
        version=version,
        golden=golden,
        signers=signers,
        trouble=trouble,
    )


def _tree(data: bytes) -> "Element":
    try:
        from lxml import etree
    except ImportError:
        raise _missing() from None
    if len(data) > MAX_BYTES:
        raise Malformed(f"is larger than {MAX_BYTES} bytes", field=FIELD)
    if b"<!" in data:  # document types, entities, comments and CDATA
        raise Malformed("has a document type, an entity, a comment or CDATA", field=FIELD)
    declared = _DECLARATION.match(data)
    if b"\0" in data or b"<?" in data[declared.end() if declared else 0 :]:
        raise Malformed("is no UTF-8, or has a processing instruction", field=FIELD)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
    )
    try:
        data.decode("utf-8")
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, UnicodeDecodeError, ValueError) as error:
        raise Malformed(f"is no XML: {str(error)[:120]}", field=FIELD) from None
    if any(len(element.attrib) > _MAX_ATTRIBUTES for element in root.iter()):
        raise Malformed(f"has an element of over {_MAX_ATTRIBUTES} attributes", field=FIELD)
    return root


def _signers(root: "Element") -> tuple[Certificate, ...]:
    """The certificates of the one signature, whose every element must be as NVIDIA's."""
    signatures = list(root.iter(f"{_DS}Signature"))
    if len(signatures) != 1 or signatures[0] is not root[-1]:
        raise Malformed("has not one signature at its end", field=FIELD)
    found = list(root[-1].iter())
    shape = [(str(e.tag), {str(k): str(v) for k, v in e.attrib.items()}) for e in found]
    count = len(found) - len(_SHAPE)
    wanted = [(_DS + name, given) for name, given in (*_SHAPE, *[_CERTIFICATE] * count)]
    if not 1 <= count <= x509.MAX_CHAIN or shape != wanted:
        raise Malformed("has a signature of another form than NVIDIA's", field=FIELD)
    return tuple(x509.read(_base64(element.text)) for element in found[len(_SHAPE) :])


def _base64(text: str | None) -> bytes:
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("is no base64", field=f"{FIELD}: certificate") from None


def _meta(root: "Element") -> tuple[str, str, str]:
    meta = root.find(f"{_SWID}Meta")
    if meta is None:
        raise Malformed("has no Meta", field=FIELD)
    product, edition, version = (
        str(meta.get(name, "")) for name in ("product", "edition", "colloquialVersion")
    )
    if not product or edition not in (GPU, SWITCH) or not version:
        raise Malformed("does not say which product and version it is about", field=FIELD)
    return product, edition, version


def _golden(root: "Element") -> Mapping[int, frozenset[bytes]]:
    payload = root.find(f"{_SWID}Payload")
    found: dict[int, frozenset[bytes]] = {}
    seen = set()
    for resource in () if payload is None else payload:
        index, active, values = _resource(resource)
        if index in seen:
            raise Malformed(f"has the index {index} twice", field=FIELD)
        seen.add(index)
        if active:
            found[index] = values
    return MappingProxyType(found)


def _resource(resource: "Element") -> tuple[int, bool, frozenset[bytes]]:
    if resource.tag != f"{_SWID}Resource" or resource.get("type") != "Measurement":
        raise Malformed("has something else than measurements", field=FIELD)
    index = _number(resource.get("index"), MAX_INDEX)
    field = f"{FIELD}: index {index}"
    active = {"True": True, "False": False}.get(str(resource.get("active")))
    count = _number(resource.get("alternatives"), MAX_INDEX)
    if active is None or resource.get("size") != str(DIGEST):
        raise Malformed("is neither active nor not, or of another size", field=field)
    values = dict(_alternatives(resource, field))
    if set(values) != {f"{_HASH}{place}" for place in range(count)}:
        raise Malformed("has another number of alternatives than it says", field=field)
    return index, active, frozenset(values.values())


def _alternatives(resource: "Element", field: str) -> Iterator[tuple[str, bytes]]:
    for name, text in resource.attrib.items():
        if str(name).startswith(_HASH):
            value = from_hex(str(text), field=field)
            if len(value) != DIGEST:
                raise Malformed("has a value of another size", field=field)
            yield str(name), value


def _number(text: object, limit: int) -> int:
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 3:
        number = int(text)
        if number <= limit:
            return number
    raise Malformed(f"has no number up to {limit} where one should be", field=FIELD)


def _signature(data: bytes, leaf: Certificate) -> "tuple[str, Element | None]":
    """What is wrong with the signature, and what it is over."""
    try:
        from lxml import etree
        from signxml import exceptions
        from signxml.algorithms import DigestAlgorithm, SignatureMethod
        from signxml.verifier import SignatureConfiguration, XMLVerifier
    except ImportError:
        raise _missing() from None
    from cryptography import x509 as library
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        certificate = library.load_der_x509_certificate(leaf.der)
        found = XMLVerifier().verify(
            data,
            x509_cert=certificate,
            expect_config=SignatureConfiguration(
                location="./",
                expect_references=1,
                signature_methods=frozenset({SignatureMethod.ECDSA_SHA384}),
                digest_algorithms=frozenset({DigestAlgorithm.SHA384}),
                # Its dates are judged where the instant is known; here they must not matter.
                verification_time=leaf.not_before,
            ),
        )
    except exceptions.InvalidDigest:
        return "its digest is not the document's", None
    except exceptions.InvalidSignature:
        return "its signature does not verify", None
    except (
        *(exceptions.SignXMLException, etree.LxmlError, UnsupportedAlgorithm),
        *(ValueError, TypeError, AssertionError),
    ) as error:
        return f"its signature cannot be read ({type(error).__name__})", None
    if isinstance(found, list):
        return "it has several references", None
    return "", found.signed_xml


def _missing() -> Unavailable:
    return Unavailable(
        "RIM documents are XML, and the libraries signxml and lxml are not installed",
        fix="pip install 'troth[gpu]'",
    )
