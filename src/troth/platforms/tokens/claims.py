"""What does a token say, in the common words? The issuer's word for it, and never the hardware's.

Registers carry the claim's own name. What identifies code and is not there, though the kind of token
should have it, is an empty register: no policy's value equals it, and unpinned it leaves the answer open.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from troth.errors import Misuse
from troth.model.claims import Claims, Source
from troth.model.tcb import Tcb
from troth.platforms.tokens import azure
from troth.platforms.tokens.format import Bundle, Document, Token
from troth.platforms.tokens.said import (
    Said,
    digest,
    inner,
    nonces,
    octets,
    part,
    unbase64,
    whole,
    words,
)
from troth.wire import json

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TDX: Final = ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")
_TDX_IF_SET: Final = ("mrconfigid", "mrowner", "mrownerconfig", "mrservicetd")
_TDX_MODULE: Final = ("mrseam", "mrsignerseam")
_SWITCH: Final = "x-nvidia-switch-"
_NO_DEBUG: Final = frozenset(
    {
        "disabled",
        "disabled-since-boot",
        "disabled-permanently",
        "disabled-fully",
        "disabled-fully-and-permanently",
    }
)


def maa(document: Document, _tcb: Tcb | None = None) -> Claims:
    """Azure Attestation's; see `azure.py`."""
    token = _one(document)
    found = azure.claims(token.claims, _made(token), tdx)
    return replace(found, texts={**found.texts, **td_words(token.claims)})


def gcs(document: Document, _tcb: Tcb | None = None) -> Claims:
    """Google's, of Confidential Space and of confidential machines.

    The container's digest identifies what runs, together with whatever the operator put in the place of
    its command or environment.
    """
    token = _one(document)
    said = token.claims
    container = part(said, "submods", "container")
    space = part(said, "submods", "confidential_space")
    machine = part(said, "submods", "gce")
    registers = {"image_digest": digest(_hash(container.get("image_digest")), 32)}
    changed = {name: container.get(name) for name in ("cmd_override", "env_override")}
    if any(changed.values()):
        registers["container_overrides"] = _digest(changed)
    texts = {
        "hwmodel": words(said.get("hwmodel")),
        "swname": words(said.get("swname")),
        "swversion": words(said.get("swversion")),
        "secboot": words(said.get("secboot")),
        "audience": words(said.get("aud")),
        "support_attributes": words(space.get("support_attributes")),
        "image_reference": words(container.get("image_reference")),
        "service_accounts": words(said.get("google_service_accounts")),
        "project_id": words(machine.get("project_id")),
        "zone": words(machine.get("zone")),
        "cc_mode": words(inner(said, "submods", "nvidia_gpu", "cc_mode")),
    }
    carried = nonces(said.get("eat_nonce"))
    return Claims(
        platform="gcs",
        registers=registers,
        identity=tuple(registers),
        debug=_debug(said.get("dbgstat")),
        timestamp=_made(token),
        instance=_first(machine.get("instance_id"), said.get("sub")),
        nonce=carried[0] if carried else None,
        nonces=carried,
        user_data=None,
        public_key=None,
        numbers=whole(said, {"oemid": "oemid"}),
        texts=texts,
        source=Source.PROVIDER,
    )


def ita(document: Document, _tcb: Tcb | None = None) -> Claims:
    """Intel Trust Authority's of an SGX enclave or a TD: first version (flat) or second (nested).

    A token of the second version over several things at once is told apart, and its guest only is read.
    """
    token = _one(document)
    said = token.claims
    nested = [name for name in ("tdx", "sgx") if isinstance(said.get(name), dict)]
    kind = nested[0] if len(nested) == 1 else str(inner(said, "attester_type") or "").lower()
    at = part(said, kind) if nested else said
    registers, identity, numbers = (
        sgx(at, "sgx_") if kind == "sgx" else tdx(at, "tdx_") if kind == "tdx" else _nobody()
    )
    debug = _debug(at.get("dbgstat", said.get("dbgstat")))
    debug |= kind == "sgx" and at.get("sgx_is_debuggable") is not False
    debug |= kind == "tdx" and at.get("tdx_is_debuggable", False) is not False
    debug |= kind == "tdx" and at.get("tdx_td_attributes_debug", False) is not False
    held = unbase64(at.get("attester_held_data"))
    carried = tuple(filter(None, (unbase64(inner(at, "verifier_nonce", "val")), held))) or nonces(
        inner(said, "verifier_nonce", "val")
    )
    texts = {
        "issuer": words(said.get("iss")),
        "attester_type": (kind,),
        "attester_tcb_status": words(at.get("attester_tcb_status")),
        "policies_matched": tuple(
            word for item in _list(said.get("policy_ids_matched")) for word in words(_id(item))
        ),
    }
    advisories = words(at.get("attester_advisory_ids"))
    texts |= td_words(at)
    return Claims(
        platform="ita",
        registers=registers,
        identity=identity,
        alternative=("sgx_mrsigner",) if kind == "sgx" else (),
        debug=debug,
        timestamp=_made(token),
        instance="",
        nonce=carried[0] if carried else None,
        nonces=carried,
        user_data=held or octets(at.get(f"{kind}_report_data")),
        public_key=None,
        numbers=numbers,
        texts=texts | ({"advisories": advisories} if advisories else {}),
        source=Source.VERIFIER,
    )


