"""Each example, built once and rebuilt by a stranger: from a fresh clone, as another user, elsewhere, by another Python."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.image.test_reproducible import _shuffled

import troth
from troth.image import lock as locks
from troth.image import recipe as recipes
from troth.image.hardware.inputs import inputs
from troth.image.hardware.plan import CONFIG
from troth.image.store import Store

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
SOURCE = str(Path(troth.__file__).parents[1])
NOBODY = 65534
# Each takes some ten seconds of a processor. One of them goes with every run; `make rebuilds` takes all.
ALL = "TROTH_REBUILDS" in os.environ
KEPT = ("hello", "shell", "auction", "hello-node") if ALL else ("hello",)
MADE = ("hello-go", "hello-rust", "hello-oci") if ALL else ()
OTHERS = ("python3.12", "python3.13", "python3.14")

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is absent"),
]


def _run(words: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": SOURCE, **variables}
    return subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def _troth(folder: Path, *words: str) -> str:
    done = _run([sys.executable, "-m", "troth", *words], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples as somebody publishes them: in a repository, under a tag."""
    folder = tmp_path_factory.mktemp("published") / "repository"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "examples"], cwd=REPOSITORY, capture_output=True, check=False
    ).stdout
    if not listed:  # troth's own source is no checkout here
        shutil.copytree(EXAMPLES, folder / "examples")
    for name in os.fsdecode(listed).split("\0")[:-1]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    for word in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{word}_NAME": "a", f"GIT_{word}_EMAIL": "a@b"}
    try:
        for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "one"), ("tag", "v1")):
            subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    finally:
        for word in ("AUTHOR", "COMMITTER"):
            for what in ("NAME", "EMAIL"):
                del os.environ[f"GIT_{word}_{what}"]
    return folder


