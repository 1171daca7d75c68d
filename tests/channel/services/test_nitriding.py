"""nitriding: the certificate and the nonce in its documents, and each way around them."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from tests.channel.services.stage import NONCE, OLD, asked, found, judged, now, pinned, said, wrong

from troth.channel.services import Found, nitriding
from troth.channel.services.nitriding import SERVICE
from troth.channel.services.simulate import nitriding as simulated
from troth.channel.services.simulate._loopback import NOT_FOUND, Loopback, Reply, identity
from troth.channel.services.simulate._nitro import PCRS, Enclave
from troth.errors import Malformed, Unavailable
from troth.model.channel import Binding
from troth.model.check import Outcome
from troth.model.report import Report, Verdict
from troth.model.statement import Status

REGISTERS = {f"pcr{i}": value for i, value in PCRS.items()}


@pytest.fixture(scope="module")
def enclave() -> Enclave:
    return Enclave.create(now())


@pytest.fixture
def server(enclave: Enclave) -> Iterator[Loopback]:
    with simulated.serve(enclave, now()) as made:
        yield made


def judge(enclave: Enclave, answer: Found, **given: Any) -> Report:
    policy = pinned("nitro", REGISTERS, channel=given.pop("channel", Binding.KEY))
    return judged(answer, policy=policy, trust=[enclave.root], **given)


def answered(document: bytes) -> Loopback:
    reply = Reply(body=base64.b64encode(document))
    return Loopback(lambda _: reply, identity=identity(now()))


def test_the_68_bytes() -> None:
    data = nitriding.user_data(b"certificate", b"\x05" * 32)
    digest = hashlib.sha256(b"certificate").digest()
    assert data == b"\x12\x20" + digest + b"\x12\x20" + b"\x05" * 32
    assert len(data) == nitriding.USER_DATA


def test_a_document_names_certificate_and_nonce(enclave: Enclave, server: Loopback) -> None:
    answer = asked(SERVICE, server)
    assert answer.binding is Binding.KEY and answer.nonce == NONCE[:20]
    assert judge(enclave, answer).verdict is Verdict.ACCEPTED
    assert said(answer) == {"application_hash": Status.UNKNOWN}
    assert any("20 bytes" in one for one in answer.not_bound)


def test_what_the_application_says_of_itself(enclave: Enclave) -> None:
    with simulated.serve(enclave, now(), application=b"\x05" * 32) as server:
        answer = asked(SERVICE, server)
    assert judge(enclave, answer).verdict is Verdict.ACCEPTED
    assert said(answer) == {"application_hash": Status.ASSERTED}


def test_hosts_of_another_kind() -> None:
    for reply in (NOT_FOUND, Reply(body=b"hello"), Reply(status=302), Reply(body=b"hEOh")):
        with Loopback(lambda _, reply=reply: reply, identity=identity(now())) as server:
            assert found(SERVICE, server) is None
    with Loopback(lambda _: NOT_FOUND) as server:
        assert found(SERVICE, server) is None


def test_anothers_evidence_nitriding(enclave: Enclave) -> None:
    """A relay with a certificate of its own, which passes the nonce on to a good enclave."""
    with simulated.serve(enclave, now(), attested=b"the good enclave's certificate") as server:
        report = judge(enclave, asked(SERVICE, server))
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B501": Outcome.FAILED})


def test_certificate_swapped_nitriding(enclave: Enclave) -> None:
    """Even one over the same key: the whole certificate is hashed."""
    mine = identity(now())
    with simulated.serve(
        enclave, now(), shown=mine, attested=identity(now(), key=mine.key).der
    ) as server:
        assert wrong(judge(enclave, asked(SERVICE, server))) == {"B501": Outcome.FAILED}


def test_key_swapped_nitriding(enclave: Enclave) -> None:
    with simulated.serve(enclave, now(), attested=identity(now()).der) as server:
        assert judge(enclave, asked(SERVICE, server)).verdict is Verdict.REJECTED


def test_old_nonce_nitriding(enclave: Enclave) -> None:
    shown = identity(now())
    bound = nitriding.user_data(shown.der, bytes(32))
    kept = base64.b64encode(enclave.document(user_data=bound, nonce=OLD[:20]))
    with Loopback(lambda _: Reply(body=kept), identity=shown) as server:
        report = judge(enclave, asked(SERVICE, server))
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B101": Outcome.FAILED})


def test_downgrade_of_the_binding_nitriding(enclave: Enclave, server: Loopback) -> None:
    report = judge(enclave, asked(SERVICE, server), channel=Binding.SESSION)
    assert wrong(report) == {"B302": Outcome.FAILED}


def test_stream_cut_nitriding(enclave: Enclave) -> None:
    text = base64.b64encode(enclave.document(user_data=bytes(68), nonce=NONCE[:20]))
    reply = Reply(body=text, headers={"Content-Length": str(len(text) + 1)}, last=True)
    with (
        Loopback(lambda _: reply, identity=identity(now())) as server,
        pytest.raises((Malformed, Unavailable)),
    ):
        found(SERVICE, server)


@pytest.mark.parametrize(
    "data", [None, b"", bytes(64), bytes(68), bytes(34) + b"\x12\x21" + bytes(32)]
)
def test_user_data_of_another_form(enclave: Enclave, data: bytes | None) -> None:
    with (
        answered(enclave.document(user_data=data, nonce=NONCE[:20])) as server,
        pytest.raises(Malformed),
    ):
        found(SERVICE, server)


def test_documents_in_another_base64(enclave: Enclave) -> None:
    text = base64.b64encode(enclave.document(user_data=bytes(68)))
    for wrong_text in (text[:100] + b"\n" + text[100:], text[:-4] + b"!!!!", text[:-1]):
        with (
            Loopback(lambda _, t=wrong_text: Reply(body=t), identity=identity(now())) as server,
            pytest.raises(Malformed),
        ):
            found(SERVICE, server)
