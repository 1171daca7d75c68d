"""What evidence says, in the words that all platforms share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType


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
        debug: whether the platform's debug mode was on.
        timestamp: the evidence's own time, or None where the platform has none.
        instance: the platform's name for the machine or module.
        nonce: the verifier's nonce as carried, or None.
        user_data: up to some bytes that the guest chose (troth's agent: a binding), or None.
        public_key: the key that the guest put into the evidence, or None.
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
    source: Source = Source.HARDWARE

    def __post_init__(self) -> None:
        object.__setattr__(self, "registers", MappingProxyType(dict(self.registers)))

    def measurement(self, register: str) -> str:
        """The value of a register in lower-case hex.

        Raises:
            KeyError: the evidence has no such register.
        """
        return self.registers[register]
