"""From a recipe and a lock to an enclave image, the same bytes on every machine.

Nothing here imports a third-party library. The measuring of an image stands in `platforms/`, beside
code that does, so another Python that is to build needs the libraries that the agent needs, which an
image holds for its own.
"""
