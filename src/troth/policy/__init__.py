"""What do we require? Documents, named dated profiles, and claims turned into checks; never sees bytes."""
