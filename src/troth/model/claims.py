"""What evidence says, in the words that all platforms share."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from troth.model.tcb import Tcb

NONCE_FIELD: Final = 64
_VIEWS: Final = ("registers", "numbers", "events", "covers", "texts")


class Source(StrEnum):
    """Who says so: so that «the hardware proved it» and «somebody said so» never look alike."""

    HARDWARE = "hardware"
    VERIFIER = "verifier"
    PROVIDER = "provider"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What one piece of evidence asserts. Reached only through `Verified`, or as *presented* values.

    Attributes:
        platform: name of the platform, such as `nitro`.
        registers: register name (`pcr0`) to its value in lower-case hex.
        identity: the registers that together say what code runs and are present in this evidence.
        alternative: other registers that, pinned together, may stand for `identity` (SGX: the signer
            and its product id); empty where the platform has no such thing.
        debug: whether the platform's debug mode was on.
        timestamp: the evidence's own time, or None where the platform has none.
        instance: the platform's name for the machine or module.
        nonce: the verifier's nonce as carried, or None.
        user_data: up to some bytes that the guest chose (troth's agent: a binding), or None.
        public_key: the key that the guest put into the evidence, or None.
        nonce_in_user_data: whether the platform has one field of 64 bytes (REPORTDATA) for all that
            the guest binds, so that a bare nonce stands there, zeros behind it.
        numbers: what else it says, as numbers by the vendor's names: security versions, attribute
            bits, levels.
        tcb: what the vendor's levels say of the platform; None where nobody looked it up.
        events: what the event log says that was given beside the evidence, by name. Only what is bound
            to the registers is here, so it is as true as they are; empty where nothing is.
        covers: register to the names of the events that, pinned together, may stand for its value.
        texts: what else it says, in words by the vendor's names, such as a model or a version: all
            values at once, for several devices or for a list. None at all means that it should say it
            and does not.
        nonces: where it carries several nonces, or one as text that can be read in two ways: all of
            them.
        source: who asserts these.
    """

    platform: str
    registers: Mapping[str, str]
    identity: tuple[str, ...]
    debug: bool
    timestamp: datetime | None
    instance: str
    nonce: bytes | None
    user_data: bytes | None
    public_key: bytes | None
    alternative: tuple[str, ...] = ()
    nonce_in_user_data: bool = False
    numbers: Mapping[str, int] = field(default_factory=dict)
    tcb: Tcb | None = None
    events: Mapping[str, str] = field(default_factory=dict)
    covers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nonces: tuple[bytes, ...] = ()
    source: Source = Source.HARDWARE

    def __post_init__(self) -> None:
        for name in _VIEWS:
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> "tuple[object, ...]":
        """For other processes: read-only views have no form of their own."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return _claims, (values | {name: dict(values[name]) for name in _VIEWS},)

    def carries(self, nonce: bytes) -> bool:
        """Whether the evidence carries exactly this nonce."""
        if self.nonce_in_user_data:
            return len(nonce) <= NONCE_FIELD and self.user_data == nonce.ljust(NONCE_FIELD, b"\0")
        return self.nonce == nonce or nonce in self.nonces

    def measurement(self, register: str) -> str:
        """The value of a register in lower-case hex.

        Raises:
            KeyError: the evidence has no such register.
        """
        return self.registers[register]


def _claims(values: dict[str, Any]) -> Claims:
    return Claims(**values)
