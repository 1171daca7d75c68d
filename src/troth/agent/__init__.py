"""What runs inside the enclave: attest, keys, and the HTTP API on a unix socket."""
