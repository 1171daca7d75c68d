"""`troth release`: from a key to a signed image, what each command then says of it, and what is refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.platforms.nitro.forge import NONCE, NOW, PCRS, document, payload
from tests.platforms.nitro.signer import DAY, Identity, identity, image, signature, with_section
from tests.runtime.test_load import GOOD
from tests.runtime.test_load import image as booting

from troth.cli.main import run
from troth.platforms.nitro.measure import ZERO, measure, pcr8
from troth.wire import eif

TODAY = datetime.now(UTC)


@dataclass(frozen=True)
class Desk:
    """A folder with an image, a certificate and its key."""

    folder: Path
    by: Identity

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def put(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return self.path(name)

    def sign(self, source: str = "app.eif", *more: str, out: str = "app.pcr8") -> int:
        key = () if any(word in more for word in KEYS) else ("--key", self.path("key.pem"))
        certificate = () if "--certificate" in more else ("--certificate", self.path("cert.pem"))
        argv = [self.path(source), "--pcr8", *certificate, *key, *more, "-o", self.path(out)]
        return run(["release", "sign", *argv])

    def attach(self, *more: str, source: str = "app.eif", section: str = "app.pcr8") -> int:
        return run(["release", "attach", self.path(source), self.path(section), *more])

    @property
    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


KEYS = ("--key", "--pkcs11", "--command")


def current(**more: object) -> Identity:
    return identity(begin=TODAY - DAY, end=TODAY + DAY, **more)  # type: ignore[arg-type]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path, current())
    made.put("app.eif", eif.pack(image()))
    made.put("cert.pem", made.by.pem)
    made.put("key.pem", made.by.key_pem())
    return made


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    return capsys


def test_the_whole_way(desk: Desk, says: pytest.CaptureFixture[str]) -> None:
    assert desk.sign() == 0
    assert desk.attach() == 0
    said = says.readouterr()
    assert said.out == ""
    assert "a signature over PCR0" in said.err
    expected = dict(measure(image()).hex()) | {"pcr8": pcr8(desk.by.der).hex()}
    assert run(["measure", desk.path("app.eif"), "--json"]) == 0
    measured = says.readouterr()
    assert json.loads(measured.out) == {"nitro": expected}
    assert measured.err == ""
    beside = json.loads((desk.folder / "app.measurements.json").read_bytes())
    assert beside["nitro"] == expected
    assert beside["image"]["size"] == (desk.folder / "app.eif").stat().st_size
    assert run(["inspect", desk.path("app.eif"), "--json"]) == 0
    signed = json.loads(says.readouterr().out)["signature"]
    assert signed["certificate"]["subject"] == "CN=release"
    assert (signed["algorithm"], signed["refused_by_hosts"]) == ("ES384", "no")
    for source in ("app.eif", "app.measurements.json"):
        assert run(["policy", "new", "--image", desk.path(source)]) == 0
        assert f'pcr8 = ["{expected["pcr8"]}"]' in says.readouterr().out


def test_the_machine_with_the_key_needs_no_image(desk: Desk) -> None:
    assert run(["measure", desk.path("app.eif"), "-o", desk.path("b.measurements.json")]) == 0
    assert desk.sign("b.measurements.json", out="b.pcr8") == 0
    assert desk.attach("-o", desk.path("signed.eif"), section="b.pcr8") == 0
    assert measure(eif.read((desk.folder / "signed.eif").read_bytes())).pcr8 == pcr8(desk.by.der)
    assert measure(eif.read((desk.folder / "app.eif").read_bytes())).pcr8 is None


def test_an_app_with_the_module_itself_has_a_signer_and_no_policy(
    desk: Desk, says: pytest.CaptureFixture[str]
) -> None:
    desk.put("app.eif", eif.pack(booting(GOOD | {"raw_nsm": True})))
    assert run(["measure", desk.path("app.eif"), "-o", desk.path("b.measurements.json")]) == 0
    for source in ("app.eif", "b.measurements.json"):
        assert desk.sign(source, out=f"{source}.pcr8") == 0
        assert desk.attach("-o", desk.path(f"{source}.eif"), section=f"{source}.pcr8") == 0
        says.readouterr()
        for signed in (f"{source}.eif", f"{source}.measurements.json"):
            assert run(["policy", "new", "--image", desk.path(signed)]) == 2
            assert "raw_nsm" in says.readouterr().err


def test_it_is_signed_again(desk: Desk) -> None:
    assert desk.sign() == desk.attach() == 0
    other = current()
    cert, key = desk.put("c2.pem", other.pem), desk.put("k2.pem", other.key_pem())
    assert desk.sign("app.eif", "--certificate", cert, "--key", key, out="two.pcr8") == 0
    assert desk.attach(section="two.pcr8") == 0
    signed = eif.read((desk.folder / "app.eif").read_bytes())
    assert measure(signed).pcr8 == pcr8(other.der)
    assert len(signed.sections) == len(image().sections) + 1


def test_a_broken_signature_is_replaced(desk: Desk) -> None:
    assert desk.sign() == 0
    desk.put("app.eif", eif.pack(with_section(image(), b"junk")))
    assert run(["measure", desk.path("app.eif")]) == 3
    assert desk.attach() == 0
    assert run(["measure", desk.path("app.eif")]) == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is absent")
def test_keys_and_certificates_as_aws_tells_to_make_them(desk: Desk) -> None:
    """Certificates of version 1, and a key behind its curve's parameters."""
    for line in (
        "ecparam -name secp384r1 -genkey -out key.pem",
        "req -new -key key.pem -sha384 -nodes -subj /CN=AWS/O=Amazon/OU=AWS -out csr.pem",
        "x509 -req -days 20 -in csr.pem -out cert.pem -sha384 -signkey key.pem",
    ):
        argv = ["openssl", *line.split()]
        subprocess.run(argv, cwd=desk.folder, check=True, capture_output=True, timeout=60)
    assert desk.sign() == desk.attach() == 0


