"""Signatures through Sigstore, checked without the network: a bundle of version 0.3 that carries an envelope.

The `sigstore` package (extra `sigstore`) checks the chain to Fulcio's root, the certificate's entry in a CT log,
the signature, and the entry's inclusion in Rekor under a signed checkpoint, all against a trusted root: the
caller's, or the one that comes with that package. No cache is looked at. Nothing is signed here: that needs a
network and somebody's identity.

Does not verify: that the log shows everybody the same tree.
"""

import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from troth.errors import Malformed, Misuse, Unavailable
from troth.wire import json

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier

MAX_BUNDLE: Final = 48 * 1024 * 1024
PUBLIC: Final = "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev/trusted_root.json"
"""Where the package keeps the public instance's root, as it was when the package was made."""
_FIELD: Final = "Sigstore bundle"
_MEDIA: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"


def verified(
    bundle: bytes, *, identity: str, issuer: str, trusted_root: bytes | None = None
) -> tuple[str, bytes]:
    """Type and payload of the envelope in a bundle that this identity signed.

    Args:
        bundle: JSON.
        identity: the certificate's name: an address of mail, or a workflow's URI with its ref.
        issuer: of the token that Fulcio saw.
        trusted_root: Sigstore's trusted root, JSON; the public instance's by default.

    Raises:
        Malformed: it does not verify, or is of somebody else.
        Misuse: identity or issuer is empty: a signature of anybody says nothing.
        Unavailable: the `sigstore` package is absent.
    """
    if not identity or not issuer:
        raise Misuse(
            "a bundle is checked against an identity and its issuer",
            fix="give --sigstore-identity and --sigstore-issuer",
        )
    outer = json.parse(bundle, field=_FIELD, limit=MAX_BUNDLE)
    material = outer.get("verificationMaterial") if isinstance(outer, dict) else None
    if (
        not isinstance(outer, dict)
        or outer.get("mediaType") != _MEDIA
        or not isinstance(material, dict)
        or "certificate" not in material
        or "dsseEnvelope" not in outer
    ):
        raise Malformed(
            "is no envelope in a bundle of version 0.3, with one certificate", field=_FIELD
        )
    checker = verifier(trusted_root)
    from sigstore.errors import Error
    from sigstore.models import Bundle
    from sigstore.verify import policy

    try:
        return checker.verify_dsse(
            Bundle.from_json(bundle), policy.Identity(identity=identity, issuer=issuer)
        )
    except (Error, ValueError, TypeError, KeyError, AttributeError) as error:
        # The package lets what its parsers raise through; whatever it was, nothing has been verified.
        raise Malformed(f"does not verify: {words(error)}", field=_FIELD) from error


def verifier(trusted_root: bytes | None) -> "Verifier":
    """What checks bundles against a root.

    Raises:
        Malformed: the root cannot be read.
        Unavailable: the `sigstore` package is absent, or has no root with it.
    """
    try:
        from sigstore.errors import Error
        from sigstore.verify import Verifier
    except ImportError as error:
        raise Unavailable(
            "bundles are checked by the package sigstore, which is absent",
            fix="install it: pip install 'troth[sigstore]'",
        ) from error
    try:
        return Verifier(trusted_root=_root(_public() if trusted_root is None else trusted_root))
    except (Error, ValueError, TypeError) as error:
        raise Malformed(f"cannot be read: {words(error)}", field="trusted root") from error


def _public() -> bytes:
    try:
        return files("sigstore._store").joinpath(PUBLIC).read_bytes()
    except OSError as error:
        raise Unavailable(
            "the package sigstore has no root of the public instance with it",
            fix="name a trusted root: --trusted-root FILE",
        ) from error


def _root(data: bytes) -> "TrustedRoot":
    from sigstore.models import TrustedRoot

    # The package reads its roots from files only.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trusted_root.json")
        path.write_bytes(data)
        return TrustedRoot.from_file(str(path))


def words(error: Any) -> str:
    """An error of that package's in one line."""
    return (str(error) or type(error).__name__).splitlines()[0][:300]
