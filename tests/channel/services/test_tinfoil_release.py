"""Releases through Sigstore: an instance of our own, its true bundles, and every bundle that is not one."""

import base64
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.channel.services.tinfoil_made import NONCE, judged, of_image, quote

from troth.channel.services import tinfoil
from troth.channel.services import tinfoil_release as releases
from troth.channel.services.simulate.sigstore import Sigstore, statement
from troth.channel.services.simulate.tinfoil import Enclave
from troth.channel.services.tinfoil_release import Hardware, Identity, Release
from troth.errors import Malformed, Misuse, Unavailable
from troth.model.channel import Binding
from troth.model.report import Verdict
from troth.policy import Policy
from troth.wire import json

pytest.importorskip("sigstore", reason="the extra sigstore is not installed")

NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
INSTANCE = Sigstore.create(NOW)
WHO = Identity(repository="owner/model", tag="v1.2.3", workflow="build.yml")
DIGEST = "ab" * 32
MEASURED = {
    "snp_measurement": "11" * 48,
    "tdx_measurement": {"rtmr1": "22" * 48, "rtmr2": "33" * 48},
}
SHAPES = {
    "small": {"mrtd": "44" * 48, "rtmr0": "55" * 48},
    "large": {"mrtd": "66" * 48, "rtmr0": "77" * 48},
}


def signed(predicate: Any = MEASURED, *, kind: str = releases.RELEASE, **changes: Any) -> bytes:
    said = statement(kind, predicate, digest=DIGEST)
    return INSTANCE.sign(said, WHO, **{"at": NOW} | changes)


def read(bundle: bytes, identity: Identity = WHO, **changes: Any) -> Release:
    arguments = {"identity": identity, "trusted_root": INSTANCE.trusted_root()} | changes
    return releases.release(bundle, **arguments)


def changed(bundle: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    value = json.parse(bundle, field="")
    change(value)
    return json.canonical(value)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it works with no network at all."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("something asked the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


def test_a_release_is_read_without_the_network() -> None:
    found = read(signed(), digest=DIGEST.upper())
    assert (found.measurement, found.rtmr1, found.rtmr2) == ("11" * 48, "22" * 48, "33" * 48)
    assert (found.identity, found.digest) == (WHO, DIGEST)


def test_the_list_of_hardware_is_read() -> None:
    found = releases.hardware(
        signed(SHAPES, kind=releases.HARDWARE),
        identity=WHO,
        trusted_root=INSTANCE.trusted_root(),
    )
    assert {shape.name: (shape.mrtd, shape.rtmr0) for shape in found} == {
        name: (shape["mrtd"], shape["rtmr0"]) for name, shape in SHAPES.items()
    }


def test_any_workflow_of_the_repository_where_none_is_named() -> None:
    anyone = Identity(repository=WHO.repository, tag=WHO.tag)
    assert read(signed(), anyone).measurement == "11" * 48


@pytest.mark.parametrize(
    "other",
    [
        Identity(repository="owner/models", tag="v1.2.3"),
        Identity(repository="owner/mode", tag="v1.2.3"),
        Identity(repository="OWNER/model", tag="v1.2.3"),
        Identity(repository="owner.model/x", tag="v1.2.3"),
        Identity(repository="owner/model", tag="v1.2.4"),
        Identity(repository="owner/model", tag="v1.2"),
        Identity(repository="owner/model", tag="v1.2.3", workflow="other.yml"),
        Identity(repository="owner/model", tag="v1.2.3", issuer="https://issuer.example"),
    ],
)
def test_another_s_release_is_refused(other: Identity) -> None:
    with pytest.raises(Malformed, match="does not verify"):
        read(signed(), other)


URI = "https://github.com/owner/model/.github/workflows/build.yml@refs/tags/v1.2.3"


@pytest.mark.parametrize(
    "san",
    [
        URI + "x",
        URI.replace("github.com", "github.example"),
        URI.replace("github.com", "githubXcom"),
        "x" + URI,
        URI.replace("refs/tags", "refs/heads"),
        URI.replace("owner/model", "owner/other"),
        URI.replace("/build.yml", "/a/build.yml"),
    ],
)
def test_a_certificate_of_another_name_is_refused(san: str) -> None:
    with pytest.raises(Malformed, match="does not verify"):
        read(signed(san=san))
    with pytest.raises(Malformed, match="does not verify"):
        read(signed(san=san), Identity(repository=WHO.repository, tag=WHO.tag))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (8, "https://issuer.example"),
        (11, "self-hosted"),
        (12, "https://github.com/owner/other"),
        (14, "refs/tags/v1.2.4"),
        (14, "refs/heads/v1.2.3"),
    ],
)
def test_a_certificate_that_says_otherwise_is_refused(number: int, text: str) -> None:
    with pytest.raises(Malformed, match="does not verify"):
        read(signed(says={number: text}))


