"""G: is it genuine? Signatures and chains."""

from typing import Final

from troth.model.codes._code import Code

G101: Final = Code(
    "G101",
    "untrusted-root",
    "the certificate chain does not end at a root you trust",
    "The first certificate of the chain is compared, byte for byte, with the pinned vendor roots and "
    "with the roots that the caller passed by name. A development root counts only where it was "
    "passed by name, and never under a policy that admits vendor roots alone.",
    "For evidence of your own simulator pass `--trust` with its root file; for anything else, treat "
    "the evidence as forged.",
)
G102: Final = Code(
    "G102",
    "broken-chain",
    "the certificate chain is broken",
    "Each certificate must be signed by the one above it with ECDSA P-384 and SHA-384, names must "
    "meet, certificate authorities must say so in critical basic constraints and may sign "
    "certificates, path lengths hold, and no critical extension may be unknown.",
    "Collect the evidence again; if it stays so, the evidence is forged or damaged.",
)
G103: Final = Code(
    "G103",
    "chain-not-valid-then",
    "a certificate of the chain was not valid at the instant of judgement",
    "Every certificate, the root included, must be valid at the instant. Nitro leaf certificates live "
    "for three hours, so stored evidence can be judged only as of its own time.",
    "Ask for fresh evidence; to judge a stored document as of its time pass `--at` (the report then "
    "says «as of»); if all evidence fails so, check this machine's clock.",
)
G104: Final = Code(
    "G104",
    "bad-signature",
    "the signature over the evidence does not verify",
    "The evidence's signature was checked with the key of the leaf certificate over the exact bytes "
    "that were presented. It failed: something was changed after the hardware signed.",
    "Treat the evidence as forged or damaged; collect it again from the source.",
)
G105: Final = Code(
    "G105",
    "wrong-algorithm",
    "the evidence is signed with another algorithm than the platform uses",
    "The algorithm is pinned for each platform (Nitro: ES384) and never chosen by the evidence.",
    "Treat the evidence as forged.",
)
G106: Final = Code(
    "G106",
    "instance-mismatch",
    "the instance in the document's name is not the one that was measured",
    "On Nitro, PCR4 is the hash of the parent instance's id, and module_id names the same instance. "
    "Where the two differ the document was not made by the hypervisor it names.",
    "Treat the evidence as forged.",
)
