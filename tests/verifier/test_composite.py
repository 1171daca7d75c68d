"""Evidence in several parts: counted, bound to each other, judged together; and each way around that."""

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.platforms.nitro.forge import INSTANCE, NOW, document, policy

import troth
from troth.errors import Malformed, Misuse
from troth.model.channel import Binding
from troth.model.check import Outcome, Waiver, passed
from troth.model.claims import Source
from troth.model.codes.policy import P101
from troth.model.composite import MAX_PARTS, Composite, Part
from troth.model.report import Verdict
from troth.model.roots import Root
from troth.model.statement import Statement, Status
from troth.platforms import assemble
from troth.policy import Policy
from troth.policy import appraise as against
from troth.render.html import report_html
from troth.render.json import report_json, schema_text
from troth.render.text import report_text
from troth.verifier import appraisal
from troth.verifier import composite as composites

NONCE = bytes(range(32))
OTHER = bytes(32)
DATA = b"what the parts beside it hash to".ljust(64, b"\0")


def part(place: int, **changes: Any) -> tuple[Part, Root]:
    """A part that is an enclave of its own, with the nonce unless another is given."""
    given = {key: changes.pop(key) for key in ("nonce", "user_data") if key in changes}
    module = f"{INSTANCE}-enc{place:016x}"
    evidence, root = document(module_id=module, **({"nonce": NONCE} | given))
    name = f"part-{place}"
    return Part(name=name, evidence=evidence, says="carries your nonce", **changes), root


def machine(*parts: tuple[Part, Root]) -> tuple[Composite, list[Root]]:
    found = parts or (part(0), part(1))
    return Composite(parts=tuple(one for one, _ in found)), [root for _, root in found]


def counting(count: int, **given: Any) -> Policy:
    parts = {"nitro": count} if count else {}
    return policy(parts=parts, **given)


def judge(made: tuple[Composite, list[Root]], **given: Any) -> troth.Report:
    composite, roots = made
    arguments = {"policy": counting(len(composite.parts) - 1), "nonce": NONCE, "at": NOW}
    return troth.appraise(composite, trust=roots, **(arguments | given))


def wrong(report: troth.Report) -> set[str]:
    return {
        check.code.id
        for one in (report, *(joined.report for joined in report.parts))
        for check in one.checks
        if check.outcome in (Outcome.FAILED, Outcome.UNDECIDED)
    }


def test_two_parts_of_one_question_are_accepted_together() -> None:
    report = judge(machine())
    assert report.verdict is Verdict.ACCEPTED
    assert [joined.name for joined in report.parts] == ["part-1"]
    whole, roots = machine()
    verified = troth.verify(whole, policy=counting(1), at=NOW, nonce=NONCE, trust=roots)
    assert verified.claims.instance.endswith("enc" + "0" * 16)


def test_a_stripped_part() -> None:
    whole, roots = machine(part(0), part(1), part(2))
    stripped = Composite(parts=whole.parts[:2])
    report = judge((stripped, roots), policy=counting(2))
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"P107"})


def test_the_lead_alone_where_the_policy_counts_parts() -> None:
    """Also as plain bytes, which nobody calls a composite."""
    whole, roots = machine()
    for evidence in (Composite(parts=whole.parts[:1]), whole.lead.evidence):
        report = troth.appraise(evidence, policy=counting(1), at=NOW, nonce=NONCE, trust=roots)
        assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"P107"})


def test_parts_that_nobody_counted_leave_it_open() -> None:
    report = judge(machine(), policy=counting(0))
    assert (report.verdict, wrong(report)) == (Verdict.UNDECIDED, {"P107"})


def test_one_device_shown_twice() -> None:
    one, root = part(1)
    report = judge(machine(part(0), (one, root), (replace(one, name="again"), root)))
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B502"})


@pytest.mark.parametrize("place", [0, 1])
def test_an_old_nonce_in_one_part(place: int) -> None:
    parts = [part(0), part(1)]
    parts[place] = part(place, nonce=OTHER)
    report = judge(machine(*parts))
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B101"})


