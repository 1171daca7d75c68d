"""Policies in TOML: what is read is written so that it reads the same."""

from collections.abc import Iterable
from pathlib import Path

from tests.policy.made import EVERYTHING, policy

from fuzz.simulated import nitro_case, pinned, quote_cases, report_cases
from fuzz.target import Target, same
from troth.errors import Malformed, Misuse
from troth.policy import Policy


def text_of(data: bytes) -> str:
    """The text of a file, as a command would read it.

    Raises:
        Malformed: it is not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("is not UTF-8", field="text") from None


def _run(data: bytes) -> None:
    read = Policy.from_toml(text_of(data), source="policy")
    again = Policy.from_toml(read.to_toml(), source="policy")
    same(again, read, "a policy written and read again")
    same(again.sha256, read.sha256, "the digest of a policy written and read again")


def _seeds() -> Iterable[bytes]:
    for case in (nitro_case(), *quote_cases(), *report_cases()):
        yield pinned(case.evidence).to_toml().encode()
    yield from (policy(name, **asked).to_toml().encode() for name, asked in EVERYTHING.items())
    # Every example that the reference shows, where it shows no values with some.
    page = Path(__file__).parents[2] / "docs" / "reference" / "policy.md"
    for part in page.read_text(encoding="utf-8").split("```toml\n")[1:]:
        example = part.split("```")[0].replace("…", "ab" * 32)
        head = "" if example.startswith("schema") else 'schema = "troth/policy/1"\n'
        yield (head + example).encode()


WORDS = (
    b"\n",
    b'"',
    b"[",
    b"]",
    b" = ",
    b"true",
    b"2026-01-01",
    b"2026-01-01T00:00:00Z",
    b"0x",
    b"{",
    b"'''",
)
TARGET = Target(
    run=_run,
    seeds=_seeds,
    refuses=(Malformed, Misuse),
    longest=8192,
    words=(*WORDS, b"[tdx]\n", b"[snp]\n", b"min_tcb", b"advisories", b"max_age"),
)
