"""The numbered steps from evidence to report."""

from troth.verifier.judge import appraise, verify

__all__ = ["appraise", "verify"]
