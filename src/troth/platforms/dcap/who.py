"""Who is the platform that made a quote? Its PCK chain, out of the quote or out of collateral."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from troth.crypto import issued, keys
from troth.crypto.beside import Asked
from troth.crypto.remembered import Remembered
from troth.crypto.signature import ecdsa_p256_raw
from troth.errors import Malformed
from troth.model.check import Check, failed, passed, undecided
from troth.model.codes.genuine import G206
from troth.model.collateral import Collateral
from troth.platforms.dcap import endorsed, pck
from troth.platforms.dcap.endorsed import Prepared
from troth.platforms.dcap.pck import Pck
from troth.platforms.dcap.quote import Quote
from troth.wire import x509
from troth.wire.x509 import Certificate

CHAIN: Final = 3  # leaf, authority, root
LEAF: Final = "Intel SGX PCK Certificate"
# Whether certificates of this authority name a platform instance and its configuration.
_AUTHORITIES: Final = {"Intel SGX PCK Processor CA": False, "Intel SGX PCK Platform CA": True}

# All quotes of a platform carry one QE report until its quoting enclave makes a new key.
_vouched: Remembered[Asked, str] = Remembered(1024)


# Compared by identity: `find` gives one object for one chain.
@dataclass(frozen=True, slots=True, eq=False)
class Platform:
    """Who the platform is: its chain, root first, and what its certificate says."""

    chain: tuple[Certificate, Certificate, Certificate]
    pck: Pck

    @property
    def root(self) -> Certificate:
        """The certificate that the chain ends at."""
        return self.chain[0]

    @property
    def authority(self) -> Certificate:
        """Whoever issued the leaf."""
        return self.chain[1]

    @property
    def leaf(self) -> Certificate:
        """The platform's own certificate."""
        return self.chain[2]


def find(quote: Quote, collateral: Collateral) -> tuple[Platform | None, Check]:
    """The PCK chain out of the quote, or out of the collateral where the quote only asks for one."""
    if len(quote.pck_chain) == CHAIN:
        return _named(quote.pck_chain, quote.certification)
    subject = f"certification data (type {quote.certification})"
    try:
        for der in quote.pck_chain:
            issued.read(der)
        chain = _supplied(quote, endorsed.prepare(collateral))
    except Malformed as error:
        return None, failed(G206, subject, why=str(error))
    if not chain:
        why = "the quote carries no PCK chain, and none was supplied"
        return None, undecided(G206, subject, why=why)
    return _named(chain, quote.certification)


@lru_cache(maxsize=256)
def _named(ders: tuple[bytes, ...], certification: int) -> tuple[Platform | None, Check]:
    """What a chain, leaf first, says of the platform; a pure function of its bytes, remembered for speed."""
    subject = f"certification data (type {certification})"
    try:
        leaf, authority, root = (issued.read(der) for der in ders)
        names = (x509.common_name(leaf.subject), x509.common_name(authority.subject))
        if names[0] != LEAF or names[1] not in _AUTHORITIES:
            return None, failed(
                G206,
                subject,
                presented=" below ".join(names),
                expected=f"{LEAF} below {' or '.join(_AUTHORITIES)}",
            )
        named = pck.read(leaf)
        if (named.platform_instance is not None) is not _AUTHORITIES[names[1]]:
            return None, failed(G206, subject, why=f"{names[1]} issues no such extension")
    except Malformed as error:
        return None, failed(G206, subject, why=str(error))
    presented = f"PPID {named.ppid.hex()}, FMSPC {named.fmspc.hex()}"
    return Platform((root, authority, leaf), named), passed(G206, subject, presented=presented)


def forget() -> None:
    """Empties what is remembered, for benchmarks that measure the first time."""
    _named.cache_clear()
    _vouched.clear()


def _supplied(quote: Quote, prepared: Prepared) -> tuple[bytes, ...]:
    """A supplied chain, leaf first, whose leaf signed the quoting enclave's report."""
    for chain in prepared.pck_chains:
        if len(chain) != CHAIN or (quote.pck_chain and quote.pck_chain[0] != chain[0].der):
            continue
        if not qe_signature(quote, chain[0]):
            return tuple(certificate.der for certificate in chain)
    return ()


def qe_signature(quote: Quote, leaf: Certificate) -> str:
    """What is wrong with the PCK key's signature over the QE report, in words; empty if it verifies."""
    question = _of_enclave(quote, leaf)
    found = _vouched.get(question)
    if found is None:
        found = _vouched.keep(question, ecdsa_p256_raw(leaf.key, quote.qe_signature, quote.qe_body))
    return found


def asked(quote: Quote, platform: Platform) -> Iterator[Asked]:
    """The quote's signature, and of those above it what is not known yet."""
    key = keys.p256(quote.attestation_key)
    yield Asked(key, keys.P256_RAW, quote.signature, quote.signed)
    own = _of_enclave(quote, platform.leaf)
    if own not in _vouched:
        yield own
    yield from issued.asked(platform.chain)


def _of_enclave(quote: Quote, leaf: Certificate) -> Asked:
    return Asked(leaf.key, keys.P256_RAW, quote.qe_signature, quote.qe_body)
