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
    "ECDSA on P-256; a TPM's quote is signed with RSA or ECDSA by the attestation key that lies beside "
    "it. Whose key that is, is the next question.",
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
G601: Final = Code(
    "G601",
    "not-the-quoted-registers",
    "the registers are not those that the TPM quoted",
    "A TPM signs one digest over the values of the registers that were asked for, not the values. Those "
    "that lie beside the quote are hashed again, in the order of the selection and with the hash of the "
    "signature's scheme, and must give that digest.",
    "Treat the evidence as forged, or as put together from two quotes.",
)
G602: Final = Code(
    "G602",
    "no-attestation-key",
    "nothing shows that the quote's key is an attestation key",
    "A key that signs whatever it is given can sign a made-up quote. An attestation key is bound to its "
    "TPM and its parent, signs, does not decrypt, and is restricted: it signs only what the TPM itself "
    "made. That stands in the key's public area, which the quote names where the key is a primary one; "
    "or the key's certificate says so; or whoever vouches for the key does.",
    "Send the public area along (`TPM2_ReadPublic`), or the certificate of the attestation key.",
)
G603: Final = Code(
    "G603",
    "another-attestation-key",
    "quote, public area and certificate name different keys",
    "The key that signed the quote, the public area beside it and the first certificate must be one key. "
    "A certificate of another machine's key vouches for nothing here.",
    "Treat the evidence as put together from two machines.",
)
G701: Final = Code(
    "G701",
    "token-header",
    "the token's header says what no token of this service says",
    "A token names its key by `kid`, and that is all it may choose. A key or a certificate in its header "
    "(`jwk`, `x5c`), an address to fetch one from (`x5u`), or extensions that a verifier must know "
    "(`crit`) would let whoever made the token choose its judge. A `jku` is read and never followed.",
    "Treat the token as forged.",
)
G702: Final = Code(
    "G702",
    "token-key-refused",
    "the key that the token names must not be used",
    "RSA keys below 2048 bits, keys of another kind than the service signs with, keys whose private part "
    "stands in the set, and two different keys of one name sign nothing that counts. Azure's real key "
    "sets hold a certificate with 1024 bits; that key is refused, and the others of the set are not.",
    "Ask the service for a new token; if it stays so, fetch its key set again.",
)
G703: Final = Code(
    "G703",
    "service-says-no",
    "the service itself says that the evidence failed",
    "A verification service signs its refusals, too, and answers with HTTP 200. A signature on a token "
    "says who wrote it and not that the answer is yes: that stands in its claims.",
    "Read what the service says of it; treat the device as not attested.",
)
G704: Final = Code(
    "G704",
    "detached-token",
    "the tokens of the devices are not those that the signed token names",
    "NVIDIA's service signs one token over the SHA-256 of each device's token. Each named device must be "
    "there with exactly that token, and no other.",
    "Ask the service again and keep its whole answer. If it stays so, tokens were put together.",
)
G302: Final = Code(
    "G302",
    "device-of-another-kind",
    "the certificates are of another kind of device than the report",
    "NVIDIA's certificates name the chip and the role of each: leaf, device, provisioner, identity. All "
    "must be of one architecture (the switch LS10 is issued for by Hopper's identity authority), and a "
    "GPU's report must come with a GPU's certificates.",
    "Treat the evidence as forged, or as put together from two devices.",
)
G303: Final = Code(
    "G303",
    "firmware-not-certified",
    "the firmware in the report is not the one in the leaf certificate",
    "An NVIDIA device makes its signing key when it starts, and its leaf certificate names the firmware "
    "that it started with (FWID). The report of a GPU names it again, and both must be the same. Drivers "
    "before the field existed leave the answer open; the switch LS10 has no such field.",
    "Have the driver updated; if the two differ, treat the evidence as forged.",
)
