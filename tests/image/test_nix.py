"""What is written out for Nix: the same files as the build's, put together without Nix as well."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IMODE
from typing import Any

import pytest
from tests.image.conftest import Sample
from tests.image.made import member, package

from troth.errors import Misuse
from troth.image import nix
from troth.image.build import Built
from troth.image.nix import assemble
from troth.image.store import digest
from troth.wire import ramdisk

STUB = """\
let
  pkgs = {
    python3 = "/nowhere";
    fetchurl = { url, name, sha256 }: builtins.toFile name url;
    runCommand = name: attrs: text: derivation {
      inherit name; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" text ];
    };
  };
  made = (import ./flake.nix).outputs { self = null; nixpkgs.legacyPackages.x86_64-linux = pkgs; };
in {
  named = made.lib.rootfs { debian = "a"; security = "b"; wheels = "c"; };
  default = made.packages.x86_64-linux.default;
}
"""


@pytest.fixture(scope="module")
def made(sample: Sample) -> dict[str, bytes]:
    return nix.make(sample.folder, store=sample.store)


@pytest.fixture
def flake(made: dict[str, bytes], tmp_path: Path) -> Path:
    nix.write(made, tmp_path / "flake")
    return tmp_path / "flake"


@pytest.mark.network
def test_the_list_is_the_tree_of_the_build(made: dict[str, bytes], built: Built) -> None:
    listed = {row["path"]: row for row in json.loads(made[nix.LIST])["files"]}
    disks = ((disk.data, 0) for disk in built.image.ramdisks)
    entries = {entry.path: entry for one in ramdisk.read_all(disks) for entry in one}
    assert list(listed) == sorted(entries)
    for path, entry in entries.items():
        row = listed[path]
        if S_IFMT(entry.mode) == S_IFLNK:
            assert row == {"path": path, "target": bytes(entry.data).decode()}
        elif S_IFMT(entry.mode) == S_IFDIR:
            assert row == {"path": path}
        else:
            assert row["mode"] == f"{entry.mode & 0o777:o}"
            assert row["sha256"] == digest(entry.data)
            assert row["from"]


@pytest.mark.network
def test_no_host_is_named(made: dict[str, bytes]) -> None:
    for name in ("flake.nix", "mirrors.nix", "files.json", "assemble.py"):
        assert b"://" not in made[name], name


@pytest.mark.network
def test_it_is_put_together_without_nix(flake: Path, sample: Sample, tmp_path: Path) -> None:
    """All that comes from packages and files; of what is compiled, so much as takes no time."""
    document = json.loads((flake / nix.LIST).read_bytes())
    compiled = [row for row in document["files"] if row.get("from") == assemble.COMPILED]
    assert len(compiled) > 400
    left_out = {row["path"] for row in compiled if "/json/" not in row["path"]} - {
        row["path"] for row in compiled if row["path"].startswith("app/")
    }
    document["files"] = [row for row in document["files"] if row["path"] not in left_out]
    (tmp_path / "files.json").write_text(json.dumps(document))
    packages = tmp_path / "packages"
    packages.mkdir()
    for one in document["packages"]:
        data = sample.store.get(sha256=one["sha256"], name=one["file"])
        (packages / one["sha256"]).write_bytes(data)
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-I", flake / "assemble.py", "files.json", flake / "files", packages, out],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        umask=0o077,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wanted = {row["path"]: row for row in document["files"]}
    for path in sorted(out.rglob("*")):
        row = wanted.pop(str(path.relative_to(out)))
        if "target" in row:
            assert os.readlink(path) == row["target"]  # noqa: PTH115 - its very text
        elif "sha256" in row:
            assert digest(path.read_bytes()) == row["sha256"]
            assert f"{S_IMODE(path.stat().st_mode):o}" == row["mode"]
        else:
            assert path.is_dir() and not path.is_symlink()
    assert not wanted


def document(**rows: Any) -> dict[str, Any]:
    data = package(member("./a", b"1"))
    one = {"file": "x.deb", "sha256": digest(data), "archive": "debian", "path": "x", "size": 1}
    row = {"path": "a", "mode": "644", "sha256": digest(b"1"), "from": digest(data), **rows}
    return {"packages": [one], "files": [row], "python": "p", "loader": "l", "libraries": []}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"sha256": digest(b"2")}, "/a is not in x.deb"),
        ({"path": "../a"}, "leads out of the tree"),
        ({"path": "/a"}, "leads out of the tree"),
        ({"from": "00" * 32}, "no package has the SHA-256"),
        ({"from": "files"}, "has the SHA-256"),
    ],
)
def test_what_the_assembler_refuses(rows: dict[str, str], said: str, tmp_path: Path) -> None:
    data = package(member("./a", b"1"))
    (tmp_path / digest(data)).write_bytes(data)
    (tmp_path / digest(b"1")).write_bytes(b"other")
    (tmp_path / "files.json").write_text(json.dumps(document(**rows)))
    with pytest.raises(SystemExit) as caught:
        assemble.main(*map(str, (tmp_path / "files.json", tmp_path, tmp_path, tmp_path / "out")))
    assert said in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_nothing_is_compiled_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "files").mkdir()
    source = {"path": "a.py", "mode": "644", "sha256": digest(b""), "from": "files"}
    (tmp_path / "files" / digest(b"")).write_bytes(b"")
    made = {"path": "l/a.pyc", "mode": "644", "sha256": digest(b"1"), "from": "compiled"}
    rows = [source, {"path": "l", "target": str(outside)}, {**made, "source": "l/x.py"}]
    (tmp_path / "files.json").write_text(json.dumps({**document(), "packages": [], "files": rows}))
    with pytest.raises(SystemExit, match="through a link"):
        assemble.main(
            *map(str, (tmp_path / "files.json", tmp_path / "files", tmp_path, tmp_path / "out"))
        )
    assert list(outside.iterdir()) == []


def test_a_package_with_other_bytes(tmp_path: Path) -> None:
    data = package(member("./a", b"1"))
    (tmp_path / digest(data)).write_bytes(data + b"\n")
    (tmp_path / "files.json").write_text(json.dumps(document()))
    with pytest.raises(SystemExit) as caught:
        assemble.main(*map(str, (tmp_path / "files.json", tmp_path, tmp_path, tmp_path / "out")))
    assert "other bytes than the lock says" in str(caught.value)


def test_what_is_not_written_out(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="exists"):
        nix.write({}, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.network
def test_a_root_that_is_brought_is_in_no_package(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "troth.toml").write_text('[app]\nname = "a"\nentry = ["/a"]\nfrom_rootfs = "r"\n')
    shutil.copy(sample.folder / "troth.lock", tmp_path)
    with pytest.raises(Misuse, match="brings its own root"):
        nix.make(tmp_path, store=sample.store)


@pytest.mark.network
@pytest.mark.skipif(not shutil.which("nix-instantiate"), reason="needs Nix (Debian: nix-bin)")
def test_nix_itself_reads_it(flake: Path, tmp_path: Path) -> None:
    """Parsed and judged by Nix, over a stand-in for its packages, which a machine of ours has not."""
    places = {f"NIX_{name}_DIR": str(tmp_path / name) for name in ("STATE", "STORE", "LOG", "CONF")}
    environment = {**os.environ, **places, "HOME": str(tmp_path), "NIX_REMOTE": ""}
    (flake / "stub.nix").write_text(STUB)

    def told(*words: str) -> "subprocess.CompletedProcess[str]":
        command = ["nix-instantiate", *words]
        return subprocess.run(
            command, cwd=flake, env=environment, capture_output=True, text=True, check=False
        )

    for name in ("flake.nix", "mirrors.nix"):
        assert told("--parse", name).returncode == 0
    done = told("stub.nix", "-A", "named")
    assert done.returncode == 0, done.stderr
    done = told("stub.nix", "-A", "default")
    assert done.returncode != 0
    assert "mirrors.nix does not say where debian is" in done.stderr
