"""A NitroTPM in Python: documents over a virtual machine's registers, under a development root.

Does not measure anything: it signs the registers that it is given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from troth.platforms.nitro.format import TPM_REGISTERS
from troth.platforms.nitro.simulate import signed
from troth.platforms.nitro.simulate_pki import DevelopmentPki
from troth.wire import cbor

_REGISTERS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedNitroTpm:
    """One instance's TPM.

    Attributes:
        pki: whose root the documents end at.
        pcrs: register to 48 bytes; those not named are zeros, 17 to 22 ones.
        instance: id of the instance, such as `i-0123456789abcdef0`.
        clock: tells the time.
    """

    pki: DevelopmentPki
    pcrs: Mapping[int, bytes]
    instance: str
    clock: Callable[[], datetime]

    def attest(
        self,
        *,
        nonce: bytes | None = None,
        user_data: bytes | None = None,
        public_key: bytes | None = None,
    ) -> bytes:
        """A document over the registers and these fields."""
        now = self.clock()
        module = f"{self.instance}-tpm0000000000000000"
        leaf = self.pki.hierarchy(self.instance, now).leaf(module, now)
        start = {i: (b"\xff" if 17 <= i <= 22 else b"\0") * 48 for i in range(_REGISTERS)}
        payload = {
            "module_id": module,
            "digest": "SHA384",
            "timestamp": int(now.timestamp()) * 1000,
            TPM_REGISTERS: dict(sorted({**start, **self.pcrs}.items())),
            "certificate": leaf.certificate,
            "cabundle": list(leaf.cabundle),
            "public_key": public_key,
            "user_data": user_data,
            "nonce": nonce,
        }
        return signed(leaf.key, cbor.encode_in_order(payload))
