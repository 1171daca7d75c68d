"""One small kernel for Nitro-like machines and local QEMU, built here from locked sources."""
