"""RIM documents: what XML and XML signatures can be abused for, and forms that NVIDIA does not write."""

import base64
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nvidia.made import START, file

from troth.errors import Malformed, Unavailable
from troth.platforms.nvidia import rim
from troth.platforms.nvidia.simulate import measured
from troth.platforms.nvidia.simulate import rim as made
from troth.platforms.nvidia.simulate_pki import DevelopmentPki, issue, subject
from troth.wire.x509 import MAX_CHAIN

pytestmark = pytest.mark.usefixtures("xml")
GOLDEN = {index: (measured("hopper", index), bytes(48)) for index in (3, 7, 63)}


@pytest.fixture(scope="module")
def good(pki: DevelopmentPki) -> bytes:
    return made(pki, "GH100", "1.2.3", GOLDEN)


def replaced(data: bytes, old: str, new: str, count: int = 1) -> bytes:
    assert data.count(old.encode()) >= 1, old
    return data.replace(old.encode(), new.encode(), count)


def test_what_a_document_says(good: bytes, pki: DevelopmentPki) -> None:
    found = rim.read(good)
    assert (found.product, found.edition, found.version) == ("GH100", "GPU", "1.2.3")
    assert found.golden == {index: frozenset(values) for index, values in GOLDEN.items()}
    assert found.trouble == ""
    wanted = [*(m.der for m in pki.rim_signers["GH100"]), pki.rim_root.der]
    assert [c.der for c in found.signers] == wanted
    assert rim.looks_like(good)


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ('<!DOCTYPE r [<!ENTITY e "x">]>', "document type"),
        ('<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">', "document type"),
        ('<!DOCTYPE r [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>', "document type"),
        ("<!-- a comment -->", "comment"),
        ("<?php x?>", "processing instruction"),
        ('<?xml-stylesheet href="http://127.0.0.1:9/x"?>', "processing instruction"),
    ],
)
def test_what_stands_before_the_document(good: bytes, prefix: str, words: str) -> None:
    for data in (prefix.encode() + good, b'<?xml version="1.0"?>' + prefix.encode() + good):
        with pytest.raises(Malformed, match=words):
            rim.read(data)


def test_entities_that_grow_and_files_that_are_read(good: bytes) -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(12))
    for dtd, use in (
        (levels, "&l11;"),
        ('<!ENTITY f SYSTEM "file:///etc/hostname">', "&f;"),
        ('<!ENTITY f SYSTEM "http://127.0.0.1:9/">', "&f;"),
    ):
        data = f"<!DOCTYPE r [{dtd}]>".encode() + replaced(good, 'name="GH100"', f'name="{use}"')
        with pytest.raises(Malformed, match="document type"):
            rim.read(data)


def test_comments_and_cdata_inside(good: bytes) -> None:
    for inside in ("<!-- x -->", "<![CDATA[x]]>", "<?x y?>"):
        with pytest.raises(Malformed):
            rim.read(replaced(good, "</Payload>", f"{inside}</Payload>"))


def test_other_encodings(good: bytes) -> None:
    text = good.decode()
    for data in (
        text.encode("utf-16"),
        ('<?xml version="1.0" encoding="utf-16"?>' + text).encode("utf-16"),
        ('<?xml version="1.0" encoding="iso-8859-1"?>' + text.replace("GH100", "é")).encode(
            "latin-1"
        ),
        good.replace(b"GH100", b"\xff"),
        good[:50] + b"\0" + good[50:],
    ):
        with pytest.raises(Malformed):
            rim.read(data)


# Signature wrapping: what is signed is there, and something else would be read.


def signature(data: bytes) -> bytes:
    match = re.search(rb"<ds:Signature .*</ds:Signature>", data, re.DOTALL)
    assert match is not None
    return match[0]


def test_two_signatures(good: bytes) -> None:
    once = signature(good)
    one_more = "has not one signature at its end"
    for data, words in (
        (good.replace(once, once + once), "one entity, meta, payload and signature"),
        (good.replace(b"<Payload>", b"<Payload>" + once), one_more),
        (good.replace(b"</Payload>", once + b"</Payload>"), one_more),
    ):
        with pytest.raises(Malformed, match=words):
            rim.read(data)


