"""The version, in one place: the wheel, the reports and the build records read it."""

__version__ = "0.1.0"

RELEASED = 1793491200
"""2026-11-01 in seconds; a clock that shows an earlier day is wrong."""
