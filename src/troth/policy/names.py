"""What the sections of a policy may name: registers with their sizes, and numbers, by platform."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_ANY_DIGEST: Final = (32, 48, 64)
_TOKEN_TDX: Final = (
    *("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrconfigid"),
    *("mrowner", "mrownerconfig", "mrservicetd", "mrseam", "mrsignerseam"),
)
_PCK: Final = ("sgx_type", "dynamic_platform", "cached_keys", "smt")

PARTS: Final = ("boot_loader", "tee", "snp", "microcode", "fmc")
"""The parts of AMD's TCB, each of which a report gives four times (fmc: on Turin)."""

REGISTERS: Final[Mapping[str, Mapping[str, tuple[int, ...]]]] = MappingProxyType(
    {
        "nitro": {f"pcr{index}": _ANY_DIGEST for index in range(32)},
        "sgx": {
            "mrenclave": (32,),
            "mrsigner": (32,),
            "configid": (64,),
            "isvextprodid": (16,),
            "isvfamilyid": (16,),
        },
        "tdx": dict.fromkeys(
            (
                "mrtd",
                *(f"rtmr{index}" for index in range(4)),
                "mrconfigid",
                "mrowner",
                "mrownerconfig",
                "mrservicetd",
                "init_servtd_hash",
                "cur_servtd_hash",
                "mrseam",
                "mrsignerseam",
            ),
            (48,),
        ),
        "snp": {
            "measurement": (48,),
            "host_data": (32,),
            "id_key_digest": (48,),
            "author_key_digest": (48,),
            "family_id": (16,),
            "image_id": (16,),
            "report_id": (32,),
            "report_id_ma": (32,),
        },
        "maa": {
            "x_ms_policy_hash": (32,),
            "x_ms_sgx_mrenclave": (32,),
            "x_ms_sgx_mrsigner": (32,),
            "x_ms_sevsnpvm_launchmeasurement": (48,),
            "x_ms_sevsnpvm_hostdata": (32,),
            "x_ms_sevsnpvm_idkeydigest": (48,),
            "x_ms_sevsnpvm_authorkeydigest": (48,),
            "x_ms_sevsnpvm_familyid": (16,),
            "x_ms_sevsnpvm_imageid": (16,),
            "x_ms_sevsnpvm_reportid": (32,),
            **{f"x_ms_tdx_{name}": (48,) for name in _TOKEN_TDX},
        },
        "gcs": {"image_digest": (32,), "container_overrides": (32,)},
        "ita": {
            "sgx_mrenclave": (32,),
            "sgx_mrsigner": (32,),
            **{f"tdx_{name}": (48,) for name in _TOKEN_TDX},
        },
        "nras": {},
        "nvidia": {"measurements": (48,)},
        "tpm": {f"pcr{index}": _ANY_DIGEST for index in range(24)},
        "nitrotpm": {f"pcr{index}": (48,) for index in range(24)},
    }
)
"""Platform to register to the sizes in bytes that its value may have."""

NUMBERS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "sgx": frozenset(
            {"isvprodid", "isvsvn", "configsvn", "attributes", "xfrm", "miscselect", *_PCK}
        ),
        "tdx": frozenset(
            {
                *("td_attributes", "xfam", "seam_attributes"),
                *("module_major", "module_minor"),
                *_PCK,
            }
        ),
        "snp": frozenset(
            {
                *("guest_svn", "vmpl", "policy", "platform_info"),
                *("signing_key", "mask_chip_key", "author_key_en"),
                *("cpu_family", "cpu_model", "cpu_stepping"),
                *("launch_mit_vector", "current_mit_vector"),
                *(
                    f"{when}_{part}"
                    for when in ("reported", "committed", "current", "launch")
                    for part in PARTS
                ),
            }
        ),
        "nvidia": frozenset({"opaque_version", "ppcie", "nvdec0", "feature_flag"}),
        "tpm": frozenset(
            {
                *("bank", "clock", "reset_count", "restart_count", "safe"),
                *("firmware_version", "firmware_version_1", "firmware_version_2"),
                *("google_project", "google_instance"),
                *("google_security_version", "google_production"),
            }
        ),
        "maa": frozenset({"isvprodid", "isvsvn", "guest_svn"}),
        "gcs": frozenset({"oemid"}),
        "ita": frozenset({"isvprodid", "isvsvn"}),
        "nras": frozenset({"gpus", "switches"}),
    }
)
"""Platform to the numbers of its claims."""

TEXTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "maa": frozenset(
            {
                *("issuer", "attestation_type", "compliance_status", "attester_tcb_status"),
                *("secureboot", "os_type", "os_distro"),
                *("migration_allowed", "vmpl", "septve_disable", "migratable"),
            }
        ),
        "gcs": frozenset(
            {
                *("hwmodel", "swname", "swversion", "secboot", "audience", "support_attributes"),
                *("image_reference", "service_accounts", "project_id", "zone", "cc_mode"),
            }
        ),
        "ita": frozenset(
            {
                *("issuer", "attester_type", "attester_tcb_status", "policies_matched"),
                *("advisories", "septve_disable", "migratable"),
            }
        ),
        "nras": frozenset(
            {
                *("hwmodel", "secboot", "measres", "warnings"),
                *("driver_version", "vbios_version", "switch_bios_version"),
            }
        ),
    }
)
"""Platform to what its tokens say in words."""

MACHINE_BYTES: Final[Mapping[str, int]] = MappingProxyType({"sgx": 16, "tdx": 16, "snp": 64})
"""Platform to the size of the name that it gives to a machine: PPID, or chip id."""

# What a debug enclave shows, or one that nobody measured. Elsewhere zero means «not used», which is a
# fine thing to expect.
_NEVER_ZERO: Final = frozenset({"mrenclave", "mrsigner", "mrtd", "measurement", "measurements"})
_PLATFORM_OF: Final = {
    register: platform
    for platform, registers in reversed(list(REGISTERS.items()))
    for register in registers
}


def sizes(platform: str, register: str) -> tuple[int, ...]:
    """Sizes in bytes that the register's value may have; none if the platform has no such register.

    Platforms that are not in the table may have any register, of the size of a digest.
    """
    known = REGISTERS.get(platform)
    return _ANY_DIGEST if known is None else known.get(register, ())


def may_be_zero(platform: str, register: str) -> bool:
    """Whether zero can be meant as an expected value."""
    return platform in NUMBERS and register not in _NEVER_ZERO


def platform_of(register: str) -> str | None:
    """The platform that has a register of this name; of those of Nitro and of TPMs, Nitro."""
    return _PLATFORM_OF.get(register)
