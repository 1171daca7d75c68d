"""JWK sets as they lie in files: read, named as roots, and looked through for enclaves' quotes."""

from collections.abc import Iterable

from fuzz.target import Target, attempt, must
from fuzz.targets.token import simulated
from fuzz.vectors import vectors
from troth.platforms.tokens.collateral import kind, named
from troth.platforms.tokens.inner import inner
from troth.wire import jose


def _run(data: bytes) -> None:
    attempt(inner, data)
    keys = jose.read_set(data)
    must(all(bool(key.spki) != bool(key.trouble) for key in keys), "a key without a reason")
    roots = named(data, kind(data), source="a fuzzer")
    must(len(roots) <= len(keys), "more roots than keys")


def _seeds() -> Iterable[bytes]:
    for service in simulated():
        yield service.key_set()
    yield from vectors("tokens/*.jwks.json")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=48 * 1024,
    words=(b'"keys":[', b'"kty":"RSA"', b'"x5c":[', b'"crv":"P-384"', b'"d":"AA"', b'"use":"sig"'),
)
