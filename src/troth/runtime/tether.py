"""Executes a program that dies with the process that started it: `python -I -S tether.py PARENT PROGRAM …`.

A program that is not ours cannot ask the kernel for that itself, and asking between fork and exec of a
process with threads is not safe.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ends at once where the parent has already gone."""
    parent, *argv = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(parent):
        os.execv(argv[0], argv)  # noqa: S606


main()
