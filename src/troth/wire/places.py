"""Where an app may have a folder of its own to write to: said once, for who builds an image and for who starts it."""

from collections.abc import Sequence
from typing import Final

MOST: Final = 16
MOST_BYTES: Final = 255
# Where code, settings and the agent are, and what is mounted anyway.
_TAKEN: Final = frozenset({
    "bin", "boot", "dev", "etc", "init", "lib", "lib32", "lib64", "libx32", "proc", "root-view", "rootfs",
    "run", "sbin", "sys", "tmp", "usr",
})  # fmt: skip
# Where interpreters look for code, wherever they are.
_CODE: Final = frozenset({"__pycache__", "dist-packages", "node_modules", "site-packages"})


def trouble(places: Sequence[str]) -> str:
    """Why these cannot be an app's scratch folders, as the end of a sentence, or an empty text.

    Args:
        places: absolute paths, seen from the app's root.
    """
    if len(places) > MOST:
        return f"has more than {MOST} folders"
    for place in places:
        parts = place.split("/")
        if parts[0] or len(parts) < 2 or {"", ".", ".."} & set(parts[1:]) or "\0" in place:
            return f"has {place!a:.200}, which is no absolute path in its plain form"
        if len(place.encode("utf-8", "replace")) > MOST_BYTES:
            return f"has a path of more than {MOST_BYTES} bytes"
        if parts[1] in _TAKEN:
            return f"has {place!a}, and /{parts[1]} is not the app's to write to"
        if code := sorted(_CODE & set(parts)):
            return f"has {place!a}, and programs look for code in {code[0]}"
        holding = [other for other in places if f"{place}/".startswith(f"{other}/")]
        if len(holding) > 1:  # itself, and another or itself again
            return f"has {place!a} inside {min(holding, key=len)!a}"
    return ""
