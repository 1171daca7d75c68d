"""A build backend of a few lines, as a wheel that pip installs without any network, and sources that use it."""

import hashlib
import io
import textwrap
import zipfile
from pathlib import Path

import pytest

NAME, VERSION = "tiny_backend", "1.0"
WHEEL = "thing-1.0-py3-none-any.whl"
# Packs `thing.py` as it is, and after it whatever `extra` of the source says.
CODE = """
import base64, hashlib, os, runpy, socket, sys, time, zipfile


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "thing-1.0-py3-none-any.whl"
    about = "thing-1.0.dist-info"
    files = {"thing.py": open("thing.py", "rb").read()}
    files[f"{about}/METADATA"] = (
        b"Metadata-Version: 2.4\\nName: thing\\nVersion: 1.0\\nLicense-Expression: Apache-2.0\\n"
        b"Requires-Dist: other>=2\\nRequires-Dist: more; extra == 'all'\\n"
    )
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\\nTag: py3-none-any\\n"
    if os.path.exists("extra.py"):
        runpy.run_path("extra.py", init_globals={"files": files, "out": directory})
    record = "".join(f"{n},sha256={digest(d)},{len(d)}\\n" for n, d in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\\n".encode()
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 2, 2, 0, 0, 0)), data)
    return name
"""


def wheel(files: dict[str, bytes]) -> bytes:
    """A wheel with these files, of which RECORD says what they are."""
    import base64

    about = next(name for name in files if name.endswith("METADATA")).rpartition("/")[0]
    rows = []
    for name, data in files.items():
        value = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={value},{len(data)}\n")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 2, 2, 0, 0, 0)), data)
        listed = zipfile.ZipInfo(f"{about}/RECORD", (2020, 2, 2, 0, 0, 0))
        archive.writestr(listed, "".join(rows) + f"{about}/RECORD,,\n")
    return made.getvalue()


def backend() -> bytes:
    about = f"{NAME}-{VERSION}.dist-info"
    return wheel(
        {
            f"{NAME}.py": CODE.encode(),
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n".encode(),
            f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
    )


def offered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lets pip find the backend in a folder, and nothing else; its SHA-256."""
    data = backend()
    (folder / f"{NAME}-{VERSION}-py3-none-any.whl").write_bytes(data)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return hashlib.sha256(data).hexdigest()


def source(folder: Path, sha256: str, *, extra: str = "") -> Path:
    """The source of a wheel that the backend makes."""
    (folder / "requirements").mkdir(parents=True)
    (folder / "thing.py").write_text("print('a thing')\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["tiny-backend>=1"]\nbuild-backend = "tiny_backend"\n'
    )
    (folder / "requirements" / "build.txt").write_text(
        f"tiny-backend=={VERSION} \\\n    --hash=sha256:{sha256}\n"
    )
    if extra:
        (folder / "extra.py").write_text(textwrap.dedent(extra))
    return folder
