"""Launch digests: against sev-snp-measure, against AMD's formula written out, and their refusals."""

import hashlib
import itertools
import random
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.wire import firmware
from tests.wire.firmware import PAGE, RESET, SEV, image

from troth.errors import Malformed, Misuse
from troth.platforms.snp import measure, vmsa
from troth.platforms.snp.measure import CPU_TYPES, CpuSignature, Vmm, launch_digest
from troth.wire import ovmf

KERNEL, INITRD, LINE = b"a kernel", b"a RAM disk", "console=ttyS0 loglevel=7"
TYPES = ("EPYC-v4", "EPYC-Milan", "EPYC-Genoa-v1", "EPYC-Turin")


def _oracle(  # noqa: PLR0917
    folder: Path,
    data: bytes,
    vmm: Vmm = Vmm.QEMU,
    vcpus: int = 1,
    vcpu: str = "EPYC-v4",
    features: int = 1,
    boot: Sequence[bytes | str | None] = (None, None, None),
) -> bytes:
    """What sev-snp-measure says; it reads files."""
    guest = pytest.importorskip("sevsnpmeasure.guest", reason="sev-snp-measure is not installed")
    from sevsnpmeasure.sev_mode import SevMode
    from sevsnpmeasure.vcpu_types import CPU_SIGS
    from sevsnpmeasure.vmm_types import VMMType

    names: list[str | None] = []
    for name, part in zip(("kernel", "initrd"), boot[:2], strict=True):
        names.append(None if part is None else str(folder / name))
        if isinstance(part, bytes):
            (folder / name).write_bytes(part)
    (folder / "firmware").write_bytes(data)
    kinds = {Vmm.QEMU: VMMType.QEMU, Vmm.EC2: VMMType.ec2, Vmm.GCE: VMMType.gce}
    digest: bytes = guest.calc_launch_digest(
        SevMode.SEV_SNP,
        vcpus,
        CPU_SIGS[vcpu],
        str(folder / "firmware"),
        *names,
        boot[2],
        features,
        vmm_type=kinds[vmm],
    )
    return digest


def _ours(data: bytes, **changes: Any) -> bytes:
    usual = {"vcpus": 1, "vcpu_type": "EPYC-v4", "vmm": Vmm.QEMU}
    return launch_digest(firmware=data, **usual | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("boot", [(None, None, None), (KERNEL, None, None), (KERNEL, INITRD, LINE)])
def test_qemu_as_sev_snp_measure(tmp_path: Path, boot: tuple[Any, ...]) -> None:
    data = image()
    for vcpus, vcpu, features in itertools.product((1, 2, 4, 17), TYPES, (0x1, 0x21)):
        kernel, initrd, append = boot
        assert _ours(
            data,
            vcpus=vcpus,
            vcpu_type=vcpu,
            guest_features=features,
            kernel=kernel,
            initrd=initrd,
            append=append,
        ) == _oracle(tmp_path, data, Vmm.QEMU, vcpus, vcpu, features, boot)


@pytest.mark.parametrize("vmm", [Vmm.EC2, Vmm.GCE])
def test_clouds_as_sev_snp_measure(tmp_path: Path, vmm: Vmm) -> None:
    data = image()
    for vcpus, features in itertools.product((1, 2, 4, 17), (0x1, 0x21)):
        ours = _ours(data, vcpus=vcpus, vcpu_type=None, guest_features=features, vmm=vmm)
        assert ours == _oracle(tmp_path, data, vmm, vcpus, "EPYC-v4", features)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.permutations(SEV), st.integers(0, 1 << 32), st.integers(1, 0xFFFFFFFF), st.data())
def test_any_firmware_as_sev_snp_measure(
    tmp_path: Path, sections: list[tuple[int, ...]], seed: int, reset: int, data: st.DataObject
) -> None:
    sections = sections[: data.draw(st.integers(1, len(sections)))]
    made = image(sev=tuple(sections), seed=seed, reset=reset)
    for vmm in (Vmm.QEMU, Vmm.EC2, Vmm.GCE):
        vcpu = "EPYC-v4" if vmm is Vmm.QEMU else None
        assert _ours(made, vcpus=2, vcpu_type=vcpu, vmm=vmm) == _oracle(tmp_path, made, vmm, 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    kernel=st.binary(min_size=1, max_size=99),
    initrd=st.none() | st.binary(max_size=99),
    append=st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=99),
    offset=st.integers(0, PAGE - 176),
)
def test_any_kernel_as_sev_snp_measure(
    tmp_path: Path, kernel: bytes, initrd: bytes | None, append: str | None, offset: int
) -> None:
    made = image(hashes=(0x810000 + offset, PAGE - offset))
    assert _ours(made, kernel=kernel, initrd=initrd, append=append) == _oracle(
        tmp_path, made, boot=(kernel, initrd, append)
    )