def test_a_part_that_states_its_own_nonce() -> None:
    """Such as a hash of the caller's: that one must be carried, and the caller's is not."""
    evidence, root = part(1, nonce=OTHER)
    stated = (replace(evidence, nonce=OTHER), root)
    assert judge(machine(part(0), stated)).verdict is Verdict.ACCEPTED
    wanting = (replace(evidence, nonce=NONCE), root)
    assert judge(machine(part(0), wanting)).verdict is Verdict.REJECTED


def test_what_a_part_must_bind() -> None:
    good, root = part(1, user_data=DATA)
    bound = replace(good, user_data=DATA)
    assert judge(machine(part(0), (bound, root))).verdict is Verdict.ACCEPTED
    for other in (DATA[:-1], DATA[:-1] + b"\1", b"", DATA + b"\0"):
        report = judge(machine(part(0), (replace(bound, user_data=other), root)))
        assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B501"})


@pytest.mark.parametrize("place", [0, 1])
def test_the_callers_key_and_session_are_the_leads(place: int) -> None:
    """Another part that binds them stands in for nothing."""
    parts = [part(0), part(1)]
    evidence, root = document(
        module_id=f"{INSTANCE}-enc{place:016x}", nonce=NONCE, public_key=b"a key", user_data=DATA
    )
    parts[place] = (replace(parts[place][0], evidence=evidence), root)
    report = judge(machine(*parts), key=b"a key", binding=DATA)
    wanted = (Verdict.ACCEPTED, set()) if place == 0 else (Verdict.REJECTED, {"B201", "B301"})
    assert (report.verdict, wrong(report)) == wanted


@pytest.mark.parametrize(("logged", "taken_by"), [("", "part-0"), ("part-1", "part-1")])
def test_the_callers_log_is_of_one_part(
    monkeypatch: pytest.MonkeyPatch, logged: str, taken_by: str
) -> None:
    given: dict[str, Any] = {}
    judged = composites.judged

    def noted(evidence: Any, *, event_log: bytes | None, **more: Any) -> Any:
        given[evidence.name] = event_log
        return judged(evidence, event_log=None, **more)

    monkeypatch.setattr(composites, "judged", noted)
    composite, roots = machine(part(0), part(1), part(2, event_log=b"its own"))
    judge((replace(composite, logged=logged), roots), event_log=b"the caller's")
    others = dict.fromkeys(("part-0", "part-1"), None)
    assert given == {**others, "part-2": b"its own", taken_by: b"the caller's"}


def test_data_over_the_nonce_is_as_fresh_as_the_nonce() -> None:
    """Nitro has a time of its own, so evidence of an hour ago shows what carries the freshness."""
    late = int((NOW.timestamp() - 3600) * 1000)
    evidence, root = document(
        module_id=f"{INSTANCE}-enc{1:016x}", nonce=None, user_data=DATA, timestamp=late
    )
    made = Part(name="part-1", evidence=evidence, says="", user_data=DATA)
    for over_nonce, verdict in ((False, Verdict.REJECTED), (True, Verdict.ACCEPTED)):
        report = judge(machine(part(0), (replace(made, over_nonce=over_nonce), root)))
        assert report.verdict is verdict
    elsewhere = replace(made, over_nonce=True, user_data=DATA[:-1] + b"\1")
    assert wrong(judge(machine(part(0), (elsewhere, root)))) == {"B501", "R101"}


def test_a_part_of_no_form() -> None:
    made = Composite(parts=(part(0)[0], Part(name="junk", evidence=b"junk", says="")))
    report = judge((made, [part(0)[1]]))
    assert report.verdict is Verdict.MALFORMED
    with pytest.raises(troth.Malformed):
        troth.verify(made, policy=counting(1), at=NOW, nonce=NONCE, trust=[part(0)[1]])


def test_a_part_under_a_root_that_nobody_trusts() -> None:
    composite, roots = machine()
    report = judge((composite, roots[:0]))
    assert report.verdict is not Verdict.ACCEPTED


def test_a_waiver_counts_for_all_and_shows() -> None:
    report = judge(machine(), nonce=None, waive=frozenset({Waiver.FRESHNESS}))
    assert report.verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
    assert all(one.report.verdict is report.verdict for one in report.parts)


def test_a_key_that_nobody_vouches_for_counts_nothing() -> None:
    """The vouching part is genuine under no root, so the part that it names a key for is not either."""
    one, root = part(1)
    voucher, other = part(0, user_data=DATA)
    keyed = replace(one, key="ab" * 32, key_in="part-0")
    for roots in ([root, other], []):
        made = Composite(parts=(replace(voucher, user_data=DATA), keyed))
        assert judge((made, roots)).verdict is not Verdict.ACCEPTED


