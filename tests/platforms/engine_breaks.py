"""Simulated evidence that is accepted, and the same with one of its signatures broken.

Which signatures there are is not written down here: they are those that the judgement of the good evidence
asks for, and each is looked for wherever it may stand.
"""

import base64
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from tests.platforms.dcap import made as intel
from tests.platforms.engines import Case, Mode, judged
from tests.platforms.nitro import forge
from tests.platforms.nitrotpm import test_documents as nitrotpm
from tests.platforms.nvidia import made as nvidia
from tests.platforms.snp import made as amd
from tests.platforms.tokens import made as tokens
from tests.platforms.tpm import made as tpm

from troth.crypto import issued
from troth.model.collateral import Item
from troth.platforms.dcap.simulate import QuoteKind
from troth.platforms.nvidia import simulate as gpu
from troth.platforms.nvidia import simulate_pki as gpu_pki
from troth.platforms.nvidia.device import BLACKWELL, HOPPER, LS10
from troth.platforms.snp import simulate as snp
from troth.platforms.snp.product import Product
from troth.platforms.tokens import simulate as services

_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{24,}={0,2}")
_TOKEN = re.compile(rb"[\w-]{24,}\.[\w-]{24,}\.[\w-]{24,}")


def dcap() -> Iterator[Case]:
    for kind in QuoteKind:
        found = intel.good(kind)
        yield _dcap(f"{kind.name}", found.data, found.collateral.items)
    # It names the platform, and its chain is supplied.
    data = intel.PKI.quote(QuoteKind.SGX_3, certification=1, fields={"reportdata": intel.NONCE})
    yield _dcap("its chain beside it", data, intel.PKI.collateral(supply_chain=True).items)


def _dcap(name: str, data: bytes, items: tuple[Item, ...]) -> Case:
    arguments = {
        "policy": intel.pinned(data),
        "at": intel.NOW,
        "nonce": intel.NONCE,
        "trust": intel.PKI.roots(),
    }
    return Case(name, data, items, arguments)


def sev() -> Iterator[Case]:
    pki = snp.DevelopmentPki.create(Product.MILAN, amd.START)
    for csp in ("", "CN=cloud.example"):
        chip = snp.Processor.create(pki, amd.START, csp=csp)
        arguments = {
            "policy": amd.POLICY,
            "at": amd.AT,
            "nonce": amd.NONCE,
            "trust": (pki.root(),),
        }
        data, items = amd.asked(chip), amd.held(chip)
        yield Case(f"{chip.signing_key.name}", data, items, arguments)
        yield Case(
            f"{chip.signing_key.name}, its host's table",
            snp.extended(data, chip.table(), pages=True),
            items[-1:],
            arguments,
        )


def enclaves() -> Iterator[Case]:
    data, root = forge.document()
    arguments = {"policy": forge.policy(), "at": forge.NOW, "trust": (root,)}
    yield Case("an enclave", data, (), arguments)
    arguments = {
        "policy": nitrotpm.POLICY,
        "at": nitrotpm.NOW + timedelta(minutes=1),
        "nonce": nitrotpm.NONCE,
        "trust": (nitrotpm.ROOT,),
    }
    yield Case("NitroTPM", nitrotpm.TPM.attest(nonce=nitrotpm.NONCE), (), arguments)


def gpus() -> Iterator[Case]:
    pki = gpu_pki.DevelopmentPki.create(nvidia.START)
    for architecture in (HOPPER, BLACKWELL, LS10):
        device = gpu.Device.create(pki, architecture, nvidia.START)
        arguments = {
            "policy": nvidia.policy_for(device),
            "at": nvidia.AT,
            "nonce": nvidia.NONCE,
            "trust": pki.roots(),
        }
        items = gpu.collateral([device], nvidia.ANSWERED).items
        yield Case(architecture, device.evidence(nvidia.NONCE), items, arguments)


def machines() -> Iterator[Case]:
    for cloud in ("azure", "google"):
        data = tpm.booted().evidence(tpm.NONCE, certificates=[tpm.certificate(cloud)])
        arguments = {
            "policy": tpm.policy(data),
            "at": tpm.AT,
            "nonce": tpm.NONCE,
            "trust": (tpm.pki(cloud).trusted(),),
        }
        yield Case(cloud, data, tpm.pki(cloud).collateral().items, arguments)


