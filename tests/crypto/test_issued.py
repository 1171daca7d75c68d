"""Links from a pinned root to a leaf: every rule broken alone, and each is said."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.crypto.asking import spki

from troth.crypto import issued, keys, signature
from troth.wire import x509

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=10)
ONLY = frozenset({keys.ECDSA_SHA256})
UNKNOWN = library.ObjectIdentifier("1.3.6.1.4.1.99999.1")


@dataclass(frozen=True)
class Made:
    key: Any
    certificate: library.Certificate

    @property
    def read(self) -> x509.Certificate:
        return issued.read(self.certificate.public_bytes(Encoding.DER))


def issue(
    name: str,
    above: Made | None = None,
    *,
    ca: bool | None = True,
    path_length: int | None = None,
    critical: bool = True,
    signs_certificates: bool | None = True,
    signs_data: bool = False,
    curve: ec.EllipticCurve | None = None,
    key: Any = None,
    digest: Any = None,
    issuer: str | None = None,
    signer: Any = None,
    unknown: bool | None = None,
    begin: datetime = BEGIN,
    end: datetime = END,
) -> Made:
    key = key or ec.generate_private_key(curve or ec.SECP256R1())
    above_name = above.certificate.subject if above else _name(name)
    builder = (
        library.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer) if issuer else above_name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    if ca is not None:
        limits = library.BasicConstraints(ca=ca, path_length=path_length if ca else None)
        builder = builder.add_extension(limits, critical=critical)
    if signs_certificates is not None:
        builder = builder.add_extension(
            library.KeyUsage(
                digital_signature=signs_data,
                content_commitment=not signs_data and not signs_certificates,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=signs_certificates,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    if unknown is not None:
        extension = library.UnrecognizedExtension(UNKNOWN, b"\5\0")
        builder = builder.add_extension(extension, critical=unknown)
    by = signer or (above.key if above else key)
    return Made(key, builder.sign(by, digest or hashes.SHA256()))


def _name(common: str) -> library.Name:
    return library.Name([library.NameAttribute(NameOID.COMMON_NAME, common)])


def leaf(above: Made, **changes: Any) -> Made:
    says = {"ca": False, "signs_certificates": False, "signs_data": True} | changes
    return issue("leaf", above, **says)


ROOT = issue("root")
MIDDLE = issue("middle", ROOT, path_length=0)
LEAF = leaf(MIDDLE)


def problems(*path: Made, **more: Any) -> list[str]:
    return issued.problems(
        [one.read for one in path], algorithms=more.pop("algorithms", ONLY), **more
    )


def test_a_right_path_has_no_problem() -> None:
    assert problems(ROOT, MIDDLE, LEAF) == []
    assert problems(ROOT, leaf(ROOT)) == []
    assert problems(ROOT, MIDDLE, leaf(MIDDLE, unknown=False)) == []


OTHER = ec.generate_private_key(ec.SECP256R1())
WRONG = {
    "nobody signed it": (lambda: (ROOT, MIDDLE, leaf(MIDDLE, signer=OTHER)), "does not verify"),
    "another root": (lambda: (issue("root"), MIDDLE, LEAF), "does not verify"),
    "another name above": (
        lambda: (ROOT, MIDDLE, leaf(MIDDLE, issuer="other")),
        "issuer's name is not the next subject",
    ),
    "a middle that is none": (
        lambda: _below(issue("middle", ROOT, ca=False, signs_certificates=True)),
        "not a certificate authority",
    ),
    "a middle that says nothing": (
        lambda: _below(issue("middle", ROOT, ca=None)),
        "not a certificate authority",
    ),
    "an authority, not critical": (
        lambda: _below(issue("middle", ROOT, critical=False)),
        "not a certificate authority",
    ),
    "a middle that may not sign certificates": (
        lambda: _below(issue("middle", ROOT, signs_certificates=False)),
        "may not sign certificates",
    ),
    "a middle without key usage": (
        lambda: _below(issue("middle", ROOT, signs_certificates=None)),
        "may not sign certificates",
    ),
    "a root that is none": (
        lambda: _from(issue("root", ca=False, signs_certificates=True)),
        "not a certificate authority",
    ),
    "a root that may not sign certificates": (
        lambda: _from(issue("root", signs_certificates=False)),
        "may not sign certificates",
    ),
    "a path too long for the root": (lambda: _from(issue("root", path_length=0)), "1 authorities"),
    "a leaf that is an authority": (
        lambda: (ROOT, MIDDLE, leaf(MIDDLE, ca=True)),
        "must say that it is no authority",
    ),
    "a leaf that does not say it is none": (
        lambda: (ROOT, MIDDLE, leaf(MIDDLE, ca=None)),
        "must say that it is no authority",
    ),
    "a leaf that may not sign data": (
        lambda: (ROOT, MIDDLE, leaf(MIDDLE, signs_data=False)),
        "may not sign data",
    ),
    "a leaf without key usage": (
        lambda: (ROOT, MIDDLE, leaf(MIDDLE, signs_certificates=None)),
        "may not sign data",
    ),
    "an unknown critical extension": (
        lambda: (ROOT, MIDDLE, leaf(MIDDLE, unknown=True)),
        "unknown critical extension",
    ),
    "an unknown critical extension of the root": (
        lambda: _from(issue("root", unknown=True)),
        "unknown critical extension",
    ),
    "another algorithm": (
        lambda: (ROOT, MIDDLE, leaf(MIDDLE, digest=hashes.SHA384())),
        "another algorithm",
    ),
    "a key on another curve": (
        lambda: _from(issue("root", curve=ec.SECP384R1())),
        "no P-256 key",
    ),
    "a root alone": (lambda: (ROOT,), "needs a root and a leaf"),
}


def _below(middle: Made) -> tuple[Made, ...]:
    return ROOT, middle, leaf(middle)


def _from(root: Made) -> tuple[Made, ...]:
    middle = issue("middle", root, path_length=0)
    return root, middle, leaf(middle)


@pytest.mark.parametrize("name", WRONG)
def test_each_rule_alone(name: str) -> None:
    make, said = WRONG[name]
    found = problems(*make())
    assert any(said in problem for problem in found), found
    if name != "a key on another curve":
        assert len(found) == (2 if name == "another algorithm" else 1), found


def test_everything_is_said_and_of_whom() -> None:
    middle = issue("middle", ROOT, ca=False, signs_certificates=False, signs_data=True)
    found = problems(ROOT, middle, leaf(middle, unknown=True, signs_data=False))
    assert [problem.partition(": ")[0] for problem in found] == ["middle"] * 2 + ["leaf"] * 2


def test_a_bare_leaf() -> None:
    """AMD's have neither constraints nor usage; one that has them is held to them."""
    bare = leaf(MIDDLE, ca=None, signs_certificates=None, unknown=False)
    assert problems(ROOT, MIDDLE, bare, leaf=issued.Leaf.BARE) == []
    assert len(problems(ROOT, MIDDLE, bare)) == 2
    assert problems(ROOT, MIDDLE, leaf(MIDDLE, ca=True), leaf=issued.Leaf.BARE)
    assert problems(ROOT, MIDDLE, leaf(MIDDLE, signs_data=False), leaf=issued.Leaf.BARE)
    assert problems(ROOT, MIDDLE, LEAF, leaf=issued.Leaf.BARE) == []


