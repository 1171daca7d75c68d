"""What a report says in the common words, and its fields for people."""

import dataclasses
import hashlib
from pathlib import Path

import pytest
from tests.platforms.nvidia.made import NONCE, START, evidence, file, report

from troth.platforms import detect
from troth.platforms.nvidia import PLATFORM, carrier
from troth.platforms.nvidia.device import BLACKWELL, HOPPER, LS10
from troth.platforms.nvidia.format import Field, parse
from troth.platforms.nvidia.simulate import DRIVER_VERSION, VBIOS_VERSION, Device
from troth.platforms.nvidia.simulate_pki import DevelopmentPki, leaf


def test_a_gpu(vectors: Path) -> None:
    data = carrier.unwrap(file(vectors, "evidence-h100-590.12.json"))
    assert data is not None
    document = parse(data[0])
    claims = PLATFORM.claims(document, None)
    joined = b"".join(document.measurements)
    assert claims.registers == {"measurements": hashlib.sha384(joined).hexdigest()}
    assert claims.identity == ("measurements",)
    assert claims.covers == {"measurements": ("driver_version", "vbios_version")}
    assert claims.texts == {
        "arch": ("hopper",),
        "driver_version": ("590.12",),
        "vbios_version": ("96.00.A5.00.01",),
        "mode": ("ppcie",),
        "ueid": (str(document.chain[0].serial),),
    }
    assert claims.events == {}
    assert claims.numbers == {"opaque_version": 1, "ppcie": 1, "nvdec0": 0, "feature_flag": 2}
    assert claims.nonce == document.nonce
    assert claims.instance == f"{document.chain[1].serial:x}"
    assert (claims.debug, claims.user_data, claims.public_key) == (False, None, None)


def test_a_switch(vectors: Path) -> None:
    claims = PLATFORM.claims(parse(evidence(vectors, "switch-ls10")), None)
    assert claims.texts.keys() == {"arch", "vbios_version", "ueid"}
    assert claims.texts["vbios_version"] == ("96.10.55.00.01",)
    assert claims.covers == {"measurements": ("vbios_version",)}
    assert claims.numbers == {"opaque_version": 0}


def test_a_report_alone(vectors: Path) -> None:
    claims = PLATFORM.claims(parse(report(vectors, "gpu-h100-550.90.07")), None)
    assert claims.instance == ""
    assert "arch" not in claims.texts
    assert claims.texts["driver_version"] == ("550.90.07",)


def test_a_device_keeps_its_name_under_other_firmware(pki: DevelopmentPki, hopper: Device) -> None:
    again = dataclasses.replace(hopper, leaf=leaf(HOPPER, hopper.brom, START, b"\x07" * 48))
    first, second = (
        PLATFORM.claims(parse(device.evidence(NONCE)), None) for device in (hopper, again)
    )
    assert first.instance == second.instance
    assert first.texts["ueid"] != second.texts["ueid"]
    other = PLATFORM.claims(parse(Device.create(pki, HOPPER, START).evidence(NONCE)), None)
    assert other.instance != first.instance


def test_debug_is_what_blackwells_leaf_says(pki: DevelopmentPki, blackwell: Device) -> None:
    assert not PLATFORM.claims(parse(blackwell.evidence(NONCE)), None).debug
    debug = Device.create(pki, BLACKWELL, START, debug=True)
    assert PLATFORM.claims(parse(debug.evidence(NONCE)), None).debug


@pytest.mark.parametrize("architecture", [HOPPER, BLACKWELL, LS10])
def test_fields(devices: dict[str, Device], architecture: str) -> None:
    device = devices[architecture]
    data = device.evidence(NONCE)
    rows = dict(PLATFORM.fields(data))
    document = parse(data)
    assert rows["nonce"].startswith(NONCE.hex())
    for index, value in enumerate(document.measurements):
        assert rows[f"measurement[{index}]"] == value.hex()
    for index, member in enumerate(device.chain):
        assert rows[f"certificate[{index}]"] == member.der.hex()
    assert rows["signature"].startswith(document.signature.hex())
    if device.driver_version:
        assert rows["driver_version"].startswith(f"{DRIVER_VERSION} = ")
        assert rows["vbios_version"].startswith(f"{VBIOS_VERSION} = ")
        assert rows["nvdec0_status"].startswith("on = aa")
        assert rows["project"].startswith("1010 = ")
    else:
        assert "this switch" in rows["pdi"]


def test_every_opaque_field_is_shown(vectors: Path) -> None:
    data = report(vectors, "gpu-h100-560.00.invalid-signature")
    rows = dict(PLATFORM.fields(data))
    for kind, value in parse(data).opaque.items():
        assert value.hex() in rows[Field(kind).name.lower()]
    strange = dict(PLATFORM.fields(data.replace(b"\x0e\0\4\0", b"\xff\x0f\4\0", 1)))
    assert "does not know" in strange["opaque[4095]"]


def test_all_carriers_are_recognised(vectors: Path) -> None:
    for data in (
        evidence(vectors, "switch-ls10"),
        file(vectors, "switch-ls10.report.hex"),
        file(vectors, "evidence-switch-ls10.json"),
    ):
        found = detect(data)
        assert found is not None
        assert found[0].name == "nvidia"
