"""The public API in use. A type checker reads this file; nothing runs it."""

from datetime import UTC, datetime, timedelta
from typing import assert_type

import troth
from troth.model.report import Verdict


def relying_party(evidence: bytes, nonce: bytes) -> str:
    policy = troth.Policy.from_toml('schema = "troth/policy/1"', source="app.policy.toml")
    try:
        verified = troth.verify(evidence, policy=policy, nonce=nonce, at=datetime.now(UTC))
    except troth.Rejected as rejected:
        assert_type(rejected.report, troth.Report)
        return rejected.report.verdict
    except troth.Undecided as undecided:
        return str(undecided.exit_code)
    except (troth.Malformed, troth.Misuse, troth.Unavailable) as error:
        return error.fix
    assert_type(verified, troth.Verified)
    return verified.claims.measurement("pcr0")


def page(evidence: bytes) -> bool:
    policy = troth.Policy.from_toml('schema = "troth/policy/1"', source="app.policy.toml")
    assert_type(policy.max_age, timedelta | None)
    report = troth.appraise(evidence, policy=policy, at=datetime.now(UTC))
    assert_type(report, troth.Report)
    return report.verdict is Verdict.ACCEPTED
