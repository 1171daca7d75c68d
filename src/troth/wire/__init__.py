"""What do these hostile bytes say? Bounded readers; no keys, no clock, no network."""
