"""The section of a policy document on releases in a log: TOML to terms and back."""

from datetime import timedelta
from typing import Any, Final

from troth.errors import Misuse
from troth.policy.toml_values import array, only, quoted, span, strings
from troth.tlog.note import verifier_key
from troth.tlog.terms import Terms

_KEYS: Final = (
    *("logged", "app", "log", "witnesses", "witness_threshold"),
    *("owners", "owner_threshold", "notice", "max_checkpoint_age"),
)


def read(section: Any, source: str) -> Terms:
    """The terms that a section says. Nothing has a default: each of these somebody must have meant.

    Raises:
        Misuse: something is missing, unknown, or no such thing.
    """
    where = f"{source}: [release]"
    if not isinstance(section, dict):
        raise Misuse(f"{source}: release should be a table")
    only(section, _KEYS, where)
    missing = [key for key in _KEYS if key not in section]
    if missing:
        raise Misuse(
            f"{where} does not say {', '.join(missing)}",
            fix='say each of them; no notice at all is notice = "0s"',
        )
    if section["logged"] is not True:
        raise Misuse(f"{where}: logged should be true", fix="leave the section away")
    try:
        return Terms(
            app=section["app"],
            log=verifier_key(_text(section["log"]), source="log"),
            witnesses=tuple(
                verifier_key(key, source="witnesses")
                for key in strings(section["witnesses"], "witnesses")
            ),
            witness_threshold=section["witness_threshold"],
            owners=tuple(
                verifier_key(key, source="owners") for key in strings(section["owners"], "owners")
            ),
            owner_threshold=section["owner_threshold"],
            notice=span(section["notice"], "notice"),
            max_checkpoint_age=span(section["max_checkpoint_age"], "max_checkpoint_age"),
        )
    except Misuse as misuse:
        raise Misuse(f"{where}: {misuse}", fix=misuse.fix) from None


def write(terms: Terms) -> list[str]:
    """The lines of the section; `read` gives the same terms back."""
    return [
        "[release]",
        "logged = true",
        f"app = {quoted(terms.app)}",
        f"log = {quoted(str(terms.log))}",
        f"witnesses = {array(map(str, terms.witnesses))}",
        f"witness_threshold = {terms.witness_threshold}",
        f"owners = {array(map(str, terms.owners))}",
        f"owner_threshold = {terms.owner_threshold}",
        f'notice = "{_whole(terms.notice)}s"',
        f'max_checkpoint_age = "{_whole(terms.max_checkpoint_age)}s"',
    ]


def stated(terms: Terms) -> dict[str, Any]:
    """The terms in a policy's canonical form."""
    return {
        "app": terms.app,
        "log": str(terms.log),
        "witnesses": [str(key) for key in terms.witnesses],
        "witness_threshold": terms.witness_threshold,
        "owners": [str(key) for key in terms.owners],
        "owner_threshold": terms.owner_threshold,
        "notice_s": _whole(terms.notice),
        "max_checkpoint_age_s": _whole(terms.max_checkpoint_age),
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Misuse("log should be text")
    return value


def _whole(span: timedelta) -> int:
    return int(span.total_seconds())
