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
G201: Final = Code(
    "G201",
    "quote-signature",
    "the quote is not signed by its attestation key",
    "Header and body of an Intel quote are signed by the attestation key that the quote carries, with "
    "ECDSA on P-256. Whose key that is, is the next question.",
    "Treat the evidence as forged.",
)
G202: Final = Code(
    "G202",
    "attestation-key-unbound",
    "the quoting enclave does not vouch for the attestation key",
    "The quoting enclave's own report must carry SHA-256 of attestation key and authentication data, "
    "zeros behind it, and must be signed by the platform's PCK key.",
    "Treat the evidence as forged.",
)
G203: Final = Code(
    "G203",
    "not-the-vendors-enclave",
    "the quoting enclave is not the vendor's",
    "Signer, product, attributes and MISCSELECT of the quoting enclave must be those in the vendor's "
    "signed QE identity, under its masks; its version must be one that the vendor lists.",
    "Treat the evidence as forged.",
)
G204: Final = Code(
    "G204",
    "collateral-not-genuine",
    "the collateral is not signed by the vendor",
    "TCB Info, QE identity and CRLs are signed over their exact bytes, under chains that end at the "
    "same pinned root; the signer's name and role must be the ones that the vendor gives to it.",
    "Fetch the collateral again from the vendor or its cache; treat this copy as forged.",
)
G205: Final = Code(
    "G205",
    "collateral-of-another-platform",
    "the collateral at hand is of another platform",
    "TCB Info counts for one FMSPC, PCE-ID and kind of TEE, a PCK CRL for one authority.",
    "Fetch collateral for this platform: `troth trust update --for EVIDENCE`.",
)
G206: Final = Code(
    "G206",
    "no-platform-certificate",
    "the certificate that should name the platform does not",
    "An Intel platform is named by a PCK certificate with the SGX extension, an AMD chip by a VCEK or "
    "VLEK certificate with AMD's. One encoding of the extension counts, and a certificate of "
    "another role counts for nothing.",
    "Treat the evidence as forged; if it carries no certificate, supply it with `--collateral`.",
)
G301: Final = Code(
    "G301",
    "endorsement-of-another-report",
    "the endorsement key's certificate does not fit the report",
    "Product, chip, reported versions and kind of key (VCEK or VLEK) stand both in the report and in "
    "the certificate of the key that signed it, and must be the same.",
    "Fetch the certificate for this chip and these versions; if it stays so, the evidence is forged.",
)
