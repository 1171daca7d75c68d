"""Fetching: what is asked is what comes, or an error of ours that says what to do."""

import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from tests.trust.server import AMD_CHAIN, INFO, INTEL, PCK_CRL, ROOT_CRL, VCEK, Answer, Site, intel

from troth.errors import Misuse, Unavailable
from troth.model.collateral import Kind, Request
from troth.trust.fetch import KDS, MAX_BODY, PCS, NotServed, Patience, Servers, fetch

AT = datetime(2025, 12, 2, tzinfo=UTC)
PATH = "/tdx/certification/v4/tcb"
QUICK = Patience(attempts=3, timeout=timedelta(seconds=5))


def _ask(site: Site, request: Request, **servers: str) -> tuple[object, list[float]]:
    slept: list[float] = []
    chosen = Servers(**(servers or {"pcs": site.base, "kds": site.base}))
    item = fetch(request, servers=chosen, patience=QUICK, sleep=slept.append, now=lambda: AT)
    return item, slept


def test_what_intel_serves(site: Site, vectors: Path) -> None:
    items = {item.kind: item for item in intel(vectors)}
    site.serve(tuple(items.values()))
    for request in INTEL:
        item, slept = _ask(site, request)
        expected = items[request.kind]
        assert item == replace(expected, source=site.base + _rest(request), fetched_at=AT)
        assert slept == []


def _rest(request: Request) -> str:
    return request.url.partition(".com")[2]


def test_a_pccs_is_asked_for_all_that_is_intels(site: Site, vectors: Path) -> None:
    items = {item.kind: item for item in intel(vectors)}
    site.serve(tuple(items.values()))
    for request in INTEL:
        item, _ = _ask(site, request, pccs=site.base)
        assert item.data == items[request.kind].data  # type: ignore[attr-defined]
    assert "/sgx/certification/v4/rootcacrl" in site.asked


def test_an_older_header_name(site: Site, vectors: Path) -> None:
    site.serve(intel(vectors))
    answer = site.answers[PATH][0]
    answer.headers = {f"SGX-{name}": value for name, value in answer.headers.items()}
    assert _ask(site, INFO)[0].chain  # type: ignore[attr-defined]


def test_what_amd_serves(site: Site, vectors: Path) -> None:
    site.serve_amd(vectors)
    for request in (VCEK, AMD_CHAIN):
        item, _ = _ask(site, request)
        assert item.kind is request.kind  # type: ignore[attr-defined]


def test_early_is_said(site: Site, vectors: Path) -> None:
    site.serve(intel(vectors), early=True)
    request = replace(INFO, url=INFO.url + "&update=early", early=True)
    assert _ask(site, request)[0].early  # type: ignore[attr-defined]


def test_too_many_requests_then_an_answer(site: Site, vectors: Path) -> None:
    site.serve(intel(vectors))
    good = site.answers[PATH][0]
    busy = Answer(status=429, headers={"Retry-After": "7"})
    dated = Answer(
        status=503,
        headers={"Retry-After": format_datetime(AT + timedelta(seconds=11), usegmt=True)},
    )
    site.put(PATH, busy, dated, good)
    assert _ask(site, INFO)[1] == [7.0, 11.0]
    site.put(PATH, Answer(status=500), Answer(status=504, headers={"Retry-After": "soon"}), good)
    assert _ask(site, INFO)[1] == [1.0, 2.0]
    site.put(PATH, Answer(status=429), Answer(status=429), good)
    assert _ask(site, INFO)[1] == [5.0, 10.0]


@pytest.mark.parametrize("told", ["3600", "9" * 40, "Fri, 01 Jan 2999 00:00:00 GMT"])
def test_a_server_that_asks_for_too_much_patience(site: Site, told: str) -> None:
    site.put(PATH, Answer(status=429, headers={"Retry-After": told}))
    with pytest.raises(NotServed) as raised:
        _ask(site, INFO)
    assert timedelta(hours=1) <= raised.value.again <= timedelta(days=7)
    assert len(site.asked) == 1


def test_a_server_that_stays_busy(site: Site) -> None:
    site.put(PATH, Answer(status=503))
    with pytest.raises(NotServed, match="3 times"):
        _ask(site, INFO)
    assert len(site.asked) == 3


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there(site: Site, status: int) -> None:
    site.put(PATH, Answer(status=status))
    with pytest.raises(NotServed):
        _ask(site, INFO)
    assert len(site.asked) == 1


@pytest.mark.parametrize("status", [204, 301, 302, 308, 400, 401, 403])
def test_other_answers_and_redirections(site: Site, status: int) -> None:
    site.put(PATH, Answer(status=status, headers={"Location": site.base + "/other"}))
    with pytest.raises(Unavailable) as raised:
        _ask(site, INFO)
    assert not isinstance(raised.value, NotServed)
    assert raised.value.fix
    assert len(site.asked) == 1


