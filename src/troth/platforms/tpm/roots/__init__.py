"""The pinned roots of clouds' attestation keys, and the root that an attestation key is itself.

Pinned by their keys. The certificates come with the evidence, or as collateral (`tpm-chain`): a virtual
TPM itself holds that of its attestation key alone.
"""

from datetime import UTC, datetime
from typing import Final

from troth.model.roots import Root, RootClass

AZURE: Final = "azure"
GOOGLE: Final = "google"
BOUND: Final = "bound"

# We read the vendors' pages again before this day.
_REVIEW: Final = datetime(2028, 1, 1, tzinfo=UTC)


def _root(name: str, *, key: str, certificate: str, not_after: datetime) -> Root:
    return Root(
        platform="tpm",
        sha256=certificate,
        key_sha256=key,
        root_class=RootClass.VENDOR,
        source=f"{name}, pinned in troth",
        not_after=not_after,
        review_by=_REVIEW,
    )


_AZURE_2023: Final = _root(
    "Azure Virtual TPM Root Certificate Authority 2023",
    key="5cbc52672ae101263c2976736044a964c1182ce9412c39937183baddcccb8cdf",
    certificate="e6c596b17f8ffefba5c300f714cfb1260c6028704ecf7becc4ab5018efb00e95",
    not_after=datetime(2048, 6, 1, 18, 15, 41, tzinfo=UTC),
)
_GOOGLE_2022: Final = _root(
    "Google's EK/AK CA Root",
    key="56a613f57126a385dd6949294e93b0b566f96ab0573be0c2368e6f5ca779831f",
    certificate="594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2",
    not_after=datetime(2122, 7, 8, 5, 57, 23, tzinfo=UTC),
)
_GOOGLE_2018: Final = _root(
    "Google's tpm_ek_v1_cloud_host_root",
    key="f23057f4f97d1d90e4cae0ce91d5a0fc99069f0a1bc147021dca33b1e9c4d0d9",
    certificate="9bd5285f8fb18502a7947e621ffd470266f49fcd3b73e19a190f690ad32a7caf",
    not_after=datetime(2118, 4, 6, 18, 58, 26, tzinfo=UTC),
)
_ISSUERS: Final = {_AZURE_2023: AZURE, _GOOGLE_2022: GOOGLE, _GOOGLE_2018: GOOGLE}
_BY_KEY: Final = {root.key_sha256: issuer for root, issuer in _ISSUERS.items()}


def vendor_roots() -> tuple[Root, ...]:
    """The built-in roots of this platform: Azure's of 2023, Google's of 2018 and 2022."""
    return tuple(_ISSUERS)


def issuer(root: Root) -> str:
    """`azure` or `google` for a root of a built-in key, whoever names it; empty for any other."""
    return _BY_KEY.get(root.key_sha256, "")
