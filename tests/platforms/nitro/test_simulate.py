"""The simulated module speaks as the hardware does, and what it signs is read by the verifier."""

import hashlib
import re
import socket
import struct
import threading
from datetime import UTC, datetime, timedelta

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Misuse
from troth.model.report import Verdict
from troth.platforms.nitro import format as document_format
from troth.platforms.nitro.simulate import (
    DevelopmentPki,
    SimulatedNsm,
    extended,
    new_instance,
    serve_nsm,
)
from troth.policy import Policy
from troth.verifier import appraise

NOW = datetime(2026, 11, 23, 3, 10, 0, 472_000, tzinfo=UTC)
PKI = DevelopmentPki.create(NOW)
IMAGE = {0: b"\x10" * 48, 1: b"\x11" * 48, 2: b"\x12" * 48}
POLICY = Policy.for_image({"nitro": {f"pcr{i}": v.hex() for i, v in IMAGE.items()}})


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


def module(clock=None, **options) -> SimulatedNsm:
    return SimulatedNsm(PKI, IMAGE, "i-0123456789abcdef0", clock or Clock(), **options)


def ask(nsm: SimulatedNsm, request: object) -> object:
    return cbor2.loads(nsm.request(cbor2.dumps(request)))


def attest(nsm: SimulatedNsm, **fields: bytes) -> bytes:
    asked = {"user_data": None, "nonce": None, "public_key": None} | fields
    return ask(nsm, {"Attestation": asked})["Attestation"]["document"]


def test_describe() -> None:
    description = ask(module(), "DescribeNSM")["DescribeNSM"]
    assert list(description) == [
        "version_major",
        "version_minor",
        "version_patch",
        "module_id",
        "max_pcrs",
        "locked_pcrs",
        "digest",
    ]
    assert re.fullmatch(r"i-0123456789abcdef0-enc[0-9a-f]{16}", description["module_id"])
    assert description["locked_pcrs"] == list(range(16))
    assert (description["max_pcrs"], description["digest"]) == (32, "SHA384")


def test_random_is_of_the_size_and_shape_that_the_driver_expects() -> None:
    nsm = module()
    first, second = (nsm.request(cbor2.dumps("GetRandom")) for _ in range(2))
    assert len(first) == 278
    assert first.startswith(b"\xa1\x69GetRandom\xa1\x66random\x59\x01\x00")
    assert first != second


def test_registers_are_described_extended_and_locked() -> None:
    nsm = module()
    assert ask(nsm, {"DescribePCR": {"index": 0}}) == {
        "DescribePCR": {"lock": True, "data": IMAGE[0]}
    }
    assert ask(nsm, {"DescribePCR": {"index": 16}}) == {
        "DescribePCR": {"lock": False, "data": bytes(48)}
    }
    once = hashlib.sha384(bytes(48) + b"abc").digest()
    assert ask(nsm, {"ExtendPCR": {"index": 16, "data": b"abc"}}) == {"ExtendPCR": {"data": once}}
    twice = extended(once, b"def")
    assert ask(nsm, {"ExtendPCR": {"index": 16, "data": b"def"}}) == {"ExtendPCR": {"data": twice}}
    assert 16 not in document_format.parse(attest(nsm)).pcrs
    assert ask(nsm, {"LockPCR": {"index": 16}}) == "LockPCR"
    assert ask(nsm, {"ExtendPCR": {"index": 16, "data": b"x"}}) == {"Error": "ReadOnlyIndex"}
    assert ask(nsm, {"LockPCR": {"index": 16}}) == {"Error": "ReadOnlyIndex"}
    assert document_format.parse(attest(nsm)).pcrs[16] == twice
    assert ask(nsm, {"LockPCRs": {"range": 20}}) == "LockPCRs"
    assert ask(nsm, {"LockPCRs": {"range": 0}}) == "LockPCRs"
    assert sorted(document_format.parse(attest(nsm)).pcrs) == list(range(20))


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"DescribePCR": {"index": 32}}, "InvalidIndex"),
        ({"DescribePCR": {"index": 65536}}, "InvalidArgument"),
        ({"DescribePCR": {"index": -1}}, "InvalidArgument"),
        ({"DescribePCR": {"index": True}}, "InvalidArgument"),
        ({"DescribePCR": {"index": "0"}}, "InvalidArgument"),
        ({"DescribePCR": {}}, "InvalidArgument"),
        ({"DescribePCR": {"index": 0, "more": 1}}, "InvalidArgument"),
        ({"ExtendPCR": {"index": 0, "data": b"x"}}, "ReadOnlyIndex"),
        ({"ExtendPCR": {"index": 15, "data": b"x"}}, "ReadOnlyIndex"),
        ({"ExtendPCR": {"index": 32, "data": b"x"}}, "InvalidIndex"),
        ({"ExtendPCR": {"index": 16, "data": "x"}}, "InvalidArgument"),
        ({"LockPCR": {"index": 3}}, "ReadOnlyIndex"),
        ({"LockPCR": {"index": 32}}, "InvalidIndex"),
        ({"LockPCRs": {"range": 33}}, "InvalidIndex"),
        ({"LockPCRs": {"range": None}}, "InvalidArgument"),
        ({"Attestation": {"user_data": "text"}}, "InvalidArgument"),
        ({"Attestation": {"other": b""}}, "InvalidArgument"),
        ({"Attestation": {"user_data": bytes(1025)}}, "InputTooLarge"),
        ({"Attestation": {"nonce": bytes(1025)}}, "InputTooLarge"),
        ({"Attestation": {"public_key": bytes(1025)}}, "InputTooLarge"),
        ({"ExtendPCR": {"index": 16, "data": bytes(4096)}}, "InputTooLarge"),
        ({"DescribePCR": {"index": 0}, "LockPCR": {"index": 16}}, "InvalidOperation"),
        ({"DescribePCR": 0}, "InvalidOperation"),
        ({"Unknown": {}}, "InvalidOperation"),
        ("Unknown", "InvalidOperation"),
        ("LockPCR", "InvalidOperation"),
        ({"DescribeNSM": {}}, "InvalidOperation"),
        (None, "InvalidOperation"),
        ([], "InvalidOperation"),
    ],
)
def test_error_codes(request_: object, code: str) -> None:
    nsm = module()
    assert ask(nsm, request_) == {"Error": code}
    assert ask(nsm, {"DescribePCR": {"index": 16}})["DescribePCR"] == {
        "lock": False,
        "data": bytes(48),
    }


