"""T: is the platform up to date?"""

from typing import Final

from troth.model.codes._code import Code

T101: Final = Code(
    "T101",
    "tcb-status",
    "the platform's TCB status is not one that the policy admits",
    "The vendor signs a list of levels: which security versions of microcode, firmware and modules "
    "are up to date, and which have known holes. The status is the level at which this platform "
    "stands, joined with those of its quoting enclave and TDX module. Only `UpToDate` is admitted "
    "unless the policy names others. The finding says which component is short and by how much.",
    "Have the operator update what is named, or admit the status by name in the policy, with the "
    "advisories that this leaves open.",
)
T102: Final = Code(
    "T102",
    "tcb-not-supported",
    "the platform stands below every level that the vendor lists",
    "No level of the vendor's list fits the security versions of this platform. No policy can admit it.",
    "Have the operator update firmware and microcode.",
)
T103: Final = Code(
    "T103",
    "tcb-revoked",
    "the vendor has revoked the level at which the platform stands",
    "The keys of a revoked level are taken to be known to attackers. No policy can admit it.",
    "Have the operator update; until then treat everything this platform says as forged.",
)
T104: Final = Code(
    "T104",
    "advisory-open",
    "an advisory is open on this platform and the policy does not accept it",
    "The level at which the platform stands leaves holes open that the vendor describes in advisories. "
    "A policy accepts them one by one, each with a day past which it must be looked at again.",
    "Read the advisory; update the platform, or accept it in the policy: "
    '`advisories = { "INTEL-SA-00615" = 2027-01-01 }`.',
)
T105: Final = Code(
    "T105",
    "evaluation-number",
    "the collateral is of an older TCB evaluation than the policy asks for",
    "Vendors number their evaluations. An older document stays signed and inside its window after "
    "a newer one has come out, so its age must be asked for.",
    "Fetch collateral anew with `troth trust update`.",
)
T106: Final = Code(
    "T106",
    "tcb-date",
    "the platform's TCB is dated before the day that the policy asks for",
    "The date of a level is the day up to which known holes are closed at it.",
    "Have the operator update, or review the date in the policy.",
)
T107: Final = Code(
    "T107",
    "below-minimum",
    "a security version is below the minimum",
    "AMD signs no list of levels, so the minimum comes from a dated table in troth, each row with the "
    "bulletin it follows, or from the policy. Reported and committed versions both count: firmware "
    "that can be rolled back is only as good as what it can be rolled back to.",
    "Have the operator update firmware and microcode.",
)
T108: Final = Code(
    "T108",
    "no-minimum-known",
    "nothing says which security versions of this product are good enough",
    "The built-in table has no row for this product, or its rows are past their review date, and the "
    "policy names no minimum. None is invented.",
    "Name the minimum in the policy: `[snp.minimum] snp = 24`, or upgrade troth.",
)
T109: Final = Code(
    "T109",
    "versions-out-of-order",
    "the platform's security versions contradict each other",
    "What is reported must not exceed what is committed, nor that what runs. A report where it does was "
    "made by firmware that is not what it says.",
    "Treat the evidence as forged.",
)
T110: Final = Code(
    "T110",
    "module-not-known",
    "the TDX module is not one that the vendor lists",
    "Signer, attributes and version of the module must be those in the vendor's signed TCB Info.",
    "Treat the evidence as forged, unless the collateral is older than the module.",
)
