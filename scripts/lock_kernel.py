"""Makes `hardware.lock` again, which ships with troth: the packages, then the kernel that they give.

    python scripts/lock_kernel.py VERSION     lock the newest tools, and the source of that version
    python scripts/lock_kernel.py             keep the packages, and build after a change of the options

Either way the kernel is built twice, in two environments, and pinned where both are equal.
"""

import sys
from dataclasses import replace
from pathlib import Path

from troth.errors import TrothError
from troth.image.apt import Mirrors, apt
from troth.image.files import cache_folder
from troth.image.hardware import build, inputs, kept, plan
from troth.image.hardware.inputs import Inputs, Pinned
from troth.image.keys import suite
from troth.image.lock import pinned_keys
from troth.image.store import Store
from troth.runtime import workshop

LOCK = Path(inputs.__file__).with_name(inputs.FILE)
SUITE = "trixie"
SOURCE = "linux-source-6.12"
NOTHING = Pinned(
    version="none", sha256="0" * 64, size=1, config_sha256="0" * 64, made_from="0" * 64
)


def packages(version: str) -> Inputs:
    """The newest tools, and the source of one version."""
    release = suite(SUITE)
    lists = cache_folder() / "apt" / release.name
    with apt(release, Mirrors.of_machine(), lists=lists) as tool:
        tool.update()
        every = tool.resolve(plan.TOOLS)
        source = tool.resolve([f"{SOURCE}={version}"])[SOURCE]
    toolchain = tuple(deb for name, deb in sorted(every.items()) if name not in plan.UNUSED)
    return Inputs(
        suite=release.name,
        keys=pinned_keys(release.name),
        source=source,
        toolchain=toolchain,
        kernel=NOTHING,
    )


def main(arguments: list[str]) -> int:
    """Locks, builds, pins."""
    try:
        lock = packages(arguments[0]) if arguments else inputs.parse(LOCK.read_bytes())
        store = Store.of_user()
        made = build.make(lock, store, sandbox=workshop.run, twice=True, say=print)
        pinned = made.pinned(lock.made_from())
        LOCK.write_bytes(replace(lock, kernel=pinned).to_json())
        kept.keep(pinned, store, image=made.image, config=made.config)
    except TrothError as error:
        print(f"error: {error}\nfix: {error.fix}", file=sys.stderr)
        return error.exit_code
    print(pinned, made.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
