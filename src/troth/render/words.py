"""The words that text and HTML share: what a verdict is called, what a passed check says, what a report proves."""

from datetime import UTC, datetime, timedelta
from typing import Final

from troth.model.check import Check, Outcome
from troth.model.codes import Code
from troth.model.report import Report, Verdict, decide
from troth.model.roots import RootClass

VERDICTS: Final[dict[Verdict, tuple[str, str]]] = {
    Verdict.ACCEPTED: ("✓", "accepted"),
    Verdict.REJECTED: ("✗", "rejected"),
    Verdict.UNDECIDED: ("?", "undecided"),
    Verdict.ACCEPTABLE_WITH_WAIVERS: ("!", "acceptable with waivers"),
    Verdict.MALFORMED: ("✗", "malformed"),
}

OUTCOMES: Final[dict[Outcome, tuple[str, str]]] = {
    Outcome.PASSED: ("✓", "passed"),
    Outcome.FAILED: ("✗", "error"),
    Outcome.UNDECIDED: ("?", "undecided"),
    Outcome.WAIVED: ("!", "waived"),
}

QUESTIONS: Final[dict[str, str]] = {
    "F": "Form",
    "G": "Genuineness",
    "R": "Freshness and revocation",
    "T": "Platform version",
    "M": "Measurement",
    "B": "Binding",
    "P": "Policy",
    "A": "Audit",
}

# A code's title says what is wrong; this says, by its slug, what is so when its check passed.
_PASSED: Final[dict[str, str]] = {
    "malformed-evidence": "the evidence is in its platform's form",
    "unknown-evidence": "the platform is known",
    "untrusted-root": "the chain ends at a root you trust",
    "broken-chain": "the certificate chain holds",
    "chain-not-valid-then": "every certificate was valid at the instant",
    "bad-signature": "the signature over the evidence verifies",
    "wrong-algorithm": "signed with the platform's own algorithm",
    "instance-mismatch": "the instance named is the one measured",
    "not-fresh": "the evidence is fresh",
    "from-the-future": "not dated after the instant of judgement",
    "built-in-root-aged": "the built-in root is within its review date",
    "nothing-expected": "every register that identifies code has an expectation",
    "wrong-measurement": "the register holds an expected value",
    "measurement-missing": "the expected register is there",
    "register-not-pinned": "the register is pinned",
    "log-not-replayed": "the event log replays to the register",
    "payload-not-measured": "the event log contradicts itself nowhere",
    "event-log-missing": "the event log is there",
    "wrong-event": "the event log says what you expect",
    "ambiguous-log": "the event log can be read in one way",
    "not-released": "an active release in the log names what runs",
    "release-log-missing": "the log of releases is at hand",
    "release-log-not-genuine": "the log is whole, and signed by its operator",
    "release-log-not-witnessed": "enough witnesses have seen the log",
    "release-log-not-current": "the witnesses saw the log not long ago",
    "release-not-signed": "enough owners signed the release",
    "release-waiting": "the release has been known for long enough",
    "release-revoked": "the release is not revoked",
    "released-after-the-freeze": "the release came before any freeze of the code",
    "quote-signature": "the quote is signed by its attestation key",
    "attestation-key-unbound": "the quoting enclave vouches for the attestation key",
    "not-the-vendors-enclave": "the quoting enclave is the vendor's",
    "collateral-not-genuine": "the collateral is signed by the vendor",
    "collateral-of-another-platform": "the collateral is of this platform",
    "no-platform-certificate": "a certificate names the platform",
    "endorsement-of-another-report": "the endorsement key's certificate fits the report",
    "device-of-another-kind": "the certificates are of this kind of device",
    "firmware-not-certified": "the leaf certificate names the firmware in the report",
    "not-the-reference-values": "the measurements are the vendor's reference values",
    "no-trusted-time": "the time is known",
    "collateral-missing": "all collateral is at hand",
    "collateral-not-current": "the collateral was current at the instant",
    "revoked": "no certificate is revoked",
    "certificate-on-hold": "no certificate is on hold, unless the policy allows it",
    "revocation-unknown": "current lists or answers cover the chain",
    "tcb-status": "the policy admits the platform's TCB status",
    "tcb-not-supported": "the vendor lists the platform's level",
    "tcb-revoked": "the platform's level is not revoked",
    "advisory-open": "no advisory is open that the policy does not accept",
    "evaluation-number": "the collateral is of a TCB evaluation that is new enough",
    "tcb-date": "the platform's TCB is new enough",
    "below-minimum": "the security version is at the minimum or above it",
    "no-minimum-known": "the minimum for this product is known",
    "versions-out-of-order": "the platform's security versions fit each other",
    "module-not-known": "the vendor lists the TDX module",
    "bad-receipt": "the receipt is signed by the key in this evidence",
    "attribute-refused": "the guest's attributes are as the policy wants them",
    "version-too-low": "the version is at the policy's minimum or above it",
    "machine-not-listed": "the machine is on the policy's list",
    "migration-possible": "nobody can migrate the guest, unless the policy asks for that by name",
    "privilege-level": "the report was asked for at an admitted privilege level",
    "version-not-listed": "the version or mode is one that the policy names",
    "number-differs": "the number is the one that the policy wants",
    "token-header": "the token's header asks for nothing",
    "token-key-refused": "the token's key may be used",
    "service-says-no": "the service says yes",
    "detached-token": "each device's token is the one that the signed token names",
    "token-not-valid-then": "the token was valid at the instant of judgement",
    "says-otherwise": "the token says what the policy wants",
    "wrong-nonce": "the evidence carries your nonce",
    "wrong-key": "the evidence binds the key you expect",
    "key-not-expected": "the key that the policy requires was given",
    "wrong-binding": "the evidence is bound to this session",
    "channel-too-weak": "the way to the service is tied to the evidence as the policy wants",
    "part-not-bound": "the part belongs to the others",
    "device-twice": "every device was counted once",
    "fabric-disagrees": "the devices of this machine name each other",
    "parts-not-as-counted": "the parts are those that the policy counts",
    "debug-enclave": "debug mode is off",
    "root-class-refused": "the policy admits this class of root",
    "policy-unreviewed": "the policy has been reviewed",
    "own-judge": "judged by your own policy, roots and instant",
    "policy-expired": "the policy has not expired",
    "platform-refused": "the policy covers this platform",
    "not-the-quoted-registers": "the registers are those that the TPM quoted",
    "no-attestation-key": "the quote's key is an attestation key",
    "another-attestation-key": "quote, public area and certificate name one key",
    "register-left-out": "the quote has every register that identifies code",
    "answer-not-signed": "a key that the evidence binds has signed this answer",
    "receipt-of-another-keyset": "the receipt belongs to the keyset in the evidence",
    "receipt-of-another-request": "the answer was signed for your request",
    "receipt-of-another-answer": "the answer came as it was signed",
    "receipt-out-of-order": "the receipt's events are those of one answered request",
    "receipt-of-another-model": "the receipt is for the model, endpoint and method that you asked for",
    "upstream-not-verified": "the gateway verified the service behind it",
    "bank-refused": "the policy admits the bank of the quoted registers",
    "attestation-key-refused": "the policy admits whoever vouches for the attestation key",
}


