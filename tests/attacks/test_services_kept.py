"""Attacks with answers that somebody kept: a key that was exchanged, a key nobody looks for, receipts beside."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.channel.services.stage import now, pinned, wrong
from tests.channel.services.test_cells import ENCLAVE, PKI, STAGES
from tests.cli.test_stored_services import SERVERS, WITH_NONCE

import troth
from troth.channel import services, transcript
from troth.channel.services import Asked
from troth.channel.services.simulate import nitriding as nitriding_made
from troth.channel.services.simulate._loopback import identity
from troth.channel.services.simulate._nitro import PCRS
from troth.cli import _custody, _judge
from troth.errors import Malformed, Misuse
from troth.model.channel import Binding
from troth.model.collateral import NONE
from troth.model.report import Report, Verdict
from troth.verifier.bundle import Bundle, pack
from troth.verifier.receipt import Receipt

POLICY = pinned("nitro", {f"pcr{i}": v for i, v in PCRS.items()}, channel=Binding.NONE)


@pytest.fixture(scope="module")
def asked() -> Asked:
    with nitriding_made.serve(ENCLAVE, now()) as server:
        return services.ask(server.url, services.SERVICES, only="nitriding", dialler=server.dial)


def flags(asked: Asked, key: str | None) -> _judge.Flags:
    return _judge.Flags(
        policy=POLICY,
        trust=(ENCLAVE.root,),
        pem=b"",
        collateral=NONE,
        event_log=None,
        service="",
        nonce=asked.found.nonce,
        key=None if key is None else bytes.fromhex(key),
        claim=_custody.claim(key, chain=None, roots=()),
        waive=frozenset(),
        at=(now(), False),
        offline=False,
        replay=False,
    )


def judged(tmp_path: Path, data: bytes, given: _judge.Flags) -> Verdict:
    path = tmp_path / "kept"
    path.write_bytes(data)
    return _judge.judge(str(path), given)[0].verdict


def test_whoever_asked_is_accepted(asked: Asked, tmp_path: Path) -> None:
    data = transcript.pack(asked.transcript)
    assert asked.transcript.key is not None
    assert judged(tmp_path, data, flags(asked, None)) is Verdict.ACCEPTED
    assert judged(tmp_path, data, flags(asked, asked.transcript.key.hex())) is Verdict.ACCEPTED


def test_a_good_certificate_beside_the_key_of_a_liar(asked: Asked, tmp_path: Path) -> None:
    """The document names the certificate; the transcript says which key that is, and lies."""
    mine = identity(now())
    forged = transcript.pack(replace(asked.transcript, key=mine.spki))
    with pytest.raises(Malformed, match="transcript key"):
        judged(tmp_path, forged, flags(asked, mine.spki.hex()))
    with pytest.raises(Malformed, match="certificate"):
        services.read(replace(asked.transcript, certificate=b"0"), services.SERVICES)


def test_a_key_of_no_known_kind_is_not_passed_over(asked: Asked, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no service holds a key"):
        judged(tmp_path, transcript.pack(asked.transcript), flags(asked, "aabbcc"))


def test_receipts_beside_a_services_answers(asked: Asked, tmp_path: Path) -> None:
    """Nothing there could have signed them, and nobody would have looked."""
    receipt = Receipt(name="contract", data=b"I owe you", signature=b"none")
    bundle = pack(Bundle(evidence=transcript.pack(asked.transcript), receipts=(receipt,)))
    with pytest.raises(Malformed, match="receipts"):
        judged(tmp_path, bundle, flags(asked, None))


@pytest.mark.parametrize("empty", [b"\x80", b"\xa0"])
def test_a_transcript_of_millions_of_empty_lists(empty: bytes) -> None:
    """A byte each, and a hundred times as much in memory."""
    count = 1_000_000
    head = b"\xa8\x63key\xf6\x69exchanges\x9a" + count.to_bytes(4, "big")
    with pytest.raises(Malformed, match="arrays and maps"):
        transcript.unpack(head + count * empty)


def _again(name: str) -> Asked:
    service, serve = SERVERS[name]
    with serve() as server:
        first = services.ask(server.url, services.SERVICES, only=service, dialler=server.dial)
    kept = transcript.unpack(transcript.pack(first.transcript))
    return services.read(kept, services.SERVICES)


@pytest.mark.parametrize("name", [*WITH_NONCE, "flashbots"])
def test_what_was_kept_is_fresh_by_no_other_nonce_than_the_callers(name: str) -> None:
    """Parts are made to fit the nonce of whoever asked; to judge them by it would be to ask nothing."""
    again = _again(name)
    stage = STAGES[SERVERS[name][0]]
    nitro = stage.platform == "nitro"
    policy = pinned(
        stage.platform,
        stage.registers,
        channel=Binding.NONE,
        max_age=timedelta(hours=1) if nitro else None,
    )

    def judge(nonce: bytes | None, later: timedelta = timedelta()) -> Report:
        return troth.appraise(
            again.found.composite,
            policy=policy,
            at=now() + later,
            nonce=nonce,
            trust=[ENCLAVE.root] if nitro else PKI.roots(),
            collateral=NONE if nitro else PKI.collateral(),
        )

    assert {"B101"} <= wrong(judge(b"another!" * 4)).keys()
    assert judge(b"another!" * 4).verdict is Verdict.REJECTED
    assert judge(None, timedelta(hours=2)).verdict in (Verdict.UNDECIDED, Verdict.REJECTED)
    if again.found.nonce is not None:
        assert judge(again.found.nonce).verdict is Verdict.ACCEPTED
