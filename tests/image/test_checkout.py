"""A commit written out as files: nothing of it runs, nothing lands outside, and a moved tag is told."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from troth.errors import Malformed, Misuse, Unavailable
from troth.image import checkout, committed
from troth.image import git as program
from troth.image.checkout import Source

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is absent")

ME = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip
RECIPE = b'files = ["app"]\n[app]\nname = "x"\nentry = ["python3.13", "/app/main.py"]\n'


def git(folder: Path, *words: str, given: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        env={**os.environ, **ME},
        input=given,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "some" / "app").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "some" / "troth.toml").write_bytes(RECIPE)
    (folder / "some" / "troth.lock").write_bytes(b"{}\n")
    (folder / "some" / "app" / "main.py").write_bytes(b"print(1)\r\n")
    (folder / "some" / "run").write_bytes(b"#!/bin/sh\n")
    (folder / "some" / "run").chmod(0o755)
    (folder / "some" / "near").symlink_to("app/main.py")
    (folder / "README").write_bytes(b"x")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    git(folder, "tag", "v1")
    return folder


def source(repository: Path, **fields: str) -> Source:
    return Source(git=repository.as_uri(), **{"path": "some", **fields})  # type: ignore[arg-type]


def test_a_tag_and_a_commit(repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    for number, asked in enumerate(
        ({"tag": "v1"}, {"commit": commit}, {"tag": "v1", "commit": commit})
    ):
        into = tmp_path / str(number)
        assert checkout.take(source(repository, **asked), into).commit == commit
        assert (into / "app" / "main.py").read_bytes() == b"print(1)\r\n"
        assert (into / "run").stat().st_mode & 0o777 == 0o755
        assert (into / "app" / "main.py").stat().st_mode & 0o777 == 0o644
        assert (into / "near").readlink() == Path("app/main.py")
        assert {p.name for p in into.iterdir()} == {
            "troth.toml",
            "troth.lock",
            "app",
            "run",
            "near",
        }


def test_a_commit_that_no_branch_ends_at(repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "README").write_bytes(b"y")
    git(repository, "commit", "-qam", "two")
    assert checkout.take(source(repository, commit=commit), tmp_path / "into").commit == commit


def test_a_tag_that_was_moved(repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "README").write_bytes(b"y")
    git(repository, "commit", "-qam", "two")
    git(repository, "tag", "-f", "v1")
    with pytest.raises(Malformed, match=r"tag v1: is at .* asked for is"):
        checkout.take(source(repository, tag="v1", commit=commit), tmp_path / "into")
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"git": "ext::sh -c touch% /tmp/pwned", "tag": "v1"},
        {"git": "--upload-pack=touch", "tag": "v1"},
        {"git": "ssh://-oProxyCommand=touch/x", "tag": "v1"},
        {"git": "http://example.org/x", "tag": "v1"},
        {"git": "https://me:secret@example.org/x", "tag": "v1"},
        {"git": "https://token@example.org/x", "tag": "v1"},
        {"git": "file:///x y", "tag": "v1"},
        {"git": "file:///x"},
        {"git": "file:///x", "tag": "-x"},
        {"git": "file:///x", "tag": "a..b"},
        {"git": "file:///x", "tag": "a:refs/heads/b"},
        {"git": "file:///x", "commit": "abc"},
        {"git": "file:///x", "commit": "A" * 40},
        {"git": "file:///x", "tag": "v1", "path": "../x"},
        {"git": "file:///x", "tag": "v1", "path": "/x"},
        {"git": "file:///x", "tag": "v1", "path": "a//b"},
        {"git": "file:///x", "tag": "v1", "path": "a\nb"},
    ],
)
def test_what_is_no_source(fields: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Misuse):
        checkout.take(Source(**fields), tmp_path / "into")  # type: ignore[arg-type]
    assert not (tmp_path / "into").exists()


def test_what_is_not_there(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="has no folder other"):
        checkout.take(source(repository, tag="v1", path="other"), tmp_path / "into")
    for asked in (source(repository, tag="v2"), source(repository, commit="1" * 40)):
        with pytest.raises(Unavailable, match="git "):
            checkout.take(asked, tmp_path / "into")
    with pytest.raises(Unavailable):
        checkout.take(
            replace(source(repository, tag="v1"), git="file:///nowhere"), tmp_path / "into"
        )


def _hostile(repository: Path, *entries: bytes) -> str:
    """A commit whose tree has entries that git itself would not make."""
    path = git(
        repository,
        "hash-object",
        "-t",
        "tree",
        "-w",
        "--literally",
        "--stdin",
        given=b"".join(entries),
    )
    return git(repository, "commit-tree", "-m", "x", path)


def _entry(repository: Path, mode: str, name: bytes, data: bytes) -> bytes:
    made = git(repository, "hash-object", "-w", "--stdin", given=data)
    return mode.encode() + b" " + name + b"\0" + bytes.fromhex(made)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("100644", b"..", b"x")], "leads out"),
        ([("100644", b".git", b"x")], "git's own"),
        ([("100644", b".GIT", b"x")], "git's own"),
        ([("120000", b"a", b"/etc")], "leads out"),
        ([("120000", b"a", b"b/../../c")], "leads out"),
        ([("120000", b"a", b"")], "leads out"),
        ([("100644", b"a", b"x"), ("100644", b"a", b"y")], "twice"),
        ([("100644", b"\xff", b"x")], "not UTF-8"),
    ],
)
def test_trees_that_lead_out(
    repository: Path, tmp_path: Path, rows: list[tuple[str, bytes, bytes]], words: str
) -> None:
    commit = _hostile(repository, *(_entry(repository, *row) for row in rows))
    git(repository, "update-ref", "refs/tags/v1", commit)
    with pytest.raises(Malformed, match=words):
        checkout.take(source(repository, tag="v1", path="."), tmp_path / "deep" / "into")
    outside = {p.name for p in tmp_path.iterdir()} - {"repository", "deep"}
    assert not outside


def test_links_that_lead_out_together(repository: Path, tmp_path: Path) -> None:
    """Each stays inside by its words; through the first, the second's `..` is above the source."""
    (repository / "some" / "a" / "b").mkdir(parents=True)
    (repository / "some" / "a" / "b" / "top").symlink_to("../..")
    (repository / "some" / "secret").symlink_to("a/b/top/../../outside")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "two")
    git(repository, "tag", "v2")
    (tmp_path / "outside").write_bytes(b"secret")
    with pytest.raises(Malformed, match="leads out"):
        checkout.take(source(repository, tag="v2"), tmp_path / "deep" / "into")


