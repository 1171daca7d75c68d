"""Environment variables that would let unmeasured code in are refused by name."""

import pytest

from troth.errors import Misuse
from troth.image.environment import check_environment


@pytest.mark.parametrize(
    "name",
    [
        *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME"),
        *("NODE_OPTIONS", "NODE_PATH", "PERL5LIB", "PERL_MB_OPT", "RUBYOPT", "JAVA_TOOL_OPTIONS"),
        *("_JAVA_OPTIONS", "CLASSPATH", "BASH_ENV", "ENV", "PATH", "IFS", "GCONV_PATH"),
        *("OPENSSL_CONF", "SSL_CERT_FILE", "SSLKEYLOGFILE", "MALLOC_CHECK_", "GLIBC_TUNABLES"),
        *("TROTH_X", "TMPDIR", "ld_preload", "PythonPath", "LOCPATH", "HOSTALIASES", "PS4"),
    ],
)
def test_names_that_steer_code(name: str) -> None:
    with pytest.raises(Misuse, match=f"environment.{name} could make a program load") as caught:
        check_environment({name: "x"}, source="troth.toml")
    assert "measured configuration" in caught.value.fix


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "Ä", "A\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(Misuse, match="is not a variable's name"):
        check_environment({name: "x"}, source="troth.toml")


def test_a_nul() -> None:
    with pytest.raises(Misuse, match="has a NUL"):
        check_environment({"A": "x\0y"}, source="troth.toml")


def test_what_may_be_set_comes_back_sorted() -> None:
    values = {"LOG_LEVEL": "debug", "APP_MODE": "x=y\n", "_A": ""}
    assert list(check_environment(values, source="x").items()) == sorted(values.items())
