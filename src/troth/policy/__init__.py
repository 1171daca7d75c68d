"""What do we require? Documents, named dated profiles, and claims turned into checks; never sees bytes."""

from troth.policy.document import Policy

__all__ = ["Policy"]
