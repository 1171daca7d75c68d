"""Certificates that carry evidence: every service that reads one, on the same bytes."""

import gzip
from collections.abc import Iterable
from datetime import UTC, datetime

from fuzz.target import Target, attempt, must
from troth.channel.services import _leaf, dstack, evervault, ratls
from troth.channel.services.simulate import dstack as dstack_made
from troth.channel.services.simulate import ratls as ratls_made
from troth.channel.services.simulate._loopback import identity
from troth.channel.services.simulate.dstack_guest import DstackGuest

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def _run(data: bytes) -> None:
    attempt(dstack.in_certificate, data)
    attempt(lambda der: evervault.in_certificate(der, "localhost"), data)
    attempt(dstack.unpacked, data)
    attempt(ratls.tagged, data)
    attempt(lambda claims: ratls.names(claims, b"key"), data)
    leaf = _leaf.read(data)
    if leaf is not None:
        must(leaf.der == data, "a certificate that is not all there is")
        for extension in leaf.extensions.values():
            attempt(ratls.tagged, extension)


def _seeds() -> Iterable[bytes]:
    guest = DstackGuest.create(NOW)
    for form in ("quote", "packed", "v0", "v1"):
        yield dstack_made.certificate(guest, NOW, form=form).der
    for form in ratls_made.FORMS:
        yield ratls_made.shown(lambda data: b"quote over " + data, NOW, form=form).der
    yield identity(NOW, names=("localhost", f"{b'document'.hex() * 9}.localhost")).der
    yield dstack.GZIP_MAGIC + gzip.compress(b"[]", mtime=0)
    claims = ratls.claims_for(b"key")
    yield claims
    yield b"\xd9\xea\x60\x82\x45quote\x58" + bytes([len(claims)]) + claims


TARGET = Target(
    run=_run,
    seeds=_seeds,
    words=(dstack.GZIP_MAGIC, ratls.TAGGED, ratls.GRAMINE, dstack.QUOTE, dstack.ATTESTATION),
)
