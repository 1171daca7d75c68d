"""Claims to checks: does what the evidence says meet what was expected? Never sees bytes of evidence."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from troth.model.check import Check, Waiver, failed, passed, stamp, undecided, waived
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.codes.binding import B101, B201, B202, B301, B501
from troth.model.codes.fresh import R101, R102
from troth.model.codes.measurement import M101, M201, M202, M203
from troth.model.codes.policy import P101, P102, P103, P105, P106
from troth.model.codes.released import M501
from troth.model.roots import RootClass
from troth.policy import device, events, guest, says, tcb, vtpm
from troth.policy.document import DEFAULT_MAX_AGE, Policy
from troth.policy.requirements import Requirements

CLOCK_SKEW: Final = timedelta(minutes=1)
_ALWAYS: Final = (P101, P102, P103, P105, P106, M201, R101, R102)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What one caller expects of one piece of evidence, beside the policy.

    Attributes:
        nonce: the caller's nonce, or None if freshness is to come from the evidence's time.
        key: the public key that must be bound, or None.
        binding: the 64 bytes that `user_data` must be, or None.
        waive: expectations given up by name.
        user_data: what `user_data` must be for this to belong to what was presented beside it, or None.
        over_nonce: whether `user_data` was computed over the caller's nonce, which is then carried.
        fresh_by: another part of the evidence that is judged with this one, is signed by a key that
            this one names, and whose freshness is therefore this one's; or empty.
    """

    nonce: bytes | None = None
    key: bytes | None = None
    binding: bytes | None = None
    waive: frozenset[Waiver] = frozenset()
    user_data: bytes | None = None
    over_nonce: bool = False
    fresh_by: str = ""


def required(policy: Policy, expectation: Expectation, platform: str) -> tuple[Code, ...]:
    """The questions that must be answered for acceptance under this policy and expectation."""
    asked = policy.asks(platform)
    codes = [*_ALWAYS, *tcb.required(asked, platform), *guest.required(asked, platform)]
    codes += device.required(asked, platform)
    codes += vtpm.required(asked, platform)
    codes += (M501,) if policy.release is not None else ()
    codes += (*events.required(asked.events), *says.required(platform))
    if expectation.nonce is not None:
        codes.append(B101)
    if expectation.key is not None or policy.require_key or Waiver.KEY in expectation.waive:
        codes.append(B201)
    if expectation.binding is not None:
        codes.append(B301)
    if expectation.user_data is not None:
        codes.append(B501)
    return tuple(codes)


def checks(
    policy: Policy,
    claims: Claims,
    expectation: Expectation,
    *,
    root_class: RootClass | None,
    at: datetime,
    logged: bool = False,
) -> Iterator[Check]:
    """Every check of the policy, in a fixed order, also after one failed.

    Args:
        policy: what is required.
        claims: what the evidence and its event log say.
        expectation: what this caller expects beside it.
        root_class: of the root at which the chain ends.
        at: the instant of judgement.
        logged: whether an event log was given.
    """
    yield from _covered(policy, claims)
    yield _root_class(policy, root_class)
    yield _reviewed(policy)
    yield _in_force(policy, at)
    yield _not_debug(claims)
    source = policy.name if claims.platform in policy.requirements else "troth's defaults"
    yield from tcb.checks(policy.asks(claims.platform), claims, source=source, at=at)
    yield from guest.checks(policy, claims, source=source)
    asked = policy.asks(claims.platform)
    yield from says.checks(asked.says, asked.exact, claims, source=policy.name)
    yield from device.checks(policy.asks(claims.platform), claims, source=source)
    yield from vtpm.checks(policy.asks(claims.platform), claims, source=source)
    yield from _measurements(policy, claims, expectation)
    yield from events.checks(asked.events, claims, logged=logged, source=policy.name)
    yield _not_future(claims, at)
    yield _fresh(policy, claims, expectation, at)
    if expectation.nonce is not None:
        yield _nonce(claims, expectation.nonce)
    yield from _key(policy, claims, expectation)
    if expectation.binding is not None:
        yield _binding(claims, expectation.binding)
    if expectation.user_data is not None:
        yield _belongs(claims, expectation.user_data)


def covered(policy: Policy) -> tuple[str, ...]:
    """The platforms of which the policy says what may run there."""
    named = (p for p, asked in policy.requirements.items() if _named(p, asked))
    return tuple(dict.fromkeys((*policy.registers, *named)))


def left_to_release(policy: Policy, platform: str) -> bool:
    """Whether only a release in a log can say that this platform is meant.

    Where the policy says itself what may lead, a release brings in no other.
    """
    known = covered(policy)
    leads = [name for name in known if name not in policy.parts]
    asked = bool(known) and platform not in known and policy.release is not None
    return asked and (platform in policy.parts or not leads)


def _covered(policy: Policy, claims: Claims) -> Iterator[Check]:
    known = covered(policy)
    if left_to_release(policy, claims.platform):
        return  # it is answered once a release was found, and else stays open
    names = ", ".join(known) or "no platform in particular"
    if known and claims.platform not in known:
        yield failed(
            P106, "platform", presented=claims.platform, expected=names, source=policy.name
        )
    else:
        yield passed(P106, "platform", presented=claims.platform, source=policy.name)


def _named(platform: str, asked: Requirements) -> bool:
    """Whether versions alone say what runs, and the policy names them."""
    return device.names_image(asked) or says.identify(asked.says, platform)


def _root_class(policy: Policy, root_class: RootClass | None) -> Check:
    expected = " or ".join(sorted(policy.roots_allow))
    if root_class is None:
        return undecided(P102, "root", expected=expected, why="the chain ends at no root you trust")
    make = passed if root_class in policy.roots_allow else failed
    return make(P102, "root", presented=root_class, expected=expected, source=policy.name)