def test_an_encrypted_key(desk: Desk, says: pytest.CaptureFixture[str]) -> None:
    desk.put("key.pem", desk.by.key_pem(b"open sesame"))
    assert desk.sign() == 2
    assert "--passphrase-file" in says.readouterr().err
    for text, code in ((b"open sesame\n", 0), (b"open barley\n", 2), (b"\n", 2)):
        said = desk.put("pass", text)
        assert (
            desk.sign("app.eif", "--passphrase-file", said, out=f"{code}{len(text)}.pcr8") == code
        )


def test_a_command_signs(desk: Desk) -> None:
    code = (
        "import sys; from cryptography.hazmat.primitives import hashes, serialization;"
        "from cryptography.hazmat.primitives.asymmetric import ec;"
        "key = serialization.load_pem_private_key(open(sys.argv[1], 'rb').read(), None);"
        "sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read(), ec.ECDSA(hashes.SHA384())))"
    )
    desk.put("sign.py", code.encode())
    words = f"{sys.executable} {desk.path('sign.py')} {desk.path('key.pem')}"
    assert desk.sign("app.eif", "--command", words) == 0
    assert desk.sign("app.eif", "--command", words, "--command-gets", "digest", out="b") == 2
    assert desk.sign("app.eif", "--command", f"{sys.executable} -c raise", out="c") == 5


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--key", "k", "--command", "c"), "one key signs"),
        (("--pkcs11", "pkcs11:", "--command", "c"), "one key signs"),
        (("--command", "c", "--passphrase-file", "p"), "a passphrase is for a key in a file"),
        (("--command-gets", "digest"), "--command-gets is for a command"),
        (("--command", ""), "the command is empty"),
        (("--pkcs11", "pkcs11:object=o?pin-value=1"), "seen by everybody"),
    ],
)
def test_flags_that_contradict(
    desk: Desk, flags: tuple[str, ...], words: str, says: pytest.CaptureFixture[str]
) -> None:
    assert desk.sign("app.eif", *flags) == 2
    said = says.readouterr().err
    assert words in said
    assert "fix: " in said
    assert "app.pcr8" not in desk.names


