"""Real TPM commands, spoken to a software TPM (swtpm), and to one that answers nonsense."""

import hashlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.platforms.tpm import made
from tests.platforms.tpm.made import AT, NONCE

import troth
from troth.errors import Malformed, Misuse, Unavailable
from troth.model.report import Verdict
from troth.model.roots import Root, RootClass
from troth.platforms.tpm import PLATFORM, collect
from troth.platforms.tpm.simulate_pki import DevelopmentPki
from troth.wire import tpm

RESTRICTED_RSA = b"\0\1\0\x0b\0\5\0\x72\0\0\0\x10\0\x14\0\x0b\x08\0\0\0\0\0" + b"\1\0" + bytes(256)
RESTRICTED_P256 = (
    b"\0\x23\0\x0b\0\5\0\x72\0\0\0\x10\0\x18\0\x0b\0\3\0\x10\0\x20"
    + bytes(32)
    + b"\0\x20"
    + bytes(32)
)
PCR_EXTEND = 0x0182
NV_DEFINE_SPACE = 0x012A
NV_WRITE = 0x0137


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A software TPM behind a unix socket, started and empty."""
    program = shutil.which("swtpm")
    assert program is not None
    folder = tmp_path_factory.mktemp("swtpm")
    path = folder / "tpm.sock"
    with subprocess.Popen(
        [
            *(program, "socket", "--tpm2", "--tpmstate", f"dir={folder}"),
            *("--server", f"type=unixio,path={path}"),
            *("--ctrl", f"type=unixio,path={folder / 'control.sock'}"),
            *("--flags", "not-need-init,startup-clear"),
        ],
        stderr=subprocess.DEVNULL,
    ) as running:
        for _ in range(100):
            if path.exists() or running.poll() is not None:
                break
            time.sleep(0.05)
        yield path
        running.terminate()


@pytest.fixture(scope="module")
def opened(device: Path) -> Iterator[collect.Tpm]:
    """The one connection that a software TPM takes before it ends."""
    with collect.open_tpm(str(device)) as connection:
        yield connection


def extend(opened: collect.Tpm, index: int, data: bytes) -> None:
    body = (1).to_bytes(4, "big") + b"\0\x0b" + hashlib.sha256(data).digest()
    opened.call(PCR_EXTEND, index, parameters=body, sessions=True)


def define(opened: collect.Tpm, index: int, data: bytes) -> None:
    """Puts data where a cloud's virtual TPM has it."""
    attributes = (1 << 18 | 1 << 17 | 1 << 2 | 1 << 1).to_bytes(4, "big")
    area = index.to_bytes(4, "big") + b"\0\x0b" + attributes + bytes(2)
    area += len(data).to_bytes(2, "big")
    parameters = bytes(2) + len(area).to_bytes(2, "big") + area
    opened.call(NV_DEFINE_SPACE, collect.OWNER, parameters=parameters, sessions=True)
    for at in range(0, len(data), 512):
        part = data[at : at + 512]
        body = len(part).to_bytes(2, "big") + part + at.to_bytes(2, "big")
        opened.call(NV_WRITE, collect.OWNER, index, parameters=body, sessions=True)


@pytest.mark.swtpm
@pytest.mark.parametrize("template", [RESTRICTED_RSA, RESTRICTED_P256], ids=["rsa", "p256"])
def test_a_real_quote_is_accepted(opened: collect.Tpm, template: bytes) -> None:
    extend(opened, 4, b"a kernel")
    with opened.primary(template) as handle:
        data = opened.quote(handle, NONCE)
        public = tpm.public(opened.public(handle))
    document = PLATFORM.parse(data)
    assert document.ak == tpm.spki(public)
    digest = PLATFORM.claims(document).instance
    root = Root(
        platform="tpm",
        sha256=digest,
        key_sha256=digest,
        root_class=RootClass.DEVELOPMENT,
        source="this very TPM",
    )
    report = made.appraised(data, cloud=None, trust=(root,))
    assert report.verdict is Verdict.ACCEPTED, made.failing(report) | made.still_open(report)
    assert made.failing(made.appraised(data, cloud=None, trust=(root,), nonce=bytes(32)))
    changed = made.policy(data)
    extend(opened, 4, b"another kernel")
    with opened.primary(template) as handle:
        later = opened.quote(handle, NONCE)
    assert made.failing(made.appraised(later, cloud=None, trust=(root,), pinned=changed)) == {
        "M201"
    }


