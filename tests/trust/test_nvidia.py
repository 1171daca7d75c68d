"""NVIDIA's reference values and OCSP answers: asked for, read out of files, frozen, and judged at the end."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.platforms.nvidia.conftest import xml  # noqa: F401 - the fixture
from tests.trust import nvidia

import troth
from troth.cli.main import run
from troth.errors import Malformed, Misuse, Unavailable
from troth.model.collateral import Collateral, Item, Kind, Request
from troth.model.report import Verdict
from troth.platforms.nvidia import collateral as wanted
from troth.platforms.nvidia.format import parse
from troth.platforms.nvidia.ocsp import Status
from troth.platforms.nvidia.simulate import Device, collateral, sdk_json
from troth.platforms.nvidia.simulate_pki import DevelopmentPki
from troth.trust import cache, stated
from troth.trust.collateral import freeze, load
from troth.trust.fetch import NotServed, Patience, Servers, fetch
from troth.trust.needs import following, needs

pytestmark = pytest.mark.usefixtures("xml")
START = datetime(2026, 1, 1, tzinfo=UTC)
AT = datetime(2026, 11, 1, tzinfo=UTC)
NONCE = bytes(range(32))


@pytest.fixture(scope="module")
def pki() -> DevelopmentPki:
    return DevelopmentPki.create(START)


@pytest.fixture(scope="module")
def gpu(pki: DevelopmentPki) -> Device:
    return Device.create(pki, "hopper", START)


@pytest.fixture(scope="module")
def switch(pki: DevelopmentPki) -> Device:
    return Device.create(pki, "ls10", START)


@pytest.fixture
def site(gpu: Device, switch: Device) -> Iterator[nvidia.Site]:
    with nvidia.running(AT) as found:
        found.serve([gpu, switch])
        yield found


@pytest.fixture(autouse=True)
def _own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own, and a clock at which the answers are good."""
    assert home.is_dir()
    monkeypatch.setattr(cache, "utc_now", lambda: AT)


def ask(site: nvidia.Site, request: Request) -> Item:
    return fetch(
        request,
        servers=Servers(rim=site.base, ocsp=site.base),
        patience=Patience(attempts=1),
        now=lambda: AT,
    )


def test_what_a_gpu_needs(gpu: Device) -> None:
    found = needs([("gpu", gpu.evidence(NONCE))])
    names = [r.url.rpartition("/")[2] for r in found if r.kind is Kind.NVIDIA_RIM]
    assert names == [
        "NV_GPU_DRIVER_GH100_580.159.03",
        "NV_GPU_VBIOS_1010_0200_882_96009F0001",
    ]
    assert all(r.url.startswith("https://rim.attestation.nvidia.com/v1/rim/") for r in found[:2])
    asked = [r for r in found if r.kind is Kind.NVIDIA_OCSP]
    assert len(asked) == 3  # device, provisioner, identity: not the leaf, not the root
    assert all(r.url.startswith("https://ocsp.ndis.nvidia.com/") for r in asked)
    # The same device asks for the same: addresses name what is kept in the cache.
    assert needs([("again", gpu.evidence(bytes(32)))]) == found


def test_what_others_need(pki: DevelopmentPki, switch: Device) -> None:
    found = needs([("switch", switch.evidence(NONCE))])
    assert found[0].url.endswith("/v1/rim/NV_SWITCH_BIOS_5612_0002_890_9610550001")
    blackwell = Device.create(pki, "blackwell", START)
    found = needs([("gpu", blackwell.evidence(NONCE))])
    assert found[0].url.endswith("/v1/rim/NV_GPU_CC_DRIVER_GB100_580.159.03")
    named = Device.create(pki, "blackwell", START, opaque={35: b"GB20X\0"})
    found = needs([("gpu", named.evidence(NONCE))])
    assert found[0].url.endswith("/v1/rim/NV_GPU_CC_DRIVER_GB20X_580.159.03")
    assert [r.kind for r in needs([("alone", switch.report(NONCE))])] == [Kind.NVIDIA_RIM]