@pytest.mark.parametrize("offered", list(Binding))
@pytest.mark.parametrize("taken", list(Binding))
def test_a_channel_is_as_firm_as_the_policy_says(offered: Binding, taken: Binding) -> None:
    order = list(Binding)
    report = judge(machine(), policy=counting(1, channel=taken), channel=offered)
    firm = order.index(offered) <= order.index(taken)
    assert report.verdict is (Verdict.ACCEPTED if firm else Verdict.REJECTED)
    assert wrong(report) == (set() if firm else {"B302"})


def test_a_host_cannot_lower_what_the_policy_takes() -> None:
    evidence, root = document(nonce=NONCE)
    report = troth.appraise(
        evidence, policy=policy(), at=NOW, nonce=NONCE, trust=[root], channel=Binding.KEY
    )
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B302"})
    assert "[binding] channel" in report_text(report)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        tuple(Part(name=f"p{i}", evidence=b"", says="") for i in range(MAX_PARTS + 1)),
        (Part(name="a", evidence=b"", says=""), Part(name="a", evidence=b"", says="")),
        (Part(name="a", evidence=b"", says="", key="ab", key_in="nobody"),),
        (Part(name="a", evidence=b"", says="", key="ab", key_in="a"),),
        (Part(name="a", evidence=b"", says="", key="ab"),),
        (Part(name="a", evidence=b"", says="", fresh_by="nobody"),),
        (
            Part(name="a", evidence=b"", says="", fresh_by="b"),
            Part(name="b", evidence=b"", says="", fresh_by="a"),
        ),
        (
            Part(name="a", evidence=b"", says="", key="ab", key_in="b"),
            Part(name="b", evidence=b"", says="", key="ab", key_in="a"),
        ),
        (
            Part(name="a", evidence=b"", says="", fresh_by="b", key="ab", key_in="b"),
            Part(name="b", evidence=b"", says="", fresh_by="a", key="ab", key_in="a"),
        ),
        (Part(name="a", evidence=b"", says="", over_nonce=True),),
    ],
)
def test_parts_that_cannot_hang_together(parts: tuple[Part, ...]) -> None:
    with pytest.raises(Misuse):
        Composite(parts=parts)


def test_a_log_of_no_part() -> None:
    with pytest.raises(Misuse):
        Composite(parts=(part(0)[0],), logged="vtpm")


def test_the_report_shows_the_parts_and_what_binds_them() -> None:
    schema = Draft202012Validator(json.loads(schema_text()))
    said = Statement(
        name="gpu_attested", status=Status.ASSERTED, source=Source.HARDWARE, why="two of two"
    )
    for made, count in ((machine(), 1), (machine(part(0), part(1, nonce=OTHER)), 1)):
        report = replace(judge(made, policy=counting(count)), statements=(said,))
        text, page = report_text(report, verbose=True), report_html(report)
        document = json.loads(report_json(report))
        schema.validate(document)
        accepted = report.verdict is Verdict.ACCEPTED
        for shown in (text, page):
            assert "part-1" in shown
            assert "carries your nonce" in shown
            assert "asserted by hardware" in shown
        inner = document["parts"][0]["report"]
        assert ("claims" in inner) is ("claims" in document) is accepted
        assert "verdict" not in inner
        # A total is of all parts.
        every = [report, *(joined.report for joined in report.parts)]
        passed = sum(one.count(Outcome.PASSED) for one in every)
        assert f"{passed} passed" in text


def test_the_policy_says_it_in_its_document() -> None:
    wanted = counting(2, channel=Binding.KEY)
    text = wanted.to_toml()
    assert 'channel = "key"' in text
    assert "[parts]\nnitro = 2" in text
    again = Policy.from_toml(text, source="again")
    assert again == wanted
    assert again.sha256 == wanted.sha256 != counting(2).sha256 != counting(0).sha256
    for bad in ("nitro = 0", "nitro = 65", "nitro = true", "other = 1", 'nitro = "1"'):
        with pytest.raises(Misuse):
            Policy.from_toml(text.replace("nitro = 2", bad), source="bad")
    with pytest.raises(Misuse):
        Policy.from_toml(text.replace('"key"', '"keys"'), source="bad")


