"""A small wheel, the repository of its source, and keys: what releases of files are tried on."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.image import backend

from troth.image import wheel_again

GIT = "https://git.example/thing.git"


@dataclass
class Desk:
    """Where everything is."""

    folder: Path
    clone: Path
    commit: str
    wheel: Path

    @property
    def origin(self) -> list[str]:
        return ["--source", str(self.clone), "--source-commit", self.commit, "--source-git", GIT]

    def path(self, name: str) -> str:
        return str(self.folder / name)


def git(folder: Path, *words: str) -> str:
    nobody = {
        f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    variables = {**os.environ, **nobody, "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(
        ["git", *words], cwd=folder, env=variables, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module", name="template")
def a_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commit whose wheel was built once."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "packages").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        sha256 = backend.offered(folder / "packages", patch)
        clone = backend.source(folder / "clone", sha256)
        git(clone, "init", "-q")
        git(clone, "add", "-A")
        git(clone, "commit", "-qm", "one")
        built = wheel_again.build(clone)
    (folder / built.name).write_bytes(built.data)
    key(folder, "ed")
    key(folder, "other")
    return folder


@pytest.fixture(name="made")
def a_desk(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A copy of it for each test, as the current folder."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    backend.offered(tmp_path / "packages", monkeypatch)
    monkeypatch.chdir(tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    clone = tmp_path / "clone"
    return Desk(folder=tmp_path, clone=clone, commit=git(clone, "rev-parse", "HEAD"), wheel=wheel)


def key(folder: Path, name: str) -> None:
    """A pair of keys, `NAME.pem` and `NAME.pub`, the same for the same name."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    secret = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    (folder / f"{name}.pem").write_bytes(secret)
    public = private.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / f"{name}.pub").write_bytes(public)
