"""`troth verify https://…` of somebody else's service: what it speaks is found out, and said."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from tests.channel.services.stage import now

from troth.channel.services.simulate import dstack as dstack_made
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate._loopback import NOT_FOUND, Loopback, identity
from troth.channel.services.simulate.aci import Aci
from troth.channel.services.simulate.dstack_guest import DstackGuest
from troth.channel.services.simulate.phala import Phala
from troth.cli import _collateral
from troth.cli.main import run
from troth.model.channel import Binding
from troth.model.collateral import Kind
from troth.policy import Policy
from troth.render.json import schema_text
from troth.trust import collateral as files
from troth.verifier.bundle import unpack


class Files:
    """A policy, roots and collateral as files, and the flags that name them."""

    def __init__(self, folder: Path, guest: Guest | DstackGuest) -> None:
        self.folder = folder
        registers = {
            name: value if isinstance(value, str) else value.hex()
            for name, value in guest.registers.items()
        }
        self.policy = Policy(
            name="service",
            registers={"tdx": {name: frozenset({value}) for name, value in registers.items()}},
            channel=Binding.KEY,
        )
        (folder / "root.pem").write_bytes(guest.pki.roots_pem())
        (folder / "collateral.json").write_bytes(files.freeze(guest.collateral))

    def flags(self, **changes: object) -> list[str]:
        path = self.folder / "p.policy.toml"
        path.write_text(replace(self.policy, **changes).to_toml())
        return [
            f"--policy={path}",
            f"--trust={self.folder / 'root.pem'}",
            f"--collateral={self.folder / 'collateral.json'}",
        ]


@pytest.fixture(scope="module")
def guest() -> Guest:
    return Guest.create(now())


@pytest.fixture
def aci(guest: Guest) -> Iterator[Aci]:
    with Aci(guest=guest) as server:
        yield server


def test_an_ai_service_is_accepted_and_described(
    aci: Aci, guest: Guest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = Files(tmp_path, guest).flags()
    assert run(["verify", aci.url, *flags]) == 0
    text = capsys.readouterr().out
    assert text.startswith("✓ accepted   development · Intel TDX")
    assert "model_weights_provenance" in text
    assert "spoke" in text and "aci" in text
    assert run(["verify", aci.url, *flags, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, json.loads(schema_text()))
    said = {one["name"]: one["status"] for one in document["statements"]}
    assert said["model_weights_provenance"] == said["gpu_attested"] == "unknown"
    # A development root stands for no hardware, so nobody attested a TEE here.
    assert said["tee_attested"] == "unknown"


def test_a_session_is_wanted_unless_the_policy_says_otherwise(
    aci: Aci, guest: Guest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = Files(tmp_path, guest).flags(channel=Binding.SESSION)
    assert run(["verify", aci.url, *flags]) == 1
    text = capsys.readouterr().out
    assert "error[B302]" in text
    assert '[binding] channel = "key"' in text


def test_the_bundle_of_a_service(aci: Aci, guest: Guest, tmp_path: Path) -> None:
    """Its answers are kept as they came; only a nonce of the reader's own would make them fresh."""
    flags, bundle = Files(tmp_path, guest).flags(), tmp_path / "b.troth"
    assert run(["verify", aci.url, *flags, "--bundle", str(bundle), "-q"]) == 0
    maker = unpack(bundle.read_bytes()).maker
    assert maker is not None and maker.nonce is not None
    assert run(["verify", str(bundle), "--replay", "-q"]) == 4
    assert run(["verify", str(bundle), *flags, "-q"]) == 4
    assert run(["verify", str(bundle), *flags, "--waive", "freshness", "-q"]) == 6
    assert run(["verify", str(bundle), *flags, "--nonce", maker.nonce.hex(), "-q"]) == 0
    assert run(["verify", str(bundle), *flags, "--nonce", "11" * 32, "-q"]) == 1
    # Nothing among those answers names such a key.
    assert run(["verify", str(bundle), *flags, "--key", "11" * 32, "-q"]) in (1, 4)
    changed = bytearray(bundle.read_bytes())
    changed[changed.index(b"workload_keyset_digest") + 30] ^= 1
    bundle.write_bytes(changed)
    assert run(["verify", str(bundle), *flags, "--nonce", maker.nonce.hex(), "-q"]) in (1, 3)


