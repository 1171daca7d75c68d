"""Which keys may have signed a token? Those that the caller's key sets hold under its name.

A key set is collateral like any other: bytes, not believed, and it may come from whoever made the
token. Whether a key of it counts is asked of the roots, in `anchor.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from troth.crypto import jws
from troth.errors import Malformed
from troth.model.collateral import Collateral, Item
from troth.model.collateral import name as item_name
from troth.platforms.tokens.format import Token
from troth.platforms.tokens.issuers import Issuer
from troth.wire import jose, x509


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A key under the token's name for it.

    Attributes:
        spki: SubjectPublicKeyInfo, DER; empty where it cannot be read.
        x5c: DER of its certificates, the key's own first.
        source: name of the item that it was in, or words for the header.
        refused: why it must not be used, in words; empty if it may.
    """

    spki: bytes
    x5c: tuple[bytes, ...]
    source: str
    refused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the key sets hold for a token.

    Attributes:
        candidates: keys under its name, each once.
        sets: how many key sets of the issuer could be read.
        trouble: why one could not, in words; empty where all could.
    """

    candidates: tuple[Candidate, ...]
    sets: int
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """An issuer's key sets at hand, read.

    Attributes:
        by_kid: name to the keys of that name, each with the item that it was in.
        count: how many could be read.
        trouble: why one could not, in words; empty where all could.
    """

    by_kid: Mapping[str, Sequence[tuple[jose.Jwk, Item]]]
    count: int
    trouble: str


def gather(issuer: Issuer, collateral: Collateral) -> Sets:
    """All key sets of an issuer, each read once for however many tokens."""
    count, troubles = 0, []
    by_kid: dict[str, list[tuple[jose.Jwk, Item]]] = {}
    for item in collateral.of(issuer.keys):
        try:
            keys = jose.read_set(item.data)
        except Malformed as error:
            troubles.append(f"{item_name(item)}: {error}")
            continue
        count += 1
        for key in keys:
            by_kid.setdefault(key.kid, []).append((key, item))
    return Sets(by_kid=by_kid, count=count, trouble="; ".join(troubles))


def find(token: Token, sets: Sets) -> Found:
    """The keys that the token's header names; those of its own certificates where its kind has them."""
    if token.issuer.certified and "x5c" in token.jws.header:
        return _certified(token)
    found: dict[tuple[bytes, tuple[bytes, ...]], Candidate] = {}
    for candidate in _named(token, sets):
        found.setdefault((candidate.spki, candidate.x5c), candidate)
    return Found(candidates=tuple(found.values()), sets=sets.count, trouble=sets.trouble)


def of_set(issuer: Issuer, data: bytes) -> tuple[tuple[jose.Jwk, str], ...]:
    """Each key of a set, and why it must not be used with this issuer, in words.

    Raises:
        Malformed: it is no key set.
    """
    return tuple((key, _refused(issuer, key)) for key in jose.read_set(data))


def _named(token: Token, sets: Sets) -> Iterator[Candidate]:
    """The keys of this name that are for this algorithm, or do not say for which."""
    if not token.jws.kid:
        return
    for key, item in sets.by_kid.get(token.jws.kid, ()):
        if key.alg in ("", token.issuer.alg):
            yield Candidate(
                spki=key.spki,
                x5c=key.x5c,
                source=item_name(item),
                refused=_refused(token.issuer, key) or _anothers(token, key),
            )


def _anothers(token: Token, key: jose.Jwk) -> str:
    """Azure's enclaves name in the certificate of their own key the tenant that it is for."""
    if not key.x5c:
        return ""
    name = x509.common_name(x509.read(key.x5c[0]).subject)
    return f"is {name!r:.80}'s" if name.startswith("https://") and name != token.iss else ""


def _refused(issuer: Issuer, key: jose.Jwk) -> str:
    return key.trouble or jws.refused(issuer.alg, key.spki)


def _certified(token: Token) -> Found:
    """The key of the header's first certificate. It counts by a root alone, see `anchor.py`."""
    try:
        x5c = jose.chain(token.jws.header["x5c"], "token.header.x5c")
        spki = x509.read(x5c[0]).key
    except Malformed as error:
        return Found(candidates=(), sets=1, trouble=str(error))
    candidate = Candidate(
        spki=spki,
        x5c=x5c,
        source="the token's own certificates",
        refused=jws.refused(token.issuer.alg, spki),
    )
    return Found(candidates=(candidate,), sets=1)
