"""Signature checks that go on beside Python, where the library for that is installed.

`troth_native` checks with AWS-LC on threads that Python does not wait for. What a verdict will ask for is begun
as soon as its bytes are known, and the answer is there, or nearly, when it is asked for. Without that library
nothing is begun, nothing is answered here, and `cryptography` checks when asked.

An answer belongs to the very bytes of key, algorithm, signature and message; none is given twice.
"""

from collections.abc import Iterable
from functools import lru_cache
from threading import Event
from typing import TYPE_CHECKING, Final, NamedTuple

from troth.crypto.keys import (
    ECDSA_SHA256,
    ECDSA_SHA384,
    P256_HEAD,
    P256_RAW,
    P384_HEAD,
    P384_RAW,
    PSS_SHA384,
    PSS_SHA384_SHORT,
    RSA4096_HEAD,
    RSA4096_TAIL,
)

if TYPE_CHECKING:
    from troth_native import Batch

_VERSION: Final = 2
_MOST: Final = 256
# Longer texts (lists of revoked certificates, mostly) are left to `cryptography`, which copies nothing; and no
# more than twice as many bytes are begun at once. What is begun and never asked for must not hold much memory,
# and one check of several that is not asked for holds the bytes of all.
_LONG: Final = 64 * 1024
_LONGEST_SIGNATURE: Final = 1024
_POINT: Final = len(P256_HEAD) - 1  # keys are handed over from the byte 4 on
_POINT384: Final = len(P384_HEAD) - 1
_RSA: Final = 24  # the header of SubjectPublicKeyInfo, before RSAPublicKey

_Check = tuple[int, bytes, bytes, bytes]


class Asked(NamedTuple):
    """One signature to check.

    Attributes:
        spki: the key, SubjectPublicKeyInfo in DER.
        algorithm: AlgorithmIdentifier in DER, or P256_RAW or P384_RAW of `keys`.
        signature: as a certificate's BIT STRING holds it, or r ‖ s.
        signed: the bytes that are signed.
    """

    spki: bytes
    algorithm: bytes
    signature: bytes
    signed: bytes


_stays: Final = Event()
_begun: "dict[Asked, tuple[Batch, int]]" = {}


@lru_cache(maxsize=1)
def native() -> "type[Batch] | None":
    """What begins checks; None where the library is not installed, or is of another version."""
    try:
        from troth_native import VERSION, Batch
    except (ImportError, OSError, AttributeError):
        return None
    return Batch if VERSION == _VERSION else None


def stay() -> None:
    """From here on this process begins nothing: for workers, of which there is one for each core."""
    _stays.set()


def begin(all_asked: Iterable[Asked]) -> None:
    """Begins checks whose answers will be asked for soon; those that are under way are not begun again."""
    batches = native()
    if batches is None or _stays.is_set():
        return
    fresh: dict[Asked, _Check] = {}
    room = 2 * _LONG
    for asked in all_asked:
        check = _check(asked)
        if check is None or asked in _begun or len(asked.signed) > room or len(fresh) == _MOST:
            continue
        fresh[asked] = check
        room -= len(asked.signed)
    if not fresh or (len(fresh) == 1 and min(fresh.values())[0] in _P256.values()):
        return  # waking a thread takes as long as one check on P-256
    batch = batches(tuple(fresh.values()), beside=True)
    if len(_begun) + len(fresh) > _MOST:
        _begun.clear()
    for index, asked in enumerate(fresh):
        _begun[asked] = batch, index


def verifies(asked: Asked) -> bool | None:
    """Whether the signature verifies; waits for a check that was begun, and else makes it now.

    None: not to be had here, so ask `cryptography`: there is no library, it does not know the algorithm or
    this form of key, the text is long, or this is a fork of the process that began the check.
    """
    batches = native()
    check = None if batches is None else _check(asked)
    if batches is None or check is None:
        return None
    begun = _begun.pop(asked, None)
    if begun is None:
        begun = batches((check,), beside=False), 0
    batch, index = begun
    return batch.answer(index)


def _check(asked: Asked) -> _Check | None:
    """As the library reads it; None where it would have to read more of a key than where its point lies."""
    spki, algorithm = asked.spki, asked.algorithm
    if len(asked.signed) > _LONG or len(asked.signature) > _LONGEST_SIGNATURE:
        return None
    scheme = _P256.get(algorithm)
    if scheme is not None and len(spki) == _POINT + 65 and spki.startswith(P256_HEAD):
        return scheme, spki[_POINT:], asked.signature, asked.signed
    scheme = _P384.get(algorithm)
    if scheme is not None and len(spki) == _POINT384 + 97 and spki.startswith(P384_HEAD):
        return scheme, spki[_POINT384:], asked.signature, asked.signed
    scheme = _RSA4096.get(algorithm)
    if (
        scheme is not None
        and len(spki) == len(RSA4096_HEAD) + 512 + len(RSA4096_TAIL)
        and spki.startswith(RSA4096_HEAD)
        and spki[len(RSA4096_HEAD)] >= 0x80
        and spki.endswith(RSA4096_TAIL)
    ):
        return scheme, spki[_RSA:], asked.signature, asked.signed
    return None


# The library's numbers of what it checks with.
_P256: Final = {ECDSA_SHA256: 1, P256_RAW: 2}
_P384: Final = {ECDSA_SHA384: 3, P384_RAW: 4}
_RSA4096: Final = {PSS_SHA384: 5, PSS_SHA384_SHORT: 5}