@pytest.mark.firmware
def test_real_firmware_as_sev_snp_measure(tmp_path: Path) -> None:
    compared = 0
    for path, read in firmware.installed():
        try:
            sections = read.sev_sections()
        except Malformed:
            continue
        takes = any(item.kind is ovmf.SevKind.KERNEL_HASHES for item in sections)
        boot = (KERNEL, INITRD, LINE) if takes else (None, None, None)
        ours = _ours(read.data, vcpus=4, kernel=boot[0], initrd=boot[1], append=boot[2])
        assert ours == _oracle(tmp_path, read.data, vcpus=4, boot=boot), path
        compared += 1
    assert compared


def test_vmsa_as_sev_snp_measure() -> None:
    theirs = pytest.importorskip("sevsnpmeasure.vmsa", reason="sev-snp-measure is not installed")
    from sevsnpmeasure.vmm_types import VMMType

    for start, first in ((vmsa.FIRST_ADDRESS, True), (0x1234_5678, False)):
        area = theirs.VMSA.build_save_area(start, 0x21, 0, VMMType.ec2)
        area.rdx = 0  # as sev-snp-measure had it until 2026
        ours = vmsa.page(start=start, vmm=Vmm.EC2_2023, vcpu=None, features=0x21, first=first)
        assert ours == bytes(area)


def test_names_of_processors_as_sev_snp_measure() -> None:
    theirs = pytest.importorskip(
        "sevsnpmeasure.vcpu_types", reason="sev-snp-measure is not installed"
    )
    for name, value in theirs.CPU_SIGS.items():
        assert CPU_TYPES[name].value == value, name


def test_the_formula_written_out() -> None:
    """AMD's PAGE_INFO by hand, over an image of two pages with one section of each kind."""
    data = image(
        pages=2,
        intel=(),
        sev=((0x3000, 0x1000, 2), (0x1000, 0x2000, 1), (0x5000, 0x1000, 3), (0x4000, 0x1000, 4)),
        hashes=None,
    )

    def add(digest: bytes, content: bytes, kind: int, address: int) -> bytes:
        info = digest + content + struct.pack("<HB5xQ", 0x70, kind, address)
        assert len(info) == 0x70
        return hashlib.sha384(info).digest()

    first = bytearray(PAGE)
    for at, name in enumerate(("es", "cs", "ss", "ds", "fs", "gs", "gdtr", "ldtr", "idtr", "tr")):
        what = {"cs": 0x9B, "gdtr": 0, "idtr": 0, "ldtr": 0x82, "tr": 0x8B}.get(name, 0x93)
        base, selector = (0xFFFF0000, 0xF000) if name == "cs" else (0, 0)
        struct.pack_into("<HHIQ", first, 16 * at, selector, what, 0xFFFF, base)
    for at, value in (
        (0xD0, 0x1000),
        (0x148, 0x40),
        (0x158, 0x10),
        (0x160, 0x400),
        (0x168, 0xFFFF0FF0),
        (0x170, 2),
        (0x178, 0xFFF0),
        (0x268, 0x7040600070406),
        (0x310, 0x00A00F11),  # family 25, model 1, stepping 1
        (0x3B0, 1),
        (0x3E8, 1),
        (0x408, 0x1F80),
        (0x410, 0x37F),
    ):
        struct.pack_into("<Q", first, at, value)
    other = bytearray(first)
    struct.pack_into("<Q", other, 24, RESET & 0xFFFF0000)
    struct.pack_into("<Q", other, 0x178, RESET & 0xFFFF)

    none = bytes(48)
    digest = none
    for address in (0, PAGE):
        page = hashlib.sha384(data[address : address + PAGE]).digest()
        digest = add(digest, page, 1, 0xFFFFE000 + address)
    for kind, address in ((5, 0x3000), (3, 0x1000), (3, 0x2000), (6, 0x5000), (3, 0x4000)):
        digest = add(digest, none, kind, address)
    for page in (first, other, other):
        digest = add(digest, hashlib.sha384(page).digest(), 2, 0xFFFFFFFFF000)
    assert _ours(data, vcpus=3, vcpu_type="EPYC-Milan") == digest


def test_a_table_of_hashes_written_out() -> None:
    table = measure.hashes_table(KERNEL, b"", LINE)
    assert len(table) == ovmf.HASHES_SIZE and table[16:18] == (168).to_bytes(2, "little")
    for index, data in enumerate((LINE.encode() + b"\0", b"", KERNEL)):
        entry = table[18 + 50 * index : 68 + 50 * index]
        assert entry[16:18] == b"\x32\x00" and entry[18:] == hashlib.sha256(data).digest()
    assert table[168:] == bytes(8)


def test_as_a_policy_takes_it() -> None:
    digest = _ours(image())
    assert len(digest) == 48
    assert measure.expected(digest) == {"snp": {"measurement": digest.hex()}}


def test_numbers_and_names_say_the_same() -> None:
    milan = CpuSignature(family=25, model=1, stepping=1)
    assert _ours(image(), vcpu_type=milan) == _ours(image(), vcpu_type="EPYC-Milan-v3")
    assert CpuSignature(family=6, model=0x8F, stepping=8).value == 0x806F8
    assert CpuSignature(family=270, model=255, stepping=15).value == 0x0FFF0FFF


