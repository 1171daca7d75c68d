"""Asks a TPM, from inside a guest: the kernel's `/dev/tpmrm0`, or a simulator's unix socket.

Commands are TPM 2.0 Library, part 3, in their bare bytes: nothing is needed beside the device. Where the
attestation key is depends on the cloud: Azure keeps it at a handle, Google has it made anew from a
template that lies in NV memory.

Does not verify what the TPM signs: that is for whoever asked. Does not ask the cloud's metadata service,
which on Azure holds the endorsement of the chip, or the quote of the TD.
"""

import hashlib
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from troth.errors import Malformed, Misuse, Unavailable
from troth.platforms._guest import opened
from troth.platforms.tpm import carrier, format  # noqa: A004
from troth.wire import tpm
from troth.wire.reader import Reader

DEVICE: Final = "/dev/tpmrm0"
AZURE_AK: Final = 0x81000003
AZURE_AK_CERTIFICATE: Final = 0x01C101D0
AZURE_REPORT: Final = 0x01400001
GOOGLE_AK_CERTIFICATE: Final = 0x01C10000
GOOGLE_AK_TEMPLATE: Final = 0x01C10001

ENDORSEMENT: Final = 0x4000000B
OWNER: Final = 0x40000001
_PASSWORD: Final = 0x40000009
_NO_SESSIONS: Final = 0x8001
_SESSIONS: Final = 0x8002
CREATE_PRIMARY: Final = 0x0131
NV_READ: Final = 0x014E
QUOTE: Final = 0x0158
FLUSH_CONTEXT: Final = 0x0165
NV_READ_PUBLIC: Final = 0x0169
READ_PUBLIC: Final = 0x0173
PCR_READ: Final = 0x017E
_NAMES: Final = {
    CREATE_PRIMARY: "TPM2_CreatePrimary",
    NV_READ: "TPM2_NV_Read",
    QUOTE: "TPM2_Quote",
    FLUSH_CONTEXT: "TPM2_FlushContext",
    NV_READ_PUBLIC: "TPM2_NV_ReadPublic",
    READ_PUBLIC: "TPM2_ReadPublic",
    PCR_READ: "TPM2_PCR_Read",
}
_AUTH_READ: Final = 1 << 18
_MAX_RESPONSE: Final = 4096
_HEAD: Final = 10
_CHUNK: Final = 512  # bytes of NV memory at a time, which every TPM gives
_MAX_NV: Final = 16 * 1024
_AGAIN: Final = frozenset({0x0922, 0x0908})  # TPM_RC_RETRY and TPM_RC_YIELDED
_TRIES: Final = 5
_PAUSE: Final = 0.1
_TIMEOUT: Final = 60.0
_FIELD: Final = "TPM's answer"


class _Transport(Protocol):
    def exchange(self, command: bytes) -> bytes: ...

    def close(self) -> None: ...


