"""A recipe reads its own folder only, and fills no place from which the agent takes code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import troth
from troth.errors import Misuse
from troth.image import recipe

LEAST = '[app]\nname = "x"\nentry = ["/app/x"]\n'
BOOT = Path(troth.__file__).parent / "agent" / "boot.py"


def _load(folder: Path, more: str) -> recipe.Recipe:
    (folder / recipe.FILE).write_text(f"{more}\n{LEAST}")
    return recipe.load(folder)


@pytest.mark.parametrize("way", ["file", "folder"])
def test_measured_configuration_by_a_link_reads_no_file_of_the_hosts(
    tmp_path: Path, way: str
) -> None:
    """The image would carry, say, the builder's private key out."""
    outside, app = tmp_path / "outside", tmp_path / "app"
    outside.mkdir()
    app.mkdir()
    (outside / "id").write_text("the builder's secret")
    (app / "conf").symlink_to(outside / "id" if way == "file" else outside)
    name = "conf" if way == "file" else "conf/id"
    with pytest.raises(Misuse, match="is a link, or behind one"):
        _load(app, f'config.greeting = {{ kind = "measured", file = "{name}" }}')


def test_measured_configuration_that_is_no_file(tmp_path: Path) -> None:
    """A pipe would be waited for without end."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Misuse, match="is no file"):
        _load(tmp_path, 'config.greeting = { kind = "measured", file = "pipe" }')


def test_measured_configuration_of_the_app_is_read(tmp_path: Path) -> None:
    (tmp_path / "greeting").write_text("hello")
    made = _load(tmp_path, 'config.greeting = { kind = "measured", file = "greeting" }')
    assert made.config["greeting"].value == "hello"


@pytest.mark.parametrize(
    "target",
    [
        "/usr/bin/pyvenv.cfg",  # where the interpreter looks for another home, -I or not
        "/usr/pyvenv.cfg",
        "/usr/bin/python3.13",
        "/usr/lib/python313.zip",  # on the agent's path before the standard library
        "/usr/lib/python3.13/socket.py",
        "/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libc.so.6",
        "/usr/lib64/ld-linux-x86-64.so.2",
        "/usr/lib/ssl/openssl.cnf",
        "/etc/ld.so.cache",
        "/opt/pyca/cryptography/openssl/openssl.cnf",  # the library's own build folder
    ],
)
def test_no_file_of_a_recipe_becomes_the_agents_code(tmp_path: Path, target: str) -> None:
    with pytest.raises(Misuse, match="is not the app's to fill"):
        _load(tmp_path, f'files = [{{source = "x", target = "{target}"}}]')


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        ("/etc", "ld.so.preload"),  # a library of the app's in the agent's own process
        ("/etc", "troth/app.json"),
        ("/usr", "lib/python3.13/zlib.py"),
        ("/usr", "lib64/x.so"),
        ("/opt", "pyca/cryptography/openssl/openssl.cnf"),
    ],
)
def test_no_folder_of_a_recipe_reaches_there_from_above(
    tmp_path: Path, target: str, inside: str
) -> None:
    from troth.image import rootfs
    from troth.image.architecture import AMD64
    from troth.image.tree import Tree

    place = tmp_path / "x" / inside
    place.parent.mkdir(parents=True)
    place.write_text("code")
    (rule,) = _load(tmp_path, f'files = [{{source = "x", target = "{target}"}}]').files
    with pytest.raises(Misuse, match="is not the app's to fill"):
        rootfs._app_files(Tree(), tmp_path, rule, AMD64)


@pytest.mark.parametrize("target", ["/usr/local/bin/tool", "/usr/share/x", "/opt/tool", "/srv/x"])
def test_other_places_stay_the_apps(tmp_path: Path, target: str) -> None:
    assert _load(tmp_path, f'files = [{{source = "x", target = "{target}"}}]').files


def test_no_openssl_configuration_reaches_the_agent(tmp_path: Path) -> None:
    """OpenSSL reads a configuration wherever it was built for, and loads the libraries it names."""
    before = BOOT.read_text().partition("from troth.agent")[0]
    code = f"{before}\nimport os\nprint(repr(os.environ.get('OPENSSL_CONF')))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        env={"OPENSSL_CONF": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "''"
