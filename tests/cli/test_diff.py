"""`troth inspect A --diff B`: what differs, which registers change for it, and the exit code."""

import json
from pathlib import Path
from stat import S_IFREG

import pytest
from tests.platforms.nitro.signer import identity, image, signature, with_section

from troth.cli.main import run
from troth.platforms.nitro.measure import measure
from troth.wire import cpio, eif
from troth.wire.eif import Eif, Kind, Section


def _put(folder: Path, name: str, made: Eif) -> str:
    (folder / name).write_bytes(eif.pack(made))
    return str(folder / name)


def _with_files(files: dict[str, bytes], *, metadata: bytes = b"{}", kernel: bytes = b"k") -> Eif:
    entries = [cpio.Entry(path=n, mode=S_IFREG | 0o644, data=d) for n, d in files.items()]
    return Eif(
        sections=(
            Section(kind=Kind.KERNEL, pieces=(kernel,)),
            Section(kind=Kind.COMMAND_LINE, pieces=(b"quiet",)),
            Section(kind=Kind.METADATA, pieces=(metadata,)),
            Section(kind=Kind.RAMDISK, pieces=(b"boot",)),
            Section(kind=Kind.RAMDISK, pieces=cpio.pack(entries)),
        )
    )


def _document(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, dict[str, object]]]:
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = _put(tmp_path, "one.eif", image())
    other = _put(tmp_path, "other.eif", image())
    assert run(["inspect", one, "--diff", other]) == 0
    assert capsys.readouterr().out.endswith("the same bytes\n")
    assert run(["inspect", one, "--diff", other, "--json"]) == 0
    said = _document(capsys)
    assert said["equal"] is True
    assert said["differences"] == []
    assert not any(register["changes"] for register in said["nitro"].values())
    assert said["nitro"]["pcr0"]["first"] == measure(image()).pcr0.hex()


def test_a_file_changes_pcr0_and_pcr2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = _with_files({"a.py": b"x = 1\n"}), _with_files({"a.py": b"x = 2\n"})
    one, other = (_put(tmp_path, f"{n}.eif", made) for n, made in enumerate(images))
    assert run(["inspect", one, "--diff", other]) == 1
    said = capsys.readouterr().out
    assert "ramdisk 1:\n  /a.py  content  6 bytes and 6 bytes, from byte 4 on\n" in said
    assert "    second  line 1: x = 2\n" in said
    assert "    first   00000000  78 20 3d 20 31 0a  " in said
    assert "  pcr1  the same\n" in said
    assert run(["inspect", one, "--diff", other, "--json"]) == 1
    registers = _document(capsys)["nitro"]
    assert [name for name, one in registers.items() if one["changes"]] == ["pcr0", "pcr2"]
    assert registers["pcr2"]["second"] == measure(images[1]).pcr2.hex()
    assert registers["pcr8"] == {"changes": False, "first": None, "second": None}


def test_metadata_change_no_register(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = _put(tmp_path, "1.eif", _with_files({}, metadata=b'{"BuildTime":"1970"}'))
    other = _put(tmp_path, "2.eif", _with_files({}, metadata=b'{"BuildTime":"2026"}'))
    assert run(["inspect", one, "--diff", other]) == 1
    said = capsys.readouterr().out
    assert "  BuildTime  value\n" in said
    assert "changes" not in said


def test_a_signature_changes_pcr8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by, plain = identity(), image()
    signed = with_section(plain, signature(plain, by))
    one, other = _put(tmp_path, "1.eif", plain), _put(tmp_path, "2.eif", signed)
    assert run(["inspect", one, "--diff", other]) == 1
    said = capsys.readouterr().out
    assert "signature:\n  the section  only in the second" in said
    assert "  pcr8  changes\n    first   none: not signed\n" in said
    assert "  pcr0  the same\n" in said
    broken = _put(tmp_path, "3.eif", with_section(plain, b"junk"))
    assert run(["inspect", other, "--diff", broken, "--json"]) == 1
    assert _document(capsys)["nitro"]["pcr8"]["second"] is None


def test_names_are_hostile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, text = "evil\x1b[2J\u202e", b"\x1b[31mred\n"
    one = _put(tmp_path, "1.eif", _with_files({name: text}, metadata=b'{"\\u001b":1}'))
    other = _put(tmp_path, "2.eif", _with_files({name: b"x", "more\x07": b""}))
    assert run(["inspect", one, "--diff", other]) == 1
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\u202e" not in said
    assert "/evil\\x1b[2J\\u202e" in said


def test_output_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = {f"{n:05}": b"x" for n in range(3000)}
    one = _put(tmp_path, "1.eif", _with_files(many))
    other = _put(tmp_path, "2.eif", _with_files(dict.fromkeys(many, b"y")))
    assert run(["inspect", one, "--diff", other]) == 1
    said = capsys.readouterr().out
    assert "and 2800 more\n" in said
    assert len(said) < 100_000
    assert run(["inspect", one, "--diff", other, "--json"]) == 1
    assert _document(capsys)["left_out"] == 2800


def test_what_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = _put(tmp_path, "good.eif", image())
    (tmp_path / "junk").write_bytes(b"junk")
    (tmp_path / "cut.eif").write_bytes(Path(good).read_bytes()[:-1])
    for argv, code in (
        ([good, "--diff", str(tmp_path / "junk")], 2),
        ([str(tmp_path / "junk"), "--diff", good], 2),
        ([good, "--diff", str(tmp_path / "cut.eif")], 3),
        ([good, "--diff", str(tmp_path / "absent.eif")], 5),
        ([good, "--diff", good, "--files"], 2),
    ):
        assert run(["inspect", *argv]) == code
        assert capsys.readouterr().out == ""