class Tpm:
    """An open TPM."""

    def __init__(self, transport: _Transport) -> None:
        self._transport = transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.close()

    def call(
        self, code: int, *handles: int, parameters: bytes = b"", sessions: bool = False
    ) -> Reader:
        """One command to what its answer holds behind the head.

        Args:
            code: of the command.
            handles: that it is about.
            parameters: the rest of it.
            sessions: whether its first handle needs authorization; the empty password is given.

        Raises:
            Unavailable: the TPM refused, or did not answer.
            Malformed: the answer is none.
        """
        body = b"".join(handle.to_bytes(4, "big") for handle in handles)
        if sessions:
            password = _PASSWORD.to_bytes(4, "big") + bytes(5)
            body += len(password).to_bytes(4, "big") + password
        body += parameters
        tag = _SESSIONS if sessions else _NO_SESSIONS
        command = (
            tag.to_bytes(2, "big")
            + (_HEAD + len(body)).to_bytes(4, "big")
            + code.to_bytes(4, "big")
            + body
        )
        name = _NAMES.get(code, f"command {code:#x}")
        for attempt in range(_TRIES):
            time.sleep(_PAUSE * attempt)
            answer = self._transport.exchange(command)
            reader = Reader(answer)
            reader.take(2, "tag")
            if reader.uint(4, "size") != len(answer):
                raise Malformed("has another size than it says", field=_FIELD)
            code_ = reader.uint(4, "response code")
            if code_ == 0:
                return reader
            if code_ not in _AGAIN:
                break
        raise Unavailable(
            f"the TPM refused {name}: response code {code_:#05x}",
            fix="look the code up in TPM 2.0 Library, part 2, section 6.6",
        )

    def registers(self, bank: int = tpm.SHA256) -> dict[int, bytes]:
        """All registers of a bank.

        Raises:
            Unavailable, Malformed: as `call`; the TPM has no such bank.
        """
        found: dict[int, bytes] = {}
        while len(found) < tpm.PCRS:
            wanted = tuple(index for index in range(tpm.PCRS) if index not in found)
            chosen = tpm.selected((tpm.Selection(algorithm=bank, pcrs=wanted),))
            reader = self.call(PCR_READ, parameters=chosen)
            reader.take(4, "update counter")
            given = tpm.selections(reader.take(4 + 6, "selection"))[0].pcrs
            count = reader.uint(4, "digests")
            if not given or count != len(given) or set(given) - set(wanted):
                raise Unavailable(f"the TPM has no registers of the bank {tpm.BANKS[bank]}")
            for index in given:
                found[index] = _sized(reader)
        return dict(sorted(found.items()))

    def public(self, handle: int) -> bytes:
        """TPMT_PUBLIC of a key.

        Raises:
            Unavailable, Malformed: as `call`.
        """
        return _sized(self.call(READ_PUBLIC, handle))

    def quote(
        self,
        handle: int,
        nonce: bytes,
        *,
        bank: int = tpm.SHA256,
        certificates: tuple[bytes, ...] = (),
    ) -> bytes:
        """A quote over all registers of a bank, in troth's form.

        A register may be extended between reading and quoting, so both are done again until they agree.

        Args:
            handle: of the attestation key.
            nonce: up to 64 bytes.
            bank: of the registers.
            certificates: the key's first, to lie beside the quote.

        Raises:
            Misuse: the nonce is too long.
            Unavailable, Malformed: as `call`; or the registers change all the time.
        """
        if len(nonce) > 64:
            raise Misuse(f"a nonce of {len(nonce)} bytes; a TPM takes 64")
        public = self.public(handle)
        every = tpm.Selection(algorithm=bank, pcrs=tuple(range(tpm.PCRS)))
        asked = len(nonce).to_bytes(2, "big") + nonce + tpm.NULL.to_bytes(2, "big")
        asked += tpm.selected((every,))
        for _ in range(_TRIES):
            values = self.registers(bank)
            reader = self.call(QUOTE, handle, parameters=asked, sessions=True)
            answer = Reader(reader.take(reader.uint(4, "parameter size"), "parameters"))
            attest = _sized(answer)
            signature = answer.take(answer.remaining, "signature")
            hash_ = tpm.BANKS[tpm.signature(signature).hash]
            expected = hashlib.new(hash_, b"".join(values.values()), usedforsecurity=False)
            if tpm.attest(attest).pcr_digest == expected.digest():
                return format.pack(
                    attest=attest,
                    signature=signature,
                    pcrs=values,
                    public=public,
                    certificates=certificates,
                )
        raise Unavailable("the registers change while they are quoted", fix="try again later")

    def nv(self, index: int) -> bytes:
        """All that lies at an index of NV memory.

        Raises:
            Unavailable, Malformed: as `call`; there is nothing, or too much.
        """
        area = Reader(_sized(self.call(NV_READ_PUBLIC, index)))
        area.take(4 + 2, "index and name algorithm")
        attributes = area.uint(4, "attributes")
        _sized(area)
        size = area.uint(2, "size")
        if size > _MAX_NV:
            raise Unavailable(f"the NV index {index:#x} holds {size} bytes, at most {_MAX_NV}")
        by = index if attributes & _AUTH_READ else OWNER
        found = bytearray()
        while len(found) < size:
            part = min(_CHUNK, size - len(found))
            where = part.to_bytes(2, "big") + len(found).to_bytes(2, "big")
            reader = self.call(NV_READ, by, index, parameters=where, sessions=True)
            reader.take(4, "parameter size")
            data = _sized(reader)
            if len(data) != part:
                raise Malformed(f"holds {len(data)} bytes, {part} were asked for", field=_FIELD)
            found += data
        return bytes(found)

    @contextmanager
    def primary(self, template: bytes, *, hierarchy: int = ENDORSEMENT) -> Iterator[int]:
        """The handle of a primary key, made from a template (TPMT_PUBLIC) and flushed at the end.

        Raises:
            Unavailable, Malformed: as `call`.
        """
        nothing = (4).to_bytes(2, "big") + bytes(4)  # neither password nor data
        parameters = nothing + len(template).to_bytes(2, "big") + template + bytes(2 + 4)
        reader = self.call(CREATE_PRIMARY, hierarchy, parameters=parameters, sessions=True)
        handle = reader.uint(4, "handle")
        try:
            yield handle
        finally:
            self.call(FLUSH_CONTEXT, handle)


