"""Which environment variables a recipe may set: none that make a program load or run something else."""

import re
from collections.abc import Mapping
from typing import Final

from troth.errors import Misuse

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Each of these names code, a search path for code, or a start-up file to some loader, interpreter or
# library. Nothing unmeasured may run inside; a value in the recipe is measured, but it would
# turn a writable folder or a file of the host's into code.
_PREFIXES: Final = (
    "LD_", "PYTHON", "PERL5", "PERL_", "RUBY", "GEM_", "BUNDLE_", "NODE_", "NPM_", "LUA_", "PHP_",
    "JAVA_", "_JAVA_", "JDK_", "CLASSPATH", "GLIBC_", "MALLOC_", "BASH_", "DYLD_", "GIT_", "PIP_",
    "DOTNET_", "COMPLUS_", "CORECLR_", "ERL_", "TROTH_", "OPENSSL_", "GTK_", "QT_", "GIO_",
)  # fmt: skip
_NAMES: Final = frozenset({
    "PATH", "HOME", "IFS", "ENV", "SHELLOPTS", "SHELL", "PS4", "PROMPT_COMMAND", "CDPATH", "GLOBIGNORE",
    "GCONV_PATH", "NLSPATH", "LOCPATH", "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "GETCONF_DIR",
    "TZDIR", "TMPDIR", "RESOLV_HOST_CONF", "NIS_PATH", "R_HOME", "GUILE_LOAD_PATH", "TCLLIBPATH",
    "EDITOR", "VISUAL", "PAGER", "LESSOPEN", "TERMINFO", "TERMINFO_DIRS", "TERMCAP",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE",
})  # fmt: skip


def check_environment(values: Mapping[str, str], *, source: str) -> dict[str, str]:
    """The variables, sorted, if all of them may be set.

    Args:
        values: names and values.
        source: the file they are from, for errors.

    Raises:
        Misuse: a name that steers what code is loaded, a name that is none, a NUL in a value.
    """
    for name, value in values.items():
        if not _NAME.fullmatch(name):
            raise Misuse(f"{source}: environment.{name} is not a variable's name")
        if steers_code(name):
            raise Misuse(
                f"{source}: environment.{name} could make a program load other code, and is refused",
                fix="give the setting to the app as measured configuration or as an argument",
            )
        if "\0" in value:
            raise Misuse(f"{source}: environment.{name} has a NUL in its value")
    return dict(sorted(values.items()))


def steers_code(name: str) -> bool:
    """Whether some loader, interpreter or library reads from this variable what code to load."""
    return name.upper() in _NAMES or name.upper().startswith(_PREFIXES)
