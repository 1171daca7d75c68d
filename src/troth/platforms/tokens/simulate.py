"""Services that sign tokens, under development keys: true bytes, for tests and for work on a laptop.

What is here says the truth about nothing: claims are what the caller makes of them.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from troth.model.collateral import Item
from troth.model.roots import Root, RootClass
from troth.platforms.tokens import simulate_pki as pki
from troth.platforms.tokens.collateral import DEVELOPMENT_PREFIX, address, named
from troth.platforms.tokens.inner import pem
from troth.platforms.tokens.issuers import GCS, ISSUERS, ITA, MAA, NRAS, Issuer
from troth.platforms.tokens.simulate_pki import Holder, PrivateKey
from troth.wire.jose import to_url

TENANT: Final = "https://development.eus.attest.azure.net"
NAMES: Final[Mapping[str, str]] = {
    "maa": TENANT,
    "gcs": "https://confidentialcomputing.googleapis.com",
    "ita": "https://portal.trustauthority.intel.com",
    "nras": "https://nras.attestation.nvidia.com",
}
LIFE: Final[Mapping[str, timedelta]] = {
    "maa": timedelta(hours=8),
    "gcs": timedelta(hours=1),
    "ita": timedelta(minutes=5),
    "nras": timedelta(hours=1),
}
_SALT: Final = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service: its key, and the certificates above it, leaf first.

    Attributes:
        issuer: which.
        iss: how it names itself.
        key: what it signs with.
        kid: the key's name.
        path: certificates, the key's own first; of those that its key sets show. None for Google's.
        certified: certificates for tokens that carry them (Google's PKI kind), root last.
    """

    issuer: Issuer
    iss: str
    key: PrivateKey
    kid: str
    path: tuple[Holder, ...] = ()
    certified: tuple[Holder, ...] = field(default=())

    @classmethod
    def create(
        cls,
        name: str,
        now: datetime,
        *,
        iss: str = "",
        quote: Callable[[bytes], bytes] | None = None,
    ) -> Self:
        """A service with new keys.

        Args:
            name: `maa`, `gcs`, `ita` or `nras`.
            now: from when its certificates are valid.
            iss: how it names itself; empty is as its real sister does.
            quote: for Azure's: an SGX quote over 64 bytes of report data, to be put into the key's
                certificate; None puts none.
        """
        issuer = next(one for one in ISSUERS if one.name == name)
        iss = iss or NAMES[name]
        key = pki.p384_key() if issuer is NRAS else pki.rsa_key(3072 if issuer is ITA else 2048)
        digest = hashlib.sha256(pem(pki.spki(key)) + b"\0").digest()
        kid = DEVELOPMENT_PREFIX + digest.hex()[:32]
        if issuer is MAA:
            kid = base64.b64encode(digest).decode("ascii")
            inside = _with_header(quote(digest.ljust(64, b"\0"))) if quote else b""
            path: tuple[Holder, ...] = (pki.issue(iss, key, begin=now, quote=inside),)
            return cls(issuer=issuer, iss=iss, key=key, kid=kid, path=path)
        if issuer is GCS:
            return cls(issuer=issuer, iss=iss, key=key, kid=kid, certified=_path(key, now, "GCS"))
        if issuer is ITA:
            return cls(issuer=issuer, iss=iss, key=key, kid=kid, path=_path(key, now, "ITA"))
        root = pki.issue("Attestation Service CA", pki.p384_key(), begin=now, authority=True)
        middle = pki.issue(
            "GPU Intermediate", pki.p384_key(), begin=now, above=root, authority=True
        )
        leaf = pki.issue("GPU", key, begin=now, above=middle, authority=None)
        return cls(issuer=issuer, iss=iss, key=key, kid=kid, path=(leaf, middle))

    def jwk(self, **other: Any) -> dict[str, Any]:
        """The key as its set shows it: Azure's by its certificate alone, Google's by its numbers alone."""
        shown: dict[str, Any] = {"kid": self.kid, "kty": "EC" if self.issuer is NRAS else "RSA"}
        if self.issuer is not MAA:
            shown |= _numbers(self.key)
        if self.issuer in (GCS, ITA):
            shown |= {"alg": self.issuer.alg, "use": "sig"}
        if self.path:
            shown["x5c"] = [base64.b64encode(one.der).decode("ascii") for one in self.path]
        return shown | other

    def key_set(self, *more: Mapping[str, Any]) -> bytes:
        """The JWK set, with further keys in it."""
        return json.dumps({"keys": [self.jwk(), *more]}).encode("ascii")

    def discovery(self) -> bytes:
        """The document of OpenID Connect that says where the key set lies."""
        said = {
            "issuer": self.iss,
            "jwks_uri": address(self.issuer, self.iss),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.issuer.alg],
        }
        return json.dumps(said).encode("ascii")

    def collateral(self) -> Item:
        """The key set as a caller holds it."""
        return Item(kind=self.issuer.keys, data=self.key_set(), source="a simulated service")

    def roots(self) -> tuple[Root, ...]:
        """The key itself as a root, as `--trust FILE` makes one of the key set."""
        return named(self.key_set(), self.issuer.keys, source="a simulated service")

    def authority(self) -> Root:
        """The certificate at which the key's path ends, as `--trust FILE` makes a root of its PEM."""
        top = (self.path or self.certified)[-1]
        return Root(
            platform=self.issuer.name,
            sha256=hashlib.sha256(top.der).hexdigest(),
            key_sha256=hashlib.sha256(pki.spki(top.key)).hexdigest(),
            root_class=RootClass.DEVELOPMENT,
            source="a simulated authority",
        )

    def token(
        self,
        claims: Mapping[str, Any],
        at: datetime,
        *,
        header: Mapping[str, Any] | None = None,
        certified: bool = False,
    ) -> bytes:
        """A signed token over these claims, with issuer and times.

        Args:
            claims: what it says; they stand before issuer and times.
            at: when it is made.
            header: further members of the header; None as a value leaves one away.
            certified: whether it is of Google's kind that carries certificates.
        """
        made = int(at.timestamp())
        ends = made + int(LIFE[self.issuer.name].total_seconds())
        said = {"iss": self.iss, "iat": made, "nbf": made, "exp": ends, **claims}
        head: dict[str, Any] = {"alg": self.issuer.alg, "typ": "JWT"}
        if certified:
            head["x5c"] = [base64.b64encode(one.der).decode("ascii") for one in self.certified]
        else:
            head["kid"] = self.kid
        if self.issuer is MAA:
            head["jku"] = f"{self.iss}/certs"
        head = {
            name: value for name, value in (head | dict(header or {})).items() if value is not None
        }
        return self.signed(json.dumps(head).encode("ascii"), json.dumps(said).encode("ascii"))

    def signed(self, header: bytes, payload: bytes) -> bytes:
        """A token over exactly these bytes."""
        text = f"{to_url(header)}.{to_url(payload)}"
        return f"{text}.{to_url(self.signature(text.encode('ascii')))}".encode("ascii")

    def signature(self, signed: bytes) -> bytes:
        """What this service signs with, over these bytes."""
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA384())))
            return r.to_bytes(48, "big") + s.to_bytes(48, "big")
        if self.issuer is ITA:
            return self.key.sign(signed, _SALT, hashes.SHA384())
        return self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def bundle(
    service: Service,
    devices: Mapping[str, Mapping[str, Any]],
    at: datetime,
    *,
    nonce: bytes,
    result: bool = True,
) -> bytes:
    """An answer of NVIDIA's service: each device's token, and the one over all.

    Args:
        service: NVIDIA's.
        devices: name, such as `GPU-0`, to what its token says beside the nonce.
        at: when it is made.
        nonce: 32 bytes.
        result: what the token over all says.
    """
    carried = {"eat_nonce": nonce.hex()}
    bare = {"typ": None}
    tokens = {
        name: service.token({**said, **carried}, at, header=bare).decode("ascii")
        for name, said in devices.items()
    }
    overall = {
        "sub": "NVIDIA-PLATFORM-ATTESTATION",
        "x-nvidia-ver": "3.0",
        "x-nvidia-overall-att-result": result,
        "submods": {
            name: ["DIGEST", ["SHA-256", hashlib.sha256(text.encode("ascii")).hexdigest()]]
            for name, text in tokens.items()
        },
        **carried,
    }
    whole = service.token(overall, at, header=bare).decode("ascii")
    return json.dumps([["JWT", whole], tokens]).encode("ascii")


def _path(key: PrivateKey, now: datetime, name: str) -> tuple[Holder, ...]:
    root = pki.issue(f"{name} Root CA", pki.rsa_key(), begin=now, authority=True)
    middle = pki.issue(f"{name} Signing CA", pki.rsa_key(), begin=now, above=root, authority=True)
    return (pki.issue(f"{name} Signing", key, begin=now, above=middle), middle, root)


def _with_header(quote: bytes) -> bytes:
    """Open Enclave's header before a quote."""
    return (
        (1).to_bytes(4, "little")
        + (2).to_bytes(4, "little")
        + len(quote).to_bytes(8, "little")
        + quote
    )


def _numbers(key: PrivateKey) -> dict[str, Any]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"n": _whole(numbers.n), "e": _whole(numbers.e)}
    point = public.public_numbers()
    x, y = (to_url(number.to_bytes(48, "big")) for number in (point.x, point.y))
    return {"crv": "P-384", "x": x, "y": y}


def _whole(number: int) -> str:
    return to_url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
