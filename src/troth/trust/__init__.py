"""Pinned roots with their age, and the roots that a caller passes by name."""

from troth.trust.roots import development_by_digest, load_roots, parse_roots, vendor_roots

__all__ = ["development_by_digest", "load_roots", "parse_roots", "vendor_roots"]
