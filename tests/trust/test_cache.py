"""The cache: outages are survived to the signer's end, rate limits are kept, rollbacks are refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trust.server import INFO, INTEL, VCEK, Answer, Site, intel

from troth.errors import Unavailable
from troth.model.collateral import Item, Request
from troth.trust import stated
from troth.trust.cache import ASK_AGAIN, Cache, Obtained, obtain
from troth.trust.fetch import PCS, Patience, Servers, fetch
from troth.trust.seen import Seen

AT = datetime(2025, 12, 2, tzinfo=UTC)
PATH = "/tdx/certification/v4/tcb"
HOUR = timedelta(hours=1)


class Operator:
    """One who asks again and again, at instants of the test's choosing."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.cache = Cache(folder / "cache")
        self.seen = Seen(folder / "data" / "seen.json")

    def ask(
        self,
        at: datetime = AT,
        *requests: Request,
        offline: bool = False,
        refresh: bool = False,
    ) -> Obtained:
        servers = Servers(pcs=self.site.base, kds=self.site.base)

        def send(request: Request) -> Item:
            return fetch(
                request,
                servers=servers,
                patience=Patience(attempts=2),
                sleep=lambda _: None,
                now=lambda: at,
            )

        return obtain(
            requests or INTEL,
            cache=self.cache,
            seen=self.seen,
            now=at,
            fetch=None if offline else send,
            refresh=refresh,
        )


@pytest.fixture
def operator(site: Site, tmp_path: Path, vectors: Path) -> Operator:
    site.serve(intel(vectors))
    site.serve_amd(vectors)
    return Operator(site, tmp_path)


def _ends(obtained: Obtained) -> datetime:
    return min(stated.read(item).ends for item in obtained.collateral.items)


def test_within_a_day_nobody_is_asked_again(operator: Operator) -> None:
    first = operator.ask()
    assert len(operator.site.asked) == 4
    again = operator.ask(AT + ASK_AGAIN - HOUR)
    assert len(operator.site.asked) == 4
    assert again.collateral.items == first.collateral.items
    assert again.notes == first.notes == ()
    operator.ask(AT + ASK_AGAIN)
    assert len(operator.site.asked) == 8
    operator.ask(AT + ASK_AGAIN, refresh=True)
    assert len(operator.site.asked) == 12
    operator.ask(AT + ASK_AGAIN - HOUR * 2)  # a clock that went back: asked, not trusted
    assert len(operator.site.asked) == 16


def test_the_same_request_twice_is_asked_once(operator: Operator) -> None:
    assert len(operator.ask(AT, INFO, INFO).collateral.items) == 1
    assert len(operator.site.asked) == 1


def test_a_chips_certificate_is_asked_for_once(operator: Operator) -> None:
    operator.ask(AT, VCEK)
    operator.ask(AT + 300 * ASK_AGAIN, VCEK)
    assert len(operator.site.asked) == 1


def test_an_outage_is_survived_to_the_end_and_no_longer(operator: Operator) -> None:
    first = operator.ask()
    operator.site.down = True
    late = operator.ask(_ends(first))
    assert late.collateral.items == first.collateral.items
    assert len(late.notes) == 4
    assert all("serves until" in note for note in late.notes)
    with pytest.raises(Unavailable) as raised:
        operator.ask(_ends(first) + timedelta(seconds=1))
    assert raised.value.fix


def test_a_server_that_is_gone(operator: Operator) -> None:
    first = operator.ask()
    operator.site.base = "http://127.0.0.1:9"
    assert operator.ask(AT + ASK_AGAIN).collateral.items == first.collateral.items
    with pytest.raises(Unavailable, match="cannot reach"):
        operator.ask(AT, VCEK)


def test_offline_takes_from_the_cache_alone(operator: Operator) -> None:
    with pytest.raises(Unavailable, match="cache holds no"):
        operator.ask(offline=True)
    first = operator.ask()
    asked = len(operator.site.asked)
    assert operator.ask(AT + 5 * ASK_AGAIN, offline=True).collateral.items == first.collateral.items
    assert len(operator.site.asked) == asked
    with pytest.raises(Unavailable):
        operator.ask(_ends(first) + HOUR, offline=True)


def test_a_rate_limit_is_remembered(operator: Operator) -> None:
    good = operator.site.answers[PATH]
    operator.site.put(PATH, Answer(status=429, headers={"Retry-After": "600"}))
    with pytest.raises(Unavailable, match="429"):
        operator.ask(AT, INFO)
    with pytest.raises(Unavailable, match="asked again after 2025-12-02T00:10:00Z") as raised:
        operator.ask(AT + timedelta(minutes=9), INFO)
    assert "--refresh" in raised.value.fix
    assert len(operator.site.asked) == 1
    operator.site.put(PATH, *good)
    operator.ask(AT + timedelta(minutes=10), INFO)
    assert len(operator.site.asked) == 2


