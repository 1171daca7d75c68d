"""The files that stand beside an image: what they are called, and what a file of measurements says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

SCHEMA: Final = "troth/measurements/1"
MEASUREMENTS: Final = ".measurements.json"
RECORD: Final = ".build.json"


def of(image: Path, ending: str) -> Path:
    """Where an image's file of measurements stands, or its build record."""
    return image.with_name(f"{image.name.removesuffix('.eif')}{ending}")


def measurements(
    platforms: Mapping[str, Any],
    *,
    name: str,
    sha256: str,
    size: int,
    raw_nsm: bool,
) -> dict[str, Any]:
    """What a file of measurements says.

    Args:
        platforms: registers by platform, and whatever else stands beside them.
        name: the image's.
        sha256: of the image, in hex.
        size: of the image.
        raw_nsm: whether its app has the security module itself: then no policy is made of the file.
    """
    image = {"name": name, "sha256": sha256, "size": size}
    return {
        "schema": SCHEMA,
        "image": {**image, **({"raw_nsm": True} if raw_nsm else {})},
        **platforms,
    }
