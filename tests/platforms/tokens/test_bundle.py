"""NVIDIA's bundles: the service's no, devices left away, put in, swapped, twice, and forms that are none."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.platforms.tokens.made import (
    AT,
    KINDS,
    MADE,
    NONCE,
    checks,
    evidence,
    failing,
    judged,
    refused,
    still_open,
)

from troth.model.report import Verdict
from troth.platforms.tokens import simulate_claims as said
from troth.platforms.tokens.simulate import Service, bundle
from troth.policy.requirements import Requirements

KIND = KINDS["nras"]
GPUS = {"GPU-0": said.gpu(0), "GPU-1": said.gpu(1)}


@pytest.fixture
def service(services: dict[str, Service]) -> Service:
    return services["nras"]


def whole(data: bytes) -> tuple[str, dict[str, str]]:
    (_, overall), devices = json.loads(data)
    return overall, devices


def joined(overall: str, devices: dict[str, str]) -> bytes:
    return json.dumps([["JWT", overall], devices]).encode()


def payload(text: str) -> dict[str, Any]:
    middle = text.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return claims


def overall(service: Service, devices: dict[str, str], **changes: Any) -> str:
    """The signed token over these, with claims changed."""
    claims = {
        "sub": "NVIDIA-PLATFORM-ATTESTATION",
        "x-nvidia-overall-att-result": True,
        "eat_nonce": NONCE.hex(),
        "submods": {
            name: ["DIGEST", ["SHA-256", hashlib.sha256(text.encode()).hexdigest()]]
            for name, text in devices.items()
        },
    }
    return service.token(claims | changes, MADE, header={"typ": None}).decode()


def test_a_refusal_that_is_signed_and_sent_with_success(service: Service) -> None:
    """What came with HTTP 200 in the wild: the result is no, the device holds only why."""
    data = bundle(service, {"GPU-0": said.refused()}, MADE, nonce=NONCE, result=False)
    report = judged(data, KIND, service)
    assert report.verdict is Verdict.REJECTED
    subjects = {check.subject: check.why for check in checks(report, "G703")}
    assert "is not yes" in subjects["overall"]
    assert "4010" in subjects["GPU-0"] and "NONCE_NOT_MATCHING" in subjects["GPU-0"]
    assert [c.outcome for c in checks(report, "G104")] == ["passed", "passed"]


@pytest.mark.parametrize("sub", ["GPU-0", "", 7, [], "nvidia-platform-attestation"])
def test_an_answer_about_something_else(service: Service, sub: Any) -> None:
    devices = whole(evidence(KIND, service))[1]
    report = judged(joined(overall(service, devices, sub=sub), devices), KIND, service)
    assert failing(report) == {"G703"}


@pytest.mark.parametrize("result", [False, None, "true", 1, [True], {}])
def test_only_yes_is_yes(service: Service, result: Any) -> None:
    devices = whole(evidence(KIND, service))[1]
    text = overall(service, devices, **{"x-nvidia-overall-att-result": result})
    assert "G703" in failing(judged(joined(text, devices), KIND, service))


@pytest.mark.parametrize(
    "change",
    [
        {"measres": "failure"},
        {"measres": None},
        {"measres": True},
        {"x-nvidia-gpu-arch-check": False},
        {"x-nvidia-gpu-attestation-report-nonce-match": False},
        {"x-nvidia-gpu-attestation-report-cert-chain": {"x-nvidia-cert-status": "valid"}},
        {
            "x-nvidia-gpu-attestation-report-cert-chain": {
                "x-nvidia-cert-status": "valid",
                "x-nvidia-cert-ocsp-status": "revoked",
            }
        },
        {"x-nvidia-gpu-driver-rim-cert-chain": None},
        {"x-nvidia-error-details": None},
        {"x-nvidia-error-details": {"code": 1, "message": "no"}},
    ],
    ids=str,
)
def test_one_device_that_the_service_found_wanting(
    service: Service, change: dict[str, Any]
) -> None:
    """Though the result over all says yes."""
    devices = {"GPU-0": said.gpu(0), "GPU-1": said.gpu(1) | change}
    report = judged(bundle(service, devices, MADE, nonce=NONCE), KIND, service)
    assert report.verdict is Verdict.REJECTED
    assert [c.subject for c in checks(report, "G703") if c.outcome == "failed"] == ["GPU-1"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secboot": False}, "P207"),
        ({"secboot": None}, "P207"),
        ({"dbgstat": "enabled"}, "P101"),
        ({"dbgstat": None}, "P101"),
        ({"dbgstat": "Disabled"}, "P101"),
        ({"x-nvidia-gpu-driver-version": "535.86.09"}, "P207"),
        ({"x-nvidia-gpu-driver-version": None}, "P207"),
        ({"x-nvidia-gpu-vbios-version": "96.00.9f.00.01"}, "P207"),
        ({"ueid": None}, "B502"),
        ({"ueid": said.gpu(0)["ueid"]}, "B502"),
        ({"ueid": [said.gpu(0)["ueid"], "1"]}, "B502"),
    ],
    ids=str,
)
def test_one_device_that_is_not_as_it_should_be(
    service: Service, change: dict[str, Any], code: str
) -> None:
    for changed, other in (("GPU-0", "GPU-1"), ("GPU-1", "GPU-0")):
        devices = {other: said.gpu(0), changed: said.gpu(1) | change}
        report = judged(bundle(service, devices, MADE, nonce=NONCE), KIND, service)
        assert report.verdict is Verdict.REJECTED
        assert code in failing(report)


def test_a_warning_must_be_known(service: Service) -> None:
    devices = {"GPU-0": said.gpu(0), "GPU-1": said.gpu(1) | {"x-nvidia-attestation-warning": "old"}}
    data = bundle(service, devices, MADE, nonce=NONCE)
    report = judged(data, KIND, service)
    assert (report.verdict, still_open(report)) == (Verdict.UNDECIDED, {"P207"})
    asked = KIND.policy.asks("nras")
    says = {**asked.says, "warnings": {"old"}}
    policy = replace(KIND.policy, requirements={"nras": replace(asked, says=says)})
    assert judged(data, KIND, service, policy=policy).verdict is Verdict.ACCEPTED


def test_a_device_is_left_away(service: Service) -> None:
    text, devices = whole(evidence(KIND, service))
    for name in list(devices):
        left = {other: value for other, value in devices.items() if other != name}
        report = judged(joined(text, left), KIND, service)
        assert "G704" in failing(report)
        assert f"{name} is missing" in checks(report, "G704")[0].why


def test_a_device_was_never_shown_to_the_service(service: Service) -> None:
    """Then the policy's count tells; without a count nobody can."""
    data = bundle(service, {"GPU-0": said.gpu(0)}, MADE, nonce=NONCE)
    assert failing(judged(data, KIND, service)) == {"P206"}
    asked = replace(KIND.policy.asks("nras"), exact={})
    policy = replace(KIND.policy, requirements={"nras": asked})
    report = judged(data, KIND, service, policy=policy)
    assert (report.verdict, still_open(report)) == (Verdict.UNDECIDED, {"P207"})


