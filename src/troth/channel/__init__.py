"""Talk to what was verified: attested TLS, bound to the session."""
