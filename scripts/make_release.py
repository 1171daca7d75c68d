"""Makes a release of troth: wheel and hardware kernel, each built again, stated, signed, logged, and all of it checked.

    scripts/make_release.py --keys FOLDER --version 0.1.0 --commit HASH --repository https://example.org/troth.git

Every step is a command that anybody can run, and is shown before it is run. With --begin the keys are made, and the
log begins; the folder must be outside the repository, and whoever has it signs the next release.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "src"))

from troth.image import checkout  # noqa: E402
from troth.image.checkout import Source  # noqa: E402
from troth.image.hardware.inputs import inputs  # noqa: E402

APP = "troth"
OWNERS = ("owner-1", "owner-2")
WITNESSES = ("witness-1", "witness-2")
KERNEL = "linux-{}"
# The log in the repository is looked at when a release is made, and not every day.
MAX_AGE = "3650d"


HEAD = """# Whose word counts for troth's own releases: the log, its witnesses, the owners. README.md tells how it is used.
# Only [release] is about them; nothing here accepts evidence of anything that runs. The log in this repository is
# looked at by its witnesses when a release is made, so it may be years old. Ask for less where you have a newer copy.

"""


class Desk:
    """Where everything is."""

    def __init__(self, keys: Path, releases: Path) -> None:
        self.keys, self.releases = keys, releases
        self.log, self.policy = releases / "log", releases / "policy.toml"
        self.public = releases / "provenance.pub"


def troth(*words: object, output: bool = False) -> str:
    """One command of troth's, shown and run; its output where that is asked for."""
    told = [str(word) for word in words]
    print("$ troth", shlex.join(told), flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "troth", *told],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        stdout=subprocess.PIPE if output else None,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"error: it ended with {done.returncode}; nothing of the release counts")
    return (done.stdout or "").strip()


def begin(desk: Desk) -> None:
    """Keys, a log, and the policy that names their public halves."""
    if desk.keys.exists() or desk.log.exists():
        sys.exit(
            f"error: {desk.keys} or {desk.log} exists; a log is begun once, by keys of its own"
        )
    desk.keys.mkdir(mode=0o700)
    desk.releases.mkdir(exist_ok=True)
    log = troth("tlog", "init", desk.log, "--name", "troth/log", "--key", desk.keys / "log.key", output=True)  # fmt: skip
    owners = [
        troth("tlog", "key", f"troth/{name}", "-o", desk.keys / f"{name}.key", output=True)
        for name in OWNERS
    ]
    witnesses = [
        troth("tlog", "witness", desk.keys / name, "--new", f"troth/{name}", "--log", log, output=True).split()[0]
        for name in WITNESSES
    ]  # fmt: skip
    _key(desk)
    named = [word for key in witnesses for word in ("--witness", key)]
    named += [word for key in owners for word in ("--owner", key)]
    troth(
        *("policy", "releases", "production-2026-11", "--app", APP, "--log", log, *named),
        *("--witness-threshold", 2, "--owner-threshold", 2, "--notice", "0s"),
        *("--max-checkpoint-age", MAX_AGE, "-o", desk.policy),
    )
    desk.policy.write_text(HEAD + desk.policy.read_text(encoding="utf-8"), encoding="utf-8")


