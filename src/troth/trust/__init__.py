"""Pinned roots with their age, the roots that a caller passes by name, and collateral in files.

Fetching, caching and remembering are in modules of their own (`fetch`, `cache`, `seen`), which nothing
that decides may import.
"""

from troth.trust.collateral import freeze, load
from troth.trust.roots import development_by_digest, load_roots, parse_roots, scoped, vendor_roots

__all__ = [
    "development_by_digest",
    "freeze",
    "load",
    "load_roots",
    "parse_roots",
    "scoped",
    "vendor_roots",
]
