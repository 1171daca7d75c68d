"""What is begun ahead, what is left to be asked, and how much is held: with a library that writes down."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

from troth.crypto import beside, keys
from troth.crypto.beside import Asked

SMALL = keys.P256_HEAD + bytes(64)
LARGE = keys.P384_HEAD + bytes(96)
WIDE = keys.RSA4096_HEAD + b"\x80" + bytes(511) + keys.RSA4096_TAIL
STRANGE = Asked(b"no key", keys.P256_RAW, b"", b"")


class Writes:
    """A library that says yes to what is signed with `yes`, and None to `nothing`."""

    made: ClassVar[list[tuple[int, bool]]] = []
    answered: ClassVar[int] = 0

    def __init__(self, checks: Sequence[tuple[int, bytes, bytes, bytes]], *, beside: bool) -> None:
        self.checks = checks
        Writes.made.append((len(checks), beside))

    def answer(self, index: int) -> bool | None:
        Writes.answered += 1
        signature = self.checks[index][2]
        return None if signature == b"nothing" else signature == b"yes"


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(beside, "native", lambda: Writes)
    Writes.made, Writes.answered = [], 0
    beside._begun.clear()
    yield
    beside._begun.clear()


def asked(text: bytes = b"text", signature: bytes = b"yes", key: bytes = LARGE) -> Asked:
    return Asked(key, keys.P256_RAW if key is SMALL else keys.P384_RAW, signature, text)


def test_a_begun_check_is_asked_once_and_then_made_anew() -> None:
    beside.begin((asked(b"a"), asked(b"b", b"no")))
    assert Writes.made == [(2, True)]
    assert beside.verifies(asked(b"b", b"no")) is False
    assert beside.verifies(asked(b"a")) is True
    assert not beside._begun
    assert Writes.made == [(2, True)]
    assert beside.verifies(asked(b"a")) is True
    assert Writes.made == [(2, True), (1, False)]


def test_an_answer_is_of_all_four() -> None:
    """A key, an algorithm, a signature and a text; what differs in one of them is another question."""
    first = asked(b"a")
    beside.begin((first, asked(b"b")))
    others = (
        first._replace(signature=b"no"),
        first._replace(signed=b"c", signature=b"no"),
        first._replace(spki=keys.P384_HEAD + b"\1" * 96, signature=b"no"),
        first._replace(algorithm=keys.ECDSA_SHA384, signature=b"no"),
    )
    assert [beside.verifies(other) for other in others] == [False] * 4
    for name, value in (
        ("signed", b"c"),
        ("spki", keys.P384_HEAD + b"\1" * 96),
        ("algorithm", keys.ECDSA_SHA384),
    ):
        before = len(Writes.made)
        beside.verifies(first._replace(**{name: value}))
        assert Writes.made[before:] == [(1, False)], name
    assert first in beside._begun


def test_what_is_under_way_is_not_begun_again() -> None:
    beside.begin((asked(b"a"), asked(b"b")))
    beside.begin((asked(b"a"), asked(b"b")))
    assert Writes.made == [(2, True)]
    beside.begin((asked(b"a"), asked(b"c"), asked(b"c")))
    assert Writes.made == [(2, True), (1, True)]


def test_one_check_on_p256_is_not_worth_a_thread() -> None:
    beside.begin((asked(key=SMALL),))
    assert not Writes.made
    beside.begin((asked(key=SMALL), asked(b"b", key=SMALL)))
    beside.begin((asked(key=LARGE),))
    beside.begin((Asked(WIDE, keys.PSS_SHA384, b"yes", b""),))
    assert Writes.made == [(2, True), (1, True), (1, True)]


def test_long_texts_are_not_begun() -> None:
    """Those that are begun and never asked for must not hold much memory."""
    most = asked(bytes(64 * 1024))
    longer = asked(bytes(64 * 1024 + 1))
    beside.begin((longer,))
    assert not Writes.made
    beside.begin((most, longer))
    assert list(beside._begun) == [most]


def test_what_is_never_asked_for_is_let_go() -> None:
    for number in range(1000):
        beside.begin((asked(b"%d a" % number), asked(b"%d b" % number)))
        assert len(beside._begun) <= 256
        assert asked(b"%d b" % number) in beside._begun
    assert beside.verifies(asked(b"0 a")) is True


def test_keys_and_algorithms_that_it_does_not_know() -> None:
    for unknown in (STRANGE, asked()._replace(algorithm=keys.RSA_SHA256)):
        beside.begin((unknown, unknown))
        assert beside.verifies(unknown) is None
    assert not Writes.made
    beside.begin((STRANGE, asked()))
    assert Writes.made == [(1, True)]


def test_it_may_have_no_answer() -> None:
    """As in a fork of the process that began: OpenSSL is asked then."""
    beside.begin((asked(signature=b"nothing"),))
    assert beside.verifies(asked(signature=b"nothing")) is None


def test_without_a_library_nothing_is_begun_nor_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "native", lambda: None)
    beside.begin((asked(b"a"), asked(b"b")))
    assert beside.verifies(asked(b"a")) is None
    assert not beside._begun
    assert not Writes.made


class TestWhichLibrary:
    """It is optional: whatever is wrong with it, OpenSSL checks alone."""

    @pytest.fixture(autouse=True)
    def _anew(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.undo()
        beside.native.cache_clear()
        yield
        monkeypatch.undo()
        beside.native.cache_clear()

    def found(self, monkeypatch: pytest.MonkeyPatch, **said: object) -> object:
        module = ModuleType("troth_native")
        vars(module).update(said)
        monkeypatch.setitem(sys.modules, "troth_native", module)
        return beside.native()

    def test_of_this_version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.found(monkeypatch, VERSION=beside._VERSION, Batch=Writes) is Writes

    @pytest.mark.parametrize("version", [0, 99, "1", None])
    def test_of_another(self, monkeypatch: pytest.MonkeyPatch, version: object) -> None:
        assert self.found(monkeypatch, VERSION=version, Batch=Writes) is None

    def test_without_what_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.found(monkeypatch, VERSION=beside._VERSION) is None

    @pytest.mark.parametrize("error", ["ImportError('x')", "OSError('no such file')"])
    def test_that_does_not_load(
        self, monkeypatch: pytest.MonkeyPatch, error: str, tmp_path: Path
    ) -> None:
        (tmp_path / "troth_native.py").write_text(f"raise {error}\n")
        monkeypatch.delitem(sys.modules, "troth_native", raising=False)
        monkeypatch.syspath_prepend(str(tmp_path))
        assert beside.native() is None
