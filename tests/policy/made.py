"""Claims of the quote platforms that are all right, and policies that say yes to them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from troth.model.check import Check, Outcome
from troth.model.claims import Claims
from troth.model.report import Verdict, decide
from troth.model.roots import RootClass
from troth.model.tcb import Finding, Tcb
from troth.policy import Policy
from troth.policy.appraise import Expectation, checks, required
from troth.policy.requirements import Bits, Requirements

NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
NONCE = bytes(range(32))
PPID = "0a" * 16
CHIP = "0b" * 64
A32, A48, A64 = "aa" * 32, "aa" * 48, "aa" * 64
SEPT_VE_DISABLE = 1 << 28

FINDING = Finding(part="platform", status="UpToDate", date=datetime(2026, 2, 11, tzinfo=UTC))
INTEL = Tcb(
    status="UpToDate",
    date=datetime(2026, 2, 11, tzinfo=UTC),
    advisories=(),
    evaluation_number=20,
    findings=(FINDING,),
)
AMD = Tcb(
    status="",
    date=None,
    advisories=(),
    evaluation_number=None,
    findings=(Finding(part="Genoa", status="", date=None),),
)
PCK = {"sgx_type": 1, "dynamic_platform": 0, "cached_keys": 0, "smt": 0}
PARTS = {"boot_loader": 10, "tee": 0, "snp": 24, "microcode": 72}

SERVICE_TDS = ("mrservicetd", "init_servtd_hash", "cur_servtd_hash")
REGISTERS: dict[str, dict[str, str]] = {
    "sgx": {
        "mrenclave": A32,
        "mrsigner": "bb" * 32,
        "configid": "00" * 64,
        "isvextprodid": "00" * 16,
        "isvfamilyid": "00" * 16,
    },
    "tdx": {
        **dict.fromkeys(("mrtd", "rtmr0", "rtmr1", "rtmr2", "mrseam"), A48),
        **dict.fromkeys(("rtmr3", "mrconfigid", "mrowner", "mrownerconfig"), "00" * 48),
        **dict.fromkeys(SERVICE_TDS, "00" * 48),
        "mrsignerseam": "00" * 48,
    },
    "snp": {
        "measurement": A48,
        "host_data": "00" * 32,
        "id_key_digest": "00" * 48,
        "author_key_digest": "00" * 48,
        "family_id": "00" * 16,
        "image_id": "00" * 16,
        "report_id": "cc" * 32,
        "report_id_ma": "ff" * 32,
    },
}
IDENTITY = {
    "sgx": ("mrenclave",),
    "tdx": ("mrtd", "rtmr0", "rtmr1", "rtmr2"),
    "snp": ("measurement",),
}
NUMBERS: dict[str, dict[str, int]] = {
    "sgx": {
        "isvprodid": 7,
        "isvsvn": 3,
        "configsvn": 0,
        "attributes": 0x5,
        "xfrm": 0xE7,
        "miscselect": 0,
        **PCK,
    },
    "tdx": {
        "td_attributes": SEPT_VE_DISABLE,
        "xfam": 0xE7,
        "seam_attributes": 0,
        **PCK,
        "module_major": 1,
        "module_minor": 5,
    },
    "snp": {
        "guest_svn": 2,
        "vmpl": 0,
        "policy": 0x30000,
        "platform_info": 0x25,
        **{f"{kind}_{part}": n for kind in ("reported", "committed") for part, n in PARTS.items()},
    },
}
PLATFORMS = ("sgx", "tdx", "snp")
# Each requirement once, and met by the good claims.
_BOTH: dict[str, Any] = {
    "tcb_status": {"UpToDate", "SWHardeningNeeded"},
    "advisories": {"INTEL-SA-00615": date(2027, 1, 1)},
    "min_tcb_date": date(2025, 1, 1),
    "min_evaluation_number": 18,
    "machines": {PPID},
    "dynamic_platform": "refused",
    "cached_keys": "refused",
    "smt": "refused",
}
EVERYTHING: dict[str, dict[str, Any]] = {
    "sgx": _BOTH
    | {
        "bits": {"xfrm": Bits(mask=0x7, value=0x7)},
        "minimum": {"isvsvn": 3},
        "exact": {"isvprodid": 7},
    },
    "tdx": _BOTH
    | {
        "bits": {"td_attributes": Bits(mask=1 << 63, value=0)},
        "minimum": {"module_minor": 5},
        "exact": {"module_major": 1},
        "migration": "allowed",
        "sept_ve_disable": "optional",
        "events": {"app_id": {"0e" * 20}},
    },
    "snp": {
        "bits": {"policy": Bits(mask=1 << 20, value=0), "platform_info": Bits(mask=1, value=1)},
        "minimum": {"guest_svn": 2, "snp": 24, "microcode": 72},
        "exact": {"guest_svn": 2},
        "machines": {CHIP},
        "migration": "allowed",
        "vmpl": {0, 1},
    },
}
TOKENS: dict[str, dict[str, Any]] = {
    "maa": {
        "says": {"issuer": {"https://tenant.eus.attest.azure.net"}},
        "minimum": {"isvsvn": 3},
        "exact": {"isvprodid": 7},
    },
    "gcs": {"says": {"hwmodel": {"GCP_INTEL_TDX"}}, "exact": {"oemid": 11129}},
    "ita": {
        "says": {"attester_type": {"tdx"}},
        "minimum": {"isvsvn": 3},
        "exact": {"isvprodid": 7},
    },
    "nras": {
        "says": {"driver_version": {"550.90.07"}},
        "minimum": {"gpus": 1},
        "exact": {"gpus": 8},
    },
}
OTHERS: dict[str, dict[str, Any]] = {
    "tpm": {
        "bank": {"sha256"},
        "ak": {"bound"},
        "minimum": {"firmware_version_1": 538314001},
        "exact": {"safe": 1},
        "events": {"secure_boot": {"on"}},
    },
    "nvidia": {
        "driver_version": {"580.159.03"},
        "vbios_version": {"96.00.9F.00.01", "96.00.A5.00.01"},
        "arch": {"hopper"},
        "mode": {"spt", "ppcie"},
        "hold": "allowed",
        "minimum": {"opaque_version": 1},
        "exact": {"nvdec0": 0},
    },
}


def claims(
    platform: str,
    *,
    numbers: Mapping[str, int | None] | None = None,
    registers: Mapping[str, str] | None = None,
    **changes: Any,
) -> Claims:
    """Good claims, with changes; a number that is changed to None is absent."""
    changed = NUMBERS[platform] | dict(numbers or {})
    good: dict[str, Any] = {
        "platform": platform,
        "registers": REGISTERS[platform] | dict(registers or {}),
        "identity": IDENTITY[platform],
        "alternative": ("mrsigner",) if platform == "sgx" else (),
        "debug": False,
        "timestamp": None,
        "instance": CHIP if platform == "snp" else PPID,
        "nonce": None,
        "user_data": NONCE.ljust(64, b"\0"),
        "public_key": None,
        "nonce_in_user_data": True,
        "numbers": {name: number for name, number in changed.items() if number is not None},
        "tcb": AMD if platform == "snp" else INTEL,
        "events": {"app_id": "0e" * 20} if platform == "tdx" else {},
    }
    return Claims(**(good | changes))


def tcb(**changes: Any) -> Tcb:
    return replace(INTEL, **changes)


def policy(platform: str, *, registers: Mapping[str, str] | None = None, **asked: Any) -> Policy:
    """A policy that expects what good claims have, and asks for this."""
    pinned = {name: REGISTERS[platform][name] for name in IDENTITY[platform]}
    pinned = pinned if registers is None else dict(registers)
    return Policy(
        name="made",
        registers={platform: {name: frozenset({value}) for name, value in pinned.items()}},
        requirements={platform: Requirements(**asked)},
    )


def found(policy: Policy, claims: Claims, at: datetime = NOW) -> list[Check]:
    want = Expectation(nonce=NONCE)
    logged = bool(claims.events)
    return list(checks(policy, claims, want, root_class=RootClass.VENDOR, at=at, logged=logged))


def verdict(policy: Policy, claims: Claims, at: datetime = NOW) -> Verdict:
    needed = required(policy, Expectation(nonce=NONCE), claims.platform)
    return decide(found(policy, claims, at), needed)


def wrong(policy: Policy, claims: Claims, at: datetime = NOW) -> dict[str, Outcome]:
    """What did not pass, by code; nothing of it may be accepted."""
    left = {c.code.id: c.outcome for c in found(policy, claims, at) if c.outcome != Outcome.PASSED}
    expected = (
        Verdict.REJECTED
        if Outcome.FAILED in left.values()
        else Verdict.UNDECIDED
        if left
        else Verdict.ACCEPTED
    )
    assert verdict(policy, claims, at) is expected
    return left
