"""Tinfoil's package against our simulator, and ours against the same: they must agree, case by case.

And the package that it encrypts bodies with, against ours in both directions.
"""

import base64
import dataclasses
import gzip
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from tests.channel.services import tinfoil_peers as peers

import troth
from troth.channel import ehbp
from troth.channel.services import tinfoil
from troth.channel.services import tinfoil_release as releases
from troth.channel.services.simulate.sigstore import Sigstore, statement
from troth.channel.services.simulate.tinfoil import HOST, Enclave
from troth.channel.web import Web
from troth.errors import TrothError
from troth.model.channel import Binding
from troth.model.check import Waiver
from troth.platforms.snp import simulate_pki
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import Processor
from troth.platforms.snp.simulate_pki import DevelopmentPki, to_pem
from troth.policy import Policy
from troth.wire import json

pytestmark = pytest.mark.peers

NOW = datetime.now(UTC)
CODE = b"\x5a" * 48
WHO = releases.Identity(repository="owner/model", tag="v1.2.3", workflow="build.yml")
DIGEST = "ab" * 32
_TSME = 0x27  # what their client wants of a platform: memory encrypted as a whole, too


@dataclasses.dataclass
class Case:
    """One enclave and the release that is fetched for it.

    `why` is what their refusal says and what ours says, or None where both are to believe it.
    """

    why: tuple[str, str] | None
    enclave: Enclave
    bundle: bytes
    transport: str = "ehbp"