def azure(device: Tpm, nonce: bytes) -> tuple[bytes, bytes]:
    """A quote by Azure's attestation key with its certificate, and the paravisor's report.

    Raises:
        Unavailable: this is no confidential VM of Azure, or the TPM refused.
        Malformed: the TPM's answers are none.
    """
    certificate = carrier.trimmed(device.nv(AZURE_AK_CERTIFICATE))
    quote = device.quote(AZURE_AK, nonce, certificates=(certificate,))
    return quote, device.nv(AZURE_REPORT)


def google(device: Tpm, nonce: bytes) -> bytes:
    """A quote by Google's attestation key with its certificate.

    Raises:
        Unavailable: this is no virtual machine of Google, or the TPM refused.
        Malformed: the TPM's answers are none.
    """
    certificate = carrier.trimmed(device.nv(GOOGLE_AK_CERTIFICATE))
    with device.primary(device.nv(GOOGLE_AK_TEMPLATE)) as handle:
        return device.quote(handle, nonce, certificates=(certificate,))


@contextmanager
def open_tpm(path: str = DEVICE) -> Iterator[Tpm]:
    """The TPM at this path: a device, or a unix socket that takes bare commands.

    Raises:
        Unavailable: there is none, or it cannot be opened.
    """
    try:
        kind = Path(path).stat().st_mode
    except OSError as error:
        raise Unavailable(
            f"cannot open {path}: {error.strerror}", fix="run this in a guest that has a TPM"
        ) from None
    if stat.S_ISSOCK(kind):
        with Tpm(_Socket.connect(path)) as device:
            yield device
        return
    with opened(path, fix="run this in a guest that has a TPM") as fd:
        yield Tpm(_Device(fd=fd))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """The kernel's driver: one write is a command, one read its answer. Whoever opened it closes it."""

    fd: int

    def exchange(self, command: bytes) -> bytes:
        try:
            if os.write(self.fd, command) != len(command):
                raise Unavailable("the TPM's driver took only a part of the command")
            return os.read(self.fd, _MAX_RESPONSE)
        except OSError as error:
            raise Unavailable(f"the TPM does not answer: {error.strerror}") from error

    def close(self) -> None:
        """Nothing: see the class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Socket:
    """A simulator's socket: bare commands and answers, one after the other."""

    stream: socket.socket

    @classmethod
    def connect(cls, path: str) -> Self:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(_TIMEOUT)
        try:
            stream.connect(path)
        except OSError as error:
            stream.close()
            raise Unavailable(f"cannot connect to {path}: {error.strerror}") from error
        return cls(stream=stream)

    def exchange(self, command: bytes) -> bytes:
        try:
            self.stream.sendall(command)
            head = self._take(_HEAD)
            size = int.from_bytes(head[2:6], "big")
            if not _HEAD <= size <= _MAX_RESPONSE:
                raise Malformed(f"says {size} bytes", field=_FIELD)
            return head + self._take(size - _HEAD)
        except OSError as error:
            raise Unavailable(f"the TPM does not answer: {error}") from error

    def _take(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            part = self.stream.recv(size - len(found))
            if not part:
                raise Unavailable("the TPM ended the connection amid its answer")
            found += part
        return bytes(found)

    def close(self) -> None:
        self.stream.close()


def _sized(reader: Reader) -> bytes:
    return reader.take(reader.uint(2, "size"), _FIELD)