@pytest.mark.parametrize(
    ("rule", "without_constraints", "without_usage"),
    [
        (issued.Leaf.WHOLE, False, False),
        (issued.Leaf.USAGE, True, False),
        (issued.Leaf.BARE, False, False),
        (issued.Leaf.ANY, True, True),
    ],
)
def test_what_a_leaf_may_leave_unsaid(
    rule: issued.Leaf, *, without_constraints: bool, without_usage: bool
) -> None:
    def right(**changes: Any) -> bool:
        return problems(ROOT, MIDDLE, leaf(MIDDLE, **changes), leaf=rule) == []

    assert right()
    assert right(ca=None) is without_constraints
    assert right(signs_certificates=None) is without_usage
    for wrong in ({"ca": True}, {"signs_data": False}, {"unknown": True}):
        assert not right(**wrong)


def test_a_critical_extension_that_a_leaf_may_have() -> None:
    known = frozenset({bytes.fromhex("2b06010401868d1f01")})
    assert known == leaf(MIDDLE, unknown=True).read.critical - LEAF.read.critical
    assert problems(ROOT, MIDDLE, leaf(MIDDLE, unknown=True), known=known) == []
    middle = issue("middle", ROOT, unknown=True)
    assert problems(ROOT, middle, leaf(middle), known=known) != []


def test_a_root_of_the_pinned_key_that_somebody_else_wrote() -> None:
    """It is the pinned certificate, or has signed itself: else its dates are anybody's."""
    pinned = issued.sha256(ROOT.read)
    again = issue("root", key=ROOT.key, end=END + timedelta(days=1))
    forged = issue("root", key=ROOT.key, signer=OTHER, end=END + timedelta(days=1))
    for root, right in ((ROOT, True), (again, True), (forged, False)):
        assert (problems(root, MIDDLE, LEAF, pinned=pinned) == []) is right
        assert problems(root, MIDDLE, LEAF) == []
    (said,) = problems(forged, MIDDLE, LEAF, pinned=pinned)
    assert said == "root: is not the one that is pinned, and has not signed itself"


def test_both_ends_of_a_validity_belong_to_it() -> None:
    path = [ROOT.read, MIDDLE.read, LEAF.read]
    second = timedelta(seconds=1)
    for at in (BEGIN, END, BEGIN + second):
        assert issued.not_valid(path, at) == []
    assert len(issued.not_valid(path, BEGIN - second)) == 3
    assert len(issued.not_valid(path, END + second)) == 3
    short = leaf(MIDDLE, end=BEGIN + second).read
    (said,) = issued.not_valid([ROOT.read, MIDDLE.read, short], END)
    assert said.startswith("leaf: ended 2026-01-01 00:00:01Z")
    late = leaf(MIDDLE, begin=END - second).read
    (said,) = issued.not_valid([late], BEGIN)
    assert said.startswith("leaf: not before ")


