"""An image is read for running: what it declares, what it measures to, and what is refused."""

import platform
from datetime import UTC, datetime
from pathlib import Path
from stat import S_IFDIR, S_IFREG

import pytest
from tests.platforms.nitro.signer import DAY, identity, signature, with_section

from troth.errors import Malformed, Misuse, Unavailable
from troth.platforms.nitro.measure import measure, pcr8
from troth.runtime.load import CONFIG, load
from troth.wire import cpio, eif, json

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the images are x86-64")
TODAY = datetime.now(UTC)
GOOD = {
    "name": "app",
    "listen": [{"port": 8080}, {"port": 9}],
    "free": ["hint"],
    "memory": 256,
    "cpus": 2,
    "raw_nsm": False,
}


def image(config: object = GOOD, *, flags: int = 0, raw: bytes | None = None) -> eif.Eif:
    content = json.canonical(config) if raw is None else raw
    entries = [cpio.Entry(path=p, mode=S_IFDIR | 0o755) for p in ("etc", "etc/troth")]
    entries.append(cpio.Entry(path=CONFIG, mode=S_IFREG | 0o644, data=content))
    empty = cpio.pack([cpio.Entry(path="init", mode=S_IFREG | 0o755, data=b"#!")])
    return packed(empty, cpio.pack(entries), flags=flags)


def packed(*disks: tuple[bytes | memoryview, ...], flags: int = 0) -> eif.Eif:
    kinds = eif.Kind
    return eif.Eif(
        sections=(
            eif.Section(kind=kinds.KERNEL, pieces=(b"kernel",)),
            eif.Section(kind=kinds.COMMAND_LINE, pieces=(b"quiet",)),
            *(eif.Section(kind=kinds.RAMDISK, pieces=disk) for disk in disks),
            eif.Section(kind=kinds.METADATA, pieces=(b"{}",)),
        ),
        flags=flags,
    )


def kept(folder: Path, made: eif.Eif) -> Path:
    path = folder / "app.eif"
    path.write_bytes(eif.pack(made))
    return path


def test_the_good_one(tmp_path: Path) -> None:
    made = image()
    loaded = load(kept(tmp_path, made))
    registers = measure(made)
    assert loaded.pcrs == (registers.pcr0, registers.pcr1, registers.pcr2)
    assert (loaded.name, loaded.ports, loaded.free) == ("app", (8080, 9), {"hint"})
    assert (loaded.memory, loaded.cpus) == (256, 2)
    assert loaded.image.kernel.data == b"kernel"
    assert {entry.path for entry in loaded.entries} == {"etc", "etc/troth", CONFIG, "init"}


@pytest.mark.parametrize(
    "config",
    [
        GOOD | {"name": "../up"},
        GOOD | {"name": "a/b"},
        GOOD | {"name": 1},
        GOOD | {"listen": [{"port": 0}]},
        GOOD | {"listen": [{"port": True}]},
        GOOD | {"listen": [8080]},
        GOOD | {"free": ["../../x"]},
        GOOD | {"free": [1]},
        GOOD | {"memory": 0},
        GOOD | {"memory": "256"},
        GOOD | {"cpus": -1},
        GOOD | {"raw_nsm": 0},
        GOOD | {"cpus": 1 << 40},
        {"name": "app"},
        [],
    ],
)
def test_a_configuration_that_would_name_files_or_ports_of_its_own(tmp_path, config) -> None:
    with pytest.raises(Malformed):
        load(kept(tmp_path, image(config)))


def test_what_is_not_ours_or_not_for_here(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        load(tmp_path / "absent.eif")
    with pytest.raises(Malformed):
        load(kept(tmp_path, image(raw=b"{")))
    with pytest.raises(Misuse, match="aarch64"):
        load(kept(tmp_path, image(flags=eif.FLAG_AARCH64)))
    foreign = cpio.pack([cpio.Entry(path="init", mode=S_IFREG | 0o755, data=b"")])
    with pytest.raises(Misuse, match="troth did not build it"):
        load(kept(tmp_path, packed(foreign)))


def test_a_damaged_archive(tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        load(kept(tmp_path, packed((b"070701" + b"f" * 200,))))
    up = b"".join(cpio.pack([cpio.Entry(path="aa", mode=S_IFREG | 0o644, data=b"")]))
    with pytest.raises(Malformed):
        load(kept(tmp_path, packed((up.replace(b"aa\0", b"..\0"),))))


def test_a_signed_image_has_one_register_more(tmp_path: Path) -> None:
    made, by = image(), identity(begin=TODAY - DAY, end=TODAY + DAY)
    loaded = load(kept(tmp_path, with_section(made, signature(made, by, at=TODAY))))
    assert loaded.pcr8 == pcr8(by.der)
    assert loaded.registers == dict(enumerate(loaded.pcrs)) | {8: loaded.pcr8}
    assert load(kept(tmp_path, made)).registers == dict(enumerate(loaded.pcrs))


def test_signed_images_that_no_host_starts(tmp_path: Path) -> None:
    made = image()
    old = identity(begin=TODAY - 3 * DAY, end=TODAY - DAY)
    young = identity(begin=TODAY + DAY, end=TODAY + 3 * DAY)
    good = identity(begin=TODAY - DAY, end=TODAY + DAY)
    for section, words in (
        (signature(made, old, at=TODAY - 2 * DAY), "expired"),
        (signature(made, young, at=TODAY + 2 * DAY), "not valid before"),
        (signature(image(GOOD | {"name": "other"}), good, at=TODAY), "over another image"),
    ):
        path = kept(tmp_path, with_section(made, section))
        with pytest.raises(Misuse, match=words) as caught:
            load(path)
        assert "E36" in str(caught.value)
        assert caught.value.fix
    with pytest.raises(Malformed):
        load(kept(tmp_path, with_section(made, b"junk")))


def test_archives_that_are_too_much_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may be as large as one may be, and an image may have thirty."""
    made = image()
    size = sum(len(entry.data) for entry in load(kept(tmp_path, made)).entries)
    monkeypatch.setattr("troth.wire.ramdisk.MAX_TOGETHER", size - 1)
    with pytest.raises(Malformed, match="unpack to more than"):
        load(kept(tmp_path, made))
    monkeypatch.setattr("troth.wire.ramdisk.MAX_TOGETHER", size)
    load(kept(tmp_path, made))
