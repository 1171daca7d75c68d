"""Files in which somebody pinned Python packages: what is taken, and what is refused with words."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.image import pins
from troth.image.architecture import AMD64, ARM64
from troth.image.pins import Pin

A, B = "aa" * 32, "bb" * 32
PYLOCK = """\
lock-version = "1.0"
created-by = "a test"
"""


def read(text: str, *, name: str = "requirements.txt", **over: Any) -> tuple[Pin, ...]:
    return pins.read(text.encode(), name=name, **{"python": "3.13.5", "machine": AMD64, **over})


def wheel(name: str, tag: str = "py3-none-any", sha256: str = A, more: str = "") -> str:
    file = f"{name.replace('-', '_')}-1.0-{tag}.whl"
    return (
        f'[[packages]]\nname = "{name}"\nversion = "1.0"\n{more}\n'
        f'wheels = [{{name = "{file}", url = "https://files.example/{file}",'
        f' hashes = {{sha256 = "{sha256}"}}}}]\n'
    )


def test_hashed_requirements_as_tools_write_them() -> None:
    text = f"""\
#
# made by a tool
#
--require-hashes
Some_Thing[Extra]==1.0 \\
    --hash=sha256:{B} \\
    --hash=sha256:{A}
    # via something
idna==3.10 ; python_version >= "3.13" \\
    --hash sha256:{A}   # a comment
old==1 ; python_version < "3.13" --hash=sha256:{A}
windows==1 ; sys_platform == "win32" --hash=sha256:{A} --hash=md5:00
"""
    assert read(text) == (
        Pin(name="idna", version="3.10", sha256=(A,)),
        Pin(name="some-thing", version="1.0", sha256=(A, B), extras=("Extra",)),
    )
    assert [pin.name for pin in read(text, python="3.12.1")] == ["old", "some-thing"]


def test_extras_of_several_lines_come_together() -> None:
    text = f"a[x]==1 --hash=sha256:{A}\na[y]==1 --hash=sha256:{A}\na==1 --hash=sha256:{A}\n"
    assert read(text) == (Pin(name="a", version="1", sha256=(A,), extras=("x", "y")),)


def test_markers_are_judged_for_the_image_and_not_for_this_machine() -> None:
    text = f'a==1 ; platform_machine == "aarch64" --hash=sha256:{A}\n'
    assert read(text) == ()
    assert [pin.name for pin in read(text, machine=ARM64)] == ["a"]
    full = f'a==1 ; python_full_version >= "3.13.5" --hash=sha256:{A}\n'
    assert read(full)
    assert not read(full, python="3.13.4")


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (f"a==1 --hash=sha256:{A}\nb==1\n", Malformed, "only some lines have hashes; line 2"),
        ("a==1\n", Malformed, "no line has a hash"),
        ("a==1 --hash=sha512:00\n", Malformed, "no SHA-256"),
        (f"a==1 --hash=sha256:{A[:-1]}\n", Malformed, "no SHA-256"),
        (f"a==1 --hash=sha256:{A}\na==2 --hash=sha256:{B}\n", Malformed, "pins a twice"),
        (f"a --hash=sha256:{A}\n", Misuse, "not pinned to one version"),
        (f"a>=1 --hash=sha256:{A}\n", Misuse, "not pinned to one version"),
        (f"a==1.* --hash=sha256:{A}\n", Misuse, "not pinned to one version"),
        (f"a===1;x --hash=sha256:{A}\n", Misuse, "no name with a version"),
        (f"a===1\\x --hash=sha256:{A}\n", Misuse, "is no version"),
        (f"a @ https://files.example/a.whl --hash=sha256:{A}\n", Misuse, "from an address"),
        (f"a @ git+https://files.example/a --hash=sha256:{A}\n", Misuse, "from an address"),
        (f"git+https://files.example/a --hash=sha256:{A}\n", Misuse, "no name with a version"),
        (f"./a-1.whl --hash=sha256:{A}\n", Misuse, "no name with a version"),
        ("-e .\n", Misuse, "line 1: '-e .' is installed from a folder"),
        ("--editable=git+https://files.example/a\n", Misuse, "which no hash pins"),
        ("-r other.txt\n", Misuse, "leads to another file"),
        ("--index-url https://index.example/simple\n", Misuse, "pip's configuration"),
        ("--pre\n", Misuse, "has no meaning"),
        (f"--hash=sha256:{A}\n", Misuse, "has no meaning"),
        (f"a==1 --config-settings=x=y --hash=sha256:{A}\n", Misuse, "an option or a variable"),
        (f"a==${{V}} --hash=sha256:{A}\n", Misuse, "an option or a variable"),
        (f'a==1 ; platform_release >= "6" --hash=sha256:{A}\n', Misuse, "release of a kernel"),
        (f"a==1 ; {'(' * 5000} --hash=sha256:{A}\n", Misuse, "no name with a version"),
        ("a" * 300_000 + "\\\n", Malformed, "too long"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, kind: type[TrothError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        read(text)
    assert "requirements.txt" in str(caught.value)


def test_bytes_that_are_no_text() -> None:
    for name in ("requirements.txt", "pylock.toml"):
        with pytest.raises(Malformed, match="not UTF-8"):
            pins.read(b"\xff", name=name, python="3.13.5", machine=AMD64)
        with pytest.raises(Malformed, match="larger"):
            pins.read(bytes(pins.MAX_SIZE + 1), name=name, python="3.13.5", machine=AMD64)


def test_a_pylock() -> None:
    text = PYLOCK + wheel("some-thing") + wheel("old", more="marker = \"python_version < '3.13'\"")
    assert read(text, name="pylock.toml") == (Pin(name="some-thing", version="1.0", sha256=(A,)),)


def test_the_wheel_that_fits_the_image_best() -> None:
    both = (
        PYLOCK
        + """
