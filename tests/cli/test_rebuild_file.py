"""`troth rebuild` of wheels and kernels: equal is said of the same bytes, and each difference is named."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from tests.cli.filed import Desk, a_desk, a_template, git  # noqa: F401 - fixtures
from tests.image import planted

from troth.cli.main import run
from troth.image.hardware import again
from troth.image.hardware.inputs import inputs

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is absent")
Says = pytest.CaptureFixture[str]


def test_a_commit_and_not_the_working_tree(made: Desk, capsys: Says) -> None:
    words = ["rebuild", str(made.wheel), "--source", str(made.clone)]
    (made.clone / "thing.py").write_text("print('changed, and not committed')\n")
    out = made.path("again.whl")
    assert run([*words, "--commit", made.commit, "--json", "-o", out]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["equal"] is True
    assert (said["kind"], said["differences"], said["left_out"]) == ("wheel", [], 0)
    assert said["build"]["packages"] == [{"name": "tiny-backend", "version": "1.0"}]
    assert said["source"] == {"git": made.clone.as_uri(), "commit": made.commit, "path": "."}
    assert said["rebuilt"]["sha256"] == said["file"]["sha256"]
    assert Path(out).read_bytes() == made.wheel.read_bytes()
    assert run([*words, "--commit", made.commit, "-o", out]) == 2  # it exists
    assert run(words) == 1  # a folder is taken as it stands
    shown = capsys.readouterr().out
    assert shown.endswith("differs\n")
    assert "thing.py  content" in shown
    assert "line 1: print('a thing')" in shown
    assert "line 1: print('changed, and not committed')" in shown


def test_a_tag_and_an_address(made: Desk, capsys: Says) -> None:
    git(made.clone, "tag", "v1")
    words = ["rebuild", str(made.wheel), "--source", made.clone.as_uri(), "--tag", "v1"]
    assert run(words) == 0
    assert capsys.readouterr().out.endswith(f"equal to {made.wheel}, byte for byte\n")


def test_planted_differences_are_named(made: Desk, capsys: Says) -> None:
    data = planted.wheel(made.wheel.read_bytes(), "thing.py", lambda old: old + b"import evil\n")
    made.wheel.write_bytes(data)
    words = ["rebuild", str(made.wheel), "--source", str(made.clone), "--commit", made.commit]
    assert run([*words, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["equal"] is False
    assert [one["path"] for one in said["differences"]] == [
        "thing.py",
        "thing-1.0.dist-info/RECORD",
    ]
    assert said["differences"][0]["line"]["first"] == "import evil"


def test_another_name_is_a_difference(made: Desk, capsys: Says) -> None:
    other = made.wheel.rename(made.folder / "thing-1.1-py3-none-any.whl")
    words = ["rebuild", str(other), "--source", str(made.clone), "--commit", made.commit]
    assert run([*words, "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["differences"]
    assert (found["section"], found["second"]) == ("name", made.wheel.name)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["W"], 2, "where the wheel's source is, is not said"),
        (["W", "--source", "nowhere"], 2, "no folder and no address"),
        (["W", "--source", "https://example.org/x"], 2, "neither a commit nor a tag"),
        (["W", "--source", "http://example.org/x", "--tag", "v"], 2, "is no address"),
        (["W", "--source", "clone", "--commit", "0" * 40], 5, "git"),
        (["W", "--source", "clone", "--path", "requirements"], 2, "has no pyproject.toml"),
        (["W", "--source", "clone", "--image", "x"], 2, "--image: of no meaning for a wheel"),
        (["W", "--source", "clone", "--against", "x"], 2, "--against: of no meaning"),
        (["W", "--source", "clone", "--root", "x"], 2, "--root: of no meaning"),
        (["W", "--source", "clone", "--mirror", "x"], 2, "--mirror: of no meaning"),
        (["gone-1.0-py3-none-any.whl", "--source", "clone"], 5, "there is no file"),
        (["x.whl", "--source", "clone"], 2, "is not called as a wheel"),
        (["bad-1.0-py3-none-any.whl", "--source", "clone"], 3, "is no wheel"),
        (["lies-1.0-py3-none-any.whl", "--source", "clone"], 3, "another content than RECORD says"),
        (["vmlinuz-old"], 2, "is a kernel, 6.1.0, and not the hardware kernel"),
        (["vmlinuz-old", "--source", "clone"], 2, "--source: of no meaning for the hardware"),
        (["vmlinuz-old", "--python", "x"], 2, "--python: of no meaning for the hardware"),
    ],
)
def test_what_cannot_be_rebuilt(
    made: Desk,
    capsys: Says,
    words: list[str],
    code: int,
    said: str,
) -> None:
    Path("bad-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04 junk")
    with (
        zipfile.ZipFile(made.wheel) as good,
        zipfile.ZipFile("lies-1.0-py3-none-any.whl", "w") as bad,
    ):
        for item in good.infolist():
            bad.writestr(item, good.read(item).replace(b"a thing", b"A thing"))
    Path("vmlinuz-old").write_bytes(kernel("6.1.0"))
    before = sorted(made.folder.rglob("*"))
    assert run(["rebuild", *(made.wheel.name if w == "W" else w for w in words)]) == code
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
    assert sorted(made.folder.rglob("*")) == before


def kernel(version: str) -> bytes:
    """As much of a kernel as says what it calls itself."""
    data = bytearray(0x400)
    data[0x202:0x206] = b"HdrS"
    data[0x20E:0x210] = (0x300 - 0x200).to_bytes(2, "little")
    return bytes(data[:0x300] + version.encode() + b" (build@build) #1\0" + bytes(100))


def test_which_file_is_said_to_be_the_hardware_kernel(tmp_path: Path) -> None:
    pinned = inputs().kernel
    place = tmp_path / "vmlinuz"
    assert again.claimed(place, kernel(pinned.version))
    assert not again.claimed(place, kernel("6.12.117"))
    (tmp_path / "vmlinuz.config").write_text("CONFIG_X=y\n")
    assert not again.claimed(place, kernel("6.12.117"))
    assert not again.is_kernel(b".eif" + kernel("x")[4:])
    for junk in (b"", b"HdrS", kernel("x")[:0x20F], bytes(0x202) + b"HdrS"):
        assert again.version(junk) == ""


def test_where_a_kernel_and_its_configuration_are_others(tmp_path: Path) -> None:
    place = tmp_path / "vmlinuz"
    (tmp_path / "vmlinuz.config").write_text("# a comment\nCONFIG_B=y\nCONFIG_A=1\n")
    one, other = kernel("6.1"), kernel("6.2")
    found = list(again.differences(place, one, image=other, built=b"CONFIG_A=1\nCONFIG_C=y\n"))
    assert [(d.section, d.path) for d in found] == [
        ("kernel", ""),
        ("configuration", "CONFIG_B"),
        ("configuration", "CONFIG_C"),
    ]
    built = b"CONFIG_A=1\nCONFIG_B=y\n"
    assert list(again.differences(place, one, image=one, built=built)) == []
