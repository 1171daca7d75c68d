"""Quotes of an enclave by Gramine's pseudo-files: true ones, absent ones, and ones that lie."""

import errno
import os
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.platforms.dcap.made import NOW, PKI, pinned
from tests.platforms.fuse import mounted

import troth
from troth.errors import Malformed, Misuse, Unavailable
from troth.platforms.dcap.simulate import QuoteKind
from troth.platforms.sgx import format as quote_format
from troth.platforms.sgx.collect import collect

DATA = bytes(range(64))
OTHER = DATA[::-1]
KINDS = [kind for kind in QuoteKind if not kind.tdx]


def quote(data: bytes = DATA, kind: QuoteKind = QuoteKind.SGX_3) -> bytes:
    return PKI.quote(kind, fields={"reportdata": data})


def folder(path: Path, given: bytes, kind: bytes = b"dcap") -> str:
    """The pseudo-files as plain ones, whose quote stays what it is."""
    (path / "attestation_type").write_bytes(kind)
    (path / "user_report_data").write_bytes(bytes(64))
    (path / "quote").write_bytes(given)
    return str(path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_collected_is_accepted(tmp_path: Path, kind: QuoteKind) -> None:
    evidence = collect(DATA, folder=folder(tmp_path, quote(kind=kind)))
    assert (tmp_path / "user_report_data").read_bytes() == DATA
    report = troth.appraise(
        evidence,
        policy=pinned(evidence),
        at=NOW,
        nonce=DATA,
        trust=PKI.roots(),
        collateral=PKI.collateral(),
    )
    assert report.verdict == "accepted"


@pytest.mark.parametrize("kind", [b"none", b"epid", b"", b"dcap2", b"\xff"])
def test_an_enclave_that_is_not_to_be_attested(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(Unavailable, match="should be 'dcap'") as caught:
        collect(DATA, folder=folder(tmp_path, quote(), kind))
    assert "manifest" in caught.value.fix
    assert (tmp_path / "user_report_data").read_bytes() == bytes(64)


def test_a_line_end_behind_the_type(tmp_path: Path) -> None:
    assert collect(DATA, folder=folder(tmp_path, quote(), b"dcap\n"))


@pytest.mark.parametrize("name", ["attestation_type", "user_report_data", "quote"])
def test_a_file_that_is_absent(tmp_path: Path, name: str) -> None:
    path = folder(tmp_path, quote())
    (tmp_path / name).unlink()
    with pytest.raises(Unavailable, match="No such file") as caught:
        collect(DATA, folder=path)
    assert "Gramine" in caught.value.fix
    assert name == "user_report_data" or not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (quote(OTHER), "reportdata: is not what was asked for"),
        (PKI.quote(QuoteKind.TDX_4, fields={"reportdata": DATA}), "is none of an enclave"),
        (b"", "is none of an enclave"),
        (quote()[:-1], "is"),
        (quote() + b"x", "is"),
        (bytes(65537), "larger than 65536"),
    ],
)
def test_what_is_no_quote_over_this(tmp_path: Path, given: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        collect(DATA, folder=folder(tmp_path, given))


@pytest.mark.parametrize("size", [0, 32, 63, 65, 128])
def test_report_data_of_another_size(size: int) -> None:
    with pytest.raises(Misuse, match="should be 64"):
        collect(bytes(size))


@dataclass
class Gramine:
    """`/dev/attestation`: the quote is over what was written last."""

    data: bytes = bytes(64)
    takes: int = 64
    refuses: dict[str, int] = field(default_factory=dict)

    def mode(self, path: str) -> int:
        if path in ("/attestation_type", "/user_report_data", "/quote"):
            return stat.S_IFREG | 0o600
        if path:
            raise FileNotFoundError(errno.ENOENT, "absent")
        return stat.S_IFDIR | 0o755

    def make(self, _: str) -> None:
        raise OSError(errno.EPERM, "no folders")

    remove = make

    def open(self, path: str, _: int) -> "Gramine.File":
        name = path[1:]
        if name in self.refuses:
            raise OSError(self.refuses[name], "as the test says")
        content = {"attestation_type": b"dcap", "user_report_data": self.data}
        return Gramine.File(self, content[name] if name in content else quote(self.data))

    @dataclass
    class File:
        gramine: "Gramine"
        content: bytes

        def read(self) -> bytes:
            return self.content

        def write(self, data: bytes, _offset: int) -> int:
            self.gramine.data = data
            return min(len(data), self.gramine.takes)

        def close(self) -> None:
            """Written at once."""

        def ioctl(self, _number: int, _message: bytes) -> tuple[int, bytes]:
            raise OSError(errno.ENOTTY, "no device")


@pytest.mark.namespaces
def test_pseudo_files_that_answer(tmp_path: Path) -> None:
    gramine = Gramine()
    with mounted(gramine, tmp_path) as root:
        for data in (DATA, OTHER):
            evidence = collect(data, folder=str(root))
            assert quote_format.parse(evidence).report.reportdata == data
        gramine.takes = 32
        with pytest.raises(Unavailable, match="took 32 bytes of 64"):
            collect(DATA, folder=str(root))


@pytest.mark.namespaces
@pytest.mark.parametrize("name", ["attestation_type", "user_report_data", "quote"])
def test_pseudo_files_that_refuse(tmp_path: Path, name: str) -> None:
    """As where the quoting service is not at hand."""
    with (
        mounted(Gramine(refuses={name: errno.EPERM}), tmp_path) as root,
        pytest.raises(Unavailable, match=os.strerror(errno.EPERM)),
    ):
        collect(DATA, folder=str(root))


@pytest.mark.namespaces
def test_threads_get_each_their_own(tmp_path: Path) -> None:
    wrong: list[int] = []
    done: list[int] = []

    def many(number: int, path: str) -> None:
        data = bytes([number]) * 64
        got = [quote_format.parse(collect(data, folder=path)) for _ in range(5)]
        wrong.extend(number for one in got if one.report.reportdata != data)
        done.append(number)

    with mounted(Gramine(), tmp_path) as root:
        threads = [threading.Thread(target=many, args=(n, str(root))) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert (sorted(done), wrong) == ([0, 1, 2, 3], [])
