"""MRCONFIGID of dstack in its three forms, held against what the guest measured."""

import hashlib
import json
from typing import Any

import pytest
from tests.platforms.tdx.make_dstack import HASH, identity, system

from troth.crypto.ethereum import keccak256
from troth.errors import Malformed
from troth.model.statement import Status
from troth.platforms.tdx import dstack, dstack_config
from troth.platforms.tdx.dstack import KeyProvider

INSTANCE = b"\1" * 20
MEASURED = identity(*system())
DOCUMENT = {
    "app_id": HASH[:20].hex(),
    "compose_hash": HASH.hex(),
    "instance_id": INSTANCE.hex(),
    "key_provider": "kms",
    "key_provider_id": "3059",
    "version": 3,
}


def document(**changed: Any) -> bytes:
    return json.dumps(DOCUMENT | changed, separators=(",", ":")).encode()


def compared(data: bytes, given: bytes | None = None) -> Status:
    return dstack_config.compare(data, MEASURED, document=given)[0]


def test_form_1() -> None:
    assert compared(dstack.config_id(HASH)) is Status.ASSERTED
    assert compared(dstack.config_id(bytes(32))) is Status.REFUTED
    assert compared(dstack.config_id(HASH)[:-1] + b"\1") is Status.REFUTED


def test_form_2() -> None:
    found = dstack_config.form_2(HASH, HASH[:20], KeyProvider(name="kms", id="3059"))
    assert found == (b"\2" + keccak256(HASH + HASH[:20] + b"\2" + b"\x30\x59")).ljust(48, b"\0")
    assert compared(found) is Status.ASSERTED
    other = dstack_config.form_2(HASH, HASH[:20], KeyProvider(name="tpm", id="3059"))
    assert compared(other) is Status.REFUTED
    for name, key in (("cloud", "3059"), ("kms", "zz")):
        with pytest.raises(Malformed):
            dstack_config.form_2(HASH, HASH[:20], KeyProvider(name=name, id=key))
    with pytest.raises(Malformed):
        dstack_config.form_2(HASH[:20], HASH, KeyProvider(name="kms", id="3059"))


def test_form_3() -> None:
    data = document()
    register = dstack_config.form_3(data)
    assert register[1:33] == hashlib.sha256(b"dstack-mr-config-v3:\0" + data).digest()
    assert dstack_config.host_data(data) == register[1:33]
    assert compared(register, data) is Status.ASSERTED
    assert compared(register) is Status.UNKNOWN
    assert compared(register, data + b" ") is Status.REFUTED


@pytest.mark.parametrize(
    "changed",
    [
        {"app_id": "ee" * 20},
        {"compose_hash": "ee" * 32},
        {"instance_id": "ee" * 20},
        {"key_provider": "none"},
        {"key_provider": "cloud"},
        {"key_provider": 1},
        {"key_provider_id": "ee"},
    ],
)
def test_documents_that_name_something_else(changed: dict[str, Any]) -> None:
    data = document(**changed)
    assert compared(dstack_config.form_3(data), data) is Status.REFUTED


def test_a_document_may_leave_the_instance_to_the_guest() -> None:
    data = document(instance_id="")
    assert compared(dstack_config.form_3(data), data) is Status.ASSERTED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        document(version=2),
        document(app_id=1),
        document(app_id="zz"),
        b'{"a":1,"a":1}',
    ],
)
def test_documents_that_are_none(data: bytes) -> None:
    with pytest.raises(Malformed):
        compared(dstack_config.form_3(data), data)


def test_registers_of_nobodys_form() -> None:
    assert compared(bytes(48)) is Status.UNKNOWN
    assert compared(b"\4" + bytes(47)) is Status.UNKNOWN


def test_what_a_document_names() -> None:
    assert dstack_config.application(document()) == (HASH[:20], HASH)
    for wrong in (document(app_id=1), document(compose_hash=None), document(app_id="zz"), b"{}"):
        with pytest.raises(Malformed):
            dstack_config.application(wrong)
