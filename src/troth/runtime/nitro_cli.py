"""The program `nitro-cli` of AWS: the commands that a run needs, and its errors in words that help.

Its commands, outputs and error codes are those that AWS documents; none of this has met the hardware.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from troth.errors import Malformed, Unavailable
from troth.wire import json

PROGRAM: Final = "nitro-cli"
_OUTPUT: Final = "nitro-cli"
_MAX_OUTPUT: Final = 1 << 20
_START_SECONDS: Final = 180
"""Huge pages are cleared first, and the image is copied and measured; gigabytes take a while."""
_ASK_SECONDS: Final = 30
_JSON: Final = re.compile(rb"^[{\[]", re.MULTILINE)
_CODE: Final = re.compile(r"\[ ?(E\d{2}) ?\] ?([^\n]*)")
_FILE: Final = re.compile(r"File: '([^'\n]+)'")
_ID: Final = re.compile(r"i-[0-9a-f]{1,32}-enc[0-9a-f]{1,32}")

ALLOCATOR: Final = (
    "set {what} in /etc/nitro_enclaves/allocator.yaml, then: "
    "sudo systemctl restart nitro-enclaves-allocator"
)
_LOG: Final = "read the newest file in /var/log/nitro_enclaves"
_ENABLED: Final = (
    "start the instance with --enclave-options Enabled=true, and load the driver: "
    "sudo modprobe nitro_enclaves"
)
_GROUP: Final = "add this user to the group ne (sudo usermod -aG ne $USER), and log in again"

MEANINGS: Final[Mapping[str, tuple[str, str]]] = {
    "E18": ("this user may not use enclaves", _GROUP),
    "E20": (
        "the number of CPUs does not fit: where a core has two threads, only even numbers do",
        "set cpus in the recipe to an even number",
    ),
    "E21": ("the CPUs are not in the pool", ALLOCATOR.format(what="cpu_count or cpu_pool")),
    "E22": ("the pool has fewer CPUs than the image wants", ALLOCATOR.format(what="cpu_count")),
    "E26": ("the memory is less than four times the image", "raise memory in the recipe"),
    "E27": (
        "too little memory is set aside for enclaves",
        f"{ALLOCATOR.format(what='memory_mib')}; if that fails, memory is in pieces: reboot first",
    ),
    "E29": (
        "the driver refused",
        "try once more; if it stays so: sudo systemctl restart nitro-enclaves-allocator",
    ),
    "E31": (
        "the driver refused the memory: it must be huge pages of one NUMA node",
        "reboot the instance, so that its memory is in one piece, or take less",
    ),
    "E32": ("the driver refused a CPU", "take whole cores: an even number where they have two"),
    "E33": ("the driver did not start the enclave", _LOG),
    "E35": ("nitro-cli cannot read the image", "inspect it with troth inspect"),
    "E36": (
        (
            "the enclave did not boot: kernel or init stopped, or the image's signing certificate "
            "has expired, or two enclaves were started at once"
        ),
        "try the same image with --on microvm, where its console shows; then here in debug mode",
    ),
    "E39": ("the process that holds the enclave has ended", _LOG),
    "E44": ("the console cannot be read", "only an enclave in debug mode has one: --debug-mode"),
    "E53": ("the clock of this instance went backwards", "let chrony or ntpd set the clock"),
}
"""What an error code means and what to do; the first code in an output is the cause of the others."""


class Refused(Unavailable):
    """The program ended with an error: what it was asked for has not come about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclave:
    """One enclave as `nitro-cli` describes it.

    Attributes:
        id: `i-…-enc…`.
        cid: its address on vsock.
        process: the process on this instance that holds it; 0 where none is told.
        cpus: how many it has.
        memory: MiB.
        state: in capitals, `RUNNING` or `TERMINATING`; empty in the answer to a start.
        debug: whether it runs in debug mode.
    """

    id: str
    cid: int
    process: int
    cpus: int
    memory: int
    state: str = ""
    debug: bool = False

    @classmethod
    def read(cls, raw: object) -> Self:
        """Reads one object of the output.

        Raises:
            Malformed: it is not as documented.
        """
        match raw:
            case {
                "EnclaveID": str(name),
                "EnclaveCID": int(cid),
                "NumberOfCPUs": int(cpus),
                "MemoryMiB": int(memory),
                **rest,
            } if _ID.fullmatch(name) and 4 <= cid < 2**32 - 1:
                process = rest.get("ProcessID")
                return cls(
                    id=name,
                    cid=cid,
                    process=process if isinstance(process, int) and process > 0 else 0,
                    cpus=cpus,
                    memory=memory,
                    state=str(rest.get("State", "")).upper(),
                    debug="DEBUG" in str(rest.get("Flags", "")).upper(),
                )
        raise Malformed("does not describe an enclave as documented", field=_OUTPUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroCli:
    """The program.

    Attributes:
        program: its path.
    """

    program: str

    @classmethod
    def find(cls) -> Self:
        """The one on PATH.

        Raises:
            Unavailable: there is none.
        """
        found = shutil.which(PROGRAM)
        if found is None:
            raise Unavailable(
                "nitro-cli is not on this machine",
                fix="on an EC2 instance with enclaves enabled: "
                "sudo dnf install aws-nitro-enclaves-cli (Amazon Linux); elsewhere run with "
                "--on microvm",
            )
        return cls(program=found)

    def run(
        self,
        image: Path,
        *,
        name: str,
        cid: int,
        memory: int,
        cpus: int,
        debug: bool,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Enclave:
        """Starts an enclave and returns when it has given its sign of life.

        Args:
            image: the EIF.
            name: what it is called in the program's own lists.
            cid: its address on vsock, of nobody else's on this instance.
            memory: MiB.
            cpus: how many.
            debug: registers 0 to 2 are zero in its evidence, and its console can be read.
            meanwhile: called again and again; what it raises ends the program, not the enclave.

        Raises:
            Refused: it was refused or did not boot; the first error code says why.
            Unavailable: the program gives no answer; an enclave may be there or come.
            Malformed: the answer is not as documented.
        """
        command = [
            *("run-enclave", "--eif-path", str(image), "--enclave-name", name),
            *("--enclave-cid", str(cid), "--memory", str(memory), "--cpu-count", str(cpus)),
            *(["--debug-mode"] if debug else []),
        ]
        enclave = Enclave.read(self._ask(command, seconds=_START_SECONDS, meanwhile=meanwhile))
        if enclave.cid != cid:
            raise Malformed(f"started it at CID {enclave.cid}, not {cid}", field=_OUTPUT)
        return enclave

    def describe(self) -> tuple[Enclave, ...]:
        """The enclaves of this user.

        Raises:
            Unavailable: it does not answer.
            Malformed: the answer is not as documented.
        """
        listed = self._ask(["describe-enclaves"], seconds=_ASK_SECONDS)
        if not isinstance(listed, list):
            raise Malformed("does not list enclaves as documented", field=_OUTPUT)
        return tuple(map(Enclave.read, listed))

    def terminate(self, enclave: str) -> None:
        """Ends an enclave.

        Args:
            enclave: its id, or the name it was started under.

        Raises:
            Unavailable: it does not end, or there is no such enclave.
            Malformed: the answer is not as documented.
        """
        by = "--enclave-id" if _ID.fullmatch(enclave) else "--enclave-name"
        answer = self._ask(["terminate-enclave", by, enclave], seconds=_ASK_SECONDS)
        match answer:
            case {"Terminated": True}:
                return
            case {"Terminated": False}:
                raise Unavailable(f"{enclave} does not end", fix=_LOG)
        raise Malformed("does not say whether it ended", field=_OUTPUT)

    def console(self, enclave: str) -> list[str]:
        """The command that prints the console of an enclave in debug mode until it ends."""
        return [self.program, "console", "--enclave-id", enclave]

    def _ask(
        self,
        command: Sequence[str],
        *,
        seconds: int,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Any:
        try:
            process = subprocess.Popen(
                [self.program, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise Unavailable(f"{self.program} cannot be executed: {error.strerror}") from None
        with process:
            try:
                output, words = _until_end(process, seconds, meanwhile)
            except subprocess.TimeoutExpired:
                raise Unavailable(
                    f"nitro-cli {command[0]} did not end within {seconds} s", fix=_LOG
                ) from None
            finally:
                process.kill()  # no harm if it has ended
        if process.returncode != 0:
            said = (words + b"\n" + output).decode("utf-8", "replace")
            raise explain(command[0], said, process.returncode)
        return _answer(output)


def _until_end(
    process: "subprocess.Popen[bytes]", seconds: float, meanwhile: Callable[[], None]
) -> tuple[bytes, bytes]:
    until = time.monotonic() + seconds
    while True:
        meanwhile()
        try:
            return process.communicate(timeout=min(0.2, seconds))
        except subprocess.TimeoutExpired:
            if time.monotonic() > until:
                raise


def _answer(output: bytes) -> Any:
    """The JSON in an output; `terminate-enclave` says a line before it."""
    found = _JSON.search(output)
    if found is None or len(output) > _MAX_OUTPUT:
        raise Malformed("has no answer where one is documented", field=_OUTPUT)
    return json.parse(output[found.start() :].strip(), field=_OUTPUT)


def explain(command: str, words: str, code: int) -> Refused:
    """The error for an output that holds error codes.

    `run-enclave` reports what went wrong first, and then that it lost the process to which that
    happened (E39, E11): the first code is the cause.

    Args:
        command: the subcommand.
        words: all that it printed.
        code: its exit code.
    """
    found = _CODE.search(words)
    if found is None:
        last = " · ".join(line.strip() for line in words.splitlines() if line.strip())[-300:]
        return Refused(f"nitro-cli {command} ended with {code}: {last or 'no word'}", fix=_LOG)
    number, title = found[1], found[2].partition(". ")[0].rstrip(".")
    meaning, fix = MEANINGS.get(number, (title[:120].lower() or "no word", _LOG))
    if number == "E19":
        meaning, fix = _file(_FILE.search(words))
    return Refused(f"nitro-cli {command}: {meaning} ({number})", fix=fix)


def _file(found: re.Match[str] | None) -> tuple[str, str]:
    """E19, a file that cannot be opened: which one tells all."""
    path = found[1] if found else ""
    if path == "/dev/nitro_enclaves" or path.startswith("/sys/module/nitro_enclaves"):
        return f"this machine has no enclaves: {path} cannot be opened", _ENABLED
    if path.startswith(("/var/log/nitro_enclaves", "/run/nitro_enclaves")):
        return f"this user may not use enclaves: {path} cannot be opened", _GROUP
    return f"a file cannot be opened: {path or 'it does not say which'}"[:200], _LOG