def test_every_input_counts() -> None:
    data = image()
    boot: dict[str, Any] = {"kernel": KERNEL, "initrd": INITRD, "append": LINE}
    digests = [
        _ours(data),
        _ours(data, vcpus=2),
        _ours(data, vcpu_type="EPYC-Milan"),
        _ours(data, guest_features=0x21),
        _ours(data, vcpu_type=None, vmm=Vmm.EC2),
        _ours(data, vcpu_type=None, vmm=Vmm.EC2_2023),
        _ours(data, vcpu_type=None, vmm=Vmm.GCE),
        _ours(data, **boot),
        _ours(data, **boot | {"kernel": KERNEL + b"\0"}),
        _ours(data, **boot | {"initrd": INITRD + b"\0"}),
        _ours(data, **boot | {"append": LINE + " "}),
        _ours(image(seed=2)),
        _ours(image(reset=RESET + 16), vcpus=2),
        _ours(image(sev=SEV[1:])),
        _ours(image(sev=(SEV[1], SEV[0], *SEV[2:]))),
    ]
    assert len(set(digests)) == len(digests)


def test_an_absent_part_is_an_empty_one() -> None:
    data = image()
    assert _ours(data, kernel=KERNEL) == _ours(data, kernel=KERNEL, initrd=b"", append="")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"vcpus": 0}, "0 processors"),
        ({"vcpus": -1}, "-1 processors"),
        ({"vcpus": 4097}, "4097 processors"),
        ({"vcpus": 1 << 64}, "processors"),
        ({"guest_features": 0}, "which makes it SNP"),
        ({"guest_features": 0x20}, "which makes it SNP"),
        ({"guest_features": -1}, "which makes it SNP"),
        ({"guest_features": 1 << 64 | 1}, "which makes it SNP"),
        ({"initrd": INITRD}, "without a kernel"),
        ({"append": ""}, "without a kernel"),
        ({"kernel": b""}, "the kernel is empty"),
        ({"kernel": KERNEL, "append": "a\0b"}, "holds a NUL"),
        ({"kernel": KERNEL, "vmm": Vmm.EC2, "vcpu_type": None}, "starts no kernel directly"),
        ({"kernel": KERNEL, "vmm": Vmm.GCE, "vcpu_type": None}, "starts no kernel directly"),
        ({"vcpu_type": "epyc"}, "none of QEMU's names"),
        ({"vcpu_type": "EPYC-Milan-v4"}, "none of QEMU's names"),
        ({"vcpu_type": None}, "none is given"),
        ({"vmm": Vmm.EC2}, "measures no type of processor"),
        ({"vmm": Vmm.EC2_2023}, "measures no type of processor"),
        ({"vmm": Vmm.GCE}, "measures no type of processor"),
    ],
)
def test_arguments_that_contradict(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Misuse, match=why):
        _ours(image(), **changes)


@pytest.mark.parametrize("part", [{"family": 271}, {"model": 256}, {"stepping": 16}, {"model": -1}])
def test_numbers_of_no_processor(part: dict[str, int]) -> None:
    with pytest.raises(Misuse, match="no processor's numbers"):
        CpuSignature(**{"family": 25, "model": 1, "stepping": 1} | part)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (image(sev=SEV[:-1]), "takes no kernel hashes"),
        (image(hashes=None), "takes no kernel hashes"),
        (image(hashes=(0, 0)), "takes no kernel hashes"),
        (image(hashes=(0x811000, 0x400)), "outside the page"),
        (image(hashes=(0x80F000, 0x400)), "outside the page"),
    ],
)
def test_a_kernel_that_the_firmware_would_not_check(data: bytes, why: str) -> None:
    assert _ours(data)
    with pytest.raises(Misuse, match=why):
        _ours(data, kernel=KERNEL)


@pytest.mark.parametrize("data", [b"", bytes(PAGE), image(reset=None), image(sev=None)])
def test_firmware_that_can_start_no_guest(data: bytes) -> None:
    with pytest.raises(Malformed):
        _ours(data)


def test_a_flipped_bit_changes_the_digest_or_is_refused() -> None:
    data = bytearray(image(pages=3, intel=()))
    seen = {_ours(bytes(data))}
    for bit in random.Random(3).sample(range(8 * len(data)), 500) + list(
        range(8 * len(data) - 8 * 180, 8 * len(data))
    ):
        data[bit // 8] ^= 1 << bit % 8
        try:
            digest = _ours(bytes(data))
        except Malformed:
            pass
        else:
            assert digest not in seen
        data[bit // 8] ^= 1 << bit % 8


def test_many_processors_and_a_large_image_are_quick() -> None:
    data = image(pages=1024)
    assert len(data) == 4 << 20
    assert len(_ours(data, vcpus=measure.MAX_VCPUS)) == 48
