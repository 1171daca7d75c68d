"""The pinned AWS root: the digest that it must have, where it is from, until when we vouch for it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from troth.model.roots import Root, RootClass

_AWS: Final = Root(
    platform="nitro",
    sha256="641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
    root_class=RootClass.VENDOR,
    source="AWS Nitro Enclaves root (CN=aws.nitro-enclaves), pinned in troth",
    not_after=datetime(2049, 10, 28, 14, 28, 5, tzinfo=UTC),
    # We read the vendor's page again before this day.
    review_by=datetime(2028, 1, 1, tzinfo=UTC),
)


_AWS_TPM: Final = replace(_AWS, platform="nitrotpm")


def vendor_roots() -> tuple[Root, ...]:
    """The built-in roots of this platform: one, of the commercial partition.

    The roots of AWS's China and GovCloud partitions are not built in; pass them by file.
    """
    return (_AWS,)


def tpm_roots() -> tuple[Root, ...]:
    """The same root, for NitroTPM's documents."""
    return (_AWS_TPM,)