def test_switches_are_asked_for_their_own_version(service: Service) -> None:
    data = bundle(service, {f"SWITCH-{n}": said.switch(n) for n in range(4)}, MADE, nonce=NONCE)
    version = {"switch_bios_version": frozenset({"96.10.55.00.01"})}
    for says, exact, verdict in (
        (version, {"switches": 4}, Verdict.ACCEPTED),
        (version, {"switches": 3}, Verdict.REJECTED),
        (version, {"gpus": 4}, Verdict.REJECTED),
        (version, {}, Verdict.UNDECIDED),
        ({"switch_bios_version": frozenset({"96"})}, {"switches": 4}, Verdict.REJECTED),
        (KIND.policy.asks("nras").says, {"switches": 4}, Verdict.REJECTED),
    ):
        asked = Requirements(says=says, exact=exact)
        policy = replace(KIND.policy, requirements={"nras": asked})
        assert judged(data, KIND, service, policy=policy).verdict is verdict
    # GPUs are no switches, and of both each is asked for.
    both = {"GPU-0": said.gpu(), "SWITCH-0": said.switch()}
    asked = Requirements(says=version, exact={"gpus": 1, "switches": 1})
    policy = replace(KIND.policy, requirements={"nras": asked})
    report = judged(bundle(service, both, MADE, nonce=NONCE), KIND, service, policy=policy)
    assert (report.verdict, still_open(report)) == (Verdict.UNDECIDED, {"P207"})


