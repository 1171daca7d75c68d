"""The steps from evidence to report: instants, roots, names, and how each verdict leaves."""

import inspect
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path

import pytest
from tests.platforms.nitro.forge import NOW, codes, document, judge, policy
from tests.platforms.nitro.test_vectors import pinned, rows

import troth
from troth.errors import Malformed, Misuse, TrothError
from troth.model.check import Outcome, Waiver
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms import PLATFORMS
from troth.platforms.nitro.simulate import DevelopmentPki, SimulatedNsm, new_instance
from troth.policy import appraise as against
from troth.policy.profiles import profile
from troth.trust import vendor_roots
from troth.verifier import judge as judging
from troth.wire import cbor

IMAGE = {0: b"\x01" * 48, 1: b"\x02" * 48, 2: b"\x03" * 48}
REGISTERS = {"nitro": {f"pcr{i}": v.hex() for i, v in IMAGE.items()}}


class NoOffset(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta | None:
        return None


def test_the_instant_is_judged_and_printed_in_utc() -> None:
    evidence, trusted = document()
    report = judge(evidence, trusted)
    for hours in (-11, 2, 14):
        there = NOW.astimezone(timezone(timedelta(hours=hours)))
        assert judge(evidence, trusted, at=there) == report
    assert report.at == NOW
    assert report.at.tzinfo is UTC


@pytest.mark.parametrize(
    "at",
    [
        NOW.replace(tzinfo=None),
        NOW.replace(tzinfo=NoOffset()),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    ],
)
def test_no_instant(at: datetime) -> None:
    evidence, trusted = document()
    with pytest.raises(Misuse):
        judge(evidence, trusted, at=at)
    with pytest.raises(Misuse):
        troth.verify(b"", policy=policy(), at=at)


def test_the_first_and_last_instants_are_only_wrong() -> None:
    evidence, trusted = document()
    for at in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        assert "G103" in codes(judge(evidence, trusted, at=at))


def test_each_verdict_leaves_in_its_own_way() -> None:
    evidence, trusted = document()
    verified = troth.verify(evidence, policy=policy(), at=NOW, trust=[trusted])
    assert verified.claims is verified.report.presented
    for more, error, code in (
        ({"at": NOW + timedelta(hours=1)}, troth.Rejected, "R101"),
        ({"policy": troth.Policy(name="none")}, troth.Undecided, "M101"),
        ({"trust": []}, troth.Rejected, "G101"),
    ):
        arguments = {"policy": policy(), "at": NOW, "trust": [trusted]} | more
        with pytest.raises(error) as raised:
            troth.verify(evidence, **arguments)
        assert code in str(raised.value)
        assert isinstance(raised.value, troth.Rejected | troth.Undecided)
        assert raised.value.report == troth.appraise(evidence, **arguments)
        assert raised.value.exit_code == raised.value.report.verdict.exit_code
    with pytest.raises(Malformed) as malformed:
        troth.verify(evidence[:-1], policy=policy(), at=NOW, trust=[trusted])
    assert malformed.value.exit_code == 3


def test_verify_takes_no_waiver_and_no_default_policy_or_instant() -> None:
    parameters = inspect.signature(troth.verify).parameters
    assert "waive" not in parameters
    for name in ("evidence", "policy", "at"):
        assert parameters[name].default is inspect.Parameter.empty
    for parameter in list(parameters.values())[1:]:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY


def test_a_step_that_is_left_out_is_never_acceptance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the judge itself: each check of the policy is dropped where it is made."""
    evidence, trusted = document()
    made = [c.code for c in judge(evidence, trusted).checks]
    whole = against.checks
    for code in against.required(policy(), against.Expectation(), "nitro"):
        assert code in made
        monkeypatch.setattr(
            judging.against,
            "checks",
            lambda *a, code=code, **k: (c for c in whole(*a, **k) if c.code is not code),
        )
        report = judge(evidence, trusted)
        assert report.verdict is Verdict.UNDECIDED
        assert report.missing() == (code,)
        with pytest.raises(troth.Undecided):
            troth.verify(evidence, policy=policy(), at=NOW, trust=[trusted])


def test_a_genuineness_step_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence, trusted = document()
    platform = next(p for p in PLATFORMS if p.name == "nitro")
    for code in platform.required:
        lazy = replace(
            platform,
            genuine=lambda *a, code=code: replace(
                found := platform.genuine(*a),
                checks=tuple(c for c in found.checks if c.code is not code),
            ),
        )
        monkeypatch.setattr(judging, "detect", lambda data, lazy=lazy: (lazy, data, ""))
        report = judge(evidence, trusted)
        assert report.verdict is Verdict.UNDECIDED
        assert report.missing() == (code,)


def test_what_is_no_evidence_is_said_and_judged_no_further() -> None:
    for data, code in ((b"", "F102"), (bytes(16 * 1024), "F102"), (document()[0][:-1], "F101")):
        report = troth.appraise(troth.Evidence(data=data, name="it"), policy=policy(), at=NOW)
        assert report.verdict is Verdict.MALFORMED
        assert [c.code.id for c in report.checks] == [code]
        assert report.presented is None
        assert report.subject == "it"
        for waive in Waiver:
            nothing = troth.Policy(name="none")
            again = troth.appraise(data, policy=nothing, at=NOW, waive=frozenset({waive}))
            assert again.verdict is Verdict.MALFORMED


def test_framing_is_told_and_the_bare_document_is_named(vectors: Path) -> None:
    for name, data, at, verdict in rows(vectors):
        if not name.startswith("dstack-indefinite") or "reject" in verdict:
            continue
        report = troth.appraise(data, policy=pinned(data, at), at=at)
        size = int.from_bytes(data[2:4], "little") >> 2
        bare = troth.Evidence(data=data[4 : 4 + size])
        assert report.subject_sha256 == bare.sha256
        assert any("SCALE framing and 179 bytes behind" in note for note in report.notes)
        assert "AWS Nitro has no revocation" in report.notes
        return
    pytest.fail("the framed document is missing")


def test_a_root_of_another_platform_does_not_count() -> None:
    evidence, trusted = document()
    assert codes(judge(evidence, replace(trusted, platform="tdx"))) == {"G101"}


def test_a_callers_root_is_never_called_a_vendors() -> None:
    evidence, trusted = document()
    aws = next(r for r in vendor_roots() if r.platform == "nitro")
    fakes = [
        replace(trusted, root_class=RootClass.VENDOR),
        replace(aws, sha256=trusted.sha256),
        replace(aws, review_by=None),  # would never be reviewed
        replace(aws, source="somebody"),
        replace(aws, platform="other"),
    ]
    for fake in fakes:
        for trust in ([fake], [trusted, fake], [fake, aws]):
            for ask in (troth.verify, troth.appraise):
                with pytest.raises(Misuse, match="passed as a vendor's") as told:
                    ask(evidence, policy=policy(), at=NOW, trust=trust)
                assert told.value.fix
    # The pinned one may be passed as it is, and changes nothing.
    assert judge(evidence, trusted, trust=[aws, trusted]).verdict is Verdict.ACCEPTED


def test_the_callers_root_is_named_first() -> None:
    """So that a root past its review date counts again for whoever passes it by name."""
    evidence, trusted = document()
    aged = replace(trusted, review_by=NOW - timedelta(days=1))
    report = troth.appraise(evidence, policy=policy(), at=NOW, trust=[trusted, aged])
    assert report.verdict is Verdict.ACCEPTED
    report = troth.appraise(evidence, policy=policy(), at=NOW, trust=[aged, trusted])
    assert report.verdict is Verdict.UNDECIDED


def test_a_simulators_document_is_accepted_under_its_root_and_refused_in_production() -> None:
    pki = DevelopmentPki.create(NOW - timedelta(days=1))
    nsm = SimulatedNsm(pki, IMAGE, new_instance(), lambda: NOW)
    request = cbor.encode({"Attestation": {"nonce": None, "user_data": None, "public_key": None}})
    evidence = cbor.decode(nsm.request(request), field="reply")["Attestation"]["document"]
    mine = troth.Policy.for_image(REGISTERS)
    report = troth.appraise(evidence, policy=mine, at=NOW, trust=[pki.root()])
    assert report.verdict is Verdict.ACCEPTED
    assert report.root_class is RootClass.DEVELOPMENT
    strict = profile("production-2026-11").expecting(REGISTERS, name="image")
    for trust in ([pki.root()], [replace(pki.root(), root_class=RootClass.ADDED)]):
        report = troth.appraise(evidence, policy=strict, at=NOW, trust=trust)
        assert codes(report) == {"P102"}
        assert report.verdict is Verdict.REJECTED
    named = replace(strict, development_roots=frozenset({pki.root().sha256}))
    assert codes(troth.appraise(evidence, policy=named, at=NOW)) == {"P102"}
    unknown = troth.appraise(evidence, policy=mine, at=NOW)
    assert codes(unknown) == {"G101"}
    assert codes(unknown, Outcome.UNDECIDED) == {"R103", "P102"}


def test_hostile_text_in_errors_is_quoted_and_short() -> None:
    for changes in (
        {"x\x1b[31m" * 200: 1},
        {"digest": "\x1b[2J" + "A" * 4000},
        {"pcrs": {"\x1b[2J" + "A" * 4000: bytes(48)}},
    ):
        evidence, trusted = document(**changes)
        with pytest.raises(TrothError) as raised:
            troth.verify(evidence, policy=policy(), at=NOW, trust=[trusted])
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 400