def test_what_is_signed_is_said(desk: Desk, says: pytest.CaptureFixture[str]) -> None:
    cert, key = desk.path("cert.pem"), desk.path("key.pem")
    argv = [desk.path("app.eif"), "--certificate", cert, "--key", key, "-o", desk.path("x")]
    assert run(["release", "sign", *argv]) == 2
    assert "--pcr8" in says.readouterr().err


def test_what_is_no_image(desk: Desk, says: pytest.CaptureFixture[str]) -> None:
    desk.put("junk.eif", b"junk")
    desk.put("tdx.measurements.json", b'{"schema":"troth/measurements/1","tdx":{"mrtd":"aa"}}')
    two = b'{"schema":"troth/measurements/1","nitro":{"pcr0":["aa","bb"]}}'
    desk.put("two.measurements.json", two)
    assert desk.sign("junk.eif") == 3
    assert desk.sign("absent.eif") == 5
    says.readouterr()
    assert desk.sign("tdx.measurements.json") == 2
    assert "gives 0 values of pcr0" in says.readouterr().err
    assert desk.sign("two.measurements.json") == 2
    assert "gives 2 values of pcr0" in says.readouterr().err


def test_nothing_is_overwritten(desk: Desk) -> None:
    assert desk.sign() == 0
    before = (desk.folder / "app.pcr8").read_bytes()
    assert desk.sign() == 2
    assert (desk.folder / "app.pcr8").read_bytes() == before
    assert desk.attach("-o", desk.path("cert.pem")) == 2
    desk.put("other.measurements.json", b"mine")
    assert desk.attach("-o", desk.path("other.eif")) == 2
    assert (desk.folder / "other.measurements.json").read_bytes() == b"mine"
    assert desk.attach("-o", desk.path("signed.bin")) == 2
    assert (
        desk.attach("-o", desk.path("no/such/folder.eif")) == 0
    )  # made, as `troth build` makes it


def test_a_refused_signature_changes_nothing(desk: Desk, says: pytest.CaptureFixture[str]) -> None:
    other = image(b"other")
    old = identity(begin=TODAY - 3 * DAY, end=TODAY - DAY)
    young = identity(begin=TODAY + DAY, end=TODAY + 2 * DAY)
    before = {name: (desk.folder / name).read_bytes() for name in desk.names}
    for section, code, words in (
        (signature(other, desk.by, at=TODAY), 2, "over another image"),
        (signature(image(), old, at=TODAY - 2 * DAY), 2, "has expired"),
        (signature(image(), young, at=TODAY + DAY), 2, "not valid before"),
        (b"junk", 3, "eif.signature"),
    ):
        desk.put("bad.pcr8", section)
        assert desk.attach(section="bad.pcr8") == code
        assert words in says.readouterr().err
    (desk.folder / "bad.pcr8").unlink()
    assert {name: (desk.folder / name).read_bytes() for name in desk.names} == before


def test_certificates_out_of_their_time_do_not_sign(
    desk: Desk, says: pytest.CaptureFixture[str]
) -> None:
    for begin, end, words in ((-3, -1, "has expired"), (1, 3, "not valid before")):
        other = identity(desk.by.private, begin=TODAY + begin * DAY, end=TODAY + end * DAY)
        assert desk.sign("app.eif", "--certificate", desk.put("late.pem", other.pem)) == 2
        said = says.readouterr().err
        assert words in said
        assert "fix: " in said
    assert "app.pcr8" not in desk.names