def without(report: troth.Report, code: str) -> troth.Report:
    return replace(report, checks=tuple(c for c in report.checks if c.code.id != code))


@pytest.mark.parametrize("place", ["part-0", "part-1"])
def test_a_step_that_is_left_out_for_one_part(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """What no check of the part itself answered is open, whatever the other parts answered."""
    whole = composites.judged

    def lazy(evidence: Any, **given: Any) -> Any:
        report, error = whole(evidence, **given)
        return (without(report, "R101") if evidence.name == place else report), error

    monkeypatch.setattr(composites, "judged", lazy)
    assert judge(machine()).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize(("step", "value"), [("_counted", ()), ("_once", None)])
def test_a_question_on_all_parts_that_is_left_out(
    monkeypatch: pytest.MonkeyPatch, step: str, value: Any
) -> None:
    other = passed(P101, "nothing")
    monkeypatch.setattr(composites, step, lambda *_: other if value is None else value)
    assert judge(machine()).verdict is Verdict.UNDECIDED


def test_a_channel_that_nobody_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composites, "_firm_enough", lambda *_: passed(P101, "nothing"))
    assert judge(machine(), channel=Binding.SESSION).verdict is Verdict.UNDECIDED


def test_what_a_part_must_bind_is_a_question_that_must_be_answered() -> None:
    asked = against.required(policy(), against.Expectation(user_data=DATA), "nitro")
    assert "B501" in {code.id for code in asked}


def test_what_leads_is_what_the_others_are_counted_beside() -> None:
    """A policy for a TDX guest with enclaves beside it is not met by an enclave that leads."""
    registers = {**policy().registers, "tdx": {"mrtd": frozenset({"11" * 48})}}
    wanted = Policy(name="test", registers=registers, parts={"nitro": 1})
    report = judge(machine(), policy=wanted)
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"P107"})


def test_a_part_in_the_place_of_another_platform() -> None:
    one, root = part(1)
    report = judge(machine(part(0), (replace(one, platform="tdx"), root)))
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"P107"})


def test_a_nonce_that_no_part_is_asked_for() -> None:
    """Where every part has its freshness elsewhere, the caller's own nonce still has to be somewhere."""
    good, root = part(0, user_data=DATA, nonce=None)
    made = Composite(parts=(replace(good, user_data=DATA),))
    report = judge((made, [root]))
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B101"})
    # Beside everything that was found of the parts.
    assert {"F101", "G104", "B501"} <= {check.code.id for check in report.checks}


def test_a_voucher_that_binds_nothing_vouches_for_no_key() -> None:
    """Whoever put the parts together could name any key."""
    one, _ = part(1)
    with pytest.raises(Misuse, match="binds nothing"):
        Composite(parts=(part(0)[0], replace(one, key="ab" * 32, key_in="part-0")))


def test_a_file_states_no_nonce_in_the_callers_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything in it computed over a nonce that the caller drew, whatever its reader says."""
    old, root = part(0, nonce=OTHER)
    stated = Composite(parts=(replace(old, nonce=OTHER),))
    monkeypatch.setattr(appraisal, "assemble", lambda _: stated)
    report = troth.appraise(b"a file", policy=counting(0), at=NOW, nonce=NONCE, trust=[root])
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B101"})


@pytest.mark.parametrize("named", [None, *Binding])
def test_of_two_words_on_the_way_the_weaker_counts(named: Binding | None) -> None:
    made, roots = machine()
    loose = replace(made, channel=Binding.ANSWER, nonce=NONCE)
    report = judge((loose, roots), policy=counting(1, channel=Binding.KEY), channel=named)
    assert "B302" in wrong(report)


def test_a_container_that_contradicts_itself_is_malformed() -> None:
    """Azure's evidence around what is no report: said by the container, whatever else reads it."""
    data = json.dumps({"quote": {}, "report": [1, 2], "vcek": ""}).encode()
    with pytest.raises(Malformed) as said:
        assemble(data)
    report = troth.appraise(data, policy=policy(), at=NOW)
    assert report.verdict is Verdict.MALFORMED
    assert str(said.value) in {check.why for check in report.checks}
