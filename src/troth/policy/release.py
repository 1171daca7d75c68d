"""Releases in a log: which one names what runs, and does it count? Claims and a log's state to checks."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from troth.model.check import Check, failed, passed, stamp, undecided
from troth.model.claims import Claims
from troth.model.codes import Code
from troth.model.codes.measurement import M201
from troth.model.codes.policy import P106
from troth.model.codes.released import M501, M503, M504, M505, M506, M507, M508, M509
from troth.model.governed import Governed, Logged, Standing
from troth.policy import guest
from troth.policy.appraise import left_to_release
from troth.policy.document import Policy

REQUIRED: Final[tuple[Code, ...]] = (M503, M504, M505)
"""What must be answered for acceptance, beside that a release was found."""
_CODES: Final = {
    Standing.WAITING: M507,
    Standing.UNSEEN: M507,
    Standing.UNSIGNED: M506,
    Standing.FROZEN: M509,
    Standing.REVOKED: M508,
}
_NEAR: Final = (Standing.WAITING, Standing.UNSEEN, Standing.FROZEN)


def current(policy: Policy, state: Governed, at: datetime) -> Iterator[Check]:
    """Whether enough witnesses have seen the log, and not long ago."""
    presented = f"{state.witnessed} of {state.witnesses}"
    seen = state.witnessed_at
    make = undecided if seen is None else passed
    expected = f"at least {state.witness_threshold}"
    yield make(M504, state.log, presented=presented, expected=expected, source=policy.name)
    limit = timedelta(0) if policy.release is None else policy.release.max_checkpoint_age
    if seen is None:
        return
    make = passed if at - seen <= limit else undecided
    expected = f"{stamp(at)}, or at most {int(limit.total_seconds())} s before"
    yield make(M505, state.log, presented=stamp(seen), expected=expected, source=policy.name)


def choose(policy: Policy, state: Governed, parts: Sequence[Claims]) -> tuple[Check, Logged | None]:
    """The one release that names all that runs, and the check that says so; or why there is none.

    Args:
        policy: what it pins beside the release is asked elsewhere.
        state: of the app's log at the instant.
        parts: the claims of all parts of the evidence.

    Returns:
        The check, and the release if it counts: with another outcome than passed there is none.
    """
    true = [release for release in state.releases if _is_true_of(release, parts)]
    named = [release for release in true if _names(policy, release, parts)]
    # A revocation means code, and not an entry: copies logged before it are meant as well, and releases that say more
    # of the same code. What too few owners signed says nothing of any code.
    gone = [r for r in true if r in named or r.signed >= state.owner_threshold]
    last = max((r.revoked_at for r in gone if r.revoked_at is not None), default=-1)
    for release in reversed(named):
        if release.standing is Standing.ACTIVE and release.index > last:
            text = f"{_called(release)}, signed by {release.signed} of {state.owners} owners"
            return passed(M501, state.app, presented=text, source=state.log), release
    if not named:
        why = f"releases of {state.app} in the log: {len(state.releases)}; none names all of it"
        return failed(M501, state.app, presented="none", source=state.log, why=why), None
    return _barred(state, named, gone, last), None


def registers(policy: Policy, state: Governed, release: Logged, claims: Claims) -> Iterator[Check]:
    """A check for each register of a part that the release names."""
    source = f"release {release.version} in {state.log}"
    for name, allowed in release.measurements[claims.platform].items():
        expected = " or ".join(sorted(allowed))
        presented = claims.registers.get(name, "absent")
        make = passed if presented in allowed else failed
        yield make(M201, name, presented=presented, expected=expected, source=source)
    if left_to_release(policy, claims.platform):
        yield passed(P106, "platform", presented=claims.platform, source=source)


def _names(policy: Policy, release: Logged, parts: Sequence[Claims]) -> bool:
    """Whether it names all that identifies code, of every part of a platform that it names."""
    return all(
        set(guest.code(policy, claims)) <= set(release.measurements[claims.platform])
        for claims in parts
        if claims.platform in release.measurements
    )


def _is_true_of(release: Logged, parts: Sequence[Claims]) -> bool:
    """Whether all that it names is so, of every part of a platform that it names, and one at least."""
    mine = [claims for claims in parts if claims.platform in release.measurements]
    return bool(mine) and all(
        claims.registers.get(name) in allowed
        for claims in mine
        for name, allowed in release.measurements[claims.platform].items()
    )


def _barred(state: Governed, named: Sequence[Logged], gone: Sequence[Logged], last: int) -> Check:
    """Why no release that names the code counts: of several the one that comes nearest."""
    near = [r for r in named if r.index > last and r.standing in _NEAR]
    revoked = [r for r in gone if r.revoked_at is not None and r.revoked_at == last]
    nearest = sorted(near, key=lambda r: _NEAR.index(r.standing))
    most = sorted(named, key=lambda r: -r.signed)
    release = (*nearest, *revoked, *most)[0]
    code, needs = _CODES[release.standing], state.owner_threshold
    match release.standing:
        case Standing.UNSIGNED:
            expected, why = f"signed by {needs} owners", f"signed by {release.signed}"
        case Standing.WAITING:
            expected, why = "a release that is active", _when(release)
        case Standing.UNSEEN:
            expected = "a release that is active"
            why = "too few witnesses say since when it is known"
        case Standing.FROZEN:
            entry = next((f.index for f in state.frozen if f.what == "code"), -1)
            expected, why = "a release from before the freeze", f"entry {entry} froze the code"
        case _:
            expected = "a release that is not revoked"
            why = f"entry {last} revoked it: {release.why}"
    make = undecided if release.standing is Standing.UNSEEN else failed
    return make(
        code, state.app, presented=_called(release), expected=expected, source=state.log, why=why
    )


def _when(release: Logged) -> str:
    known = f"known since {stamp(release.known_since)}, " if release.known_since else ""
    return f"{known}active at {stamp(release.active_from) if release.active_from else 'no time'}"


def _called(release: Logged) -> str:
    return f"release {release.version}, entry {release.index}"
