"""The pinned authorities of the services that have public ones; see decision 0014.

Google's and Intel's have none that troth could look at: their keys count where a caller names them.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from troth.model.roots import Root, RootClass
from troth.wire import x509

# We read the vendors' pages again before this day.
_REVIEW: Final = datetime(2028, 1, 1, tzinfo=UTC)


def _authority(
    platform: str, name: str, certificate: str, key: str, not_after: datetime | None
) -> Root:
    return Root(
        platform=platform,
        sha256=certificate,
        key_sha256=key,
        root_class=RootClass.VENDOR,
        source=f"CN={name}, pinned in troth",
        not_after=not_after,
        review_by=_REVIEW,
    )


# The authority of this one service, below Microsoft's root, which stands above much else.
_MAA: Final = _authority(
    "maa",
    "Microsoft Azure Attestation PCA 2019",
    "d8a4236a2bd59061d008139d2071ea7bef642e1b959a0ce6626666b43bd2c095",
    "9ab67a5d1926476a794bcb4fa6cd74faa1486cd05931010aa7bbf1f57f1a8f58",
    datetime(2034, 5, 30, 22, 58, 52, tzinfo=UTC),
)
# NVIDIA's root is not in its key sets and not published; these sign the service's keys of two days.
_NRAS_002: Final = _authority(
    "nras",
    "NVIDIA Attestation Service GPU Intermediate 002",
    "dd7b6aa74fdbb74a38baa0413726e733d415de22e445a3f6efe2cebe2cfd8703",
    "47277eed6a87671def0ec16c31bcf36e97893f4a492e87a321b1e13d46f91302",
    datetime(2025, 12, 14, tzinfo=UTC),
)
_NRAS_003: Final = _authority(
    "nras",
    "NVIDIA Attestation Service GPU Intermediate 003",
    "c76ceed40610efa606864db52c167fbbd6c819de2c0ea5c01acb47ce9e5dc54d",
    "bb2df2da5accb4c424c9ba3c968daefa4838f77b2d278bc1aa305d051df0c122",
    datetime(2029, 12, 8, tzinfo=UTC),
)

# The organisation in every certificate of troth's simulators.
_SIMULATED: Final = b"troth development"

DEVELOPMENT_KEYS: Final = frozenset(
    {
        # CN=Development Amber Root CA: of Intel's own test tenants.
        "2bba737e5ba2195e8660462817a87d288af1e539e6a3a7a6b93fedbb8e77039c",
    }
)
"""Keys of vendors' test services: never pinned, and *development* where a caller names them."""


def of_a_test_service(certificates: Iterable[bytes]) -> bool:
    """Whether one of these is of such a key, or of troth's simulators; signed or not.

    Raises:
        Malformed: one is no certificate.
    """
    read = [x509.read(der) for der in certificates]
    return any(
        _SIMULATED in one.subject or hashlib.sha256(one.key).hexdigest() in DEVELOPMENT_KEYS
        for one in read
    )


def maa() -> tuple[Root, ...]:
    """Azure Attestation's."""
    return (_MAA,)


def nras() -> tuple[Root, ...]:
    """NVIDIA's. Intermediate 004 is known by its key alone and not pinned: no certificate was seen."""
    return (_NRAS_002, _NRAS_003)


def none() -> tuple[Root, ...]:
    """Of a service without a public authority."""
    return ()
