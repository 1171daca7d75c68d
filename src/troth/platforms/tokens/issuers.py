"""The services whose tokens are read: by which name they sign, with which algorithm, where keys lie."""

import re
from dataclasses import dataclass
from typing import Final

from troth.model.collateral import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One service.

    Attributes:
        name: the platform's name.
        title: for people.
        iss: what `iss` must be, whole.
        alg: the only algorithm that counts.
        keys: the kind of collateral that its key sets are.
        key_set: where its key set lies; `{iss}` stands for the token's own issuer, which `iss` has
            matched. No other address is ever made, least of all out of a header.
        certified: whether its tokens may carry their certificates in the header (`x5c`), and no `kid`.
    """

    name: str
    title: str
    iss: re.Pattern[str]
    alg: str
    keys: Kind
    key_set: str
    certified: bool = False


MAA: Final = Issuer(
    name="maa",
    title="Azure Attestation",
    # TENANT.REGION: whoever has a subscription can have a tenant, and write its policy.
    iss=re.compile(r"https://[a-z0-9]{3,24}\.[a-z0-9]{2,16}\.attest\.azure\.net"),
    alg="RS256",
    keys=Kind.MAA_KEYS,
    key_set="{iss}/certs",
)
GCS: Final = Issuer(
    name="gcs",
    title="Google Cloud Attestation",
    iss=re.compile(r"https://confidentialcomputing\.googleapis\.com"),
    alg="RS256",
    keys=Kind.GCS_KEYS,
    key_set=(
        "https://www.googleapis.com/service_accounts/v1/metadata/jwk/"
        "signer@confidentialspace-sign.iam.gserviceaccount.com"
    ),
    certified=True,
)
ITA: Final = Issuer(
    name="ita",
    title="Intel Trust Authority",
    iss=re.compile(
        r"Intel Trust Authority|https://portal(?:\.eu)?\.trustauthority\.intel\.com",
    ),
    alg="PS384",
    keys=Kind.ITA_KEYS,
    key_set="https://portal.trustauthority.intel.com/certs",
)
NRAS: Final = Issuer(
    name="nras",
    title="NVIDIA Remote Attestation Service",
    iss=re.compile(r"https://nras\.attestation\.nvidia\.com"),
    alg="ES384",
    keys=Kind.NRAS_KEYS,
    key_set="https://nras.attestation.nvidia.com/.well-known/jwks.json",
)
ISSUERS: Final = (MAA, GCS, ITA, NRAS)
