"""The numbered steps from evidence to report."""

from troth.verifier.appraisal import appraise, verify

__all__ = ["appraise", "verify"]
