"""A container image as it was saved, in one archive: its documents, its layers and its configuration."""

import os
from collections.abc import Iterable

from tests.image.containers import (
    Files,
    docker_save,
    docker_save_with_index,
    layout,
    member,
    program,
    tar,
)

from fuzz.target import Target, must
from troth.errors import Malformed, Misuse
from troth.image import oci, oci_files, process
from troth.image.layers import lay
from troth.image.unpacked import Budget

_LAYER = tar(program("bin/app"), member("etc/x", b"y"))
_CONFIG = {"Entrypoint": ["/bin/app"], "Cmd": ["-v"], "Env": ["A=b"], "StopSignal": "SIGINT"}
_BUDGET = 1 << 20


def _run(data: bytes) -> None:
    handle = os.memfd_create("image")
    try:
        os.write(handle, data)
        whole = oci_files.Stored(name="image.tar", size=len(data), handle=handle)
        image = oci.image(oci_files.archive(whole), name="image.tar")
        started = process.of_config(image.config)
        must("PATH" in started.environment, "a program always has a path")
        must(started.directory.startswith("/"), "a program starts in an absolute folder")
        must(1 <= started.stop_signal <= 64, "a signal has a number")
        lay(image, name="image.tar", budget=Budget(_BUDGET))
    finally:
        os.close(handle)


def _bytes(files: Files) -> bytes:
    return tar(*(member(name, data) for name, data in files.items()))


def _seeds() -> Iterable[bytes]:
    yield _bytes(docker_save(_LAYER, config=_CONFIG))
    yield _bytes(layout(_LAYER, config=_CONFIG))
    yield _bytes(docker_save_with_index(_LAYER, config=_CONFIG))


TARGET = Target(
    run=_run,
    seeds=_seeds,
    refuses=(Malformed, Misuse),
    longest=32 * 1024,
    words=(
        b"sha256:",
        b'"Layers"',
        b'"Config"',
        b"manifest.json",
        b"blobs/sha256/",
        b"null",
        b"../",
    ),
)
