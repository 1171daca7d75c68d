"""What tokens say in the common words: identity, debug, nonces, keys; and what they fail to say."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from tests.platforms.tokens.made import KINDS, MADE, NONCE, evidence, failing, judged, still_open
from tests.wire.test_jose import RSA, rsa_key, spki

from troth.model.report import Verdict
from troth.platforms.tokens import simulate_claims as said
from troth.platforms.tokens.format import _shown
from troth.platforms.tokens.said import nonces
from troth.platforms.tokens.simulate import Service, bundle
from troth.wire.jose import to_url

Services = dict[str, Service]
TOKENS = [kind for kind in KINDS.values() if kind.service != "nras"]


def presented(kind, services: Services, **changes: Any):
    service = services[kind.service]
    claims = judged(evidence(kind, service, **changes), kind, service).presented
    assert claims is not None
    return claims


DEBUG = {
    "maa-sgx": [
        {"x-ms-sgx-is-debuggable": value} for value in (True, None, 0, "false", [], "False")
    ]
    + [{"is-debuggable": value} for value in (True, 0, "no")],
    "maa-snp": [{"x-ms-sevsnpvm-is-debuggable": value} for value in (True, None, 0, "false")],
    "maa-tdx": [{"tdx_td_attributes_debug": value} for value in (True, None, 0, "false")],
    "gcs": [
        {"dbgstat": value}
        for value in ("enabled", None, "", "Disabled", "disabled ", 1, True, ["disabled"], False)
    ],
    "ita-sgx": [{"dbgstat": value} for value in ("enabled", None, 2)]
    + [{"sgx_is_debuggable": value} for value in (True, None, 0)],
    "ita-tdx": [
        {"tdx": said.ita_tdx(NONCE)["tdx"] | change}
        for change in (
            {"dbgstat": "enabled"},
            {"dbgstat": None},
            {"tdx_is_debuggable": True},
            {"tdx_td_attributes_debug": True},
            {"tdx_td_attributes_debug": 0},
        )
    ],
}


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, changes in DEBUG.items() for change in changes]
)
def test_debug_is_refused_and_so_is_silence(
    services: Services, name: str, change: dict[str, Any]
) -> None:
    kind = KINDS[name]
    service = services[kind.service]
    report = judged(evidence(kind, service, **change), kind, service)
    assert report.verdict is Verdict.REJECTED
    assert "P101" in failing(report)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"x-ms-azurevm-bootdebug-enabled": True},
        {"x-ms-azurevm-kerneldebug-enabled": True},
        {"x-ms-azurevm-hypervisordebug-enabled": True},
        {"x-ms-azurevm-debuggersdisabled": False},
    ],
    ids=str,
)
def test_a_guest_above_a_paravisor_is_never_accepted(
    services: Services, change: dict[str, Any]
) -> None:
    service = services["maa"]
    kind = KINDS["maa-snp"]
    data = service.token(said.maa_azurevm(NONCE) | change, MADE)
    report = judged(data, kind, service)
    assert report.verdict is (Verdict.REJECTED if change else Verdict.UNDECIDED)
    assert ("P101" in failing(report)) is bool(change)
    if not change:
        assert still_open(report) == {"M203"}


def test_the_tee_below_a_guest_counts_for_debug(services: Services) -> None:
    claims = said.maa_azurevm(NONCE)
    claims["x-ms-isolation-tee"]["x-ms-sevsnpvm-is-debuggable"] = True
    service = services["maa"]
    report = judged(service.token(claims, MADE), KINDS["maa-snp"], service)
    assert "P101" in failing(report)


@pytest.mark.parametrize("kind", TOKENS, ids=lambda kind: kind.name)
def test_each_register_that_identifies_code_must_be_pinned(services: Services, kind) -> None:
    service = services[kind.service]
    pinned = kind.policy.registers[kind.service]
    for left_out in pinned:
        rest = {name: values for name, values in pinned.items() if name != left_out}
        policy = replace(kind.policy, registers={kind.service: rest} if rest else {})
        report = judged(evidence(kind, service), kind, service, policy=policy)
        assert report.verdict is Verdict.UNDECIDED
        assert still_open(report) == ({"M203"} if rest else {"M101"})
        other = rest | {left_out: frozenset({"ab" * (len(next(iter(pinned[left_out]))) // 2)})}
        policy = replace(kind.policy, registers={kind.service: other})
        assert failing(judged(evidence(kind, service), kind, service, policy=policy)) == {"M201"}


@pytest.mark.parametrize("value", [None, "", "zz" * 48, "5a" * 47, 7, ["5a" * 48], {"a": 1}])
def test_a_register_that_is_not_there_equals_nothing(services: Services, value: Any) -> None:
    kind = KINDS["maa-snp"]
    service = services["maa"]
    changed = {"x-ms-sevsnpvm-launchmeasurement": value}
    report = judged(evidence(kind, service, **changed), kind, service)
    assert failing(report) == {"M201"}
    for name in ("x-ms-sevsnpvm-hostdata", "x-ms-policy-hash"):
        report = judged(evidence(kind, service, **{name: value}), kind, service)
        assert failing(report) == {"M201"}


def test_host_data_of_zeros_is_none(services: Services) -> None:
    claims = presented(KINDS["maa-snp"], services, **{"x-ms-sevsnpvm-hostdata": "00" * 32})
    assert claims.identity == ("x_ms_sevsnpvm_launchmeasurement", "x_ms_policy_hash")


def test_a_signer_stands_for_code_with_product_and_version(services: Services) -> None:
    for name, signer, more in (
        ("maa-sgx", "x_ms_sgx_mrsigner", {"x_ms_policy_hash": frozenset({said.RULES.hex()})}),
        ("ita-sgx", "sgx_mrsigner", {}),
    ):
        kind = KINDS[name]
        service = services[kind.service]
        asked = kind.policy.asks(kind.service)
        pinned = {kind.service: {signer: frozenset({"d1" * 32}), **more}}
        for exact, minimum, good in (
            ({"isvprodid": 7}, {"isvsvn": 3}, True),
            ({"isvprodid": 7}, {}, False),
            ({}, {"isvsvn": 3}, False),
            ({"isvprodid": 8}, {"isvsvn": 3}, False),
            ({"isvprodid": 7}, {"isvsvn": 4}, False),
        ):
            wanted = replace(asked, exact=exact, minimum=minimum)
            policy = replace(kind.policy, registers=pinned, requirements={kind.service: wanted})
            report = judged(evidence(kind, service), kind, service, policy=policy)
            assert (report.verdict is Verdict.ACCEPTED) is good


@pytest.mark.parametrize("kind", ["sgxvm", "vbs", "", None, 7, ["sgx"], "AZUREVM"])
def test_kinds_of_tee_that_are_not_read(services: Services, kind: Any) -> None:
    service = services["maa"]
    data = evidence(KINDS["maa-snp"], service, **{"x-ms-attestation-type": kind})
    report = judged(data, KINDS["maa-snp"], service)
    assert report.verdict is Verdict.REJECTED
    assert report.presented is not None
    assert "unknown_guest" in report.presented.identity


def test_what_the_operator_put_in_place_of_the_container(services: Services) -> None:
    kind = KINDS["gcs"]
    service = services["gcs"]
    claims = said.gcs(NONCE)
    container = claims["submods"]["container"]
    for change in ({"cmd_override": ["/bin/sh"]}, {"env_override": {"A": "b"}}):
        submods = claims["submods"] | {"container": container | change}
        report = judged(evidence(kind, service, submods=submods), kind, service)
        assert (report.verdict, still_open(report)) == (Verdict.UNDECIDED, {"M203"})
        assert report.presented is not None
        value = report.presented.registers["container_overrides"]
        registers = {
            "gcs": {**kind.policy.registers["gcs"], "container_overrides": frozenset({value})}
        }
        policy = replace(kind.policy, registers=registers)
        report = judged(evidence(kind, service, submods=submods), kind, service, policy=policy)
        assert report.verdict is Verdict.ACCEPTED
    # What the operator might have put, and did not, is missing where it is expected.
    assert "M202" in failing(judged(evidence(kind, service), kind, service, policy=policy))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"hwmodel": "GCP_AMD_SEV"}, "P207"),
        ({"hwmodel": None}, "P207"),
        ({"hwmodel": ["GCP_INTEL_TDX", "GCP_AMD_SEV"]}, "P207"),
        ({"swname": "GCE"}, "P207"),
        ({"secboot": False}, "P207"),
        ({"aud": "https://another.example"}, "P207"),
        ({"aud": None}, "P207"),
        ({"aud": []}, "P207"),
        ({"aud": [["https://verifier.example"]]}, "P207"),
        ({"submods": said.gcs(NONCE)["submods"] | {"confidential_space": {}}}, "P207"),
        ({"submods": {}}, "M201"),
        ({"submods": []}, "M201"),
    ],
    ids=str,
)
def test_words_of_google(services: Services, change: dict[str, Any], code: str) -> None:
    report = judged(
        evidence(KINDS["gcs"], services["gcs"], **change), KINDS["gcs"], services["gcs"]
    )
    assert report.verdict is Verdict.REJECTED
    assert code in failing(report)


def test_one_audience_of_several_is_enough(services: Services) -> None:
    data = evidence(KINDS["gcs"], services["gcs"], aud=["a", "https://verifier.example"])
    assert judged(data, KINDS["gcs"], services["gcs"]).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("name", ["gcs", "maa-snp", "nras"])
def test_what_must_be_said_and_is_not(services: Services, name: str) -> None:
    kind = KINDS[name]
    service = services[kind.service]
    asked = kind.policy.asks(kind.service)
    for word in asked.says:
        says = {other: values for other, values in asked.says.items() if other != word}
        policy = replace(kind.policy, requirements={kind.service: replace(asked, says=says)})
        report = judged(evidence(kind, service), kind, service, policy=policy)
        assert report.verdict is Verdict.UNDECIDED
        assert "P207" in still_open(report)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("maa-tdx", {"attester_tcb_status": "OutOfDate"}),
        ("maa-tdx", {"attester_tcb_status": None}),
        ("maa-snp", {"x-ms-compliance-status": "unknown"}),
        ("maa-snp", {"x-ms-sevsnpvm-migration-allowed": True}),
        ("maa-snp", {"x-ms-sevsnpvm-migration-allowed": None}),
        ("maa-snp", {"x-ms-sevsnpvm-vmpl": 1}),
        ("maa-snp", {"x-ms-sevsnpvm-vmpl": None}),
        ("maa-tdx", {"tdx_td_attributes_septve_disable": False}),
        ("maa-tdx", {"tdx_td_attributes_migratable": True}),
        ("ita-tdx", {"tdx": said.ita_tdx(NONCE)["tdx"] | {"tdx_is_migratable": True}}),
        ("ita-tdx", {"tdx": said.ita_tdx(NONCE)["tdx"] | {"tdx_td_attributes_septve_disable": 0}}),
        ("maa-snp", {"x-ms-compliance-status": None}),
        ("ita-sgx", {"attester_tcb_status": "OutOfDate"}),
        ("ita-sgx", {"attester_tcb_status": None}),
    ],
    ids=str,
)
def test_statuses_that_are_not_good(services: Services, name: str, change: dict[str, Any]) -> None:
    kind = KINDS[name]
    service = services[kind.service]
    assert failing(judged(evidence(kind, service, **change), kind, service)) == {"P207"}


def test_an_advisory_must_be_known(services: Services) -> None:
    kind = KINDS["ita-sgx"]
    data = evidence(kind, services["ita"], attester_advisory_ids=["INTEL-SA-00615"])
    assert still_open(judged(data, kind, services["ita"])) == {"P207"}


@pytest.mark.parametrize("name", KINDS)
def test_another_nonce(services: Services, name: str) -> None:
    kind = KINDS[name]
    service = services[kind.service]
    for nonce in (bytes(32), NONCE[:-1], NONCE + b"\0", b"another nonce", NONCE[::-1]):
        report = judged(evidence(kind, service), kind, service, nonce=nonce)
        assert "B101" in failing(report)
    assert judged(evidence(kind, service), kind, service, nonce=None).verdict is Verdict.ACCEPTED


def test_one_nonce_of_several(services: Services) -> None:
    kind = KINDS["gcs"]
    service = services["gcs"]
    text = "another-nonce"
    assert judged(evidence(kind, service), kind, service, nonce=text.encode()).verdict is (
        Verdict.ACCEPTED
    )
    for value in (
        NONCE.hex(),
        NONCE.hex().upper(),
        to_url(NONCE),
        base64.b64encode(NONCE).decode(),
    ):
        data = evidence(kind, service, eat_nonce=value)
        assert judged(data, kind, service).verdict is Verdict.ACCEPTED
    for value in (None, 7, [], {}, [[NONCE.hex()]], NONCE.hex() + " ", "é" * 32):
        data = evidence(kind, service, eat_nonce=value)
        assert "B101" in failing(judged(data, kind, service))


def test_what_a_nonce_as_text_stands_for() -> None:
    assert nonces("00" * 8) == (bytes(8), b"0" * 16, base64.b64decode(b"0" * 16))
    assert nonces("short") == (b"short",)
    assert nonces(["a", "b"]) == (b"a", b"b")
    assert nonces({"a": "b"}) == nonces(7) == nonces(None) == ()


def test_the_key_that_a_guest_had_bound(services: Services) -> None:
    kind = KINDS["maa-snp"]
    runtime = said.maa_snp(NONCE)["x-ms-runtime"]
    key = rsa_key(key_ops=["encrypt"])
    claims = presented(kind, services, **{"x-ms-runtime": runtime | {"keys": [key]}})
    assert claims.public_key == spki(RSA)
    for keys in ([key, key], [], [7], ["a"], [{}], {"a": 1}, [rsa_key(n="AA=")], [None]):
        changed = {"x-ms-runtime": runtime | {"keys": keys}}
        assert presented(kind, services, **changed).public_key is None
    bound = presented(kind, services, **{"x-ms-runtime": {"jwk": key}})
    assert bound.public_key == spki(RSA)


def test_fields_for_people(services: Services) -> None:
    from troth.platforms import PLATFORMS

    for kind in KINDS.values():
        platform = next(p for p in PLATFORMS if p.name == kind.service)
        found = platform.unwrap(evidence(kind, services[kind.service]))
        assert found is not None
        names = [name for name, _ in platform.fields(found[0])]
        assert len(names) == len(set(names))
        assert any(name.endswith("iss") for name in names)


def paths(value: Any) -> list[tuple[str, ...]]:
    """Where the claims are, those within others too."""
    found = []
    for name, inner in value.items() if isinstance(value, dict) else ():
        found += [(name,), *((name, *rest) for rest in paths(inner))]
    return found


def put(value: dict[str, Any], path: tuple[str, ...], new: Any) -> dict[str, Any]:
    name, *rest = path
    return value | {name: put(value[name], tuple(rest), new) if rest else new}


STRANGE = [
    None,
    True,
    -1,
    2**53,
    "",
    "\ud800",
    "é" * 40,
    [],
    [[]],
    [None, {}],
    {},
    {"a": {}},
    ["a"] * 99,
]


@pytest.mark.parametrize("name", [*KINDS, "azurevm"])
def test_any_value_in_any_place_is_no_crash(services: Services, name: str) -> None:
    """Claims are read of tokens that nobody signed, too."""
    kind = KINDS.get(name, KINDS["maa-snp"])
    service = services[kind.service]
    claims = said.maa_azurevm(NONCE) if name == "azurevm" else kind.claims(NONCE)
    for path in paths(claims):
        for new in STRANGE:
            changed = put(claims, path, new)
            if kind.service == "nras":
                if not all(isinstance(one, dict) for one in changed.values()):
                    continue
                data = bundle(service, changed, MADE, nonce=NONCE)
            else:
                data = service.token(changed, MADE, certified=kind.certified)
            judged(data, kind, service)


def test_long_claims_are_cut_where_they_are_shown() -> None:
    """A token may hold a megabyte in one claim; the reader sees its beginning, and how long it is."""
    assert _shown("x" * 2048) == "x" * 2048
    assert _shown("x" * 2049) == "x" * 2048 + "… (2049 letters)"
    assert _shown({"b": [1], "a": None}) == '{"a": null, "b": [1]}'
