"""`troth measure` of firmware: what is predicted, what is not and why, and files of measurements."""

import hashlib
import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from tests.cli.test_expect import image as enclave
from tests.platforms.tdx.test_dstack_image import made as dstack
from tests.wire import firmware
from tests.wire.firmware import PAGE, SEV

from troth.cli import _expect
from troth.cli.main import run
from troth.cli.measure import measure as command
from troth.errors import Malformed, Misuse
from troth.image.companions import SCHEMA
from troth.platforms.snp.measure import CPU_TYPES, Vmm, launch_digest
from troth.platforms.tdx import dstack_image
from troth.platforms.tdx.measure import Order, mrtd
from troth.policy import Policy
from troth.wire import eif

MILAN = ("--vcpus", "2", "--vcpu-type", "EPYC-Milan")
A, B = "ab" * 48, "cd" * 48


@pytest.fixture
def fw(tmp_path: Path) -> Path:
    path = tmp_path / "fw.fd"
    path.write_bytes(firmware.image())
    return path


def _digest(data: bytes, vmm: Vmm = Vmm.QEMU, **changes: Any) -> str:
    usual = {"vcpus": 2, "vcpu_type": "EPYC-Milan" if vmm is Vmm.QEMU else None}
    return launch_digest(firmware=data, vmm=vmm, **usual | changes).hex()  # type: ignore[arg-type]


def _mrtds(data: bytes) -> list[str]:
    return [mrtd(data, order=order).hex() for order in (Order.BY_PAGE, Order.BY_SECTION)]


