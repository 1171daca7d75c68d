"""Collateral, read once: which documents there are for which platform, and whose signature is good.

An object of `Collateral` is prepared when it is first used. What is remembered with it depends on bytes
alone; windows, roots and revocation are looked at for each verdict.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from troth.crypto import issued, keys, signature
from troth.crypto.beside import Asked
from troth.crypto.remembered import Remembered
from troth.crypto.signature import ecdsa_p256_raw
from troth.errors import Malformed
from troth.model.collateral import Collateral, Item, Kind, name
from troth.platforms.dcap import collateral as documents
from troth.platforms.dcap.collateral import EnclaveIdentity, TcbInfo
from troth.wire import crl, x509
from troth.wire.crl import RevocationList
from troth.wire.x509 import Certificate

SIGNER: Final = "Intel SGX TCB Signing"


_D = TypeVar("_D", TcbInfo, EnclaveIdentity)


@dataclass(frozen=True, kw_only=True, eq=False)
class Signed(Generic[_D]):
    """One signed document: what it says, and what it takes to check it.

    Attributes:
        item: as it was served.
        document: what it says.
        signed: the bytes that are signed.
        signature: r ‖ s.
        chain: the signer's certificate, and the root's if it was sent along.
    """

    item: Item
    document: _D
    signed: bytes
    signature: bytes
    chain: tuple[Certificate, ...]

    @cached_property
    def wrong(self) -> str:
        """What is wrong with the signature by the signer's key, in words; empty if it verifies."""
        return ecdsa_p256_raw(self.chain[0].key, self.signature, self.signed)

    @property
    def asked(self) -> Iterator[Asked]:
        """What `wrong` will ask, if it has not been asked yet."""
        if "wrong" not in self.__dict__:
            yield Asked(self.chain[0].key, keys.P256_RAW, self.signature, self.signed)

    @cached_property
    def name(self) -> str:
        """How reports name it."""
        return name(self.item)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class List:
    """One revocation list, and answers that it gave before: they are of its bytes alone.

    Attributes:
        item: as it was served.
        content: what it says.
        name: how reports name it.
    """

    item: Item
    content: RevocationList
    name: str = field(init=False)
    _problems: Remembered[bytes, str] = field(default_factory=lambda: Remembered(16), init=False)
    _revoked: Remembered[int, bool] = field(default_factory=lambda: Remembered(4096), init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", name(self.item))

    def problem(self, issuer: bytes) -> str:
        """What is wrong with its signature by the authority with this certificate (DER)."""
        found = self._problems.get(issuer)
        if found is None:
            found = self._problems.keep(issuer, _problem(self.content, issuer))
        return found

    def known(self, issuer: bytes) -> bool:
        """Whether `problem` has been asked of this authority."""
        return issuer in self._problems

    def revokes(self, serial: int) -> bool:
        """Whether it names this serial number.

        Raises:
            Malformed: as `RevocationList.revokes`.
        """
        found = self._revoked.get(serial)
        if found is None:
            found = self._revoked.keep(serial, self.content.revokes(serial))
        return found


_Tcb = dict[tuple[bool, bool, bytes, bytes], list[Signed[TcbInfo]]]
_Identities = dict[tuple[bool, bool], list[Signed[EnclaveIdentity]]]


class Prepared:
    """What a collateral object holds for Intel's platforms.

    Lists and chains are read at once, documents when the first of them is asked for: that takes longest,
    and what the others ask can be checked meanwhile.

    Attributes:
        troubles: what is wrong with items that cannot be read, in words.
    """

    def __init__(self, collateral: Collateral) -> None:
        self.troubles: list[str] = []
        # The items and not the object: it would never be forgotten if what is remembered with it held it.
        self._infos, self._identities = (
            [item for early in (False, True) for item in collateral.of(kind, early=early)]
            for kind in (Kind.INTEL_TCB_INFO, Kind.INTEL_QE_IDENTITY)
        )
        self.root_lists = list(self._lists(collateral, Kind.INTEL_ROOT_CRL))
        self.pck_lists = list(self._lists(collateral, Kind.INTEL_PCK_CRL))
        self.pck_chains = [
            chain
            for item in collateral.of(Kind.INTEL_PCK_CHAIN)
            if (chain := self._pem(item.data, item))
        ]

    @cached_property
    def _documents(self) -> tuple[_Tcb, _Identities]:
        tcb: _Tcb = {}
        identities: _Identities = {}
        for item in self._infos:
            self._add_tcb(item, tcb)
        for item in self._identities:
            self._add_identity(item, identities)
        return tcb, identities

    def tcb_infos(
        self, *, tdx: bool, fmspc: bytes, pce_id: bytes, early: bool
    ) -> list[Signed[TcbInfo]]:
        """All TCB Infos for this platform."""
        return self._documents[0].get((early, tdx, fmspc, pce_id), [])

    def identities(self, *, tdx: bool, early: bool) -> list[Signed[EnclaveIdentity]]:
        """All identities of the quoting enclave that signs such quotes."""
        return self._documents[1].get((early, tdx), [])

    def others(self, *, tdx: bool) -> list[str]:
        """FMSPCs that there is TCB Info for, as text."""
        return sorted({k[2].hex() for k in self._documents[0] if k[1] is tdx and not k[0]})

    def _add_tcb(self, item: Item, found: _Tcb) -> None:
        try:
            value, signed, signature = documents.cut(item.data, "tcbInfo")
            info = documents.tcb_info(value)
        except Malformed as error:
            self.troubles.append(f"{item.kind}: {error}")
            return
        chain = self._pem(item.chain, item)
        if chain:
            key = (item.early, info.tdx, info.fmspc, info.pce_id)
            found.setdefault(key, []).append(
                Signed(item=item, document=info, signed=signed, signature=signature, chain=chain)
            )

    def _add_identity(self, item: Item, found: _Identities) -> None:
        try:
            value, signed, signature = documents.cut(item.data, "enclaveIdentity")
            identity = documents.enclave_identity(value)
        except Malformed as error:
            self.troubles.append(f"{item.kind}: {error}")
            return
        chain = self._pem(item.chain, item)
        if chain:
            found.setdefault((item.early, identity.tdx), []).append(
                Signed(
                    item=item, document=identity, signed=signed, signature=signature, chain=chain
                )
            )

    def _lists(self, collateral: Collateral, kind: Kind) -> Iterator[List]:
        for item in collateral.of(kind):
            try:
                yield List(item=item, content=crl.read(item.data))
            except Malformed as error:
                self.troubles.append(f"{item.kind}: {error}")

    def _pem(self, text: bytes, item: Item) -> tuple[Certificate, ...]:
        try:
            return tuple(issued.read(der) for der in x509.read_pem(text, "chain"))
        except Malformed as error:
            self.troubles.append(f"{item.kind}: {error}")
            return ()


_prepared: "WeakKeyDictionary[Collateral, Prepared]" = WeakKeyDictionary()


def prepare(collateral: Collateral) -> Prepared:
    """The prepared form of a collateral object; remembered for as long as that object is."""
    found = _prepared.get(collateral)
    if found is None:
        found = _prepared[collateral] = Prepared(collateral)
    return found


def newest(candidates: list[Signed[_D]], at: datetime) -> Signed[_D] | None:
    """The one to judge by: current before not current, then the higher number, then the later issue."""
    return max(
        candidates,
        key=lambda c: (
            c.document.issued <= at <= c.document.next_update,
            c.document.evaluation_number,
            c.document.issued,
        ),
        default=None,
    )


def _problem(content: RevocationList, issuer: bytes) -> str:
    authority = issued.read(issuer)
    if content.issuer != authority.subject:
        return "is another authority's"
    return signature.verify(authority.key, content.algorithm, content.signature, content.signed)


def of_authority(lists: list[List], issuer: Certificate) -> tuple[list[List], str]:
    """The lists that an authority signed, newest first, and why there are none, in words."""
    mine = [one for one in lists if one.content.issuer == issuer.subject]
    if not mine:
        return [], f"there is no list of {issued.title(issuer)}"
    good = [one for one in mine if not one.problem(issuer.der)]
    good.sort(key=lambda one: one.content.this_update, reverse=True)
    return good, "" if good else f"the list of {issued.title(issuer)} is not signed by it"


def current(lists: list[List], issuer: Certificate, at: datetime) -> tuple[List | None, str]:
    """The newest of an authority's lists that may be used at an instant, or why there is none."""
    if not lists:
        return None, ""
    for one in lists:
        if one.content.this_update <= at <= one.content.next_update:
            return one, ""
    latest = lists[0].content
    return None, (
        f"the list of {issued.title(issuer)} is of {latest.this_update.date()} to "
        f"{latest.next_update.date()}"
    )


def forget() -> None:
    """Empties what is remembered, for benchmarks that measure the first time."""
    _prepared.clear()
