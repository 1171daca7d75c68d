"""A run of all tests on OpenSSL alone is one: also in the programs that tests start."""

import os
import subprocess
import sys

import pytest
from tests.conftest import REPOSITORY, WITHOUT_NATIVE

from troth.crypto import beside

ASKED = "from troth.crypto import beside; print(beside.native())"


def test_the_library_is_not_found_behind_what_stands_before_it() -> None:
    paths = os.pathsep.join((str(WITHOUT_NATIVE), str(REPOSITORY / "src")))
    argv = [sys.executable, "-c", ASKED]
    said = subprocess.run(argv, env={"PYTHONPATH": paths}, capture_output=True, check=True)
    assert said.stdout == b"None\n"


def test_programs_have_what_this_process_has(pytestconfig: pytest.Config) -> None:
    argv = [sys.executable, "-c", ASKED]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    assert said == str(beside.native())
    if pytestconfig.getoption("--without-native"):
        assert said == "None"
