"""A Nitro Security Module in Python: the true protocol, and real documents under a development root.

It answers all seven requests with the reply shapes, error codes, lock rules and size limits of the
hardware (facts: register bank of 32, of which 0 to 15 are locked from the start). What it signs is
read by the same verifier as AWS's documents; the root alone tells them apart.

Does not isolate anything: whoever holds the development PKI signs what he likes.
"""

import hashlib
import re
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from troth.errors import Malformed, Misuse
from troth.platforms.nitro.simulate_pki import DevelopmentPki, Hierarchy, Leaf
from troth.wire import cbor, cose

__all__ = [
    "DevelopmentPki",
    "Module",
    "SimulatedNsm",
    "extended",
    "new_instance",
    "serve_nsm",
    "signed",
]

REGISTERS: Final = 32
LOCKED_AT_START: Final = 16
REGISTER_SIZE: Final = 48
MAX_REQUEST: Final = 0x1000
MAX_REPLY: Final = 0x3000
MAX_FIELD: Final = 1024
RANDOM_SIZE: Final = 256
ZERO: Final = bytes(REGISTER_SIZE)
_FRAME: Final = struct.Struct(">I")
_INSTANCE: Final = re.compile(r"i-[0-9a-f]{17}")
_U16_MAX: Final = 0xFFFF
_LISTEN_POLL: Final = 0.2  # seconds; how soon a server notices that it was told to stop
_IDLE: Final = 600.0  # seconds; an agent that says nothing for so long has gone


class Module(Protocol):
    """Whatever answers NSM requests: encoded request in, encoded reply out."""

    def request(self, request: bytes) -> bytes:
        """One request, one reply; failures are replies too."""


class _Refused(Exception):  # noqa: N818 - the protocol's reply, not an error of ours
    """Ends a request with one of the protocol's error codes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def new_instance() -> str:
    """A parent instance's id of the real shape: `i-` and 17 hex digits."""
    return f"i-{secrets.token_hex(9)[:17]}"


def extended(value: bytes, data: bytes) -> bytes:
    """What a register holds after an extension: SHA-384(value ‖ data)."""
    return hashlib.sha384(value + data).digest()


class SimulatedNsm:
    """One enclave's security module.

    Args:
        pki: whose root the documents chain to.
        pcrs: starting values, 48 bytes each, of registers 0 to 15; those not named are zero. Register 4
            is computed from `instance`, as the hypervisor does, unless it is named here.
        instance: id of the simulated parent instance, such as `new_instance()` gives.
        clock: the present instant, with a time zone.
        indefinite: whether payloads are indefinite-length maps, as real ones are since 2025.

    Raises:
        Misuse: a register or the instance's id is not of that shape.
    """

    def __init__(
        self,
        pki: DevelopmentPki,
        pcrs: Mapping[int, bytes],
        instance: str,
        clock: Callable[[], datetime],
        *,
        indefinite: bool = True,
    ) -> None:
        if not _INSTANCE.fullmatch(instance):
            raise Misuse(f"instance {instance!r} is not i- and 17 lower-case hex digits")
        for index, value in pcrs.items():
            if not 0 <= index < LOCKED_AT_START or len(value) != REGISTER_SIZE:
                raise Misuse(
                    f"register {index} with {len(value)} bytes: starting values are 48 bytes "
                    f"for registers 0 to {LOCKED_AT_START - 1}"
                )
        self._pki = pki
        self._instance = instance
        self._clock = clock
        self._indefinite = indefinite
        start = {4: extended(ZERO, instance.encode("ascii")), **pcrs}
        self._registers = [start.get(index, ZERO) for index in range(REGISTERS)]
        self._locked = set(range(LOCKED_AT_START))
        # Real enclave ids begin with the millisecond of their start.
        started = _milliseconds(clock())
        self.module_id = f"{instance}-enc{started & (1 << 48) - 1:012x}{secrets.token_hex(2)}"
        self._hierarchy: Hierarchy | None = None
        self._leaf: Leaf | None = None
        self._guard = threading.Lock()

    def request(self, request: bytes) -> bytes:
        """One NSM request, encoded, to its encoded reply. Never raises on a bad request."""
        try:
            with self._guard:
                reply = self._answer(request)
        except _Refused as refused:
            reply = {"Error": refused.code}
        encoded = cbor.encode_in_order(reply)
        if len(encoded) > MAX_REPLY:
            return cbor.encode_in_order({"Error": "BufferTooSmall"})
        return encoded

    def _answer(self, request: bytes) -> dict[str, Any] | str:
        if len(request) > MAX_REQUEST:
            raise _Refused("InputTooLarge")
        try:
            decoded = cbor.decode(request, field="NSM request")
        except Malformed:
            raise _Refused("InvalidOperation") from None
        match decoded:
            case "DescribeNSM":
                return {"DescribeNSM": self._describe()}
            case "GetRandom":
                return {"GetRandom": {"random": secrets.token_bytes(RANDOM_SIZE)}}
            case {"DescribePCR": dict(arguments), **rest} if not rest:
                index = _register(_arguments(arguments, {"index"}))
                return {
                    "DescribePCR": {"lock": index in self._locked, "data": self._registers[index]}
                }
            case {"ExtendPCR": dict(arguments), **rest} if not rest:
                return {
                    "ExtendPCR": {"data": self._extend(_arguments(arguments, {"index", "data"}))}
                }
            case {"LockPCR": dict(arguments), **rest} if not rest:
                self._locked.add(self._writable(_arguments(arguments, {"index"})))
                return "LockPCR"
            case {"LockPCRs": dict(arguments), **rest} if not rest:
                self._lock_range(_arguments(arguments, {"range"}))
                return "LockPCRs"
            case {"Attestation": dict(arguments), **rest} if not rest:
                return {"Attestation": {"document": self._attest(arguments)}}
            case _:
                raise _Refused("InvalidOperation")

    def _describe(self) -> dict[str, Any]:
        return {
            "version_major": 1,
            "version_minor": 0,
            "version_patch": 0,
            "module_id": self.module_id,
            "max_pcrs": REGISTERS,
            "locked_pcrs": sorted(self._locked),
            "digest": "SHA384",
        }

    def _writable(self, arguments: dict[str, Any]) -> int:
        index = _register(arguments)
        if index in self._locked:
            raise _Refused("ReadOnlyIndex")
        return index

    def _extend(self, arguments: dict[str, Any]) -> bytes:
        index = self._writable(arguments)
        if not isinstance(arguments["data"], bytes):
            raise _Refused("InvalidArgument")
        self._registers[index] = extended(self._registers[index], arguments["data"])
        return self._registers[index]

    def _lock_range(self, arguments: dict[str, Any]) -> None:
        count = _u16(arguments["range"])
        if count > REGISTERS:
            raise _Refused("InvalidIndex")
        self._locked.update(range(count))

    def _attest(self, arguments: dict[Any, Any]) -> bytes:
        fields = dict.fromkeys(("public_key", "user_data", "nonce")) | arguments
        _arguments(fields, {"public_key", "user_data", "nonce"})
        for value in fields.values():
            if value is not None and not isinstance(value, bytes):
                raise _Refused("InvalidArgument")
            if value is not None and len(value) > MAX_FIELD:
                raise _Refused("InputTooLarge")
        now = self._clock()
        leaf = self._current_leaf(now)
        # The keys stand in the order in which AWS writes them.
        payload = {
            "module_id": self.module_id,
            "digest": "SHA384",
            "timestamp": _milliseconds(now),
            "pcrs": {index: self._registers[index] for index in sorted(self._locked)},
            "certificate": leaf.certificate,
            "cabundle": list(leaf.cabundle),
            **fields,
        }
        return signed(leaf.key, self._payload(payload))

    def _payload(self, payload: dict[str, Any]) -> bytes:
        if not self._indefinite:
            return cbor.encode_in_order(payload)
        items = (cbor.encode_in_order(item) for pair in payload.items() for item in pair)
        return b"\xbf" + b"".join(items) + b"\xff"

    def _current_leaf(self, now: datetime) -> Leaf:
        if self._leaf is None or not self._leaf.serves(now):
            if self._hierarchy is None or not self._hierarchy.serves(now):
                self._hierarchy = self._pki.hierarchy(self._instance, now)
            self._leaf = self._hierarchy.leaf(self.module_id, now)
        return self._leaf


