"""Is a token genuine? Algorithm, header, key, root, signature, time; for a bundle every token of it.

Does not verify: that what the service says is true. It looked at the evidence, and we did not: claims of
a token are the service's word, and the report says so.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from troth.crypto import issued, jws
from troth.model.check import Check, failed, passed, stamp, undecided
from troth.model.codes.fresh import R105, R201
from troth.model.codes.genuine import G101, G102, G103, G104, G105, G701, G702, G704
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness
from troth.model.roots import Root, RootClass
from troth.platforms._review import review
from troth.platforms.tokens import anchor, jwks
from troth.platforms.tokens.anchor import Anchor
from troth.platforms.tokens.format import Bundle, Document, Token
from troth.platforms.tokens.issuers import MAA
from troth.platforms.tokens.jwks import Candidate, Found, Sets

CLOCK_SKEW: Final = timedelta(minutes=1)
LONGEST_LIFE: Final = timedelta(days=1)

_HEADER: Final = frozenset({"alg", "kid", "typ", "jku", "x5t", "x5t#S256"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The least of several roots is what a verdict rests on.
_WEAKEST_FIRST: Final = (RootClass.DEVELOPMENT, RootClass.ADDED, RootClass.VENDOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """What was found of the key that a token names."""

    found: Found
    chosen: Candidate | None
    anchor: Anchor
    ambiguous: bool


def genuine(
    document: Document, roots: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    """Takes every step for each token, and goes on after a failure wherever going on has meaning.

    Args:
        document: parsed, not believed.
        roots: those that count; a key itself may be one.
        collateral: the issuer's key sets; of others nothing is used.
        at: the instant of judgement, aware.
    """
    checks: list[Check] = []
    classes: list[RootClass | None] = []
    used: dict[str, None] = {}
    first = next(iter(document.tokens.values()))  # all are of one issuer
    sets = jwks.gather(first.issuer, collateral)
    # A bundle's tokens name one key, as a rule, and whoever made it may have put thousands under that name.
    seen: dict[tuple[str, str], _Key] = {}
    for name, token in document.tokens.items():
        head = "" if name == "token" else f"{name}: "
        asked = (token.iss, token.jws.kid)
        key = seen[asked] = seen.get(asked) or _key(token, roots, sets)
        checks += _token(token, key, head, at)
        classes.append(key.anchor.root_class)
        if key.chosen is not None and collateral.of(token.issuer.keys):
            used[key.chosen.source] = None
    if isinstance(document, Bundle):
        checks.append(_detached(document))
    names = [name for name in used if not name.startswith("the token")]
    return Genuineness(
        checks=tuple(checks), root_class=_weakest(classes), collateral=tuple(names), notes=_notes()
    )


def _token(token: Token, key: _Key, head: str, at: datetime) -> Iterator[Check]:
    yield _algorithm(token, head)  # (1)
    yield _header(token, head)  # (2)
    yield _usable(token, key, head)  # (3)
    yield _root(key, head)  # (4)
    yield review(key.anchor.root, at)  # (5)
    yield from _path(key, head, at)  # (6)
    yield _signature(token, key, head)  # (7)
    yield _window(token, head, at)  # (8)


def _key(token: Token, roots: Sequence[Root], sets: Sets) -> _Key:
    """The key that counts, of those under the token's name; else any, to say more.

    Who made the token may have made one of the key sets. So a key that no root names is no reason to
    leave one aside that a root does name.
    """
    found = jwks.find(token, sets)
    anchors = [(one, anchor.anchor(one, roots)) for one in found.candidates]
    counting = [pair for pair in anchors if pair[1].root is not None]
    chosen, why = next(iter(counting or anchors), (None, Anchor(root=None)))
    return _Key(
        found=found,
        chosen=chosen,
        anchor=why,
        ambiguous=len({one.spki for one, _ in counting}) > 1,
    )


def _algorithm(token: Token, head: str) -> Check:
    presented = token.jws.header.get("alg")
    make = passed if presented == token.issuer.alg else failed
    return make(
        G105,
        f"{head}alg",
        presented=f"{presented!r:.40}" if not isinstance(presented, str) else presented[:40],
        expected=token.issuer.alg,
        source=f"{token.issuer.title} signs with nothing else",
    )


def _header(token: Token, head: str) -> Check:
    header = token.jws.header
    certified = token.issuer.certified and "x5c" in header
    strange = sorted(header.keys() - _HEADER - ({"x5c"} if certified else set()))
    wrong = [f"it has {name[:40]!r}" for name in strange]
    if header.get("typ", "JWT") != "JWT":
        wrong.append("its type is not 'JWT'")
    if not certified and not token.jws.kid:
        wrong.append("it names no key (kid)")
    if token.issuer is MAA and header.get("jku", f"{token.iss}/certs") != f"{token.iss}/certs":
        wrong.append("its jku is not its issuer's")
    why = "; ".join(wrong)
    if not wrong and "jku" in header:
        why = "its jku is not followed"
    make = failed if wrong else passed
    presented = ", ".join(sorted(header))[:200]
    return make(G701, f"{head}header", presented=presented, why=why)


def _usable(token: Token, key: _Key, head: str) -> Check:
    subject = f"{head}key"
    kid = f"kid {token.jws.kid[:120]!r}" if token.jws.kid else "no kid"
    if key.ambiguous:
        why = "two keys of this name count, and only one can be the service's"
        return failed(G702, subject, presented=kid, why=why)
    if key.chosen is not None:
        if key.chosen.refused:
            why = f"the key {key.chosen.refused}"
            return failed(G702, subject, presented=kid, source=key.chosen.source, why=why)
        return passed(G702, subject, presented=kid, source=key.chosen.source)
    if key.found.trouble and (key.found.sets == 0 or "x5c" in token.jws.header):
        return failed(G702, subject, presented=kid, why=key.found.trouble)
    if key.found.sets == 0:
        why = f"no key set of {token.issuer.title} is at hand"
    else:
        why = f"none of the {key.found.sets} key sets at hand has this key; services change keys often"
    return undecided(R201, subject, presented=kid, why=why)


def _root(key: _Key, head: str) -> Check:
    subject = f"{head}root"
    chosen, why = key.chosen, key.anchor
    if chosen is None or not chosen.spki:
        return undecided(G101, subject, why="there is no key")
    own = f"key sha256 {hashlib.sha256(chosen.spki).hexdigest()}"
    if why.root is not None:
        presented = own if why.named else f"key sha256 {why.top}"
        note = "you named this key itself" if why.named else ""
        return passed(G101, subject, presented=presented, source=why.root.source, why=note)
    expected = "a root you trust, or a key that you name"
    if why.trouble:
        return failed(G101, subject, presented=own, expected=expected, why=why.trouble)
    if why.alone:
        note = (
            "nobody vouches for this key; that of a key set counts where you name the set (--trust)"
        )
        return undecided(G101, subject, presented=own, expected=expected, why=note)
    note = "its certificates end at a key that nobody named"
    return failed(G101, subject, presented=f"key sha256 {why.top}", expected=expected, why=note)


def _path(key: _Key, head: str, at: datetime) -> Iterator[Check]:
    subject = f"{head}certificates"
    why = key.anchor
    if why.root is None:
        note = "they end at no root you trust"
        yield undecided(G102, subject, why=note)
        yield undecided(G103, subject, why=note)
        return
    if why.named:
        note = "the key is named itself, and needs none"
        yield passed(G102, subject, why=note)
        yield passed(G103, subject, why=note)
        return
    found = anchor.problems(why)
    presented = f"{len(why.path)} certificates"
    if found:
        yield failed(G102, subject, presented=presented, why="; ".join(found))
    else:
        yield passed(G102, subject, presented=presented)
    ended = issued.not_valid(why.path, at)
    expected = f"valid at {stamp(at)}"
    make = failed if ended else passed
    yield make(G103, subject, presented="; ".join(ended), expected=expected)


def _signature(token: Token, key: _Key, head: str) -> Check:
    subject = f"{head}signature"
    if not token.jws.signature:
        return failed(G104, subject, presented="none", why="the token is not signed")
    if key.chosen is None or not key.chosen.spki:
        return undecided(G104, subject, why="there is no key")
    wrong = jws.verify(token.issuer.alg, key.chosen.spki, token.jws.signature, token.jws.signed)
    return failed(G104, subject, why=wrong) if wrong else passed(G104, subject)


def _window(token: Token, head: str, at: datetime) -> Check:
    ends, begins, made = (_instant(token.claims, name) for name in ("exp", "nbf", "iat"))
    wrong = []
    if ends is None or made is None:
        wrong.append("it does not say when it was made and when it ends")
    else:
        if at >= ends:
            wrong.append("it has ended")
        if ends - made > LONGEST_LIFE:
            wrong.append("it lives longer than a day")
        if ends <= made:
            wrong.append("it ends before it was made")
    for name, instant in (("iat", made), ("nbf", begins)):
        if instant is not None and instant - at > CLOCK_SKEW:
            wrong.append(f"it is not yet valid ({name})")
    make = failed if wrong else passed
    return make(
        R105,
        f"{head}window",
        presented=f"{_said(begins or made)} to {_said(ends)}",
        expected=f"valid at {stamp(at)}",
        why="; ".join(wrong),
    )


def _detached(bundle: Bundle) -> Check:
    """The digests in the signed token are over the letters of the others: all of them, and no more."""
    named = bundle.overall.claims.get("submods")
    expected = {
        name: ["DIGEST", ["SHA-256", hashlib.sha256(token.jws.text).hexdigest()]]
        for name, token in bundle.devices.items()
    }
    if named == expected:
        return passed(G704, "submods", presented=", ".join(sorted(expected)))
    names = set(named) if isinstance(named, dict) else set()
    wrong = [f"{name} is missing" for name in sorted(names - expected.keys())]
    wrong += [f"{name} is not named" for name in sorted(expected.keys() - names)]
    wrong += [
        f"the digest of {name} is another"
        for name in sorted(names & expected.keys())
        if isinstance(named, dict) and named[name] != expected[name]
    ]
    why = "; ".join(wrong) or "it names none"
    return failed(G704, "submods", presented=", ".join(sorted(names))[:400], why=why[:800])


def _weakest(classes: Iterable[RootClass | None]) -> RootClass | None:
    found = set(classes)
    if None in found:
        return None
    return next((one for one in _WEAKEST_FIRST if one in found), None)


def _instant(claims: Mapping[str, Any], name: str) -> datetime | None:
    return _EPOCH + timedelta(seconds=claims[name]) if name in claims else None


def _said(at: datetime | None) -> str:
    return "none" if at is None else stamp(at)


def _notes() -> tuple[str, ...]:
    return (
        "what a token says is its issuer's word: nobody here looked at the hardware's evidence",
    )
