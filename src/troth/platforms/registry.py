"""Every format we read: a frozen tuple, to which a new format is a new folder and one line here."""

from typing import Final

from troth.model.composite import Composite
from troth.model.platform import Platform
from troth.platforms import nitro, nitrotpm, nvidia, sgx, snp, tdx, tokens, tpm

PLATFORMS: Final[tuple[Platform, ...]] = (
    nitrotpm.PLATFORM,  # before its sibling, which has all but the name of the registers
    nitro.PLATFORM,
    sgx.PLATFORM,
    tdx.PLATFORM,
    snp.PLATFORM,
    nvidia.PLATFORM,
    tpm.PLATFORM,
    tokens.MAA,
    tokens.GCS,
    tokens.ITA,
    tokens.NRAS,
)


def detect(data: bytes) -> tuple[Platform, bytes, str] | None:
    """The platform whose evidence this looks like, the bare bytes, and words for removed framing.

    Raises:
        Malformed: it is a platform's evidence in framing that contradicts itself.
    """
    for platform in PLATFORMS:
        bare = platform.unwrap(data)
        if bare is not None:
            return platform, *bare
    return None


def assemble(data: bytes) -> Composite | None:
    """The parts of a container that holds several pieces of evidence, or None if this is none.

    Raises:
        Malformed: it is one that contradicts itself.
    """
    if not data[:16].lstrip().startswith((b"{", b"[")):
        return None  # all of them are JSON, and most evidence is not
    from troth.platforms.nvidia import carrier
    from troth.platforms.tpm import azure

    return carrier.composite(data) or azure.composite(data)