def _key(desk: Desk) -> None:
    """The key that signs statements of provenance; its public half goes into the repository."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    handle = os.open(desk.keys / "provenance.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
    public = key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    desk.public.write_bytes(public)


def build(commit: str, place: Path, folder: Path) -> Path:
    """The wheel, as the backend of this environment makes it from the commit's files."""
    source = folder / "source"
    checkout.take(Source(git=place.resolve().as_uri(), commit=commit), source)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    print("$", shlex.join(command), flush=True)
    variables = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"}
    subprocess.run(command, cwd=source, env=variables, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    return wheel


def release(
    desk: Desk, folder: Path, file: Path, *, version: str, origin: list[object], source: list[object], builder: str
) -> None:  # fmt: skip
    """Bill of materials, provenance, an entry that two owners sign, and its place in the log."""
    if folder.exists():
        sys.exit(
            f"error: {folder} exists; if its entry is not in the log, remove it and begin again"
        )
    folder.mkdir(parents=True)
    bill, said, entry = (folder / n for n in ("sbom.cdx.json", "provenance.json", "release.entry"))
    troth("release", "sbom", file, *origin, "-o", bill)
    troth(
        *("release", "provenance", file, *origin, "--builder", builder),
        *("--key", desk.keys / "provenance.key", "-o", said),
    )
    troth(
        *("release", "artifacts", file, "--app", APP, "--version", version, *source),
        *("--sbom", bill, "--provenance", said, "-o", entry),
    )
    for owner in OWNERS:
        troth("release", "sign", entry, "--owner-key", desk.keys / f"{owner}.key")
    witnesses = [word for name in WITNESSES for word in ("--witness", desk.keys / name)]
    troth(
        *("release", "publish", entry, "--log", desk.log, "--key", desk.keys / "log.key"),
        *("--policy", desk.policy, *witnesses),
    )
    check(desk, folder, file, origin)


def check(desk: Desk, folder: Path, file: Path, origin: list[object]) -> None:
    """All that a stranger would ask of a file and its papers."""
    bill, said = folder / "sbom.cdx.json", folder / "provenance.json"
    named = origin[:2] if origin else []
    troth("release", "check", file, "--provenance", said, "--key", desk.public, *named)
    papers = ("--sbom", bill, "--provenance", said)
    troth("release", "logged", file, "--log", desk.log, "--policy", desk.policy, *papers)


def check_log(desk: Desk) -> None:
    """That the log holds what its owners made, and nothing else for them, and that both witnesses saw it."""
    terms = tomllib.loads(desk.policy.read_text(encoding="utf-8"))["release"]
    words: list[object] = ["--log", terms["log"], "--app", APP]
    words += [word for key in terms["witnesses"] for word in ("--witness-key", key)]
    words += [word for key in terms["owners"] for word in ("--owner", key)]
    with TemporaryDirectory() as mine:
        for number, entry in enumerate(sorted(desk.releases.glob("*/release.entry"))):
            shutil.copy(entry, Path(mine, f"{number}.entry"))
        troth("tlog", "check", desk.log, *words, "--mine", mine)


def main() -> None:
    """Makes one release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--keys", type=Path, required=True, help="folder of the private keys")
    parser.add_argument("--version", required=True, help="of the wheel, as it says itself")
    parser.add_argument("--commit", required=True, help="whole, of the source")
    parser.add_argument(
        "--repository", required=True, help="address that entries and statements name"
    )
    parser.add_argument("--source", type=Path, default=REPOSITORY, help="clone that has the commit")
    parser.add_argument("--releases", type=Path, default=REPOSITORY / "releases")
    parser.add_argument(
        "--builder",
        default="",
        help="URI in provenance; REPOSITORY#scripts/make_release.py by default",
    )
    parser.add_argument("--begin", action="store_true", help="make keys and begin the log")
    parser.add_argument(
        "--no-kernel-build", action="store_true", help="take the kernel as the store has it"
    )
    asked = parser.parse_args()
    if asked.keys.resolve().is_relative_to(REPOSITORY):
        sys.exit("error: private keys do not belong into the repository")
    os.umask(0o022)
    desk = Desk(asked.keys, asked.releases)
    if asked.begin:
        begin(desk)
    builder = asked.builder or f"{asked.repository}#scripts/make_release.py"
    commit = ["--source-commit", asked.commit, "--source-git", asked.repository]
    with TemporaryDirectory() as name:
        wheel = build(asked.commit, asked.source, Path(name))
        if f"-{asked.version}-" not in wheel.name:
            sys.exit(f"error: the commit is of another version: {wheel.name}")
        troth("rebuild", wheel, "--source", asked.source, "--commit", asked.commit)
        release(
            desk,
            desk.releases / f"{APP}-{asked.version}",
            wheel,
            version=asked.version,
            origin=["--source", asked.source, *commit],
            source=commit,
            builder=builder,
        )
        kernel = inputs().kernel
        papers = desk.releases / KERNEL.format(kernel.version)
        vmlinuz = Path(name, "vmlinuz")
        troth("kernel", "build", "-o", vmlinuz)
        if papers.exists():
            print(f"{papers.name} is released already; it is checked")
            check(desk, papers, vmlinuz, [])
        else:
            if not asked.no_kernel_build:
                troth("rebuild", vmlinuz)
            release(
                desk,
                papers,
                vmlinuz,
                version=KERNEL.format(kernel.version),
                origin=[],
                source=[*commit, "--source-path", "src/troth/image/hardware"],
                builder=builder,
            )
        check_log(desk)
        kept = desk.keys / wheel.name
        shutil.copy(wheel, kept)
    print(f"released; the wheel is {kept}, and {desk.releases} is to be committed")


if __name__ == "__main__":
    main()
