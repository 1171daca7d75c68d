"""A log in bundles, in files of collateral, and in other processes."""

import json
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.platforms.nitro.forge import document
from tests.tlog.governed import (
    DAY,
    HOUR,
    NOW,
    PCRS,
    WITNESSES,
    World,
    active,
    checkpoint,
    collateral,
    release,
    revoke,
    signed,
)
from tests.verifier.releases import judge, policy, wrong

import troth
from troth.crypto import merkle
from troth.errors import Malformed
from troth.model.report import Verdict
from troth.render.json import report_json
from troth.tlog import snapshot
from troth.tlog.checkpoint import Checkpoint, Signed
from troth.tlog.note import Note
from troth.tlog.snapshot import Opened
from troth.verifier import released


def test_many_at_once_and_in_other_processes() -> None:
    evidence, root = document()
    given = {"policy": policy(), "at": NOW, "trust": [root]}
    logs = collateral(active().pack())
    for processes in (1, 2):
        answers = troth.verify_many([evidence] * 3, **given, collateral=logs, processes=processes)
        found = [answer.verified().report.governed for answer in answers]
        assert all(one is not None and one.chosen is not None for one in found)


def test_a_bundle_takes_the_log_along() -> None:
    from troth.verifier import bundle as bundles

    evidence, root = document()
    given = collateral(active().pack())
    report = troth.appraise(evidence, policy=policy(), at=NOW, trust=[root], collateral=given)
    kept = bundles.used(given, report)
    packed = bundles.unpack(bundles.pack(bundles.Bundle(evidence=evidence, collateral=kept)))
    again = bundles.appraise_stored(packed, name="b", policy=policy(), now=NOW, trust=[root])
    assert wrong(again) == (Verdict.ACCEPTED, set())
    newer = collateral(active(signed(revoke(release()))).pack())
    own = bundles.appraise_stored(
        packed, name="b", policy=policy(), now=NOW, trust=[root], collateral=newer
    )
    assert wrong(own) == (Verdict.REJECTED, {"M508"})


def test_it_is_collateral_like_any_other(tmp_path: Path) -> None:
    """In a file of its own, frozen with others, and listed."""
    from troth.trust import collateral as files
    from troth.trust import stated

    data = active().pack()
    (tmp_path / "app.troth-log").write_bytes(data)
    for source in (tmp_path, tmp_path / "app.troth-log"):
        (item,) = files.load(source).items
        assert (item.kind, item.data) == ("release-log", data)
    frozen = files.freeze(files.load(tmp_path))
    assert files.load(frozen).items[0].data == data
    assert stated.read(item).about == "example.com/log, 2 entries"
    (tmp_path / "cut").write_bytes(data[:-1])
    with pytest.raises(Malformed):
        files.load(tmp_path)


def test_two_copies_of_one_state_with_other_witnesses() -> None:
    """What one copy of a log shows of witnesses is as true as what the other does."""
    entries = [signed(release())]
    times = [
        checkpoint(entries, {witness: [NOW - 100 * HOUR, NOW - HOUR]}) for witness in WITNESSES
    ]
    logs = [World(entries=entries, checkpoints=[note]).pack() for note in times]
    for log in logs:
        assert wrong(judge(log))[1] == {"M504", "M507"}
    assert wrong(judge(*logs[:2])) == (Verdict.ACCEPTED, set())
    assert wrong(judge(*logs)) == (Verdict.ACCEPTED, set())


def test_copies_with_many_earlier_checkpoints_cost_what_they_are_long() -> None:
    """Of one log anybody can make any number of copies, each with some of its checkpoints left away."""
    at = dict.fromkeys((w.verifier for w in WITNESSES), (NOW,))
    empty = Checkpoint(origin="example.com/log", size=0, root=merkle.EMPTY)
    one = Signed(checkpoint=empty, note=Note(text="", signatures=()), times=at)
    many = Opened(newest=one, older=(one,) * 512, entries=())
    begin = time.process_time()
    found = released._together([many] * released.MOST_LOGS)
    assert time.process_time() - begin < 1
    assert found.newest.times == dict.fromkeys(at, (NOW,) * 513 * released.MOST_LOGS)


def test_a_busy_log_does_not_forget_since_when_a_release_is_known() -> None:
    """Else whoever may append anything could have every release wait again."""
    world = active()
    for place in range(600):
        world.add(b"%d" % place).seen(NOW - HOUR + place * timedelta(seconds=1))
    *older, newest = world.checkpoints
    report = judge(snapshot.whole(newest, older, world.entries))
    assert wrong(report) == (Verdict.ACCEPTED, set())
    assert report.governed is not None
    assert report.governed.releases[0].known_since == NOW - 10 * DAY


def test_what_is_said_of_the_system_is_what_the_log_says() -> None:
    """Registers that a policy pins are not known good where their release was revoked."""
    from troth.verifier import statements

    def os(report: troth.Report) -> tuple[str, str]:
        genuine = replace(report, root_class=troth.RootClass.VENDOR)
        (one,) = (s for s in statements.derive(genuine) if s.name == "os_known_good")
        return one.status, one.why

    status, why = os(judge(active()))
    assert (status, why.endswith("release 1.0 in a log")) == ("asserted", True)
    assert os(judge(active(signed(revoke(release())))))[0] == "refuted"
    assert os(judge())[0] == "unknown"
    pins = {"nitro": {name: frozenset({value}) for name, value in PCRS.items()}}
    revoked = judge(active(signed(revoke(release()))), policy=policy(registers=pins))
    assert os(revoked)[0] == "refuted"


def test_json_has_the_newest_hundred_that_an_owner_signed() -> None:
    report = judge(active())
    assert report.governed is not None
    (one,) = report.governed.releases
    signed_ones = [replace(one, index=place) for place in range(150)]
    junk = [replace(one, index=place, signed=0) for place in range(150, 300)]
    told = replace(report, governed=replace(report.governed, releases=(*signed_ones, *junk)))
    found = json.loads(report_json(told))["release_log"]["releases"]
    assert [row["index"] for row in found] == list(range(50, 150))