def _reviewed(policy: Policy) -> Check:
    make = undecided if policy.unreviewed else passed
    return make(P103, "policy", source=policy.name)


def _in_force(policy: Policy, at: datetime) -> Check:
    if policy.expires is None:
        return passed(P105, "policy", source=policy.name, why="the policy names no end")
    make = undecided if at > policy.expires else passed
    return make(P105, "policy", expected=f"before {policy.expires:%Y-%m-%d}", source=policy.name)


def _not_debug(claims: Claims) -> Check:
    if claims.debug:
        return failed(P101, "mode", presented="debug", expected="production")
    return passed(P101, "mode", presented="production")


def _measurements(policy: Policy, claims: Claims, expectation: Expectation) -> Iterator[Check]:
    if Waiver.MEASUREMENT in expectation.waive:
        yield waived(M201, "measurements", why="you gave up expecting an image")
        return
    for name, allowed in policy.registers.get(claims.platform, {}).items():
        presented = claims.registers.get(name)
        expected = " or ".join(sorted(allowed))
        if presented is None:
            yield failed(M202, name, presented="absent", expected=expected, source=policy.name)
        else:
            make = passed if presented in allowed else failed
            yield make(M201, name, presented=presented, expected=expected, source=policy.name)
    if policy.release is None:  # else what no release names is asked once all parts are known
        yield from unpinned(policy, claims)


def unpinned(policy: Policy, claims: Claims) -> Iterator[Check]:
    """A check for all that identifies code and of which the policy pins no value."""
    wanted = policy.registers.get(claims.platform, {})
    asked, left = policy.asks(claims.platform), guest.identity(policy, claims)
    if not wanted and not left and _named(claims.platform, asked):
        # Which of these versions it is, P301 and P207 ask; that it is what it says, the reference values tell.
        yield passed(M201, "measurements", source=policy.name, why="named by their versions")
        return
    if not wanted:
        yield undecided(M101, "measurements", presented=", ".join(claims.identity))
        return
    for name in left:
        if name not in wanted:
            why = events.instead(asked.events, claims, name)
            if claims.platform == device.PLATFORM:
                why = device.instead(asked, claims, name)
            yield undecided(
                M203, name, presented=claims.registers[name], source=policy.name, why=why
            )


def _not_future(claims: Claims, at: datetime) -> Check:
    if claims.timestamp is None:
        return passed(R102, "timestamp", why="this platform's evidence carries no time")
    presented = stamp(claims.timestamp)
    make = failed if claims.timestamp - at > CLOCK_SKEW else passed
    expected = f"at most {stamp(at)} + 1 min"
    return make(R102, "timestamp", presented=presented, expected=expected)


def _fresh(policy: Policy, claims: Claims, expectation: Expectation, at: datetime) -> Check:
    if Waiver.FRESHNESS in expectation.waive:
        return waived(R101, "freshness", why="you gave up expecting fresh evidence")
    if expectation.fresh_by:
        why = f"as fresh as {expectation.fresh_by}, signed by a key that this part names"
        return passed(R101, "freshness", why=why)
    by_nonce = expectation.nonce is not None and claims.carries(expectation.nonce)
    by_nonce |= expectation.over_nonce and claims.user_data == expectation.user_data is not None
    # A stated age is of the evidence's own time. Evidence without one was made after the nonce was drawn,
    # and nothing more can be known of its age.
    if by_nonce and (policy.max_age is None or claims.timestamp is None):
        return passed(R101, "freshness", why="it carries your nonce")
    limit = policy.max_age or DEFAULT_MAX_AGE
    source = policy.name if policy.max_age else "the default of five minutes"
    expected = f"at most {_seconds(limit)} old"
    if claims.timestamp is None:
        return undecided(R101, "freshness", expected=expected, why="the evidence carries no time")
    age = at - claims.timestamp
    make = failed if age > limit else passed
    # A clock may be ahead of ours by what R102 lets pass.
    ahead = age < -timedelta(seconds=0.5)
    presented = f"{_seconds(-age)} ahead of the instant" if ahead else f"{_seconds(abs(age))} old"
    return make(R101, "freshness", presented=presented, expected=expected, source=source)


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"


def _nonce(claims: Claims, nonce: bytes) -> Check:
    field = claims.user_data if claims.nonce_in_user_data else claims.nonce
    presented = "none" if field is None else field.hex()
    make = passed if claims.carries(nonce) else failed
    return make(B101, "nonce", presented=presented, expected=nonce.hex(), source="the caller")


def _key(policy: Policy, claims: Claims, expectation: Expectation) -> Iterator[Check]:
    presented = "none" if claims.public_key is None else claims.public_key.hex()
    if Waiver.KEY in expectation.waive:
        yield waived(B201, "public_key", presented=presented, why="you gave up expecting a key")
    elif expectation.key is not None:
        make = passed if claims.public_key == expectation.key else failed
        yield make(
            B201,
            "public_key",
            presented=presented,
            expected=expectation.key.hex(),
            source="the caller",
        )
    elif policy.require_key:
        yield undecided(B202, "public_key", presented=presented, source=policy.name)


def _binding(claims: Claims, binding: bytes) -> Check:
    presented = "none" if claims.user_data is None else claims.user_data.hex()
    make = passed if claims.user_data == binding else failed
    return make(
        B301, "user_data", presented=presented, expected=binding.hex(), source="this session"
    )


def _belongs(claims: Claims, user_data: bytes) -> Check:
    presented = "none" if claims.user_data is None else claims.user_data.hex()
    make = passed if claims.user_data == user_data else failed
    return make(
        B501,
        "user_data",
        presented=presented,
        expected=user_data.hex(),
        source="what was presented beside it",
    )
