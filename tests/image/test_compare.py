"""Two images that differ: the section, the file and the field are named."""

from pathlib import Path
from stat import S_IFDIR, S_IFREG

from troth.image.compare import compare, differences
from troth.wire import cpio, eif
from troth.wire.cpio import Entry
from troth.wire.eif import Eif, Kind, Section

FILES = {"a": b"one", "b": b"two"}


def _image(
    files: dict[str, bytes], *, mode: int = 0o644, line: bytes = b"line", disks: int = 1
) -> Eif:
    entries = [Entry(path="d", mode=S_IFDIR | 0o755)]
    entries += [Entry(path=f"d/{n}", mode=S_IFREG | mode, data=d) for n, d in files.items()]
    return Eif(
        sections=(
            Section(kind=Kind.KERNEL, pieces=(b"kernel",)),
            Section(kind=Kind.COMMAND_LINE, pieces=(line,)),
            Section(kind=Kind.METADATA, pieces=(b"{}",)),
            *[Section(kind=Kind.RAMDISK, pieces=cpio.pack(entries))] * disks,
        )
    )


def test_equal_images() -> None:
    assert compare(_image(FILES), _image(FILES)) == ()


def test_what_differs_is_named() -> None:
    one = _image(FILES)
    assert compare(one, _image({**FILES, "b": b"twx!"})) == (
        "ramdisk 0: /d/b: differs from byte 2 on (3 and 4 bytes)",
    )
    assert compare(one, _image({"a": b"one"})) == ("ramdisk 0: /d/b: only in the first",)
    assert compare(_image({"a": b"one"}), one) == ("ramdisk 0: /d/b: only in the second",)
    assert compare(one, _image(FILES, mode=0o600)) == (
        "ramdisk 0: /d/a: -rw-r--r-- and -rw-------",
        "ramdisk 0: /d/b: -rw-r--r-- and -rw-------",
    )
    assert compare(one, _image(FILES, line=b"lines")) == (
        "command_line: differs from byte 4 on (4 and 5 bytes)",
    )


def test_other_sections() -> None:
    (said,) = compare(_image(FILES), _image(FILES, disks=2))
    assert said.startswith("sections: kernel, command_line, metadata, ramdisk and")


def test_archives_laid_out_differently() -> None:
    one = _image(FILES)
    padded = Section(kind=Kind.RAMDISK, pieces=(*one.ramdisks[0].pieces, bytes(4)))
    other = Eif(sections=(*one.sections[:3], padded))
    assert compare(one, other) == ("ramdisk 0: the archives are laid out differently",)
    junk = Section(kind=Kind.RAMDISK, pieces=(b"junk",))
    (said,) = compare(one, Eif(sections=(*one.sections[:3], junk)))
    assert said.startswith("ramdisk 0: differs from byte 0 on")


def test_no_more_than_twenty() -> None:
    many = {f"{n:03}": b"x" for n in range(50)}
    assert len(compare(_image(many), _image(dict.fromkeys(many, b"y")))) == 20


def test_files_whose_headers_differ(tmp_path: Path) -> None:
    one = _image(FILES)
    other = Eif(sections=one.sections, default_cpus=2)
    paths = tmp_path / "1.eif", tmp_path / "2.eif"
    for path, image in zip(paths, (one, other), strict=True):
        path.write_bytes(eif.pack(image))
    assert differences(paths[0], paths[0]) == ()
    assert differences(*paths) == ("the files' headers differ",)
