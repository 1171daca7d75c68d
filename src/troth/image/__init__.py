"""From a recipe and a lock to an enclave image, the same bytes on every machine.

Runs on the standard library alone, so that the locked interpreter itself can run it.
"""
