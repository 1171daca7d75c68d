"""Attacks on the host by what an image says of its kernel, or brings as one."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.runtime.test_load import image, kept

from troth.errors import Misuse
from troth.runtime import kvm, qemu
from troth.runtime.console import Console
from troth.runtime.grounds import Job
from troth.runtime.load import load
from troth.runtime.microvm import Microvm
from troth.wire import eif


def test_a_kernel_that_is_tried_is_confined_as_one_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def watch(argv: list[str]) -> kvm.Tried:
        started.append(argv)
        return kvm.Tried(works=False, reason="")

    monkeypatch.setattr(kvm, "watch", watch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kvm.probe("qemu", "microvm", b"hostile", device="/dev/null")
    assert ("-sandbox", qemu.CONFINED) in zip(started[0], started[0][1:], strict=False)
    assert started[0] == qemu.tethered(started[0][started[0].index("qemu") :])


@pytest.mark.parametrize("line", [b"quiet\0", b"a\0rdinit=/x"])
def test_a_command_line_with_a_nul(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(qemu, "find", lambda: "qemu")
    monkeypatch.setattr(
        kvm, "probe", lambda *_, **__: kvm.Tried(works=False, reason="not tried here")
    )
    made = image()
    sections = [
        replace(s, pieces=(line,)) if s.kind is eif.Kind.COMMAND_LINE else s for s in made.sections
    ]
    path = kept(tmp_path, replace(made, sections=tuple(sections)))
    job = Job(
        image=path,
        loaded=load(path),
        folder=tmp_path,
        free={},
        pki="",
        debug=False,
        unless_stopped=lambda: None,
    )
    with pytest.raises(Misuse, match="with a NUL in it"):
        Microvm(Console()).plan(job)
