"""Flags to expectations: policy, roots, nonce, key, instant and waivers, each the caller's own."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from troth.cli import _image
from troth.cli._console import exists, read_source, read_text
from troth.errors import Malformed, Misuse
from troth.wire.text import from_hex

if TYPE_CHECKING:
    from troth.model.roots import Root
    from troth.policy import Policy

_REGISTER: Final = re.compile(r"([a-z0-9_]+)=(?:0x)?([0-9a-fA-F]+)")
_HEX: Final = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{2})+")
_MAX_SMALL: Final = 64 * 1024
_MAX_LOG: Final = 4 << 20


def policy(
    named: str | None, *, image: Path | None = None, measurement: Sequence[str] = ()
) -> "Policy":
    """The policy that the flags ask for; one that expects nothing accepts nothing.

    Args:
        named: a file, or the name of a built-in profile.
        image: an EIF, measured here from its bytes, or a file of measurements.
        measurement: `pcr0=HEX`, each register once; its name says of which platform it is.

    Raises:
        Misuse: unknown profile, bad register, or expectations that contradict each other.
    """
    from troth.policy import Policy

    wanted = _measurements(measurement)
    chosen = None if named is None else named_policy(named)
    if image is not None:
        measured = _image.expected(image)
        chosen = (
            Policy.for_image(measured, name=image.name)
            if chosen is None
            else chosen.expecting(measured, name=image.name)
        )
    if wanted:
        chosen = (
            Policy.for_image(wanted, name="--measurement")
            if chosen is None
            else chosen.expecting(wanted, name="--measurement")
        )
    return chosen or Policy(name="none given")


def named_policy(name: str) -> "Policy":
    """A built-in profile, or a policy file.

    Raises:
        Misuse: there is neither, or the file is not a policy.
    """
    from troth.policy import Policy
    from troth.policy.profiles import PROFILES

    if name in PROFILES:
        return PROFILES[name]
    path = Path(name)
    if not exists(path):
        raise Misuse(
            f"there is no policy file and no profile {name!r}",
            fix=f"profiles are {', '.join(PROFILES)}; `troth policy new` starts a file",
        )
    return Policy.from_toml(read_text(path), source=name)


def _measurements(items: Iterable[str]) -> dict[str, dict[str, str]]:
    """Platform to register to value."""
    from troth.policy.names import platform_of

    found: dict[str, dict[str, str]] = {}
    for item in items:
        match = _REGISTER.fullmatch(item)
        platform = platform_of(match[1]) if match else None
        if match is None or platform is None:
            raise Misuse(
                f"{item!r} is not a register with its value",
                fix="write --measurement pcr0=HEX, or mrenclave, mrtd, measurement and the like",
            )
        register, value = match[1], match[2].lower()
        if found.setdefault(platform, {}).setdefault(register, value) != value:
            raise Misuse(
                f"{register} is given two values",
                fix="one is enough; a policy can list several that are allowed",
            )
    return found


def roots(files: Iterable[str]) -> tuple[tuple["Root", ...], bytes]:
    """The roots in the files that the caller names, and the text they came in.

    Args:
        files: names of files; with `nitro:` or another platform's name before it, a file's roots count
            for that platform alone.

    Raises:
        Unavailable, Malformed: a file cannot be read, or holds no certificates.
        Misuse: what stands before the colon is no platform, or the file says itself whose it is.
    """
    from troth.trust import parse_roots, scoped

    named = [
        (platform, path, read_source(path, limit=1024 * 1024))
        for platform, path in map(_scope, files)
    ]
    # Put together, one file must not narrow what another one says.
    narrowed = any(platform or b"# platform:" in text for platform, _, text in named)
    found: list[Root] = []
    texts = []
    for platform, path, said in named:
        keys = said.lstrip().startswith(b"{")
        text = scoped(said, platform) if platform or (narrowed and not keys) else said
        found.extend(parse_roots(text, source=path))
        texts.append(text if text.endswith(b"\n") else text + b"\n")
    texts.sort(
        key=lambda text: not text.lstrip().startswith(b"{")
    )  # key sets stand before certificates
    return tuple(found), b"".join(texts)


def _scope(file: str) -> tuple[str, str]:
    """The platform before a file's name, or nothing, and the name."""
    from troth.policy.names import REGISTERS

    head, colon, name = file.partition(":")
    if not colon or head not in REGISTERS:
        if colon and head.isalnum() and not exists(Path(file)):
            raise Misuse(
                f"there is no file {file}, and {head} is no platform",
                fix=f"before the colon stands one of {', '.join(REGISTERS)}, or nothing",
            )
        return "", file
    if not name:
        raise Misuse(f"{file} names no file", fix=f"write {file}FILE")
    return head, name


