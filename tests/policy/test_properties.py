"""Policies against claims, drawn at random, beside an answer that is computed another way."""

from datetime import timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.platforms.nitro.forge import NOW

from troth.model.check import Outcome, Waiver
from troth.model.claims import Claims
from troth.model.report import Verdict, decide
from troth.model.roots import RootClass
from troth.policy import Policy
from troth.policy.appraise import Expectation, checks, required

A, B = "0a" * 48, "0b" * 48
NAMES = ("pcr0", "pcr1", "pcr16")
SECONDS = st.sampled_from([-61, -60, -1, 0, 1, 299, 300, 301, 3600, 3601])
AGES = st.sampled_from([None, None, timedelta(seconds=1), timedelta(hours=1)])
NONCES = st.sampled_from([None, b"nonce-one", b"nonce-two"])
KEYS = st.sampled_from([None, None, b"key one", b"key two"])
BINDINGS = st.sampled_from([None, None, bytes(64), b"\1" * 64])
VALUES = st.sampled_from([A, A, A, B])

CLAIMS = st.builds(
    lambda registers, before, **rest: Claims(
        platform="nitro",
        registers=registers,
        identity=tuple(registers),
        timestamp=NOW - timedelta(seconds=before),
        instance="i",
        **rest,
    ),
    registers=st.fixed_dictionaries({"pcr0": VALUES, "pcr1": VALUES}, optional={"pcr16": VALUES}),
    before=SECONDS,
    debug=st.sampled_from([False, False, False, True]),
    nonce=NONCES,
    user_data=BINDINGS,
    public_key=KEYS,
)
POLICIES = st.builds(
    Policy,
    name=st.just("drawn"),
    registers=st.one_of(
        st.fixed_dictionaries(
            {
                "nitro": st.fixed_dictionaries(
                    {n: st.sampled_from([frozenset({A}), frozenset({A, B})]) for n in NAMES[:2]},
                    optional={"pcr16": st.just(frozenset({A}))},
                )
            }
        ),
        st.sampled_from(
            [{}, {"nitro": {"pcr0": frozenset({A})}}, {"tdx": {"mrtd": frozenset({A})}}]
        ),
    ),
    max_age=AGES,
    roots_allow=st.sampled_from([frozenset(RootClass), frozenset({RootClass.VENDOR})]),
    require_key=st.booleans(),
    unreviewed=st.sampled_from([False, False, False, True]),
    expires=st.sampled_from([None, None, NOW, NOW - timedelta(seconds=1)]),
)
EXPECTATIONS = st.builds(
    Expectation,
    nonce=NONCES,
    key=KEYS,
    binding=BINDINGS,
    waive=st.sampled_from([frozenset(), frozenset(), frozenset(), *({w} for w in Waiver)]),
)
ROOTS = st.sampled_from([RootClass.VENDOR, RootClass.VENDOR, RootClass.DEVELOPMENT, None])


def in_order(policy: Policy, claims: Claims, want: Expectation, root: RootClass | None) -> bool:
    """Whether a careful person says yes, without looking at single checks."""
    pinned = dict(policy.registers.get("nitro", {}))
    image = bool(pinned) and all(claims.registers.get(n) in v for n, v in pinned.items())
    image = image and set(claims.identity) <= set(pinned)
    assert claims.timestamp is not None
    age = NOW - claims.timestamp
    answered = want.nonce is not None and claims.nonce == want.nonce
    young = age <= (policy.max_age or timedelta(minutes=5)) or (answered and not policy.max_age)
    return (
        not want.waive
        and not claims.debug
        and image
        and root in policy.roots_allow
        and not policy.unreviewed
        and (policy.expires is None or policy.expires >= NOW)
        and young
        and age >= timedelta(minutes=-1)
        and (want.nonce is None or answered)
        and (want.binding is None or claims.user_data == want.binding)
        and (claims.public_key == want.key if want.key else not policy.require_key)
    )


GOOD: dict[str, Any] = {
    "policy": Policy(name="p", registers={"nitro": {n: frozenset({A}) for n in NAMES[:2]}}),
    "claims": Claims(
        platform="nitro",
        registers={"pcr0": A, "pcr1": A},
        identity=("pcr0", "pcr1"),
        debug=False,
        timestamp=NOW,
        instance="i",
        nonce=None,
        user_data=None,
        public_key=None,
    ),
    "want": Expectation(),
    "root": RootClass.VENDOR,
}


@settings(max_examples=400)
@given(policy=POLICIES, claims=CLAIMS, want=EXPECTATIONS, root=ROOTS)
@example(**GOOD)
def test_the_checks_say_what_a_careful_person_says(
    policy: Policy, claims: Claims, want: Expectation, root: RootClass | None
) -> None:
    found = list(checks(policy, claims, want, root_class=root, at=NOW))
    needed = required(policy, want, claims.platform)
    verdict = decide(found, needed)
    assert (verdict is Verdict.ACCEPTED) == in_order(policy, claims, want, root)
    # Nothing passes that is not also required, so nothing that passes can be left out unseen.
    assert {c.code.id for c in found if c.outcome is Outcome.PASSED} <= {c.id for c in needed}
    if want.waive:
        assert verdict is not Verdict.ACCEPTED
    if claims.debug:
        assert verdict is Verdict.REJECTED
    for check in found:
        left = [c for c in found if c.code is not check.code]
        if check.code in needed:
            assert decide(left, needed) is not Verdict.ACCEPTED
