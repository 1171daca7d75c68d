"""What a token of Azure Attestation says, by its type of attestation.

`sgx`, `sevsnpvm` and `tdxvm` speak of one TEE. `azurevm` is a guest below a paravisor: its inner part
(`x-ms-isolation-tee`) speaks of the paravisor, the outer one of the guest's boot, and neither says
which guest runs: its PCRs are looked at by the service and not in the token.

The tenant writes the policy that makes a token, so its hash belongs to what identifies code.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from troth.model.claims import Claims, Source
from troth.platforms.tokens.said import (
    Said,
    digest,
    inner,
    nonces,
    octets,
    part,
    spki,
    unbase64,
    whole,
    words,
)

Read = Callable[[Said, str], tuple[dict[str, str], tuple[str, ...], dict[str, int]]]
Found = tuple[dict[str, str], tuple[str, ...], dict[str, int]]

_SNP: Final = {
    "launchmeasurement": 48,
    "hostdata": 32,
    "idkeydigest": 48,
    "authorkeydigest": 48,
    "familyId": 16,
    "imageId": 16,
    "reportid": 32,
}
_HOST_DATA: Final = "x-ms-sevsnpvm-hostdata"
_SNP_NUMBERS: Final = {"guestsvn": "guest_svn"}
_BOOT_DEBUG: Final = ("bootdebug-enabled", "kerneldebug-enabled", "hypervisordebug-enabled")
_GUEST: Final = "pcrs_not_in_token"
# What a token of this kind always says: silence on it is no good word.
_MUST: Final = frozenset(
    {
        *((name, "sevsnpvm") for name in ("compliance_status", "migration_allowed", "vmpl")),
        ("attester_tcb_status", "tdxvm"),
    }
)


def claims(said: Said, made: datetime | None, tdx: Read) -> Claims:
    """The common words.

    Args:
        said: the token's claims.
        made: when it was made.
        tdx: reads a TD's registers.
    """
    outer = _kind(said)
    below = outer == "azurevm"
    tee = part(said, "x-ms-isolation-tee") if below else said
    kind = _kind(tee)
    registers, identity, numbers = _tee(kind, tee, tdx)
    registers["x_ms_policy_hash"] = (unbase64(said.get("x-ms-policy-hash")) or b"").hex()
    identity = (*identity, "x_ms_policy_hash")
    if below:
        registers[_GUEST] = ""
        identity = (*identity, _GUEST)
    runtime = part(said, "x-ms-runtime")
    carried = _nonces(said, runtime)
    texts = {
        "issuer": words(said.get("iss")),
        "attestation_type": (outer, kind) if below else (outer,),
    }
    for name, value in {
        "compliance_status": tee.get("x-ms-compliance-status"),
        "attester_tcb_status": tee.get("attester_tcb_status"),
        "migration_allowed": tee.get("x-ms-sevsnpvm-migration-allowed"),
        "vmpl": tee.get("x-ms-sevsnpvm-vmpl"),
        "secureboot": said.get("secureboot"),
        "os_type": said.get("x-ms-azurevm-ostype"),
        "os_distro": said.get("x-ms-azurevm-osdistro"),
    }.items():
        if value is not None or (name, kind) in _MUST:
            texts[name] = words(value)
    return Claims(
        platform="maa",
        registers=registers,
        identity=identity,
        alternative=("x_ms_sgx_mrsigner", "x_ms_policy_hash") if kind == "sgx" else (),
        debug=_debug(kind, tee) or (below and _boot_debug(said)),
        timestamp=made,
        instance=_instance(said, tee),
        nonce=carried[0] if carried else None,
        nonces=carried,
        user_data=_report_data(kind, tee),
        public_key=_key(runtime),
        numbers=numbers,
        texts=texts,
        source=Source.PROVIDER,
    )


def _kind(said: Said) -> str:
    kind = said.get("x-ms-attestation-type")
    return kind if isinstance(kind, str) else ""


def _tee(kind: str, tee: Said, tdx: Read) -> Found:
    match kind:
        case "sgx":
            registers = {
                f"x_ms_sgx_{name}": digest(tee.get(f"x-ms-sgx-{name}"), 32)
                for name in ("mrenclave", "mrsigner")
            }
            numbers = whole(tee, {"x-ms-sgx-product-id": "isvprodid", "x-ms-sgx-svn": "isvsvn"})
            return registers, ("x_ms_sgx_mrenclave",), numbers
        case "sevsnpvm":
            registers = {
                f"x_ms_sevsnpvm_{name.lower()}": digest(tee.get(f"x-ms-sevsnpvm-{name}"), size)
                for name, size in _SNP.items()
            }
            code = ["x_ms_sevsnpvm_launchmeasurement"]
            if registers["x_ms_sevsnpvm_hostdata"].strip("0") or not tee.get(_HOST_DATA):
                code.append("x_ms_sevsnpvm_hostdata")
            named = {f"x-ms-sevsnpvm-{name}": ours for name, ours in _SNP_NUMBERS.items()}
            return registers, tuple(code), whole(tee, named)
        case "tdxvm":
            return tdx(tee, "x_ms_tdx_")
    return {"unknown_guest": ""}, ("unknown_guest",), {}


def _debug(kind: str, tee: Said) -> bool:
    """Only a plain no is no; a kind of TEE that is not read says nothing that could be believed."""
    name = {
        "sgx": "x-ms-sgx-is-debuggable",
        "sevsnpvm": "x-ms-sevsnpvm-is-debuggable",
        "tdxvm": "tdx_td_attributes_debug",
    }.get(kind, "")
    return tee.get(name) is not False or tee.get("is-debuggable", False) is not False


def _boot_debug(said: Said) -> bool:
    if any(said.get(f"x-ms-azurevm-{name}", False) is not False for name in _BOOT_DEBUG):
        return True
    return said.get("x-ms-azurevm-debuggersdisabled", True) is not True


def _report_data(kind: str, tee: Said) -> bytes | None:
    names = {
        "sgx": "x-ms-sgx-report-data",
        "sevsnpvm": "x-ms-sevsnpvm-reportdata",
        "tdxvm": "tdx_report_data",
    }
    return octets(tee.get(names.get(kind, "")))


def _nonces(said: Said, runtime: Said) -> tuple[bytes, ...]:
    """The caller's nonce by the guest agent's name for it, or all that an enclave had bound."""
    found = nonces(inner(runtime, "client-payload", "nonce"))
    held = unbase64(said.get("x-ms-sgx-ehd"))
    return found or ((held,) if held else ())


def _key(runtime: Said) -> bytes | None:
    """The one key that the guest had bound; of two, which one is meant is not said."""
    keys = runtime.get("keys")
    found = list(keys) if isinstance(keys, list) else []
    found += [runtime["jwk"]] if "jwk" in runtime else []
    return spki(found[0]) if len(found) == 1 else None


def _instance(said: Said, tee: Said) -> str:
    for value in (
        said.get("x-ms-azurevm-vmid"),
        inner(tee, "x-ms-runtime", "vm-configuration", "vmUniqueId"),
        inner(said, "x-ms-runtime", "vm-configuration", "vmUniqueId"),
    ):
        if isinstance(value, str) and value:
            return value
    return ""