def signed_tokens() -> Iterator[Case]:
    made = {name: services.Service.create(name, tokens.START) for name in services.NAMES}
    for kind in tokens.KINDS.values():
        service = made[kind.service]
        arguments = {
            "policy": kind.policy,
            "at": tokens.AT,
            "nonce": tokens.NONCE,
            "trust": tokens.roots(kind, service),
        }
        data = tokens.evidence(kind, service)
        yield Case(kind.name, data, (service.collateral(),), arguments)


GOOD: dict[str, Callable[[], Iterator[Case]]] = {
    "dcap": dcap,
    "snp": sev,
    "nitro": enclaves,
    "nvidia": gpus,
    "tpm": machines,
    "tokens": signed_tokens,
}


@functools.cache
def good(platform: str) -> tuple[Case, ...]:
    return tuple(GOOD[platform]())


def _last(signature: bytes) -> bytes:
    return signature[:-1] + bytes((signature[-1] ^ 1,))


def _first(signature: bytes) -> bytes:
    return bytes((signature[0] ^ 0x80,)) + signature[1:]


def _nothing(signature: bytes) -> bytes:
    return bytes(len(signature))


LAST = {"its last bit": _last}
WAYS = LAST | {"its first bit": _first, "zeros": _nothing}


def broken(case: Case, ways: Mapping[str, Callable[[bytes], bytes]] = LAST) -> Iterator[Case]:
    """The case with each signature that its judgement asks for broken alone, in each way."""
    asked = dict.fromkeys(judged(case, Mode.OPENSSL).questions)
    for number, question in enumerate(asked):
        for way, change in ways.items():
            changed = replaced(case, question.signature, change(question.signature))
            assert changed is not None, (case.name, question)
            yield changed.but(f"signature {number}, {way}")


def roots_broken(case: Case) -> Iterator[Case]:
    """The case with the root's own signature broken: asked for where a root is pinned by its key."""
    for der in _certificates(case):
        found = issued.read(der)
        if found.issuer == found.subject:
            changed = replaced(case, found.signature, _last(found.signature))
            assert changed is not None
            yield changed.but(f"root {issued.title(found)}")


def _certificates(case: Case) -> set[bytes]:
    texts = (case.evidence, *(item.data + item.chain for item in case.items))
    begin = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END", re.DOTALL)
    return {base64.b64decode(body) for text in texts for body in begin.findall(text)}


def replaced(case: Case, old: bytes, new: bytes) -> Case | None:
    """The case with these bytes changed wherever they stand; None where they stand nowhere."""
    evidence = _put(case.evidence, old, new)
    items = tuple(
        replace(item, data=_put(item.data, old, new), chain=_put(item.chain, old, new))
        for item in case.items
    )
    if (evidence, items) == (case.evidence, case.items):
        return None
    return replace(case, evidence=evidence, items=items)


def _put(text: bytes, old: bytes, new: bytes) -> bytes:
    pairs = [(old, new), (old.hex().encode(), new.hex().encode())]
    if len(old) == 96:  # AMD writes both numbers from their lowest byte on
        pairs.append((_turned(old), _turned(new)))
    for before, after in pairs:
        text = text.replace(before, after)
    text = _BASE64.sub(lambda match: _encoded(match[0], old, new), text)
    return _TOKEN.sub(lambda match: _in_token(match[0], old, new), text)


def _turned(signature: bytes) -> bytes:
    return b"".join(signature[at : at + 48][::-1] + bytes(24) for at in (0, 48))


def _encoded(text: bytes, old: bytes, new: bytes) -> bytes:
    try:
        inner = base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError:
        return text
    if old not in inner:
        return text
    again = iter(base64.b64encode(inner.replace(old, new)))
    return bytes(byte if bytes((byte,)).isspace() else next(again) for byte in text)


def _in_token(text: bytes, old: bytes, new: bytes) -> bytes:
    """A JWS; certificates stand in its header, in base64 within base64."""
    parts = []
    for part in text.split(b"."):
        inner = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
        changed = _put(inner, old, new)
        again = base64.urlsafe_b64encode(changed).rstrip(b"=")
        parts.append(part if changed == inner else again)
    return b".".join(parts)