def _json(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Any:
    assert run(["measure", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_platform_is_predicted(fw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = fw.read_bytes()
    assert run(["measure", str(fw), *MILAN]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"snp  measurement  {_digest(data)}",
        *(f"tdx  mrtd  {value}" for value in _mrtds(data)),
    ]
    assert "tdx: rtmr0 to rtmr2 are not predicted" in said.err
    assert "without --kernel the digest covers nothing after the firmware" in said.err
    assert _json(capsys, fw, *MILAN) == {
        "snp": {"measurement": _digest(data)},
        "tdx": {"mrtd": _mrtds(data)},
    }


def test_what_is_not_known_is_left_out_with_the_reason(
    fw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["measure", str(fw)]) == 0
    said = capsys.readouterr()
    assert "snp" not in said.out
    assert "snp: left out: SEV-SNP measures how many processors start" in said.err
    assert "--vcpu-type" in said.err
    fw.write_bytes(firmware.image(intel=()))
    assert run(["measure", str(fw), *MILAN]) == 0
    said = capsys.readouterr()
    assert "tdx" not in said.out and "tdx: left out: TDX metadata" in said.err
    fw.write_bytes(firmware.image(sev=None))
    assert run(["measure", str(fw)]) == 0
    assert "snp: left out: SEV metadata" in capsys.readouterr().err


def test_orders_and_loaders_are_alternatives(fw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = fw.read_bytes()
    for name, value in zip(("by-page", "by-section"), _mrtds(data), strict=True):
        assert _json(capsys, fw, "--order", name) == {"tdx": {"mrtd": value}}
    both = _json(capsys, fw, "--vcpus", "2", "--vmm", "ec2", "--vmm", "ec2-2023")
    assert both["snp"]["measurement"] == [_digest(data, Vmm.EC2), _digest(data, Vmm.EC2_2023)]
    mixed = _json(capsys, fw, *MILAN, "--vmm", "qemu", "--vmm", "gce")
    assert mixed["snp"]["measurement"] == [_digest(data), _digest(data, Vmm.GCE)]


def test_every_option_is_the_digest_s(
    fw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = fw.read_bytes()
    (tmp_path / "kernel").write_bytes(b"a kernel")
    (tmp_path / "initrd").write_bytes(b"a RAM disk")
    boot = ("--kernel", tmp_path / "kernel", "--initrd", tmp_path / "initrd", "--append", "quiet")
    found = _json(capsys, fw, *MILAN, "--guest-features", "0x21", *boot)
    assert found["snp"]["measurement"] == _digest(
        data, guest_features=0x21, kernel=b"a kernel", initrd=b"a RAM disk", append="quiet"
    )
    assert run(["measure", str(fw), *MILAN, *map(str, boot)]) == 0
    assert "without --kernel" not in capsys.readouterr().err


def test_words_of_options_are_the_platforms() -> None:
    hints = get_type_hints(command)
    assert set(get_args(get_args(hints["vmm"])[0])) == {str(vmm) for vmm in Vmm}
    assert set(get_args(get_args(hints["order"])[0])) == {f"by-{order}" for order in Order}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--vcpus", "2"), "measures how many processors start"),
        (("--vcpu-type", "EPYC-Milan"), "measures how many processors start"),
        (("--vmm", "ec2"), "measures how many processors start"),
        (("--guest-features", "1"), "measures how many processors start"),
        (("--append", "quiet"), "measures how many processors start"),
        ((*MILAN, "--vmm", "ec2"), "ec2 measures no type of processor"),
        ((*MILAN, "--vmm", "qemu", "--vmm", "qemu"), "--vmm names one thing twice"),
        (("--order", "by-page", "--order", "by-page"), "--order names one thing twice"),
        (("--vcpus", "0", "--vcpu-type", "EPYC"), "0 processors"),
        (("--vcpus", "-1", "--vcpu-type", "EPYC"), "-1 processors"),
        (("--vcpus", "2", "--vcpu-type", "Xeon"), "none of QEMU's names"),
        ((*MILAN, "--guest-features", "0x20"), "bit 0"),
        ((*MILAN, "--append", "quiet"), "without a kernel"),
        ((*MILAN, "--append", "\udcff", "--kernel", "KERNEL"), "not UTF-8"),
        ((*MILAN, "--vmm", "xen"), "xen"),
        (("--order", "by-hand"), "by-hand"),
        (("--vcpus", "two"), "two"),
        (("-o", "fw.json"), "would not be taken for a file of measurements"),
    ],
)
def test_options_that_contradict(
    fw: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    (fw.parent / "kernel").write_bytes(b"a kernel")
    words = tuple(str(fw.parent / "kernel") if word == "KERNEL" else word for word in words)
    assert run(["measure", str(fw), *words]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err.startswith("error: ") and why in said.err


def test_firmware_that_takes_no_kernel(fw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fw.parent / "kernel").write_bytes(b"a kernel")
    fw.write_bytes(firmware.image(sev=SEV[:-1]))
    words = ["measure", str(fw), *MILAN, "--kernel"]
    assert run([*words, str(fw.parent / "kernel")]) == 2
    assert "takes no kernel hashes" in capsys.readouterr().err
    assert run([*words, str(fw.parent / "absent")]) == 5


def test_firmware_of_another_platform_than_was_asked(
    fw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fw.write_bytes(firmware.image(sev=None))
    assert run(["measure", str(fw), *MILAN]) == 3
    fw.write_bytes(firmware.image(intel=()))
    assert run(["measure", str(fw), "--order", "by-page"]) == 3
    assert run(["measure", str(fw)]) == 2
    assert "nothing can be predicted" in capsys.readouterr().err
    assert not capsys.readouterr().out


def test_what_is_no_firmware(fw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = fw.read_bytes()
    volume = bytearray(2 * PAGE)
    volume[40:44] = b"_FVH"
    large = bytes((16 << 20) - len(data)) + data
    for wrong, why in (
        (bytes(volume), "not its variables"),
        (data[:-48], "eif.magic"),
        (data + bytes(PAGE), "eif.magic"),
        (data[1:], "pages"),
        (data[-64:], "pages"),
        (large + bytes(PAGE), "eif.magic"),
        (bytes(PAGE) + large, "eif.magic"),
    ):
        fw.write_bytes(wrong)
        assert run(["measure", str(fw)]) == 3, why
        said = capsys.readouterr()
        assert not said.out
        assert why in said.err
    fw.write_bytes(large)
    assert run(["measure", str(fw)]) == 0


def test_options_of_firmware_are_not_for_an_enclave(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "app.eif"
    path.write_bytes(eif.pack(enclave()))
    for words in (MILAN, ("--order", "by-page"), ("--append", ""), ("--vmm", "gce")):
        assert run(["measure", str(path), *words]) == 2
    out = tmp_path / "app.measurements.json"
    assert run(["measure", str(path), "-o", str(out)]) == 0
    document = json.loads(out.read_bytes())
    assert document["schema"] == SCHEMA
    data = path.read_bytes()
    about = {"name": "app", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    assert document["image"] == about
    assert set(document) == {"schema", "image", "nitro"}
    # It stands beside the image now, and says the same.
    assert _expect.policy(None, image=path).registers == _expect.policy(None, image=out).registers
    capsys.readouterr()


def test_a_file_of_measurements_is_what_image_takes(
    fw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fw.measurements.json"
    words = ["measure", str(fw), *MILAN, "-o", str(out)]
    assert run(words) == 0
    data = fw.read_bytes()
    document = json.loads(out.read_bytes())
    assert document["image"] == {
        "name": "fw",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
    assert document["assumed"] == {
        "snp": {"vcpus": 2, "vcpu_type": "EPYC-Milan", "vmm": ["qemu"], "guest_features": "0x1"},
        "tdx": {"order": ["by-page", "by-section"]},
    }
    assert run(words) == 2  # it exists
    expected = {
        "snp": {"measurement": frozenset({_digest(data)})},
        "tdx": {"mrtd": frozenset(_mrtds(data))},
    }
    assert _expect.policy(None, image=out).registers == expected
    with pytest.raises(Misuse, match="mrtd"):
        _expect.policy(None, image=out, measurement=[f"mrtd={A}"])
    capsys.readouterr()
    assert run(["policy", "new", "--image", str(out)]) == 0
    policy = Policy.from_toml(capsys.readouterr().out, source="new")
    assert policy.registers == expected
    assert policy.name == "fw"


def test_firmware_itself_is_no_expectation(fw: Path) -> None:
    with pytest.raises(Misuse, match="depends on how it is loaded") as caught:
        _expect.policy(None, image=fw)
    assert "fw.measurements.json" in caught.value.fix


def test_a_dstack_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "measurement.tdx.cbor"
    data = dstack()
    path.write_bytes(data)
    image = dstack_image.read(data)
    both = [image.mrtd[order].hex() for order in (Order.BY_PAGE, Order.BY_SECTION)]
    rest = {"rtmr1": image.rtmr1.hex(), "rtmr2": image.rtmr2.hex()}
    out = tmp_path / "os.measurements.json"
    assert run(["measure", str(path), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "rtmr0 is not predicted" in said.err and "2 GiB" in said.err
    assert len(said.out.splitlines()) == 4
    assert _expect.policy(None, image=out).registers == {
        "tdx": {
            "mrtd": frozenset(both),
            **{name: frozenset({value}) for name, value in rest.items()},
        }
    }
    found = _json(capsys, path, "--order", "by-section")
    assert found == {"tdx": {"mrtd": both[1], **rest}}
    assert run(["measure", str(path), *MILAN]) == 2
    assert "not about SEV-SNP" in capsys.readouterr().err
    with pytest.raises(Misuse, match="depends on how it is loaded"):
        _expect.policy(None, image=path)
    path.write_bytes(data[:-1])
    assert run(["measure", str(path)]) == 3


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "not JSON"),
        (b"[]", "not a file of measurements"),
        (b"{}", "not a file of measurements"),
        ({"schema": "troth/measurements/2"}, "not a file of measurements"),
        ({}, "holds no measurements"),
        ({"image": {}, "assumed": {}}, "holds no measurements"),
        ({"nitra": {"pcr0": A}}, "no platform"),
        ({"nitro": {}}, "says nothing of nitro"),
        ({"nitro": [A]}, "says nothing of nitro"),
        ({"nitro": {"pcr0": A}, "tdx": {}}, "says nothing of tdx"),
        ({"nitro": {"pcr0": None}}, "is not hex"),
        ({"nitro": {"pcr0": []}}, "a list of 1 to 64"),
        ({"nitro": {"pcr0": [A] * 65}}, "a list of 1 to 64"),
        ({"nitro": {"pcr0": [A, 1]}}, "lower-case hex"),
        ({"nitro": {"pcr0": [[A]]}}, "lower-case hex"),
        ({"nitro": {"pcr0": ""}}, "lower-case hex"),
        ({"nitro": {"pcr0": A.upper()}}, "lower-case hex"),
        ({"nitro": {"pcr0": [A, A]}}, "one value twice"),
        (b'{"nitro":{},"nitro":{}}', "twice"),
    ],
)
def test_files_that_say_nothing_clear(tmp_path: Path, document: Any, why: str) -> None:
    path = tmp_path / "x.measurements.json"
    if isinstance(document, dict):
        document = json.dumps({"schema": SCHEMA} | document).encode()
    path.write_bytes(document)
    with pytest.raises(Malformed, match=why):
        _expect.policy(None, image=path)


@pytest.mark.parametrize(
    "registers",
    [
        {"tdx": {"pcr0": A}},
        {"tdx": {"mrtd": A[:64]}},
        {"tdx": {"mrtd": [A, "00" * 48]}},
        {"nitro": {"pcr0": [A, A[:-1]]}},
    ],
)
def test_registers_that_no_platform_has(tmp_path: Path, registers: dict[str, Any]) -> None:
    path = tmp_path / "x.measurements.json"
    path.write_text(json.dumps({"schema": SCHEMA} | registers))
    with pytest.raises(Misuse):
        _expect.policy(None, image=path)


def test_a_file_of_measurements_needs_its_name(tmp_path: Path) -> None:
    """What lies under the name of an image is measured and never believed."""
    path = tmp_path / "app.eif"
    path.write_text(json.dumps({"schema": SCHEMA, "nitro": {"pcr0": A}}))
    with pytest.raises(Malformed, match=r"eif\.magic"):
        _expect.policy(None, image=path)


@pytest.mark.firmware
def test_firmware_of_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    measured: set[str] = set()
    for path, _ in firmware.installed():
        words = [
            "measure",
            str(path),
            "--json",
            "--vcpus",
            "1",
            "--vcpu-type",
            next(iter(CPU_TYPES)),
        ]
        code = run(words)
        said = capsys.readouterr()
        assert code == 0 or "left out" in said.err or "SEV metadata" in said.err, path
        if code == 0:
            measured |= set(json.loads(said.out))
    assert measured == {"snp", "tdx"}


def test_a_quote_of_predicted_firmware(vectors: Path, tmp_path: Path) -> None:
    """The whole way with a real quote: expected from a file, and judged."""
    quote = vectors / "tdx" / "dstack-tdx-lite-v4.quote.bin"
    mine = tmp_path / "mine.measurements.json"
    presented = quote.read_bytes()[48 + 136 : 48 + 184].hex()
    at = ["--at", "2026-11-01T00:00:00Z", "--format", "json"]
    for values, outcome in (([A, presented], "passed"), ([A, B], "failed")):
        mine.write_text(json.dumps({"schema": SCHEMA, "tdx": {"mrtd": values}}))
        report = tmp_path / f"{outcome}.json"
        run(["verify", str(quote), "--image", str(mine), *at, "-o", str(report)])
        checks = json.loads(report.read_bytes())["checks"]
        assert [c["outcome"] for c in checks if c["subject"] == "mrtd"] == [outcome]
