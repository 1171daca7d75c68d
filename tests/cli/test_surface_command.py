"""`troth inspect … --surface` and `troth build --budget`."""

import json
from pathlib import Path
from stat import S_IFDIR, S_IFREG
from typing import Any

import pytest

from troth.cli.main import run
from troth.image.surface_words import NUMBERS
from troth.wire import cpio, eif
from troth.wire.eif import Eif, Kind, Section

SAMPLE = Path(__file__).parents[1] / "data" / "app"
SURFACE: dict[str, Any] = {
    "numbers": {**dict.fromkeys(NUMBERS, 0), "files": 2, "bytes": 2_500_000, "shells": 1},
    "named": {"shells": ["/usr/bin/dash\x1b[2J"]},
    "owners": [{"name": "dash", "kind": "deb", "numbers": {"files": 2, "bytes": 2_500_000}}],
    "kernel": {"kind": "debian", "version": "6", "bytes": 1, "command_line": "", "options": {}},
}


def _image(folder: Path) -> str:
    entries = [
        cpio.Entry(path="usr", mode=S_IFDIR | 0o755),
        cpio.Entry(path="usr/bin", mode=S_IFDIR | 0o755),
        cpio.Entry(path="usr/bin/dash", mode=S_IFREG | 0o755, data=b"12"),
        cpio.Entry(path="a.py", mode=S_IFREG | 0o666, data=b"x\n"),
    ]
    image = Eif(
        sections=(
            Section(kind=Kind.KERNEL, pieces=(b"kernel",)),
            Section(kind=Kind.COMMAND_LINE, pieces=(b"quiet",)),
            Section(kind=Kind.METADATA, pieces=(b"{}",)),
            Section(kind=Kind.RAMDISK, pieces=cpio.pack(entries[:0])),
            Section(kind=Kind.RAMDISK, pieces=cpio.pack(entries)),
        )
    )
    (folder / "a.eif").write_bytes(eif.pack(image))
    return str(folder / "a.eif")


def test_an_image_tells_what_is_in_it_and_not_who_brought_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", _image(tmp_path), "--surface", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    numbers = said["numbers"]
    assert said["schema"] == "troth/surface/1"
    assert (numbers["files"], numbers["shells"], numbers["world_writable"]) == (2, 1, 1)
    assert numbers["bytes"] == 4 + len(b"kernel")
    # What nobody can read there is not said to be none.
    assert {numbers[name] for name in ("packages", "listeners", "unowned")} == {None}
    assert set(said["kernel"]["options"].values()) == {"unknown"}
    assert run(["inspect", _image(tmp_path), "--surface"]) == 0
    text = capsys.readouterr().out
    assert "     unknown  listeners" in text
    assert "/usr/bin/dash" in text
    assert text.endswith(
        "nothing above was verified; programs are known by their names, and none was run\n"
    )


def test_a_record_tells_what_each_megabyte_is_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "a.build.json"
    record.write_text(json.dumps({"surface": SURFACE}))
    assert run(["inspect", str(record), "--surface"]) == 0
    text = capsys.readouterr().out
    assert "      2.50    dash" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"surface": []},
        {"surface": {**SURFACE, "owners": [1]}},
        {"surface": {**SURFACE, "owners": [{"name": "a"}]}},
        {"surface": {**SURFACE, "numbers": {"files": "2"}}},
        {"surface": {**SURFACE, "named": {"shells": 3}}},
        {"surface": {**SURFACE, "kernel": {}}},
        {"surface": {**SURFACE, "more": 1}},
    ],
)
def test_a_record_without_a_surface(document: Any, tmp_path: Path) -> None:
    record = tmp_path / "a.build.json"
    record.write_text(json.dumps(document))
    assert run(["inspect", str(record), "--surface"]) == 3


def test_what_is_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_bytes(b"nothing")
    assert run(["inspect", str(tmp_path / "x"), "--surface"]) == 3
    assert "is no image and no build record" in capsys.readouterr().err
    assert run(["inspect", str(tmp_path / "x"), "--surface", "--files"]) == 2


def test_a_budget_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, code, said in (
        ("nowhere.json", 2, "there is no file nowhere.json"),
        ("files=1,shell=2", 2, "no number 'shell'"),
        (_image(tmp_path), 3, "a.eif"),
    ):
        assert run(["build", str(SAMPLE), "--budget", text]) == code
        assert said in capsys.readouterr().err


def test_a_flake_is_written_into_a_folder_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["build", str(SAMPLE), "-o", str(tmp_path / "a.eif"), "--kernel", "debian"]
    assert run([*words, "--nix-out", str(tmp_path)]) == 2
    assert "name a folder that is not there yet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