def test_a_link_upwards_that_stays_inside(repository: Path, tmp_path: Path) -> None:
    (repository / "some" / "app" / "up").symlink_to(".././run")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "two")
    git(repository, "tag", "v2")
    checkout.take(source(repository, tag="v2"), tmp_path / "into")
    assert (tmp_path / "into" / "app" / "up").read_bytes() == b"#!/bin/sh\n"


def test_a_link_and_a_folder_of_one_name(repository: Path, tmp_path: Path) -> None:
    """The oldest way out: files are written through a link that the same tree made."""
    inner = git(repository, "mktree", given=b"100644 blob " + git(
        repository, "hash-object", "-w", "--stdin", given=b"x").encode() + b"\tpwned\n")  # fmt: skip
    link = _entry(repository, "120000", b"a", b"..")
    commit = _hostile(repository, link, b"40000 a\0" + bytes.fromhex(inner))
    git(repository, "update-ref", "refs/tags/v1", commit)
    with pytest.raises(Malformed):
        checkout.take(source(repository, tag="v1", path="."), tmp_path / "into")
    assert not (tmp_path / "pwned").exists()


def test_ten_thousand_million_files_of_ten_objects(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, their list would be half a terabyte: it is not read further than it is refused."""
    monkeypatch.setattr(program, "_MOST_LISTED", 1 << 16)
    below = git(repository, "hash-object", "-w", "--stdin", given=b"x")
    kind = "100644 blob"
    for _ in range(10):
        rows = "".join(f"{kind} {below}\t{number}\n" for number in range(10))
        below, kind = git(repository, "mktree", given=rows.encode()), "040000 tree"
    commit = git(repository, "commit-tree", "-m", "x", below)
    git(repository, "update-ref", "refs/tags/v1", commit)
    with pytest.raises(Malformed, match="prints more than"):
        checkout.take(source(repository, tag="v1", path="."), tmp_path / "into")


def test_a_submodule_is_not_fetched(repository: Path, tmp_path: Path) -> None:
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},some/sub")
    git(repository, "commit", "-qm", "sub")
    git(repository, "tag", "v2")
    with pytest.raises(Misuse, match="sub is a submodule"):
        checkout.take(source(repository, tag="v2"), tmp_path / "into")


def test_no_setting_and_no_attribute_runs_anything(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the repository, of the user, and of the environment."""
    flag = tmp_path / "ran"
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch {flag}\ncat\n")
    script.chmod(0o755)
    (repository / "some" / ".gitattributes").write_text("* filter=evil\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "two")
    git(repository, "tag", "v2")
    settings = tmp_path / "config"
    settings.write_text(
        f'[filter "evil"]\nsmudge = {script}\nclean = {script}\n[core]\nfsmonitor = {script}\n'
        f"hooksPath = {tmp_path}\nsshCommand = {script}\n[uploadpack]\npackObjectsHook = {script}\n"
    )
    (repository / ".git" / "config").open("a").write(settings.read_text())
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        shutil.copy(script, hooks / hook)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, str(settings))
    for name in (
        "GIT_EXTERNAL_DIFF",
        "GIT_PROXY_COMMAND",
        "GIT_SSH",
        "GIT_ASKPASS",
        "GIT_TEMPLATE_DIR",
    ):
        monkeypatch.setenv(name, str(script))
    checkout.take(source(repository, tag="v2"), tmp_path / "into")
    assert committed.source_of(repository / "some", "https://example.org/x", tag="v2").tag == "v2"
    assert not flag.exists()


def test_limits(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout, "MOST_FILES", 2)
    with pytest.raises(Malformed, match="more than 2 files"):
        checkout.take(source(repository, tag="v1"), tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_the_commit_of_a_folder(repository: Path) -> None:
    app = repository / "some"
    commit = git(repository, "rev-parse", "HEAD")
    found = committed.source_of(app, "https://example.org/x", tag="v1")
    assert found == Source(git="https://example.org/x", commit=commit, tag="v1", path="some")
    assert found.stated() == {
        "git": "https://example.org/x", "commit": commit, "tag": "v1", "path": "some"
    }  # fmt: skip


def test_a_folder_that_nobody_else_has(repository: Path, tmp_path: Path) -> None:
    app = repository / "some"

    def refused(words: str) -> None:
        with pytest.raises(Misuse, match=words):
            committed.source_of(app, "https://example.org/x")

    (app / "app" / "main.py").write_bytes(b"print(1)\n")  # which git with autocrlf calls the same
    refused("app/main.py")
    (app / "app" / "main.py").write_bytes(b"print(1)\r\n")
    (app / "run").chmod(0o644)
    refused("run")
    (app / "run").chmod(0o755)
    (app / "app" / "new.py").write_bytes(b"")
    refused("app/new.py")
    (app / "app" / "new.py").unlink()
    (app / "app" / "main.py").unlink()
    refused("app/main.py")
    (app / "app").rmdir()
    (app / "app").write_bytes(b"")  # a file where the commit has a folder
    refused("app")
    with pytest.raises(Misuse, match="in no checkout"):
        committed.source_of(tmp_path, "https://example.org/x")


def test_a_file_of_requirements_that_nobody_else_has(repository: Path) -> None:
    """It decides the lock, and whoever has the commit alone could not read the recipe."""
    app = repository / "some"
    (app / "troth.toml").write_bytes(RECIPE + b'[python]\nrequirements = "pins.txt"\n')
    git(repository, "commit", "-qam", "two")
    (app / "pins.txt").write_bytes(b"")
    with pytest.raises(Misuse, match=r"is not what its commit .* holds: pins.txt"):
        committed.source_of(app, "https://example.org/x")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "three")
    assert committed.source_of(app, "https://example.org/x").made == ()


def test_a_folder_whose_name_is_no_text(repository: Path) -> None:
    there = repository / os.fsdecode(b"\xff")
    (repository / "some").rename(there)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "two")
    with pytest.raises(Misuse, match="is no folder of a repository"):
        committed.source_of(there, "https://example.org/x")


def test_what_is_made_and_not_kept(repository: Path) -> None:
    app = repository / "some"
    (app / ".gitignore").write_text("app/program\n*.eif\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "two")
    (app / "app" / "program").write_bytes(b"made")
    (app / "other.txt").write_bytes(b"does not go in")
    (app / "x.eif").write_bytes(b"")
    found = committed.source_of(app, "https://example.org/x")
    assert found.made == ("app/program",)
    assert found.stated()["made"] == ["app/program"]


def test_a_tag_elsewhere(repository: Path) -> None:
    (repository / "README").write_bytes(b"y")
    git(repository, "commit", "-qam", "two")
    for tag, words in (("v1", "is at"), ("v9", "there is no tag v9")):
        with pytest.raises(Misuse, match=words):
            committed.source_of(repository / "some", "https://example.org/x", tag=tag)


def test_names_of_objects_are_gits_own(repository: Path) -> None:
    blobs = checkout.listed(repository, "HEAD", "some")
    data = (repository / "some" / "run").read_bytes()
    named = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    assert blobs["run"].name == named.hexdigest()
    assert blobs["run"].size == len(data)
