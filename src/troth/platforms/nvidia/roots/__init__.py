"""The pinned NVIDIA roots: one vouches for devices, the other for reference values (RIM documents)."""

from datetime import UTC, datetime
from typing import Final

from troth.model.roots import Root, RootClass

# What an authority may vouch for is in its name, which its own key signs.
DEVICE_ROOT: Final = "NVIDIA Device Identity CA"
RIM_ROOT: Final = "NVIDIA CoRIM signing Root CA"

# We read the vendor's pages again before this day.
_REVIEW: Final = datetime(2028, 1, 1, tzinfo=UTC)

_ROOTS: Final = (
    Root(
        platform="nvidia",
        sha256="102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48",
        key_sha256="a90c4eb5acfd3e3d03a25db6a26b84f720ad0503196c627c21ddd48dd85b06a4",
        root_class=RootClass.VENDOR,
        source=f"NVIDIA's root key for devices ({DEVICE_ROOT}), pinned in troth",
        not_after=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        review_by=_REVIEW,
    ),
    Root(
        platform="nvidia",
        sha256="12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1",
        key_sha256="dec1dc316477aa851eebdf51327ae9f864bc8d89254657ed1e7eb9168af1e1a3",
        root_class=RootClass.VENDOR,
        source=f"NVIDIA's root key for reference values ({RIM_ROOT}), pinned in troth",
        not_after=datetime(2053, 3, 8, 15, 37, 34, tzinfo=UTC),
        review_by=_REVIEW,
    ),
)


def vendor_roots() -> tuple[Root, ...]:
    """The built-in roots of this platform."""
    return _ROOTS