def test_a_truncated_body(site: Site, vectors: Path) -> None:
    site.serve(intel(vectors))
    good = site.answers[PATH][0]
    site.put(PATH, Answer(body=good.body[:-9], headers=good.headers, short=9), good)
    assert _ask(site, INFO)[1] == [1.0]
    site.put(PATH, Answer(body=good.body[:-9], headers=good.headers, short=9))
    with pytest.raises(Unavailable, match="9 bytes are missing"):
        _ask(site, INFO)
    site.put(PATH, Answer(body=good.body[:-9], headers=good.headers))
    with pytest.raises(Unavailable, match="cannot be read"):
        _ask(site, INFO)


def test_too_large(site: Site) -> None:
    site.put("/IntelSGXRootCA.der", Answer(body=bytes(MAX_BODY + 1)))
    with pytest.raises(Unavailable, match="more than"):
        _ask(site, ROOT_CRL)
    assert len(site.asked) == 1


def test_wrong_content(site: Site, vectors: Path) -> None:
    items = {item.kind: item for item in intel(vectors)}
    site.serve(tuple(items.values()))
    good = site.answers[PATH][0]
    chain = dict(good.headers)
    for body in (
        b"", b"{}", b"[]", b"<html>", b"\xff", b"null", b'{"tcbInfo":{},"signature":""}',
        items[Kind.INTEL_QE_IDENTITY].data, items[Kind.INTEL_PCK_CRL].data,
        good.body.replace(b'"tcbInfo":{', b'"tcbInfo":{"id":"TDX",', 1),
        good.body.replace(b"00806F050000", b"00806F050001"),
        good.body.replace(b'"id":"TDX"', b'"id":"SGX"', 1),
    ):  # fmt: skip
        site.put(PATH, Answer(body=body, headers=chain))
        with pytest.raises(Unavailable, match="did not answer with what was asked for"):
            _ask(site, INFO)
    for headers in ({}, {"TCB-Info-Issuer-Chain": "x"}, {"TCB-Info-Issuer-Chain": "%ff%zz"}):
        site.put(PATH, Answer(body=good.body, headers=headers))
        with pytest.raises(Unavailable, match="did not answer"):
            _ask(site, INFO)
    processor = replace(PCK_CRL, url=PCK_CRL.url.replace("platform", "processor"))
    for request, path in (
        (processor, "/sgx/certification/v4/pckcrl"),
        (ROOT_CRL, "/IntelSGXRootCA.der"),
    ):
        answer = site.answers["/sgx/certification/v4/pckcrl"][0]
        site.put(path, answer)
        with pytest.raises(Unavailable, match="did not answer"):
            _ask(site, request)


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unavailable, match="cannot reach") as raised:
        fetch(INFO, servers=Servers(pcs=base), patience=QUICK, sleep=lambda _: None)
    assert "freeze" in raised.value.fix


def test_an_answer_that_drips() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    patience = Patience(attempts=1, whole=timedelta(seconds=0.3))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(Unavailable, match="not whole"):
        fetch(INFO, servers=Servers(pcs=base), patience=patience)
    stop.set()
    thread.join()
    listener.close()


def test_a_server_that_speaks_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def junk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"\x16\x03\x01 what?\r\n\r\n")

        thread = threading.Thread(target=junk, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unavailable, match="cannot reach"):
            fetch(INFO, servers=Servers(pcs=base), patience=Patience(attempts=1))
        thread.join()


@pytest.mark.parametrize(
    "base",
    [
        "http://pccs.example", "ftp://pccs.example", "pccs.example", "https://", "http://127.0.0.1.example",
        "http://localhost:1", "https://user@pccs.example", "https://pccs.example/?x", "https://a b",
        "https://pccs.example/#x", "https://[::1", "https://h:99999", "file:///etc/passwd", "https://é",
        "https://h/\r\nX: y",
    ],
)  # fmt: skip
def test_no_silent_downgrade(base: str) -> None:
    for place in ("pcs", "pccs", "kds"):
        with pytest.raises(Misuse):
            Servers(**{place: base})


def test_where_requests_go(tmp_path: Path) -> None:
    own = Servers()
    assert [own.address(r) for r in (*INTEL, VCEK)] == [r.url for r in (*INTEL, VCEK)]
    mirror = Servers(pcs="https://pcs.example/x/", kds="https://kds.example")
    assert mirror.address(INFO) == INFO.url.replace(PCS, "https://pcs.example/x")
    assert mirror.address(ROOT_CRL) == "https://pcs.example/x/IntelSGXRootCA.der"
    assert mirror.address(VCEK) == VCEK.url.replace(KDS, "https://kds.example")
    with pytest.raises(Misuse):
        own.address(Request(url="https://elsewhere.example/x", kind=Kind.AMD_CRL))
    with pytest.raises(Misuse):
        Servers(authority=tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "absent.pem"):
        with pytest.raises(Unavailable, match="authority"):
            fetch(INFO, servers=Servers(pccs="https://127.0.0.1:1", authority=tmp_path / name))


def test_loopback_is_never_asked_through_a_proxy(
    site: Site, vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    site.serve(intel(vectors))
    assert _ask(site, INFO)[0].kind is INFO.kind  # type: ignore[attr-defined]
