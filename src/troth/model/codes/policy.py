"""P: does it meet the policy?"""

from typing import Final

from troth.model.codes._code import Code

P101: Final = Code(
    "P101",
    "debug-enclave",
    "the enclave runs in debug mode",
    "The operator can read the memory and console of a debug enclave, so nothing it says is private. "
    "On Nitro its PCR0, PCR1 and PCR2 are zero. Debug is always refused and cannot be waived.",
    "Start the enclave without `--debug-mode`.",
)
P102: Final = Code(
    "P102",
    "root-class-refused",
    "the policy does not admit this class of root",
    "Roots are *vendor* (pinned in troth), *added* (yours) or *development* (a simulator's). The "
    "policy lists the classes that count; built-in production profiles admit vendor roots alone.",
    'Run on real hardware, or use a policy that admits the class: `[roots] allow = ["development"]`.',
)
P103: Final = Code(
    "P103",
    "policy-unreviewed",
    "the policy was pinned from running evidence and nobody has reviewed it",
    "`troth policy pin` trusts on first use. Until a person has compared the values with a build and "
    "removed the mark, the answer stays open.",
    "Compare the measurements with your own build, then delete `unreviewed = true` from the policy.",
)
P104: Final = Code(
    "P104",
    "own-judge",
    "what is judged brought its own judge",
    "A replay shows what a bundle's maker saw, with the maker's policy, roots, nonce and instant. "
    "It is never your own acceptance.",
    "Judge the bundle with your own policy: `troth verify BUNDLE --policy yours.toml`.",
)
P105: Final = Code(
    "P105",
    "policy-expired",
    "the policy is past its own expiry",
    "The policy names a date after which it must not be used unreviewed.",
    "Review the policy and set a new `expires`.",
)
P106: Final = Code(
    "P106",
    "platform-refused",
    "the policy does not cover this platform",
    "The policy lists expectations for other platforms than the one the evidence comes from.",
    "Add a section for this platform to the policy.",
)
