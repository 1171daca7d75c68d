"""What Linux on x86-64 does not start is refused before there is an image."""

import struct

import pytest
from tests.image.made import library

from troth.errors import Misuse
from troth.image import elf, startable
from troth.image.tree import Tree


def compiled(*, width: int = 2, order: int = 1, machine: int = 62) -> bytes:
    """The head of an ELF file."""
    head = b"\x7fELF" + bytes([width, order, 1]) + bytes(9)
    return head + struct.pack(">HH" if order == 2 else "<HH", 2, machine) + bytes(44)


def tree(**files: bytes) -> Tree:
    made = Tree()
    made.add_file("usr/bin/sh", compiled(), owner="dash", executable=True)
    for name, data in files.items():
        made.add_file(f"app/{name}", data, owner="app", executable=True)
    return made


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (compiled(machine=183), "64-bit Arm"),
        (compiled(width=1, machine=40), "32-bit Arm"),
        (compiled(width=1, machine=3), "32-bit Intel 386"),
        (compiled(width=1), "32-bit x86"),
        (compiled(machine=3), "64-bit Intel 386"),
        (compiled(order=2, machine=22), "64-bit S/390"),
        (compiled(machine=258), "64-bit machine 258"),
        (b"\x7fELF", "0-bit machine 0"),
    ],
)
def test_a_program_for_another_machine_is_named(data: bytes, said: str) -> None:
    with pytest.raises(
        Misuse, match=f"bin/hello is compiled for {said}, and this image"
    ) as refused:
        startable.check_machine(data, name="bin/hello")
    assert "./compile" in refused.value.fix
    with pytest.raises(Misuse, match=f"/app/main is compiled for {said}"):
        startable.check_entry(tree(main=data), "app/main")


@pytest.mark.parametrize("data", [library(), compiled(), b"", b"#!/bin/sh\n", b"\xcf\xfa\xed\xfe"])
def test_what_is_for_this_machine_or_for_none_passes(data: bytes) -> None:
    startable.check_machine(data, name="x")
    assert not elf.is_elf(data) or elf.machine(data) == elf.X86_64


@pytest.mark.parametrize(
    "data", [compiled(), b"#!/bin/sh\n", b"#! /usr/bin/sh -eu\nls\n", b"#!/bin/sh"]
)
def test_an_entry_that_starts(data: bytes) -> None:
    startable.check_entry(tree(main=data), "app/main")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xcf\xfa\xed\xfe" + bytes(60), "is neither a Linux program nor a script"),
        (b"MZ" + bytes(60), "is neither a Linux program nor a script"),
        (b"console.log(1)\n", "is neither a Linux program nor a script"),
        (b"", "is neither a Linux program nor a script"),
        (b"#!/usr/bin/perl\n", "is a script for '/usr/bin/perl', which is not in the image"),
        (b"#!/usr/bin/env node\n", "is a script for '/usr/bin/env'"),
        (b"#!sh\n", "is a script for 'sh'"),
        (b"#!\n", "is a script for ''"),
        (b"#!" + b"\xff" * 300, "is a script for"),
    ],
)
def test_an_entry_that_does_not_start_is_named(data: bytes, said: str) -> None:
    with pytest.raises(Misuse, match=f"the entry /app/main {said}") as refused:
        startable.check_entry(tree(main=data), "app/main")
    assert refused.value.fix
