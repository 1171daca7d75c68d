"""AWS Nitro Enclaves: attestation documents signed by the Nitro hypervisor."""

from typing import Final

from troth.model.platform import Platform
from troth.platforms.nitro import chain, claims, format, roots  # noqa: A004

PLATFORM: Final = Platform(
    name="nitro",
    title="AWS Nitro",
    unwrap=format.unwrap,
    parse=format.parse,
    genuine=chain.genuine,
    claims=claims.claims,
    roots=roots.vendor_roots,
    required=chain.REQUIRED,
    has_no=("revocation",),
    fields=format.fields,
)
