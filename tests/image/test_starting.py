"""The program of a root that is brought: found as at run time, with what has to be there to start it."""

import pytest
from tests.image.made import library

from troth.errors import Malformed, Misuse
from troth.image import starting
from troth.image.foreign import File, Folder, Foreign, Link

ARM = library()[:18] + b"\xb7\0" + library()[20:]


def root(**files: bytes) -> Foreign:
    made = Foreign("app.tar")
    made.put("bin/sh", File(b"#!/usr/bin/env\n", executable=True))
    made.put("usr/bin/env", File(library(), executable=True))
    made.put("usr/local/bin/sh", Link("/bin/sh"))
    made.put("etc/text", File(b"", executable=False))
    for name, data in files.items():
        made.put(f"app/{name}", File(data, executable=True))
    return made


def find(
    made: Foreign, name: str, path: str = "/usr/local/bin:/usr/bin:/bin", at: str = "/"
) -> str:
    return starting.find(made, name, path=path, directory=at)


def test_along_the_path() -> None:
    assert find(root(), "sh") == "/usr/local/bin/sh"
    assert find(root(), "sh", path="/absent:/etc:bin:/bin/:/usr/bin") == "/bin/sh"
    assert find(root(), "env") == "/usr/bin/env"
    assert find(root(), "/bin/sh") == "/bin/sh"
    assert find(root(x=b""), "./x", at="/app") == "/app/x"
    assert find(root(x=b""), "app/x") == "/app/x"
    assert find(root(x=b""), "../app/x", at="/app") == "/app/../app/x"


@pytest.mark.parametrize("name", ["absent", "/etc/text", "/etc", "text", "/bin", "x/y"])
def test_not_there(name: str) -> None:
    with pytest.raises(
        Misuse, match=f"the command '{name}' is no program .* in app.tar"
    ) as refused:
        find(root(), name, path="/bin:/etc")
    assert "--entry" in refused.value.fix


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (ARM, "is a program for 64-bit Arm, and this image is for 64-bit x86"),
        (b"\x7fELF" + bytes(60), "is a program for 0-bit machine 0"),
        (library(interpreter="/lib/ld-musl-x86_64.so.1"), "needs the loader /lib/ld-musl-x86_64.so.1"),
        (b"#!/bin/bash -e\n", "needs the interpreter /bin/bash, which app.tar does not have"),
        (b"#! /etc/text\n", "needs the interpreter /etc/text"),
        (b"#!/app/other\n", "needs the interpreter /app/other"),
    ],
)  # fmt: skip
def test_what_cannot_start(data: bytes, said: str) -> None:
    with pytest.raises(Misuse, match=said):
        find(root(x=data), "/app/x")


def test_what_can_start() -> None:
    for data in (
        library(interpreter="/usr/bin/env"),
        library(),
        b"#!/bin/sh\n",
        b"#!\n",
        b"",
        b"\x7fEL",
    ):
        assert find(root(x=data), "/app/x") == "/app/x"
    # A script whose interpreter is itself: the kernel refuses it, and nobody here goes round in it.
    assert find(root(x=b"#!/app/x\n"), "/app/x") == "/app/x"


def test_damaged_heads_are_no_trouble() -> None:
    good = library(interpreter="/usr/bin/env")
    for size in range(len(good)):
        try:
            find(root(x=good[:size]), "/app/x")
        except Misuse:
            continue


def test_the_folder_to_start_in() -> None:
    made = root()
    starting.folder(made, "/")
    starting.folder(made, "/new/deep")
    assert isinstance(made.follow("new/deep"), Folder)
    made.put("link", Link("/new"))
    starting.folder(made, "/link/deep/")
    with pytest.raises(Misuse, match="/etc/text is where the app starts, and is no folder"):
        starting.folder(made, "/etc/text")
    with pytest.raises(Malformed, match="passes through a file"):
        starting.folder(made, "/etc/text/x")
