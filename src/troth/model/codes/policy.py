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
P107: Final = Code(
    "P107",
    "parts-not-as-counted",
    "the evidence does not have the parts that the policy counts",
    "A machine's GPUs, switches, vTPM and tokens are parts beside its own report. Whoever leaves one "
    "away hides it, so the policy says how many of each there must be. Parts that it does not count "
    "leave the answer open: nobody can tell whether one is missing.",
    "Write the number into the policy, such as `[parts]` with `nvidia = 8`. Where a part is missing, "
    "ask the service for all of them.",
)
P201: Final = Code(
    "P201",
    "attribute-refused",
    "an attribute of the guest is not as the policy wants it",
    "Attributes are bits that say how the guest was started: which instructions it may use, whether "
    "the host may migrate it, which protections must hold. Some are required by default, others by "
    "the policy, as a mask and a value.",
    "Start the guest with the attributes that the finding names, or correct the policy.",
)
P202: Final = Code(
    "P202",
    "version-too-low",
    "a version is below the policy's minimum",
    "Security versions are set by whoever signs the code (ISV SVN, guest SVN) and grow when holes are "
    "closed.",
    "Deploy the newer version, or correct the policy.",
)
P203: Final = Code(
    "P203",
    "machine-not-listed",
    "the machine is not on the policy's list",
    "Some attacks need hands on the machine, and no signature shows them. A list of machines (PPID or "
    "chip id) that somebody has seen in a guarded place is the cure.",
    "Add the machine to the list once you know where it stands.",
)
P204: Final = Code(
    "P204",
    "migration-possible",
    "the guest may be migrated and the policy does not ask for that by name",
    "A migration agent or service TD can move the guest's memory to another machine, so that trust in "
    "the guest is trust in the agent, too.",
    "Start the guest without migration, or name the agent in the policy.",
)
P205: Final = Code(
    "P205",
    "privilege-level",
    "the report was asked for at a privilege level that the policy does not admit",
    "SEV-SNP guests have four privilege levels (VMPL); the host asks at none. Only level 0 is admitted "
    "unless the policy names others.",
    "Ask for the report at level 0, or name the level in the policy: `vmpl = [0, 1]`.",
)
P206: Final = Code(
    "P206",
    "number-differs",
    "a number is not the one that the policy wants",
    "Some numbers say what was signed and not how new it is, such as the product id of an SGX enclave. "
    "The policy names the only value that counts.",
    "Deploy the product that the policy means, or correct the policy.",
)
P207: Final = Code(
    "P207",
    "says-otherwise",
    "the token does not say what the policy wants",
    "A service says in words what it saw: the kind of machine, versions, for whom the token is, whether "
    "an advisory is open. Each is compared, letter by letter, with the values that the policy lists. Some "
    "must be listed: Azure's issuer, Google's audience and kind of machine, NVIDIA's versions, and "
    "how many devices there are. Where the policy is silent on these the answer stays open.",
    'List what you take: `says.hwmodel = ["GCP_INTEL_TDX"]` in the platform\'s section.',
)
P211: Final = Code(
    "P211",
    "bank-refused",
    "the quoted registers are of a bank that the policy does not admit",
    "A TPM keeps its registers once for each hash algorithm. SHA-1 can be made to collide, so registers "
    "of that bank identify nothing and no policy can admit it.",
    'Ask for a quote of the SHA-256 or SHA-384 bank; name those that count: `bank = ["sha256"]`.',
)
P212: Final = Code(
    "P212",
    "attestation-key-refused",
    "the policy does not admit whoever vouches for the attestation key",
    "The key that signs a TPM's quotes counts by a certificate of Azure's or Google's, or because "
    "somebody whom you trust names this very key: a machine's own hardware report, or you.",
    'Name whom you admit: `ak = ["bound"]` takes only keys that hardware, or you, vouch for.',
)
P301: Final = Code(
    "P301",
    "version-not-listed",
    "a version or mode of the device is not among those that the policy names",
    "Reference values tell that a driver is NVIDIA's own, and not that it is new enough. The policy names "
    "the versions of driver and VBIOS, the architectures and the modes that count.",
    "Have the device updated, or review the version and add it to the policy: `[nvidia] "
    'driver_version = ["580.159.03"]`.',
)
