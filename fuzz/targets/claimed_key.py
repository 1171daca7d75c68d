"""Keys that somebody claims, and chains of signatures over one."""

import json
from collections.abc import Iterable

from fuzz.target import Target, must
from troth.errors import Malformed, Misuse
from troth.verifier import claimed

ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
POINT = (
    "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
)


def _run(data: bytes) -> None:
    try:
        chain = claimed.read_chain(data)
        must(len(chain.signatures) == 2, "a chain of another length")
    except (Malformed, Misuse):
        pass
    found = claimed.read(data.decode("utf-8", "replace"))
    must(bool(found.address or found.raw or found.spki), "a key in no form")
    for form in (found.address, found.point, found.raw, found.spki):
        must(not form or found.is_key(form), "a key that is not itself")
    must(not found.is_key(data) or len(data) > 19, "a key of few bytes")


def _seeds() -> Iterable[bytes]:
    yield from (ADDRESS.encode(), ADDRESS.lower().encode(), POINT.encode(), b"11" * 32)
    yield ("02" + POINT[2:66]).encode()
    yield b"302a300506032b6570032100" + b"22" * 32
    chain = {"purpose": "a", "public_key": "02" + POINT[2:66], "signature_chain": ["11" * 65] * 2}
    yield json.dumps(chain).encode()


TARGET = Target(
    run=_run,
    seeds=_seeds,
    refuses=(Misuse,),
    longest=4096,
    words=(
        b"0x",
        b"-----BEGIN PUBLIC KEY-----",
        b'"signature_chain":[',
        b"302a300506032b6570032100",
    ),
)
