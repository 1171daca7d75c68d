"""`troth measure`: what an image will measure to, from its bytes alone."""

from pathlib import Path


def measure(image: Path, *, json: bool = False) -> int:
    """Say what an image will measure to, on each platform it can run on.

        troth measure app.eif
        troth measure app.eif --json

    Args:
        image: an EIF.
        json: print as JSON.
    """
    from troth.cli._console import out
    from troth.cli._expect import measure_image
    from troth.wire import json as strict

    registers = measure_image(image)
    if json:
        out(strict.canonical({"nitro": registers}).decode())
    else:
        for name, value in registers.items():
            out(f"nitro  {name}  {value}")
    return 0
