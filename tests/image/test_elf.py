"""The dynamic section of ELF files, from files made here and from this machine's own."""

import contextlib
import sysconfig
from pathlib import Path

import pytest
from tests.image.made import library

from troth.errors import Malformed
from troth.image import elf


def test_what_a_file_needs() -> None:
    data = library(
        ("libc.so.6", "libm.so.6"), runpath="$ORIGIN/../lib:/opt", interpreter="/lib64/ld.so"
    )
    assert elf.needs(data, name="x") == elf.Needs(
        libraries=("libc.so.6", "libm.so.6"),
        search=("$ORIGIN/../lib", "/opt"),
        interpreter="/lib64/ld.so",
    )


def test_a_file_that_needs_nothing() -> None:
    assert elf.needs(library(), name="x") == elf.Needs(libraries=(), search=(), interpreter="")
    static = bytearray(library())
    static[56:58] = b"\1\0"
    assert elf.needs(bytes(static), name="x").libraries == ()


def test_this_machines_own_python() -> None:
    folder = Path(sysconfig.get_config_var("DESTSHARED"))
    modules = [path for path in folder.glob("*.so") if elf.is_elf(path.read_bytes())]
    if not modules:
        pytest.skip("this Python has no shared modules")
    found = {name for path in modules for name in elf.needs(path.read_bytes(), name="m").libraries}
    assert "libc.so.6" in found


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh", b"\x7fELF\1\1", b"\x7fELF\2\2" + bytes(60)])
def test_other_files(data: bytes) -> None:
    with pytest.raises(Malformed, match="is no 64-bit little-endian ELF file"):
        elf.needs(data, name="x")


def test_pointers_outside_the_file() -> None:
    good = bytearray(library(("libc.so.6",)))
    for at, value, message in (
        (32, 1 << 40, "has no table of segments"),
        (64 + 56 + 8, 1 << 40, "needs"),
        (64 + 16, 0x900000, "has its names outside the file"),
    ):
        data = bytearray(good)
        data[at : at + 8] = value.to_bytes(8, "little")
        with pytest.raises(Malformed, match=message):
            elf.needs(bytes(data), name="x")
    data = bytearray(good)
    data[54] = 57
    with pytest.raises(Malformed, match="has no table of segments"):
        elf.needs(bytes(data), name="x")
    with pytest.raises(Malformed, match="has a name without an end"):
        elf.needs(bytes(good[:-6]), name="x")


def test_damage_raises_only_our_errors() -> None:
    data = library(("libc.so.6",), runpath="$ORIGIN", interpreter="/lib64/ld.so")
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        for candidate in (bytes(changed), data[: bit // 8]):
            with contextlib.suppress(Malformed):
                elf.needs(candidate, name="x")
