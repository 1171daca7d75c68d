"""Structures and numbers of the devices are the kernel's own, where its headers are at hand."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from troth.platforms.snp import collect as snp
from troth.platforms.tdx import collect as tdx

HEADERS = {
    "sev-guest": {
        snp.Request: ("struct snp_report_req", {"reserved": "rsvd"}),
        snp.ExtendedRequest: ("struct snp_ext_report_req", {}),
        snp.Response: ("struct snp_report_resp", {}),
        snp.Message: ("struct snp_guest_request_ioctl", {}),
        snp.GET_REPORT: "SNP_GET_REPORT",
        snp.GET_EXTENDED_REPORT: "SNP_GET_EXT_REPORT",
    },
    "tdx-guest": {
        tdx.Request: ("struct tdx_report_req", {}),
        tdx.GET_REPORT: "TDX_CMD_GET_REPORT0",
    },
}


def _expressions(header: str) -> dict[str, int]:
    """C expressions, and what they should be."""
    found = {}
    for ours, theirs in HEADERS[header].items():
        if isinstance(ours, int):
            found[str(theirs)] = ours
            continue
        name, renamed = theirs
        found[f"sizeof({name})"] = ctypes.sizeof(ours)
        for field, *_ in ours._fields_:
            found[f"offsetof({name}, {renamed.get(field, field)})"] = getattr(ours, field).offset
            found[f"sizeof((({name} *)0)->{renamed.get(field, field)})"] = getattr(ours, field).size
    return found


@pytest.mark.parametrize("header", HEADERS)
def test_they_are_what_the_compiler_says(tmp_path: Path, header: str) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("the program gcc is absent")
    if not Path(f"/usr/include/linux/{header}.h").exists():
        pytest.skip(f"linux/{header}.h (Debian: linux-libc-dev) is absent")
    expected = _expressions(header)
    lines = "".join(f'printf("%lu\\n", (unsigned long)({what}));' for what in expected)
    source = tmp_path / "ask.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <sys/ioctl.h>\n"
        f"#include <linux/{header}.h>\nint main(void) {{ {lines} return 0; }}\n"
    )
    program = tmp_path / "ask"
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", program, source], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()
    assert dict(zip(expected, map(int, said), strict=True)) == expected


def _iowr(kind: str, number: int, size: int) -> int:
    """`_IOWR` of asm-generic/ioctl.h."""
    return 3 << 30 | size << 16 | ord(kind) << 8 | number


def test_numbers_are_made_of_kind_number_and_size() -> None:
    message = ctypes.sizeof(snp.Message)
    assert (message, ctypes.sizeof(tdx.Request)) == (32, 1088)
    assert _iowr("S", 0, message) == snp.GET_REPORT
    assert _iowr("S", 2, message) == snp.GET_EXTENDED_REPORT
    assert _iowr("T", 1, ctypes.sizeof(tdx.Request)) == tdx.GET_REPORT
