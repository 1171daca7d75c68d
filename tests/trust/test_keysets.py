"""Key sets of services that sign tokens: read, named as roots, fetched at their own addresses alone."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.platforms.tokens.made import AT, KINDS, MADE, NONCE, START, evidence
from tests.trust.server import Answer, Site

import troth
from troth.errors import Malformed, Misuse, Unavailable
from troth.model.collateral import Collateral, Item, Kind, Request
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms.tokens.collateral import address, is_address
from troth.platforms.tokens.issuers import GCS, ITA, MAA, NRAS
from troth.platforms.tokens.simulate import NAMES, Service
from troth.trust import cache, freeze, load, parse_roots, stated
from troth.trust.fetch import Servers, fetch
from troth.trust.needs import needs
from troth.trust.seen import Seen
from troth.verifier import bundle as bundles

NOW = AT
ANY = Service.create("gcs", START)


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    return {name: Service.create(name, START) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_bare_file_is_told_by_its_keys(services: dict[str, Service], name: str) -> None:
    service = services[name]
    (item,) = load(service.key_set()).items
    assert item.kind is service.issuer.keys
    (again,) = load(freeze(Collateral(items=(item,)))).items
    assert (again.kind, again.data) == (item.kind, item.data)
    said = stated.read(item)
    assert said.about == "1 key"
    assert said.begins <= MADE <= said.ends


@pytest.mark.parametrize(
    "data",
    [b'{"keys":[]}', b'{"keys":[{}]}', b'{"keys":{}}', b'{"keys":7}', b'{"keys":[{"kty":"oct"}]}'],
)
def test_files_without_a_key(data: bytes) -> None:
    with pytest.raises(Malformed):
        load(data)
    with pytest.raises(Malformed):
        parse_roots(data, source="x")


def test_files_of_roots(services: dict[str, Service]) -> None:
    """Key sets, troth's own file with key sets in it, and certificates behind them, in one file."""
    google, intel = services["gcs"], services["ita"]
    frozen = freeze(load(google.key_set()) + load(intel.key_set()))
    assert {r.platform for r in parse_roots(frozen, source="x")} == {"gcs", "ita"}
    pem = intel.path[-1].pem
    text = google.key_set() + b"\n" + frozen + intel.key_set() + pem
    found = parse_roots(text, source="x")
    assert [r.platform for r in found[:4]] == ["gcs", "gcs", "ita", "ita"]
    assert {r.sha256 for r in found[4:]} == {r.sha256 for r in parse_roots(pem, source="x")}
    for bad in (
        b"{}",
        b"{",
        b'{"keys":[1]',
        google.key_set() + b"behind",
        google.key_set() + b"{",
        b"{" * 100_000,
        b'{"schema":"troth/collateral/1","items":[]}\n',
        b'{"tcbInfo":{},"signature":""}',
    ):
        with pytest.raises(Malformed):
            parse_roots(bad, source="x")


def test_a_key_set_of_nobody_is_added_and_not_a_vendors() -> None:
    key = ANY.jwk(kid="anything")
    (root,) = parse_roots(json.dumps({"keys": [key]}).encode(), source="keys.json")
    assert root.root_class is RootClass.ADDED
    assert root.source == "keys.json: key anything"
    hostile = ANY.jwk(kid="\x1b[31m\u202e" + "a" * 500)
    (root,) = parse_roots(json.dumps({"keys": [hostile]}).encode(), source="keys.json")
    assert root.source.isascii() and root.source.isprintable() and len(root.source) < 120


def test_addresses_of_key_sets() -> None:
    assert address(MAA, "https://a1b.eus.attest.azure.net") == (
        "https://a1b.eus.attest.azure.net/certs"
    )
    assert address(ITA, "Intel Trust Authority") == ITA.key_set
    assert address(ITA, "https://portal.eu.trustauthority.intel.com") != ITA.key_set
    for good in (GCS.key_set, ITA.key_set, NRAS.key_set, "https://abc.wus.attest.azure.net/certs"):
        assert is_address(good)
    for bad in (
        "",
        MAA.key_set,
        "https://abc.wus.attest.azure.net",
        "https://abc.wus.attest.azure.net/certs/",
        "https://abc.wus.attest.azure.net/certs?x",
        "https://abc.wus.attest.azure.net@stranger.example/certs",
        "https://stranger.example/.wus.attest.azure.net/certs",
        "http://abc.wus.attest.azure.net/certs",
        f"{GCS.key_set}#",
        "https://stranger.example/certs",
    ):
        assert not is_address(bad), bad


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_a_token_needs(services: dict[str, Service], kind) -> None:
    service = services[kind.service]
    found = needs([("token", evidence(kind, service))])
    if kind.certified:
        assert found == ()
    else:
        (request,) = found
        assert request.url == address(service.issuer, service.iss)
        assert request.kind is service.issuer.keys