def test_another_instance_is_no_root() -> None:
    other = Sigstore.create(NOW)
    with pytest.raises(Malformed, match="does not verify"):
        read(signed(), trusted_root=other.trusted_root())
    theirs = json.parse(other.trusted_root(), field="")
    for part in ("tlogs", "certificateAuthorities", "ctlogs"):
        root = changed(INSTANCE.trusted_root(), lambda v, part=part: v.update({part: theirs[part]}))
        with pytest.raises(Malformed, match="does not verify"):
            read(signed(), trusted_root=root)


@pytest.mark.parametrize("minutes", [-1, 11, 60 * 24 * 365])
def test_a_signature_logged_outside_its_certificate_is_refused(minutes: int) -> None:
    with pytest.raises(Malformed, match="does not verify"):
        read(signed(logged_at=NOW + timedelta(minutes=minutes)))


def test_every_bit_of_what_is_signed_counts() -> None:
    bundle = signed()
    payload = base64.b64decode(json.parse(bundle, field="")["dsseEnvelope"]["payload"])
    for bit in range(0, 8 * len(payload), 101):
        broken = bytearray(payload)
        broken[bit // 8] ^= 1 << bit % 8
        text = base64.b64encode(broken).decode()
        with pytest.raises(Malformed):
            read(changed(bundle, lambda v, text=text: v["dsseEnvelope"].update(payload=text)))


def entry(value: dict[str, Any]) -> dict[str, Any]:
    return value["verificationMaterial"]["tlogEntries"][0]


def flip(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["dsseEnvelope"]["signatures"].clear(),
        lambda v: v["dsseEnvelope"]["signatures"].append(v["dsseEnvelope"]["signatures"][0]),
        lambda v: v["dsseEnvelope"].update(payloadType="text/plain"),
        lambda v: v["verificationMaterial"].update(tlogEntries=[]),
        lambda v: v["verificationMaterial"]["tlogEntries"].append(entry(v)),
        lambda v: entry(v).pop("inclusionProof"),
        lambda v: entry(v).pop("inclusionPromise"),
        lambda v: entry(v)["inclusionPromise"].update(
            signedEntryTimestamp=flip(entry(v)["inclusionPromise"]["signedEntryTimestamp"])
        ),
        lambda v: entry(v)["inclusionProof"].update(hashes=[]),
        lambda v: entry(v)["inclusionProof"].update(logIndex="0"),
        lambda v: entry(v)["inclusionProof"].update(
            rootHash=flip(entry(v)["inclusionProof"]["rootHash"])
        ),
        lambda v: entry(v).update(integratedTime="1"),
        lambda v: entry(v).update(canonicalizedBody=flip(entry(v)["canonicalizedBody"])),
        lambda v: v["verificationMaterial"].pop("certificate"),
        lambda v: v["verificationMaterial"]["certificate"].update(rawBytes="AAAA"),
        lambda v: v.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
        lambda v: v.pop("dsseEnvelope"),
        lambda v: v.pop("verificationMaterial"),
        lambda v: v.update(verificationMaterial=[]),
    ],
)
def test_a_bundle_with_a_part_changed_is_refused(change: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(Malformed):
        read(changed(signed(), change))


def test_a_bundle_of_the_old_layout_is_refused() -> None:
    """Its list of certificates may hold authorities, too."""

    def old(value: dict[str, Any]) -> None:
        material = value["verificationMaterial"]
        material["x509CertificateChain"] = {"certificates": [material.pop("certificate")]}
        value["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2"

    with pytest.raises(Malformed, match=r"version 0\.3"):
        read(changed(signed(), old))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"{", b'{"a":1,"a":2}', b"\xff", b" " * 2**21])
def test_bytes_that_are_no_bundle(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"{", b'{"mediaType":"x"}'])
def test_bytes_that_are_no_trusted_root(data: bytes) -> None:
    with pytest.raises(Malformed, match="trusted root"):
        read(signed(), trusted_root=data)


@pytest.mark.parametrize(
    "predicate",
    [
        {},
        MEASURED | {"snp_measurement": ""},
        MEASURED | {"snp_measurement": "11" * 47},
        MEASURED | {"snp_measurement": "AA" * 48},
        MEASURED | {"snp_measurement": 1},
        MEASURED | {"tdx_measurement": None},
        MEASURED | {"tdx_measurement": {"rtmr1": "22" * 48}},
    ],
)
def test_a_statement_without_all_measurements_is_refused(predicate: Any) -> None:
    with pytest.raises(Malformed):
        read(signed(predicate))


@pytest.mark.parametrize("predicate", [{}, {"a": 1}, {"a": {"mrtd": "44" * 48}}])
def test_a_list_without_pairs_is_refused(predicate: Any) -> None:
    with pytest.raises(Malformed):
        releases.hardware(
            signed(predicate, kind=releases.HARDWARE),
            identity=WHO,
            trusted_root=INSTANCE.trusted_root(),
        )


