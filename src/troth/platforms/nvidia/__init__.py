"""NVIDIA GPUs and switches: SPDM measurement reports signed by a key that the device made at start."""
