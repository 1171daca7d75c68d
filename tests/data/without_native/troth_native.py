"""Stands before the installed troth-native in a run of the tests without it."""

raise ImportError("--without-native")
