"""Oyster: the project's values for image ids and init params, and its documents over plain http."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.channel.services.stage import asked, found, judged, now, pinned, said, wrong

from troth.channel.services import Found, oyster
from troth.channel.services.oyster import SERVICE, image_id, init_params, item_digest
from troth.channel.services.simulate import oyster as simulated
from troth.channel.services.simulate._loopback import NOT_FOUND, Loopback, Reply, identity
from troth.channel.services.simulate._nitro import PCRS, Enclave
from troth.errors import Malformed
from troth.model.channel import Binding
from troth.model.check import Outcome
from troth.model.report import Report, Verdict
from troth.model.statement import Status

COMPOSE = b"services: {}\n"
DIGEST = "cc95fab4a98e891847cbc01fe321d6e5cd7cf383754d82a593043c54888e395b"
PCR16 = "b882978c45f14150b6d67a855836001c7ec60b2ac59968b84a72bd4edac3d7bd9f148ca339c92cb26e7abab8acdfef87"
IMAGE_ID = "9d575e0ae598ef82d256de2fbb06fbb03cf7cf2dce29f45fc1ed32ab8b64a64a"
X25519, SECP256K1 = b"\x21" * 32, b"\x22" * 64


def params(*items: dict[str, Any], digest: bytes = bytes.fromhex(DIGEST)) -> bytes:
    made = items or ({"path": "docker-compose.yml", "contents": _base64(COMPOSE)},)
    return json.dumps({"digest": _base64(digest), "params": made}).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def enclave() -> Enclave:
    return Enclave.create(now(), extended=bytes.fromhex(DIGEST))


@pytest.fixture
def server(enclave: Enclave) -> Iterator[Loopback]:
    with simulated.serve(enclave, SECP256K1) as made:
        yield made


def judge(enclave: Enclave, answer: Found, *, channel: Binding = Binding.NONE) -> Report:
    registers = {f"pcr{i}": value for i, value in PCRS.items()} | {"pcr16": bytes.fromhex(PCR16)}
    return judged(answer, policy=pinned("nitro", registers, channel=channel), trust=[enclave.root])


def test_the_projects_values() -> None:
    assert init_params(params()).digest.hex() == DIGEST
    assert init_params(params()).pcr16 == PCR16
    zeros = dict.fromkeys(("pcr0", "pcr1", "pcr2"), "00" * 48)
    assert image_id(zeros | {"pcr16": PCR16}).hex() == IMAGE_ID
    assert image_id(zeros) == image_id(zeros | {"pcr16": "00" * 48})
    assert item_digest("docker-compose.yml", COMPOSE) != item_digest("docker-compose.ym", b"l")
    assert hashlib.sha256(item_digest("docker-compose.yml", COMPOSE)).hexdigest() == DIGEST


def test_params_that_are_not_attested_or_sealed() -> None:
    compose = {"path": "docker-compose.yml", "contents": _base64(COMPOSE)}
    free = {"path": "free", "contents": "", "should_attest": False}
    sealed = {"path": "sealed", "contents": "", "should_decrypt": True}
    assert init_params(params(compose, free)).digest.hex() == DIGEST
    found = init_params(params(compose, sealed, digest=bytes(32)))
    assert found.sealed == ("sealed",) and found.digest == bytes(32)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"digest":"","params":[]}',
        params(digest=bytes(32)),
        params(digest=bytes(31)),
        params({"path": "/etc/x", "contents": ""}),
        params({"path": "a/../b", "contents": ""}),
        params({"path": "", "contents": ""}),
        params({"path": "\ud800", "contents": ""}),
        params({"path": 1, "contents": ""}),
        params({"path": "a", "contents": "é"}),
        params({"path": "a", "contents": "a"}),
        params({"path": "a", "contents": None}),
        params({"path": "a"}),
        params({"path": "a", "contents": "", "more": 1}),
        params({"path": "a", "contents": "", "should_attest": 1}),
        params(*[{"path": "a", "contents": ""}] * 2),
        b'{"digest":"","digest":"","params":[]}',
        b'{"digest":"' + base64.b64encode(bytes(32)) + b'","params":{}}',
    ],
)
def test_params_of_another_form(data: bytes) -> None:
    with pytest.raises(Malformed):
        init_params(data)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(("key", "role"), [(X25519, "x25519"), (SECP256K1, "address")])
def test_documents_of_both_ports(enclave: Enclave, key: bytes, role: str, *, raw: bool) -> None:
    with simulated.serve(enclave, key, raw=raw) as server:
        answer = asked(SERVICE, server)
    assert answer.keys == {role: key}
    assert answer.binding is Binding.NONE and answer.nonce is None
    assert judge(enclave, answer).verdict is Verdict.ACCEPTED
    assert said(answer) == {"image_id": Status.ASSERTED}
    assert any("nonce" in one for one in answer.not_bound)


def test_no_params_are_said_to_be_none() -> None:
    with simulated.serve(Enclave.create(now()), X25519) as server:
        assert said(asked(SERVICE, server))["init_params"] is Status.UNKNOWN


def test_hosts_of_another_kind() -> None:
    moved = Reply(status=307, headers={"Location": "https://inside.example/"})
    for reply in (NOT_FOUND, Reply(body=b"hello"), Reply(body=b"00ff"), Reply(body=b""), moved):
        with Loopback(lambda _, reply=reply: reply) as server:
            assert found(SERVICE, server) is None
        with Loopback(lambda _, reply=reply: reply, identity=identity(now())) as server:
            assert found(SERVICE, server) is None


# Attacks.


def test_anothers_evidence_oyster() -> None:
    """Another image's document is refused; another enclave's of the same image is not told apart."""
    other = Enclave.create(now(), pcrs=PCRS | {2: b"\xee" * 48})
    with simulated.serve(other, SECP256K1) as server:
        answer = asked(SERVICE, server)
    report = judged(
        answer,
        policy=pinned("nitro", {f"pcr{i}": v for i, v in PCRS.items()}, channel=Binding.NONE),
        trust=[other.root],
    )
    assert report.verdict is Verdict.REJECTED and wrong(report)["M201"] is Outcome.FAILED
    assert any("another enclave's" in one for one in SERVICE.not_bound)


def test_old_nonce_oyster(server: Loopback, enclave: Enclave) -> None:
    """There is no nonce: a document may be kept, and its age alone is bounded."""
    answer = asked(SERVICE, server)
    late = judged(
        answer,
        policy=pinned("nitro", {f"pcr{i}": v for i, v in PCRS.items()}, channel=Binding.NONE),
        trust=[enclave.root],
        at=now().replace(year=now().year + 1),
    )
    assert wrong(late)["R101"] is Outcome.FAILED
    assert any("no nonce" in one for one in SERVICE.not_bound)
    fresh = judged(
        answer,
        policy=pinned("nitro", {"pcr0": PCRS[0]}, channel=Binding.NONE),
        trust=[enclave.root],
        nonce=bytes(range(32)),
    )
    assert wrong(fresh)["B101"] is Outcome.FAILED


def test_key_swapped_oyster(enclave: Enclave, server: Loopback) -> None:
    """The key is inside the document: a caller who expects another is told."""
    answer = asked(SERVICE, server)
    policy = pinned("nitro", {f"pcr{i}": v for i, v in PCRS.items()}, channel=Binding.NONE)
    report = judged(answer, policy=policy, trust=[enclave.root], key=b"\xee" * 64)
    assert wrong(report)["B201"] is Outcome.FAILED


def test_downgrade_of_the_binding_oyster(enclave: Enclave, server: Loopback) -> None:
    report = judge(enclave, asked(SERVICE, server), channel=Binding.KEY)
    assert wrong(report) == {"B302": Outcome.FAILED}


def test_compose_changed_oyster(enclave: Enclave) -> None:
    """Other init params give another PCR16, and another image id."""
    hostile = Enclave.create(now(), extended=bytes(32))
    with simulated.serve(hostile, SECP256K1) as server:
        answer = asked(SERVICE, server)
    report = judge(replace(enclave, root=hostile.root), answer)
    assert wrong(report)["M201"] is Outcome.FAILED
    unpinned = pinned("nitro", {f"pcr{i}": v for i, v in PCRS.items()}, channel=Binding.NONE)
    report = judged(answer, policy=unpinned, trust=[hostile.root])
    assert wrong(report) == {"M203": Outcome.UNDECIDED}


def test_stream_cut_oyster(enclave: Enclave) -> None:
    document = enclave.document(public_key=SECP256K1)
    for size in (1, 40, len(document) - 1):
        with Loopback(lambda _, size=size: Reply(body=document[:size])) as server:
            answer = found(SERVICE, server)
        assert answer is None or judge(enclave, answer).verdict is Verdict.MALFORMED


def test_huge_and_odd_answers(enclave: Enclave) -> None:
    with (
        Loopback(lambda _: Reply(body=bytes(1024 * 1024))) as server,
        pytest.raises(Malformed, match="longer than"),
    ):
        found(SERVICE, server)
    odd = enclave.document().hex().encode() + b"0"
    replies = {oyster.RAW: NOT_FOUND, oyster.HEX: Reply(body=odd)}
    with Loopback(lambda r: replies[r.path]) as server, pytest.raises(Malformed):
        found(SERVICE, server)