@pytest.fixture(scope="module")
def published(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of those that nothing has to be compiled for, each with its record."""
    folder = tmp_path_factory.mktemp("images")
    words = ("--source-git", repository.as_uri(), "--source-tag", "v1")
    for name in KEPT:
        _troth(folder, "build", str(repository / "examples" / name), *words)
    return folder


@pytest.mark.parametrize("name", KEPT)
def test_from_a_fresh_clone(name: str, published: Path) -> None:
    """What the record names is fetched; nothing else is known."""
    said = json.loads(_troth(published, "rebuild", f"{name}.eif", "--json"))
    assert said["equal"] is True
    assert (said["differences"], said["source"]["tag"]) == ([], "v1")
    assert said["rebuilt"]["sha256"] == said["image"]["sha256"]


def _packages(app: Path, into: Path) -> None:
    """What the lock names, in another store, so that another user need not fetch it again."""
    mine = Store.of_user()
    locked = locks.load(app)
    wanted = [(item.sha256, item.file) for item in (*locked.all_debs, *locked.all_wheels)]
    if recipes.load(app).kernel == "hardware":
        pinned = inputs().kernel
        wanted += [(pinned.sha256, pinned.file), (pinned.config_sha256, CONFIG)]
    into.mkdir(parents=True)
    for sha256, file in wanted:
        (into / sha256).write_bytes(mine.get(sha256=sha256, name=file))


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    """A folder that another user reaches: pytest's own are shut to all others."""
    with TemporaryDirectory(prefix="troth-stranger-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _python_of_nobody() -> tuple[str, str]:
    """An interpreter that this user's packages work in and that everybody may run, with those packages."""
    packages = str(Path(pytest.__file__).parents[1])
    for program in (sys.executable, f"/usr/bin/python3.{sys.version_info[1]}"):
        probe = _as_nobody(
            [program, "-c", "import cyclopts, cryptography, troth.cli.rebuild"], packages
        )
        if probe.returncode == 0:
            return program, packages
    pytest.skip(f"no Python here that another user may run: {probe.stderr[-200:]}")


def _as_nobody(
    words: list[str], packages: str, home: Path = Path("/nonexistent"), folder: Path = Path("/")
) -> subprocess.CompletedProcess[str]:
    drop = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    bare = ("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")
    environment = {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(home),
        "PYTHONPATH": f"{SOURCE}{os.pathsep}{packages}",
        "PYTHONDONTWRITEBYTECODE": "1",
        **({"TMPDIR": str(home)} if home.exists() else {}),
    }
    return subprocess.run(
        # By a shell: what setpriv starts itself is still found with root's eyes.
        ["setpriv", *drop, *bare, "sh", "-c", 'exec "$@"', "sh", *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _rebuilt_by_nobody(home: Path, app: str, *, source: Path, built: Path) -> None:
    """Rebuilds an app below a home of nobody's, who has the packages at hand and what was built elsewhere."""
    program, packages = _python_of_nobody()
    for path in built.glob(f"{source.name}.*"):
        shutil.copy(path, home / path.name)
    _packages(source, home / ".cache" / "troth" / "store" / "sha256")
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    words = [program, "-m", "troth", "rebuild", app, "--image", f"{source.name}.eif", "--json"]
    done = _as_nobody(words, packages, home=home, folder=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["equal"] is True


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(
    shutil.which("setpriv") is None, reason="setpriv (Debian: util-linux) is absent"
)
@pytest.mark.parametrize("name", KEPT)
def test_on_a_second_users_account(name: str, repository: Path, published: Path) -> None:
    """With a home of its own and no privilege, from a clone of its own."""
    with _home() as home:
        subprocess.run(["git", "clone", "-q", repository.as_uri(), str(home / "clone")], check=True)
        app = f"clone/examples/{name}"
        _rebuilt_by_nobody(home, app, source=repository / "examples" / name, built=published)


@pytest.mark.variation
@pytest.mark.parametrize("name", KEPT)
def test_in_a_mount_with_shuffled_folders(
    name: str, repository: Path, published: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", repository.as_uri(), str(clone)], check=True)
    with _shuffled(clone) as mount:
        app = str(mount / "examples" / name)
        said = _troth(published, "rebuild", app, "--image", f"{name}.eif", "--json")
    assert json.loads(said)["equal"] is True


def _other_python() -> str:
    """Another minor version, which needs no packages."""
    mine = f"python3.{sys.version_info[1]}"
    for name in OTHERS:
        for program in (
            shutil.which(name),
            *map(str, Path.home().glob(f".pyenv/versions/{name[6:]}*/bin/python")),
        ):
            if name == mine or program is None:
                continue
            asked = _run(
                [program, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], Path("/")
            )
            if asked.stdout.strip() == name.removeprefix("python"):
                return program
    return ""


@pytest.mark.parametrize("name", KEPT)
def test_by_another_python(name: str, published: Path) -> None:
    program = _other_python()
    if not program:
        pytest.skip(f"none of {', '.join(OTHERS)} is here beside the one that runs this")
    said = json.loads(_troth(published, "rebuild", f"{name}.eif", "--python", program, "--json"))
    assert said["equal"] is True


Made = Callable[[str], tuple[Path, Path]]


@pytest.fixture(scope="module")
def made(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Of each example that is compiled: a folder with its image, and a second clone that was compiled for itself."""

    @cache
    def of(name: str) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp(name)
        apps = []
        for clone in (folder / "first", folder / "a second clone"):
            subprocess.run(["git", "clone", "-q", repository.as_uri(), str(clone)], check=True)
            apps.append(clone / "examples" / name)
            done = _run([str(apps[-1] / "compile")], apps[-1])
            assert done.returncode == 0, done.stderr
        here, there = apps
        if not (here / locks.FILE).is_file():  # of a container image, which it pins
            _troth(folder, "lock", str(here))
            shutil.copy(here / locks.FILE, there / locks.FILE)
        _troth(folder, "build", str(here))
        return folder, there

    return of


@pytest.mark.toolchains
@pytest.mark.parametrize("name", MADE)
def test_what_is_compiled_is_compiled_by_whoever_rebuilds(name: str, made: Made) -> None:
    """Nothing of a checkout is run by troth: a record alone is refused with what is to be done."""
    folder, there = made(name)
    said = json.loads(_troth(folder, "rebuild", str(there), "--image", f"{name}.eif", "--json"))
    assert said["equal"] is True


@pytest.mark.toolchains
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(
    shutil.which("setpriv") is None, reason="setpriv (Debian: util-linux) is absent"
)
@pytest.mark.parametrize("name", MADE)
def test_what_is_compiled_on_a_second_users_account(name: str, made: Made) -> None:
    folder, there = made(name)
    with _home() as home:
        shutil.copytree(there, home / "clone" / name, symlinks=True)
        _rebuilt_by_nobody(home, f"clone/{name}", source=there, built=folder)


@pytest.mark.toolchains
@pytest.mark.variation
@pytest.mark.parametrize("name", MADE)
def test_what_is_compiled_in_a_mount_with_shuffled_folders(name: str, made: Made) -> None:
    folder, there = made(name)
    with _shuffled(there.parents[1]) as mount:
        app = str(mount / "examples" / name)
        said = _troth(folder, "rebuild", app, "--image", f"{name}.eif", "--json")
    assert json.loads(said)["equal"] is True


@pytest.mark.toolchains
@pytest.mark.parametrize("name", MADE)
def test_what_is_compiled_by_another_python(name: str, made: Made) -> None:
    program = _other_python()
    if not program:
        pytest.skip(f"none of {', '.join(OTHERS)} is here beside the one that runs this")
    folder, there = made(name)
    words = ("rebuild", str(there), "--image", f"{name}.eif", "--python", program)
    assert json.loads(_troth(folder, *words, "--json"))["equal"] is True
