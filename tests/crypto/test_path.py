"""Certificate paths, step by step: what `problems` finds is exactly what is wrong."""

import warnings
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.platforms.nitro.forge import DEPTH, LEAF, NOW, Spec, chain, specs

from troth.crypto import path
from troth.errors import Malformed
from troth.wire import der

VERSION_3 = bytes.fromhex("a003020102")


def read(wanted: list[Spec]) -> list[path.Certificate]:
    return [path.read(data) for data in chain(wanted)[0]]


def test_the_right_path_has_no_problems() -> None:
    good = read(specs())
    assert path.problems(good) == []
    assert path.not_valid(good, NOW) == []


def test_each_problem_is_named_with_its_certificate() -> None:
    wanted = specs()
    wanted[1] = replace(wanted[1], path_length=1)
    wanted[2] = replace(wanted[2], curve=ec.SECP256R1())
    wanted[3] = replace(wanted[3], ca=None, sign_certificates=None)
    wanted[LEAF] = replace(wanted[LEAF], issuer="somebody", critical=True)
    assert path.problems(read(wanted)) == [
        "CN=region: 2 authorities follow, 1 may",
        "CN=zonal: its key is not on P-384",
        "CN=instance: is not a certificate authority",
        "CN=instance: may not sign certificates",
        "CN=instance: its issuer has no P-384 key",
        "CN=leaf: unknown critical 1.3.6.1.4.1.99999.1",
        "CN=leaf: its issuer's name is not the next subject",
    ]


def test_the_order_counts() -> None:
    good = read(specs())
    for i in range(DEPTH - 1):
        swapped = [*good]
        swapped[i], swapped[i + 1] = swapped[i + 1], swapped[i]
        assert path.problems(swapped), i
    for i in range(1, LEAF):
        assert path.problems([*good[:i], *good[i + 1 :]]), i


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
        usable = isinstance(spec.curve, ec.SECP384R1) and not spec.critical
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
    assert (path.problems(read(wanted)) == []) == is_right(wanted)


def sequence(content: bytes) -> bytes:
    size = len(content)
    head = b"\x30\x81" + bytes([size]) if size < 256 else b"\x30\x82" + size.to_bytes(2, "big")
    return head + content


def test_a_certificate_of_version_three_only() -> None:
    whole = chain(specs())[0][1]
    for version in (0, 1, 3):
        with pytest.raises(Malformed):
            path.read(whole.replace(VERSION_3, VERSION_3[:-1] + bytes([version]), 1))
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
        path.read(sequence(sequence(b"".join(parts[1:-1])) + signature))


def test_one_certificate_and_nothing_else() -> None:
    good = chain(specs())[0][1]
    for data in (b"", good + b"\0", good[:-1], b"\x30\x80" + good[4:] + b"\0\0"):
        with pytest.raises(Malformed):
            path.read(data)


@settings(max_examples=300)
@given(index=st.integers(0, LEAF), at=st.integers(0, 8 * 380))
def test_a_hostile_certificate_is_malformed_or_reads_whole(index: int, at: int) -> None:
    """The library reads fields late: none of what is used later may raise then."""
    changed = bytearray(chain(specs())[0][index])
    changed[at // 8 % len(changed)] ^= 1 << at % 8
    try:
        certificate = path.read(bytes(changed))
    except Malformed:
        return
    good = read(specs())
    assert certificate.subject
    path.not_valid([certificate], NOW)
    if bytes(changed) != good[index].der:
        problems = path.problems([*good[:index], certificate, *good[index + 1 :]])
        assert problems or index == 0  # the root is named by its digest, not by its own signature


def test_warnings_that_are_errors_here_are_no_crash() -> None:
    """`PYTHONWARNINGS=error` must not change how hostile evidence ends."""
    good = chain(specs())[0][1]
    serial = VERSION_3 + b"\x02\x01"
    assert serial + b"\x02" in good
    negative = good.replace(serial + b"\x02", serial + b"\x82", 1)
    path.forget()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Malformed):
            path.read(negative)
    with pytest.warns(UserWarning, match="serial number"):
        assert path.problems([path.read(good), path.read(negative)])


def test_validity_is_told_for_each_certificate() -> None:
    good = read(specs())
    early, late = NOW - timedelta(days=1), NOW + timedelta(days=1)
    assert [line.split(":")[0] for line in path.not_valid(good, early)] == [
        f"CN={spec.name}" for spec in specs()
    ]
    assert all("not before 2026-11-23 02:10:00Z" in line for line in path.not_valid(good, early))
    assert all("ended 2026-11-23 06:10:00Z" in line for line in path.not_valid(good, late))


def test_what_is_remembered_can_be_forgotten() -> None:
    path.problems(read(specs()))
    assert path.read.cache_info().currsize
    path.forget()
    assert path.read.cache_info().currsize == 0
    assert path._link.cache_info().currsize == 0
