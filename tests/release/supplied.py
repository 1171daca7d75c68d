"""A small image with its record, its packages and its keys, made on the spot; no network."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from stat import S_IFDIR, S_IFREG
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from tests.image.made import INFO, library, member, package, wheel
from tests.runtime.test_load import packed

from troth.image.store import Store
from troth.platforms.nitro.measure import measure
from troth.wire import cpio, eif, json

DEP5 = b"""Format: https://example.org/copyright-format/1.0/
Files: *
License: %s

License: %s
 the text
"""
OPENSSL = b"\0OpenSSL 3.4.0 22 Oct 2024\0"
PROGRAM = (
    library()
    + b"\xff Go buildinf:"
    + bytes(20)
    + b"go1.22.3\0\ndep\tgolang.org/x/net\tv0.1.0\th1:x\n"
)
LIST = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "components": [
        {"name": "openssl", "version": "3.4.0", "purl": "pkg:generic/openssl@3.4.0",
         "hashes": [{"alg": "SHA-256", "content": "ab" * 32}],
         "licenses": [{"license": {"id": "Apache-2.0"}}]},
        {"name": "serde", "version": "1.0.1", "purl": "pkg:cargo/serde@1.0.1"},
    ],
}  # fmt: skip


ADVISORIES = tuple(
    {
        "id": identity, "modified": modified, "aliases": aliases,
        "affected": [
            {"package": {"ecosystem": ecosystem, "name": name},
             "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.3"}]}]}
        ],
    }
    for identity, modified, aliases, ecosystem, name in (
        ("PYSEC-1", "2026-02-01T00:00:00Z", ["CVE-2026-1"], "PyPI", "pure-thing"),
        ("DEBIAN-1", "2026-01-02T03:04:05Z", [], "Debian:13", "glibc"),
    )
)  # fmt: skip


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def deb(name: str, *licences: bytes, link: str = "", raw: bytes | None = None) -> bytes:
    doc = f"./usr/share/doc/{name}"
    if link:
        return package(member(doc, type=b"2", linkname=link))
    text = DEP5 % licences if raw is None else raw
    return package(member(f"{doc}/copyright", text))


CRYPTO = wheel(
    {
        "crypto/_rust.abi3.so": library() + OPENSSL + b"rustc version 1.80.0",
        "crypto/__init__.py": b"",
        f"{INFO}/METADATA": b"Metadata-Version: 2.4\nLicense-Expression: Apache-2.0 OR BSD-3-Clause\n",
        f"{INFO}/sboms/list.json": json.canonical(LIST),
    }
)
PURE = wheel(
    {
        "pure.py": b"x = 1\n",
        f"{INFO}/METADATA": b"Classifier: License :: OSI Approved :: MIT License\n",
    }
)
DEBS = {
    "libc6": deb("libc6", b"LGPL-2.1+", b"GPL-2"),
    "libgcc-s1": deb("libgcc-s1", link="libc6"),
    "python3.13-minimal": deb("python3.13-minimal", raw=b"This package was put together by hand."),
    "linux-image-6": deb("linux-image-6", b"GPL-2", b"GPL-2"),
    "gcc": deb("gcc", b"GPL-3+", b"GPL-3+"),
}


def image() -> eif.Eif:
    entries = [cpio.Entry(path=p, mode=S_IFDIR | 0o755) for p in ("app",)]
    entries.append(cpio.Entry(path="app/program", mode=S_IFREG | 0o755, data=PROGRAM))
    empty = cpio.pack([cpio.Entry(path="init", mode=S_IFREG | 0o755, data=b"#!")])
    return packed(empty, cpio.pack(entries))


def _deb(name: str, version: str, source: str, using: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "name": name, "version": version, "sha256": sha(DEBS[name]), "source": source,
        "source_version": version, "built_using": list(using),
    }  # fmt: skip


def record(of: eif.Eif | None = None) -> dict[str, Any]:
    made = image() if of is None else of
    data = eif.pack(made)
    return {
        "schema": "troth/build/1",
        "tool": {"name": "troth", "version": "0.1.0", "agent_sha256": "1" * 64},
        "recipe_sha256": "2" * 64,
        "lock_sha256": "3" * 64,
        "suite": "trixie",
        "architecture": "amd64",
        "archive_keys": ["4" * 40],
        "kernel": {
            "asked": "debian", "kind": "debian", "version": "6.12", "sha256": "5" * 64,
            "package": _deb("linux-image-6", "6.12-1", "linux-signed", ("linux 6.12-1",)),
        },
        "packages": [
            {"kind": "deb", **_deb("libc6", "2.41-12", "glibc"), "files": 3},
            {"kind": "deb", **_deb("libgcc-s1", "14.2.0-19", "gcc-14"), "files": 1},
            {"kind": "deb", **_deb("python3.13-minimal", "3.13.5-2", "python3.13"), "files": 2},
            {"kind": "wheel", "name": "crypto", "version": "44.0.0", "sha256": sha(CRYPTO)},
            {"kind": "wheel", "name": "pure-thing", "version": "1.2", "sha256": sha(PURE)},
        ],
        "builder": [_deb("gcc", "14-1", "gcc-14")],
        "app": [{"path": "/app/program", "sha256": sha(PROGRAM)}],
        "image": {"sha256": sha(data), "size": len(data), "sections": []},
        "nitro": dict(measure(made).hex()),
    }  # fmt: skip


@dataclass(frozen=True)
class Desk:
    """A folder with the image, its record, the packages and two keys."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def put(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return self.path(name)

    @property
    def store(self) -> Store:
        return Store(folder=self.folder / "store")


def desk(folder: Path) -> Desk:
    made = Desk(folder)
    made.put("app.eif", eif.pack(image()))
    made.put("app.build.json", json.canonical(record()))
    (folder / "store").mkdir()
    for data in (*DEBS.values(), CRYPTO, PURE):
        made.put(f"store/{sha(data)}", data)
    keys: dict[str, Any] = {
        "ed": ed25519.Ed25519PrivateKey.generate(),
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
    }
    for name, key in keys.items():
        made.put(f"{name}.pem", private_pem(key))
        made.put(f"{name}.pub", public_pem(key))
    return made


def private_pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