def test_several_devices_in_one_file(gpu: Device, switch: Device) -> None:
    whole = needs([("file", sdk_json([gpu, switch], NONCE))])
    parts = needs([("gpu", gpu.evidence(NONCE)), ("switch", switch.evidence(NONCE))])
    assert whole == parts
    # Both chains go through one identity authority, which is asked about once.
    assert len([r for r in whole if r.kind is Kind.NVIDIA_OCSP]) == 5


def test_what_is_served_is_accepted(site: nvidia.Site, gpu: Device) -> None:
    first = [ask(site, request) for request in needs([("gpu", gpu.evidence(NONCE))])]
    then = following(first)
    assert len(then) == 3
    items = (*first, *(ask(site, request) for request in then))
    held = load(freeze(Collateral(items=items)))
    policy = troth.Policy.from_toml(
        'schema = "troth/policy/1"\n[nvidia]\ndriver_version = "580.159.03"\n'
        'vbios_version = "96.00.9F.00.01"\n',
        source="a test",
    )
    report = troth.appraise(
        gpu.evidence(NONCE),
        policy=policy,
        at=AT + timedelta(hours=1),
        nonce=NONCE,
        trust=gpu.pki.roots(),
        collateral=held,
    )
    assert report.verdict is Verdict.ACCEPTED
    assert len(report.collateral) == 8


def test_nothing_follows_from_what_is_no_document() -> None:
    assert following([Item(kind=Kind.AMD_CRL, data=b"")]) == ()
    with pytest.raises(Malformed):
        following([Item(kind=Kind.NVIDIA_RIM, data=b"<x/>")])


def test_answers_that_are_none(site: nvidia.Site, gpu: Device) -> None:
    rim, *_, asked = needs([("gpu", gpu.evidence(NONCE))])
    site.echo = False
    with pytest.raises(Unavailable, match="does not echo the nonce"):
        ask(site, asked)
    site.echo, site.other = True, True
    with pytest.raises(Unavailable, match="is about another certificate"):
        ask(site, asked)
    site.other = False
    site.links.clear()
    with pytest.raises(NotServed):
        ask(site, asked)
    names = list(site.rims)
    site.rims[names[0]] = site.rims[names[1]]
    with pytest.raises(
        Unavailable, match=r"is of version 96\.00\.9F\.00\.01, should be of 580\.159\.03"
    ):
        ask(site, rim)
    site.rims[names[0]] = b"<html>"
    with pytest.raises(Unavailable, match="is no RIM document"):
        ask(site, rim)


def test_what_a_revoked_certificates_answer_says_is_kept(site: nvidia.Site, gpu: Device) -> None:
    site.status = Status.REVOKED
    item = ask(site, needs([("gpu", gpu.evidence(NONCE))])[-1])
    assert stated.read(item).about.startswith("revoked for serial number")


def test_other_servers_are_not_asked() -> None:
    with pytest.raises(Misuse, match="none of the vendors' servers"):
        Servers().address(Request(url="https://rim.example/v1/rim/x", kind=Kind.NVIDIA_RIM))
    with pytest.raises(Misuse, match="may not be asked"):
        Servers(ocsp="http://ocsp.ndis.nvidia.com")
    vendors = Servers()
    name = "https://rim.attestation.nvidia.com/v1/rim/x"
    assert vendors.address(Request(url=name, kind=Kind.NVIDIA_RIM)) == name
    asked = Request(url="https://ocsp.ndis.nvidia.com/abc", kind=Kind.NVIDIA_OCSP)
    assert vendors.address(asked) == "https://ocsp.ndis.nvidia.com"


@pytest.mark.parametrize("path", ["", "/", "/!", "/abc", "/%00"])
def test_addresses_without_a_request(path: str) -> None:
    try:
        data = wanted.asked(path)
    except Malformed:
        return
    assert len(data) < 4


def test_files_are_told_by_their_bytes(gpu: Device, tmp_path: Path) -> None:
    held = collateral([gpu], AT)
    for place, item in enumerate(held.items):
        (tmp_path / f"{place}.bin").write_bytes(item.data)
    found = load(tmp_path)
    assert sorted((i.kind, i.data) for i in found.items) == sorted(
        (i.kind, i.data) for i in held.items
    )
    assert freeze(found) == freeze(load(freeze(found)))