def test_the_signed_document_wrapped_into_another(good: bytes, pki: DevelopmentPki) -> None:
    other = made(pki, "GH100", "6.6.6", GOLDEN)
    evil = other.replace(signature(other), b"")
    for data in (
        evil.replace(b"</SoftwareIdentity>", good + b"</SoftwareIdentity>"),
        evil.replace(b"</SoftwareIdentity>", signature(good) + b"</SoftwareIdentity>"),
        evil.replace(b"</Payload>", good + b"</Payload>"),
        evil.replace(
            b"</SoftwareIdentity>",
            signature(good).replace(
                b"</ds:Signature>", b"<ds:Object>" + good + b"</ds:Object></ds:Signature>"
            )
            + b"</SoftwareIdentity>",
        ),
    ):
        try:
            assert rim.read(data).trouble
        except Malformed:
            continue


def test_a_reference_to_a_part_of_the_document(good: bytes) -> None:
    marked = replaced(good, "<Entity ", '<Entity Id="x" ')
    for data in (
        replaced(good, 'URI=""', 'URI="#x"'),
        replaced(marked, 'URI=""', 'URI="#x"'),
        replaced(good, 'URI=""', 'URI="http://127.0.0.1:9/x"'),
        replaced(good, 'URI=""', 'URI="file:///etc/passwd"'),
        replaced(good, ' URI=""', ""),
    ):
        with pytest.raises(Malformed, match="another form"):
            rim.read(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("xmldsig-more#ecdsa-sha384", "xmldsig-more#ecdsa-sha1"),
        ("xmldsig-more#ecdsa-sha384", "xmldsig-more#hmac-sha384"),
        ("xmldsig-more#ecdsa-sha384", "xmldsig-more#rsa-sha384"),
        ('xmldsig-more#sha384"', 'xmldsig-more#sha224"'),
        ("http://www.w3.org/2006/12/xml-c14n11", "http://www.w3.org/2001/10/xml-exc-c14n#"),
        ("2000/09/xmldsig#enveloped-signature", "TR/1999/REC-xslt-19991116"),
        ("2000/09/xmldsig#enveloped-signature", "TR/1999/REC-xpath-19991116"),
        ("<ds:KeyInfo>", "<ds:KeyInfo><ds:KeyName>x</ds:KeyName>"),
        ("<ds:KeyInfo>", "<ds:KeyInfo><ds:KeyValue/>"),
        ("<ds:X509Data>", '<ds:X509Data Id="x">'),
        ("<ds:SignedInfo>", '<ds:SignedInfo Id="x">'),
        ("</ds:SignedInfo>", "<ds:Reference/></ds:SignedInfo>"),
    ],
)
def test_a_signature_of_another_form(good: bytes, old: str, new: str) -> None:
    with pytest.raises(Malformed, match="another form"):
        rim.read(replaced(good, old, new))


def test_whatever_is_changed_the_digest_tells(good: bytes) -> None:
    value = measured("hopper", 7).hex()
    for old, new in (
        (value, value[:-1] + ("0" if value[-1] != "0" else "1")),
        ('colloquialVersion="1.2.3"', 'colloquialVersion="1.2.4"'),
        ('role="tagCreator"', 'role="softwareCreator"'),
        ('active="False"', 'active="True"'),
        ("<Payload>", "<Payload> "),
    ):
        assert "digest" in rim.read(replaced(good, old, new)).trouble


def test_a_signature_of_another_key(good: bytes, pki: DevelopmentPki) -> None:
    other = DevelopmentPki.create(START)
    leaf = base64.encodebytes(pki.rim_signers["GH100"][0].der)
    stranger = base64.encodebytes(other.rim_signers["GH100"][0].der)
    texts = re.findall(rb"<ds:X509Certificate>([^<]+)<", good)
    assert base64.b64decode(texts[0]) == base64.b64decode(leaf)
    assert "does not verify" in rim.read(good.replace(texts[0], stranger)).trouble
    # White space in base64 has no meaning, and is not signed.
    assert rim.read(good.replace(texts[0], b"\n " + texts[0] + b"\n")).trouble == ""


@pytest.mark.parametrize("text", ["", "!", "AAA", "AAAA", " "])
def test_signature_values_that_are_none(good: bytes, text: str) -> None:
    for name in ("SignatureValue", "DigestValue"):
        old = re.findall(f"<ds:{name}>([^<]+)<".encode(), good)[0]
        assert rim.read(good.replace(old, text.encode())).trouble


