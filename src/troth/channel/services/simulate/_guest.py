"""A dstack guest on TDX in Python: quotes over any report data, and the log of what it measured."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from troth.model.collateral import Collateral
from troth.model.roots import Root
from troth.platforms.dcap.simulate import DevelopmentPki, QuoteKind
from troth.platforms.dcap.simulate_bodies import digest
from troth.platforms.tdx import dstack

COMPOSITION: Final = '{"manifest_version":2,"name":"troth-development"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One guest.

    Attributes:
        pki: who plays Intel.
        composition: what was deployed.
        log: the event log as JSON text, of RTMR3 alone.
        rtmr3: the register that it replays to.
    """

    pki: DevelopmentPki
    composition: str
    log: str
    rtmr3: bytes

    @classmethod
    def create(cls, now: datetime, *, composition: str = COMPOSITION) -> Self:
        """A guest on a machine of its own."""
        hashed = hashlib.sha256(composition.encode()).digest()
        measured = {
            "system-preparing": b"",
            "app-id": hashed[:20],
            "compose-hash": hashed,
            "instance-id": b"\1" * 20,
            "boot-mr-done": b"",
            "key-provider": b'{"name":"kms","id":"3059"}',
            "system-ready": b"",
        }
        log = json.dumps([_event(name, payload) for name, payload in measured.items()])
        return cls(
            pki=DevelopmentPki.create(now),
            composition=composition,
            log=log,
            rtmr3=dstack.replay(log).registers["rtmr3"],
        )

    @property
    def roots(self) -> tuple[Root, ...]:
        """As verifiers take them."""
        return self.pki.roots()

    @property
    def collateral(self) -> Collateral:
        """Everything that judging its quotes needs."""
        return self.pki.collateral()

    @property
    def registers(self) -> Mapping[str, str]:
        """What a policy for it pins."""
        booted = {name: digest(name).hex() for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
        return booted | {"rtmr3": self.rtmr3.hex()}

    def quote(self, report_data: bytes) -> bytes:
        """A quote over 64 bytes."""
        fields = {"reportdata": report_data, "rtmr3": self.rtmr3}
        return self.pki.quote(QuoteKind.TDX_4, fields=fields)


def _event(name: str, payload: bytes) -> dict[str, Any]:
    head = dstack.RUNTIME.to_bytes(4, "little")
    made = hashlib.sha384(b":".join((head, name.encode(), payload))).hexdigest()
    return {
        "imr": 3,
        "event_type": dstack.RUNTIME,
        "digest": made,
        "event": name,
        "event_payload": payload.hex(),
    }
