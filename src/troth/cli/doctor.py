"""`troth doctor`: what this machine can do, by trying it."""

import contextlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from troth._version import RELEASED
from troth.cli._console import out
from troth.errors import TrothError


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was tried.

    Attributes:
        name: what was tried.
        works: whether it works here.
        what: what was found.
        fix: how to get it, where it does not work.
    """

    name: str
    works: bool
    what: str
    fix: str = ""


def doctor(*, json: bool = False) -> int:
    """Say what this machine can do, and how to get what is missing.

    Exit 0 if verifying works, which needs none of the rest; 5 otherwise.

        troth doctor
        troth doctor --json

    Args:
        json: print as JSON.
    """
    from troth.wire import json as strict

    findings = [finding for probe in _PROBES for finding in _all(probe())]
    if json:
        out(strict.canonical([asdict(finding) for finding in findings]).decode())
    else:
        for line in _lines(findings):
            out(line)
    return 0 if findings[0].works and findings[1].works else 5


def _all(found: Finding | Iterator[Finding]) -> Iterator[Finding]:
    if isinstance(found, Finding):
        yield found
    else:
        yield from found


def _lines(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{'✓' if finding.works else '–'} {finding.name:<18} {finding.what}"
        if not finding.works and finding.fix:
            yield f"  {'':<18} fix: {finding.fix}"


def _python() -> Finding:
    works = sys.version_info >= (3, 11)
    return Finding(
        name="verify", works=works, what=f"Python {platform.python_version()}", fix="Python 3.11"
    )


def _clock() -> Finding:
    now = datetime.now(UTC)
    return Finding(
        name="clock",
        works=now.timestamp() > RELEASED,
        what=f"{now:%Y-%m-%d %H:%M:%S}Z",
        fix="set this machine's clock; evidence is judged by it",
    )


def _roots() -> Finding:
    from troth.trust import vendor_roots

    reviews = [root.review_by for root in vendor_roots() if root.review_by is not None]
    first = min(reviews)
    return Finding(
        name="pinned roots",
        works=datetime.now(UTC) <= first,
        what=f"{len(reviews)}, to be reviewed by {first:%Y-%m-%d}",
        fix="upgrade troth",
    )


def _signatures() -> Finding:
    from troth.crypto import beside

    there = beside.native() is not None
    return Finding(
        name="signatures",
        works=there,
        what="AWS-LC, beside Python" if there else "OpenSSL, one after the other",
        fix="new platforms verify in two thirds of the time with `make native` in troth's source",
    )


def _development() -> Finding:
    from troth.runtime import development

    path = development.root_file()
    there = path.exists()
    return Finding(
        name="development root",
        works=there,
        what=str(path) if there else "not made yet",
        fix="it is made by the first `troth run` or `troth up`",
    )


def _apt() -> Finding:
    from troth.image.apt import Mirrors

    try:
        Mirrors.of_machine()
    except TrothError as error:
        return Finding(name="lock", works=False, what=str(error), fix=error.fix)
    return Finding(name="lock", works=True, what="apt with a Debian mirror")


def _build() -> Finding:
    fits = sys.platform == "linux" and platform.machine() == "x86_64"
    return Finding(
        name="build",
        works=fits,
        what=f"{sys.platform} on {platform.machine()}",
        fix="images are built on Linux, x86-64",
    )


def _kernel() -> Finding:
    from troth.image.hardware import kept
    from troth.image.store import Store

    what = "not built yet; until then `troth up` takes Debian's"
    try:
        found = kept.find(Store.of_user())
    except TrothError as error:
        found, what = None, str(error)
    if found is not None:
        return Finding(name="hardware kernel", works=True, what=f"{found.version}, in the store")
    return Finding(
        name="hardware kernel",
        works=False,
        what=what,
        fix="troth kernel build (some minutes; needs what `run on simulator` and `lock` need)",
    )


def _ways() -> Iterator[Finding]:
    """Each ground of `troth run --on`."""
    from troth.cli._doctor_ways import ways

    for name, (works, what, fix) in ways():
        yield Finding(name=f"run on {name}", works=works, what=what, fix=fix)


def _attest() -> Finding:
    """Looks for each way in which a guest asks its hardware; whether one answers, asking would tell."""
    from troth.platforms import _tsm
    from troth.platforms.nitro import collect as nitro
    from troth.platforms.sgx import collect as sgx
    from troth.platforms.snp import collect as snp
    from troth.platforms.tdx import collect as tdx

    paths = (nitro.DEVICE, _tsm.BASE, tdx.DEVICE, snp.DEVICE, f"{sgx.FOLDER}/user_report_data")
    here = [path for path in paths if Path(path).exists()]
    closed = [path for path in here if not os.access(path, os.R_OK | os.W_OK)]
    if not here:
        what = f"this is no guest, none of {', '.join(paths)} is here; the simulator attests"
    elif closed:
        what = f"{', '.join(here)}; this user may not ask {', '.join(closed)}"
    else:
        what = ", ".join(here)
    return Finding(
        name="attest",
        works=len(closed) < len(here),
        what=what,
        fix="run this as root, who alone may ask" if closed else "",
    )


def _cache() -> Finding:
    from troth.image.files import cache_folder

    folder = cache_folder()
    packages = _files(folder / "store" / "sha256")
    made = sum(_files(folder / "made"))
    return Finding(
        name="store",
        works=True,
        what=f"{len(packages)} packages, {sum(packages) >> 20} MiB in {folder}; "
        f"{made >> 20} MiB that builds remember",
    )


def _files(folder: Path) -> list[int]:
    """Sizes of the files in a folder, from which another troth may just take some."""
    sizes = []
    for path in folder.glob("[!.]*"):
        with contextlib.suppress(OSError):
            sizes.append(path.stat().st_size)
    return sizes


_PROBES: Final[tuple[Callable[[], Finding | Iterator[Finding]], ...]] = (
    _python,
    _clock,
    _roots,
    _signatures,
    _development,
    _apt,
    _build,
    _kernel,
    _ways,
    _attest,
    _cache,
)