def test_a_device_is_put_in_or_renamed(service: Service) -> None:
    text, devices = whole(evidence(KIND, service))
    more = devices | {"GPU-2": devices["GPU-0"]}
    report = judged(joined(text, more), KIND, service)
    assert checks(report, "G704")[0].why == "GPU-2 is not named"
    renamed = {"GPU-0": devices["GPU-1"], "GPU-1": devices["GPU-0"]}
    assert "G704" in failing(judged(joined(text, renamed), KIND, service))
    other = {"GPU-0": devices["GPU-0"], "GPU-7": devices["GPU-1"]}
    assert "G704" in failing(judged(joined(text, other), KIND, service))


def test_a_device_of_another_answer(service: Service) -> None:
    """Signed by the service, good, and of another question."""
    text, devices = whole(evidence(KIND, service))
    _, others = whole(bundle(service, GPUS, MADE, nonce=b"another nonce of thirty-two byte"))
    report = judged(joined(text, devices | {"GPU-1": others["GPU-1"]}), KIND, service)
    assert {"G704", "B101"} <= failing(report)
    assert checks(report, "G704")[0].why == "the digest of GPU-1 is another"
    # Where the service itself had put them together, the nonce still tells.
    mixed = devices | {"GPU-1": others["GPU-1"]}
    report = judged(joined(overall(service, mixed), mixed), KIND, service)
    assert failing(report) == {"B101"}


def test_one_device_under_two_names(service: Service) -> None:
    token = whole(evidence(KIND, service))[1]["GPU-0"]
    twice = {"GPU-0": token, "GPU-1": token}
    assert failing(judged(joined(overall(service, twice), twice), KIND, service)) == {"B502"}


def test_the_order_of_devices_means_nothing(service: Service) -> None:
    text, devices = whole(evidence(KIND, service))
    turned = dict(reversed(devices.items()))
    assert judged(joined(text, turned), KIND, service).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d | {"GPU-0": ["DIGEST", ["SHA-256", d["GPU-0"][1][1].upper()]]},
        lambda d: d | {"GPU-0": ["DIGEST", ["sha-256", d["GPU-0"][1][1]]]},
        lambda d: d | {"GPU-0": ["DIGEST", ["SHA-384", d["GPU-0"][1][1]]]},
        lambda d: d | {"GPU-0": ["JWT", d["GPU-0"][1][1]]},
        lambda d: d | {"GPU-0": d["GPU-0"][1]},
        lambda d: d | {"GPU-0": [*d["GPU-0"], "more"]},
        lambda d: d | {"GPU-0": None},
        lambda d: list(d.items()),
        lambda _: {},
        lambda _: None,
        lambda _: "GPU-0",
    ],
)
def test_digests_in_another_form(service: Service, change: Callable[[Any], Any]) -> None:
    devices = whole(evidence(KIND, service))[1]
    good = payload(overall(service, devices))["submods"]
    text = overall(service, devices, submods=change(good))
    assert "G704" in failing(judged(joined(text, devices), KIND, service))


def test_a_strangers_device_under_the_services_answer(service: Service) -> None:
    stranger = Service.create("nras", MADE - timedelta(hours=1))
    text, devices = whole(evidence(KIND, service))
    _, his = whole(bundle(stranger, GPUS, MADE, nonce=NONCE))
    report = judged(joined(text, devices | {"GPU-1": his["GPU-1"]}), KIND, service)
    assert "G704" in failing(report)
    assert report.root_class is None
    # And his answer over the service's devices.
    report = judged(joined(overall(stranger, devices), devices), KIND, service)
    assert report.verdict is not Verdict.ACCEPTED
    assert report.root_class is None


