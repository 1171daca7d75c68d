"""Attacks on policies that name who signed an enclave: another product of the same signer."""

import pytest
from tests.platforms.dcap.made import Case, accepted, good, refused

import troth
from troth.platforms.dcap.simulate import QuoteKind
from troth.platforms.sgx import PLATFORM
from troth.policy.requirements import Requirements

KINDS = pytest.mark.parametrize("kind", [QuoteKind.SGX_3, QuoteKind.SGX_5])


def by_signer(case: Case, *more: str, product: int = 7) -> troth.Policy:
    """The policy that names this enclave by its signer and product, and by these registers."""
    claims = PLATFORM.claims(PLATFORM.parse(case.data))
    pinned = {name: frozenset({claims.registers[name]}) for name in ("mrsigner", *more)}
    asked = Requirements(exact={"isvprodid": product}, minimum={"isvsvn": 3})
    return troth.Policy(name="by signer", registers={"sgx": pinned}, requirements={"sgx": asked})


@KINDS
@pytest.mark.parametrize("register", ["isvextprodid", "isvfamilyid"])
def test_another_product_that_only_its_extended_name_tells_apart(
    kind: QuoteKind, register: str
) -> None:
    mine, other = good(kind), good(kind, fields={register: bytes(range(16))})
    accepted(mine, by_signer(mine))
    refused(other, undecided={"M203"}, policy=by_signer(mine))
    accepted(other, by_signer(other, register))
    refused(mine, "M201", policy=by_signer(other, register))


@KINDS
def test_a_signer_alone_an_old_version_and_another_product(kind: QuoteKind) -> None:
    case = good(kind)
    signer = by_signer(case)
    alone = troth.Policy(name="signer alone", registers=signer.registers)
    refused(case, undecided={"M203"}, policy=alone)
    refused(good(kind, fields={"isvsvn": b"\2\0"}), "P202", policy=signer)
    refused(good(kind, fields={"isvprodid": b"\x08\0"}), "P206", policy=signer)
    refused(good(kind, fields={"mrsigner": b"\1" * 32}), "M201", policy=signer)
