"""The quote service: one that answers rightly, and ones that answer as none should."""

import socket
import struct
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.dcap.made import PKI
from tests.platforms.tdx.service import answer, framed, listening, quoted, td_report

from troth.errors import Malformed, TrothError, Unavailable
from troth.platforms.tdx import format as quote_format
from troth.platforms.tdx import qgs

DATA = bytes(range(64))
REPORT = td_report(DATA)
QUOTE = b"a quote" * 700


def test_a_quote_of_a_report(tmp_path: Path) -> None:
    with listening(tmp_path / "qgs", quoted(PKI)) as path:
        quote = qgs.quote(REPORT, service=path)
    assert quote_format.parse(quote).field("reportdata") == DATA


def test_the_request_byte_for_byte(tmp_path: Path) -> None:
    seen = []

    def respond(request: bytes) -> bytes:
        seen.append(request)
        return framed(answer(QUOTE))

    with listening(tmp_path / "qgs", respond) as path:
        assert qgs.quote(REPORT, service=path) == QUOTE
    head = "00000418010001000000000018040000000000000004000000000000"
    assert seen == [bytes.fromhex(head) + REPORT]


@pytest.mark.parametrize(
    ("other", "kind", "words"),
    [
        ({"major": 2}, Malformed, "version 2"),
        ({"type": 0}, Malformed, "type 0"),
        ({"type": 5}, Malformed, "type 5"),
        ({"size": 24}, Malformed, "and 24 bytes; should"),
        ({"error": 0x12001}, Unavailable, "0x12001"),
        ({"id_size": 1}, Malformed, "1 bytes of id"),
        ({"quote_size": len(QUOTE) - 1}, Malformed, f"{len(QUOTE) - 1} of quote"),
        ({"quote_size": len(QUOTE) + 1}, Malformed, f"{len(QUOTE) + 1} of quote"),
    ],
)
def test_answers_that_are_none(
    tmp_path: Path, other: dict[str, int], kind: type[TrothError], words: str
) -> None:
    with (
        listening(tmp_path / "qgs", lambda _: framed(answer(QUOTE, **other))) as path,
        pytest.raises(kind, match=words),
    ):
        qgs.quote(REPORT, service=path)


def test_a_refusal_that_is_a_header_only(tmp_path: Path) -> None:
    short = answer(b"", size=16, error=0x12005)[:16]
    with (
        listening(tmp_path / "qgs", lambda _: framed(short)) as path,
        pytest.raises(Unavailable, match="0x12005"),
    ):
        qgs.quote(REPORT, service=path)


@pytest.mark.parametrize("size", [0, 65536 - 24])
def test_the_smallest_and_the_largest_answer(tmp_path: Path, size: int) -> None:
    with listening(tmp_path / "qgs", lambda _: framed(answer(bytes(size)))) as path:
        assert qgs.quote(REPORT, service=path) == bytes(size)


def test_a_later_minor_version_is_compatible(tmp_path: Path) -> None:
    with listening(tmp_path / "qgs", lambda _: framed(answer(QUOTE, minor=9))) as path:
        assert qgs.quote(REPORT, service=path) == QUOTE


@pytest.mark.parametrize("size", [0, 15, 16, 23])
def test_answers_that_are_too_short(tmp_path: Path, size: int) -> None:
    short = answer(b"", size=size)[:size]
    with (
        listening(tmp_path / "qgs", lambda _: framed(short)) as path,
        pytest.raises(Malformed, match="the quote service's answer"),
    ):
        qgs.quote(REPORT, service=path)


@pytest.mark.parametrize("sent", [b"", b"\0\0", framed(b"12345")[:-1], framed(answer(QUOTE))[:-1]])
def test_a_service_that_ends_in_its_answer(tmp_path: Path, sent: bytes) -> None:
    with (
        listening(tmp_path / "qgs", lambda _: sent) as path,
        pytest.raises(Unavailable, match="closed") as caught,
    ):
        qgs.quote(REPORT, service=path)
    assert "QGS" in caught.value.fix


def test_a_service_that_claims_too_much(tmp_path: Path) -> None:
    for size in (65537, 0xFFFFFFFF):
        with (
            listening(
                tmp_path / f"qgs{size}", lambda _, size=size: struct.pack(">I", size)
            ) as path,
            pytest.raises(Malformed, match=str(size)),
        ):
            qgs.quote(REPORT, service=path)


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qgs, "_TIMEOUT", 0.2)
    with pytest.raises(Unavailable, match="did not answer") as caught:
        qgs.quote(REPORT, service=str(tmp_path / "absent"))
    assert "QGS" in caught.value.fix
    with pytest.raises(Unavailable, match="did not answer"):
        qgs.quote(REPORT, service=(1, 4050))


def test_a_service_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qgs, "_TIMEOUT", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "qgs"))
        listener.listen()
        with pytest.raises(Unavailable, match="timed out"):
            qgs.quote(REPORT, service=str(tmp_path / "qgs"))


def test_over_vsock() -> None:
    local = 1  # VMADDR_CID_LOCAL
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as listener:
        try:
            listener.bind((local, socket.VMADDR_PORT_ANY))
        except OSError as error:
            pytest.skip(f"this kernel has no vsock loopback: {error}")
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4 + 24 + 1024, socket.MSG_WAITALL)
                connection.sendall(framed(answer(QUOTE)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert qgs.quote(REPORT, service=(local, listener.getsockname()[1])) == QUOTE
        thread.join(5)


@given(st.binary(max_size=100))
def test_junk_raises_only_our_errors(message: bytes) -> None:
    with pytest.raises(TrothError):
        qgs._quote(message)