[[packages]]
name = "a"
version = "1.0"
[[packages.wheels]]
url = "https://files.example/a-1.0-py3-none-any.whl"
hashes = {sha256 = "@"}
[[packages.wheels]]
url = "https://files.example/a-1.0-cp313-cp313-manylinux_2_28_x86_64.whl"
hashes = {sha256 = "@"}
""".replace("@", A, 1).replace("@", B)
    )
    assert read(both, name="pylock.toml") == (Pin(name="a", version="1.0", sha256=(B,)),)
    assert read(both, name="pylock.toml", machine=ARM64)[0].sha256 == (A,)


SDIST = 'sdist = {name = "a-1.0.tar.gz", url = "https://files.example/a-1.0.tar.gz", hashes = {sha256 = "@"}}\n'.replace(
    "@", A
)
ENTRY = '[[packages]]\nname = "a"\nversion = "1.0"\n'


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("", Malformed, "no pylock.toml"),
        ("[", Malformed, "no pylock.toml"),
        ('lock-version = "9.0"\ncreated-by = "x"\npackages = []\n', Malformed, "no pylock.toml"),
        (PYLOCK + ENTRY + SDIST, Misuse, "a has no wheel for Python 3.13 on x86_64"),
        (PYLOCK + wheel("a", "cp312-cp312-manylinux_2_28_x86_64"), Misuse, "not for this image"),
        (PYLOCK + wheel("a", "cp313-cp313-macosx_11_0_arm64") + SDIST, Misuse, "has no wheel"),
        (
            PYLOCK + ENTRY + '[packages.vcs]\ntype = "git"\nurl = "https://files.example/a"\ncommit-id = "00"\n',
            Misuse,
            "from a repository",
        ),
        (PYLOCK + ENTRY + '[packages.directory]\npath = "."\n', Misuse, "from a folder"),
        (
            PYLOCK + ENTRY + '[packages.archive]\nurl = "https://files.example/a.zip"\nhashes = {sha256 = "@"}\n'.replace("@", A),
            Misuse,
            "from an address",
        ),
        (
            PYLOCK + ENTRY + 'marker = "sys_platform == \'win32\'"\n[packages.directory]\npath = "."\n',
            Misuse,
            "from a folder",
        ),
        (PYLOCK + wheel("a").replace("sha256", "sha512"), Malformed, "SHA-256"),
        (PYLOCK + wheel("a", sha256="zz"), Malformed, "SHA-256|no pylock"),
        ('requires-python = ">=3.14"\n' + PYLOCK + wheel("a"), Misuse, "not for this image"),
        (PYLOCK + wheel("a") + wheel("a", sha256=B), Misuse, "not for this image"),
        (PYLOCK + "x = " + "[" * 5000, Malformed, "no pylock.toml"),
    ],
)  # fmt: skip
def test_a_pylock_that_is_refused(text: str, kind: type[TrothError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        read(text, name="pylock.toml")
    assert "pylock.toml" in str(caught.value)
    assert caught.value.fix


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    with pytest.raises(Unavailable) as caught:
        read(f"a==1 --hash=sha256:{A}\n")
    assert "troth[locks]" in caught.value.fix
    from packaging import pylock

    monkeypatch.delattr(pylock.Pylock, "select")  # as releases before 26.1 have it
    with pytest.raises(Unavailable, match="too old"):
        read(PYLOCK + wheel("a"), name="pylock.toml")


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=300) | st.text(alphabet="a=1-;[]()'\" \\\n#{}$:@.hsx", max_size=300))
def test_junk_raises_only_our_errors(text: str) -> None:
    for name, whole in (
        ("requirements.txt", text),
        ("requirements.txt", f"a==1 {text} --hash=sha256:{A}\n"),
        ("pylock.toml", text),
        ("pylock.toml", PYLOCK + wheel("a", more=text)),
    ):
        try:
            read(whole, name=name)
        except TrothError:
            continue


def test_white_space_costs_what_it_is_long() -> None:
    begin = time.process_time()
    found = list(pins._logical("a" + " " * 200_000 + "x\nb   # c\n  # d\ne#f\n", "x"))
    assert [line for _, line in found] == ["a" + " " * 200_000 + "x", "b", "e#f"]
    assert time.process_time() - begin < 1