def test_an_address_in_a_token_is_not_what_it_needs(services: dict[str, Service]) -> None:
    service = services["maa"]
    header = {"jku": "https://stranger.example/certs"}
    token = service.token(KINDS["maa-snp"].claims(NONCE), MADE, header=header)
    (request,) = needs([("token", token)])
    assert "stranger" not in request.url
    for iss in ("https://stranger.example", "https://a.eus.attest.azure.net.stranger.example"):
        with pytest.raises(Malformed):
            needs([("token", replace(service, iss=iss).token({}, MADE))])


def test_key_sets_are_fetched(services: dict[str, Service], site: Site) -> None:
    servers = Servers(tokens=site.base)
    for service in services.values():
        url = address(service.issuer, service.iss)
        site.put(url.removeprefix("https:/"), Answer(body=service.key_set()))
        request = Request(url=url, kind=service.issuer.keys, accept="application/json")
        item = fetch(request, servers=servers, sleep=lambda _: None, now=lambda: NOW)
        assert (item.kind, item.data) == (service.issuer.keys, service.key_set())
    for body in (b"", b"<html>", b'{"keys":[]}', b'{"keys":[{}]}', b"[" * 9999):
        site.put(GCS.key_set.removeprefix("https:/"), Answer(body=body))
        with pytest.raises(Unavailable, match="did not answer with what was asked for"):
            fetch(Request(url=GCS.key_set, kind=Kind.GCS_KEYS), servers=servers, now=lambda: NOW)


def test_a_redirection_is_not_followed(site: Site) -> None:
    where = {"Location": f"{site.base}/elsewhere"}
    site.put(GCS.key_set.removeprefix("https:/"), Answer(status=302, headers=where))
    request = Request(url=GCS.key_set, kind=Kind.GCS_KEYS)
    with pytest.raises(Unavailable, match="302"):
        fetch(request, servers=Servers(tokens=site.base), now=lambda: NOW)
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://stranger.example/certs",
        "https://abc.wus.attest.azure.net/keys",
        "http://abc.wus.attest.azure.net/certs",
        "file:///etc/passwd",
    ],
)
def test_other_addresses_are_not_asked(url: str, site: Site) -> None:
    request = Request(url=url, kind=Kind.MAA_KEYS)
    with pytest.raises(Misuse):
        fetch(request, servers=Servers(tokens=site.base), now=lambda: NOW)
    with pytest.raises(Misuse):
        fetch(replace(request, kind=Kind.AMD_CRL, url=GCS.key_set), servers=Servers())
    assert site.asked == []


def test_keys_change_often_and_are_asked_for_again(site: Site, tmp_path: Path) -> None:
    site.put(GCS.key_set.removeprefix("https:/"), Answer(body=ANY.key_set()))
    request = Request(url=GCS.key_set, kind=Kind.GCS_KEYS)

    def obtain(at: datetime) -> Collateral:
        def ask(one: Request) -> Item:
            return fetch(one, servers=Servers(tokens=site.base), now=lambda: at)

        return cache.obtain(
            [request],
            cache=cache.Cache(tmp_path / "cache"),
            seen=Seen(tmp_path / "seen.json"),
            now=at,
            fetch=ask,
        ).collateral

    obtain(NOW)
    obtain(NOW + timedelta(minutes=4))
    assert len(site.asked) == 1
    obtain(NOW + timedelta(minutes=6))
    assert len(site.asked) == 2
    site.down = True
    assert obtain(NOW + timedelta(hours=1)).items


def test_a_bundle_does_not_bring_its_own_judge(services: dict[str, Service]) -> None:
    """A key set in a bundle's collateral is of whoever made the bundle."""
    kind = KINDS["gcs"]
    stranger = Service.create("gcs", START)
    made = bundles.Bundle(
        evidence=evidence(kind, stranger), collateral=Collateral(items=(stranger.collateral(),))
    )
    opened = bundles.unpack(bundles.pack(made))
    report = troth.appraise(
        opened.evidence,
        policy=kind.policy,
        at=AT,
        nonce=NONCE,
        trust=services["gcs"].roots(),
        collateral=opened.beside(Collateral(items=(services["gcs"].collateral(),))),
    )
    assert report.verdict is not Verdict.ACCEPTED
    assert report.root_class is None


def test_bundles_keep_the_key_set_that_a_report_rests_on(services: dict[str, Service]) -> None:
    kind, service = KINDS["gcs"], services["gcs"]
    held = Collateral(items=(service.collateral(), services["ita"].collateral()))
    report = troth.appraise(
        evidence(kind, service),
        policy=kind.policy,
        at=AT,
        nonce=NONCE,
        trust=service.roots(),
        collateral=held,
    )
    (kept,) = bundles.used(held, report).items
    assert kept.data == service.key_set()
