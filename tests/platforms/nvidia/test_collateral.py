"""What must be fetched for a device: documents by their names, and answers about whoever signed them."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.platforms.nvidia.made import evidence, file

from troth.errors import Malformed
from troth.model.collateral import Item, Kind
from troth.platforms.nvidia import collateral, device, fields, rim
from troth.platforms.nvidia.format import parse
from troth.wire import x509

NAMES = {
    "gpu-gb100-575.32": ("NV_GPU_CC_DRIVER_GB100_575.32", "NV_GPU_VBIOS_G525_0220_886_970088000F"),
    "gpu-h100-550.90.07": (
        "NV_GPU_DRIVER_GH100_550.90.07",
        "NV_GPU_VBIOS_1010_0200_882_96009F0001",
    ),
    "switch-ls10": ("NV_SWITCH_BIOS_5612_0002_890_9610550001",),
}


@pytest.mark.parametrize("name", NAMES)
def test_documents_have_the_names_that_the_service_gives_them(vectors: Path, name: str) -> None:
    document = parse(evidence(vectors, name))
    assert collateral.rim_ids(document) == NAMES[name]
    asked = [request.url.rpartition("/")[2] for request in collateral.requests(document)]
    assert tuple(asked[: len(NAMES[name])]) == NAMES[name]


def test_documents_bring_questions_about_their_signers(vectors: Path) -> None:
    data = file(vectors, "rim-switch-5612-0002-890-9610550001.xml")
    document = Item(kind=Kind.NVIDIA_RIM, data=data)
    signers = rim.read(data).signers
    questions = collateral.following([Item(kind=Kind.NVIDIA_OCSP, data=b"0"), document, document])
    assert questions == collateral.about(signers)
    assert len(questions) == len(signers) - 1
    assert collateral.following([Item(kind=Kind.NVIDIA_OCSP, data=b"0")]) == ()
    for question in questions:
        path = question.url.removeprefix(collateral.OCSP)
        assert collateral.asked(path)[:1] == b"\x30"


def test_fields_are_said_in_words_and_numbers(vectors: Path) -> None:
    shown = dict(fields.fields(evidence(vectors, "gpu-h100-550.90.07")))
    assert shown["driver_version"].startswith("550.90.07 = ")
    assert " = " not in shown["fwid"]
    shown = dict(fields.fields(evidence(vectors, "gpu-gb100-575.32")))
    assert shown["opaque_data_version"].startswith("0 = 0000")


@pytest.mark.parametrize("path", ["/%", "/a", "/é", "/MA=", "/!!!!"])
def test_a_path_that_holds_no_question(path: str) -> None:
    with pytest.raises(Malformed, match="holds no request"):
        collateral.asked(path)


def test_a_leaf_that_names_its_firmware_twice(vectors: Path) -> None:
    """In the older form and in the newer: which of both is meant nobody could say."""
    old, new = (
        parse(evidence(vectors, name)).chain[0]
        for name in ("gpu-h100-550.90.07", "gpu-gb100-575.32")
    )
    assert device.fwid(old)
    assert device.fwid(new)
    both: x509.Certificate = replace(old, extensions={**new.extensions, **old.extensions})
    with pytest.raises(Malformed, match="is named in two forms"):
        device.fwid(both)