@pytest.fixture(scope="module")
def processor() -> Iterator[Processor]:
    """A Genoa of a vendor with AMD's name, which their client reads in certificates."""
    name = (*simulate_pki._NAME[:-1], (*simulate_pki._NAME[-1][:2], "Advanced Micro Devices"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate_pki, "_NAME", name)
        pki = DevelopmentPki.create(Product.GENOA, NOW - timedelta(days=1))
        yield Processor.create(pki, NOW - timedelta(days=1))


@pytest.fixture(scope="module")
def instance() -> Sigstore:
    return Sigstore.create(NOW)


@pytest.fixture(scope="module")
def cases(processor: Processor, instance: Sigstore) -> Iterator[dict[str, Case]]:
    def attest(**fields: Any) -> Callable[[bytes], bytes]:
        said = {"measurement": CODE, "platform_info": _TSME} | fields
        return lambda data: processor.report(report_data=data, **said)

    def flipped(data: bytes) -> bytes:
        report = bytearray(attest()(data))
        report[0x2A0] ^= 1  # in the signature
        return bytes(report)

    def bundle(code: bytes = CODE, who: releases.Identity = WHO, **changes: Any) -> bytes:
        measured = {
            "snp_measurement": code.hex(),
            "tdx_measurement": {"rtmr1": "22" * 48, "rtmr2": "33" * 48},
        }
        kind = changes.pop("kind", releases.RELEASE)
        said = statement(kind, measured, digest=changes.pop("digest", DIGEST))
        return instance.sign(said, who, at=NOW, **changes)

    def bomb(_: bytes | None, true: bytes) -> bytes:
        body = base64.b64encode(gzip.compress(bytes(20_000_000))).decode()
        return json.canonical(json.parse(true, field="") | {"body": body})

    def made(attest: Callable[[bytes], bytes], **how: Any) -> Enclave:
        return Enclave(attest, version=2, **how)

    good = made(attest())
    payload = base64.b64decode(json.parse(bundle(), field="")["dsseEnvelope"]["payload"])
    elsewhere = Sigstore.create(NOW).sign(json.parse(payload, field=""), WHO, at=NOW)
    migratable = attest(policy=0x70000, report_id_ma=b"\x11" * 32)
    open_enclaves = {
        "good": Case(None, good, bundle()),
        "good, by TLS": Case(None, good, bundle(), transport="tls"),
        "another image": Case(("Mismatch", "M201"), good, bundle(b"\x11" * 48)),
        "another repository's": Case(
            ("WorkflowRepository", "SourceRepositoryURI"),
            good,
            bundle(who=dataclasses.replace(WHO, repository="other/model")),
        ),
        "another tag's": Case(
            ("WorkflowRef", "RepositoryRef"), good, bundle(who=dataclasses.replace(WHO, tag="v9"))
        ),
        "another artefact's": Case(("Digest mismatch", "is about"), good, bundle(digest="cd" * 32)),
        "another issuer's": Case(
            ("OIDCIssuer", "OIDCIssuer"), good, bundle(says={8: "https://issuer.example"})
        ),
        "another kind of statement": Case(
            ("predicate type", "predicateType"), good, bundle(kind=releases.HARDWARE)
        ),
        "another Sigstore's": Case(("chain", "chain"), good, elsewhere),
        "signature changed": Case(("verification failed", "G104"), made(flipped), bundle()),
        "debug": Case(("debug", "P101"), made(attest(policy=0xB0000)), bundle()),
        "migration agent": Case(("migration agent", "P204"), made(migratable), bundle()),
        "another chip's id": Case(
            ("HWID", "G301"), made(attest(chip_id=bytes(range(64)))), bundle()
        ),
        "bomb": Case(("maximum size", "longer"), made(attest(), present=bomb), bundle()),
        "another's document, by TLS": Case(
            ("fingerprint mismatch", "B501"),
            made(attest(), present=lambda *_: good.document(None)),
            bundle(),
            transport="tls",
        ),
        # Theirs wants the flag away; ours asks whether there is an agent.
        "migration allowed, and no agent": Case(
            ("migration agent", ""), made(attest(policy=0x70000)), bundle()
        ),
    }
    yield open_enclaves
    for enclave in {id(case.enclave): case.enclave for case in open_enclaves.values()}.values():
        enclave.close()


@pytest.fixture(scope="module")
def theirs(
    cases: dict[str, Case],
    processor: Processor,
    instance: Sigstore,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("home")
    root = folder / "trusted_root.txt"
    root.write_bytes(instance.trusted_root())
    bundles = {name: case.bundle for name, case in cases.items()}
    bundles["chat"] = cases["good"].bundle

    def fetched(path: str, case: str) -> tuple[bytes, dict[str, str]] | None:
        if path == "/vcek":
            return processor.endorsement, {}
        return peers.github(path, WHO, DIGEST, bundles[case])

    services = peers.Fetched(fetched)
    asked = {
        name: {
            "enclave": case.enclave.url.replace("https://127.0.0.1", HOST),
            "repository": WHO.repository,
            "do": "verify",
            "transport": case.transport,
        }
        for name, case in cases.items()
    }
    asked["chat"] = asked["good"] | {"do": "chat", "words": "one two three"}
    given = {
        "ark": to_pem(processor.pki.ark).decode(),
        "ask": to_pem(processor.pki.ask).decode(),
        "services": services.url,
        "trusted_root": str(root),
        "cases": asked,
    }
    try:
        certificates = to_pem(*{case.enclave.certificate for case in cases.values()})
        return peers.driven(given, certificates, folder)
    finally:
        services.close()


def ours(case: Case, processor: Processor, instance: Sigstore) -> dict[str, Any]:
    """What we say of the same host and the same bundle: the keys, or why not."""
    try:
        release = releases.release(
            case.bundle, identity=WHO, trusted_root=instance.trusted_root(), digest=DIGEST
        )
        policy = Policy(name="caller", channel=Binding.KEY).expecting(
            releases.measurements(release), name="release"
        )
        with Web(case.enclave.url, seconds=10) as web:
            found = tinfoil.ask(web, bytes(32))
        assert found is not None
        report = troth.appraise(
            found.composite,
            policy=policy,
            at=datetime.now(UTC),
            trust=[processor.pki.root()],
            collateral=processor.collateral(NOW - timedelta(hours=1)),
            waive=frozenset({Waiver.FRESHNESS}),  # their version 2 has none
            channel=found.binding,
        )
    except TrothError as error:
        return {"refused": str(error)}
    wrong = [c for c in report.checks if c.outcome in ("failed", "undecided")]
    if wrong:
        return {"refused": [f"{c.code.id} {c.why or c.presented}" for c in wrong]}
    return {role: key.hex() for role, key in found.keys.items()}


NAMES = (
    *("good", "good, by TLS", "another image", "another repository's", "another tag's"),
    *("another artefact's", "another issuer's", "another kind of statement", "another Sigstore's"),
    *("signature changed", "debug", "migration agent", "another chip's id", "bomb"),
    *("another's document, by TLS", "migration allowed, and no agent"),
)


def test_all_cases_have_a_name(cases: dict[str, Case]) -> None:
    assert set(NAMES) == set(cases)


@pytest.mark.parametrize("name", NAMES)
def test_their_client_and_ours_say_the_same(
    name: str,
    cases: dict[str, Case],
    theirs: dict[str, Any],
    processor: Processor,
    instance: Sigstore,
) -> None:
    case, they, we = cases[name], theirs[name], ours(cases[name], processor, instance)
    for said, words in zip((they, we), case.why or ("", ""), strict=True):
        assert ("refused" in said) == bool(words), said
        assert words in str(said.get("refused", ""))
    if case.why is None:
        assert they["hpke"] == we["hpke"] == case.enclave.receiver.key.hex()


def test_their_client_chats_with_our_enclave_over_encrypted_bodies(theirs: dict[str, Any]) -> None:
    said = theirs["chat"]
    assert "refused" not in said, said
    assert said["whole"].lower() == "you said: one two three"
    assert "".join(said["pieces"]).strip().lower() == "you said: one two three"
    assert len(said["pieces"]) > 3


def test_their_encryption_reads_what_ours_writes_and_ours_what_theirs_does(tmp_path: Path) -> None:
    private = X25519PrivateKey.generate()
    receiver = ehbp.Receiver(private)
    exchange = ehbp.Exchange(receiver.key)
    body = bytes(range(256)) * 600  # three frames
    given = {
        "keys": ehbp.write_keys(receiver.key).hex(),
        "private": private.private_bytes_raw().hex(),
        "encapsulated": exchange.headers[ehbp.ENCAPSULATED],
        "frames": b"".join(exchange.seal([body])).hex(),
        "body": body[::-1].hex(),
    }
    said = peers.run("ehbp", "ehbp_client.py", given, {"HOME": str(tmp_path)})
    assert bytes.fromhex(said["opened"]) == body
    assert ehbp.read_keys(bytes.fromhex(said["keys"])) == receiver.key
    theirs = [(ehbp.ENCAPSULATED, said["encapsulated"])]
    received = receiver.request(theirs, [bytes.fromhex(said["frames"])])
    assert received is not None
    assert b"".join(received.pieces) == body[::-1]