def test_what_a_server_has_not_is_not_asked_for_each_time(operator: Operator) -> None:
    good = operator.site.answers.pop(PATH)
    for _ in range(3):
        with pytest.raises(Unavailable):
            operator.ask(AT, INFO)
    assert len(operator.site.asked) == 1
    operator.site.put(PATH, *good)
    operator.ask(AT, INFO, refresh=True)
    operator.ask(AT, INFO)
    assert len(operator.site.asked) == 2


def test_one_failure_does_not_keep_the_rest_from_the_cache(operator: Operator) -> None:
    operator.site.answers.pop(PATH)
    with pytest.raises(Unavailable):
        operator.ask()
    assert len(operator.ask(AT, *INTEL[1:], offline=True).collateral.items) == 3


def test_what_is_not_early_is_a_note(operator: Operator, vectors: Path) -> None:
    early = replace(INFO, url=INFO.url + "&update=early", early=True)
    obtained = operator.ask(AT, INFO, early)
    assert [item.early for item in obtained.collateral.items] == [False]
    assert "next evaluation number" in obtained.notes[0]
    operator.site.serve(intel(vectors), early=True)
    obtained = operator.ask(AT, INFO, early, refresh=True)
    assert [item.early for item in obtained.collateral.items] == [False, True]
    assert [i.early for i in operator.ask(AT, INFO, early, offline=True).collateral.items] == [
        False,
        True,
    ]


def test_a_rollback_is_refused(operator: Operator, vectors: Path, tmp_path: Path) -> None:
    """Both documents are signed by Intel and good on that day; one is of an older recovery."""
    at, site = datetime(2025, 6, 15, 12, tzinfo=UTC), operator.site
    request = replace(INFO, url=f"{PCS}/sgx/certification/v4/tcb?fmspc=00a067110000")
    site.serve(intel(vectors, "sgx/collateral/sgxv2-00a067110000-eval19-20250615-processor.json"))
    newer = operator.ask(at, request).collateral.items
    site.serve(intel(vectors, "sgx/collateral/sgxv2-00a067110000-eval17-20250615-processor.json"))
    # Another cache, the same memory: nothing older is handed over, nor kept.
    other = Operator(site, tmp_path / "other")
    other.seen = operator.seen
    with pytest.raises(Unavailable, match="older collateral is not handed over"):
        other.ask(at, request)
    assert other.cache.get(request) is None
    # One's own cache still has the newer one, which serves on.
    again = operator.ask(at, request, refresh=True)
    assert again.collateral.items == newer
    assert "older collateral is not handed over" in again.notes[0]
    # Nor out of a cache that was filled before.
    third = Operator(site, tmp_path / "third")
    third.ask(at, request)
    third.seen = operator.seen
    with pytest.raises(Unavailable, match="older collateral"):
        third.ask(at, request, offline=True)


def test_a_server_that_serves_what_is_over(operator: Operator) -> None:
    first = operator.ask()
    late = _ends(first) + HOUR
    with pytest.raises(Unavailable, match="window is not now"):
        operator.ask(late)
    with pytest.raises(Unavailable, match="window is not now"):
        operator.ask(datetime(2024, 1, 1, tzinfo=UTC))


def test_a_damaged_cache_is_an_empty_one(operator: Operator) -> None:
    operator.ask()
    names = sorted(operator.cache.folder.glob("*.json"))
    assert len(names) == 4
    whole = {path: path.read_bytes() for path in names}
    for change in (lambda d: d[:-2], lambda _: b"", lambda d: d.replace(b"intel-", b"amd-", 1)):
        for path, data in whole.items():
            path.write_bytes(change(data))
        with pytest.raises(Unavailable):
            operator.ask(offline=True)
    for first, second in zip(names, names[1:] + names[:1], strict=True):
        first.write_bytes(whole[second])  # good items, each in another's place
    with pytest.raises(Unavailable):
        operator.ask(offline=True)
    assert len(operator.ask().collateral.items) == 4
    assert {path: path.read_bytes() for path in names} == whole
    assert not [p for p in operator.cache.folder.iterdir() if p.name.startswith(".")]


@given(st.binary(max_size=80))
def test_a_damaged_denial_is_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    cache = Cache(tmp_path_factory.mktemp("denied"))
    path = cache._path(INFO, ".denied")
    for content in (data, b'{"schema":"troth/denied/1","since":"x","until":1,"why":2}'):
        path.write_bytes(content)
        assert cache.denied(INFO, AT) == ""


def test_folders_of_this_user(home: Path, operator: Operator, vectors: Path) -> None:
    own = Cache()
    own.put(INFO, operator.ask(AT, INFO).collateral.items[0])
    assert own.folder == home / ".cache" / "troth" / "collateral"
    assert own.get(INFO) is not None
    memory = Seen()
    memory.note(intel(vectors))
    assert memory.path == home / ".local/share/troth/trust/evaluation-numbers.json"


def test_a_cache_that_cannot_be_written(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    operator.cache = Cache(tmp_path / "file" / "cache")
    with pytest.raises(Unavailable, match="cannot use"):
        operator.ask()
