"""The SGX extension of a PCK certificate: one encoding, every other one is refused."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.dcap.made import PKI
from tests.wire.der import children

from troth.errors import Malformed
from troth.platforms.dcap import pck
from troth.platforms.dcap.simulate_pki import der, sgx_extension
from troth.wire import x509

SAYS: dict[str, Any] = {
    "ppid": bytes(range(16)),
    "components": bytes((0, 1, 127, 128, 255, *range(11))),
    "pce_svn": 0x80FF,
    "cpu_svn": bytes(range(100, 116)),
    "pce_id": b"\1\2",
    "fmspc": bytes(range(6)),
    "sgx_type": 1,
    "platform_instance": bytes(range(50, 66)),
    "configuration": (True, False, True),
}
CERTIFICATE = x509.read(PKI.machine.leaf.der)
GOOD = sgx_extension(**SAYS)


def read(value: bytes) -> pck.Pck:
    return pck.read(replace(CERTIFICATE, extensions={pck.EXTENSION: value}))


def test_all_its_members() -> None:
    found = read(GOOD)
    assert found.ppid == SAYS["ppid"]
    assert bytes(found.components) == SAYS["components"]
    assert (found.pce_svn, found.cpu_svn) == (SAYS["pce_svn"], SAYS["cpu_svn"])
    assert (found.pce_id, found.fmspc, found.sgx_type) == (SAYS["pce_id"], SAYS["fmspc"], 1)
    assert found.platform_instance == SAYS["platform_instance"]
    assert (found.dynamic_platform, found.cached_keys, found.smt) == SAYS["configuration"]


def test_the_processor_cas_form_says_less() -> None:
    found = read(sgx_extension(**SAYS | {"platform_instance": None}))
    assert found.platform_instance is None
    assert (found.dynamic_platform, found.cached_keys, found.smt) == (None, None, None)


def test_a_certificate_without_it() -> None:
    with pytest.raises(Malformed, match="no SGX extension"):
        pck.read(x509.read(PKI.root.der))


def _outer(content: bytes) -> bytes:
    return der(0x30, content)


def _member(arc: int, value: bytes) -> bytes:
    return der(0x30, der(0x06, pck.EXTENSION + bytes((arc,))), value)


PPID = _member(1, der(0x04, SAYS["ppid"]))
PCE_ID = _member(3, der(0x04, SAYS["pce_id"]))
FMSPC = _member(4, der(0x04, SAYS["fmspc"]))
TYPE = _member(5, der(0x0A, b"\1"))
CONTENT = GOOD[4:]
LONG = b"\x30\x83\0" + len(CONTENT).to_bytes(2, "big") + CONTENT


TCB = next(child for child in children(GOOD) if der(0x06, pck.EXTENSION + b"\2") in child)
VERSIONS = b"".join(children(children(TCB)[1]))


def changed(old: bytes, new: bytes) -> bytes:
    assert CONTENT.count(old) == 1
    return _outer(CONTENT.replace(old, new))


WRONG = {
    "empty": b"",
    "bytes behind": GOOD + b"\0",
    "a length in a longer form": LONG,
    "a length that is one too many": GOOD[:3] + bytes((GOOD[3] + 1,)) + GOOD[4:],
    "a length that is one too many, inside": _outer(
        CONTENT.replace(TCB, TCB[:3] + bytes((TCB[3] + 1,)) + TCB[4:])
    ),
    "a length that is one too many, of the versions": _outer(
        CONTENT.replace(
            TCB, TCB[: -len(VERSIONS) - 1] + bytes((len(VERSIONS) % 256 + 1,)) + VERSIONS
        )
    ),
    "another order": _outer(CONTENT.replace(PCE_ID + FMSPC, FMSPC + PCE_ID)),
    "a member twice": _outer(CONTENT.replace(PCE_ID, PCE_ID * 2)),
    "a member less": _outer(CONTENT.replace(FMSPC, b"")),
    "a member more": _outer(CONTENT + _member(8, der(0x04, b"\1"))),
    "an instance without a configuration": _outer(
        CONTENT[: CONTENT.index(der(0x06, pck.EXTENSION + b"\7")) - 2]
    ),
    "a PPID of 15 bytes": changed(PPID, _member(1, der(0x04, bytes(15)))),
    "a PPID of another type": changed(PPID, _member(1, der(0x0C, SAYS["ppid"]))),
    "a PPID with something behind": changed(PPID, der(0x30, PPID[2:] + der(0x05, b""))),
    "an FMSPC of 7 bytes": changed(FMSPC, _member(4, der(0x04, bytes(7)))),
    "a type that is none": changed(TYPE, _member(5, der(0x0A, b"\3"))),
    "a type of two bytes": changed(TYPE, _member(5, der(0x0A, b"\0\1"))),
    "a boolean of another value": _outer(CONTENT.replace(b"\x01\x01\xff", b"\x01\x01\x01")),
    "a number that is negative": _outer(CONTENT.replace(b"\x02\x02\x00\xff", b"\x02\x02\x80\xff")),
    "a number in a longer form": _outer(CONTENT.replace(b"\x02\x02\x00\x80", b"\x02\x02\x00\x7f")),
    "a component past 255": sgx_extension(**SAYS | {"components": (256, *bytes(15))}),
    "a PCESVN past 65535": sgx_extension(**SAYS | {"pce_svn": 0x10000}),
    "15 components": sgx_extension(**SAYS | {"components": bytes(15)}),
    "17 components": sgx_extension(**SAYS | {"components": bytes(17)}),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_other_encoding(name: str) -> None:
    with pytest.raises(Malformed):
        read(WRONG[name])


@given(at=st.integers(0, len(GOOD)), new=st.binary(max_size=4), drop=st.integers(0, 4))
def test_a_part_replaced(at: int, new: bytes, drop: int) -> None:
    """Read is only what would be written so: there is one encoding of every meaning."""
    data = GOOD[:at] + new + GOOD[at + drop :]
    try:
        found = read(data)
    except Malformed:
        return
    flags = (found.dynamic_platform, found.cached_keys, found.smt)
    again = sgx_extension(
        ppid=found.ppid,
        components=found.components,
        pce_svn=found.pce_svn,
        cpu_svn=found.cpu_svn,
        pce_id=found.pce_id,
        fmspc=found.fmspc,
        sgx_type=found.sgx_type,
        platform_instance=found.platform_instance,
        configuration=[bool(flag) for flag in flags],
    )
    assert again == data


@given(data=st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)
