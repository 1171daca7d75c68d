"""What a quote's own PCK certificate says of the platform, as claims: to be believed after the verdict."""

from troth.crypto import issued
from troth.errors import Malformed
from troth.platforms.dcap import pck
from troth.platforms.dcap.quote import Quote


def platform(quote: Quote) -> tuple[dict[str, int], str]:
    """Configuration of the platform as numbers, and its PPID in hex; nothing where the quote has none."""
    if not quote.pck_chain:
        return {}, ""
    try:
        found = pck.read(issued.read(quote.pck_chain[0]))
    except Malformed:
        return {}, ""
    flags = {
        "dynamic_platform": found.dynamic_platform,
        "cached_keys": found.cached_keys,
        "smt": found.smt,
    }
    numbers = {name: int(value) for name, value in flags.items() if value is not None}
    return {"sgx_type": found.sgx_type, **numbers}, found.ppid.hex()