def test_a_certificate_without_freshness(tmp_path: Path) -> None:
    guest = DstackGuest.create(now())
    flags = Files(tmp_path, guest).flags()
    with dstack_made.serve(guest, now()) as server:
        url = server.url
        assert run(["verify", url, *flags, "-q"]) == 4
        assert run(["verify", server.url, *flags, "--waive", "freshness", "-q"]) == 6
        assert run(["verify", server.url, *flags, "--service", "dstack", "-q"]) == 4
        assert run(["verify", server.url, *flags, "--service", "oyster", "-q"]) == 5
        assert run(["verify", server.url, *flags, "--service", "nobody", "-q"]) == 2
        assert run(["verify", server.url, *flags, "--key", "00" * 7, "-q"]) == 2
        assert run(["verify", server.url, *flags, "--key", "11" * 32, "-q"]) == 4
    assert run(["verify", url, *flags, "-q"]) == 5


def test_plain_http(tmp_path: Path) -> None:
    guest = DstackGuest.create(now())
    flags = Files(tmp_path, guest)
    with dstack_made.agent(guest) as server:
        assert run(["verify", server.url, *flags.flags(channel=Binding.NONE), "-q"]) == 0
        assert run(["verify", server.url, *flags.flags(), "-q"]) == 1


def test_a_host_that_attests_nothing(tmp_path: Path, guest: Guest) -> None:
    with Loopback(lambda _: NOT_FOUND, identity=identity(now())) as server:
        assert run(["verify", server.url, *Files(tmp_path, guest).flags()]) == 5


def test_whose_address_is_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wallet's address that an agent claims: bound by its tag, or not, and who else could hold it."""
    with Phala() as server:
        flags = Files(tmp_path, server.guest).flags(channel=Binding.ANSWER)
        address = "0x" + server.address("ecdsa").hex()
        assert run(["verify", server.url, *flags, "--key", address]) == 0
        text = capsys.readouterr().out
        for name in ("key_bound", "key_made_inside", "owner_could_hold", "operator_could_hold"):
            assert name in text
        other = "0x" + "12" * 20
        # Another key may be one more of this service's; nothing here says that it is.
        assert run(["verify", server.url, *flags, "--key", other]) == 4
        assert "undecided[B201]" in capsys.readouterr().out
        assert run(["verify", server.url, *flags, "--key", "0x1234", "-q"]) == 2
        strict = Files(tmp_path, server.guest).flags(channel=Binding.ANSWER, require_key=True)
        assert run(["verify", server.url, *strict, "-q"]) == 4
        assert run(["verify", server.url, *strict, "--key", address, "-q"]) == 0
    assert run(["verify", server.url, *flags, "--key-root", address, "-q"]) == 2


def test_a_service_is_pinned_and_inspected(
    aci: Aci, guest: Guest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, flags = tmp_path / "pinned.toml", Files(tmp_path, guest).flags()[1:]
    assert run(["policy", "pin", aci.url, *flags, "-o", str(made)]) == 0
    text = made.read_text()
    assert "unreviewed = true" in text and 'channel = "key"' in text
    assert run(["verify", aci.url, f"--policy={made}", *flags, "-q"]) == 4
    made.write_text(text.replace("unreviewed = true", ""))
    assert run(["verify", aci.url, f"--policy={made}", *flags, "-q"]) == 0
    assert run(["policy", "pin", aci.url, *flags, "--nonce", "11" * 32]) == 2
    assert run(["policy", "pin", aci.url]) == 1  # nobody whom we trust signed this
    bundle = tmp_path / "b.troth"
    assert run(["verify", aci.url, f"--policy={made}", *flags, "--bundle", str(bundle), "-q"]) == 0
    capsys.readouterr()
    for source in (aci.url, str(bundle)):
        assert run(["inspect", source]) == 0
        shown = capsys.readouterr().out
        assert "body.mrtd" in shown and "nothing above was verified" in shown
        assert "not_bound" in shown
        assert run(["inspect", source, "--json"]) == 0
        json.loads(capsys.readouterr().out)


def test_what_a_service_needs_is_known_from_its_answers(
    aci: Aci, guest: Guest, tmp_path: Path
) -> None:
    flags, bundle = Files(tmp_path, guest).flags(), tmp_path / "b.troth"
    assert run(["verify", aci.url, *flags, "--bundle", str(bundle), "-q"]) == 0
    asked = {
        source: _collateral.needs([source], early=False, product="")
        for source in (aci.url, str(bundle))
    }
    live, kept = asked.values()
    assert live == kept
    assert {request.kind for request in live} >= {Kind.INTEL_TCB_INFO, Kind.INTEL_PCK_CRL}
