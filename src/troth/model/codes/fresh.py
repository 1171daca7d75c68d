"""R: revocation and freshness."""

from typing import Final

from troth.model.codes._code import Code

R101: Final = Code(
    "R101",
    "not-fresh",
    "the evidence is not fresh",
    "Evidence is fresh if it carries a nonce that the caller made, or if its own time lies within the "
    "policy's maximum age (five minutes unless the policy says otherwise) of the instant of "
    "judgement. A document stays chain-valid for hours after it was made, so a replay would pass "
    "without this check.",
    "Ask for evidence over a new nonce and pass it with `--nonce`; or judge a stored document as of "
    "its own time with `--at`.",
)
R102: Final = Code(
    "R102",
    "from-the-future",
    "the evidence is dated after the instant of judgement",
    "More than the tolerated minute of clock skew lies between the document's time and the instant. "
    "One of the two clocks is wrong, or `--at` names an instant before the evidence was made.",
    "Check this machine's clock, or give `--at` an instant at or after the document's time.",
)
R103: Final = Code(
    "R103",
    "built-in-root-aged",
    "troth's built-in copy of the vendor root is past its review date",
    "Pinned roots are reviewed on a schedule and carry a date past which this version of troth no "
    "longer vouches for them. Past it the answer is undecided, never accepted.",
    "Upgrade troth, or pass the vendor's root by name with `--trust`.",
)
R104: Final = Code(
    "R104",
    "no-trusted-time",
    "nothing says at which time this was so",
    "Stored evidence proves what ran at some time. A certificate that has ended since, and a document "
    "that is old by now, say nothing of that time, and the time in the evidence is the only one at "
    "hand: whoever stole an ended key could write it. So the rest is judged as of the evidence's own "
    "time, and the answer stays open until somebody you trust gives the instant.",
    "Give the instant yourself with `--at`, if you know from elsewhere when the receipt was made.",
)
R105: Final = Code(
    "R105",
    "token-not-valid-then",
    "the token is not valid at the instant of judgement",
    "A token says from when (`nbf`) and until when (`exp`) it may be used. The end is exact; before the "
    "beginning one minute of clock skew is let pass. A token that says no end, or lives longer than a "
    "day, is not one that its service makes.",
    "Ask the service for a new token; to judge a stored one as of its time pass `--at`.",
)
R201: Final = Code(
    "R201",
    "collateral-missing",
    "collateral that this platform needs is not at hand",
    "Whether a platform is genuine and up to date is said in documents that its vendor signs anew each "
    "month. Without them the answer stays open.",
    "Pass them with `--collateral`; `troth trust update --for EVIDENCE` fetches them, "
    "`troth trust freeze` keeps them in one file.",
)
R202: Final = Code(
    "R202",
    "collateral-not-current",
    "the instant of judgement lies outside of the collateral's window",
    "Each document says when it was issued and until when it may be used. Past that a newer one may "
    "say otherwise.",
    "Fetch it anew with `troth trust update`, or judge as of an instant inside the window with `--at`.",
)
R203: Final = Code(
    "R203",
    "revoked",
    "a certificate of the chain is revoked",
    "The vendor lists the certificate's serial number in its revocation list.",
    "Treat everything this platform says as forged.",
)
R204: Final = Code(
    "R204",
    "revocation-unknown",
    "nothing says whether a certificate of the chain is revoked",
    "The revocation list of the authority that issued it is missing or outside of its window.",
    "Pass a current list with `--collateral`; `troth trust update --for EVIDENCE` fetches it.",
)
R205: Final = Code(
    "R205",
    "certificate-on-hold",
    "a certificate of the chain is on hold",
    "Its vendor has revoked the certificate for the time being (certificateHold): it may be good again "
    "later, and is not now. Nothing says why.",
    "Ask the device's operator; to count it all the same, say so in the policy: `[nvidia] hold = "
    '"allowed"`.',
)