def nras(document: Document, _tcb: Tcb | None = None) -> Claims:
    """NVIDIA's service's, of all devices of the bundle: texts hold what each says, once for all."""
    if not isinstance(document, Bundle):
        raise TypeError("no bundle")
    devices = [token.claims for token in document.devices.values()]
    switches = [one for one in devices if any(name.startswith(_SWITCH) for name in one)]
    gpus = [one for one in devices if one not in switches]
    carried = nonces(document.overall.claims.get("eat_nonce"))
    same = all(one.get("eat_nonce") == document.overall.claims.get("eat_nonce") for one in devices)
    texts = {name: _of_all(devices, name) for name in ("hwmodel", "secboot", "measres")}
    if gpus:
        texts["driver_version"] = _of_all(gpus, "x-nvidia-gpu-driver-version")
        texts["vbios_version"] = _of_all(gpus, "x-nvidia-gpu-vbios-version")
    if switches:
        texts["switch_bios_version"] = _of_all(switches, "x-nvidia-switch-bios-version")
    warnings = tuple(w for one in devices for w in words(one.get("x-nvidia-attestation-warning")))
    ids = sorted(word for one in devices for word in words(one.get("ueid")))
    return Claims(
        platform="nras",
        registers={},
        identity=(),
        debug=any(_debug(one.get("dbgstat")) for one in devices),
        timestamp=min(_made(token) or _EPOCH for token in document.tokens.values()),
        instance=",".join(ids),
        nonce=carried[0] if carried and same else None,
        nonces=carried if same else (),
        user_data=None,
        public_key=None,
        numbers={
            name: len(some) for name, some in (("gpus", gpus), ("switches", switches)) if some
        },
        texts=texts | ({"warnings": warnings} if warnings else {}),
        source=Source.VERIFIER,
    )


CLAIMS: Final[Mapping[str, Callable[[Document, Tcb | None], Claims]]] = {
    "maa": maa,
    "gcs": gcs,
    "ita": ita,
    "nras": nras,
}


def sgx(at: Said, head: str) -> tuple[dict[str, str], tuple[str, ...], dict[str, int]]:
    """Registers, those that identify code, and numbers of an enclave."""
    registers = {
        f"{head}{name}": digest(at.get(f"{head}{name}"), 32) for name in ("mrenclave", "mrsigner")
    }
    numbers = whole(at, {f"{head}{name}": name for name in ("isvprodid", "isvsvn")})
    return registers, (f"{head}mrenclave",), numbers


def tdx(at: Said, head: str) -> tuple[dict[str, str], tuple[str, ...], dict[str, int]]:
    """Registers, those that identify code, and numbers of a TD. Claims are `tdx_…` whatever the head."""
    registers = {
        f"{head}{name}": digest(at.get(f"tdx_{name}"), 48)
        for name in (*_TDX, *_TDX_IF_SET, *_TDX_MODULE)
        if name in _TDX or f"tdx_{name}" in at
    }
    set_ones = (
        n
        for n in _TDX_IF_SET
        if registers.get(f"{head}{n}", "0").strip("0") or not registers.get(f"{head}{n}", "0")
    )
    return registers, tuple(f"{head}{name}" for name in (*_TDX, *set_ones)), {}


def td_words(at: Said) -> dict[str, tuple[str, ...]]:
    """What is said of a TD's attributes, where it is said; of what is said twice, both words."""
    found: dict[str, tuple[str, ...]] = {}
    for name, ours in (
        ("tdx_td_attributes_septve_disable", "septve_disable"),
        ("tdx_td_attributes_migratable", "migratable"),
        ("tdx_is_migratable", "migratable"),
    ):
        if name in at:
            found[ours] = (*found.get(ours, ()), *(words(at[name]) or ("unreadable",)))
    return {name: tuple(dict.fromkeys(said)) for name, said in found.items()}


def _nobody() -> tuple[dict[str, str], tuple[str, ...], dict[str, int]]:
    """Of a kind that is not read: something runs there, and nothing says what."""
    return {"unknown_guest": ""}, ("unknown_guest",), {}


def _one(document: Document) -> Token:
    if not isinstance(document, Token):
        raise TypeError("no single token")
    return document


def _made(token: Token) -> datetime | None:
    return _EPOCH + timedelta(seconds=token.claims["iat"]) if "iat" in token.claims else None


def _debug(status: Any) -> bool:
    """Anything but a word for «off» is debug, and so is silence (RFC 9711, 4.2.9)."""
    return not isinstance(status, str) or status not in _NO_DEBUG


def _digest(value: Any) -> str:
    """SHA-256 of canonical JSON; empty for a value that has none, such as half a surrogate pair."""
    try:
        return hashlib.sha256(json.canonical(value)).hexdigest()
    except Misuse:
        return ""


def _hash(value: Any) -> Any:
    return value.removeprefix("sha256:") if isinstance(value, str) else value


def _first(*values: Any) -> str:
    return next((value for value in values if isinstance(value, str) and value), "")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _id(item: Any) -> Any:
    return inner(item, "id")


def _of_all(devices: list[Mapping[str, Any]], name: str) -> tuple[str, ...]:
    """What the devices say under this name; none at all where one of them says nothing."""
    found = [words(one.get(name)) for one in devices]
    return tuple(dict.fromkeys(word for said in found for word in said)) if all(found) else ()
