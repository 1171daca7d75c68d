"""Run by the image's own interpreter: compiles files to bytecode, each in a process of its own.

Reads lines of JSON [source, name in the image, target] from standard input; prints the names of files
that do not compile. Imports nothing of troth's, because it runs elsewhere.
"""

import json
import os
import py_compile
import sys


def compile_one(source: str, name: str, target: str) -> int:
    """Compiles one file; 0, or 1 where its syntax is wrong."""
    try:
        py_compile.compile(
            source,
            cfile=target,
            dfile=name,
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError:
        return 1
    return 0


def main() -> None:
    """Forks for each file, so that no file's bytecode depends on what was compiled before it."""
    running: dict[int, str] = {}
    most = os.cpu_count() or 1
    jobs = [json.loads(line) for line in sys.stdin]
    while jobs or running:
        while jobs and len(running) < most:
            source, name, target = jobs.pop(0)
            pid = os.fork()
            if pid == 0:
                os._exit(compile_one(source, name, target))
            running[pid] = name
        pid, status = os.wait()
        name = running.pop(pid)
        if os.waitstatus_to_exitcode(status) == 1:
            print(name)  # noqa: T201
        elif status != 0:
            sys.exit(f"{name}: the compiler ended with {status}")


if __name__ == "__main__":
    main()
