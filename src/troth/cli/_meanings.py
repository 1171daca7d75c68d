"""What the fields of evidence mean, for `troth inspect`: by platform's title and field."""

import re
from typing import Final

_NITRO: Final[tuple[tuple[str, str], ...]] = (
    (r"module_id", "the parent instance and this start of the enclave"),
    (r"timestamp", "the hypervisor's time, in Unix milliseconds"),
    (r"pcr0", "the whole image: kernel, command line, every ramdisk"),
    (r"pcr1", "kernel, command line and first ramdisk"),
    (r"pcr2", "the ramdisks after the first: the application"),
    (r"pcr3", "the parent instance's role"),
    (r"pcr4", "the parent instance's id"),
    (r"pcr8", "the certificate that signed the image"),
    (r"pcr(1[6-9]|2\d|3[01])", "locked by the application"),
    (r"pcr\d+", "not used by the platform"),
    (r"public_key", "a key that the enclave put in"),
    (r"user_data", "bytes that the enclave put in; from troth's agent, a binding"),
    (r"nonce", "whose question this answers"),
    (r"cabundle\[0\]", "the root as presented"),
    (r"cabundle\[\d+\]", "the next one below, as presented"),
    (r"certificate", "the leaf, whose key signed the document"),
    (r"signature", "over all of the above; not checked here"),
)


def meaning(platform: str, field: str) -> str:
    """What this field of this platform's evidence says; empty where nothing is known of it."""
    table = _NITRO if platform == "AWS Nitro" else ()
    return next((words for name, words in table if re.fullmatch(name, field)), "")