def test_a_device_in_the_place_of_the_answer(service: Service) -> None:
    _, devices = whole(evidence(KIND, service))
    report = judged(joined(devices["GPU-0"], {"GPU-0": devices["GPU-0"]}), KIND, service)
    assert {"G703", "G704"} <= failing(report)


@pytest.mark.parametrize(
    "change",
    [
        lambda t, _: t.encode(),
        lambda _, d: next(iter(d.values())).encode(),
        lambda t, _: json.dumps([["JWT", t]]).encode(),
        lambda t, d: json.dumps([["JWT", t], d, {}]).encode(),
        lambda t, d: json.dumps([["JWT", t, t], d]).encode(),
        lambda t, _: json.dumps([["JWT", t], {}]).encode(),
        lambda t, d: json.dumps([["JWT", t], list(d.values())]).encode(),
        lambda t, d: json.dumps([["jwt", t], d]).encode(),
        lambda t, d: json.dumps([d, ["JWT", t]]).encode(),
        lambda t, d: json.dumps([["JWT", [t]], d]).encode(),
        lambda t, d: json.dumps([["JWT", t], d | {"GPU-1": 7}]).encode(),
        lambda t, d: json.dumps([["JWT", t], d | {"GPU-1": "é"}]).encode(),
        lambda t, d: json.dumps([["JWT", t], d | {"overall": d["GPU-0"]}]).encode(),
        lambda t, d: json.dumps([["JWT", t], d | {"GPU 2": d["GPU-0"]}]).encode(),
        lambda t, d: json.dumps([["JWT", t], d | {"": d["GPU-0"]}]).encode(),
        lambda t, d: json.dumps([["JWT", t], {f"GPU-{i}": d["GPU-0"] for i in range(65)}]).encode(),
        lambda t, d: joined(t, d)[:-2] + b',"GPU-0":"' + d["GPU-0"].encode() + b'"}]',
        lambda t, d: joined(t, d) + b"]",
        lambda t, d: joined(t, d) + b"\0",
        lambda t, d: b"[" + joined(t, d) + b"]",
        lambda _, __: b"[" * 100_000,
        lambda _, __: b'[["JWT","' + b"a" * 3_000_000,
        lambda t, d: joined(t + "\n", d),
        lambda t, d: joined(" " + t, d),
    ],
)
def test_forms_that_are_none(
    service: Service, change: Callable[[str, dict[str, str]], bytes]
) -> None:
    data = change(*whole(evidence(KIND, service)))
    report = judged(data, KIND, service)
    assert report.verdict is Verdict.MALFORMED
    assert refused(data, KIND, service)


def test_white_space_is_removed_and_said(service: Service) -> None:
    text, devices = whole(evidence(KIND, service))
    loose = json.dumps([["JWT", text], devices], indent=4).encode() + b"\n"
    report = judged(loose, KIND, service)
    assert report.verdict is Verdict.ACCEPTED
    assert any("white space" in note for note in report.notes)
    tight = json.dumps([["JWT", text], devices], separators=(",", ":")).encode()
    report = judged(tight, KIND, service)
    assert report.verdict is Verdict.ACCEPTED
    assert not any("white space" in note for note in report.notes)


def test_a_key_ends_after_two_days(service: Service) -> None:
    at = MADE + timedelta(days=3)
    data = bundle(service, GPUS, at, nonce=NONCE)
    soon = at + timedelta(minutes=1)
    report = judged(data, KIND, service, at=soon, trust=(service.authority(),))
    assert failing(report) == {"G103"}
    assert (
        judged(data, KIND, service, at=soon).verdict is Verdict.ACCEPTED
    )  # named: the caller's word


def test_a_policy_for_others_does_not_cover_it(service: Service) -> None:
    policy = replace(KIND.policy, registers={"tdx": {"mrtd": frozenset({"5a" * 48})}})
    assert judged(evidence(KIND, service), KIND, service, policy=policy).verdict is Verdict.ACCEPTED
    policy = replace(policy, requirements={"nras": Requirements(exact={"gpus": 2})})
    assert "P106" in failing(judged(evidence(KIND, service), KIND, service, policy=policy))
    assert AT > MADE