@given(st.binary(max_size=100))
def test_junk_is_answered_with_an_error(request_: bytes) -> None:
    reply = cbor2.loads(module().request(request_))
    assert isinstance(reply, dict | str)


def test_a_document_is_accepted_by_the_production_verifier() -> None:
    for indefinite in (True, False):
        nsm = module(indefinite=indefinite)
        document = attest(nsm, nonce=b"n" * 32, public_key=b"key", user_data=b"u" * 64)
        report = appraise(
            document,
            policy=POLICY,
            at=NOW,
            nonce=b"n" * 32,
            key=b"key",
            binding=b"u" * 64,
            trust=[PKI.root()],
        )
        assert report.verdict is Verdict.ACCEPTED
        assert report.root_class == "development"
        stranger = appraise(document, policy=POLICY, at=NOW)
        assert stranger.verdict is Verdict.REJECTED


def test_the_payload_is_written_as_real_ones_are() -> None:
    document = document_format.parse(attest(module()))
    assert document.sign1.payload[:1] == b"\xbf"
    assert document.sign1.protected == b"\xa1\x01\x38\x22"
    assert list(cbor2.loads(document.sign1.payload)) == [
        "module_id",
        "digest",
        "timestamp",
        "pcrs",
        "certificate",
        "cabundle",
        "public_key",
        "user_data",
        "nonce",
    ]
    assert document_format.parse(attest(module(indefinite=False))).sign1.payload[:1] == b"\xa9"
    assert document.timestamp_ms == 1_795_403_400_472
    assert document.pcrs[4] == extended(bytes(48), b"i-0123456789abcdef0")
    assert document.pcrs[3] == bytes(48)


def test_the_largest_document_fits_and_is_read() -> None:
    nsm = module()
    for index in range(16, 32):
        ask(nsm, {"LockPCR": {"index": index}})
    document = attest(nsm, **dict.fromkeys(("user_data", "nonce", "public_key"), bytes(1024)))
    assert len(document) < 0x3000 - 100
    assert len(document_format.parse(document).pcrs) == 32


def test_a_leaf_serves_for_a_while_and_is_reissued_before_it_ends() -> None:
    clock = Clock()
    nsm = module(clock)
    leaves, bundles = [], []
    for hours in (0, 0.25, 1, 20, 30, 24 * 40):
        clock.at = NOW + timedelta(hours=hours)
        document = attest(nsm)
        parsed = document_format.parse(document)
        leaves.append(parsed.certificate)
        bundles.append(parsed.cabundle)
        report = appraise(document, policy=POLICY, at=clock.at, trust=[PKI.root()])
        assert report.verdict is Verdict.ACCEPTED
    assert leaves[0] == leaves[1]
    assert len(set(leaves)) == 5
    assert bundles[0] == bundles[3]
    assert len({bundle[1] for bundle in bundles}) == 3
    assert {bundle[0] for bundle in bundles} == {bundles[0][0]}


def test_a_clock_that_goes_back_gets_a_leaf_of_its_time() -> None:
    clock = Clock()
    clock.at = NOW + timedelta(days=3)
    nsm = module(clock)
    attest(nsm)
    clock.at = NOW
    report = appraise(attest(nsm), policy=POLICY, at=NOW, trust=[PKI.root()])
    assert report.verdict is Verdict.ACCEPTED


def test_what_a_module_cannot_start_with() -> None:
    for registers in ({16: bytes(48)}, {-1: bytes(48)}, {0: bytes(47)}):
        with pytest.raises(Misuse):
            SimulatedNsm(PKI, registers, new_instance(), Clock())
    for instance in ("", "i-1", "i-0123456789ABCDEF0", "i-0123456789abcdef0\n"):
        with pytest.raises(Misuse):
            SimulatedNsm(PKI, {}, instance, Clock())


def test_serving_on_a_socket(tmp_path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "nsm"))
    listener.listen()
    stop = threading.Event()
    thread = threading.Thread(target=serve_nsm, args=(listener, module(), stop), daemon=True)
    thread.start()

    def talk(data: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(tmp_path / "nsm"))
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            got = b""
            while part := sock.recv(65536):
                got += part
            return got

    one = cbor2.dumps({"DescribePCR": {"index": 99}})
    framed = struct.pack(">I", len(one)) + one
    error = cbor2.dumps({"Error": "InvalidIndex"})
    answer = struct.pack(">I", len(error)) + error
    assert talk(framed + framed) == answer + answer
    assert talk(framed[:-1]) == b""
    assert talk(b"\x00\x00") == b""
    assert cbor2.loads(talk(struct.pack(">I", 4097))[4:]) == {"Error": "InputTooLarge"}
    assert cbor2.loads(talk(struct.pack(">I", 0))[4:]) == {"Error": "InvalidOperation"}
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    listener.close()