def test_a_full_disk_leaves_the_image(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    assert desk.sign() == 0
    before = (desk.folder / "app.eif").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    names = desk.names
    assert desk.attach() == 5
    assert (desk.folder / "app.eif").read_bytes() == before
    assert desk.names == names


def test_measure_and_inspect_say_that_no_host_starts_it(
    desk: Desk, says: pytest.CaptureFixture[str]
) -> None:
    old = identity(begin=TODAY - 3 * DAY, end=TODAY - DAY, name="old\x1b[31m")
    signed = with_section(image(), signature(image(), old, at=TODAY - 2 * DAY))
    path = desk.put("old.eif", eif.pack(signed))
    assert run(["measure", path]) == 0
    said = says.readouterr()
    assert f"nitro  pcr8  {pcr8(old.der).hex()}" in said.out
    assert "no host starts this image: the signing certificate has expired" in said.err
    assert "fix: make a new certificate" in said.err
    assert run(["inspect", path]) == 0
    said = says.readouterr()
    assert "refused_by_hosts: the signing certificate has expired" in said.out
    assert "\x1b" not in said.out


def test_a_detached_signature_is_shown(desk: Desk, says: pytest.CaptureFixture[str]) -> None:
    assert desk.sign() == 0
    says.readouterr()
    assert run(["inspect", desk.path("app.pcr8"), "--json"]) == 0
    said = json.loads(says.readouterr().out)
    assert said["kind"] == "signature of an image"
    assert said["pcr0"] == measure(image()).pcr0.hex()
    assert said["pcr8"] == pcr8(desk.by.der).hex()
    assert run(["inspect", desk.put("cut", (desk.folder / "app.pcr8").read_bytes()[:-1])]) == 3


def test_a_stale_file_beside_it_is_named(desk: Desk, says: pytest.CaptureFixture[str]) -> None:
    assert desk.sign() == 0
    assert run(["measure", desk.path("app.eif"), "-o", desk.path("app.measurements.json")]) == 0
    unsigned = (desk.folder / "app.measurements.json").read_bytes()
    assert desk.attach() == 0
    desk.put("app.measurements.json", unsigned)
    assert run(["measure", desk.path("app.eif")]) == 2
    assert "stale" in says.readouterr().err


@pytest.fixture
def evidence(desk: Desk) -> tuple[str, str]:
    """Of an enclave with this desk's signer, and the root that it chains to."""
    with_signer = {**PCRS, 3: ZERO, 4: payload([b"", b""])["pcrs"][4], 8: pcr8(desk.by.der)}
    data, _ = document(pcrs=with_signer)
    from cryptography import x509

    from troth.platforms.nitro import format as form

    first = x509.load_der_x509_certificate(form.parse(data).cabundle[0])
    return desk.put("evidence.bin", data), desk.put("root.pem", first.public_bytes(Encoding.PEM))


def test_the_signer_is_pinned_and_is_no_identity(
    desk: Desk, evidence: tuple[str, str], says: pytest.CaptureFixture[str]
) -> None:
    source, trusted = evidence
    means = ["--trust", trusted, "--at", NOW.isoformat(), "--nonce", NONCE.hex()]
    pinned = desk.path("pinned.toml")
    assert run(["policy", "pin", source, *means, "-o", pinned]) == 0
    text = Path(pinned).read_text()
    assert pcr8(desk.by.der).hex() in text
    assert PCRS[0].hex() in text
    reviewed = desk.put("reviewed.toml", text.replace("unreviewed = true\n", "").encode())
    assert run(["verify", source, "--policy", reviewed, *means]) == 0
    other = text.replace("unreviewed = true\n", "").replace(pcr8(desk.by.der).hex(), "ab" * 48)
    assert run(["verify", source, "--policy", desk.put("other.toml", other.encode()), *means]) == 1
    says.readouterr()
    signer_alone = ["--measurement", f"pcr8={pcr8(desk.by.der).hex()}"]
    assert run(["verify", source, *signer_alone, *means]) == 4