@pytest.mark.swtpm
def test_every_bank_that_the_tpm_has(opened: collect.Tpm) -> None:
    with opened.primary(RESTRICTED_RSA) as handle:
        for bank in (tpm.SHA256, tpm.SHA384):
            try:
                document = PLATFORM.parse(opened.quote(handle, b"", bank=bank))
            except Unavailable:
                continue
            assert document.bank == bank
    assert len(opened.registers()) == tpm.PCRS
    assert opened.registers()[17] == b"\xff" * 32


@pytest.mark.swtpm
def test_googles_way(opened: collect.Tpm) -> None:
    """The template and the certificate lie in NV memory, the certificate with zeros behind it."""
    extend(opened, 4, b"a kernel of Google's")  # a TPM that measured nothing names no code
    with opened.primary(RESTRICTED_RSA) as handle:
        ak = tpm.spki(tpm.public(opened.public(handle)))
    pki = DevelopmentPki.create("google", at=AT)
    define(opened, collect.GOOGLE_AK_TEMPLATE, RESTRICTED_RSA)
    define(opened, collect.GOOGLE_AK_CERTIFICATE, pki.certify(ak, at=AT).ljust(1900, b"\0"))
    data = collect.google(opened, NONCE)
    report = troth.appraise(
        data,
        policy=made.policy(data),
        at=AT,
        nonce=NONCE,
        trust=[pki.trusted()],
        collateral=pki.collateral(),
    )
    assert report.verdict is Verdict.ACCEPTED, made.failing(report) | made.still_open(report)


@pytest.mark.swtpm
def test_what_the_tpm_refuses(opened: collect.Tpm) -> None:
    with pytest.raises(Unavailable, match="TPM2_NV_ReadPublic"):
        opened.nv(0x01C1FFFF)
    with pytest.raises(Unavailable, match="TPM2_ReadPublic"):
        opened.public(collect.AZURE_AK)
    with pytest.raises(Misuse):
        opened.quote(collect.AZURE_AK, bytes(65))
    with pytest.raises(Unavailable):
        collect.azure(opened, NONCE)


def test_where_there_is_no_tpm(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(Unavailable), collect.open_tpm(str(path)):
            pass


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[[bytes], str]]:
    """A socket at which something answers each command with the same bytes."""
    path = tmp_path / "tpm.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen(1)

        def serve(answer: bytes) -> None:
            stream, _ = server.accept()
            with stream:
                while stream.recv(4096):
                    stream.sendall(answer)
                    if len(answer) < 10:
                        return

        def start(answer: bytes) -> str:
            threading.Thread(target=serve, args=(answer,), daemon=True).start()
            return str(path)

        yield start


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"\x80\1\0\0\0", Unavailable),
        (b"\x80\1\0\0\0\x09\0\0\0\0", Malformed),
        (b"\x80\1\xff\xff\xff\xff\0\0\0\0", Malformed),
        (b"\x80\1\0\0\0\x0a\0\0\1\1", Unavailable),
        (b"\x80\1\0\0\0\x0a\0\0\0\0", Malformed),
        (b"\x80\1\0\0\0\x0c\0\0\0\0\0\5", Malformed),
    ],
)
def test_a_tpm_that_answers_nonsense(
    answering: Callable[[bytes], str], answer: bytes, error: type[Exception]
) -> None:
    with collect.open_tpm(answering(answer)) as device, pytest.raises(error):
        device.public(collect.AZURE_AK)


def test_a_tpm_without_the_bank(answering: Callable[[bytes], str]) -> None:
    body = bytes(4) + tpm.selected((tpm.Selection(algorithm=tpm.SHA256, pcrs=()),)) + bytes(4)
    answer = b"\x80\1" + (10 + len(body)).to_bytes(4, "big") + bytes(4) + body
    with collect.open_tpm(answering(answer)) as device, pytest.raises(Unavailable, match="sha256"):
        device.registers()


def test_a_device_is_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pseudo-terminal's end is no TPM, and a file answers what lies behind its place: nothing."""
    path = tmp_path / "tpm0"
    path.write_bytes(b"")
    with collect.open_tpm(str(path)) as device, pytest.raises(Malformed):
        device.public(collect.AZURE_AK)
    monkeypatch.setattr(os, "write", lambda *_: 1)
    with collect.open_tpm(str(path)) as device, pytest.raises(Unavailable):
        device.public(collect.AZURE_AK)