def test_titles_and_keys() -> None:
    assert issued.title(LEAF.read) == "leaf"
    assert issued.key_sha256(ROOT.read) != issued.key_sha256(MIDDLE.read)
    again = issue("root", key=ROOT.key, begin=BEGIN + timedelta(days=1))
    assert issued.key_sha256(again.read) == issued.key_sha256(ROOT.read)
    assert problems(again, MIDDLE, LEAF) == []


def test_what_is_remembered_can_be_forgotten() -> None:
    assert problems(ROOT, MIDDLE, LEAF) == []
    issued.forget()
    assert problems(ROOT, MIDDLE, LEAF) == []


def test_keys_of_other_kinds() -> None:
    for key, good in (
        (ec.generate_private_key(ec.SECP384R1()), True),
        (ec.generate_private_key(ec.SECP521R1()), False),
        (ec.generate_private_key(ec.SECP256K1()), False),
        (rsa.generate_private_key(65537, 2048), True),
        (rsa.generate_private_key(65537, 1024), False),  # noqa: S505 - too small is the point
        (rsa.generate_private_key(65537, 2056), False),
    ):
        certificate = issue("root", key=key).read
        assert (keys.load(certificate.key) is not None) is good
    assert keys.load(b"") is None
    assert keys.load(b"\x30\0") is None


def test_raw_signatures() -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    point = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    r, s = decode_dss_signature(key.sign(b"text", ec.ECDSA(hashes.SHA256())))
    signed = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    public = keys.p256(point)
    assert public == spki(key)
    assert signature.ecdsa_p256_raw(public, signed, b"text") == ""
    assert signature.ecdsa_p256_raw(public, signed, b"texts") == "the signature does not verify"
    for wrong in (b"", signed[:-1], signed + b"\0", bytes(64), b"\xff" * 64):
        assert signature.ecdsa_p256_raw(public, wrong, b"text")
    for none in (b"", keys.p256(bytes(64)), keys.p256(point[:-1]), keys.p256(point + b"\0")):
        assert keys.load(none) is None
        assert signature.ecdsa_p256_raw(none, signed, b"text") == "the key is not on P-256"
    other = ec.generate_private_key(ec.SECP384R1())
    assert signature.ecdsa_p256_raw(spki(other), signed, b"text") == "the key is not on P-256"


def test_signatures_of_certificates_by_their_algorithm() -> None:
    small = ec.generate_private_key(ec.SECP256R1())
    large = ec.generate_private_key(ec.SECP384R1())
    ends = {
        keys.ECDSA_SHA256: (small, small.sign(b"a", ec.ECDSA(hashes.SHA256()))),
        keys.ECDSA_SHA384: (large, large.sign(b"a", ec.ECDSA(hashes.SHA384()))),
    }
    for algorithm, (key, made) in ends.items():
        assert signature.verify(spki(key), algorithm, made, b"a") == ""
        assert signature.verify(spki(key), algorithm, made, b"b")
        assert signature.verify(b"", algorithm, made, b"a")
        for another in {*ends, keys.PSS_SHA384, keys.PSS_SHA384_SHORT, b"\x30\0"} - {algorithm}:
            assert signature.verify(spki(key), another, made, b"a")
    with_rsa = rsa.generate_private_key(65537, 4096)
    salt = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)
    made = with_rsa.sign(b"a", salt, hashes.SHA384())
    for algorithm in (keys.PSS_SHA384, keys.PSS_SHA384_SHORT):
        assert signature.verify(spki(with_rsa), algorithm, made, b"a") == ""
        assert signature.verify(spki(with_rsa), algorithm, made, b"b")
        assert signature.verify(spki(small), algorithm, made, b"a")
    short = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=20)
    assert signature.verify(
        spki(with_rsa), keys.PSS_SHA384, with_rsa.sign(b"a", short, hashes.SHA384()), b"a"
    )
    smaller = rsa.generate_private_key(65537, 3072)
    assert signature.verify(
        spki(smaller), keys.PSS_SHA384, smaller.sign(b"a", salt, hashes.SHA384()), b"a"
    )


def test_signatures_with_pkcs1() -> None:
    key = rsa.generate_private_key(65537, 2048)
    ends = {
        keys.RSA_SHA256: hashes.SHA256(),
        keys.RSA_SHA384: hashes.SHA384(),
        keys.RSA_SHA512: hashes.SHA512(),
    }
    for algorithm, digest in ends.items():
        made = key.sign(b"a", padding.PKCS1v15(), digest)
        assert signature.verify(spki(key), algorithm, made, b"a") == ""
        assert signature.verify(spki(key), algorithm, made, b"b")
        for another in {*ends, keys.PSS_SHA384, keys.ECDSA_SHA256} - {algorithm}:
            assert signature.verify(spki(key), another, made, b"a")
        small = ec.generate_private_key(ec.SECP256R1())
        assert signature.verify(spki(small), algorithm, made, b"a")
        assert signature.verify(b"", algorithm, made, b"a")
