"""Run by the image's own interpreter: compiles files to bytecode, each in a process of its own.

Reads lines of JSON [source, name in the image, target] from standard input; prints the names of files
that do not compile, as JSON as well, for a name may hold a new line. Imports nothing of troth's, because it runs elsewhere.
"""

import json
import os
import py_compile
import sys

_DONE, _SYNTAX, _FAILED = 0, 1, 2


def compile_one(source: str, name: str, target: str) -> int:
    """Compiles one file; says whether it worked, its syntax is wrong, or something else failed."""
    try:
        py_compile.compile(
            source,
            cfile=target,
            dfile=name,
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError as error:
        # A lack of memory, say, must not look like a file that has no bytecode.
        return _SYNTAX if isinstance(error.exc_value, SyntaxError) else _FAILED
    except OSError:
        return _FAILED
    return _DONE


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
                code = _FAILED
                try:
                    code = compile_one(source, name, target)
                finally:
                    os._exit(code)
            running[pid] = name
        pid, status = os.wait()
        name = running.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        if code == _SYNTAX:
            print(json.dumps(name))  # noqa: T201
        elif code != _DONE:
            sys.exit(f"{name} could not be compiled ({code})")


if __name__ == "__main__":
    main()