def test_one_kind_of_statement_is_not_the_other() -> None:
    with pytest.raises(Malformed, match="predicateType"):
        read(signed(SHAPES, kind=releases.HARDWARE))


def test_a_statement_of_another_shape_is_refused() -> None:
    said = statement(releases.RELEASE, MEASURED, digest=DIGEST)
    for other in (
        said | {"more": 1},
        said | {"_type": "https://in-toto.io/Statement/v0"},
        said | {"subject": []},
        said | {"subject": [{"name": "x", "digest": {"sha1": "00"}}]},
        said | {"predicate": []},
        {key: value for key, value in said.items() if key != "subject"},
    ):
        with pytest.raises(Malformed):
            read(INSTANCE.sign(other, WHO, at=NOW))
    with pytest.raises(Malformed, match="no in-toto"):
        read(INSTANCE.sign(said, WHO, at=NOW, payload_type="text/plain"))


def test_a_release_of_another_artefact_is_refused() -> None:
    with pytest.raises(Malformed, match="is about"):
        read(signed(), digest="cd" * 32)


@pytest.mark.parametrize(
    "names",
    [
        {"repository": "owner"},
        {"repository": "owner/model/x"},
        {"repository": "owner/.*|x"},
        {"tag": ""},
        {"tag": "v1 "},
        {"tag": "/v1"},
        {"workflow": "../x.yml"},
        {"workflow": "x.sh"},
    ],
)
def test_names_that_nobody_has_are_misuse(names: dict[str, str]) -> None:
    with pytest.raises(Misuse):
        Identity(**{"repository": "owner/model", "tag": "v1"} | names)


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = signed()
    monkeypatch.setitem(__import__("sys").modules, "sigstore.verify", None)
    with pytest.raises(Unavailable) as caught:
        read(bundle)
    assert "troth[sigstore]" in caught.value.fix


# To a policy

OF = Release(identity=WHO, digest=DIGEST, measurement="11" * 48, rtmr1="22" * 48, rtmr2="33" * 48)
PAIRS = tuple(Hardware(name=name, **shape) for name, shape in SHAPES.items())


def test_a_release_is_a_policy_for_both_vendors() -> None:
    made = releases.policy(OF, PAIRS[:1])
    assert made.registers["snp"] == {"measurement": {"11" * 48}}
    assert made.registers["tdx"] == {
        "mrtd": {"44" * 48},
        "rtmr0": {"55" * 48},
        "rtmr1": {"22" * 48},
        "rtmr2": {"33" * 48},
        "rtmr3": {"00" * 48},
    }
    assert made.channel is Binding.SESSION
    assert "tdx" not in releases.policy(OF).registers


def test_no_pair_gets_in_that_nobody_signed() -> None:
    with pytest.raises(Misuse, match="pairs MRTD with RTMR0"):
        releases.policy(OF, PAIRS)
    narrowed = releases.policy(OF, PAIRS, mrtd="66" * 48).registers["tdx"]
    assert (narrowed["mrtd"], narrowed["rtmr0"]) == ({"66" * 48}, {"77" * 48})
    same = (PAIRS[0], Hardware(name="more memory", mrtd="44" * 48, rtmr0="88" * 48))
    assert releases.policy(OF, same).registers["tdx"]["rtmr0"] == {"55" * 48, "88" * 48}


def test_firmware_that_is_not_listed_is_never_expected() -> None:
    found = releases.policy(OF, PAIRS, mrtd="99" * 48).registers["tdx"]
    assert (found["mrtd"], found["rtmr0"]) == ({"44" * 48}, {"55" * 48})


def test_evidence_of_the_release_is_accepted_and_of_another_is_not() -> None:
    """From the signed statement to the verdict on a live enclave."""
    expected = of_image().registers["tdx"]
    (mrtd,), (rtmr0,), (rtmr1,), (rtmr2,) = (
        expected[name] for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")
    )
    found = read(
        signed({"snp_measurement": "11" * 48, "tdx_measurement": {"rtmr1": rtmr1, "rtmr2": rtmr2}})
    )
    shapes = (Hardware(name="this", mrtd=mrtd, rtmr0=rtmr0),)
    caller = Policy(name="mine", channel=Binding.KEY)
    name = "release"
    policy = caller.expecting(releases.measurements(found, shapes), name=name)
    with Enclave(quote, platform="tdx") as enclave:
        shown = tinfoil.of_v3(enclave.document(NONCE), nonce=NONCE, key=enclave.spki)
        assert judged(shown, policy).verdict is Verdict.ACCEPTED
        other = caller.expecting(releases.measurements(OF, shapes), name=name)
        assert judged(shown, other).verdict is Verdict.REJECTED
    with Enclave(lambda data: quote(data, rtmr3=b"\x01" * 48), platform="tdx") as enclave:
        shown = tinfoil.of_v3(enclave.document(NONCE), nonce=NONCE, key=enclave.spki)
        assert judged(shown, policy).verdict is Verdict.REJECTED
