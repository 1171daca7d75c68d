"""The pinned Intel root: by its key, since Intel has issued its certificate anew under the same one."""

from datetime import UTC, datetime
from typing import Final

from troth.model.roots import Root, RootClass

_KEY: Final = "a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e"
_CERTIFICATE: Final = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"


def _intel(platform: str) -> tuple[Root, ...]:
    return (
        Root(
            platform=platform,
            sha256=_CERTIFICATE,
            key_sha256=_KEY,
            root_class=RootClass.VENDOR,
            source="Intel SGX Root CA, pinned in troth by its key",
            not_after=datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),
            # We read the vendor's page again before this day.
            review_by=datetime(2028, 1, 1, tzinfo=UTC),
        ),
    )


def sgx() -> tuple[Root, ...]:
    """The built-in roots for SGX."""
    return _intel("sgx")


def tdx() -> tuple[Root, ...]:
    """The built-in roots for TDX: the same key."""
    return _intel("tdx")
