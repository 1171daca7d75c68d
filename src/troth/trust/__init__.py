"""Pinned roots with their age, and the roots that a caller passes by name."""
