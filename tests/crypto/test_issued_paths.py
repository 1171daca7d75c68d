"""Certificate paths of five, as Nitro has them: what `problems` finds is exactly what is wrong."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.platforms.nitro.forge import DEPTH, LEAF, NOW, Spec, chain, specs

from troth.crypto import issued, keys
from troth.errors import Malformed
from troth.wire import der
from troth.wire.x509 import Certificate

VERSION_3 = bytes.fromhex("a003020102")


def read(wanted: list[Spec]) -> list[Certificate]:
    return [issued.read(data) for data in chain(wanted)[0]]


def problems(found: list[Certificate]) -> list[str]:
    return issued.problems(found, algorithms=frozenset({keys.ECDSA_SHA384}))


def test_the_right_path_has_no_problems() -> None:
    good = read(specs())
    assert problems(good) == []
    assert issued.not_valid(good, NOW) == []


def test_each_problem_is_named_with_its_certificate() -> None:
    wanted = specs()
    wanted[1] = replace(wanted[1], path_length=1)
    wanted[2] = replace(wanted[2], curve=ec.SECP256R1())
    wanted[3] = replace(wanted[3], ca=None, sign_certificates=False)
    wanted[LEAF] = replace(wanted[LEAF], issuer="somebody", critical=True)
    assert problems(read(wanted)) == [
        "region: 2 authorities follow, 1 may",
        "instance: is not a certificate authority",
        "instance: may not sign certificates",
        "instance: its issuer has no P-384 key",
        "leaf: unknown critical extension 2b06010401868d1f01",
        "leaf: its issuer's name is not the next subject",
    ]


def test_the_order_counts() -> None:
    good = read(specs())
    for i in range(DEPTH - 1):
        swapped = [*good]
        swapped[i], swapped[i + 1] = swapped[i + 1], swapped[i]
        assert problems(swapped), i
    for i in range(1, LEAF):
        assert problems([*good[:i], *good[i + 1 :]]), i


# Mostly right, so that paths with one wrong place, or none, come up often.
def mostly(right: object, *wrong: object) -> st.SearchStrategy[object]:
    return st.sampled_from([right] * 24 + list(wrong))


@st.composite
def paths(draw: st.DrawFn) -> list[Spec]:
    drawn = []
    for i, right in enumerate(specs()):
        leaf = i == LEAF
        changes = {
            "ca": draw(mostly(not leaf, leaf, None)),
            "path_length": draw(mostly(right.path_length, None, 0, 1, 2, 3)),
            "sign_certificates": draw(mostly(not leaf, leaf, None)),
            "digital_signature": draw(mostly(leaf, not leaf)),
            "curve": draw(mostly(ec.SECP384R1(), ec.SECP256R1())),
            "digest": draw(mostly(hashes.SHA384(), hashes.SHA256(), hashes.SHA512())),
            "issuer": draw(mostly(None, "somebody")),
            "critical": draw(mostly(False, True)),
            "constraints_critical": draw(mostly(True, False)),
        }
        drawn.append(replace(right, **changes))
    return drawn


def is_right(wanted: list[Spec]) -> bool:
    """RFC 5280 section 6.1 for this profile, said another way than the code says it."""
    for i, spec in enumerate(wanted):
        # The leaf's own key signs no certificate; the evidence's signature asks for its curve.
        usable = (i == LEAF or isinstance(spec.curve, ec.SECP384R1)) and not spec.critical
        linked = i == 0 or (spec.issuer is None and isinstance(spec.digest, hashes.SHA384))
        if i == LEAF:
            role = spec.ca is False and spec.sign_certificates is not None
            role = role and spec.digital_signature
        else:
            role = spec.ca is True and spec.constraints_critical
            role = role and spec.sign_certificates is True
            role = role and (spec.path_length is None or spec.path_length >= LEAF - 1 - i)
        if not (usable and linked and role):
            return False
    return True


@settings(max_examples=150)
@given(wanted=paths())
def test_any_path(wanted: list[Spec]) -> None:
    try:
        wrong = problems(read(wanted))
    except Malformed as error:  # nothing of this profile is without extensions
        wrong = [str(error)]
    assert (wrong == []) == is_right(wanted)


def sequence(content: bytes) -> bytes:
    size = len(content)
    head = b"\x30\x81" + bytes([size]) if size < 256 else b"\x30\x82" + size.to_bytes(2, "big")
    return head + content


def test_a_certificate_of_version_three_only() -> None:
    whole = chain(specs())[0][1]
    for version in (0, 1, 3):
        with pytest.raises(Malformed):
            issued.read(whole.replace(VERSION_3, VERSION_3[:-1] + bytes([version]), 1))
    # Version 1 is where version and extensions are absent.
    signed_at = der.only(whole, "certificate", tag=der.SEQUENCE)
    at, signed_ends = der.element(whole, signed_at, "signed")
    parts = []
    while at < signed_ends:
        begin, (_, at) = at, der.element(whole, at, "part")
        parts.append(whole[begin:at])
    assert parts[0] == VERSION_3
    assert parts[-1][0] == 0xA3
    signature = whole[signed_ends:]
    with pytest.raises(Malformed, match="is not version 3"):
        issued.read(sequence(sequence(b"".join(parts[1:-1])) + signature))


def test_one_certificate_and_nothing_else() -> None:
    good = chain(specs())[0][1]
    for data in (b"", good + b"\0", good[:-1], b"\x30\x80" + good[4:] + b"\0\0"):
        with pytest.raises(Malformed):
            issued.read(data)


@settings(max_examples=300)
@given(index=st.integers(0, LEAF), at=st.integers(0, 8 * 380))
def test_a_hostile_certificate_is_malformed_or_reads_whole(index: int, at: int) -> None:
    """The library reads fields late: none of what is used later may raise then."""
    changed = bytearray(chain(specs())[0][index])
    changed[at // 8 % len(changed)] ^= 1 << at % 8
    try:
        certificate = issued.read(bytes(changed))
    except Malformed:
        return
    good = read(specs())
    assert issued.title(certificate)
    issued.not_valid([certificate], NOW)
    if bytes(changed) != good[index].der:
        wrong = problems([*good[:index], certificate, *good[index + 1 :]])
        assert wrong or index == 0  # the root is named by its digest, not by its own signature


def test_validity_is_told_for_each_certificate() -> None:
    good = read(specs())
    early, late = NOW - timedelta(days=1), NOW + timedelta(days=1)
    assert [line.split(":")[0] for line in issued.not_valid(good, early)] == [
        spec.name for spec in specs()
    ]
    assert all("not before 2026-11-23 02:10:00Z" in line for line in issued.not_valid(good, early))
    assert all("ended 2026-11-23 06:10:00Z" in line for line in issued.not_valid(good, late))


def test_what_is_remembered_can_be_forgotten() -> None:
    problems(read(specs()))
    assert issued.read.cache_info().currsize
    assert issued._links
    issued.forget()
    assert issued.read.cache_info().currsize == 0
    assert not issued._links


def test_a_path_needs_two_certificates() -> None:
    root = read(specs())[0]
    assert problems([]) == problems([root]) == ["the path needs a root and a leaf"]


def test_a_link_needs_a_key_of_the_profile_above_it() -> None:
    wanted = specs()
    wanted[2] = replace(wanted[2], curve=ec.SECP256R1())
    certificates, _ = chain(wanted)
    assert issued.link(certificates[3], certificates[2]) == ("its issuer has no P-384 key",)
    assert issued.link(certificates[2], certificates[1]) == ()
