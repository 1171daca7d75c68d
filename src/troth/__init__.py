"""troth: build, run, attest and verify applications in trusted execution environments.

    verified = troth.verify(evidence, policy=policy, nonce=nonce, at=now)
    verified.claims.measurement("pcr0")

Names are loaded on first use, so that `import troth` costs little.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from troth._version import __version__

if TYPE_CHECKING:
    from troth.channel import connect
    from troth.channel.openai import async_openai, openai
    from troth.errors import Malformed, Misuse, TrothError, Unavailable
    from troth.model.answer import AnswerRefused
    from troth.model.check import Check, Outcome, Waiver
    from troth.model.claims import Claims
    from troth.model.collateral import Collateral
    from troth.model.evidence import Evidence
    from troth.model.report import Rejected, Report, Undecided, Verdict
    from troth.model.roots import Root, RootClass
    from troth.model.verified import Verified
    from troth.policy import Policy
    from troth.trust import load_roots, vendor_roots
    from troth.trust.collateral import load as load_collateral
    from troth.verifier import appraise, verify
    from troth.verifier.many import Answer, Question, verify_many

_HOMES: Final[dict[str, str]] = {
    "connect": "troth.channel",
    "openai": "troth.channel.openai",
    "async_openai": "troth.channel.openai",
    "AnswerRefused": "troth.model.answer",
    "Malformed": "troth.errors",
    "Misuse": "troth.errors",
    "TrothError": "troth.errors",
    "Unavailable": "troth.errors",
    "Check": "troth.model.check",
    "Outcome": "troth.model.check",
    "Waiver": "troth.model.check",
    "Claims": "troth.model.claims",
    "Evidence": "troth.model.evidence",
    "Rejected": "troth.model.report",
    "Report": "troth.model.report",
    "Undecided": "troth.model.report",
    "Verdict": "troth.model.report",
    "Root": "troth.model.roots",
    "RootClass": "troth.model.roots",
    "Verified": "troth.model.verified",
    "Policy": "troth.policy",
    "load_roots": "troth.trust",
    "vendor_roots": "troth.trust",
    "appraise": "troth.verifier",
    "verify": "troth.verifier",
    "Answer": "troth.verifier.many",
    "Question": "troth.verifier.many",
    "verify_many": "troth.verifier.many",
    "Collateral": "troth.model.collateral",
    "load_collateral": "troth.trust.collateral",
}

# Names that are short where they live.
_OTHERWISE: Final[dict[str, str]] = {"load_collateral": "load"}

__all__ = [
    "Answer",
    "AnswerRefused",
    "Check",
    "Claims",
    "Collateral",
    "Evidence",
    "Malformed",
    "Misuse",
    "Outcome",
    "Policy",
    "Question",
    "Rejected",
    "Report",
    "Root",
    "RootClass",
    "TrothError",
    "Unavailable",
    "Undecided",
    "Verdict",
    "Verified",
    "Waiver",
    "__version__",
    "appraise",
    "async_openai",
    "connect",
    "load_collateral",
    "load_roots",
    "openai",
    "vendor_roots",
    "verify",
    "verify_many",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'troth' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), _OTHERWISE.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
