"""Claims: what a report says in the common words."""

import pytest
from tests.platforms.snp.made import CODE, NONCE, asked

from troth.platforms.snp.claims import claims
from troth.platforms.snp.format import parse
from troth.platforms.snp.simulate import Processor
from troth.policy import names

FULL = {
    "guest_svn": 7,
    "id_key_digest": b"\x01" * 48,
    "author_key_digest": b"\x02" * 48,
    "family_id": b"\x03" * 16,
    "image_id": b"\x04" * 16,
    "key_info": 1,
}


def test_code_is_named_by_the_measurement_and_by_host_data_where_it_is_set(
    milan: Processor,
) -> None:
    said = claims(parse(asked(milan)))
    assert said.identity == ("measurement",)
    assert said.alternative == ()
    assert said.registers["measurement"] == CODE.hex()
    said = claims(parse(asked(milan, host_data=b"\0" * 31 + b"\x01")))
    assert said.identity == ("measurement", "host_data")


def test_a_signers_digest_alone_never_names_code(milan: Processor) -> None:
    said = claims(parse(asked(milan, **FULL)))
    assert said.identity == ("measurement",)
    assert said.registers["id_key_digest"] == "01" * 48
    assert said.registers["author_key_digest"] == "02" * 48
    assert said.registers["family_id"] == "03" * 16
    assert said.registers["image_id"] == "04" * 16
    assert (said.numbers["guest_svn"], said.numbers["author_key_en"]) == (7, 1)


def test_what_the_guest_bound(milan: Processor) -> None:
    said = claims(parse(asked(milan)))
    assert said.user_data == NONCE + bytes(32)
    assert said.nonce_in_user_data
    assert said.carries(NONCE)
    assert not said.carries(NONCE[:-1])
    assert (said.nonce, said.public_key, said.timestamp) == (None, None, None)


def test_debug_is_bit_19_of_the_policy(milan: Processor) -> None:
    for bit in (16, 18, 19, 20, 21, 24):
        said = claims(parse(asked(milan, policy=1 << 17 | 1 << bit)))
        assert said.debug == (bit == 19)


def test_the_instance_is_the_chip(milan: Processor, turin: Processor, rented: Processor) -> None:
    for processor in (milan, turin):
        assert claims(parse(asked(processor))).instance == processor.chip_id.hex()
    assert claims(parse(asked(rented))).instance == ""
    assert claims(parse(asked(milan, chip_id=bytes(64)))).instance == ""


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_numbers_are_those_that_policies_may_name(
    milan: Processor, turin: Processor, version: int
) -> None:
    for processor in (milan, turin):
        if version == 2 and processor is turin:
            continue
        said = claims(parse(asked(processor, version=version)))
        assert said.numbers.keys() <= names.NUMBERS["snp"]
        assert said.registers.keys() == names.REGISTERS["snp"].keys()
        missing = names.NUMBERS["snp"] - said.numbers.keys()
        expected = set()
        if version < 3:
            expected |= {"cpu_family", "cpu_model", "cpu_stepping"}
        if version < 5:
            expected |= {"launch_mit_vector", "current_mit_vector"}
        if processor is milan:
            expected |= {f"{when}_fmc" for when in ("reported", "committed", "current", "launch")}
        assert missing == expected


def test_each_tcb_has_its_own_numbers(turin: Processor) -> None:
    kinds = {
        kind: {"fmc": n, "boot_loader": n + 1, "tee": n + 2, "snp": n + 3, "microcode": n + 4}
        for n, kind in enumerate(("reported", "committed", "current", "launch"), start=10)
    }
    numbers = claims(parse(asked(turin, **kinds))).numbers
    for kind, parts in kinds.items():
        for part, number in parts.items():
            assert numbers[f"{kind}_{part}"] == number


def test_a_cpu_that_nobody_knows_has_no_numbers_of_its_tcb(milan: Processor) -> None:
    numbers = claims(parse(asked(milan, cpu=(0x1A, 0x50, 0)))).numbers
    assert not any(name.endswith("_snp") for name in numbers)