def test_a_document_in_the_services_json(gpu: Device) -> None:
    (item, *_) = collateral([gpu], AT).items
    import base64

    value = {"id": "x", "rim": base64.b64encode(item.data).decode(), "sha256": ""}
    assert load(json.dumps(value).encode()).items[0].data == item.data
    for rim in (7, "é", "!", base64.b64encode(b"<html>").decode()):
        with pytest.raises(Malformed):
            load(json.dumps({**value, "rim": rim}).encode())


def test_what_items_say_of_themselves(gpu: Device) -> None:
    rims, answers = [], []
    for item in collateral([gpu], AT).items:
        (rims if item.kind is Kind.NVIDIA_RIM else answers).append(stated.read(item))
    assert [r.about for r in rims] == ["GH100 GPU 580.159.03", "GH100 GPU 96.00.9F.00.01"]
    assert {r.begins for r in rims} == {START}
    assert {r.ends for r in rims} == {START + timedelta(days=730)}
    assert all(a.about.startswith("good for serial number ") for a in answers)
    assert {(a.begins, a.ends) for a in answers} == {(AT, AT + timedelta(days=2))}
    assert parse(gpu.evidence(NONCE)).chain[1].serial in {
        int(a.about.rpartition(" ")[2], 16) for a in answers
    }


def test_from_the_command_line(
    site: nvidia.Site,
    gpu: Device,
    switch: Device,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    evidence, roots = tmp_path / "gpu.json", tmp_path / "roots.pem"
    held, pinned = tmp_path / "held.json", tmp_path / "gpu.policy.toml"
    evidence.write_bytes(sdk_json([gpu], NONCE))
    roots.write_bytes(gpu.pki.pem())
    update = ["trust", "update", "--for", str(evidence), "--rim", site.base, "--ocsp", site.base]
    assert run([*update, "-o", str(held)]) == 0
    assert "8 endorsements" in capsys.readouterr().err
    assert len(site.asked) == 8
    again = tmp_path / "again.json"
    assert run(["trust", "freeze", "--for", str(evidence), "-o", str(again)]) == 0
    assert again.read_bytes() == held.read_bytes()
    assert run(["trust", "show", str(held)]) == 0
    assert "nvidia-rim: GH100 GPU 580.159.03" in capsys.readouterr().out
    common = ["--trust", str(roots), "--collateral", str(held), "--at", AT.isoformat()]
    asked = ["--nonce", NONCE.hex(), *common]
    assert run(["policy", "pin", str(evidence), *asked, "-o", str(pinned)]) == 0
    text = pinned.read_text()
    assert 'driver_version = ["580.159.03"]' in text
    assert 'vbios_version = ["96.00.9F.00.01"]' in text
    assert "measurements" not in text
    reviewed = text.replace("unreviewed = true\n", "")
    pinned.write_text(reviewed)
    capsys.readouterr()
    assert run(["verify", str(evidence), "--policy", str(pinned), *asked]) == 0
    assert "accepted" in capsys.readouterr().out
    other = tmp_path / "other.bin"
    other.write_bytes(switch.evidence(NONCE))
    assert run(["verify", str(other), "--policy", str(pinned), *asked]) == 1


def test_inspecting(gpu: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several, one, rim = (tmp_path / name for name in ("several", "one", "rim"))
    several.write_bytes(sdk_json([gpu, gpu], NONCE))
    one.write_bytes(gpu.evidence(NONCE))
    rim.write_bytes(collateral([gpu], AT).items[0].data)
    assert run(["inspect", str(several), "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)["parts"]
    assert run(["inspect", str(one), "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert list(parts) == ["gpu-0", "gpu-1"]
    for part in parts.values():
        assert part["fields"]["driver_version"] == alone["fields"]["driver_version"]
    assert run(["inspect", str(rim), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["version"] == "580.159.03"
    assert len(shown["values"]) == 21
    assert len(shown["signers"]) == 4
    assert run(["inspect", str(rim)]) == 0
    assert capsys.readouterr().out.endswith("nothing above was verified\n")