def passed_title(code: Code) -> str:
    """What is so when the check of this code passed."""
    return _PASSED.get(code.slug, code.slug)


def title(check: Check) -> str:
    """The line for a check, whatever came of it."""
    match check.outcome:
        case Outcome.PASSED:
            return passed_title(check.code)
        case Outcome.WAIVED:
            return f"not asked whether {passed_title(check.code)}"
        case _:
            return check.code.title


def every(report: Report) -> list[tuple[str, Report]]:
    """The report and those of further parts, each under its name; one without a name where alone."""
    if not report.parts:
        return [("", report)]
    return [(report.lead, report), *((part.name, part.report) for part in report.parts)]


def own_verdict(report: Report) -> Verdict:
    """The verdict on one part by itself."""
    return decide(report.checks, report.required)


def unexplained(report: Report) -> tuple[Code, ...]:
    """Required questions that no check answered, where no other finding of the same kind says why."""
    said = {c.code.id[0] for c in report.checks if c.outcome in (Outcome.FAILED, Outcome.UNDECIDED)}
    return tuple(code for code in report.missing() if code.id[0] not in said)


def by_question(report: Report) -> list[tuple[str, list[Check]]]:
    """The checks under the name of their question, each in the order of the steps."""
    found: dict[str, list[Check]] = {name: [] for name in QUESTIONS.values()}
    for check in report.checks:
        found[QUESTIONS[check.code.id[0]]].append(check)
    return [(name, checks) for name, checks in found.items() if checks]


