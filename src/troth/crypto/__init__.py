"""The few operations we allow ourselves, on audited libraries: digests, signature checks, chains to a pinned root at an instant."""
