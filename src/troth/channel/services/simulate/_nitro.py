"""A Nitro enclave for simulated services: documents over what they put in, under a development root."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from troth.model.roots import Root
from troth.platforms.nitro.simulate import DevelopmentPki, SimulatedNsm, new_instance
from troth.wire import cbor

PCRS: Final = {0: b"\x10" * 48, 1: b"\x11" * 48, 2: b"\x12" * 48}


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclave:
    """One enclave.

    Attributes:
        nsm: its security module.
        root: of its documents.
        pcrs: what its image measures to.
        extended: register 16 to the data with which it was extended and locked, or nothing.
    """

    nsm: SimulatedNsm
    root: Root
    pcrs: Mapping[int, bytes]
    extended: bytes

    @classmethod
    def create(
        cls,
        now: datetime,
        *,
        pcrs: Mapping[int, bytes] = PCRS,
        extended: bytes = b"",
        pki: DevelopmentPki | None = None,
    ) -> Self:
        """An enclave that runs from now on, by the machine's clock.

        Args:
            now: the present instant.
            pcrs: of its image.
            extended: data with which register 16 is extended once, and locked.
            pki: who plays AWS; made if not given.
        """
        pki = DevelopmentPki.create(now) if pki is None else pki
        nsm = SimulatedNsm(pki, pcrs, new_instance(), lambda: datetime.now(UTC))
        if extended:
            nsm.request(cbor.encode({"ExtendPCR": {"index": 16, "data": extended}}))
            nsm.request(cbor.encode({"LockPCR": {"index": 16}}))
        return cls(nsm=nsm, root=pki.root(), pcrs=pcrs, extended=extended)

    def document(
        self,
        *,
        user_data: bytes | None = None,
        nonce: bytes | None = None,
        public_key: bytes | None = None,
    ) -> bytes:
        """A document over these."""
        asked = {"user_data": user_data, "nonce": nonce, "public_key": public_key}
        reply = cbor.decode(
            self.nsm.request(cbor.encode({"Attestation": asked})), field="NSM reply"
        )
        document: bytes = reply["Attestation"]["document"]
        return document