def signed(key: ec.EllipticCurvePrivateKey, payload: bytes) -> bytes:
    """The payload as a COSE_Sign1 under ES384, untagged, as the hardware gives it."""
    protected = cbor.encode_in_order({1: cose.ES384})
    message = cose.Sign1(
        protected=protected, alg=cose.ES384, payload=payload, payload_offset=0, signature=b""
    )
    r, s = decode_dss_signature(key.sign(message.to_be_signed(), ec.ECDSA(hashes.SHA384())))
    raw = r.to_bytes(REGISTER_SIZE, "big") + s.to_bytes(REGISTER_SIZE, "big")
    return cbor.encode_in_order([protected, {}, payload, raw])


def _milliseconds(at: datetime) -> int:
    # Whole numbers only: a float of seconds is off by one millisecond now and then.
    return int(at.replace(microsecond=0).timestamp()) * 1000 + at.microsecond // 1000


def _arguments(arguments: dict[Any, Any], names: set[str]) -> dict[str, Any]:
    if set(arguments) != names:
        raise _Refused("InvalidArgument")
    return arguments


def _u16(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _U16_MAX:
        raise _Refused("InvalidArgument")
    return value


def _register(arguments: dict[str, Any]) -> int:
    index = _u16(arguments["index"])
    if index >= REGISTERS:
        raise _Refused("InvalidIndex")
    return index


def serve_nsm(listener: socket.socket, module: Module, stop: threading.Event) -> None:
    """Answers NSM requests on a listening socket until `stop` is set: `u32be length ‖ CBOR`, each way.

    A thread for each connection. A request that is announced longer than `MAX_REQUEST` is answered
    with `InputTooLarge` and ends its connection, since what follows cannot be trusted to be a frame.
    The caller makes the socket, with its mode, and removes it.
    """
    listener.settimeout(_LISTEN_POLL)
    while not stop.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        except OSError:  # closed under us: the same as being told to stop
            return
        threading.Thread(target=_converse, args=(connection, module), daemon=True).start()


def _converse(connection: socket.socket, module: Module) -> None:
    with connection:
        connection.settimeout(_IDLE)
        try:
            while (request := _frame(connection)) is not None:
                _reply(connection, module.request(request))
        except _Refused as refused:
            _reply(connection, cbor.encode_in_order({"Error": refused.code}))
        except OSError:  # the other side went away, which is its right
            return


def _frame(connection: socket.socket) -> bytes | None:
    head = _exactly(connection, _FRAME.size)
    if head is None:
        return None
    (size,) = _FRAME.unpack(head)
    if size > MAX_REQUEST:
        raise _Refused("InputTooLarge")
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _reply(connection: socket.socket, reply: bytes) -> None:
    connection.sendall(_FRAME.pack(len(reply)) + reply)
