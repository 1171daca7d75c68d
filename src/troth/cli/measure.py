"""`troth measure`: what an image will measure to, from its bytes alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from troth.cli._firmware import Loading, Prediction


def measure(
    image: Path,
    *,
    vcpus: int | None = None,
    vcpu_type: str | None = None,
    vmm: Sequence[Literal["qemu", "ec2", "ec2-2023", "gce"]] = (),
    guest_features: int | None = None,
    kernel: Path | None = None,
    initrd: Path | None = None,
    append: str | None = None,
    order: Sequence[Literal["by-page", "by-section"]] = (),
    json: bool = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    r"""Say what an image will measure to, on each platform it can run on.

    An EIF says all of it, and whether a host would start it where it is signed. What firmware (OVMF, TDVF) measures to depends on how it is loaded as well;
    what can't be predicted is named on stderr, with the reason.

        troth measure app.eif
        troth measure OVMF.fd --vcpus 4 --vcpu-type EPYC-Milan -o fw.measurements.json
        troth measure OVMF.amdsev.fd --vcpus 1 --vcpu-type EPYC-Genoa \
            --kernel vmlinuz --initrd initrd.img --append 'console=ttyS0'

    Args:
        image: an EIF, a firmware image, or the measurement.tdx.cbor of a dstack image.
        vcpus: SEV-SNP: how many processors the guest starts with.
        vcpu_type: SEV-SNP under QEMU: its name of the processor, such as EPYC-Milan.
        vmm: SEV-SNP: who loads the guest, qemu by default; several stand for alternatives.
        guest_features: SEV-SNP: SEV_FEATURES, such as 0x21. Default: 0x1.
        kernel: SEV-SNP: the kernel that QEMU starts directly, with kernel-hashes=on.
        initrd: SEV-SNP: its RAM disk.
        append: SEV-SNP: its command line.
        order: TDX: whether the loader measures page by page (Linux since 6.16) or section by section
            (kernels before). Default: both, as alternatives.
        json: print as JSON.
        output: write a file of measurements, which --image of other commands takes. It must not exist.
    """
    from troth.cli import _firmware, _image
    from troth.cli._console import out, say, write_file
    from troth.platforms.tdx import dstack_image
    from troth.render.escape import visible
    from troth.wire import json as strict
    from troth.wire import ovmf

    loading = _firmware.Loading(
        vcpus=vcpus,
        vcpu_type=vcpu_type,
        vmms=tuple(vmm),
        guest_features=guest_features,
        kernel=kernel,
        initrd=initrd,
        append=append,
        orders=tuple(order),
    )
    if output is not None:
        _check_name(output)
    data = _image.read(image)
    if ovmf.is_firmware(data):
        found = _firmware.predict(bytes(data), loading)
    elif dstack_image.is_image(data):
        found = _firmware.predict_dstack(bytes(data), loading)
    else:
        found = _enclave(image, data, loading)
    measurements = {
        platform: {name: _one_or_all(values) for name, values in registers.items()}
        for platform, registers in found.measurements.items()
    }
    if json:
        out(strict.canonical(measurements).decode())
    else:
        for platform, registers in found.measurements.items():
            for name, values in registers.items():
                for value in values:
                    out(f"{platform}  {name}  {value}")
    for note in found.notes:
        say("\n".join(visible(line) for line in note.splitlines()))
    if output is not None:
        write_file(output, strict.canonical(_document(image, data, found)), replace=False)
    return 0


def _check_name(output: Path) -> None:
    from troth.cli._image import ENDING
    from troth.errors import Misuse

    if not output.name.endswith(ENDING):
        raise Misuse(
            f"{output.name} would not be taken for a file of measurements",
            fix=f"end its name in {ENDING}",
        )


def _enclave(image: Path, data: memoryview, loading: "Loading") -> "Prediction":
    from troth.cli import _firmware, _image
    from troth.errors import Misuse
    from troth.wire import eif

    parsed = eif.read(data)
    registers = _image.measure_eif(image, parsed)
    if loading != _firmware.Loading():
        raise Misuse(
            "an EIF measures to the same wherever it runs",
            fix="leave the options for firmware away: only --json and --output are for an EIF",
        )
    values: dict[str, tuple[str, ...]] = {name: (value,) for name, value in registers.items()}
    notes = tuple(
        f"no host starts this image: {problem.words}\n  fix: {problem.fix}"
        for problem in _image.refusals(parsed, registers["pcr0"])
    )
    return _firmware.Prediction(measurements={"nitro": values}, assumed={}, notes=notes)


def _one_or_all(values: tuple[str, ...]) -> str | list[str]:
    """One value stands without brackets, as a policy file has it."""
    return values[0] if len(values) == 1 else list(values)


def _document(image: Path, data: memoryview, found: "Prediction") -> dict[str, Any]:
    import hashlib

    from troth.cli._image import has_module
    from troth.image import companions
    from troth.wire import eif

    return companions.measurements(
        {
            **({"assumed": found.assumed} if found.assumed else {}),
            **{
                platform: {register: _one_or_all(values) for register, values in registers.items()}
                for platform, registers in found.measurements.items()
            },
        },
        name=image.stem,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        raw_nsm=bytes(data[: len(eif.MAGIC)]) == eif.MAGIC and has_module(eif.read(data)),
    )
