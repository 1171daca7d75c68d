"""A guest of dstack with its key service, in Python: what it measured, its quotes, its keys.

Does not isolate anything. Keys follow from one root by the protocol's derivation, and signatures are true;
whoever holds the guest holds them all.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from troth.channel.services.simulate._loopback import new_key, spki_of
from troth.errors import Misuse
from troth.model.collateral import Collateral
from troth.model.roots import Root
from troth.platforms.dcap.simulate import DevelopmentPki, QuoteKind
from troth.platforms.dcap.simulate_bodies import digest
from troth.platforms.tdx import dstack, dstack_config, dstack_keys
from troth.platforms.tdx.dstack import KeyProvider

COMPOSITION: Final = b'{"manifest_version":2,"name":"troth-development","runner":"docker-compose"}'
INSTANCE: Final = bytes(range(20))
IMAGE: Final = hashlib.sha256(b"troth development: dstack image").digest()
_ACTION: Final = 0x8000_0007  # EV_EFI_ACTION, whose digest is over its payload
_BOOTED: Final = ((0, b"firmware"), (1, b"kernel"), (2, b"command line"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What `GetKey` gives.

    Attributes:
        secret: 32 bytes.
        public: compressed, or 32 bytes of Ed25519.
        chain: two signatures.
    """

    secret: bytes
    public: bytes
    chain: tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class DstackGuest:
    """One guest.

    Attributes:
        pki: who plays Intel.
        root: the key service's root key on secp256k1, 32 bytes.
        authority: SubjectPublicKeyInfo (DER) of the key service's CA, which the guest measures.
        composition: `app-compose.json` as deployed.
        app_id: 20 bytes.
        form: of MRCONFIGID: 1, 2 or 3; 0 for none.
        entries: the event log.
        fields: what its quotes say otherwise.
    """

    pki: DevelopmentPki = field(repr=False)
    root: bytes = field(repr=False)
    authority: bytes
    composition: bytes
    app_id: bytes
    form: int
    entries: tuple[dict[str, Any], ...]
    fields: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        now: datetime,
        *,
        composition: bytes = COMPOSITION,
        app_id: bytes | None = None,
        form: int = 1,
        root: bytes | None = None,
        pki: DevelopmentPki | None = None,
    ) -> Self:
        """A guest on a machine of its own, with a key service of its own.

        Args:
            now: the present instant.
            composition: what was deployed.
            app_id: where it is not the first bytes of the composition's hash.
            form: of MRCONFIGID.
            root: the key service's root key, to have several guests under one.
            pki: the same for Intel's part.
        """
        hashed = hashlib.sha256(composition).digest()
        app_id = hashed[:20] if app_id is None else app_id
        authority = spki_of(new_key())
        provider = {"name": "kms", "id": authority.hex()}
        measured = {
            "system-preparing": b"",
            "app-id": app_id,
            "compose-hash": hashed,
            "instance-id": INSTANCE,
            "boot-mr-done": b"",
            "os-image-hash": IMAGE,
            "key-provider": json.dumps(provider, separators=(",", ":")).encode(),
            "storage-fs": b"zfs",
            "system-ready": b"",
        }
        booted = [_boot(index, payload) for index, payload in _BOOTED]
        return cls(
            pki=DevelopmentPki.create(now) if pki is None else pki,
            root=_scalar() if root is None else root,
            authority=authority,
            composition=composition,
            app_id=app_id,
            form=form,
            entries=(*booted, *(event(name, payload) for name, payload in measured.items())),
        )

    @property
    def log(self) -> str:
        """The event log as JSON text."""
        return json.dumps(list(self.entries))

    @property
    def document(self) -> bytes:
        """The configuration document of MRCONFIGID's form 3, in canonical form."""
        value = {
            "version": 3,
            "app_id": self.app_id.hex(),
            "compose_hash": hashlib.sha256(self.composition).hexdigest(),
            "key_provider": "kms",
            "key_provider_id": self.authority.hex(),
            "instance_id": INSTANCE.hex(),
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    @property
    def registers(self) -> dict[str, bytes]:
        """Everything that identifies what runs, by name."""
        replayed = dstack.replay(self.log).registers
        found = {"mrtd": digest("mrtd"), **replayed}
        if self.form:
            found["mrconfigid"] = self._config_id()
        return found | {name: value for name, value in self.fields.items() if name in found}

    @property
    def roots(self) -> tuple[Root, ...]:
        """As verifiers take them."""
        return self.pki.roots()

    @property
    def collateral(self) -> Collateral:
        """Everything that judging its quotes needs."""
        return self.pki.collateral()

    @property
    def root_public(self) -> bytes:
        """The root's public key, compressed."""
        return public_of(self.root)

    @property
    def application_key(self) -> bytes:
        """The application's key on secp256k1, 32 bytes."""
        return dstack_keys.derive(self.root, self.app_id, b"app-key")

    def quote(self, report_data: bytes) -> bytes:
        """A quote; report data is filled up with zeros."""
        if len(report_data) > 64:
            raise Misuse("report data is at most 64 bytes")
        fields = {**self.registers, "reportdata": report_data.ljust(64, b"\0")}
        return self.pki.quote(QuoteKind.TDX_4, fields=fields | dict(self.fields))

    def key(self, path: str, purpose: str, algorithm: str = "secp256k1") -> Key:
        """A key by path and purpose, with its chain.

        Raises:
            Misuse: an algorithm that there is not.
        """
        secret = dstack_keys.derive(self.application_key, path.encode())
        match algorithm:
            case "secp256k1" | "k256" | "":
                public = public_of(secret)
            case "ed25519":
                held = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
                public = held.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            case _:
                raise Misuse(f"there is no algorithm {algorithm!r}")
        application = self.application_key
        issued = dstack_keys.issued_digest(self.app_id, public_of(application))
        chain = (
            sign(application, dstack_keys.purpose_digest(purpose, public)),
            sign(self.root, issued),
        )
        return Key(secret=secret, public=public, chain=chain)

    def signed(self, algorithm: str, data: bytes) -> tuple[bytes, Key]:
        """A signature by the key for that, as `/Sign` makes it, and the key.

        Raises:
            Misuse: an algorithm that there is not, or a digest of another size.
        """
        base = algorithm.removesuffix("_prehashed")
        held = self.key(dstack_keys.SIGNING_PATH, dstack_keys.SIGNING_PURPOSE, base)
        if algorithm == "ed25519":
            key = ed25519.Ed25519PrivateKey.from_private_bytes(held.secret)
            return key.sign(data), held
        hashed = data if algorithm.endswith("_prehashed") else hashlib.sha256(data).digest()
        if len(hashed) != 32:
            raise Misuse(f"a digest is 32 bytes, not {len(data)}")
        return sign(held.secret, hashed)[:64], held

    def _config_id(self) -> bytes:
        hashed = hashlib.sha256(self.composition).digest()
        match self.form:
            case 1:
                return dstack.config_id(hashed)
            case 2:
                provider = KeyProvider(name="kms", id=self.authority.hex())
                return dstack_config.form_2(hashed, self.app_id, provider)
            case _:
                return dstack_config.form_3(self.document)


def event(name: str, payload: bytes) -> dict[str, Any]:
    """A runtime event of version 1."""
    return {
        "imr": 3,
        "event_type": dstack.RUNTIME,
        "digest": dstack.digest(name, payload, 1).hex(),
        "event": name,
        "event_payload": payload.hex(),
    }


def public_of(secret: bytes) -> bytes:
    """The public key of a secret on secp256k1, compressed."""
    found: bytes = _curve().PrivateKey(secret).public_key.format(compressed=True)
    return found


def sign(secret: bytes, digest_32: bytes) -> bytes:
    """A recoverable signature over a digest: r ‖ s ‖ recovery id."""
    found: bytes = _curve().PrivateKey(secret).sign_recoverable(digest_32, hasher=None)
    return found


def _boot(index: int, payload: bytes) -> dict[str, Any]:
    return {
        "imr": index,
        "event_type": _ACTION,
        "digest": hashlib.sha384(payload).hexdigest(),
        "event": "",
        "event_payload": payload.hex(),
    }


def _scalar() -> bytes:
    # Below the group's order but for one draw in 2^128.
    return secrets.token_bytes(32)


def _curve() -> Any:
    return import_module("coincurve")
