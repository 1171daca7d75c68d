"""Tokens and bundles of them: told apart, read, asked for their claims, and for what they need."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache

from fuzz.target import Target, must
from fuzz.vectors import vectors
from troth.model.collateral import Collateral
from troth.platforms import tokens
from troth.platforms.tokens import simulate_claims as said
from troth.platforms.tokens.collateral import is_address, requests
from troth.platforms.tokens.simulate import NAMES, Service, bundle
from troth.wire.jose import to_url

PLATFORMS = (tokens.MAA, tokens.GCS, tokens.ITA, tokens.NRAS)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
NONCE = bytes(range(1, 33))


@cache
def simulated() -> tuple[Service, ...]:
    """One service of each kind, made once."""
    return tuple(Service.create(name, NOW) for name in NAMES)


def _run(data: bytes) -> None:
    """The bytes as they are, and as the payload of a token, where a mutator gets further."""
    _read(data)
    for service in simulated():
        head = json.dumps({"alg": service.issuer.alg, "kid": service.kid}).encode()
        _read(f"{to_url(head)}.{to_url(data)}.".encode())


def _read(data: bytes) -> None:
    for platform in PLATFORMS:
        found = platform.unwrap(data)
        if found is None:
            continue
        document = platform.parse(found[0])
        tuple(platform.fields(found[0]))
        claims = platform.claims(document, None)
        must(set(claims.identity) <= set(claims.registers), "identity that is no register")
        must(all(is_address(asked.url) for asked in requests(document)), "a strange address")
        held = Collateral(items=tuple(service.collateral() for service in simulated()))
        platform.genuine(document, (), held, NOW)


def _seeds() -> Iterable[bytes]:
    maa, gcs, ita, nras = simulated()
    claims = (
        *((maa, read(NONCE)) for read in (said.maa_sgx, said.maa_snp, said.maa_tdx)),
        (maa, said.maa_azurevm(NONCE)),
        (gcs, said.gcs(NONCE)),
        *((ita, read(NONCE)) for read in (said.ita_sgx, said.ita_tdx)),
        (nras, said.gpu()),
    )
    for service, what in claims:
        yield service.token(what, NOW)
        yield json.dumps({"iss": service.iss, **what}).encode()
    yield gcs.token(said.gcs(NONCE), NOW, certified=True)
    yield bundle(nras, {"GPU-0": said.gpu()}, NOW, nonce=NONCE)
    yield from vectors("tokens/*.jwt", "nvidia/eat-h100-v3.bundle.json")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    words=(b'"iss":"', b'"dbgstat":', b'"exp":', b'"submods":', b'[["JWT","', b"eyJ", b'"tdx":{'),
)
