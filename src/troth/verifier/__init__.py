"""The numbered steps from evidence to report."""
