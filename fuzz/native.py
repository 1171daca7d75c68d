"""The engine where atheris is installed: libFuzzer, led by the coverage of troth's own code.

libFuzzer ends the process it runs in, so each target has one of its own: `python -m fuzz.native NAME`.
"""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz.own import Run
from fuzz.store import Store
from fuzz.target import name_of

_EXECUTIONS = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")
_REPOSITORY = Path(__file__).parents[1]
_SLOWEST = 30  # seconds for one input; machines may be busy
_ENDED_BY_FINDING = 77


class Failed(Exception):  # noqa: N818
    """What libFuzzer's process said before a finding ended it."""


def there() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def fuzz(
    name: str, store: Store, *, executions: int | None, seconds: float | None, seed: int
) -> Run:
    """Runs a target in a process of its own, until a budget or a finding.

    Args:
        name: the target's.
        store: where libFuzzer keeps its corpus and findings.
        executions: how many at most; None is no limit.
        seconds: how long at most; None is no limit.
        seed: where chance comes from; at least 1.

    Raises:
        Failed: libFuzzer ended in a way that is neither.
    """
    options = [
        f"-seed={seed}",
        f"-artifact_prefix={store.findings.absolute()}{os.sep}",
        f"-timeout={_SLOWEST}",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    if executions is not None:
        options.append(f"-runs={executions}")
    if seconds is not None:
        options.append(f"-max_total_time={max(1, int(seconds))}")
    # libFuzzer leaves without cleaning up, so whatever its process puts aside is put in here.
    with tempfile.TemporaryDirectory(prefix="troth-fuzz-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "fuzz.native", name, *options, str(store.corpus.absolute())],
            cwd=_REPOSITORY,
            env=os.environ | {"TMPDIR": folder},
            capture_output=True,
            check=False,
        )
    said = done.stdout + done.stderr
    count = _EXECUTIONS.search(said)
    if done.returncode == 0 and count is not None:
        return Run(int(count[1]))
    error = Failed(said.decode("utf-8", "replace")[-6000:])
    if done.returncode != _ENDED_BY_FINDING:
        raise error
    return Run(int(count[1]) if count else 0, error)


def main() -> None:
    """One target under libFuzzer, with its options and corpus; does not return."""
    import atheris

    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["troth", "fuzz.targets"]):
        from fuzz.targets import load

        target = load(name)

    def one(data: bytes) -> None:
        try:
            target.run(data)
        except target.refuses:
            return

    # Seeds are no part of the corpus that stays; the process that started this one removes them.
    folder = Path(tempfile.mkdtemp())
    for seed in target.begin():
        (folder / name_of(seed)).write_bytes(seed)
    if target.words:
        words = folder.with_suffix(".words")
        lines = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
        words.write_text("".join(f'"{line}"\n' for line in lines))
        options.insert(0, f"-dict={words}")
    options.insert(0, f"-max_len={target.longest}")
    atheris.Setup([sys.argv[0], *options, str(folder)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
