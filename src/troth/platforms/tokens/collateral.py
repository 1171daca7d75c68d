"""Key sets: where each lies, whose a bare file is, and its keys as roots for a caller who names it.

Does not verify: that a key set is the service's. Nothing in it says so; see decision 0014.
"""

import hashlib
import re
from typing import Final

from troth.errors import Malformed
from troth.model.collateral import Kind, Request
from troth.model.roots import Root, RootClass
from troth.platforms.tokens import issuers
from troth.platforms.tokens.format import Document
from troth.platforms.tokens.issuers import ISSUERS, MAA, Issuer
from troth.platforms.tokens.roots import of_a_test_service
from troth.wire import jose

DEVELOPMENT_PREFIX: Final = "troth-development-"
"""What the name of each key of troth's simulators begins with."""

BY_KIND: Final[dict[Kind, Issuer]] = {issuer.keys: issuer for issuer in ISSUERS}
_EUROPE: Final = "https://portal.eu.trustauthority.intel.com"


def address(issuer: Issuer, iss: str) -> str:
    """Where the key set of an issuer lies, by the issuer's name that its pattern has matched whole."""
    if issuer is issuers.ITA and iss == _EUROPE:
        return f"{_EUROPE}/certs"
    return issuer.key_set.format(iss=iss)


def is_address(url: str) -> bool:
    """Whether this is where a key set of one of the services lies, and nothing else."""
    if url == f"{_EUROPE}/certs":
        return True
    if any(url == issuer.key_set for issuer in ISSUERS if issuer is not MAA):
        return True
    tenant = url.removesuffix("/certs")
    return tenant != url and MAA.iss.fullmatch(tenant) is not None


def requests(document: Document) -> tuple[Request, ...]:
    """The key sets in which the token's keys are to be looked for. Its own `jku` is not among them."""
    found: dict[Request, None] = {}
    for token in document.tokens.values():
        issuer = token.issuer
        if not (issuer.certified and "x5c" in token.jws.header):
            url = address(issuer, token.iss)
            found[Request(url=url, kind=issuer.keys, accept="application/json")] = None
    return tuple(found)


def kind(data: bytes) -> Kind:
    """Whose key set a bare file is, by the kinds of keys in it; a wrong guess finds no key, and no more.

    Raises:
        Malformed: it is no key set, or has no key of use.
    """
    keys = usable(data)
    if any(key.spki[:2] == b"\x30\x76" for key in keys):  # on P-384
        return Kind.NRAS_KEYS
    if any(key.alg == issuers.ITA.alg for key in keys):
        return Kind.ITA_KEYS
    return Kind.MAA_KEYS if any(key.x5c for key in keys) else Kind.GCS_KEYS


def named(data: bytes, which: Kind, *, source: str) -> tuple[Root, ...]:
    """Each key of a set as a root, for a caller who names the set: *added*, or *development*.

    Raises:
        Malformed: it is no key set, or has no key of use.
    """
    issuer = BY_KIND[which]
    found: dict[str, Root] = {}
    for key in usable(data):
        digest = hashlib.sha256(key.spki).hexdigest()
        simulated = key.kid.startswith(DEVELOPMENT_PREFIX) or of_a_test_service(key.x5c)
        found[digest] = Root(
            platform=issuer.name,
            sha256=digest,
            key_sha256=digest,
            root_class=RootClass.DEVELOPMENT if simulated else RootClass.ADDED,
            source=f"{source}: key {_word(key.kid)}",
        )
    return tuple(found.values())


def usable(data: bytes) -> tuple[jose.Jwk, ...]:
    """The keys of a set against which its own form does not speak.

    Raises:
        Malformed: it is no key set, or has none.
    """
    keys = tuple(key for key in jose.read_set(data) if not key.trouble)
    if not keys:
        raise Malformed("has no key that could be used", field="key set")
    return keys


def _word(kid: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+/=:-]", "?", kid)[:80] or "without a name"
