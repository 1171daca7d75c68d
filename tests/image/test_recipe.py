"""`troth.toml`: what is said is understood, what is not understood is refused by its name."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse, TrothError
from troth.image import recipe
from troth.image.recipe import FileRule, Recipe
from troth.image.recipe_config import Config

LEAST = '[app]\nname = "a"\nentry = ["python3.13", "/app/main.py"]\n'


def _load(folder: Path, text: str) -> Recipe:
    (folder / "troth.toml").write_text(text, "utf-8")
    return recipe.load(folder)


def _refused(folder: Path, text: str, message: str, fix: str = "") -> None:
    with pytest.raises(Misuse) as caught:
        _load(folder, text)
    assert message in str(caught.value)
    assert fix in caught.value.fix


def test_the_least(tmp_path: Path) -> None:
    found = _load(tmp_path, LEAST)
    assert found == Recipe(
        name="a", entry=("python3.13", "/app/main.py"), environment={}, config={}
    )
    assert (found.suite, found.memory, found.cpus, found.files) == ("trixie", 512, 1, ())


def test_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "terms.txt").write_text("terms", "utf-8")
    found = _load(
        tmp_path,
        'memory = 1024\ncpus = 2\negress = []\nraw_nsm = false\nkernel = "debian"\n'
        'files = ["app", {source = "bin/tool", target = "/opt/tool", mode = "755"}]\n'
        + LEAST
        + '[debian]\nsuite = "trixie"\npackages = ["busybox-static", "libc6=2.41-12"]\n'
        '[python]\npackages = ["requests==2.32.0", "attrs>=23,<25", "uvicorn[standard]"]\n'
        "[[listen]]\nport = 8080\n[[listen]]\nport = 9090\n"
        '[environment]\nB = "2"\nA = "1"\n'
        '[config.currency]\nkind = "measured"\nvalue = "EUR"\n'
        '[config.terms]\nkind = "measured"\nfile = "terms.txt"\n'
        '[config.rounds]\nkind = "measured"\nvalue = 3\n'
        '[config.token]\nkind = "sealed"\n'
        '[config.banner]\nkind = "free"\n',
    )
    assert (found.memory, found.cpus, found.listen) == (1024, 2, (8080, 9090))
    assert found.files == (
        FileRule(source="app", target="/app/app"),
        FileRule(source="bin/tool", target="/opt/tool", mode=0o755),
    )
    assert found.debian_packages == ("busybox-static", "libc6=2.41-12")
    assert found.python_packages == ("requests==2.32.0", "attrs>=23,<25", "uvicorn[standard]")
    assert list(found.environment.items()) == [("A", "1"), ("B", "2")]
    assert found.config == {
        "currency": Config(kind="measured", value="EUR"),
        "terms": Config(kind="measured", value="terms"),
        "rounds": Config(kind="measured", value=3),
        "token": Config(kind="sealed"),
        "banner": Config(kind="free"),
    }


def test_the_apps_folder_goes_to_app(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    assert _load(tmp_path, LEAST).files == (FileRule(source="app", target="/app"),)


def test_what_a_lock_depends_on(tmp_path: Path) -> None:
    plain = _load(tmp_path, LEAST).pinned()
    assert _load(tmp_path, f"memory = 900\n{LEAST}").pinned() == plain
    for table in ('[debian]\npackages = ["jq"]', '[python]\npackages = ["attrs"]'):
        assert _load(tmp_path, f"{LEAST}{table}\n").pinned() != plain


def test_a_root_that_is_brought(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()  # what goes to /app elsewhere is nothing to this app
    found = _load(tmp_path, '[app]\nname = "a"\nfrom_oci = "../a.tar"\n')
    assert found == Recipe(name="a", from_oci="../a.tar", environment={}, config={}, memory=0)
    assert (found.brings, found.files) == ("../a.tar", ())
    rest = 'entry = ["x"]\ndirectory = "/srv"\n'
    found = _load(tmp_path, f'memory = 99\n[app]\nname = "a"\nfrom_rootfs = "root"\n{rest}')
    assert (found.brings, found.entry, found.directory, found.memory) == (
        "root",
        ("x",),
        "/srv",
        99,
    )


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ('from_oci = "/a.tar"\n', "app.from_oci is '/a.tar', and must be a path relative"),
        ('from_oci = "a\\u0000"\n', "app.from_oci is 'a\\x00'"),
        ('from_oci = "a"\nfrom_rootfs = "b"\nentry = ["x"]\n', "both given"),
        ('from_rootfs = "b"\n', "app.entry is missing"),
        ('from_oci = "a"\nentry = [""]\n', "app.entry names no program"),
        ('from_oci = "a"\ndirectory = "x"\n', "app.directory is 'x', and must be an absolute path"),
        ('from_oci = "a"\n[debian]\npackages = ["jq"]\n', "debian.packages is given, but the app"),
        ('from_oci = "a"\n[python]\npackages = ["attrs"]\n', "python.packages is given, but"),
        ('from_oci = "a"\n[environment]\nLD_PRELOAD = "x"\n', "environment.LD_PRELOAD"),
    ],
)  # fmt: skip
def test_a_root_that_is_refused(tmp_path: Path, rest: str, message: str) -> None:
    _refused(tmp_path, f'[app]\nname = "a"\n{rest}', message)
    brought = '[app]\nname = "a"\nfrom_oci = "a"\n'
    _refused(
        tmp_path, f'files = ["app"]\n{brought}', "files is given, but the app sees only the root"
    )


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ('[app]\nname = "a"\n', "app.entry is missing", "add `entry"),
        ('[app]\nentry = ["x"]\n', "app.name is missing", ""),
        (f"memry = 1\n{LEAST}", "memry is not a key", "did you mean memory?"),
        (
            f"{LEAST}zzz = 1\n",
            "app.zzz is not a key",
            "the keys here are app.directory, app.entry, app.from_oci, app.from_rootfs, app.name",
        ),
        (f"memory = true\n{LEAST}", "memory is true or false, and must be a whole number", ""),
        (f'memory = "1"\n{LEAST}', "memory is a text, and must be a whole number", ""),
        (f"memory = 63\n{LEAST}", "memory (MiB)", ""),
        (f"cpus = 0\n{LEAST}", "cpus", ""),
        (f"cpus = 1025\n{LEAST}", "cpus", ""),
        ('app = "x"\n', "app is a text, and must be a table", ""),
        (f'egress = ["x:443"]\n{LEAST}', "egress is not empty", "remove the entries"),
        (f"raw_nsm = 1\n{LEAST}", "raw_nsm is a whole number, and must be true or false", ""),
        (f'kernel = "mine"\n{LEAST}', "kernel is 'mine', and must be one of debian", ""),
        ('[app]\nname = "A b"\nentry = ["x"]\n', "app.name is 'A b', and must match", ""),
        ('[app]\nname = "a"\nentry = []\n', "app.entry names no program", "python3.13"),
        ('[app]\nname = "a"\nentry = [""]\n', "app.entry names no program", ""),
        ('[app]\nname = "a"\nentry = ["a\\u0000b"]\n', "app.entry names no program", ""),
        ('[app]\nname = "a"\nentry = [1]\n', "app.entry holds a whole number", ""),
        (f'{LEAST}[debian]\npackages = ["-rf"]\n', "which is no package's name", ""),
        (f'{LEAST}[debian]\npackages = ["jq jq"]\n', "which is no package's name", ""),
        (f'{LEAST}[debian]\npackages = ["jq", "jq"]\n', "has 'jq' twice", ""),
        (f'{LEAST}[python]\npackages = ["--index-url x"]\n', "which is no package's name", ""),
        (f'{LEAST}[python]\npackages = ["x @ file:///etc"]\n', "which is no package's name", ""),
        (f"{LEAST}[[listen]]\nport = 0\n", "listen[0].port", ""),
        (f"{LEAST}[[listen]]\nport = 65536\n", "listen[0].port", ""),
        (f"{LEAST}[[listen]]\nport = 1\n[[listen]]\nport = 1\n", "listen has port 1 twice", ""),
        (f"{LEAST}[[listen]]\nport = 1\nhost = 2\n", "listen[0].host is not a key", ""),
        (f"{LEAST}[environment]\nA = 1\n", "environment.A is a whole number", ""),
        (f'{LEAST}[environment]\nLD_PRELOAD = "x"\n', "environment.LD_PRELOAD could make", ""),
        (f'{LEAST}[config.A]\nkind = "free"\n', "config.A is 'A', and must match", ""),
        (f'{LEAST}[config.a]\nkind = "secret"\n', "config.a.kind is 'secret'", ""),
        (f'{LEAST}[config.a]\nkind = "measured"\n', "one of both", ""),
        (
            f'{LEAST}[config.a]\nkind = "measured"\nvalue = 1\nfile = "x"\n',
            "config.a.value or config.a.file is needed, one of both",
            "",
        ),
        (f'{LEAST}[config.a]\nkind = "measured"\nvalue = 1.5\n', "config.a.value must be", ""),
        (f'{LEAST}[config.a]\nkind = "free"\nvalue = 1\n', "only measured configuration", ""),
        (f'{LEAST}[config.a]\nkind = "free"\nfile = "x"\n', "only measured configuration", ""),
        (
            f'{LEAST}[config.a]\nkind = "measured"\nfile = "../x"\n',
            "must be a path inside the app's folder",
            "",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str, fix: str) -> None:
    _refused(tmp_path, text, message, fix)


@pytest.mark.parametrize("source", ["", ".", "/etc/passwd", "../x", "a/../../x"])
def test_sources_outside_the_app(tmp_path: Path, source: str) -> None:
    _refused(tmp_path, f'files = ["{source}"]\n{LEAST}', "files[0].source is")


@pytest.mark.parametrize(
    "target",
    [
        *(
            "relative",
            "/",
            "//",
            "/a/../../init",
            "/init",
            "/etc/ld.so.preload",
            "/etc/troth/app.json",
        ),
        *("/usr/lib/troth/boot.py", "/usr/lib/modules/x.ko", "/dev/null", "/proc/x", "/run/x"),
        *("/tmp/x", "/lib/x", "//usr/lib/troth/x", "/./init"),
    ],
)
def test_targets_that_are_not_the_apps(tmp_path: Path, target: str) -> None:
    files = f'files = [{{source = "x", target = "{target}"}}]\n'
    _refused(tmp_path, files + LEAST, "files[0].target is")


@pytest.mark.parametrize("mode", ["4755", "777", "600", "", "0o755"])
def test_modes_that_no_image_has(tmp_path: Path, mode: str) -> None:
    files = f'files = [{{source = "x", mode = "{mode}"}}]\n'
    _refused(tmp_path, files + LEAST, "files[0].mode is")


def test_files_that_are_no_list(tmp_path: Path) -> None:
    _refused(tmp_path, f'files = "app"\n{LEAST}', "files is a text, and must be a list")
    _refused(tmp_path, f"files = [1]\n{LEAST}", "files[0] is a whole number, and must be a table")


def test_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"has no troth\.toml") as caught:
        recipe.load(tmp_path)
    assert "troth init" in caught.value.fix


def test_no_toml(tmp_path: Path) -> None:
    file = tmp_path / "troth.toml"
    for data, message in (
        (b"\xff\xfe", "is not UTF-8"),
        (b"app = ", "is not TOML"),
        (b"x = " + b"[" * 20_000, "is not TOML"),
        (b"memory = " + b"9" * 5000, "is not TOML"),
        (b"#" * (1024 * 1024 + 1), "is larger than"),
    ):
        file.write_bytes(data)
        with pytest.raises(Malformed, match=message) as caught:
            recipe.load(tmp_path)
        assert caught.value.field == "troth.toml"


def test_measured_configuration_from_files(tmp_path: Path) -> None:
    text = f'{LEAST}[config.a]\nkind = "measured"\nfile = "a.txt"\n'
    with pytest.raises(TrothError, match=r"reading a\.txt"):
        _load(tmp_path, text)
    (tmp_path / "a.txt").write_bytes(b"\xff")
    _refused(tmp_path, text, "names a.txt, which is not UTF-8")
    (tmp_path / "a.txt").write_bytes(b"x" * 65537)
    _refused(tmp_path, text, "must be a text of up to 65536 characters")
    (tmp_path / "a.txt").write_bytes(b"x" * 65536)
    assert _load(tmp_path, text).config["a"].value == "x" * 65536


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
)
KEYS = ("app", "debian", "python", "files", "listen", "environment", "memory", "config", "egress")


@given(st.dictionaries(st.sampled_from(KEYS), VALUE))
def test_other_documents_raise_only_our_errors(document: dict[str, object]) -> None:
    with contextlib.suppress(TrothError):
        recipe.parse(document, folder=Path("/nonexistent"))
    app = {"name": "a", "entry": ["x"]}
    with contextlib.suppress(TrothError):
        recipe.parse({**document, "app": app}, folder=Path("/nonexistent"))
