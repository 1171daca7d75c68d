"""The pinned AMD roots: the keys that they must have, where they are from, until when we vouch."""

from datetime import UTC, datetime
from typing import Final

from troth.model.roots import Root, RootClass

# We read the vendor's pages again before this day.
_REVIEW: Final = datetime(2028, 1, 1, tzinfo=UTC)


def _ark(product: str, *, key: str, certificate: str, not_after: datetime) -> Root:
    return Root(
        platform="snp",
        sha256=certificate,
        key_sha256=key,
        root_class=RootClass.VENDOR,
        source=f"AMD's root key for {product} (ARK-{product}), pinned in troth",
        not_after=not_after,
        review_by=_REVIEW,
    )


_ROOTS: Final = (
    _ark(
        "Milan",
        key="9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9",
        certificate="69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
        not_after=datetime(2045, 10, 22, 17, 23, 5, tzinfo=UTC),
    ),
    _ark(
        "Genoa",
        key="429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831",
        certificate="4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
        not_after=datetime(2047, 1, 26, 15, 34, 37, tzinfo=UTC),
    ),
    _ark(
        "Turin",
        key="4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08",
        certificate="1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
        not_after=datetime(2048, 5, 15, 20, 3, 12, tzinfo=UTC),
    ),
)


def vendor_roots() -> tuple[Root, ...]:
    """The built-in roots of this platform: one for each product. VLEK chains end in them, too."""
    return _ROOTS
