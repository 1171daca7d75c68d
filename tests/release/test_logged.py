"""Files in a log: which entry makes them an app's, and all that keeps one from doing so."""

from datetime import timedelta
from typing import Any

import pytest
from tests.tlog.governed import (
    ANNA,
    BERT,
    DAY,
    HOUR,
    NOW,
    OTHER,
    STRANGER,
    WITNESSES,
    World,
    artifacts,
    freeze,
    release,
    revoke,
    signed,
    terms,
)

from troth.model.governed import Governed, Standing
from troth.release.logged import Judged, Outcome, judge
from troth.tlog import governance, snapshot

((NAME, SHA256),) = artifacts().files.items()
AGE = timedelta(hours=24)


def state(world: World, **changes: Any) -> Governed:
    asked = terms(**{"notice": timedelta(0)} | changes)
    opened = snapshot.opened(world.pack(), log=asked.log, witnesses=asked.witnesses)
    return governance.state(governance.read(opened, asked), NOW)


def of(world: World, *, name: str = NAME, sha256: str = SHA256, **changes: Any) -> Judged:
    return judge(state(world, **changes), name=name, sha256=sha256, at=NOW, max_age=AGE)


def seen(*entries: bytes) -> World:
    return World().add(*entries).seen(NOW - 10 * DAY).add(signed(release())).seen(NOW - HOUR)


def test_a_file_that_its_owners_wrote_down() -> None:
    found = of(seen(signed(artifacts())))
    assert found.outcome is Outcome.LOGGED
    assert found.outcome.exit_code == 0
    assert found.entry is not None
    assert (found.entry.index, found.entry.signed, found.entry.version) == (0, 2, "1.0")
    assert found.entry.known_since == NOW - 10 * DAY
    assert (found.entry.sbom_sha256, found.entry.provenance_sha256) == ("1b" * 32, "1c" * 32)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"sha256": "00" * 32}, "gives auction-1.0-py3-none-any.whl another"),
        ({"name": "auction-1.1-py3-none-any.whl"}, "does so under another name"),
        ({"name": "x.whl", "sha256": "00" * 32}, "no entry of auction"),
        ({"app": "shop"}, "no entry of shop"),
    ],
)
def test_a_file_that_nobody_wrote_down(asked: Any, why: str) -> None:
    found = of(seen(signed(artifacts())), **asked)
    assert (found.outcome, found.entry) == (Outcome.REFUSED, None)
    assert why in found.why


@pytest.mark.parametrize("by", [(ANNA,), (STRANGER,), (ANNA, STRANGER), (ANNA, ANNA)])
def test_too_few_owners(by: Any) -> None:
    found = of(seen(signed(artifacts(), *by)))
    assert found.outcome is Outcome.REFUSED
    # A note that one key signed twice is none.
    assert ("no entry of" if by == (ANNA, ANNA) else "of the 2 owners") in found.why


def test_what_an_image_s_entry_names_is_no_file() -> None:
    image = release(image_sha256=SHA256)
    assert of(seen(signed(image))).outcome is Outcome.REFUSED
    log = state(seen(signed(artifacts())))
    assert [r.index for r in log.releases] == [1]  # and no measurement counts because of a file
    assert [one.index for one in log.artifacts] == [0]


def test_what_is_revoked_stays_so_until_it_is_released_anew() -> None:
    made, gone = signed(artifacts()), signed(revoke(artifacts()))
    found = of(seen(made, gone))
    assert found.outcome is Outcome.REFUSED
    assert "revoked it: a hole" in found.why
    assert of(seen(made, gone, made)).outcome is Outcome.REFUSED  # a copy
    other = signed(artifacts(version="1.0 again"))
    assert of(seen(other, made, gone)).outcome is Outcome.REFUSED  # the same file, logged before
    assert of(seen(made, gone, other)).outcome is Outcome.LOGGED
    assert of(seen(made, signed(revoke(artifacts()), ANNA))).outcome is Outcome.LOGGED
    assert of(seen(made, signed(revoke(artifacts()), ANNA, STRANGER))).outcome is Outcome.LOGGED


def test_what_is_revoked_is_so_under_every_name() -> None:
    alias = signed(artifacts(files={"auction-1.0-1-py3-none-any.whl": SHA256}))
    made, gone = signed(artifacts()), signed(revoke(artifacts()))
    found = of(seen(made, alias, gone), name="auction-1.0-1-py3-none-any.whl")
    assert found.outcome is Outcome.REFUSED
    assert "revoked it: a hole" in found.why
    assert of(seen(made, gone, alias), name="auction-1.0-1-py3-none-any.whl").outcome is (
        Outcome.LOGGED
    )


def test_what_is_revoked_stays_so_under_another_name() -> None:
    other = signed(artifacts(files={"other.whl": SHA256}))
    assert of(seen(other, signed(artifacts())), name="other.whl").outcome is Outcome.LOGGED
    found = of(seen(other, signed(artifacts()), signed(revoke(artifacts()))), name="other.whl")
    assert found.outcome is Outcome.REFUSED
    assert "revoked it: a hole" in found.why


def test_after_the_code_is_frozen_no_file_counts() -> None:
    assert of(seen(signed(freeze("code")), signed(artifacts()))).outcome is Outcome.REFUSED
    assert of(seen(signed(artifacts()), signed(freeze("code")))).outcome is Outcome.LOGGED


def test_notice_and_witnesses() -> None:
    made = signed(artifacts())
    waiting = of(World().add(made).seen(NOW - HOUR), notice=72 * HOUR)
    assert waiting.outcome is Outcome.REFUSED
    assert "it counts from" in waiting.why
    for times in ((NOW - HOUR, None, None), (None, None, None), (NOW + DAY, NOW + DAY, NOW + DAY)):
        assert of(World().add(made).seen(*times)).outcome is Outcome.UNDECIDED
    late = of(World().add(made).seen(NOW - 2 * DAY))
    assert late.outcome is Outcome.UNDECIDED
    assert late.outcome.exit_code == 4
    assert "may be frozen" in late.why
    # Known, but nobody says that the newest checkpoint is one.
    log = World().add(made).seen(NOW - DAY / 2).add(signed(release())).seen(None, of=WITNESSES)
    assert of(log).outcome is Outcome.UNDECIDED


def test_each_is_listed_as_it_stands() -> None:
    log = state(
        seen(signed(artifacts()), signed(artifacts(version="2"), ANNA), signed(revoke(artifacts())))
    )
    assert [(one.version, one.standing) for one in log.artifacts] == [
        ("1.0", Standing.REVOKED),
        ("2", Standing.UNSIGNED),
    ]
    assert log.ignored == ("entry 1 is signed by 1 of the 2 owners that it needs",)
    named = release({"nitro": OTHER}, version="x")
    assert state(seen(signed(named))).artifacts == ()
    assert signed(artifacts(), ANNA, BERT) == signed(artifacts())
