"""One bit of an answer is another: it is refused, or says in its evidence exactly what it said before.

What carries evidence is signed by nobody here: spaces in JSON, capital letters of hexadecimal digits, a
certificate's names. Such a bit may change, and then nothing that is judged has changed with it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from tests.channel.services.stage import judged, pinned
from tests.channel.services.test_cells import (
    ENCLAVE,
    GUEST,
    NITRO,
    NOW,
    PKI,
    QUOTE,
    STAGES,
    TD,
)

from troth.channel import services
from troth.channel.http import Response
from troth.channel.services.simulate import dstack as dstack_made
from troth.channel.services.simulate import evervault as evervault_made
from troth.channel.services.simulate import oyster as oyster_made
from troth.channel.services.simulate import ratls as ratls_made
from troth.channel.services.simulate._loopback import Loopback
from troth.channel.transcript import Transcript
from troth.errors import Malformed
from troth.model.channel import Binding
from troth.model.check import Waiver
from troth.model.report import Report, Verdict

GOOD = (Verdict.ACCEPTED, Verdict.ACCEPTABLE_WITH_WAIVERS)
SERVERS: dict[str, tuple[str, Callable[[], Loopback]]] = {
    **{name: (name, stage.serve) for name, stage in STAGES.items()},
    "dstack packed": ("dstack", lambda: dstack_made.serve(GUEST, NOW, form="packed")),
    "dstack v0": ("dstack", lambda: dstack_made.serve(GUEST, NOW, form="v0")),
    "dstack v1": ("dstack", lambda: dstack_made.serve(GUEST, NOW, form="v1")),
    "dstack agent": ("dstack", lambda: dstack_made.agent(GUEST)),
    "dstack dashboard": ("dstack", lambda: dstack_made.dashboard(GUEST, NOW)),
    "oyster as text": ("oyster", lambda: oyster_made.serve(ENCLAVE, bytes(64), raw=False)),
    "evervault kept": ("evervault", lambda: evervault_made.serve(ENCLAVE, NOW, in_names=False)),
    "gramine": ("ratls", lambda: ratls_made.serve(ratls_made.shown(QUOTE, NOW, form="gramine"))),
}
FLIPS = 150


def judge(transcript: Transcript) -> Report:
    found = services.read(transcript, services.SERVICES).found
    nitro = found.service in ("oyster", "nitriding", "evervault")
    registers = NITRO if nitro else GUEST.registers if found.service == "dstack" else TD
    policy = pinned("nitro" if nitro else "tdx", registers, channel=Binding.NONE)
    return judged(
        found,
        policy=policy,
        trust=[ENCLAVE.root] if nitro else PKI.roots(),
        **({} if nitro else {"collateral": PKI.collateral()}),
        **({"waive": frozenset({Waiver.FRESHNESS})} if _stale(found) else {}),
    )


def said(report: Report) -> tuple[object, ...]:
    """All but the instant and the nonce: without Evervault's fresh document the kept one counts."""
    claims = report.presented
    assert claims is not None
    return claims.registers, claims.user_data, claims.public_key, claims.events, claims.numbers


def _stale(found: services.Found) -> bool:
    part = found.composite.lead
    return part.nonce is None and not part.over_nonce and found.service in ("dstack", "ratls")


def flipped(data: bytes, *, seed: int) -> Iterator[bytes]:
    """Bits all over, and every bit of the first bytes, where lengths and kinds stand."""
    bits = 8 * len(data)
    step = max(1, bits // FLIPS)
    for bit in sorted({*range(min(bits, 64)), *range(seed % step, bits, step)}):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def variants(transcript: Transcript, seed: int) -> Iterator[Transcript]:
    for place, one in enumerate(transcript.exchanges):
        if one.answer.status not in (0, 200) or not one.answer.body:
            continue
        for body in flipped(one.answer.body, seed=seed):
            answer = Response(
                status=one.answer.status, reason="", headers=one.answer.headers, body=body
            )
            exchanges = list(transcript.exchanges)
            exchanges[place] = replace(one, answer=answer)
            yield replace(transcript, exchanges=tuple(exchanges))
    if transcript.certificate is not None:
        for certificate in flipped(transcript.certificate, seed=seed):
            yield replace(transcript, certificate=certificate)


@pytest.mark.parametrize("name", SERVERS)
def test_one_bit_of_an_answer(name: str) -> None:
    service, serve = SERVERS[name]
    with serve() as server:
        kept = services.ask(
            server.url, services.SERVICES, only=service, dialler=server.dial
        ).transcript
    right = judge(kept)
    assert right.verdict in GOOD
    refused = 0
    for variant in variants(kept, seed=len(name)):
        try:
            report = judge(variant)
        except Malformed:
            refused += 1
            continue
        if report.verdict in GOOD:
            assert said(report) == said(right)
        else:
            refused += 1
    assert refused > FLIPS // 10
