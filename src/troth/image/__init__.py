"""From a recipe and a lock to an enclave image, the same bytes on every machine.

Runs on the standard library alone, so that any Python that can run it can also check a build.
"""
