"""From a firmware image and how it is loaded to the registers that can be predicted, and why not others.

What isn't known is never guessed: a platform whose options are missing is left out, with the reason,
and where its options are given, all that it needs must be there.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from troth.cli._console import read_source
from troth.errors import Malformed, Misuse, TrothError

MAX_BOOT: Final = 1 << 30
"""Bytes of a kernel or RAM disk."""

_NEEDS: Final = "SEV-SNP measures how many processors start, and QEMU their type"
_OPTIONS: Final = "give --vcpus, and --vcpu-type such as EPYC-Milan, or --vmm where it is not QEMU"
_RTMRS: Final = (
    "tdx: rtmr0 to rtmr2 are not predicted. They hold what this firmware does at boot: the memory map "
    "and ACPI tables of the machine, its variables, and the kernel that it loads. Replay the guest's "
    "event log, or pin them from a guest that you have examined; MRTD alone is undecided"
)
_ONLY_ORDER: Final = "leave all options for firmware away but --order"
_OF_DSTACK: Final = (
    "tdx: rtmr0 is not predicted: it holds the machine's memory map and ACPI tables",
    "tdx: rtmr1 is that of guests with 2 GiB of memory, or with 2816 MiB and more",
    "tdx: these are the digests that the image's maker wrote down; check the image that they came with",
)
_UNCOVERED: Final = (
    "snp: without --kernel the digest covers nothing after the firmware: no kernel, no command line, "
    "no disk"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How a firmware image is loaded, as the command line says it; None and () are what it doesn't say.

    Attributes:
        vcpus: how many processors the guest starts with.
        vcpu_type: QEMU's name of the processor.
        vmms: who loads an SEV-SNP guest; several stand for alternatives.
        guest_features: SEV_FEATURES.
        kernel: a file that the loader starts directly, and hashes.
        initrd: its RAM disk.
        append: its command line.
        orders: of a TDX loader; several stand for alternatives.
    """

    vcpus: int | None = None
    vcpu_type: str | None = None
    vmms: tuple[str, ...] = ()
    guest_features: int | None = None
    kernel: Path | None = None
    initrd: Path | None = None
    append: str | None = None
    orders: tuple[str, ...] = ()

    @property
    def says_snp(self) -> bool:
        """Whether anything here is about SEV-SNP."""
        alone = (self.vcpus, self.vcpu_type, self.guest_features)
        boot = (self.kernel, self.initrd, self.append)
        return bool(self.vmms) or any(item is not None for item in (*alone, *boot))

    @property
    def says_tdx(self) -> bool:
        """Whether anything here is about TDX."""
        return bool(self.orders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What firmware will measure to.

    Attributes:
        measurements: platform to register to values in hex; several stand for the same image.
        assumed: what was taken for granted of the loader, in plain values.
        notes: what is not predicted and why, and what a value doesn't cover.
    """

    measurements: dict[str, dict[str, tuple[str, ...]]]
    assumed: dict[str, Any]
    notes: tuple[str, ...]


def predict(firmware: bytes, loading: Loading) -> Prediction:
    """Every register of every platform that follows from this firmware, so loaded.

    Raises:
        Misuse: options contradict each other or the firmware, or nothing can be predicted.
        Malformed: the image can't be read, or not for the platform that the options are about.
        Unavailable: kernel or RAM disk can't be read.
    """
    from troth.wire import ovmf

    ovmf.read(firmware)
    measurements: dict[str, dict[str, tuple[str, ...]]] = {}
    assumed: dict[str, Any] = {}
    notes: list[str] = []
    for platform, said, measure in (
        ("snp", loading.says_snp, _snp),
        ("tdx", loading.says_tdx, _tdx),
    ):
        try:
            registers, about, also = measure(firmware, loading)
        except (Malformed, Misuse) as error:
            if said:
                raise
            notes.append(f"{platform}: left out: {_reason(error)}")
            continue
        measurements[platform], assumed[platform] = registers, about
        notes += also
    if not measurements:
        raise Misuse(f"nothing can be predicted. {'. '.join(notes)}", fix=_OPTIONS)
    return Prediction(measurements=measurements, assumed=assumed, notes=tuple(notes))


def predict_dstack(document: bytes, loading: Loading) -> Prediction:
    """What follows from a dstack image's `measurement.tdx.cbor`.

    Raises:
        Misuse: options that are not about TDX.
        Malformed: it can't be read.
    """
    from troth.platforms.tdx import dstack_image

    if loading.says_snp:
        raise Misuse("a dstack image's TDX measurements are not about SEV-SNP", fix=_ONLY_ORDER)
    image = dstack_image.read(document)
    values = {f"by-{order}": value.hex() for order, value in image.mrtd.items()}
    orders = _once(loading.orders, "--order") or tuple(values)
    registers = {
        "mrtd": tuple(values[name] for name in orders),
        "rtmr1": (image.rtmr1.hex(),),
        "rtmr2": (image.rtmr2.hex(),),
    }
    assumed = {"tdx": {"order": list(orders), "memory": "2 GiB, or 2816 MiB and more"}}
    return Prediction(measurements={"tdx": registers}, assumed=assumed, notes=_OF_DSTACK)


_Measured = tuple[dict[str, tuple[str, ...]], dict[str, Any], tuple[str, ...]]


def _snp(firmware: bytes, loading: Loading) -> _Measured:
    from troth.platforms.snp.measure import SNP_ACTIVE, Vmm, launch_digest
    from troth.wire import ovmf

    ovmf.read(firmware).sev_sections()  # firmware that can't be loaded needs no options
    vmms = [Vmm(name) for name in _once(loading.vmms, "--vmm")] or [Vmm.QEMU]
    named = Vmm.QEMU in vmms
    if loading.vcpus is None or (named and loading.vcpu_type is None):
        raise Misuse(_NEEDS, fix=_OPTIONS)
    if not named and loading.vcpu_type is not None:
        raise Misuse(f"{vmms[0]} measures no type of processor", fix="leave --vcpu-type away")
    features = SNP_ACTIVE if loading.guest_features is None else loading.guest_features
    kernel, initrd = _file(loading.kernel), _file(loading.initrd)
    if loading.append is not None and not _is_text(loading.append):
        raise Misuse("the command line is not UTF-8 text")
    digests = [
        launch_digest(
            firmware=firmware,
            vcpus=loading.vcpus,
            vcpu_type=loading.vcpu_type if vmm is Vmm.QEMU else None,
            vmm=vmm,
            guest_features=features,
            kernel=kernel,
            initrd=initrd,
            append=loading.append,
        ).hex()
        for vmm in vmms
    ]
    about = {
        "vcpus": loading.vcpus,
        "vcpu_type": loading.vcpu_type,
        "vmm": [str(vmm) for vmm in vmms],
        "guest_features": f"{features:#x}",
        "kernel_sha256": _sha256(kernel),
        "initrd_sha256": _sha256(initrd),
        "append": loading.append,
    }
    about = {name: value for name, value in about.items() if value is not None}
    return {"measurement": tuple(digests)}, about, () if kernel else (_UNCOVERED,)


def _tdx(firmware: bytes, loading: Loading) -> _Measured:
    from troth.platforms.tdx.measure import Order, mrtd

    known = {f"by-{order}": order for order in Order}
    orders = _once(loading.orders, "--order") or tuple(known)
    values = tuple(mrtd(firmware, order=known[name]).hex() for name in orders)
    return {"mrtd": values}, {"order": list(orders)}, (_RTMRS,)


def _once(names: Iterable[str], option: str) -> tuple[str, ...]:
    found = tuple(names)
    if len(set(found)) != len(found):
        raise Misuse(f"{option} names one thing twice")
    return found


def _file(path: Path | None) -> bytes | None:
    return None if path is None else read_source(str(path), limit=MAX_BOOT)


def _sha256(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()


def _is_text(text: str) -> bool:
    """Whether it can be encoded: bytes of a command line that are no UTF-8 can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(error: TrothError) -> str:
    return f"{error} ({error.fix})" if error.fix else str(error)
