"""A stand-in for AWS's `nitro-cli`, for tests: it answers as documented and starts no enclave.

What it holds is in the folder that `STAND_IN` names: `enclaves.json`, and `trouble.json`, which says with
which error codes a subcommand ends. An enclave is a process that sleeps, or where there is a file `alive` the
stand-in for one; ended, it is forgotten. So this shows that troth understands the program's documented
words, and nothing about the hardware.
"""

# ruff: noqa: T201 - it is a program
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

TITLES = {
    "E11": "Socket error. This is used as an error for catching any other socket operation errors.",
    "E19": "File operation failure. Such error appears when the system fails to perform it.",
    "E22": "Insufficient CPUs available in the pool. User provided more than the pool has.",
    "E26": "Insufficient memory requested. User provided `memory` is 50 MB, but should be 264 MB",
    "E27": "Insufficient memory available. User provided more than the huge pages have.",
    "E29": "Ioctl failure. Such error is used as a general ioctl error.",
    "E36": "Enclave boot failure. Such error appears when attempting to receive the `ready` signal.",
    "E39": "Enclave process connection failure. Such error appears when it fails to connect.",
    "E77": "Some new trouble. Nobody knows it yet.",
}
HERE = Path(os.environ.get("STAND_IN", "."))


def main(arguments: list[str]) -> int:
    """One subcommand."""
    command, rest = arguments[0], arguments[1:]
    with Path(HERE, "calls").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(arguments) + "\n")
    troubles = _read("trouble.json", {}).get(command, [])
    if troubles and isinstance(troubles[0], list):  # one list for each call
        troubles, left = troubles[0], troubles[1:]
        _write("trouble.json", {command: left})
    if troubles:
        return _fail(troubles)
    return {
        "run-enclave": _run,
        "describe-enclaves": _describe,
        "terminate-enclave": _terminate,
        "console": _console,
    }[command](rest)


def _run(rest: list[str]) -> int:
    sleeper = subprocess.Popen(
        [sys.executable, *_enclave(rest)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    enclave = {
        "EnclaveName": rest[rest.index("--enclave-name") + 1],
        "EnclaveID": "i-0f5d8e1b2c3a4d5e6-enc0123456789abcde",
        "ProcessID": sleeper.pid,
        "EnclaveCID": int(rest[rest.index("--enclave-cid") + 1]),
        "NumberOfCPUs": int(rest[rest.index("--cpu-count") + 1]),
        "CPUIDs": [1, 3],
        "MemoryMiB": int(rest[rest.index("--memory") + 1]),
    }
    flags = "DEBUG_MODE" if "--debug-mode" in rest else "NONE"
    _write("enclaves.json", [{**enclave, "State": "RUNNING", "Flags": flags}])
    _say("Start allocating memory...")
    _say("Started enclave with enclave-cid: 16, memory: 512 MiB, cpu-ids: [1, 3]")
    print(json.dumps(enclave, indent=2))
    return 0


def _enclave(rest: list[str]) -> list[str]:
    if (HERE / "alive").exists():
        agent = Path(__file__).with_name("stand_in_enclave.py")
        return [str(agent), rest[rest.index("--enclave-cid") + 1]]
    return ["-c", "import time; time.sleep(600)"]


def _describe(_: list[str]) -> int:
    living = [e for e in _read("enclaves.json", []) if _lives(e["ProcessID"])]
    print(json.dumps(living, indent=2))
    return 0


def _lives(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    except OSError:
        return False


def _terminate(rest: list[str]) -> int:
    key = {"--enclave-id": "EnclaveID", "--enclave-name": "EnclaveName"}[rest[0]]
    for enclave in _read("enclaves.json", []):
        if enclave[key] == rest[1] and _lives(enclave["ProcessID"]):
            os.kill(enclave["ProcessID"], signal.SIGKILL)
            _write("enclaves.json", [])
            print(f"Successfully terminated enclave {enclave['EnclaveID']}.")
            print(json.dumps({"EnclaveID": enclave["EnclaveID"], "Terminated": True}, indent=2))
            return 0
    return _fail(["E39"])


def _console(_: list[str]) -> int:
    _say("Connecting to the console for enclave 16...")
    _say("Successfully connected to the console.")
    print("[    0.000000] Linux version 6.12.0\nhello from the app", flush=True)
    return 0


def _fail(codes: list[str]) -> int:
    for item in codes:
        code, _, file = item.partition(" ")
        _say(f"[ {code} ] {TITLES[code]}")
        if file:
            _say(f"File: '{file}', failing operation: 'Open'.")
        _say(f"\nFor more details, please visit …/cli-errors.html#{code}\n")
        _say('If you open a support ticket, please provide the error log found at "/var/log/x.log"')
        _say("Failed connections: 1")
    return int(codes[0][1:3])


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _read(name: str, absent: object) -> object:
    path = HERE / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else absent


def _write(name: str, content: object) -> None:
    (HERE / name).write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