def instant(at: datetime) -> str:
    """To the minute, in UTC: `2026-11-23 03:10Z`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def rfc3339(at: datetime) -> str:
    """To the second, or to the millisecond where there is one, in UTC."""
    exact = at.astimezone(UTC)
    spec = "milliseconds" if exact.microsecond else "seconds"
    return exact.isoformat(timespec=spec).replace("+00:00", "Z")


def span(length: timedelta) -> str:
    """A length of time in its two largest units, such as `3 h 3 s` or `30 y`."""
    left = abs(int(length.total_seconds()))
    parts = []
    for unit, size in (("y", 31_557_600), ("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def headline(report: Report) -> list[str]:
    """What the first line says after the verdict: class of root, platform, policy, instant."""
    parts = []
    if report.root_class is RootClass.DEVELOPMENT:
        parts.append("development")
    elif report.root_class is RootClass.ADDED:
        parts.append("root added by you")
    parts.append(report.platform_title or "unknown platform")
    if report.policy:
        parts.append(f"policy {report.policy}")
    parts.append(f"{'as of' if report.as_of else 'at'} {instant(report.at)}")
    return parts


def expected_by(report: Report) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The registers and events that met their expectation, and where the expectations come from."""
    met = [
        c for c in report.checks if c.code.id in ("M201", "M304") and c.outcome is Outcome.PASSED
    ]
    return (
        tuple(dict.fromkeys(c.subject for c in met if c.subject)),
        tuple(dict.fromkeys(c.source for c in met if c.source)),
    )


def _has(report: Report, code: str, outcome: Outcome) -> bool:
    return any(c.code.id == code and c.outcome is outcome for c in report.checks)


def proves(report: Report) -> list[str]:
    """What an accepted report proves, in plain words. Empty for every other verdict."""
    if report.verdict is not Verdict.ACCEPTED:
        return []
    said = [_proves_origin(report)]
    registers, sources = expected_by(report)
    if registers:
        said.append(
            f"The code that runs is the code you expect: {', '.join(registers)} "
            f"match {' and '.join(sources) or 'the policy'}."
        )
    state = report.governed
    if state is not None and state.chosen is not None:
        said.append(
            f"{state.chosen.signed} of the {state.owners} owners of {state.app} signed this release, in a log "
            f"that {state.witnessed} of {state.witnesses} witnesses saw."
        )
    if _has(report, "B101", Outcome.PASSED):
        said.append("It was made for this question: it carries your nonce.")
    elif _has(report, "R101", Outcome.PASSED):
        said.append(f"It is {freshness(report)}.")
    if _has(report, "B201", Outcome.PASSED):
        said.append("The enclave bound the key you named into the evidence.")
    if _has(report, "B301", Outcome.PASSED):
        said.append("It is bound to this very session, key and purpose, and to no other.")
    if _has(report, "P101", Outcome.PASSED):
        said.append("Debug mode is off: by the platform's promise the operator cannot look inside.")
    return said


def freshness(report: Report) -> str:
    """By what evidence is fresh that carries no nonce in a field of its own."""
    why = next((c.why for c in report.checks if c.code.id == "R101"), "")
    return f"fresh: {why}" if why else "fresh by its own time"


def _proves_origin(report: Report) -> str:
    match report.root_class:
        case RootClass.DEVELOPMENT:
            return (
                "A simulator that holds the development key you named made this evidence, and nobody "
                "changed it since."
            )
        case RootClass.ADDED:
            return "A key under the root that you added signed this evidence, and nobody changed it since."
        case _:
            return (
                f"Genuine {report.platform_title} made this evidence, and nobody changed it since: the "
                "signature and its certificates end at the vendor's root pinned in troth."
            )


def proves_not(report: Report) -> list[str]:
    """What even an accepted report does not prove."""
    said = []
    if report.verdict is not Verdict.ACCEPTED:
        said.append("It is not accepted, so nothing that the evidence says is to be relied on.")
    if report.root_class is RootClass.DEVELOPMENT:
        said.append(
            "That any hardware isolates the code: a development root stands for no hardware."
        )
    said.append("That the code is free of bugs, or does what its authors say.")
    if report.governed is not None and report.governed.one_decides:
        said.append("That anybody but one signer agreed to this release.")
    said.append("That the enclave is reachable, or stays what it is after this instant.")
    said.extend(
        f"Whether {passed_title(c.code)}: you waived the question."
        for c in report.checks
        if c.outcome is Outcome.WAIVED
    )
    if report.as_of:
        said.append(f"That it is so now: you chose the instant, {instant(report.at)}.")
    said.extend(note if note.endswith(".") else f"{note}." for note in report.notes)
    return said
