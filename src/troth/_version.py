"""The version, in one place: the wheel, the reports and the build records read it."""

__version__ = "0.1.0"