def nonce(text: str | None) -> bytes | None:
    """A nonce from hex, or from a file as `@file` (its raw bytes).

    Raises:
        Misuse: neither; or all zero.
    """
    if text is None:
        return None
    if text.startswith("@"):
        drawn = read_source(text[1:], limit=1024)
    elif _HEX.fullmatch(text):
        drawn = from_hex(text, field="--nonce")
    else:
        raise Misuse(f"the nonce {text[:40]!r} is not hex", fix="write hex, or @FILE for raw bytes")
    if drawn and not any(drawn):
        raise Misuse(
            "the nonce is all zero, as a field is that nobody set",
            fix="draw 32 random bytes for each question",
        )
    return drawn


def event_log(path: Path | None) -> bytes | None:
    """The bytes of an event log.

    Raises:
        Unavailable: it cannot be read.
        Malformed: it is empty, or larger than any.
    """
    if path is None:
        return None
    data = read_source(str(path), limit=_MAX_LOG)
    if not data:
        raise Malformed("is empty", field=str(path), offset=0)
    return data


def key(text: str | None) -> bytes | None:
    """The public key that must be bound: hex, or a file with PEM, a certificate's PEM, or raw bytes.

    Raises:
        Misuse: neither; or hex that is also the name of a file.
    """
    if text is None:
        return None
    path = Path(text.removeprefix("@"))
    is_hex = _HEX.fullmatch(text) is not None
    if is_hex and exists(path):
        raise Misuse(f"{text!r} is both hex and a file", fix=f"write @{text} for the file")
    if is_hex:
        return from_hex(text, field="--key")
    if not exists(path):
        raise Misuse(f"the key {text[:60]!r} is neither hex nor a file")
    return _public_key(read_source(str(path), limit=_MAX_SMALL), str(path))


def _public_key(data: bytes, name: str) -> bytes:
    """DER of the SubjectPublicKeyInfo in PEM, or the bytes as they are."""
    if not data.lstrip().startswith(b"-----BEGIN"):
        return data
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        public = (
            x509.load_pem_x509_certificate(data).public_key()
            if b"BEGIN CERTIFICATE" in data
            else serialization.load_pem_public_key(data)
        )
    except Exception:  # noqa: BLE001 - more kinds than documented; all mean the same here
        raise Malformed(
            "is PEM, and neither a public key nor a certificate",
            field=name,
            fix="a private key is never needed here; give the public one",
        ) from None
    return public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def instant(text: str | None) -> tuple[datetime, bool]:
    """The instant of judgement, and whether it is the caller's claim.

    Raises:
        Misuse: it is not an instant, or has no zone.
    """
    if text is None or text == "now":
        return datetime.now(UTC), False
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None:
        raise Misuse(
            f"{text[:40]!r} is not an instant", fix="write it like 2026-11-23T03:10:00Z, or `now`"
        )
    if at.tzinfo is None:
        raise Misuse(
            f"the instant {text} has no time zone", fix="write it like 2026-11-23T03:10:00Z"
        )
    try:
        return at.astimezone(UTC), True
    except OverflowError:
        raise Misuse(f"the instant {text} lies outside of the years 1 to 9999") from None
