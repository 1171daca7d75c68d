"""The package with which Tinfoil's client encrypts bodies, and the HPKE package under it, on given bytes.

Runs under an interpreter that has `ehbp`, and none of troth.
"""

import json
import sys

from ehbp import ServerIdentity
from pyhpke import AEADId, CipherSuite, KDFId, KEMId


def opened(given: dict) -> bytes:
    """The frames of a request, by the receiver's half of HPKE, which `ehbp` has no need of."""
    suite = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)
    key = suite.kem.deserialize_private_key(bytes.fromhex(given["private"]))
    context = suite.create_recipient_context(
        bytes.fromhex(given["encapsulated"]), key, info=b"ehbp request"
    )
    frames, found, at = bytes.fromhex(given["frames"]), b"", 0
    while at < len(frames):
        size = int.from_bytes(frames[at : at + 4], "big")
        found += context.open(frames[at + 4 : at + 4 + size], b"")
        at += 4 + size
    return found


def main() -> None:
    given = json.load(sys.stdin)
    identity = ServerIdentity.unmarshal_public_config(bytes.fromhex(given["keys"]))
    request = identity.encrypt_request_body(bytes.fromhex(given["body"]))
    said = {
        "opened": opened(given).hex(),
        "keys": identity.marshal_public_config().hex(),
        "encapsulated": request.encapsulated_key.hex(),
        "frames": request.body.hex(),
    }
    json.dump(said, sys.stdout)


main()
