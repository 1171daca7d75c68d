"""Tokens on the command line: keys that are named, tokens that are looked at, policies out of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.platforms.tokens.made import AT, KINDS, NONCE, START, Kind, evidence
from tests.trust.server import Answer, Site, running

from troth.cli.main import run
from troth.platforms.tokens.issuers import GCS
from troth.platforms.tokens.simulate import Service
from troth.trust import load
from troth.verifier import bundle as bundles

WHEN = ["--at", AT.isoformat()]
ASKED = ["--nonce", NONCE.hex()]
ONE_OF_EACH = ("maa-snp", "gcs", "ita-tdx", "nras")


@dataclass(frozen=True)
class Desk:
    """Files as a person has them."""

    folder: Path
    kind: Kind

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def verify(self, *more: str, source: str = "token") -> int:
        named = ["--policy", self.path("policy.toml"), "--collateral", self.path("keys.json")]
        return run(["verify", self.path(source), *named, *WHEN, *ASKED, *more])

    @property
    def named(self) -> tuple[str, str]:
        return "--trust", self.path("keys.json")


@pytest.fixture(params=ONE_OF_EACH)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    kind = KINDS[request.param]
    service = Service.create(kind.service, START)
    (tmp_path / "token").write_bytes(evidence(kind, service) + b"\n")
    (tmp_path / "keys.json").write_bytes(service.key_set())
    (tmp_path / "policy.toml").write_text(kind.policy.to_toml())
    return Desk(tmp_path, kind)


def test_a_key_set_must_be_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.verify(*desk.named) == 0
    assert "development" in capsys.readouterr().out.splitlines()[0]
    # In hand is not named: nobody's key, or one whose certificates end at nobody's.
    assert desk.verify() in (1, 4)
    assert "G101" in capsys.readouterr().out


def test_a_token_is_looked_at(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", desk.path("token")]) == 0
    assert "iss: https://" in capsys.readouterr().out
    assert run(["trust", "show", desk.path("keys.json")]) == 0
    assert f"{desk.kind.service}-keys: 1 key" in capsys.readouterr().out


def test_a_policy_out_of_a_token(desk: Desk) -> None:
    pinned = desk.folder / "pinned.toml"
    pin = ["policy", "pin", desk.path("token"), *desk.named, "--collateral", desk.path("keys.json")]
    assert run([*pin, *WHEN, *ASKED, "-o", str(pinned)]) == 0
    text = pinned.read_text()
    (desk.folder / "policy.toml").write_text(text)
    assert desk.verify(*desk.named) == 4  # nobody has read it yet
    lines = [line for line in text.splitlines(keepends=True) if "unreviewed" not in line]
    (desk.folder / "policy.toml").write_text("".join(lines))
    assert desk.verify(*desk.named) == 0


def test_a_bundle_keeps_keys_and_is_judged_by_ones_own(desk: Desk) -> None:
    bundle = desk.path("token.troth")
    assert desk.verify(*desk.named, "--bundle", bundle) == 0
    kept = bundles.unpack(Path(bundle).read_bytes())
    assert [item.kind for item in kept.collateral.items] == [f"{desk.kind.service}-keys"]
    mine = ["verify", bundle, "--policy", desk.path("policy.toml"), *WHEN, *ASKED]
    assert run([*mine, *desk.named]) == 0
    assert run(mine) in (1, 4)  # its own key set is no reason
    assert run(["verify", bundle, "--replay"]) == 4


@pytest.fixture
def site() -> Iterator[Site]:
    with running() as found:
        yield found


@pytest.mark.usefixtures("home")
def test_what_a_token_needs_is_fetched(site: Site, tmp_path: Path) -> None:
    service = Service.create("gcs", datetime.now(UTC))
    (tmp_path / "token").write_bytes(service.token({}, datetime.now(UTC)))
    site.put(GCS.key_set.removeprefix("https:/"), Answer(body=service.key_set()))
    keys = tmp_path / "keys.json"
    update = ["trust", "update", "--for", str(tmp_path / "token"), "-o", str(keys)]
    assert run([*update, "--tokens", site.base]) == 0
    (item,) = load(keys).items
    assert item.data == service.key_set()
