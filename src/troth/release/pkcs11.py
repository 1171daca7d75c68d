"""A private key in a token or a module, by its PKCS#11 URI (RFC 7512).

    pkcs11:token=release;object=nitro?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:pin.txt

The module is a library that is loaded into this process: whoever names it trusts it. A PIN stands in a file,
because what stands in the URI is seen by everybody who sees the command line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives import hashes

from troth.errors import Misuse, Unavailable
from troth.release.keys import Hashing

_PATH: Final = frozenset({"token", "serial", "object", "id", "type"})
_QUERY: Final = frozenset({"module-path", "pin-source"})
_PART: Final = re.compile(r"([a-z-]+)=((?:[A-Za-z0-9._~:\[\]@!$'()*+,=/-]|%[0-9A-Fa-f]{2})+)")
_MOST_PIN: Final = 256
_SIGNS: Final = "name a key that was made for signing (CKA_SIGN)"
_FIX: Final = "write pkcs11:token=NAME;object=NAME?module-path=FILE&pin-source=file:FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """A key in a token.

    Attributes:
        module: path of the PKCS#11 library.
        token: what the token is looked for by: its label, its serial number.
        key: the same of the key: its label, its id.
        pin_file: the file with the user's PIN, or None where the token asks for none.
    """

    module: str
    token: Mapping[str, Any]
    key: Mapping[str, Any]
    pin_file: Path | None

    def sign(self, data: bytes, algorithm: Hashing) -> bytes:
        """The signature, as r ‖ s: mechanism CKM_ECDSA over a digest made here, which every token has.

        Of Ed25519 it is CKM_EDDSA over the bytes.

        Raises:
            Unavailable: the library for PKCS#11 is not installed, the module does not load, or the token
                refuses.
            Misuse: there is no such token or key, several, or the PIN is wrong.
        """
        try:
            import pkcs11
            from pkcs11.mechanisms import Mechanism
            from pkcs11.types import SignMixin
        except ImportError:
            raise Unavailable(
                "keys in tokens need the package python-pkcs11",
                fix="install troth with its extra: pip install 'troth[pkcs11]'",
            ) from None
        mechanism = Mechanism.EDDSA
        if algorithm.digest is not None:
            mechanism, digest = Mechanism.ECDSA, hashes.Hash(algorithm.digest)
            digest.update(data)
            data = digest.finalize()
        pin = None if self.pin_file is None else _pin(self.pin_file)
        try:
            module = pkcs11.lib(self.module)
        except RuntimeError as error:  # as all errors of this library's are
            raise Unavailable(
                f"the module {self.module} does not load: {error}", fix="name another module-path"
            ) from None
        try:
            with module.get_token(**self.token).open(user_pin=pin) as session:
                key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, **self.key)
                if not isinstance(key, SignMixin):  # CKA_SIGN is false
                    raise Misuse("the token keeps this key for something else", fix=_SIGNS)
                made = key.sign(data, mechanism=mechanism)
                return bytes(made)
        except pkcs11.exceptions.PKCS11Error as error:
            raise _explained(type(error).__name__, str(error)) from None


def from_uri(uri: str) -> TokenKey:
    """The key that a URI names. Nothing is loaded or opened yet.

    Raises:
        Misuse: it is no such URI; it names something that is not understood here; it holds a PIN.
    """
    scheme, _, rest = uri.partition(":")
    path, _, query = rest.partition("?")
    if scheme != "pkcs11" or not path:
        raise Misuse("a key in a token is named by a URI that begins with pkcs11:", fix=_FIX)
    if "pin-value" in query:
        raise Misuse(
            "a PIN in a URI is seen by everybody who sees the command line",
            fix="put it into a file, and name that with pin-source=file:FILE",
        )
    found = _parts(path, ";", _PATH) | _parts(query, "&", _QUERY)
    if found.pop("type", b"private") != b"private":
        raise Misuse("only a private key signs", fix="write type=private, or leave it away")
    if "module-path" not in found:
        raise Misuse("the URI names no module", fix="add ?module-path=FILE, the token's library")
    names = {name: _text(found[name], name) for name in found if name != "id"}
    if not {"object", "id"} & found.keys():
        raise Misuse("the URI names no key", fix="add object=NAME or id=%01")
    if not {"token", "serial"} & found.keys():
        raise Misuse("the URI names no token", fix="add token=NAME or serial=NUMBER")
    token: dict[str, Any] = {"token_label": names["token"]} if "token" in names else {}
    if "serial" in found:
        token["token_serial"] = found["serial"]
    key: dict[str, Any] = {"label": names["object"]} if "object" in names else {}
    if "id" in found:
        key["id"] = found["id"]
    source = names.get("pin-source")
    return TokenKey(
        module=names["module-path"],
        token=token,
        key=key,
        pin_file=None if source is None else Path(source.removeprefix("file:")),
    )


def _parts(text: str, between: str, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, text.split(between)):
        match = _PART.fullmatch(part)
        if match is None:
            raise Misuse(f"{part[:40]!r} in the URI is not name=value", fix=_FIX)
        name = match[1]
        if name not in known:
            listed = ", ".join(sorted(known))
            raise Misuse(f"{name} in the URI is not understood; {listed} are", fix=_FIX)
        if name in found:
            raise Misuse(f"{name} stands twice in the URI", fix="leave one away")
        found[name] = unquote_to_bytes(match[2])
    return found


def _text(value: bytes, name: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Misuse(f"{name} in the URI is not UTF-8", fix=_FIX) from None


def _pin(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_PIN + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise Unavailable(
            f"the PIN cannot be read from {path}: {why}",
            fix="name a file with pin-source=file:FILE",
        ) from None
    text = text.removesuffix(b"\n").removesuffix(b"\r")
    if not text or len(text) > _MOST_PIN:
        raise Misuse(f"{path} holds no PIN", fix="write the PIN into it, in one line")
    return _text(text, "the PIN")


def _explained(kind: str, words: str) -> Misuse | Unavailable:
    match kind:
        case "NoSuchToken":
            return Misuse("there is no such token", fix="`pkcs11-tool --module FILE -L` lists them")
        case "NoSuchKey":
            return Misuse(
                "the token shows no such private key",
                fix="`pkcs11-tool --module FILE -O --login` lists them; most show keys with a PIN only",
            )
        case "MultipleTokensReturned" | "MultipleObjectsReturned":
            return Misuse("several tokens or keys have this name", fix="add serial= or id=")
        case "PinIncorrect" | "PinInvalid" | "PinLenRange":
            return Misuse(
                "the token refuses the PIN",
                fix="check the file before you try again: tokens lock after a few wrong ones",
            )
        case _:
            said = f"{kind} ({words})" if words else kind
            return Unavailable(f"the token refuses to sign: {said}")
