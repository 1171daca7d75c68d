"""What importing troth costs and drags in: the verifier must stay small enough to read."""

import json
import subprocess
import sys

ALLOWED = {"troth", "cryptography", "_openssl", "cbor2", "_cbor2", "_cffi_backend"}
# Modules that a value-to-value verifier has no business with at import.
UNWANTED = {"OpenSSL", "cyclopts", "rich", "asyncio", "http.client", "multiprocessing", "pydantic"}

LIST_MODULES = "import sys, json; {code}; print(json.dumps(sorted(sys.modules)))"
BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)
sys.meta_path.insert(0, Block())
import troth
for name in troth.__all__:
    getattr(troth, name)
"""


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _loaded(code: str) -> set[str]:
    before: list[str] = json.loads(_python(LIST_MODULES.format(code="pass")))
    after: list[str] = json.loads(_python(LIST_MODULES.format(code=code)))
    return set(after) - set(before)


def _strangers(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) - ALLOWED


def test_import_loads_only_what_it_may() -> None:
    loaded = _loaded("import troth")
    assert not _strangers(loaded)
    assert not loaded & UNWANTED


def test_verifying_loads_only_what_it_may() -> None:
    loaded = _loaded("import troth; troth.verify; troth.appraise; troth.Policy")
    assert not _strangers(loaded)
    assert not loaded & UNWANTED


def test_the_public_names_need_no_command_line_and_no_tls_library() -> None:
    _python(BLOCK.format(blocked={"OpenSSL", "cyclopts", "rich", "docstring_parser"}))


def test_command_files_are_light() -> None:
    """`troth --version` must not pay for what other commands need."""
    loaded = _loaded("import troth.cli.main")
    assert not loaded & {"OpenSSL", "troth.image", "troth.runtime", "troth.channel"}
