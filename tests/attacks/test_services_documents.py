"""Attacks by hosts whose documents have every odd value in every place: each is said to be malformed."""

import base64
import copy
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from tests.channel.openai_made import GUEST
from tests.channel.services.stage import now
from tests.channel.services.test_cells import GUEST as DSTACK
from tests.channel.services.tinfoil_made import quote

from troth.channel import services
from troth.channel.services import tinfoil_collateral as beside
from troth.channel.services import tinfoil_document as documents
from troth.channel.services._service import Service
from troth.channel.services.simulate import dstack
from troth.channel.services.simulate.aci import Aci
from troth.channel.services.simulate.phala import Phala
from troth.channel.services.simulate.tinfoil import Enclave
from troth.channel.transcript import Transcript
from troth.channel.web import Web
from troth.errors import Malformed, Unavailable

HALF = "\ud800"
ODD: tuple[Any, ...] = (
    *(None, 0, -1, 2**53, True, "", HALF, "é", "0x", [], {}, [HALF], {HALF: 1}),
    *("[", "{}", '{"a":1}', "https://[", "00", "AA==", 10**400),
)
DEPTHS = (300, 930, 950, 970, 980, 985, 990)
MARK = "<nested>"


class Vouched(Aci):
    """With a key service's chain in its report."""

    def report(self, nonce: bytes | None) -> dict[str, Any]:
        said = super().report(nonce)
        chain = ["00" * 65, "00" * 65]
        key = {"role": "receipt", "purpose": "p", "kms_public_key": "02" * 33}
        held = {"provider": "dstack-kms", "keys": [key | {"signature_chain": chain}]}
        said["attestation"]["evidence"]["key_custody"] = held
        return said


def _tinfoil() -> Enclave:
    chain = {"Tcb-Info-Issuer-Chain": ["x"]}
    url = "https://h/sgx/certification/v4/tcb?fmspc=0"
    intel = {"responses": [{"url": url, "body_base64": "AAAA", "headers": chain}]}
    amd = {"vcek_der_base64": "AAAA", "cert_chain_pem": "x"}
    bundle = {"repo": "a", "tag": "b", "digest": "c", "sigstore_bundle": {"x": [1]}}
    entries = (
        ("endorsement", beside.INTEL_PCS, intel),
        ("endorsement", beside.AMD_VCEK, amd),
        ("reference-values", beside.SIGSTORE_CODE, bundle),
    )
    return Enclave(
        quote,
        platform="tdx",
        devices=lambda nonce: [
            {
                "id": "g",
                "kind": "gpu",
                "vendor": "nvidia",
                "format": "f",
                "evidence": {"arch": "HOPPER", "evidence": "AAAA", "nonce": nonce.hex()},
            }
        ],
        collateral=[
            {"id": f"{at}", "role": role, "format": kind, "data": data}
            for at, (role, kind, data) in enumerate(entries)
        ],
    )


HOSTS: dict[str, tuple[str, Callable[[], AbstractContextManager[Any]]]] = {
    "aci": ("aci", lambda: Vouched(guest=GUEST)),
    "gateway": ("aci", lambda: Aci(guest=GUEST, direct=False)),
    "phala": ("phala", lambda: Phala(guest=GUEST)),
    "tinfoil": ("tinfoil", _tinfoil),
    "tinfoil v2": ("tinfoil", lambda: Enclave(quote, platform="tdx", version=2)),
    "agent": ("dstack", lambda: dstack.agent(DSTACK)),
    "dashboard": ("dstack", lambda: dstack.dashboard(DSTACK, now())),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value[:2]):
            yield from places(item, (*path, place))


def put(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    changed = copy.deepcopy(value)
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = odd
    return changed


def odd_ones(value: Any) -> Iterator[bytes]:
    for path in places(value):
        for odd in ODD:
            yield json.dumps(put(value, path, odd)).encode()
        marked = json.dumps(put(value, path, MARK))
        for depth in DEPTHS:
            yield marked.replace(f'"{MARK}"', "[" * depth + "]" * depth).encode()


def with_sections(body: bytes, nonce: bytes) -> Iterator[bytes]:
    """A document of Tinfoil's whose sections are odd, with the hashes that fit."""
    document = json.loads(body)
    for name in ("crypto_material", "device_evidence"):
        for section in odd_ones(json.loads(base64.b64decode(document[name]))):
            changed = copy.deepcopy(document)
            changed[name] = base64.b64encode(section).decode()
            held = [
                base64.b64decode(changed[one]) for one in ("crypto_material", "device_evidence")
            ]
            digest = hashlib.sha256(section).hexdigest()
            changed["cpu_evidence"]["endorsed"][f"{name}_hash"] = digest
            changed["challenge"]["report_data"] = documents.report_data(nonce, *held).hex()
            yield json.dumps(changed).encode()


def bodies(transcript: Transcript, place: int) -> Iterator[bytes]:
    body = transcript.exchanges[place].answer.body
    try:
        value = json.loads(body)
    except ValueError:
        return
    yield from odd_ones(value)
    if "crypto_material" in value:
        yield from with_sections(body, transcript.nonce)


@pytest.mark.parametrize("host", HOSTS)
def test_an_odd_value_in_every_place(host: str) -> None:
    name, serve = HOSTS[host]
    with serve() as server:
        dialler = getattr(server, "dial", None)
        kept = services.ask(server.url, services.SERVICES, only=name, dialler=dialler).transcript
    count = 0
    for place, exchange in enumerate(kept.exchanges):
        for body in bodies(kept, place):
            answers = list(kept.exchanges)
            answers[place] = replace(exchange, answer=replace(exchange.answer, body=body))
            count += 1
            try:
                services.read(replace(kept, exchanges=tuple(answers)), services.SERVICES)
            except Malformed:
                pass
            except Exception as error:  # noqa: BLE001 - any other is what is looked for
                pytest.fail(f"{type(error).__name__}: {error} at {body[:300]!r}")
    assert count > 40


def test_time_is_for_all_protocols_together() -> None:
    """A host that answers each protocol with slow nonsense holds nobody longer than was said."""
    given: list[float] = []

    def slow(web: Web, _: bytes) -> None:
        given.append(web._until - time.monotonic())
        time.sleep(0.2)
        raise Malformed("is nonsense", field="answer")

    protocols = [Service(name=f"p{i}", title="", ask=slow, not_bound=()) for i in range(9)]
    with pytest.raises((Malformed, Unavailable)):
        services.ask("https://127.0.0.1:1", protocols, seconds=0.5)
    assert len(given) <= 3
    assert given == sorted(given, reverse=True)
