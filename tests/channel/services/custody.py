"""A dstack key service's chain of signatures over a receipt key's counterpart."""

from typing import Any

import coincurve

from troth.platforms.tdx import dstack_keys

ROOT = coincurve.PrivateKey(b"\x11" * 32)
APPLICATION = coincurve.PrivateKey(b"\x12" * 32)
KEY = coincurve.PrivateKey(b"\x13" * 32)


def chain(app_id: bytes) -> tuple[dict[str, Any], bytes]:
    """The custody member of a report, and the root key (compressed)."""
    public = KEY.public_key.format()
    application = APPLICATION.public_key.format()
    signatures = [
        APPLICATION.sign_recoverable(dstack_keys.purpose_digest("receipt", public), hasher=None),
        ROOT.sign_recoverable(dstack_keys.issued_digest(app_id, application), hasher=None),
    ]
    entry = {
        "role": "receipt",
        "purpose": "receipt",
        "kms_public_key": public.hex(),
        "signature_chain": [signature.hex() for signature in signatures],
    }
    return {"provider": "dstack-kms", "keys": [entry]}, ROOT.public_key.format()