def test_a_signer_that_has_no_p384_key(pki: DevelopmentPki, good: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    middle = pki.rim_signers["GH100"][1]
    small = issue(
        subject("small"), middle, (START, START), [], key=ec.generate_private_key(ec.SECP256R1())
    )
    first = re.findall(rb"<ds:X509Certificate>([^<]+)<", good)[0]
    assert rim.read(good.replace(first, base64.b64encode(small.der))).trouble


@pytest.mark.parametrize("text", ["", "!", "AAAA", "MIIB"])
def test_certificates_that_are_none(good: bytes, text: str) -> None:
    first = re.findall(rb"<ds:X509Certificate>([^<]+)<", good)[0]
    with pytest.raises(Malformed):
        rim.read(good.replace(first, text.encode()))
    one = rb"<ds:X509Certificate>[^<]+</ds:X509Certificate>"
    alone, certificates = re.sub(one, b"", good), re.findall(one, good)
    with pytest.raises(Malformed, match="another form"):
        rim.read(alone)
    for count in (1, MAX_CHAIN):
        data = alone.replace(b"</ds:X509Data>", certificates[0] * count + b"</ds:X509Data>")
        assert len(rim.read(data).signers) == count
    data = alone.replace(b"</ds:X509Data>", certificates[0] * (count + 1) + b"</ds:X509Data>")
    with pytest.raises(Malformed, match="another form"):
        rim.read(data)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('index="63"', 'index="62"', "index 62 twice"),
        ('index="63"', 'index="256"', "no number up to 255"),
        ('index="63"', 'index="-1"', "no number"),
        ('index="63"', 'index="٣"', "no number"),
        ('index="63"', "", "no number"),
        ('active="False"', 'active="false"', "neither active nor not"),
        ('active="False"', "", "neither active nor not"),
        ('size="48"', 'size="32"', "of another size"),
        ('alternatives="2"', 'alternatives="1"', "another number of alternatives"),
        ('alternatives="2"', 'alternatives="3"', "another number of alternatives"),
        ("Hash1=", "Hash2=", "another number of alternatives"),
        (f'Hash1="{"00" * 48}"', 'Hash1="00"', "another size"),
        (f'Hash1="{"00" * 48}"', f'Hash1="{"zz" * 48}"', "not hexadecimal"),
        ('type="Measurement"', 'type="Opaque"', "something else than measurements"),
        ("<Payload>", "<Payload><Directory/>", "something else than measurements"),
        ('edition="GPU"', 'edition="CPU"', "which product"),
        ('product="GH100"', "", "which product"),
        ('colloquialVersion="1.2.3"', 'colloquialVersion=""', "which product"),
        ("<Meta ", "<Meta/><Meta ", "one entity, meta, payload"),
        ("<Payload>", "<Payload/><Payload>", "one entity, meta, payload"),
    ],
)
def test_contents_of_another_form(good: bytes, old: str, new: str, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        rim.read(replaced(good, old, new))


def test_another_root_element(good: bytes) -> None:
    for data in (
        good.replace(b"SoftwareIdentity", b"SoftwareIdentities"),
        good.replace(b"iso/19770/-2/2015", b"iso/19770/-2/2009"),
        b"<SoftwareIdentity/>",
        b"<x>" * 100_000,
        b"",
        b"{}",
    ):
        with pytest.raises(Malformed):
            rim.read(data)


def test_too_large(good: bytes) -> None:
    with pytest.raises(Malformed, match="larger than"):
        rim.read(good + b" " * (1 << 20))


def test_every_truncation(vectors: Path) -> None:
    data = file(vectors, "rim-switch-5612-0002-890-9610550001.xml").rstrip()
    for size in range(0, len(data), 97):
        with pytest.raises(Malformed):
            rim.read(data[:size])


def test_without_the_libraries(good: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lxml", "signxml"):
        rim.read.cache_clear()
        with monkeypatch.context() as without:
            without.setitem(sys.modules, name, None)
            with pytest.raises(Unavailable, match="not installed") as raised:
                rim.read(good)
        assert "troth[gpu]" in raised.value.fix


@given(st.binary(max_size=300))
def test_junk(data: bytes) -> None:
    for start in (b"", b"<SoftwareIdentity>"):
        with pytest.raises(Malformed):
            rim.read(start + data)
