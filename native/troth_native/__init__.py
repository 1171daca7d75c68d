"""Signatures checked by AWS-LC, on threads that the interpreter's lock does not hold.

A batch of checks is begun and goes on beside Python; each answer is waited for when it is asked for.

Does not verify: anything about keys but that they are on their curve, or of RSA with 2,048 to 8,192 bits. Which
key may sign what is the caller's.
"""

import ctypes
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

VERSION: Final = 2

# What a check is made with: numbers that the library knows. Keys on curves are points, x ‖ y behind a byte 4;
# keys of RSA are RSAPublicKey (RFC 8017, A.1.1), DER. FIXED signatures are r ‖ s, the others DER.
P256_SHA256: Final = 1
P256_SHA256_FIXED: Final = 2
P384_SHA384: Final = 3
P384_SHA384_FIXED: Final = 4
PSS_SHA384: Final = 5

Check = tuple[int, bytes, bytes, bytes]
_HEAD: Final = struct.Struct("<4I")
_ANSWERS: Final = (None, True, False)

_library = ctypes.CDLL(str(Path(__file__).with_name("libtroth_native.so")))
if _library.troth_version() != VERSION:
    raise ImportError("libtroth_native.so is of another version than what loads it")
_begin, _answer, _end = _library.troth_begin, _library.troth_answer, _library.troth_end
_begin.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32)
_begin.restype = ctypes.c_void_p
_answer.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_answer.restype = ctypes.c_uint32
_end.argtypes = (ctypes.c_void_p,)
_end.restype = None
if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_library.troth_forked)


class Batch:
    """Checks under way.

    Args:
        checks: scheme, key, signature and signed bytes of each.
        beside: whether other threads take them; without, they wait until an answer is asked for.
    """

    __slots__ = ("_at", "_size")

    def __init__(self, checks: Sequence[Check], *, beside: bool) -> None:
        parts: list[bytes] = []
        for scheme, key, signature, signed in checks:
            parts += (
                _HEAD.pack(scheme, len(key), len(signature), len(signed)),
                key,
                signature,
                signed,
            )
        whole = b"".join(parts)
        self._size = len(checks)
        self._at = _begin(whole, len(whole), beside)
        if not self._at:
            raise ValueError("these are no checks")

    def answer(self, index: int) -> bool | None:
        """Whether that check verifies; waits for it. None: another process began it, ask anew."""
        if not 0 <= index < self._size:
            raise IndexError(index)
        return _ANSWERS[_answer(self._at, index)]

    def __reduce__(self) -> NoReturn:
        raise TypeError("checks under way are given back once, so they cannot be copied")

    # Bound here, because this module's names may be gone when the process ends.
    def __del__(self, _end: Callable[[int], object] = _end) -> None:
        if getattr(self, "_at", None):
            _end(self._at)
