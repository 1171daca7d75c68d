"""An app that needs no building: its image, its record, and evidence that it runs."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.platforms.nitro.forge import chain, payload, sign, specs
from tests.platforms.nitro.signer import image

from troth.platforms.nitro.measure import measure
from troth.wire import cbor, eif


def app(folder: Path) -> None:
    """An image, small enough to write down, and a record of its build."""
    data = bytes(eif.pack(image()))
    (folder / "app.eif").write_bytes(data)
    record = {
        "schema": "troth/build/1",
        "lock_sha256": "0a" * 32,
        "image": {"sha256": hashlib.sha256(data).hexdigest()},
    }
    (folder / "app.build.json").write_text(json.dumps(record))


def evidence(folder: Path) -> None:
    """A document of the image, made now, and the root that it chains to."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    now = datetime.now(UTC)
    wanted = specs()
    for spec in wanted:
        spec.begin, spec.end = now.replace(hour=0, minute=0), now + timedelta(days=365)
    certificates, key = chain(wanted)
    said = payload(certificates, timestamp=int(now.timestamp() * 1000))
    said["pcrs"] |= {i: getattr(measure(image()), f"pcr{i}") for i in range(3)}
    (folder / "evidence.bin").write_bytes(sign(key, cbor.encode_in_order(said)))
    pem = x509.load_der_x509_certificate(certificates[0]).public_bytes(Encoding.PEM)
    (folder / "root.pem").write_bytes(pem)
