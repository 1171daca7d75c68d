"""The highest evaluation number seen: older collateral is not handed over again.

A memory of this user's, by kind of platform, kept in the data folder. It never changes a verdict: there the floor is the
policy's `min_evaluation_number`. Only documents that a pinned vendor root vouches for are remembered,
so that a forged one with a huge number shuts nobody out.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from troth.errors import Malformed, Unavailable
from troth.model.collateral import Item, Kind
from troth.model.roots import Root, RootClass
from troth.trust import places, stated
from troth.trust.roots import vendor_roots
from troth.wire import json as strict
from troth.wire import x509

SCHEMA: Final = "troth/seen/1"
_MAX_FILE: Final = 1024 * 1024
_MEMBERS: Final = {Kind.INTEL_TCB_INFO: "tcbInfo", Kind.INTEL_QE_IDENTITY: "enclaveIdentity"}


class Seen:
    """The memory in one file.

    Args:
        path: the file; None is the user's own.
        roots: whose documents are remembered; None is the pinned vendor roots.
    """

    def __init__(self, path: Path | None = None, roots: Sequence[Root] | None = None) -> None:
        self.path = path or places.data() / "evaluation-numbers.json"
        self._roots = vendor_roots() if roots is None else tuple(roots)

    def highest(self) -> dict[str, int]:
        """The highest number by what it was for, such as `intel-tcb-info tdx 00806f050000`.

        Raises:
            Unavailable: the file cannot be read, or is damaged: what it knew must not be forgotten.
        """
        data = places.read(self.path, _MAX_FILE)
        if data is None:
            return {}
        try:
            return _parse(data, str(self.path))
        except Malformed as error:
            raise Unavailable(
                f"the memory of evaluation numbers is damaged: {error}",
                fix="bring it back from a backup, or remove it to begin again without that memory",
            ) from None

    def check(self, items: Iterable[Item]) -> None:
        """Refuses items that are older than what was seen. Early ones are never asked about.

        Raises:
            Unavailable: one has a lower evaluation number; or the memory can't be read.
        """
        highest = self.highest()
        for item in items:
            found = _numbered(item)
            if found is not None and found[1] < highest.get(found[0], 0):
                name, number = found
                raise Unavailable(
                    f"{item.source or 'this collateral'} has evaluation number {number} for {name}; "
                    f"{highest[name]} was seen before, and older collateral is not handed over",
                    fix="ask a server that is up to date; if you mean to go back, remove "
                    f"{self.path} first",
                )

    def note(self, items: Iterable[Item]) -> None:
        """Remembers what these items show, where a vendor root vouches for them.

        Raises:
            Unavailable: the memory can't be read or written.
        """
        numbers: dict[str, int] = {}
        for item in items:
            found = _numbered(item)
            if found is not None and vouched(item, self._roots):
                numbers[found[0]] = max(found[1], numbers.get(found[0], 0))
        known = self.highest()
        if all(known.get(name, -1) >= number for name, number in numbers.items()):
            return
        with self._alone():
            known = self.highest()
            for name, number in numbers.items():
                known[name] = max(number, known.get(name, 0))
            places.write(self.path, strict.canonical({"schema": SCHEMA, "highest": known}) + b"\n")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two processes that remember at once must both be remembered."""
        lock = self.path.with_name(f".{self.path.name}.lock")
        with places.explained(lock):
            lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = lock.open("ab")
        with file:
            try:
                import fcntl
            except ImportError:  # Windows: the last of two wins
                yield
                return
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def vouched(item: Item, roots: Sequence[Root]) -> bool:
    """Whether a vendor's root stands above the issuer chain, and the issuer signed this document.

    Times and revocation aside: a document that was genuine once has shown its number.
    """
    # Imported when it is asked for: files of collateral are read without cryptography.
    from troth.crypto import issued, keys
    from troth.crypto.signature import ecdsa_p256_raw
    from troth.platforms.dcap.collateral import cut

    try:
        _, signed, signature = cut(item.data, _MEMBERS[item.kind])
        path = [issued.read(der) for der in x509.read_pem(item.chain, field="chain")[::-1]]
    except Malformed:
        return False
    if len(path) < 2 or issued.problems(path, algorithms=frozenset({keys.ECDSA_SHA256})):
        return False
    if x509.common_name(path[-1].subject) != "Intel SGX TCB Signing":
        return False
    digest = issued.key_sha256(path[0])
    if not any(
        root.root_class is RootClass.VENDOR and root.key_sha256 and root.key_sha256 == digest
        for root in roots
    ):
        return False
    return not ecdsa_p256_raw(path[-1].key, signature, signed)


def _parse(data: bytes, field: str) -> dict[str, int]:
    value = strict.parse(data, field=field, limit=_MAX_FILE)
    if not isinstance(value, dict) or value.keys() != {"schema", "highest"}:
        raise Malformed("has missing or unknown members", field=field)
    rows = value["highest"]
    if value["schema"] != SCHEMA or not isinstance(rows, dict):
        raise Malformed(f"is not of schema {SCHEMA}", field=field)
    if any(type(number) is not int for number in rows.values()):
        raise Malformed("holds what is no number", field=field)
    return rows


def _numbered(item: Item) -> tuple[str, int] | None:
    """What the item's number is for, and the number; None where there is none, or it is early."""
    if item.kind not in _MEMBERS or item.early:
        return None
    said = stated.read(item)
    if said.number is None:
        return None
    return " ".join(filter(None, (str(item.kind), said.tee, said.fmspc))), said.number
